/** Reads the buffer that saewidgets/widgets/attention_wire.py writes. */

import { open } from "./buffer.js";
import { fromHalf } from "./wire.js";

const MAGIC = 0x41454153;

/** @typedef {{ entropy: number, bos: number | null, previous: number | null, own: number | null, duplicate: number | null, induction: number | null }} Summary */
/**
 * @typedef {object} Attention
 * @property {{prompt: string, model: string, hook: string, layer: number, n_layers: number, n_heads: number,
 *   tokens: string[], ids: number[], special: number[], masked: number[], groups: [number, number, string][],
 *   total: number, heads: Summary[]}} head
 * @property {(head: number | null, query: number) => Float32Array} row what a query looks at, [key <= query]; null: the
 *   largest weight over the heads
 */

/**
 * @param {DataView | undefined} view may begin at any byte
 * @returns {Attention | undefined} undefined where nothing has been run yet
 */
export function decode(view) {
  const opened = open(view, MAGIC);
  if (!opened) return undefined;
  const { head, n, take } = opened;
  const weights = Float32Array.from(take(Uint16Array), fromHalf);
  const each = n / head.n_heads;
  const one = (/** @type {number} */ index, /** @type {number} */ query) => {
    const start = index * each + (query * (query + 1)) / 2;
    return weights.subarray(start, start + query + 1);
  };
  return {
    head,
    row(index, query) {
      if (index !== null) return one(index, query);
      const largest = new Float32Array(query + 1);
      for (let i = 0; i < head.n_heads; i++)
        one(i, query).forEach((weight, key) => {
          largest[key] = Math.max(largest[key], weight);
        });
      return largest;
    },
  };
}
