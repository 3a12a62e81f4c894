/** A bar between two views: dragged, moved with keys, put back by a double click or Enter. */

import { h, keep, set } from "./dom.js";

/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, PageUp: -5, PageDown: 5 };

/**
 * @param {object} options
 * @param {string} options.place of the grid: x stands, y and z lie
 * @param {string} options.label
 * @param {[usual: number, least: number, largest: number]} options.range
 * @param {() => number} options.value
 * @param {() => number} options.room pixels of a size of 1
 * @param {(value: number, done: boolean) => void} options.onMove
 */
export function makeSeparator({ place, label, range: [usual, least, largest], value, room, onMove }) {
  const share = largest <= 1;
  const move = (/** @type {number} */ next, done = true) =>
    onMove(Math.max(least, Math.min(largest, Number(next.toFixed(share ? 4 : 0)))), done);
  /** Where the pointer took it, and how large it was. @type {{ at: number, from: number } | undefined} */
  let held;
  const along = (/** @type {MouseEvent} */ event) => (place === "x" ? event.clientX : event.clientY);
  const box = h(`.sep.${place}@separator`, {
    tabindex: 0,
    label,
    title: "Drag, or use the arrow keys; a double click or Enter puts it back",
    "aria-orientation": place === "x" ? "vertical" : "horizontal",
    "aria-valuemin": share ? 100 * least : least,
    "aria-valuemax": share ? 100 * largest : largest,
    dblclick: () => move(usual),
    keydown(/** @type {KeyboardEvent} */ event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      /** @type {Record<string, number>} */
      const ends = { Home: least, End: largest, Enter: usual };
      const step = STEPS[event.key];
      if (!step && !(event.key in ends)) return;
      keep(event);
      move(step ? value() + step * (share ? 0.02 : 20) : ends[event.key]);
    },
    pointerdown(/** @type {PointerEvent} */ event) {
      if (event.button) return;
      held = { at: along(event), from: value() };
      box.setPointerCapture(event.pointerId);
    },
    pointermove(/** @type {PointerEvent} */ event) {
      if (held) move(held.from + (along(event) - held.at) / room(), false);
    },
    pointerup: end,
    pointercancel: end,
  });
  box.style.gridArea = place;
  function end() {
    if (held && held.from !== value()) onMove(value(), true);
    held = undefined;
  }
  return {
    box,
    /** Say where it is. @param {boolean} used */
    show(used) {
      box.hidden = !used;
      const now = Math.round((share ? 100 : 1) * value());
      set(box, "aria-valuenow", now);
      set(box, "aria-valuetext", share ? `${now}%` : `${now} px`);
    },
  };
}
