/** One token: what it looks at. */

import { h, number, put, visible } from "./dom.js";

const LISTED = 10;
const LEAST = 0.005;

export function makeLooksAt() {
  const box = h(".looks@group", { label: "What one token looks at" });
  return {
    box,
    /** @param {import("./attention_wire.js").Attention} result @param {number | null} head @param {number} query */
    show(result, head, query) {
      const row = result.row(head, query);
      const keys = [...row.keys()].filter((key) => row[key] >= LEAST).sort((a, b) => row[b] - row[a] || a - b);
      const { tokens, special } = result.head;
      const of = head === null ? "all heads: the largest weight" : `head ${head}`;
      const rows = keys.slice(0, LISTED).map((key) => {
        const name = h(special.includes(key) ? "span.special.box" : "span", visible(tokens[key]));
        const weight = h("span.num.bar", number(row[key]));
        weight.style.setProperty("--size", `${100 * row[key]}%`);
        return h(".flex.seen", name, h("span.faint", `${key}`), weight);
      });
      const more = keys.length > LISTED ? `and ${keys.length - LISTED} more above ${LEAST}` : "";
      put(
        box,
        h(".title.flex", h("b", visible(tokens[query])), h("span.faint", `position ${query} looks at (${of})`)),
        ...rows,
        h(".note", more),
      );
    },
  };
}
