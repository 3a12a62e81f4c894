/** What saewidgets/widgets/feature_dashboard.py tells its script. */

import { pack as packActivations } from "./fake_model.js";

/** Header and columns in one buffer. @param {number} magic @param {any} header @param {number} n @param {any[]} columns @param {number} offset */
function joined(magic, header, n, columns, offset = 0) {
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(Math.ceil(text.length / 4) * 4).fill(32);
  padded.set(text);
  const parts = [new Uint32Array([magic, 1, padded.length, n]), padded, ...columns];
  let at = offset;
  const bytes = new Uint8Array(offset + parts.reduce((sum, part) => sum + part.byteLength, 0));
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  return new DataView(bytes.buffer, offset);
}

/** @param {number} i */
const range = (i) => ({
  low: i,
  high: i + 1,
  count: 2 ** (9 - i),
  exact: true,
  share: 2 ** (9 - i) / 1023,
  mass_share: 0.1,
});

/** Tokens of one window: "a b c ..." with the peak in the middle. @param {number} n @param {string} word */
const windowOf = (n, word) => Array.from({ length: n }, (_, i) => (i === n >> 1 ? word : ` t${i}`));

/** @param {Record<string, any>} [more] @returns {any} */
export const header = (more) => ({
  feature: "mid/7",
  sae: "mid",
  index: 7,
  d_sae: 512,
  model: "toy",
  hook: "blocks.2.hook_resid_post",
  sample: "the bundled corpus",
  label: "Golden Gate",
  given: "Golden Gate",
  note: "a bridge",
  tags: ["place"],
  stars: 1,
  mine: true,
  people: ["Stars: 1 (ann)", "Specificity, 0 to 3: 3 by ann, 2 by bob"],
  pins: [["under the", " Golden", " Gate"]],
  density: 0.001023,
  count: 1023,
  n_tokens: 1_000_000,
  max: 10,
  mean: 2.5,
  std: 1,
  dead: false,
  dense: false,
  quantiles: [[0.5, 1.5, 1.4, 1.6]],
  histogram: { counts: [3, 2], edges: [0, 5, 10] },
  intervals: Array.from({ length: 10 }, (_, i) => range(i)),
  logits: {
    top: [
      [" Gate", 0.9],
      [" Bridge", 0.5],
    ],
    bottom: [[" the", -0.4]],
    counts: [1, 0, 8, 3],
    edges: [-0.5, -0.1, 0.3, 0.6, 0.9],
    how: "the final norm is folded",
  },
  neighbours: [
    ["mid/40", "fog", 0.61],
    ["wide/3", "", -0.2],
  ],
  cofiring: [
    ["mid/12", "bays", 0.3, 0.2, 0.4],
    ["mid/13", "", 0.25, 0.25, 0.25],
  ],
  encoder_cosine: 0.71,
  neurons: [[5, -0.4, 0.03]],
  concepts: [["bridges", 0.9, 0.8, 0.85]],
  ...more,
});

/** @type {[string | number, number, [number, string[]][]][]} */
const LISTS = [
  [
    "top",
    16,
    [
      [10, windowOf(33, " Gate")],
      [5, ["<bos>", " Gate", "\n"]],
    ],
  ],
  [1, 5, [[0.5, windowOf(11, " gate")]]],
  [2, 5, []],
];

/** @param {Record<string, any>} [more] @param {typeof LISTS} [given] @param {number} [offset] */
export function packFeature(more, given = LISTS, offset = 0) {
  /** @type {string[]} */
  const table = ["<bos>"];
  /** @type {number[]} */
  const ids = [];
  const lists = given.map(([name, before, examples]) => ({
    name,
    before,
    examples: examples.map(([activation, tokens], text) => {
      for (const token of tokens) {
        if (!table.includes(token)) table.push(token);
        ids.push(table.indexOf(token));
      }
      return [activation, tokens.length, tokens.length >> 1, text, 100 + text, tokens.length > 5, false];
    }),
  }));
  const head = { ...header(more), table, special: [0], lists };
  return joined(0x46454153, head, ids.length, [new Uint16Array(ids)], offset);
}

/** @param {string | number} list @param {[number, string[], number[]][]} examples peaks, tokens and values @param {string} [feature] @param {number} [before] tokens of the text before the window */
export function packExamples(list, examples, feature = "mid/7", before = 0) {
  const table = [...new Set(examples.flatMap(([, tokens]) => tokens))];
  const ids = examples.flatMap(([, tokens]) => tokens.map((token) => table.indexOf(token)));
  const rows = examples.map(([peak, tokens, values], text) => [values[peak], tokens.length, peak, text, before + peak]);
  const head = { feature, list, table, special: [], examples: rows };
  const values = new Float32Array(examples.flatMap(([, , values]) => values));
  return joined(0x58454153, head, ids.length, [new Uint16Array(ids), values]);
}

/** @param {[count: number, max: number, mean: number][]} rows @param {Record<string, string>} [labels] @param {string} [sae] */
export function packTable(rows, labels = {}, sae = "mid") {
  const column = (/** @type {number} */ i) => rows.map((row) => row[i]);
  const columns = [new Uint32Array(column(0)), new Float32Array(column(1)), new Float32Array(column(2))];
  return joined(0x54454153, { sae, n_tokens: 1000, labels }, rows.length, columns);
}

export const live = packActivations({
  tokens: ["<bos>", " Golden", " Gate"],
  rows: [[], [[3, 2]], [[7, 4]]],
});

const empty = new DataView(new ArrayBuffer(0));
const STEPS = Array.from({ length: 101 }, (_, i) => i / 100);

/** @param {Record<string, any>} [more] @returns {any} */
export const specificity = (more) => ({
  feature: "mid/7",
  kind: "predicate",
  what: "tokens that match 'Gate'",
  rater: "",
  n_scored: 40,
  base_rate: 0.01,
  exact: false,
  max: 10,
  labels: ["no", "yes"],
  intervals: Array.from({ length: 10 }, (_, i) => ({
    ...range(i),
    n: i ? 4 : 0,
    counts: i ? [1, 3] : [0, 0],
    precision: i ? 0.75 : null,
    precision_low: i ? 0.3 : null,
    precision_high: i ? 0.95 : null,
  })),
  curve: {
    t: STEPS,
    precision: STEPS.map((t) => (t < 1 ? 0.5 + t / 2 : null)),
    low: STEPS.map((t) => (t < 1 ? 0.4 + t / 2 : null)),
    high: STEPS.map((t) => (t < 1 ? 0.5 + t / 2 : null)),
    recall: STEPS.map(() => null),
    recall_of_firings: STEPS.map((t) => 1 - t),
    share: STEPS.map((t) => (1 - t) ** 2),
    mass: STEPS.map((t) => 1 - t * t),
  },
  ...more,
});

/** @param {(number | null)[]} scores @returns {any} */
export const rating = (scores) => ({
  feature: "mid/7",
  rater: "ann",
  items: scores.map((score, i) => ({
    key: `k${i}`,
    tokens: ["<bos>", ` word${i}`, "\n"],
    special: [0],
    peak: 1,
    score,
  })),
  done: scores.filter((score) => score !== null).length,
  of: scores.length,
});

/** @param {Record<string, any>} [state] */
export const dashboardState = (state) => ({
  feature: "mid/7",
  sae: "mid",
  prompt: "",
  tab: "feature",
  status: { state: "done", message: "" },
  error: "",
  _data: packFeature(),
  _table: empty,
  _examples: empty,
  _live: empty,
  _specificity: {},
  _rating: {},
  _concepts: [],
  _saes: ["mid", "wide"],
  _twin: "saew-twin-1",
  ...state,
});
