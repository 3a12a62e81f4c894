/** The colours of the tokens: a tint for the feature in focus, and with several features a band for each. */

import { number } from "./dom.js";
import { band, level, tint, wash } from "./palette.js";

/** @typedef {import("./selection.js").Chosen} Chosen */
/** @typedef {import("./strip.js").Coat} Coat */

/**
 * What is painted on each token: the tint of the feature in focus, and with several features a band for each.
 * @param {Chosen[]} chosen
 */
export function coatsOf(chosen) {
  /** @type {Coat[]} */
  const coats = [];
  chosen.forEach(({ row, id, slot, scale, focus }, k) => {
    row?.positions.forEach((position, i) => {
      const share = row.values[i] / scale;
      coats[position] ??= { washes: [], said: [], level: 0 };
      const coat = coats[position];
      coat.said.push(`${id} ${number(row.values[i])}`);
      if (chosen.length > 1) {
        const bottom = 5 * (chosen.length - 1 - k) + 1;
        coat.washes.unshift(
          `${band(slot, 0.35 + 0.65 * Math.min(1, share))} 0 calc(100% - ${bottom}px)/100% 4px no-repeat`,
        );
      }
      if (focus) {
        coat.washes.push(wash(slot, tint(share)));
        coat.level = level(share);
      }
    });
  });
  return coats;
}
