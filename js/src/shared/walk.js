/** Tokens that are walked with the arrow keys and tell of themselves under the mouse or in focus. */

import { h, number, put, set, visible } from "./dom.js";
import { level, rgba, tint } from "./palette.js";
import { fill, handlers } from "./strip.js";

const LONG = 25;

/** @typedef {{ show(cell?: HTMLElement, title?: string, lines?: string[]): void }} Tip */

/**
 * A token in its colour.
 * @param {string} token
 * @param {object} how
 * @param {string} [how.look] more classes, each with a dot in front
 * @param {boolean} [how.special]
 * @param {boolean} [how.peak]
 * @param {number} [how.value] undefined where it is not known
 * @param {number} how.max value of the strongest tint
 */
export function tokenCell(token, { look = "", special, peak, value, max }) {
  const kind = `${look}${special ? ".special.box" : ""}${peak ? ".peak" : ""}`;
  const told = [visible(token), value === undefined ? "" : number(value), peak ? "peak" : ""];
  const label = told.filter(Boolean).join(", ");
  const cell = /** @type {HTMLElement} */ (h(`span.tok${kind}@gridcell`, { tabindex: -1, label }));
  if (!look) fill(cell, token);
  // No break between a token and the space it begins with.
  if (token.length < LONG) cell.style.whiteSpace = "nowrap";
  if (value && max > 0) {
    cell.style.background = rgba(0, tint(value / max));
    set(cell, "data-level", level(value / max));
  }
  return cell;
}

/** A grid of such cells. @param {string} look @param {string} label @param {Tip} tip */
export function makeWalk(look, label, tip) {
  /** @type {HTMLElement[]} */
  let cells = [];
  /** @type {string[]} */
  let places = [];
  let current = 0;
  const rove = (/** @type {number} */ at, /** @type {boolean} */ focus = false) => {
    if (!cells[at]) return;
    cells[current].tabIndex = -1;
    current = at;
    cells[at].tabIndex = 0;
    if (focus) cells[at].focus();
  };
  const hover = (/** @type {number} */ at = -1, /** @type {HTMLElement | undefined} */ cell = undefined) =>
    tip.show(cell, cell?.getAttribute("aria-label") ?? "", [places[at]]);
  const walk = handlers(
    () => cells,
    () => current,
    rove,
    () => {},
    hover,
  );
  const box = h(`${look}@grid`, { label, ...walk });
  return {
    box,
    /** @param {HTMLElement[]} rows @param {HTMLElement[]} next all cells in their order @param {string[]} where each is */
    fill(rows, next, where) {
      [cells, places, current] = [next, where, 0];
      put(box, ...rows);
      rove(0);
      hover();
    },
  };
}
