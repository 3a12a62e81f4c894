/** Orders, overlaps and correlations of a ranking: the rules of saewidgets/results/ranking.py, to the last tie. */

/** @typedef {import("./ranking_wire.js").Ranking} Ranking */
/** @typedef {"activation" | "attribution" | "ablation"} Key */

/** @type {Key[]} */
export const KEYS = ["activation", "attribution", "ablation"];

/**
 * Rows in their order: by magnitude or largest first, equal ones by row, those of unknown ablation at the end.
 * @param {Ranking} ranking
 * @param {Key} by
 * @param {boolean} signed
 */
export function sorted(ranking, by, signed) {
  const size = Float64Array.from(ranking[by], (value, row) => {
    if (by === "ablation" && !ranking.known[row]) return -1 / 0;
    return signed ? value : Math.abs(value);
  });
  return Int32Array.from(size.keys()).sort((a, b) => (size[a] === size[b] ? a - b : size[b] > size[a] ? 1 : -1));
}

/** Place of each row in an order. @param {Int32Array} order */
export function ranksOf(order) {
  const ranks = new Int32Array(order.length);
  order.forEach((row, rank) => {
    ranks[row] = rank;
  });
  return ranks;
}

/**
 * How many of the first k by activation, and by attribution, are among the first k by ablation that have an effect.
 * @param {Int32Array[]} orders in the order of KEYS
 * @param {Float64Array} effect of ablation, 0 where it is not known
 * @param {number} k
 */
export function overlap(orders, effect, k) {
  const matters = new Set(orders[2].filter((row) => effect[row]).subarray(0, k));
  const n = matters.size;
  const [activation, attribution] = orders.map(
    (order) => order.subarray(0, n).filter((row) => matters.has(row)).length,
  );
  return { activation, attribution, k: n };
}

/**
 * Pearson's r of a column with ablation over the rows whose ablation is known; NaN with fewer than 3 or a constant.
 * @param {Ranking} ranking
 * @param {Key} by
 */
export function pearson({ known, ablation, ...columns }, by) {
  const rows = [...known.keys()].filter((row) => known[row]);
  const [x, y] = [/** @type {any} */ (columns)[by], ablation].map((column) => {
    const values = rows.map((row) => column[row]);
    const mean = values.reduce((sum, value) => sum + value, 0) / rows.length;
    return values.every((value) => value === values[0]) ? [] : values.map((value) => value - mean);
  });
  if (rows.length < 3 || !x.length || !y.length) return Number.NaN;
  const dot = (/** @type {number[]} */ a, /** @type {number[]} */ b) =>
    a.reduce((sum, value, i) => sum + value * b[i], 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}
