/** What a feature's direction does to the logits: all of the vocabulary as a histogram, and the tokens at its ends. */

import { signed } from "./columns.js";
import { h, visible } from "./dom.js";
import { axisOf, bar } from "./intervals.js";
import { table } from "./relations.js";

/** @typedef {import("./dashboard_wire.js").Logits} Logits */

/** Bars of counts, and where zero is. @param {Logits} logits */
function histogram({ counts, edges }) {
  const most = Math.max(...counts);
  const [low, high] = [edges[0], edges[edges.length - 1]];
  const zero = h("i.cut");
  zero.style.left = `${(100 * -low) / (high - low || 1)}%`;
  zero.hidden = low > 0 || high < 0;
  const label = `Effects on the vocabulary from ${signed(low)} to ${signed(high)}`;
  return [
    h(".bins.hist@img", { label }, ...counts.map((count) => bar("firings", count, most)), zero),
    axisOf(signed(low), signed(high)),
  ];
}

/** @param {[string, number][]} tokens */
const rows = (tokens) => tokens.map(([token, effect]) => [visible(token), signed(effect)]);

/** @param {Logits | null} logits */
export function effects(logits) {
  if (!logits) return [];
  return [
    h("b", "Effect on the logits"),
    ...histogram(logits),
    h(".ends", ...table("raises", ["logit"], rows(logits.top)), ...table("lowers", ["logit"], rows(logits.bottom))),
    h(".note", logits.how),
  ];
}
