/** A model as strict as a test can be: unknown names, saves and forgotten listeners are errors. */

/** @typedef {(...args: any[]) => void} Listener */

export class FakeModel {
  /** @type {Record<string, any>} */
  state;
  /** @type {[string, Listener][]} */
  listeners = [];
  /** @type {any[]} */
  sent = [];

  /** @param {Record<string, any>} state */
  constructor(state) {
    this.state = state;
  }
  /** @param {string} name */
  get(name) {
    if (!(name in this.state)) throw new Error(`The model has no trait ${name}`);
    return this.state[name];
  }
  set() {
    throw new Error("Traits are set in Python: send a request");
  }
  save_changes() {
    throw new Error("Trait sync may die under ipykernel 7.4: send a request");
  }
  /** @param {any} content */
  send(content) {
    this.sent.push(structuredClone(content));
  }
  /** @param {string} name @param {Listener} listener */
  on(name, listener) {
    const trait = name.startsWith("change:") ? name.slice(7) : undefined;
    if (name !== "msg:custom" && (trait === undefined || !(trait in this.state))) throw new Error(`No event ${name}`);
    if (this.listeners.some(([n, l]) => n === name && l === listener)) throw new Error(`${name} is heard twice`);
    this.listeners.push([name, listener]);
  }
  /** @param {string} name @param {Listener} listener */
  off(name, listener) {
    const at = this.listeners.findIndex(([n, l]) => n === name && l === listener);
    if (at < 0) throw new Error(`${name} was not heard`);
    this.listeners.splice(at, 1);
  }
  /** @param {string} name @param {...any} args */
  emit(name, ...args) {
    for (const [other, listener] of [...this.listeners]) if (other === name) listener(...args);
  }
  /** What Python sets. @param {Record<string, any>} state */
  update(state) {
    const names = Object.keys(state).filter((name) => this.state[name] !== state[name]);
    Object.assign(this.state, state);
    for (const name of names) this.emit(`change:${name}`);
  }
  /** Python takes in everything that was asked. @param {string} [error] */
  answer(error = "") {
    const last = this.sent.at(-1);
    if (last) this.emit("msg:custom", { op: "ack", view: last.view, seq: last.seq, error });
  }
  /** Requests of one kind, without their numbers. @param {string} op */
  asked(op) {
    return this.sent.filter((content) => content.op === op).map(({ op: _, view: __, seq: ___, ...rest }) => rest);
  }
}

/**
 * @typedef {object} Written
 * @property {string[]} [tokens]
 * @property {[number, number][][]} [rows] features and values of each token
 * @property {number[]} [reference] of each firing feature, ascending
 * @property {number[]} [density]
 * @property {Record<string, any>} [head]
 * @property {number} [offset] where the view begins in its buffer
 */

/**
 * A buffer as saewidgets/widgets/wire.py writes it.
 * @param {Written} [result]
 */
export function pack({
  tokens = ["<|bos|>", " Golden", " Gate"],
  rows = [
    [],
    [[3, 2]],
    [
      [3, 4],
      [7, 1],
    ],
  ],
  reference,
  density,
  head,
  offset = 0,
} = {}) {
  const features = [...new Set(rows.flat().map(([feature]) => feature))].sort((a, b) => a - b);
  const flat = rows.flat();
  const header = {
    prompt: "Golden Gate",
    model: "toy",
    sae: "mid",
    hook: "blocks.2.hook_resid_post",
    d_sae: 512,
    tokens,
    ids: tokens.map((_, i) => 100 + i),
    special: [0],
    masked: [0],
    groups: [],
    dropped: 0,
    nonfinite: 0,
    half: false,
    scale: 1,
    features: features.length,
    labels: {},
    ...head,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(text.length + ((4 - (text.length % 4)) % 4)).fill(32);
  padded.set(text);
  let total = 0;
  const starts = [0, ...rows.map((row) => (total += row.length))];
  const parts = [
    new Uint32Array([0x57454153, 1, padded.length, flat.length]),
    padded,
    new Uint32Array(starts),
    new Float32Array(flat.map(([, value]) => value)),
    new Float32Array(features.map((_, i) => reference?.[i] ?? 0)),
    new Float32Array(features.map((_, i) => density?.[i] ?? -1)),
    new Uint16Array(flat.map(([feature]) => feature)),
  ];
  const size = parts.reduce((sum, part) => sum + part.byteLength, 0);
  const bytes = new Uint8Array(size + offset);
  let at = offset;
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  return new DataView(bytes.buffer, offset);
}

/** @param {Record<string, any>} [state] */
export const fakeState = (state) => ({
  prompt: "Golden Gate",
  sae: "mid",
  feature: "mid/3",
  features: ["mid/3"],
  token: null,
  mask_special: true,
  status: { state: "done", message: "" },
  error: "",
  _data: pack(),
  _labels: {},
  _notes: [],
  _saes: ["mid", "wide"],
  _twin: "saew-twin-1",
  ...state,
});
