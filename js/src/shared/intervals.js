/** Ten intervals of activation, with their share of the firings and of the mass beside each other; one is chosen. */

import { makeChoice } from "./choice.js";
import { h, number, percent, put } from "./dom.js";
import { whole } from "./feature_head.js";

/** @typedef {import("./dashboard_wire.js").Interval} Interval */

/** @param {{ low: number, high: number }} interval */
export const rangeOf = ({ low, high }) => `${number(low)}–${number(high)}`;

/** All about an interval. @param {Interval} interval */
export const wordsOf = (interval) => {
  const { count, exact, share, mass_share } = interval;
  const firings = `${exact ? "" : "about "}${whole(count)} firings`;
  return `${rangeOf(interval)}: ${percent(share)} of firings, ${percent(mass_share)} of mass, ${firings}`;
};

/** A bar of some share. @param {string} look @param {number} share @param {number} full */
export function bar(look, share, full) {
  const node = h(/** @type {"i"} */ (`i.${look}`), { hidden: !share });
  node.style.height = `${full && (100 * share) / full}%`;
  return node;
}

/** Texts along an axis. @param {string[]} texts */
export const axisOf = (...texts) =>
  h(".apart.note", { "aria-hidden": "true" }, ...texts.map((text) => h("span", text)));

/** Marks from 0 to the maximum. @param {number} max */
export const upTo = (max) => axisOf(...[0, max / 2, max].map(number));

/** @param {(list: string) => void} onPick */
export function makeIntervals(onPick) {
  /** @type {Interval[]} */
  let intervals = [];
  let chosen = "top";
  const radios = makeChoice(".bins@radiogroup", "Examples to show", onPick);
  const told = h(".told.note");
  const axis = h("");
  const full = h(".full.note");
  const tell = (/** @type {string} */ list) => {
    const interval = intervals[Number(list) - 1];
    put(told, interval ? wordsOf(interval) : "choose a bar to see examples of its interval");
  };
  const over = (/** @type {Event} */ { target }) => {
    const value = /** @type {Element} */ (target).closest("[data-value]")?.getAttribute("data-value");
    tell(value ?? chosen);
  };
  const back = () => tell(chosen);
  const listeners = { mouseover: over, focusin: over, mouseleave: back, focusout: back };
  for (const [name, listener] of Object.entries(listeners)) radios.box.addEventListener(name, listener);
  return {
    box: h(
      "section.intervals",
      h("b", "Activations"),
      h(".wrap.note", h("span", h("i.key.firings"), " share of firings"), h("span", h("i.key.mass"), " share of mass")),
      full,
      radios.box,
      axis,
      told,
    ),
    /** @param {import("./dashboard_wire.js").Head} head */
    show(head) {
      ({ intervals } = head);
      const most = Math.max(0, ...intervals.flatMap(({ share, mass_share }) => [share, mass_share]));
      put(full, most ? `full height ${percent(most)}` : "");
      const bins = intervals.map((interval, i) => {
        const bars = [bar("firings", interval.share, most), bar("mass", interval.mass_share, most)];
        return /** @type {[string, HTMLElement]} */ ([
          `${i + 1}`,
          h(".bin@radio", { tabindex: -1, label: `interval ${i + 1}, ${wordsOf(interval)}` }, ...bars),
        ]);
      });
      radios.fill([["top", h(".pill.box@radio", { tabindex: -1 }, "top examples")], ...bins]);
      put(axis, upTo(head.max));
      this.box.hidden = head.dead;
      this.choose(chosen);
    },
    /** @param {string} list */
    choose(list) {
      chosen = list;
      radios.show(list);
      tell(list);
    },
  };
}
