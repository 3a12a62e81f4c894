/** What saewidgets/widgets/attention_wire.py writes, and what circuitsvis does as far as the view relies on it. */

/** Float16 of the weights 0, 0.25, 0.5, 0.75 and 1. @type {Record<number, number>} */
const HALVES = { 0: 0, 0.25: 0x3400, 0.5: 0x3800, 0.75: 0x3a00, 1: 0x3c00 };

/** Two heads over four tokens: one looks at the token before, one at BOS and itself. */
export const PATTERNS = [
  [[1], [1, 0], [0, 1, 0], [0, 0, 1, 0]],
  [[1], [0.5, 0.5], [0.75, 0, 0.25], [0.5, 0, 0, 0.5]],
];

/**
 * @param {{ patterns?: number[][][], tokens?: string[], head?: Record<string, any>, offset?: number }} [result]
 */
export function pack({ patterns = PATTERNS, tokens = ["<|bos|>", "The", " cat", " sat"], head, offset = 0 } = {}) {
  const summary = { entropy: 0.5, bos: 0.25, previous: 1, own: 0, duplicate: null, induction: null };
  const header = {
    prompt: "The cat sat",
    model: "toy",
    hook: "blocks.1.attn.hook_pattern",
    layer: 1,
    n_layers: 3,
    n_heads: patterns.length,
    tokens,
    ids: tokens.map((_, i) => 100 + i),
    special: [0],
    masked: [],
    groups: [],
    total: tokens.length,
    heads: patterns.map(() => summary),
    ...head,
  };
  const text = new TextEncoder().encode(JSON.stringify(header));
  const padded = new Uint8Array(text.length + ((4 - (text.length % 4)) % 4)).fill(32);
  padded.set(text);
  const weights = new Uint16Array(patterns.flat(2).map((weight) => HALVES[weight]));
  const parts = [new Uint32Array([0x41454153, 1, padded.length, weights.length]), padded, weights];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, offset));
  let at = offset;
  for (const part of parts) {
    bytes.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength), at);
    at += part.byteLength;
  }
  return new DataView(bytes.buffer, offset);
}

/** A pattern of n tokens of which each looks at the one before. @param {number} n */
export const lookingBack = (n) =>
  Array.from({ length: n }, (_, q) => Array.from({ length: q + 1 }, (_, k) => (k === Math.max(0, q - 1) ? 1 : 0)));

/** @param {Record<string, any>} [state] */
export const fakeState = (state) => ({
  prompt: "The cat sat",
  layer: 1,
  head: null,
  token: null,
  model: "toy",
  status: { state: "done", message: "" },
  error: "",
  _data: pack(),
  _twin: "saew-twin-1",
  ...state,
});

/** A library that draws as circuitsvis does, at once, and keeps what it was given. */
export class FakeLibrary {
  AttentionPatterns = "AttentionPatterns";
  /** @type {{ component: any, props: any, inDocument: boolean, clicks: string[] }[]} */
  drawn = [];
  /** Draws only when told to, or never. */
  late = false;
  /** @type {() => void} */
  finish = () => {};

  /** @param {string} id @param {any} component @param {any} props */
  render(id, component, props) {
    const div = document.querySelector(`#${id}`);
    const one = { component, props, inDocument: !!div, clicks: /** @type {string[]} */ ([]) };
    this.drawn.push(one);
    this.finish = () => {
      const figures = props.attention.map((/** @type {any} */ _, /** @type {number} */ i) => {
        const figure = document.createElement("figure");
        figure.append(document.createElement("canvas"));
        figure.addEventListener("click", () => one.clicks.push(`head ${i}`));
        return figure;
      });
      const buttons = props.tokens.map((/** @type {string} */ token, /** @type {number} */ i) => {
        const button = document.createElement("button");
        // What circuitsvis does: the token is taken for HTML.
        button.append(document.createRange().createContextualFragment(token.replace(" ", "&nbsp;")));
        button.style.backgroundColor = i % 2 ? "rgb(255, 255, 255)" : "rgb(20, 20, 90)";
        button.addEventListener("click", () => one.clicks.push(`token ${i}`));
        return button;
      });
      const [title, heads, tokens] = ["h4", "div", "div"].map((tag) => document.createElement(tag));
      tokens.className = "tokens";
      heads.append(...figures);
      tokens.append(document.createElement("select"), ...buttons);
      div?.append(document.createElement("canvas"), title, heads, tokens);
    };
    if (!this.late) this.finish();
  }
}
