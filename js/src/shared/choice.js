/** Choices of which one holds, radios or tabs: arrow keys go from one to the next and take it. */

import { h, keep, put, set } from "./dom.js";

/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

/**
 * @param {string} look of the group with its role, as for h(): radiogroup or tablist
 * @param {string} label
 * @param {(value: string) => void} onPick
 */
export function makeChoice(look, label, onPick) {
  /** @type {HTMLElement[]} */
  let options = [];
  const at = (/** @type {Event} */ { target }) =>
    options.findIndex((option) => option.contains(/** @type {Node} */ (target)));
  const pick = (/** @type {HTMLElement | undefined} */ option) => {
    if (!option) return;
    option.focus();
    onPick(/** @type {string} */ (option.dataset.value));
  };
  const box = h(look, {
    label,
    click: (/** @type {Event} */ event) => pick(options[at(event)]),
    keydown(/** @type {KeyboardEvent} */ event) {
      const n = options.length;
      const step = event.key === "Enter" || event.key === " " ? 0 : STEPS[event.key];
      if (step === undefined) return;
      keep(event);
      pick(options[(at(event) + step + n) % n]);
    },
  });
  return {
    box,
    /** @param {[value: string, option: HTMLElement][]} pairs elements with their role and a tabindex */
    fill(pairs) {
      const active = /** @type {ShadowRoot} */ (box.getRootNode()).activeElement;
      const kept = options.indexOf(/** @type {HTMLElement} */ (active));
      options = pairs.map(([value, option]) => {
        option.dataset.value = value;
        return option;
      });
      put(box, ...options);
      if (kept >= 0) options[kept]?.focus();
    },
    /** @param {string} value */
    show(value) {
      for (const option of options) {
        const chosen = option.dataset.value === value;
        set(option, option.matches("[role=tab]") ? "aria-selected" : "aria-checked", chosen);
        option.tabIndex = chosen ? 0 : -1;
      }
    },
  };
}
