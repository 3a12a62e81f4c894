/** The features of a prompt: sorted, searched, and numbers that do not fire here. */

import { h, number, percent, put } from "./dom.js";
import { makeTable } from "./table.js";
import { silent } from "./wire.js";

const LISTED = 100;

/** @typedef {import("./wire.js").Row} Row */

/** @type {import("./table.js").Column[]} */
const COLUMNS = [
  ["max", "Largest here", number],
  ["mean", "Mean where it fires", number],
  ["tokens", "Tokens it fires on", String],
  ["density", "Share of reference tokens it fires on", percent],
].map(([key, title, text]) => {
  const size = (/** @type {import("./table.js").Entry} */ { row }) =>
    /** @type {any} */ (row)[/** @type {string} */ (key)];
  return /** @type {any} */ ({
    key,
    title,
    size,
    text: (/** @type {any} */ entry) => /** @type {Function} */ (text)(size(entry)),
  });
});

/** @param {{ onAlone(feature: number): void, onToggle(feature: number): void }} choices */
export function makeFeatureList({ onAlone, onToggle }) {
  const search = h("input.search.box", {
    type: "search",
    placeholder: "Number or label",
    label: "Search features",
    input: draw,
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      const first = /** @type {HTMLElement | null} */ (table.body.firstElementChild);
      if (event.key === "Enter" && first) onAlone(Number(first.dataset.feature));
      else if (event.key === "ArrowDown") first?.focus();
    },
  });
  const note = h(".found.note", { "aria-live": "polite" });
  let column = COLUMNS[0];
  /** @type {import("./selection.js").Selection | undefined} */
  let held;
  const onSort = (/** @type {string} */ key) => {
    column = COLUMNS.find((one) => one.key === key) ?? column;
    draw();
  };
  const table = makeTable({ label: "Features of the prompt", columns: COLUMNS, onAlone, onToggle, onSort });

  function draw() {
    if (!held?.result) return;
    const { entries, text } = find(held.result, search.value.trim().toLowerCase(), column);
    table.show(entries, column.key);
    table.choose(held.chosen);
    put(note, text);
  }
  return {
    box: h(".right@group", { label: "Features" }, search, table.grid, note),
    choose: table.choose,
    /** @param {string} text */
    say(text) {
      put(note, text);
    },
    /** @param {import("./selection.js").Selection} selection */
    show(selection) {
      held = selection;
      draw();
    },
  };
}

/**
 * The features to list and a line about them.
 * @param {import("./wire.js").Result} result
 * @param {string} wanted part of a number or of a label
 * @param {import("./table.js").Column} column
 */
function find({ head, rows }, wanted, column) {
  const typed = /^\d+$/.test(wanted) ? Number(wanted) : -1;
  const order = (/** @type {Row} */ row) => (row.feature === typed ? 1 / 0 : column.size({ row, value: 0 }));
  const found = [...rows.values()]
    .filter(({ feature, label }) => `${feature}`.includes(wanted) || label.toLowerCase().includes(wanted))
    .sort((a, b) => order(b) - order(a) || a.feature - b.feature);
  const all = found.length;
  let text = all > LISTED ? `${LISTED} of ${all} features; search finds more` : `${all} features`;
  if (typed >= head.d_sae) text = `${head.sae} has features 0 to ${head.d_sae - 1}`;
  else if (typed >= 0 && found[0]?.feature !== typed) {
    found.unshift(silent(typed));
    text = `${typed} does not fire here`;
  }
  return { entries: found.slice(0, LISTED).map((row) => ({ row, value: row.max })), text };
}
