/** The chosen features, and what the colours of the tokens mean. */

import { h, number, put, redraw } from "./dom.js";
import { rgba, tint } from "./palette.js";
import { swatch } from "./swatch.js";

/** @typedef {import("./selection.js").Chosen} Chosen */

/** @param {Chosen} one @param {(id: string) => void} onFocus @param {(index: number) => void} onDrop */
function chip({ id, index, row, label, slot, focus }, onFocus, onDrop) {
  const pick = h(
    "button.pick.flex",
    { "aria-pressed": `${focus}`, click: () => onFocus(id) },
    swatch(slot),
    h("b", `${index}`),
    h("span.label", label),
    h("span.faint", row ? `max ${number(row.max)}` : "does not fire here"),
  );
  const drop = h("button.drop", { label: `Remove ${id}`, click: () => onDrop(index) }, "×");
  return h(
    "span.chip.box.flex",
    { "data-feature": index },
    pick,
    h("button.pen.faint", { label: `Label ${id}` }),
    drop,
  );
}

/**
 * @param {(id: string) => void} onFocus
 * @param {(index: number) => void} onDrop
 */
export function makeChips(onFocus, onDrop) {
  const box = h(".chips.flex@group", { label: "Chosen features" });
  return {
    box,
    /** @param {Chosen[]} chosen */
    show(chosen) {
      const chips = chosen.map((one) => chip(one, onFocus, onDrop));
      redraw(box, chips.length ? chips : [h("span.faint", "Choose a feature, or click a token.")]);
    },
  };
}

/** @param {() => void} onScale */
export function makeLegend(onScale) {
  const box = h(".legend.flex.note");
  return {
    box,
    /** @param {Chosen[]} chosen @param {boolean} ofReference */
    show(chosen, ofReference) {
      const { row, slot, scale } = chosen.find(({ focus }) => focus) ?? {};
      const parts = [];
      if (row && slot !== undefined) {
        const ramp = h("span.ramp");
        ramp.style.background = `linear-gradient(90deg,${rgba(slot, tint(0))},${rgba(slot, tint(1))})`;
        const known = row.reference > 0;
        const unit = known && ofReference ? "reference max" : "prompt max";
        parts.push(
          h("span.flex", "0", ramp, number(scale ?? 0)),
          known ? h("button.link", { click: onScale }, unit) : unit,
          "underlined:",
          h("u.half", "over ½"),
          h("u", "over ¾"),
        );
      }
      if (chosen.length > 1) parts.push("a band for each feature");
      put(box, ...parts);
    },
  };
}
