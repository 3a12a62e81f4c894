/** The chosen features, and what the colours of the tokens mean. */

import { h, number } from "./dom.js";
import { tint, wash } from "./palette.js";
import { swatch } from "./swatch.js";

/** @typedef {import("./selection.js").Chosen} Chosen */

/** @param {Chosen} one @param {() => void} onFocus @param {() => void} onDrop */
function chip({ id, index, row, slot, focus }, onFocus, onDrop) {
  const pick = h(
    "button.pick.flex",
    { "aria-pressed": String(focus), click: onFocus },
    swatch(slot),
    h("b", String(index)),
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
      const hint = h("span.faint", "Choose a feature from the list, or click a token.");
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
        for (const share of [0.02, 0.25, 0.5, 0.75, 1]) {
          const step = h("i");
          step.style.background = wash(slot, tint(share));
          ramp.append(step);
        }
        const known = row.reference > 0;
        const unit = known && ofReference ? "reference max" : "max of this prompt";
        const title = "Where the colours end; click to change";
        parts.push(
          h("span.flex.key", "0", ramp, number(scale ?? 0)),
          known ? h("button.link", { title, click: onScale }, unit) : unit,
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
