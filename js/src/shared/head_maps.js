/** Heat maps of the heads, drawn by this package: a small one each, and the one in focus. */

import { makeChoice } from "./choice.js";
import { h, set } from "./dom.js";

/** @typedef {import("./attention_wire.js").Attention} Attention */

const INK = [253, 141, 60];

/** @param {{ onHead(head: number | null): void, onSelect(token: number): void, onHover(token?: number): void }} handlers */
export function makeHeadMaps({ onHead, onSelect, onHover }) {
  const choice = makeChoice(".maps@radiogroup", "Heads", (value) => onHead(value === "" ? null : Number(value)));
  const large = h("canvas.map@img");
  const line = h(".line");
  /** @type {Attention | undefined} */
  let result;
  /** @type {number | null} */
  let head = null;
  /** The token whose row is at a place of the large map. @param {MouseEvent} event */
  const at = ({ clientY }) => {
    const { top, height } = large.getBoundingClientRect();
    return Math.floor(((clientY - top) / height) * (result?.head.tokens.length ?? 0));
  };
  const frame = h(
    ".frame",
    {
      click: (/** @type {MouseEvent} */ event) => onSelect(at(event)),
      mousemove: (/** @type {MouseEvent} */ event) => onHover(at(event)),
      mouseleave: () => onHover(),
    },
    large,
    line,
  );
  return {
    box: h(".own", choice.box, frame),
    /** @param {Attention} next */
    show(next) {
      result = next;
      choice.fill(
        [null, ...next.head.heads.keys()].map((one) => {
          const canvas = h("canvas.map", { "aria-hidden": "true" });
          draw(canvas, next, one);
          const title = one === null ? "all heads" : `head ${one}`;
          return [`${one ?? ""}`, h(".small@radio", { tabindex: -1, label: title }, canvas, h(".note", title))];
        }),
      );
    },
    /** @param {number | null} next */
    choose(next) {
      head = next;
      choice.show(`${head ?? ""}`);
      if (!result) return;
      draw(large, result, head);
      const of = head === null ? "all heads, the largest weight of each pair" : `head ${head}`;
      set(large, "aria-label", `Attention pattern, ${of}`);
    },
    /** Mark the row of the token that looks. @param {number} query */
    look(query) {
      const n = result?.head.tokens.length ?? 1;
      line.style.top = `${(100 * query) / n}%`;
      line.style.height = `${100 / n}%`;
    },
  };
}

/**
 * A pixel a weight; what cannot be looked at stays grey.
 * @param {HTMLCanvasElement} canvas
 * @param {Attention} result
 * @param {number | null} head
 */
function draw(canvas, result, head) {
  const n = result.head.tokens.length;
  canvas.width = canvas.height = n;
  const context = canvas.getContext("2d");
  if (!context) return;
  const image = context.createImageData(n, n);
  for (let query = 0; query < n; query++) {
    const row = result.row(head, query);
    for (let key = 0; key < n; key++)
      image.data.set(key > query ? [128, 128, 128, 40] : [...INK, 255 * row[key]], 4 * (query * n + key));
  }
  context.putImageData(image, 0, 0);
}
