/** One token: what fires on it. */

import { h, number, put, visible } from "./dom.js";
import { place } from "./place.js";
import { swatch } from "./swatch.js";
import { makeTable } from "./table.js";

const LISTED = 12;

/** @type {import("./table.js").Column} */
const ACTIVATION = {
  key: "activation",
  title: "Activation on this token",
  text: ({ value }) => number(value),
  size: ({ value }) => value,
};

/**
 * Text and place of a token.
 * @param {import("./wire.js").Result["head"]} head
 * @param {number} token
 * @param {string} [more]
 */
const title = (head, token, more = "") =>
  h(
    ".title.flex",
    h("b", visible(head.tokens[token])),
    h("span.faint", `position ${token} · id ${head.ids[token]}${more}`),
  );

/** @param {{ onAlone(feature: number): void, onToggle(feature: number): void }} choices */
export function makeTokenPanel(choices) {
  const table = makeTable({ label: "Features of the chosen token", columns: [ACTIVATION], ...choices });
  const head = h("");
  const box = h(".panel@group", { label: "Chosen token", hidden: true }, head, table.grid);
  return {
    box,
    choose: table.choose,
    /** @param {import("./selection.js").Selection} selection @param {number} token -1 for none */
    show({ result, chosen }, token) {
      box.hidden = token < 0;
      if (!result || token < 0) return;
      const entries = result.at(token);
      const n = entries.length > LISTED ? `${LISTED} of ${entries.length}` : entries.length;
      const count = result.head.masked.includes(token) ? "masked" : `${n} features`;
      table.show(entries.slice(0, LISTED));
      table.choose(chosen);
      put(head, title(result.head, token, ` · ${count}`));
    },
  };
}

/** What is said beside the token under the mouse or in focus. @param {HTMLElement} root */
export function makeTip(root) {
  const box = h(".tip.box", { "aria-hidden": "true", hidden: true });
  return {
    box,
    /** @param {import("./selection.js").Selection} selection @param {number} [token] @param {HTMLElement} [cell] */
    show({ result, chosen }, token = 0, cell = undefined) {
      box.hidden = !cell;
      if (!result || !cell) return;
      const lines = chosen.map(({ index, row, slot }) => {
        const value = row?.values[row.positions.indexOf(token)] ?? 0;
        const text = result.head.masked.includes(token) ? "masked" : number(value);
        return h(".flex.line", swatch(slot), `${index}`, h("span.num", text));
      });
      put(box, title(result.head, token), ...lines);
      place(root, box, cell);
    },
  };
}
