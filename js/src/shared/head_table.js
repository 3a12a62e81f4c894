/** What tells the heads apart, as rows: arrow keys walk, Enter chooses. */

import { h, keep, number, percent, put, set } from "./dom.js";

/** @typedef {import("./attention_wire.js").Summary} Summary */

/** @type {[key: keyof Summary, title: string, told: string][]} */
const COLUMNS = [
  ["entropy", "entropy", "of the weights, nats: 0 where all weight is on one token"],
  ["bos", "BOS", "weight on special tokens, where heads rest that find nothing"],
  ["previous", "prev.", "weight on the token before"],
  ["own", "own", "weight on the token itself"],
  ["duplicate", "dupl.", "weight on earlier copies of the token"],
  ["induction", "induct.", "weight on what followed earlier copies of the token"],
];

/** @param {(head: number | null) => void} onHead */
export function makeHeadTable(onHead) {
  /** @type {HTMLElement[]} */
  let rows = [];
  let current = 0;
  const rove = (/** @type {number} */ at, focus = false) => {
    if (!rows[at]) return;
    rows[current].tabIndex = -1;
    current = at;
    rows[at].tabIndex = 0;
    if (focus) rows[at].focus();
  };
  const body = h("@rowgroup", {
    click(/** @type {any} */ { target }) {
      const at = rows.indexOf(target.closest(".saew-row"));
      rove(at);
      if (rows[at]) onHead(at ? at - 1 : null);
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      /** @type {Record<string, number>} */
      const moves = { ArrowUp: current - 1, ArrowDown: current + 1, Home: 0, End: rows.length - 1 };
      const to = moves[event.key];
      if (event.key === "Enter" || event.key === " ") onHead(current ? current - 1 : null);
      else if (to === undefined) return;
      else rove(Math.max(0, Math.min(rows.length - 1, to)), true);
      keep(event);
    },
  });
  const heads = COLUMNS.map(([, title, told]) => h("span.num@columnheader", { title: told }, title));
  const head = h("@rowgroup", h(".head.note@row", h("span@columnheader", "head"), ...heads));
  return {
    grid: h(".table@grid", { label: "Heads; means over the tokens that are not special" }, head, body),
    /** @param {Summary[]} summaries */
    show(summaries) {
      const cells = (/** @type {Summary} */ summary) =>
        COLUMNS.map(([key]) => h("span.num@gridcell", told(key, summary[key])));
      rows = [
        h(".row@row", { tabindex: -1 }, h("span@gridcell", "all")),
        ...summaries.map((one, i) => h(".row@row", { tabindex: -1 }, h("span@gridcell", `${i}`), ...cells(one))),
      ];
      put(body, ...rows);
      current = 0;
      rove(0);
    },
    /** @param {number | null} one */
    choose(one) {
      rows.forEach((row, i) => {
        set(row, "aria-selected", i === (one ?? -1) + 1);
      });
      if (one !== null) rove(one + 1);
    },
  };
}

/** @param {string} key @param {number | null} value */
const told = (key, value) => (value === null ? "–" : key === "entropy" ? number(value) : percent(value));
