/** A text that is being written: tokens are added at its end, those that are there stay, with the focus on them. */

import { h, number, set, visible } from "./dom.js";
import { nats } from "./meter.js";
import { fill, handlers } from "./strip.js";

/**
 * @typedef {{seed: number, tokens: string[], ids: number[], special: number[], groups: [number, number, string][],
 *   steered: number[], differs: number[], logprob: number[], base: (number | null)[], kl: (number | null)[],
 *   stopped: string, repetition: number, mean_kl: number | null}} Text
 */

/** Pixels: height of a line, usual width of a token. */
const [LINE, WIDTH] = [28, 36];

const signed = (/** @type {number} */ value) => number(value).replace("-", "−");

/** What is known of a token. @param {Text} text @param {number} i @param {boolean} steering @param {boolean} touched @param {boolean} differs */
export function facts({ logprob, base, kl }, i, steering, touched, differs) {
  const told = [];
  const [own, other, distance] = [logprob[i], base[i], kl[i]];
  if (typeof own === "number") told.push(`log-prob ${signed(own)}${steering ? " steered" : ""}`);
  if (steering && typeof other === "number") told.push(`${signed(other)} under base`);
  if (steering && typeof distance === "number") told.push(`KL ${nats(distance)} nats`);
  if (touched) told.push("steered here");
  if (differs) told.push("differs");
  return told;
}

/** @param {boolean} steering @param {(cell?: HTMLElement, title?: string, lines?: string[]) => void} onTip */
export function makeWriting(steering, onTip) {
  const row = h("@row");
  /** @type {HTMLElement[]} */
  const cells = [];
  /** @type {string[]} */
  const looks = [];
  /** @type {Text | undefined} */
  let text;
  let current = 0;
  /** @type {Set<number>} */
  let touched = new Set();
  /** @type {Set<number>} */
  let differs = new Set();

  const rove = (/** @type {number} */ position, /** @type {boolean | undefined} */ focus) => {
    if (!cells[position]) return;
    if (cells[current]) cells[current].tabIndex = -1;
    current = position;
    cells[current].tabIndex = 0;
    if (focus) cells[current].focus();
  };
  const tip = (/** @type {number | undefined} */ position, /** @type {HTMLElement | undefined} */ cell) => {
    if (!text || position === undefined || !cell) return onTip();
    const title = `${visible(text.tokens[position])}  new token ${position + 1} · id ${text.ids[position]}`;
    onTip(cell, title, facts(text, position, steering, touched.has(position), differs.has(position)));
  };
  const walk = handlers(
    () => cells,
    () => current,
    rove,
    () => {},
    tip,
  );
  const grid = h(".writing@grid", walk, row);

  /** Cells from a position on go. @param {number} from */
  const cut = (from) => {
    if (from >= cells.length) return;
    const active = /** @type {ShadowRoot} */ (grid.getRootNode()).activeElement;
    const at = cells.indexOf(/** @type {HTMLElement} */ (active));
    for (const cell of cells.splice(from)) {
      if (cell.previousSibling?.nodeName === "WBR") cell.previousSibling.remove();
      cell.remove();
    }
    looks.length = from;
    if (current >= from) rove(Math.max(0, from - 1), at >= from);
  };
  const append = (/** @type {string} */ token, /** @type {string} */ shown, /** @type {string} */ kind) => {
    const cell = /** @type {HTMLElement} */ (h(`span.tok${kind}@gridcell`, { tabindex: -1 }));
    if (!kind.includes("rest")) fill(cell, shown);
    if (/^\s/.test(token)) row.append(h("wbr"));
    row.append(cell);
    cells.push(cell);
  };
  /** Marks and name of a cell. @param {Text} of @param {number} i */
  const dress = (of, i) => {
    const [changed, other] = [touched.has(i), differs.has(i)];
    const label = [`${i + 1}: ${visible(of.tokens[i])}`, ...facts(of, i, steering, changed, other)].join(", ");
    if (cells[i].getAttribute("aria-label") === label) return;
    set(cells[i], "aria-label", label);
    cells[i].classList.toggle("saew-touched", changed);
    cells[i].classList.toggle("saew-differs", other);
  };

  return {
    grid,
    /**
     * Draw a text; while it is written its box has room for all of it, and does not shrink.
     * @param {Text | undefined} next
     * @param {string} name
     * @param {boolean} running
     * @param {number} most tokens that it may get
     */
    show(next, name, running, most) {
      const { offsetHeight, clientWidth } = grid;
      const room = 13 + LINE * Math.ceil((WIDTH * most) / Math.max(200, clientWidth));
      grid.style.minHeight = running ? `${Math.max(offsetHeight, room)}px` : "";
      text = next;
      touched = new Set(next?.steered);
      differs = new Set(next?.differs);
      set(grid, "aria-label", name);
      const wanted = next ? wantedOf(next) : [];
      const same = wanted.findIndex(({ look }, i) => look !== looks[i]);
      cut(same < 0 ? wanted.length : same);
      for (const { token, shown, kind, look } of wanted.slice(cells.length)) {
        append(token, shown, kind);
        looks.push(look);
      }
      if (next) for (let i = 0; i < cells.length; i++) dress(next, i);
      if (cells.length && !cells[current]) current = 0;
      if (cells.length) cells[current].tabIndex = 0;
      row.hidden = !cells.length;
      set(grid, "role", cells.length ? "grid" : "group");
    },
  };
}

/** What each cell must look like. @param {Text} text */
function wantedOf({ tokens, special, groups }) {
  const starts = new Map(groups.map(([start, stop, shown]) => [start, { stop, shown }]));
  let until = 0;
  return tokens.map((token, i) => {
    const rest = i < until;
    const group = starts.get(i);
    if (group) until = group.stop;
    const kind = `${special.includes(i) ? ".special.box" : ""}${rest ? ".rest" : ""}`;
    const shown = group?.shown ?? token;
    return { token, shown, kind, look: `${kind}|${shown}|${token}` };
  });
}
