/** Reads the buffers that saewidgets/widgets/dashboard_wire.py writes, and of wire.py's what a dashboard needs. */

import { open } from "./buffer.js";
import { fromHalf } from "./wire.js";

/**
 * @typedef {object} Example A token on which a feature fires, in its window.
 * @property {number} activation
 * @property {number} peak place of the token in the window
 * @property {number} text number of the text in the corpus
 * @property {number} position of the token in its text
 * @property {boolean} left whether the text goes on to the left of the window
 * @property {boolean} right
 * @property {string[]} tokens
 * @property {boolean[]} special
 * @property {Float32Array} [values] activation of every token, where the model has read the window
 */
/**
 * @typedef {object} Interval
 * @property {number} low
 * @property {number} high
 * @property {number} count
 * @property {boolean} exact
 * @property {number} share
 * @property {number} mass_share
 */
/** @typedef {{ top: [string, number][], bottom: [string, number][], counts: number[], edges: number[], how: string }} Logits */
/**
 * @typedef {object} Head
 * @property {string} feature
 * @property {string} sae
 * @property {number} index
 * @property {number} d_sae
 * @property {string} model
 * @property {string} hook
 * @property {string} sample
 * @property {string} label what a view shows for its number
 * @property {string} given the label that a person gave
 * @property {string} note
 * @property {string[]} tags
 * @property {number} stars how many people star it
 * @property {boolean} mine whether the one who writes does
 * @property {string[]} people who starred and rated it, a line each
 * @property {[before: string, token: string, after: string][]} pins pinned examples
 * @property {number} density
 * @property {number} count
 * @property {number} n_tokens
 * @property {number} max
 * @property {number} mean
 * @property {boolean} dead
 * @property {boolean} dense
 * @property {[level: number, value: number, low: number, high: number][]} quantiles
 * @property {Interval[]} intervals
 * @property {Logits | null} logits
 * @property {[feature: string, label: string, cosine: number][]} neighbours
 * @property {[feature: string, label: string, jaccard: number, low: number, high: number][]} cofiring
 * @property {number | null} encoder_cosine
 * @property {[neuron: number, value: number, share: number][]} neurons
 * @property {[concept: string, precision: number, recall: number, f1: number][]} concepts
 */
/** @typedef {{ head: Head, lists: Map<string, Example[]> }} Dashboard lists by name: "top", "1" to "10" */
/**
 * @typedef {object} Features Numbers of all features of an SAE.
 * @property {{ sae: string, n_tokens: number, labels: Record<string, string> }} head
 * @property {Uint32Array} count
 * @property {Float32Array} max
 * @property {Float32Array} mean
 */

/** Tokens of a table, window after window. @param {any} head @param {(Kind: any) => any} take */
function reader(head, take) {
  const { table, special } = head;
  const ids = take(table.length > 65535 ? Uint32Array : Uint16Array);
  const chips = new Set(special);
  let at = 0;
  return (/** @type {number} */ n) => {
    const here = [...ids.subarray(at, at + n)];
    const from = at;
    at += n;
    return { from, tokens: here.map((id) => table[id]), special: here.map((id) => chips.has(id)) };
  };
}

/**
 * @param {DataView | undefined} view
 * @returns {Dashboard | undefined} undefined where nothing has been read yet
 */
export function decode(view) {
  const opened = open(view, 0x46454153);
  if (!opened) return undefined;
  const { head, take } = opened;
  const read = reader(head, take);
  const lists = new Map();
  for (const { name, examples } of head.lists) {
    const windows = examples.map((/** @type {any[]} */ [activation, n, peak, text, position, left, right]) => {
      const { tokens, special } = read(n);
      return { activation, peak, text, position, left: !!left, right: !!right, tokens, special };
    });
    lists.set(`${name}`, windows);
  }
  return { head, lists };
}

/**
 * One list with its windows whole.
 * @param {DataView | undefined} view
 * @returns {{ feature: string, list: string, examples: Example[] } | undefined}
 */
export function decodeExamples(view) {
  const opened = open(view, 0x58454153);
  if (!opened) return undefined;
  const { head, take } = opened;
  const read = reader(head, take);
  const values = take(Float32Array);
  const examples = head.examples.map((/** @type {number[]} */ [activation, n, peak, text, position]) => {
    const { from, tokens, special } = read(n);
    const left = position > peak;
    const here = values.subarray(from, from + n);
    return { activation, peak, text, position, left, right: false, tokens, special, values: here };
  });
  return { feature: head.feature, list: `${head.list}`, examples };
}

/**
 * @param {DataView | undefined} view
 * @returns {Features | undefined}
 */
export function decodeTable(view) {
  const opened = open(view, 0x54454153);
  if (!opened) return undefined;
  const { head, take } = opened;
  return { head, count: take(Uint32Array), max: take(Float32Array), mean: take(Float32Array) };
}

/**
 * A text, and how strongly a feature fires on each of its tokens.
 * @param {DataView | undefined} view
 * @returns {{ head: import("./wire.js").Result["head"], of(feature: number): Float32Array } | undefined}
 */
export function decodeLive(view) {
  const opened = open(view, 0x57454153);
  if (!opened) return undefined;
  const { head, take } = opened;
  const n = head.tokens.length;
  const starts = take(Uint32Array, n + 1);
  const Kind = head.half ? Uint16Array : Float32Array;
  const values = take(Kind);
  take(Kind, 2 * head.features);
  const features = take(head.d_sae > 65536 ? Uint32Array : Uint16Array);
  return {
    head,
    of(feature) {
      const found = new Float32Array(n);
      for (let token = 0; token < n; token++)
        for (let k = starts[token]; k < starts[token + 1]; k++)
          if (features[k] === feature) found[token] = head.half ? fromHalf(values[k]) * head.scale : values[k];
      return found;
    },
  };
}
