/** A ranking as Python sends it, and the traits of its view. */

/**
 * A buffer as saewidgets/widgets/ranking_wire.py writes it.
 * @param {object} [columns]
 * @param {number[]} [columns.activation]
 * @param {number[]} [columns.attribution]
 * @param {(number | null)[]} [columns.ablation]
 * @param {Record<string, any>} [columns.head]
 * @param {number} [columns.offset] where the view begins in its buffer
 */
export function packRanking({
  activation = [8, 6, 4, 2],
  attribution = [-0.25, 0.5, 3, -4],
  ablation = [0.125, 0.25, 2, -5],
  head,
  offset = 0,
} = {}) {
  const n = activation.length;
  const header = {
    model: "toy",
    saes: ["mid"],
    hook: "blocks.2.hook_resid_post",
    tokens: ["<|bos|>", " Golden", " Gate"],
    ids: [100, 101, 102],
    special: [0],
    masked: [0],
    groups: [],
    dropped: 0,
    metric: "logit(' Paris') − mean logit",
    value: 2.5,
    target: " Paris",
    baseline: null,
    predictions: [
      [" Paris", " Paris", 0.5],
      [" Rome", " Rome", 0.25],
    ],
    method: "attribution",
    scope: "all_positions",
    position: null,
    nodes: [],
    stopped: false,
    completeness: null,
    labels: {},
    ...head,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(text.length + ((8 - (text.length % 8)) % 8)).fill(32);
  padded.set(text);
  const parts = [
    new Uint32Array([0x52454153, 1, padded.length, n]),
    padded,
    new Float64Array(activation),
    new Float64Array(attribution),
    new Float64Array(ablation.map((value) => value ?? 0)),
    new Float32Array(n).fill(-1),
    new Int32Array(n),
    new Int32Array(n).fill(-1),
    new Int32Array(activation.map((_, row) => row + (n === 4 ? 10 : 0))),
    new Uint8Array(ablation.map((value) => (value === null ? 0 : 1))),
  ];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0) + offset);
  let at = offset;
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  return new DataView(bytes.buffer, offset);
}

/** @param {Record<string, any>} [state] */
export const rankingState = (state) => ({
  prompt: "Golden Gate",
  target: " Paris",
  baseline: "",
  position: null,
  method: "attribution",
  scope: null,
  order: "absolute",
  k: 10,
  feature: "",
  sae: "mid",
  mask_special: true,
  status: { state: "done", message: "" },
  error: "",
  _data: packRanking(),
  _labels: {},
  _notes: [],
  _saes: ["mid", "wide"],
  _twin: "saew-twin-1",
  ...state,
});
