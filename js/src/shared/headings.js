/** What stands above and below the columns: what each ranks by, how many of it matter, what is no feature. */

import { fixed, signed } from "./columns.js";
import { h, number, percent } from "./dom.js";
import { idOf, labelOf, unitOf, whereOf } from "./picture.js";
import { KEYS } from "./ranks.js";

/** @typedef {import("./picture.js").Picture} Picture */

/** How much the first k have in common with the first k by ablation. @param {Picture} picture @param {"activation" | "attribution"} key @param {number} r */
function badge({ overlap }, key, r) {
  if (!overlap.k) return h(".badge", h("span.faint", "not ablated yet"));
  const text = `are in the top ${overlap.k} by ablation ●`;
  const correlation = Number.isNaN(r) ? "" : `; r = ${fixed(r)}`;
  return h(".badge", h("b.count", `${overlap[key]}/${overlap.k}`), h("span.faint", text + correlation));
}

/** How far the ablations are. @param {Picture} picture @param {boolean} running */
function progress({ ranking: { n, head }, known }, running) {
  const text = head.stopped && known < n ? `stopped: ${known} of ${n} ablated` : `${known} of ${n} ablated`;
  const bar = h("progress", { max: n, value: known, label: "Rows ablated", hidden: !running || known === n });
  return h(".badge", h(running || head.stopped ? "b" : "span", text), bar);
}

/** @param {Picture} picture @param {boolean} running */
export function headings(picture, running) {
  const { head } = picture.ranking;
  const every = head.scope === "all_positions";
  const sum = every ? "Σ " : "";
  const gradient = head.method === "integrated_gradients";
  const missed = head.completeness === null ? "" : `, misses the total by ${percent(head.completeness)}`;
  return [
    [h("b", "Activation"), `${sum}f`, badge(picture, "activation", picture.r[0])],
    [
      h("b", "Attribution"),
      gradient ? `integrated gradients${missed}` : `${sum}f · (∂M/∂x · d)`,
      badge(picture, "attribution", picture.r[1]),
    ],
    [h("b", "Ablation"), `M(x) − M(x − f d)${every ? ", everywhere" : ""}`, progress(picture, running)],
  ].map(([title, formula, under]) => h(".heading", title, h(".note", formula), under));
}

/** @type {Record<string, string>} */
const NODES = { error: "what the SAE misses", bias: "decoder bias", masked: "positions left out" };

/** Rows for what is no feature, summed over positions. @param {Picture["ranking"]} ranking */
export function nodes({ head }) {
  /** @type {Map<string, (number | null)[]>} */
  const sums = new Map();
  for (const [name, sae, , attribution, ablation] of head.nodes) {
    const key = head.saes.length > 1 ? `${name} of ${sae}` : name;
    const [former] = sums.get(key) ?? [];
    sums.set(key, [(former ?? 0) + (attribution ?? 0), former === undefined ? ablation : null]);
  }
  const cell = (/** @type {number | null} */ value) => h("span.value@cell", value === null ? "–" : signed(value));
  return [...sums].map(([name, values]) =>
    h(
      ".node@row",
      h("span@rowheader", h("b", name), " ", h("span.faint", NODES[name.split(" ")[0]])),
      ...values.map(cell),
    ),
  );
}

/** All that is known of one row. @param {Picture} picture @param {number} row */
export function story({ ranking, ranks }, row) {
  const id = idOf(ranking, row);
  const [share, where] = [ranking.density[row], whereOf(ranking, row)];
  const numbers = KEYS.map((key, c) =>
    c === 2 && !ranking.known[row]
      ? "ablation not computed"
      : `${key} ${(c ? signed : number)(ranking[key][row])} (#${ranks[c][row] + 1})`,
  );
  const texts = [where, ...numbers, share < 0 ? "" : `fires on ${percent(share)} of reference tokens`];
  return [h("b", id), " ", h("span.faint", labelOf(ranking, id)), ` ${texts.filter(Boolean).join(" · ")}`];
}

/** The metric in words, and where it is read. @param {Picture["ranking"]["head"]} head */
export const metric = (head) => [
  "M = ",
  h("b", head.metric),
  head.value === null ? "" : ` = ${signed(head.value)} ${unitOf(head.metric)}`,
  h("span.faint", " at the last token"),
];
