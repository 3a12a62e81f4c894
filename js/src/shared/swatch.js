/** The small square that shows a feature's hue and pattern. */

import { h } from "./dom.js";
import { band } from "./palette.js";

/** @param {number} [slot] empty without one */
export function swatch(slot) {
  const node = h("span.swatch.box");
  if (slot !== undefined) node.style.background = band(slot, 1);
  return node;
}
