/** Hue and pattern of up to six features; told apart by either alone. */

/** Red, green, blue of each slot: distinct also with the common kinds of colour blindness. */
export const HUES = ["253,141,60", "56,132,214", "0,158,115", "204,100,160", "178,150,0", "120,120,128"];

/** Stripes of the colour C, `on` of every `each` pixels. @param {number} turn @param {number} on @param {number} each */
const stripes = (turn, on, each) => `repeating-linear-gradient(${turn}deg,C 0 ${on}px,#0000 ${on}px ${each}px)`;

/** One pattern a slot: solid, dashes, diagonal, dots, long dashes, double line. */
const PATTERNS = [
  "linear-gradient(C,C)",
  /* @__PURE__ */ stripes(90, 4, 6),
  /* @__PURE__ */ stripes(-45, 2, 4),
  /* @__PURE__ */ stripes(90, 2, 5),
  /* @__PURE__ */ stripes(90, 9, 12),
  "linear-gradient(C 34%,#0000 34% 66%,C 66%)",
];

/** Text on a tint stays legible in both themes up to this. */
const STRONGEST = 0.6;
const FAINTEST = 0.08;

/**
 * How strong the tint of a value is, 0.08 to 0.6.
 * @param {number} share of the scale's maximum
 */
export const tint = (share) => FAINTEST + (STRONGEST - FAINTEST) * Math.min(1, share);

/** @param {number} slot @param {number} alpha */
export const rgba = (slot, alpha) => `rgba(${HUES[slot]},${alpha.toFixed(3)})`;

/**
 * A feature's pattern as CSS image.
 * @param {number} slot
 * @param {number} alpha
 * @param {number} [pattern]
 */
export const band = (slot, alpha, pattern = slot) => PATTERNS[pattern].replaceAll("C", rgba(slot, alpha));

/**
 * A tint as CSS image.
 * @param {number} slot
 * @param {number} alpha
 */
export const wash = (slot, alpha) => band(slot, alpha, 0);

/**
 * Quarter 1 to 4 of the scale, for marks that need no colour.
 * @param {number} share
 */
export const level = (share) => Math.min(4, Math.ceil(share * 4));
