/** The tokens of a prompt: a grid of one row that wraps like prose, walked with the arrow keys. */

import { h, keep, mark, put, set, visible } from "./dom.js";

const LINE = 9;
/** How many tokens a key goes on. @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -1 / 0, End: 1 / 0 };
/** @type {Record<string, number>} */
const LINES = { ArrowUp: -1, ArrowDown: 1 };

/** @typedef {{ washes: string[], said: string[], level: number }} Coat what is painted on a token; quarter of the scale */
/** @typedef {Pick<import("./wire.js").Result["head"], "tokens" | "special" | "masked" | "groups">} Head */

/** @param {{ onSelect(position: number): void, onHover(position?: number, cell?: HTMLElement): void }} handlers */
export function makeStrip({ onSelect, onHover }) {
  const row = h("@row");
  /** @type {HTMLElement[]} */
  let cells = [];
  /** @type {string[]} */
  let labels = [];
  /** @type {(Coat | undefined)[]} */
  let coats = [];
  let current = 0;

  /** @param {number} position @param {boolean} [focus] */
  const rove = (position, focus) => {
    if (!cells[position]) return;
    cells[current].tabIndex = -1;
    current = position;
    cells[current].tabIndex = 0;
    if (focus) cells[current].focus();
  };
  const walk = handlers(
    () => cells,
    () => current,
    rove,
    onSelect,
    onHover,
  );
  const grid = h(".strip@grid", { label: "Tokens of the prompt", ...walk }, row);

  return {
    grid,
    /** Draw the tokens of a result. @param {Head} head */
    show(head) {
      const drawn = draw(head);
      ({ cells, labels } = drawn);
      put(row, ...drawn.nodes);
      coats = [];
      current = 0;
      rove(0);
    },
    /** Colour the tokens. @param {(Coat | undefined)[]} next @param {number} bands */
    paint(next, bands) {
      grid.style.setProperty("--bands", `${bands}`);
      cells.forEach((cell, i) => {
        const coat = next[i];
        if (!coat && !coats[i]) return;
        cell.style.background = coat?.washes.join() ?? "";
        set(cell, "data-level", coat?.level ?? 0);
        set(cell, "aria-label", [labels[i], ...(coat?.said ?? [])].join(", "));
      });
      coats = next;
    },
    /** Mark the chosen token. @param {number} position -1 for none */
    select(position) {
      cells.forEach((cell, i) => {
        set(cell, "aria-selected", i === position);
      });
      rove(position);
    },
  };
}

/**
 * Cells of the tokens, with places to break a line in front of those that begin with a space.
 * @param {Head} head
 */
function draw(head) {
  const groups = new Map(head.groups.map(([start, stop, text]) => [start, { stop, text }]));
  let until = 0;
  /** @type {Node[]} */
  const nodes = [];
  /** @type {string[]} */
  const labels = [];
  const cells = head.tokens.map((token, position) => {
    const group = groups.get(position);
    const masked = head.masked.includes(position);
    const rest = position < until;
    const kind = `${head.special.includes(position) ? ".special.box" : ""}${masked ? ".masked" : ""}${rest ? ".rest" : ""}`;
    const cell = /** @type {HTMLElement} */ (h(`span.tok${kind}@gridcell`, { tabindex: -1 }));
    if (!rest) fill(cell, group?.text ?? token);
    if (group) until = group.stop;
    if (/^\s/.test(token)) nodes.push(h("wbr"));
    nodes.push(cell);
    labels.push(`${position}: ${visible(token)}${masked ? ", masked" : ""}`);
    set(cell, "aria-label", labels[position]);
    return cell;
  });
  return { cells, labels, nodes };
}

/**
 * Put a token's text into its cell: the text itself, with a mark in front of each character that cannot be seen.
 * @param {HTMLElement} cell
 * @param {string} text
 */
export function fill(cell, text) {
  let plain = "";
  for (const character of text) {
    const sign = mark(character);
    if (sign) {
      cell.append(plain, h("span.ctl", { "data-mark": sign }, character));
      plain = "";
    } else plain += character;
  }
  cell.append(plain);
}

/**
 * The cell above (-1) or below (1), nearest in x.
 * @param {HTMLElement[]} cells
 * @param {number} from
 * @param {number} direction
 */
function vertical(cells, from, direction) {
  const { offsetTop: top, offsetLeft: x } = cells[from];
  const off = (/** @type {number} */ i) => Math.abs(cells[i].offsetLeft - x);
  let best = from;
  let line = top;
  for (let i = from + direction; cells[i]; i += direction) {
    const y = cells[i].offsetTop;
    if (Math.abs(y - top) < LINE) continue;
    if (line === top) line = y;
    if (Math.abs(y - line) > LINE) break;
    if (best === from || off(i) < off(best)) best = i;
  }
  return best;
}

/**
 * Keys and mouse of the grid.
 * @param {() => HTMLElement[]} cells
 * @param {() => number} current
 * @param {(position: number, focus?: boolean) => void} rove
 * @param {(position: number) => void} onSelect
 * @param {(position?: number, cell?: HTMLElement) => void} onHover
 */
export function handlers(cells, current, rove, onSelect, onHover) {
  const indexOf = (/** @type {Event} */ { target }) =>
    cells().indexOf(/** @type {HTMLElement} */ (/** @type {Element} */ (target).closest(".saew-tok")));
  const over = (/** @type {Event} */ event) => {
    const position = indexOf(event);
    onHover(position, cells()[position]);
    if (event.type === "focusin") rove(position);
  };
  const out = () => onHover();
  return {
    keydown(/** @type {KeyboardEvent} */ event) {
      const { key } = event;
      const at = current();
      if (key === "Enter" || key === " ") onSelect(at);
      else if (key === "Escape") onHover();
      else if (LINES[key]) rove(vertical(cells(), at, LINES[key]), true);
      else if (STEPS[key]) rove(Math.max(0, Math.min(cells().length - 1, at + STEPS[key])), true);
      else return;
      keep(event);
    },
    click(/** @type {Event} */ event) {
      const position = indexOf(event);
      if (position < 0) return;
      rove(position, true);
      onSelect(position);
    },
    mouseover: over,
    focusin: over,
    mouseleave: out,
    focusout: out,
  };
}
