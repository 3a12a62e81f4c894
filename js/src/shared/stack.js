/** How specific a feature is: shares of answers in each interval of activation, and what a threshold would keep. */

import { h, number, percent, put, readable, set } from "./dom.js";
import { bar, rangeOf, upTo } from "./intervals.js";

/**
 * @typedef {object} Scored
 * @property {number} low
 * @property {number} high
 * @property {number} share
 * @property {number} mass_share
 * @property {number} n
 * @property {number[]} counts
 * @property {number | null} precision
 * @property {number | null} precision_low
 * @property {number | null} precision_high
 */
/** @typedef {Record<"t" | "precision" | "low" | "high" | "recall" | "recall_of_firings" | "share" | "mass", (number | null)[]>} Curve */
/**
 * @typedef {{ feature?: string, kind: string, what: string, rater: string, n_scored: number, base_rate: number | null,
 *   exact: boolean, max: number, labels: string[], intervals: Scored[], curve: Curve }} Specificity
 */

/** A share as people read it; a dash where it is not known. @param {number | null | undefined} share */
const known = (share) => (typeof share === "number" ? percent(share) : "–");

/** A share with its interval. @param {number | null} at @param {number | null} low @param {number | null} high */
const between = (at, low, high) =>
  typeof low === "number" ? `${known(at)} (${known(low)}–${known(high)})` : known(at);

/** @param {number} i @param {string[]} labels */
const lookOf = (i, labels) => `part.s${labels.length === 2 ? 3 * i : i}`;

/** One interval: the best answer at the bottom, a whisker on its share. @param {Scored} one @param {string[]} labels @param {() => void} onPick */
function stacked(one, labels, onPick) {
  const { n, counts, precision, precision_low, precision_high } = one;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const parts = counts.map((count, i) => bar(lookOf(i, labels), count, total));
  const shares = labels.map((label, i) => `${label} ${known(total ? counts[i] / total : null)}`).reverse();
  const text = n
    ? `${shares.join(", ")}, precision ${between(precision, precision_low, precision_high)}`
    : "none scored";
  const stack = h(".stack", ...parts);
  if (typeof precision_low === "number" && typeof precision_high === "number") {
    const whisker = h("i.whisker");
    whisker.style.bottom = `${100 * precision_low}%`;
    whisker.style.height = `${100 * (precision_high - precision_low)}%`;
    stack.append(whisker);
  }
  return h("button.bin", { label: `${rangeOf(one)}: ${text}, ${n} scored`, click: onPick }, stack);
}

/** The answers, from the best. @param {Specificity} specificity */
function legend({ labels, kind }) {
  const names = labels.map((label, i) =>
    h("span", h(/** @type {"i"} */ (`i.key.${lookOf(i, labels)}`)), ` ${kind === "rating" ? `rated ${label}` : label}`),
  );
  return [...names.reverse(), h("span", h("i.key.line"), " 95% interval of the precision")];
}

/** @param {(list: string) => void} onPick wants the examples of an interval */
export function makeStack(onPick) {
  /** @type {Specificity | undefined} */
  let shown;
  /** @type {Partial<Specificity> | undefined} */
  let last;
  let [max, of] = [0, ""];
  const title = h("b");
  const said = h("span.note");
  const keys = h(".wrap.note");
  const bins = h(".bins.tall");
  const cut = h("i.cut");
  const counts = h(".counts.note", { "aria-hidden": "true" });
  const mini = h(".bins.mini@img");
  const axis = h("");
  const slider = h("input.slide", {
    type: "range",
    min: 0,
    max: 100,
    step: 1,
    value: 0,
    label: "Threshold",
    input: draw,
    keydown: (/** @type {Event} */ event) => event.stopPropagation(),
  });
  const figures = h(".figures");
  const plot = h(".plot", bins, counts, h(".note", "share of firings"), mini, axis, slider);
  const box = h(
    "section.specific",
    { hidden: true },
    h(".flex.heading", title, said),
    keys,
    h(".split.wrap", plot, figures),
  );

  function draw() {
    if (!shown) return;
    const { curve } = shown;
    const at = Number(slider.value);
    const t = curve.t[at] ?? 0;
    cut.style.left = `${100 * t}%`;
    const all = typeof curve.recall[at] === "number";
    const rows = [
      ["kept above", number(t * max), `${percent(t)} of the max`],
      ["precision", between(curve.precision[at], curve.low[at], curve.high[at]), ""],
      [
        "recall",
        known((all ? curve.recall : curve.recall_of_firings)[at]),
        all ? "of all that is meant" : "of the firings that are meant",
      ],
      ["firings kept", known(curve.share[at]), ""],
      ["mass kept", known(curve.mass[at]), ""],
    ];
    set(
      slider,
      "aria-valuetext",
      rows
        .slice(0, 3)
        .map(([name, value]) => `${name} ${value}`)
        .join(", "),
    );
    put(
      figures,
      ...rows.map(([name, value, more]) => h(".figure", h("span.note", name), h("b", value), h("span.note", more))),
    );
  }
  return {
    box,
    /** @param {Partial<Specificity>} next @param {string} feature the one on the screen */
    show(next, feature) {
      if (next === last && feature === of) return;
      [last, of] = [next, feature];
      const fits = !!next.intervals && next.feature === feature;
      box.hidden = !fits;
      shown = fits ? /** @type {Specificity} */ (next) : undefined;
      if (!shown) return;
      const { what, kind, rater, n_scored, base_rate, exact, intervals, labels, curve } = shown;
      max = shown.max;
      put(title, readable(what));
      const by =
        kind === "rating"
          ? `${n_scored} ratings${rater ? ` by ${readable(rater)}` : ""}`
          : `${n_scored} firings scored`;
      const base = base_rate === null ? "" : `, ${percent(base_rate)} of all tokens are meant`;
      put(said, `${by}${exact ? ", all of them" : ", an estimate from samples"}${base}`);
      put(keys, ...legend(shown));
      put(bins, ...intervals.map((one, i) => stacked(one, labels, () => onPick(`${i + 1}`))), cut);
      put(counts, ...intervals.map(({ n }) => h("span", `n ${n}`)));
      const most = Math.max(...intervals.map(({ share }) => share));
      put(mini, ...intervals.map(({ share }) => h(".bin", bar("firings", share, most))));
      set(mini, "aria-label", `share of firings: ${intervals.map(({ share }) => percent(share)).join(", ")}`);
      put(axis, upTo(max));
      slider.max = `${curve.t.length - 1}`;
      draw();
    },
  };
}
