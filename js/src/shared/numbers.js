/** Number entry: what makes no sense is put back, and what Python sends does not disturb who is typing. */

import { h } from "./dom.js";

/** A number in as few digits as it has, a minus as people write it. @param {number} value */
export const plain = (value) => `${Number(value.toPrecision(12))}`.replace("-", "−");

/**
 * @param {object} options
 * @param {string} options.name
 * @param {number} [options.min]
 * @param {number} [options.max]
 * @param {number | string} [options.step] a step of 1 takes whole numbers only
 * @param {(value: number) => void} options.onPick
 */
export function makeNumber({ name, min = -Infinity, max = Infinity, step = 1, onPick }) {
  let typing = false;
  let shown = "";
  const done = () => {
    const value = Number(box.value);
    const good = box.value !== "" && value >= min && value <= max && (step !== 1 || Number.isInteger(value));
    typing = false;
    const former = shown;
    shown = box.value = good ? `${value}` : former;
    if (shown !== former) onPick(value);
  };
  const box = h("input.number.box", {
    type: "number",
    label: name,
    step,
    min: Number.isFinite(min) && min,
    max: Number.isFinite(max) && max,
    input() {
      typing = true;
    },
    change: done,
    blur: done,
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      if (event.key !== "Escape") return;
      typing = false;
      box.value = shown;
    },
  });
  return {
    box,
    /** @param {number} value @param {boolean} [force] also where somebody types */
    show(value, force = false) {
      if (typing && !force) return;
      typing = false;
      shown = `${value}`;
      if (box.value !== shown) box.value = shown;
    },
  };
}
