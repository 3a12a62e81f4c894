/** Which features and which token are chosen, with a lasting hue for each feature. */

import { HUES } from "./palette.js";

export const MOST = HUES.length;

/** @typedef {import("./wire.js").Row} Row */
/**
 * @typedef {object} Chosen One chosen feature of the SAE on the screen.
 * @property {string} id
 * @property {number} index
 * @property {Row | undefined} row undefined where it does not fire
 * @property {string} label
 * @property {number} slot hue and pattern
 * @property {number} scale activation at full tint
 * @property {boolean} focus
 */

export class Selection {
  /** @type {import("./wire.js").Result | undefined} */
  result;
  /** Labels that have changed since, by the feature's name. @type {Record<string, string>} */
  told = {};
  /** @type {string[]} */
  features = [];
  feature = "";
  /** @type {number | null} */
  token = null;
  /** Whether colours are relative to the reference maxima, where known. */
  ofReference = true;
  /** @type {Map<string, number>} */
  #slots = new Map();

  /** @param {any} index a number, or one as text */
  idOf(index) {
    return `${this.result?.head.sae}/${index}`;
  }

  /** @param {any} index a number, or one as text */
  labelOf(index) {
    return this.told[this.idOf(index)] ?? this.result?.head.labels[index] ?? "";
  }

  /** The chosen features of the SAE on the screen, in order. @returns {Chosen[]} */
  get chosen() {
    const prefix = this.idOf(0).slice(0, -1);
    const ids = this.features.filter((id) => id.startsWith(prefix));
    const taken = new Set(ids.map((id) => this.#slots.get(id)));
    const free = [...HUES.keys()].filter((slot) => !taken.has(slot));
    this.#slots = new Map(ids.map((id) => [id, this.#slots.get(id) ?? /** @type {number} */ (free.shift())]));
    return ids.map((id) => {
      const index = Number(id.slice(prefix.length));
      const row = this.result?.rows.get(index);
      const scale = (this.ofReference && row?.reference) || row?.max || 1;
      const slot = /** @type {number} */ (this.#slots.get(id));
      return { id, index, row, label: this.labelOf(index), slot, scale, focus: id === this.feature };
    });
  }
}
