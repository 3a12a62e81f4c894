/** The options of a select, touched only where they change: a list that is open stays open. */

import { h, put } from "./dom.js";

/**
 * @param {HTMLSelectElement} select
 * @param {[value: string, text: string][]} pairs
 * @param {string} value
 */
export function choose(select, pairs, value) {
  const key = JSON.stringify(pairs);
  if (select.dataset.pairs !== key) put(select, ...pairs.map(([value, text]) => h("option", { value }, text)));
  select.dataset.pairs = key;
  select.value = value;
}
