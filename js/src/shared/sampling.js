/** How the texts are written, and when. */

import { named } from "./controls.js";
import { h } from "./dom.js";
import { makeNumber } from "./numbers.js";

/** @type {[trait: string, name: string, min: number, max: number, step: number][]} */
const FIELDS = [
  ["max_new_tokens", "new tokens", 1, 256, 1],
  ["temperature", "temperature", 0, 5, 0.1],
  ["top_p", "top-p", 0, 1, 0.05],
  ["seed", "seed", 0, 2 ** 53, 1],
  ["samples", "samples", 1, 8, 1],
];

/** Traits that decide what the texts are. */
export const SAMPLING = FIELDS.map(([trait]) => trait);

/** @param {(change: Record<string, any>) => void} onSet @param {() => void} onGenerate */
export function makeSampling(onSet, onGenerate) {
  const fields = FIELDS.map(([trait, name, min, max, step]) => {
    const entry = makeNumber({ name, min, max, step, onPick: (value) => onSet({ [trait]: value }) });
    return { trait, entry, field: named(name, entry.box) };
  });
  const live = h("input", { type: "checkbox", change: () => onSet({ live: live.checked }) });
  const behind = h("span.faint", { hidden: true }, "changed since the texts were written");
  const alike = h("span.faint", { hidden: true }, "at temperature 0 all samples are one");
  return {
    box: h(
      ".controls",
      ...fields.map(({ field }) => field),
      h("label.flex.keeps", live, "write after each change"),
      h("button.generate.box", { click: onGenerate }, "Generate"),
      behind,
      alike,
    ),
    /** @param {(name: string) => any} get reads a trait */
    show(get) {
      for (const { trait, entry } of fields) entry.show(get(trait));
      live.checked = get("live");
      alike.hidden = get("samples") === 1 || get("temperature") > 0;
    },
    /** Say that the texts are older than the edits. @param {boolean} old */
    age(old) {
      behind.hidden = !old;
    },
  };
}
