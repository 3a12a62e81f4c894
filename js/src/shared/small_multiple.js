/** A sweep of strengths: a small card each, in a row that wraps; a click takes the strength over. */

import { h, number, percent, put, readable, set, visible } from "./dom.js";
import { bar, nats } from "./meter.js";
import { plain } from "./numbers.js";
import { repeats } from "./pair.js";

/**
 * @typedef {{value: number, absolute: number | null, text: string, repetition: number, mean_kl: number | null,
 *   top: [string, number] | null}} Swept
 */
/** @typedef {{running?: boolean, key?: string, name?: string, operation?: string, texts?: Swept[]}} Sweep */

/** @param {(key: string, value: number) => void} onPick */
export function makeSmallMultiple(onPick) {
  const title = h("b");
  const box = h(".cards@group", { label: "Sweep of strengths" });
  const section = h(
    ".sweep@group",
    { label: "Sweep", hidden: true },
    title,
    h("span.note", " click a card to use its strength"),
    box,
  );
  /** @type {Sweep} */
  let shown = {};
  return {
    box: section,
    /** @param {Sweep} sweep @param {string} unit */
    show(sweep, unit) {
      shown = sweep;
      const { running, name = "", operation = "", texts = [] } = sweep;
      section.hidden = !running && !texts.length;
      put(title, `Sweep of ${readable(name)}: ${operation}, in ${unit}${running ? " (running …)" : ""}`);
      const { activeElement } = /** @type {ShadowRoot} */ (box.getRootNode());
      const kept = [...box.children].indexOf(/** @type {Element} */ (activeElement));
      put(box, ...texts.map((one) => card(one, () => shown.key !== undefined && onPick(shown.key, one.value))));
      if (kept >= 0) /** @type {HTMLElement | undefined} */ (box.children[kept])?.focus();
    },
    /** Mark the strength that the edit has now. @param {number | undefined} value undefined where it is gone */
    mark(value) {
      [...box.children].forEach((button, i) => {
        set(button, "aria-pressed", shown.texts?.[i].value === value);
        set(button, "aria-disabled", value === undefined);
      });
    },
  };
}

/** @param {Swept} swept @param {() => void} onPick */
function card({ value, absolute, text, repetition, mean_kl, top }, onPick) {
  const again = repeats(repetition);
  const kl = mean_kl === null ? "KL –" : `KL ${nats(mean_kl)}`;
  return h(
    "button.card.box",
    { click: onPick },
    h(
      "span.flex",
      h("b", `× ${plain(value)}`),
      h("span.faint", absolute === null ? "" : `= ${number(absolute).replace("-", "−")}`),
    ),
    h("span.of", top ? visible(top[0]) : "–", h("span.faint", top ? ` ${percent(top[1])}` : "")),
    h("span.words.faint", readable(text)),
    h("span.flex.note", bar(mean_kl), kl),
    h("span.again.note", again),
  );
}
