/** Examples of a feature, one a row: the peak in a column of its own, or the window as prose. */

import { makeChoice } from "./choice.js";
import { h, number, put } from "./dom.js";
import { rgba, tint } from "./palette.js";
import { makeWalk, tokenCell } from "./walk.js";

/** @typedef {import("./dashboard_wire.js").Example} Example */

/** @type {[value: string, text: string, tokens: number][]} */
const WIDTHS = [
  ["5", "±5", 5],
  ["16", "±16", 16],
  ["full", "full", 1 / 0],
];

/** @param {import("./walk.js").Tip} tip */
export function makeExamples(tip) {
  let width = WIDTHS[0];
  /** @type {Example[] | undefined} */
  let examples;
  let [max, none] = [0, ""];
  const walk = makeWalk(".examples", "Examples", tip);
  const radios = makeChoice(".toggle.flex.box@radiogroup", "Window", (value) => {
    width = WIDTHS.find(([other]) => other === value) ?? width;
    radios.show(value);
    draw();
  });
  radios.fill(WIDTHS.map(([value, text]) => [value, h("span@radio", { tabindex: -1 }, text)]));
  radios.show(width[0]);
  const top = h("span");
  const ramp = h("span.ramp");
  ramp.style.background = `linear-gradient(90deg,${rgba(0, tint(0))},${rgba(0, tint(1))})`;

  function draw() {
    /** @type {HTMLElement[]} */
    const cells = [];
    /** @type {string[]} */
    const places = [];
    const rows = (examples ?? []).map((example) => {
      const { tokens, special, peak, values, activation, text, position, left, right } = example;
      const [from, to] = [Math.max(0, peak - width[2]), Math.min(tokens.length, peak + width[2] + 1)];
      const parts = [h("span.before", from > 0 || left ? "… " : ""), h("span"), h("span")];
      for (let i = from; i < to; i++) {
        const value = values ? values[i] : i === peak ? activation : undefined;
        const cell = tokenCell(tokens[i], { special: special[i], peak: i === peak, value, max });
        cells.push(cell);
        places.push(`token ${position - peak + i} of text ${text}`);
        parts[1 + Math.sign(i - peak)].append(/^\s/.test(tokens[i]) ? h("wbr") : "", cell);
      }
      if (to < tokens.length || right) parts[2].append("\u00a0…");
      return h(".example@row", h("span.num.faint@rowheader", number(activation)), h(".words", ...parts));
    });
    walk.box.classList.toggle("saew-aligned", width[2] === 5);
    walk.fill(rows.length ? rows : [h("@row", h(".none.note@gridcell", none))], cells, places);
  }
  return {
    box: h(
      ".list",
      h(".flex.heading", radios.box, h("span.flex.note", "0", ramp, top, h("span.peak", "peak"))),
      walk.box,
    ),
    /** @param {Example[]} next @param {number} most value of the strongest tint @param {string} empty what to say where there are none */
    show(next, most, empty) {
      if (next === examples && most === max && empty === none) return;
      [examples, max, none] = [next, most, empty];
      put(top, number(most));
      draw();
    },
  };
}
