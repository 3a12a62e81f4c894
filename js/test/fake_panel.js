/** What saewidgets/widgets/steering_panel.py tells its script. */

/** @param {Record<string, any>} [more] @returns {any} */
export const edit = (more) => ({
  key: "e1",
  name: "mid/7",
  label: "Golden Gate",
  kind: "feature",
  operation: "set",
  value: 4,
  where: "all",
  keep_norm: false,
  formula: "x + (4 m - f) d",
  absolute: 33.2,
  maximum: 8.3,
  source: "largest activation on 1,048,576 tokens",
  unit: "× max",
  slider: true,
  conditional: false,
  reach: [5, 6],
  ...more,
});

/** @param {string[]} tokens @param {Record<string, any>} [more] @returns {any} */
export const text = (tokens, more) => ({
  seed: 0,
  tokens,
  ids: tokens.map((_, i) => 10 + i),
  special: [],
  groups: [],
  steered: [],
  differs: [],
  logprob: tokens.map(() => -0.5),
  base: tokens.map(() => null),
  kl: tokens.map(() => null),
  stopped: "length",
  repetition: 0,
  mean_kl: null,
  ...more,
});

/** @param {Record<string, any>} [more] */
export const bars = (more) => ({
  prompt: {
    tokens: ["<bos>", "Golden", " Gate"],
    ids: [0, 1, 2],
    special: [0],
    masked: [0],
    groups: [],
    dropped: 0,
  },
  rows: [
    [" Paris", 0.2, 0.05],
    [" Rome", 0.1, 0.5],
  ],
  kl: 0.42,
  steered: [1, 2],
  reach: [[2, 2]],
  ...more,
});

export const OPERATIONS = [
  ["set", "x + (v m - f) d", true],
  ["add", "x + α m d", true],
  ["scale", "x + (γ - 1) f d", true],
  ["ablate", "x - f d", false],
  ["set_if_active", "x + (v m - f) d where f > 0, else x", true],
  ["project_out", "x - (x . u) u", false],
];

/** @param {Record<string, any>} [state] */
export const panelState = (state) => ({
  prompt: "Golden Gate",
  sae: "mid",
  feature: "",
  max_new_tokens: 32,
  temperature: 0,
  top_p: 1,
  seed: 0,
  samples: 1,
  k: 10,
  live: true,
  status: { state: "done", message: "" },
  error: "",
  _operations: OPERATIONS,
  _edits: [edit()],
  _bars: bars(),
  _texts: {
    running: false,
    base: [text([" a", " b", " c"])],
    steered: [
      text([" a", " x", " c"], {
        steered: [0, 1],
        differs: [1],
        base: [-0.5, -3, -0.5],
        kl: [0, 0.31, 0.02],
        mean_kl: 0.11,
      }),
    ],
  },
  _side: {},
  _sweep: {},
  _code: "edits = []",
  _saes: ["mid", "wide"],
  _presets: [],
  _notes: [],
  _vectors: ["joy - sorrow"],
  _twin: "saew-twin-1",
  ...state,
});
