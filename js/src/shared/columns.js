/** Three columns of one set of rows, each row's three ranks joined by a line: a bump chart whose entries are text. */

import { h, keep, number, put, set } from "./dom.js";
import { idOf, labelOf } from "./picture.js";
import { KEYS } from "./ranks.js";
import { svg } from "./svg.js";

const ROW = 32;
const LOW = 19;
const GAP = 28;

/** @typedef {import("./picture.js").Picture} Picture */

/** With its sign, a minus as people write it. @param {number} value */
export const signed = (value) => `${value > 0 ? "+" : ""}${number(value)}`.replace("-", "−");

/** Two decimals of a correlation. @param {number} r */
export const fixed = (r) => r.toFixed(2).replace("-", "−");

/** @param {{ onFollow(row: number): void, onChoose(row: number): void }} handlers */
export function makeColumns({ onFollow, onChoose }) {
  const lists = KEYS.map((key) => h(".list@listbox", { label: `Rows by ${key}` }));
  const joints = [0, 1].map(() => svg("svg", { class: "joint", preserveAspectRatio: "none", "aria-hidden": "true" }));
  const cut = h(".cut.note");
  const [a, b, c] = lists;
  const box = h(".columns", cut, a, joints[0], b, joints[1], c);
  /** @type {Map<number, HTMLElement>[]} */
  let cells = [];
  /** @type {Picture | undefined} */
  let held;

  const placeOf = (/** @type {EventTarget | null} */ target) => {
    const node = /** @type {Element | null} */ (target)?.closest("[data-row]");
    const row = node ? Number(/** @type {HTMLElement} */ (node).dataset.row) : -1;
    return { row, column: lists.indexOf(/** @type {any} */ (node?.parentElement)) };
  };
  const rove = (/** @type {number} */ column, /** @type {number} */ row) => {
    for (const cell of cells.flatMap((one) => [...one.values()])) cell.tabIndex = -1;
    const cell = cells[column].get(row);
    if (cell) cell.tabIndex = 0;
    return cell;
  };
  const over = (/** @type {Event} */ event) => onFollow(placeOf(event.target).row);
  const out = () => onFollow(-1);
  /** @type {Record<string, (event: any) => void>} */
  const listeners = {
    mouseover: over,
    focusin: over,
    mouseleave: out,
    focusout: out,
    click(event) {
      const { row, column } = placeOf(event.target);
      // The second click of two is about the label.
      if (row < 0 || event.detail > 1) return;
      if (column >= 0) rove(column, row)?.focus();
      onChoose(row);
    },
    keydown(event) {
      const { row, column } = placeOf(event.target);
      if (column < 0) return;
      const rows = [...cells[column].keys()];
      const at = rows.indexOf(row);
      /** @type {Record<string, [number, number] | undefined>} */
      const moves = {
        ArrowUp: [column, rows[Math.max(0, at - 1)]],
        ArrowDown: [column, rows[Math.min(rows.length - 1, at + 1)]],
        ArrowLeft: [Math.max(0, column - 1), row],
        ArrowRight: [Math.min(2, column + 1), row],
        Home: [column, rows[0]],
        End: [column, /** @type {number} */ (rows.at(-1))],
      };
      const move = moves[event.key];
      if (move) rove(...move)?.focus();
      else if (event.key === "Enter" || event.key === " ") onChoose(row);
      else if (event.key === "Escape") onFollow(-1);
      else return;
      keep(event);
    },
  };
  for (const [name, listener] of Object.entries(listeners)) box.addEventListener(name, listener);

  return {
    box,
    /** @param {Picture} picture */
    show(picture) {
      const active = placeOf(/** @type {ShadowRoot} */ (box.getRootNode()).activeElement);
      held = picture;
      const { tops, below } = picture;
      const most = Math.max(...tops.map((top) => top.length));
      const lows = Math.max(...below.map((rows) => rows.length));
      const height = most * ROW + (lows ? GAP + lows * LOW : 0);
      const scales = scalesOf(picture);
      cells = KEYS.map((_, column) => {
        const found = new Map(tops[column].map((row) => [row, entry(picture, column, row, scales[column])]));
        for (const row of below[column]) found.set(row, lowEntry(picture, column, row));
        const first = found.get(below[column][0]);
        if (first) first.style.marginTop = `${(most - tops[column].length) * ROW + GAP}px`;
        put(lists[column], ...found.values());
        return found;
      });
      cut.hidden = !lows;
      cut.style.top = `${most * ROW}px`;
      put(cut, `below the top ${most}`);
      joints.forEach((joint, column) => {
        set(joint, "viewBox", `0 0 100 ${height || 1}`);
        set(joint, "height", height);
        put(joint, ...lines(picture, column, most));
      });
      rove(0, [...cells[0].keys()][0]);
      if (cells[active.column]?.has(active.row)) rove(active.column, active.row)?.focus();
    },
    /** Make one row stand out in all columns. @param {number} row -1 for none */
    follow(row) {
      box.classList.toggle("saew-following", !!held?.shown.has(row));
      for (const node of box.querySelectorAll("[data-row]"))
        node.classList.toggle("saew-on", /** @type {HTMLElement} */ (node).dataset.row === `${row}`);
    },
    /** Mark the rows of the chosen feature. @param {string} feature */
    choose(feature) {
      cells.forEach((column) => {
        column.forEach((cell, row) => {
          set(cell, "aria-selected", !!held && idOf(held.ranking, row) === feature);
        });
      });
    },
  };
}

/** The value of a whole bar in each column; attribution and ablation share one, for they share a unit. @param {Picture} picture */
function scalesOf({ ranking, tops }) {
  const [activation, attribution, ablation] = KEYS.map((key, c) =>
    tops[c].reduce((most, row) => Math.max(most, Math.abs(ranking[key][row])), 0),
  );
  const both = Math.max(attribution, ablation);
  return [activation, both, both];
}

/** @param {Picture} picture @param {number} column @param {number} row */
function textsOf({ ranking, ranks }, column, row) {
  const [value, rank] = [ranking[KEYS[column]][row], ranks[column][row] + 1];
  const unknown = column === 2 && !ranking.known[row];
  const text = unknown ? "not yet" : column ? signed(value) : number(value);
  const { head, position, feature } = ranking;
  const name = head.saes.length > 1 ? idOf(ranking, row) : `${feature[row]}`;
  const at = head.position === null && position[row] >= 0 ? `@${position[row]}` : "";
  return { value, rank: unknown ? "–" : `#${rank}`, text, name, at };
}

/** @param {Picture} picture @param {number} column @param {number} row @param {number} scale */
function entry(picture, column, row, scale) {
  const { ranking, tops } = picture;
  const { value, rank, text, name, at } = textsOf(picture, column, row);
  const matters = tops[2].includes(row);
  const bar = h(value < 0 ? "i.minus" : "i");
  const size = scale ? (Math.abs(value) / scale) * (column ? 50 : 100) : 0;
  bar.style.width = `${size}%`;
  bar.style.left = `${column ? (value < 0 ? 50 - size : 50) : 0}%`;
  return h(
    `.entry${column ? ".both" : ""}@option`,
    { tabindex: -1, "data-row": row },
    h("span.rank.faint", rank.slice(1)),
    h(matters ? "span.dot.hit@img" : "span.dot", { hidden: column === 2, label: matters && "top by ablation" }),
    h("b", name),
    h("span.faint", at),
    h("span.of.faint", labelOf(ranking, idOf(ranking, row))),
    h("span.value", text),
    h("span.bar2", bar),
  );
}

/** @param {Picture} picture @param {number} column @param {number} row */
function lowEntry(picture, column, row) {
  const { rank, text, name, at } = textsOf(picture, column, row);
  return h(
    ".entry.low@option",
    { tabindex: -1, "data-row": row },
    h("span.rank", rank),
    h("span.of", name + at),
    h("span.value.faint", text),
  );
}

/**
 * Lines from one column to the next.
 * @param {Picture} picture
 * @param {number} column
 * @param {number} most entries of the longest column
 */
function lines({ ranking, tops, below, shown }, column, most) {
  const y = (/** @type {number} */ c, /** @type {number} */ row) => {
    const at = tops[c].indexOf(row);
    return at >= 0 ? (at + 0.5) * ROW : most * ROW + GAP + (below[c].indexOf(row) + 0.5) * LOW;
  };
  return [...shown].flatMap((row) => {
    if (column === 1 && !ranking.known[row]) return [];
    const [from, to] = [tops[column].includes(row), tops[column + 1].includes(row)];
    const kind = from ? (to ? "stays" : "falls") : to ? "rises" : "apart";
    const [left, right] = [y(column, row), y(column + 1, row)];
    return [svg("path", { class: kind, "data-row": row, d: `M0,${left}C50,${left},50,${right},100,${right}` })];
  });
}
