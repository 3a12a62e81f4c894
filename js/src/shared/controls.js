/** Small controls with a name above them. */

import { h, set } from "./dom.js";

/**
 * Buttons of which one is pressed.
 * @param {string} name
 * @param {[value: string, text: string][]} options
 * @param {(value: string) => void} onPick
 */
export function makeToggle(name, options, onPick) {
  const buttons = options.map(([value, text]) => h("button", { click: () => onPick(value) }, text));
  return {
    buttons,
    box: h(".field", h("span.note", name), h(".toggle.box@group", { label: name }, ...buttons)),
    /** @param {string} value */
    show(value) {
      buttons.forEach((button, i) => {
        set(button, "aria-pressed", options[i][0] === value);
      });
    },
  };
}

/**
 * @param {string} name
 * @param {HTMLElement} control
 */
export function named(name, control) {
  set(control, "aria-label", name);
  return h("label.field", h("span.note", name), control);
}
