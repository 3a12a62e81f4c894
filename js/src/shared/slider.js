/** A strength from −10 to 10: a slider that draws itself at once and is never moved under the hand that holds it. */

import { h, keep, set } from "./dom.js";

export const MOST = 10;
/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -0.1, ArrowDown: -0.1, ArrowRight: 0.1, ArrowUp: 0.1, PageDown: -1, PageUp: 1 };

/**
 * Where a key leads; a value beyond the slider comes back step by step.
 * @param {number} value
 * @param {string} key
 * @returns {number | undefined} undefined for other keys
 */
export function stepped(value, key) {
  if (key === "Home") return -MOST;
  if (key === "End") return MOST;
  if (!(key in STEPS)) return undefined;
  const next = Math.min(Math.max(value + STEPS[key], Math.min(-MOST, value)), Math.max(MOST, value));
  return Number(next.toFixed(6));
}

const place = (/** @type {number} */ value) => 50 + (50 * Math.max(-MOST, Math.min(MOST, value))) / MOST;

/**
 * @param {string} name
 * @param {(value: number) => void} onMove each move
 * @param {() => void} onRest the hand has let go
 */
export function makeSlider(name, onMove, onRest) {
  let value = 0;
  let held = false;
  const fill = h("i");
  /** @param {number} next @param {string} text */
  const draw = (next, text) => {
    value = next;
    if (Number(input.value) !== next) input.value = `${next}`;
    set(input, "aria-valuetext", text);
    const [from, to] = [Math.min(50, place(next)), Math.max(50, place(next))];
    fill.style.left = `${from}%`;
    fill.style.width = `${to - from}%`;
    box.classList.toggle("saew-beyond", Math.abs(next) > MOST);
  };
  const rest = () => {
    if (!held) return;
    held = false;
    onRest();
  };
  const input = h("input.slide", {
    type: "range",
    min: -MOST,
    max: MOST,
    step: 0.1,
    label: name,
    input: () => onMove(Number(input.value)),
    change: rest,
    pointerdown() {
      held = true;
    },
    pointerup: rest,
    pointercancel: rest,
    blur: rest,
    keydown(/** @type {KeyboardEvent} */ event) {
      const next = stepped(value, event.key);
      if (next === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
      keep(event);
      if (next !== value) onMove(next);
    },
  });
  const ticks = [-10, -5, 0, 5, 10].map((tick) => h("span", `${tick}`.replace("-", "−")));
  const box = h(".slider", h(".rail", fill), input, h(".ticks.note", { "aria-hidden": "true" }, ...ticks));
  return {
    box,
    draw,
    /** Whether somebody holds it now. */
    get held() {
      return held;
    },
  };
}
