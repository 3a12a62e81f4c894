/** How much a distribution has changed, on a scale of powers of ten that is the same everywhere. */

import { h, number, put } from "./dom.js";

const DECADES = 4;
const LOWEST = -3;

/** Where a KL lies on the scale from 0.001 to 10 nats, 0 to 1. @param {number} kl */
export const share = (kl) => (kl > 0 ? Math.min(1, Math.max(0, (Math.log10(kl) - LOWEST) / DECADES)) : 0);

/** A KL as a number; what is below rounding is about nothing. @param {number} kl */
export const nats = (kl) => (kl > 0 && kl < 1e-6 ? "≈ 0" : number(kl));

/** A KL in a word. @param {number} kl */
export function word(kl) {
  if (kl <= 0) return "none";
  if (kl < 0.1) return "small";
  return kl < 1 ? "noticeable" : "large";
}

/** A bar with ticks at 0.01, 0.1 and 1. @param {number | null} kl */
export function bar(kl) {
  const fill = h("i");
  fill.style.width = `${100 * share(kl ?? 0)}%`;
  return h("span.meter", { "aria-hidden": "true" }, fill);
}

/** What an edit does to text that it is not about. */
export function makeMeter() {
  const text = h("");
  const late = h("span.faint", { hidden: true }, " before the last change");
  const scale = h(".scale", { "aria-hidden": "true" });
  const ticks = [".01", ".1", "1"].map((tick) => h("span", tick));
  const box = h(
    ".side-effect@group",
    { label: "Side effect" },
    h("b", "Side effect on neutral text"),
    late,
    scale,
    h(".ticks.note", { "aria-hidden": "true" }, ...ticks),
    text,
  );
  return {
    box,
    /** Say that the edits have changed since. @param {boolean} old */
    age(old) {
      late.hidden = !old;
      box.classList.toggle("saew-old", old);
    },
    /** @param {{kl?: number, base_ce?: number, steered_ce?: number, n_tokens?: number, n_texts?: number}} side */
    show({ kl, base_ce, steered_ce, n_tokens, n_texts }) {
      const known = typeof kl === "number";
      put(scale, bar(known ? kl : null));
      if (!known) put(text, h("span.faint", "Not measured yet: it follows the texts."));
      else {
        const ce = `CE ${base_ce?.toFixed(2)} → ${steered_ce?.toFixed(2)}`;
        const sample = `${n_texts} texts, ${n_tokens} tokens`;
        put(text, h("b", word(kl)), `: KL ${nats(kl)} nats/token; ${ce} `, h("span.faint", `(${sample})`));
      }
    },
  };
}
