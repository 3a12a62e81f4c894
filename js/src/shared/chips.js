/** The chosen features, and what the colours of the tokens mean. */

import { h, number } from "./dom.js";
import { rgba, tint } from "./palette.js";
import { swatch } from "./swatch.js";

/** @typedef {import("./selection.js").Chosen} Chosen */

/** @param {Chosen} one @param {() => void} onFocus @param {() => void} onDrop */
function chip({ id, index, row, slot, focus }, onFocus, onDrop) {
  const pick = h(
    "button.pick.flex",
    { "aria-pressed": `${focus}`, click: onFocus },
    swatch(slot),
    h("b", `${index}`),
    h("span.label", row?.label ?? ""),
    h("span.faint", row ? `max ${number(row.max)}` : "does not fire here"),
  );
  return h("span.chip.box.flex", pick, h("button.drop", { label: `Remove ${id}`, click: onDrop }, "×"));
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
      const hint = h("span.faint", "Choose a feature, or click a token.");
      const chips = chosen.map((one) =>
        chip(
          one,
          () => onFocus(one.id),
          () => onDrop(one.index),
        ),
      );
      box.replaceChildren(...(chips.length ? chips : [hint]));
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
          h("span.flex.key", "0", ramp, number(scale ?? 0)),
          known ? h("button.link", { click: onScale }, unit) : unit,
          "underlined:",
          h("u.half", "over ½"),
          h("u.most", "over ¾"),
        );
      }
      if (chosen.length > 1) parts.push("a band for each feature");
      box.replaceChildren(...parts);
    },
  };
}
