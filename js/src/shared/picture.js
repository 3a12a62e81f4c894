/** A ranking with what its parts need to draw it: the three orders, the rows to show, their names. */

import { visible } from "./dom.js";
import { KEYS, overlap, pearson, ranksOf, sorted } from "./ranks.js";

/** @typedef {import("./ranking_wire.js").Ranking} Ranking */
/**
 * @typedef {object} Picture
 * @property {Ranking} ranking
 * @property {boolean} signed
 * @property {Int32Array[]} orders in the order of KEYS
 * @property {Int32Array[]} ranks
 * @property {number} known how many ablations are known
 * @property {number} k rows of a column
 * @property {number[][]} tops the first k rows of each column
 * @property {number[][]} below rows that another column shows, by rank
 * @property {Set<number>} shown all of these
 * @property {{ activation: number, attribution: number, k: number }} overlap
 * @property {number[]} r Pearson's r of activation and attribution with ablation
 */

/**
 * @param {Ranking} ranking
 * @param {boolean} signed
 * @param {number} k
 * @param {string} feature one more to show
 * @returns {Picture}
 */
export function picture(ranking, signed, k, feature) {
  const orders = KEYS.map((by) => sorted(ranking, by, signed));
  const ranks = orders.map(ranksOf);
  const known = ranking.known.reduce((sum, one) => sum + one, 0);
  const tops = orders.map((order, c) => [...order.subarray(0, c === 2 ? Math.min(k, known) : k)]);
  const shown = new Set(tops.flat());
  const chosen = orders[1].find((row) => idOf(ranking, row) === feature);
  if (chosen !== undefined && ![...shown].some((row) => idOf(ranking, row) === feature)) shown.add(chosen);
  const below = tops.map((top, c) =>
    [...shown].filter((row) => !top.includes(row)).sort((a, b) => ranks[c][a] - ranks[c][b]),
  );
  return {
    ranking,
    signed,
    orders,
    ranks,
    known,
    k,
    tops,
    below,
    shown,
    overlap: overlap(orders, ranking.ablation, k),
    r: [pearson(ranking, "activation"), pearson(ranking, "attribution")],
  };
}

/** The feature of a row, 'sae/123'. @param {Ranking} ranking @param {number} row */
export const idOf = ({ head, sae, feature }, row) => `${head.saes[sae[row]]}/${feature[row]}`;

/** The label of a feature. @param {Ranking} ranking @param {string} id */
export const labelOf = ({ head, told }, id) => told[id] ?? head.labels[id] ?? "";

/** The token of a row with its position, empty where all positions are one row. @param {Ranking} ranking @param {number} row */
export function whereOf({ head, position }, row) {
  const at = position[row];
  return at < 0 ? "" : `“${visible(head.tokens[at])}” @${at}`;
}

/** What a unit of the metric is. @param {string} metric */
export const unitOf = (metric) =>
  /^logit\(/.test(metric) ? "logits" : /log.?prob|log p/i.test(metric) ? "nats" : "units of M";
