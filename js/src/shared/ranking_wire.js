/** Reads the buffer that saewidgets/widgets/ranking_wire.py writes. */

import { open } from "./buffer.js";

const MAGIC = 0x52454153;

/** @typedef {[name: string, sae: string, position: number, attribution: number | null, ablation: number | null]} Node */
/**
 * @typedef {object} Head
 * @property {string} model
 * @property {string[]} saes
 * @property {string} hook
 * @property {string[]} tokens
 * @property {number[]} ids
 * @property {number[]} special
 * @property {number[]} masked
 * @property {[number, number, string][]} groups
 * @property {number} dropped
 * @property {string} metric
 * @property {number | null} value
 * @property {string} target text
 * @property {string | null} baseline text
 * @property {[value: number | string, text: string, probability: number][]} predictions
 * @property {string} method
 * @property {string} scope
 * @property {number | null} position
 * @property {Node[]} nodes
 * @property {boolean} stopped
 * @property {number | null} completeness
 * @property {Record<string, string>} labels
 */
/**
 * @typedef {object} Ranking Columns of equal length, one number a row.
 * @property {Head} head
 * @property {number} n rows
 * @property {Float64Array} activation
 * @property {Float64Array} attribution
 * @property {Float64Array} ablation 0 where not known
 * @property {Float32Array} density -1 where not known
 * @property {Int32Array} sae
 * @property {Int32Array} position -1 for all of them
 * @property {Int32Array} feature
 * @property {Uint8Array} known 1 where the ablation is known
 * @property {Record<string, string>} told labels that have changed since, by name
 */

/**
 * @param {DataView | undefined} view may begin at any byte
 * @returns {Ranking | undefined} undefined where nothing has been run yet
 */
export function decode(view) {
  const opened = open(view, MAGIC);
  if (!opened) return undefined;
  const { head, n, take } = opened;
  const [activation, attribution, ablation] = [1, 2, 3].map(() => take(Float64Array));
  const density = take(Float32Array);
  const [sae, position, feature] = [1, 2, 3].map(() => take(Int32Array));
  const known = take(Uint8Array);
  return { head, n, activation, attribution, ablation, density, sae, position, feature, known, told: {} };
}
