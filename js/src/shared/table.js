/** Features as rows: arrow keys walk, Enter shows one alone, Space or its swatch adds it to the set. */

import { h, keep, redraw, set } from "./dom.js";
import { band } from "./palette.js";
import { swatch } from "./swatch.js";

/** @typedef {{ row: import("./wire.js").Row, value: number }} Entry */
/** @typedef {{ key: string, title: string, text(entry: Entry): string, size(entry: Entry): number }} Column */

/**
 * @param {object} options
 * @param {string} options.label
 * @param {Column[]} options.columns the first has bars
 * @param {(feature: number) => void} options.onAlone
 * @param {(feature: number) => void} options.onToggle
 * @param {(key: string) => void} [options.onSort] where columns can be sorted
 */
export function makeTable({ label, columns, onAlone, onToggle, onSort }) {
  const heads = columns.map(({ key, title }) =>
    h(".num@columnheader", { title }, onSort ? h("button", { click: () => onSort(key) }, key) : key),
  );
  const body = h("@rowgroup", handlers(onAlone, onToggle));
  const head = h(".head.note@row", h("@columnheader", "feature"), ...heads);
  const grid = h(".table@grid", { label }, h(".headgroup@rowgroup", head), body);
  const rows = () => /** @type {HTMLElement[]} */ ([...body.children]);

  return {
    grid,
    body,
    /** @param {Entry[]} entries @param {string} [sorted] key of the column that orders them */
    show(entries, sorted) {
      if (onSort)
        columns.forEach(({ key }, i) => {
          set(heads[i], "aria-sort", key === sorted ? "descending" : "none");
        });
      const full = Math.max(...entries.map(columns[0].size));
      const next = redraw(
        body,
        entries.map((entry) => draw(entry, columns, full)),
      );
      if (next) next.tabIndex = 0;
    },
    /** Show which features are chosen. @param {import("./selection.js").Chosen[]} chosen */
    choose(chosen) {
      for (const row of rows()) {
        const one = chosen.find(({ index }) => `${index}` === row.dataset.feature);
        /** @type {HTMLElement} */ (row.querySelector(".saew-swatch")).style.background = one ? band(one.slot, 1) : "";
        set(row, "aria-selected", !!one);
        row.classList.toggle("saew-focus", !!one?.focus);
      }
    },
  };
}

/** @param {Entry} entry @param {Column[]} columns @param {number} full value of a whole bar */
function draw(entry, columns, full) {
  const { feature, label } = entry.row;
  const name = h(".name.flex@gridcell", swatch(), `${feature}`, h("span.label", { title: label }, label));
  const cells = columns.map((column) => h(".num@gridcell", column.text(entry)));
  cells[0].classList.add("saew-bar");
  cells[0].style.setProperty("--size", `${full ? (100 * columns[0].size(entry)) / full : 0}%`);
  return h(".row@row", { tabindex: -1, "data-feature": feature }, name, ...cells);
}

/**
 * Mouse and keys of the rows.
 * @param {(feature: number) => void} onAlone
 * @param {(feature: number) => void} onToggle
 */
function handlers(onAlone, onToggle) {
  const rowOf = (/** @type {Event} */ { target }) =>
    /** @type {HTMLElement} */ (/** @type {Element} */ (target).closest(".saew-row"));
  return {
    click(/** @type {MouseEvent} */ event) {
      const row = rowOf(event);
      const adds = event.shiftKey || event.ctrlKey || event.metaKey;
      const onSwatch = /** @type {Element} */ (event.target).matches(".saew-swatch");
      if (row) (adds || onSwatch ? onToggle : onAlone)(Number(row.dataset.feature));
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      const row = rowOf(event);
      /** @type {Record<string, Function | Element | null | undefined>} */
      const keys = {
        Enter: onAlone,
        " ": onToggle,
        ArrowUp: row.previousElementSibling,
        ArrowDown: row.nextElementSibling,
        Home: row.parentElement?.firstElementChild,
        End: row.parentElement?.lastElementChild,
      };
      const does = keys[event.key];
      if (does === undefined) return;
      keep(event);
      if (typeof does === "function") does(Number(row.dataset.feature));
      else if (does) {
        row.tabIndex = -1;
        /** @type {HTMLElement} */ (does).tabIndex = 0;
        /** @type {HTMLElement} */ (does).focus();
      }
    },
  };
}
