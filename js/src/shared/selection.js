/** Which features and which token are chosen, with a lasting hue for each feature. */

import { HUES } from "./palette.js";

export const MOST = HUES.length;

/** @typedef {import("./wire.js").Row} Row */
/**
 * @typedef {object} Chosen One chosen feature of the SAE on the screen.
 * @property {string} id
 * @property {number} index
 * @property {Row | undefined} row undefined where it does not fire
 * @property {number} slot hue and pattern
 * @property {number} scale activation at full tint
 * @property {boolean} focus
 */

export class Selection {
  /** @type {import("./wire.js").Result | undefined} */
  result;
  /** @type {string[]} */
  features = [];
  feature = "";
  /** @type {number | null} */
  token = null;
  /** Whether colours are relative to the reference maxima, where known. */
  ofReference = true;
  /** @type {Map<string, number>} */
  #slots = new Map();

  /** @param {number} index */
  idOf(index) {
    return `${this.result?.head.sae}/${index}`;
  }

  /** The chosen features of the SAE on the screen, in order. @returns {Chosen[]} */
  get chosen() {
    const prefix = this.idOf(0).slice(0, -1);
    const ids = this.features.filter((id) => id.startsWith(prefix));
    const taken = new Set(ids.map((id) => this.#slots.get(id)));
    const free = [...HUES.keys()].filter((slot) => !taken.has(slot));
    this.#slots = new Map(ids.map((id) => [id, this.#slots.get(id) ?? free.shift() ?? 0]));
    return ids.map((id) => {
      const index = Number(id.slice(prefix.length));
      const row = this.result?.rows.get(index);
      const scale = (this.ofReference && row?.reference) || row?.max || 1;
      return { id, index, row, slot: this.#slots.get(id) ?? 0, scale, focus: id === this.feature };
    });
  }
}
