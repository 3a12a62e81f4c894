/** What a feature is related to: features that point its way, that fire with it, concepts, neurons. */

import { signed } from "./columns.js";
import { h, percent, readable } from "./dom.js";

/** @typedef {import("./dashboard_wire.js").Head} Head */
/** @typedef {string | HTMLElement} Cell */

/**
 * A small table; none without rows.
 * @param {string} title
 * @param {string[]} heads of all but the first column
 * @param {Cell[][]} rows
 */
export const table = (title, heads, rows) =>
  rows.length
    ? [
        h(
          ".related@table",
          { label: title },
          h("@row", h("b@columnheader", title), ...heads.map((head) => h("span.num.note@columnheader", head))),
          ...rows.map(([name, ...cells]) =>
            h("@row", h("span.of@rowheader", name), ...cells.map((cell) => h("span.num@cell", cell))),
          ),
        ),
      ]
    : [];

/** @param {Head} head @param {(feature: string) => void} onOpen */
export function relations(head, onOpen) {
  const link = (/** @type {string} */ feature, /** @type {string} */ label) =>
    h(
      "button.link",
      { click: () => onOpen(feature), title: readable(label) },
      h("b", readable(feature)),
      ` ${readable(label)}`,
    );
  const { neighbours, cofiring, concepts, neurons, encoder_cosine } = head;
  return [
    ...table(
      "Concepts",
      ["precision", "recall", "F1"],
      concepts.map(([name, ...scores]) => [readable(name), ...scores.map(percent)]),
    ),
    ...table(
      "Points the same way",
      ["cosine"],
      neighbours.slice(0, 10).map(([feature, label, cosine]) => [link(feature, label), signed(cosine)]),
    ),
    ...table(
      "Fires together",
      ["Jaccard"],
      cofiring.map(([feature, label, jaccard, low, high]) => [
        link(feature, label),
        jaccard.toFixed(2) + (low === high ? "" : ` (${low.toFixed(2)}–${high.toFixed(2)})`),
      ]),
    ),
    ...table(
      "Neurons",
      ["weight", "share"],
      neurons.map(([neuron, value, share]) => [`${neuron}`, signed(value), percent(share)]),
    ),
    encoder_cosine === null ? "" : h(".note", `cosine of encoder and decoder ${signed(encoder_cosine)}`),
  ];
}
