/** Reads the buffer that saewidgets/widgets/wire.py writes. */

import { open } from "./buffer.js";

const MAGIC = 0x57454153;

/**
 * @typedef {object} Row One feature over the prompt.
 * @property {number} feature
 * @property {number} max largest activation on the prompt
 * @property {number} mean mean over the tokens on which it fires
 * @property {number} tokens on how many it fires
 * @property {number} reference largest activation on the SAE's reference sample, 0 where unknown
 * @property {number} density share of reference tokens on which it fires, -1 where unknown
 * @property {string} label
 * @property {number[]} positions where it fires, ascending
 * @property {number[]} values aligned with positions
 */
/**
 * @typedef {object} Result
 * @property {{prompt: string, model: string, sae: string, hook: string, d_sae: number, tokens: string[], ids: number[],
 *   special: number[], masked: number[], groups: [number, number, string][], dropped: number, nonfinite: number,
 *   labels: Record<string, string>}} head
 * @property {Map<number, Row>} rows
 * @property {(position: number) => {row: Row, value: number}[]} at the features of a token, largest first
 */

/**
 * A float16 as a number.
 * @param {number} bits
 */
export function fromHalf(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? 2 ** (exponent - 25) * (1024 + fraction) : fraction * 2 ** -24;
  return bits & 0x8000 ? -size : size;
}

/**
 * A feature that does not fire.
 * @param {number} feature
 * @returns {Row}
 */
export const silent = (feature, reference = 0, density = -1) => ({
  feature,
  max: 0,
  mean: 0,
  tokens: 0,
  reference,
  density,
  label: "",
  positions: [],
  values: [],
});

/**
 * @param {DataView | undefined} view may begin at any byte
 * @returns {Result | undefined} undefined where nothing has been run yet
 */
export function decode(view) {
  const opened = open(view, MAGIC);
  if (!opened) return undefined;
  const { head, n, take } = opened;
  /** @param {number} count @param {number} scale */
  const floats = (count, scale) =>
    head.half
      ? Float32Array.from(take(Uint16Array, count), (bits) => fromHalf(bits) * scale)
      : take(Float32Array, count);

  const indptr = take(Uint32Array, head.tokens.length + 1);
  const values = floats(n, head.scale);
  const reference = floats(head.features, head.scale);
  const density = floats(head.features, 1);
  /** @type {Uint16Array} */
  const indices = take(head.d_sae <= 65536 ? Uint16Array : Uint32Array);

  /** @type {Map<number, Row>} */
  const rows = new Map();
  [...new Set(indices)]
    .sort((a, b) => a - b)
    .forEach((feature, k) => {
      rows.set(feature, silent(feature, reference[k], density[k]));
    });
  for (let position = 0; position < head.tokens.length; position++) {
    for (let k = indptr[position]; k < indptr[position + 1]; k++) {
      const row = /** @type {Row} */ (rows.get(indices[k]));
      row.positions.push(position);
      row.values.push(values[k]);
      row.max = Math.max(row.max, values[k]);
      row.mean += (values[k] - row.mean) / ++row.tokens;
    }
  }
  const at = (/** @type {number} */ position) => {
    const found = [];
    for (let k = indptr[position]; k < indptr[position + 1]; k++) {
      found.push({ row: /** @type {Row} */ (rows.get(indices[k])), value: values[k] });
    }
    return found.sort((a, b) => b.value - a.value || a.row.feature - b.row.feature);
  };
  return { head, rows, at };
}
