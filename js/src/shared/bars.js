/** The next token: probabilities of the base model as outlines, of the steered one as solid bars inside them. */

import { h, percent, put, visible } from "./dom.js";

import { nats } from "./meter.js";

/** @typedef {{rows?: [string, number, number][], kl?: number | null, steered?: number[]}} Bars */

/** The end of the axis: the next of a few, so that it seldom moves while a slider does. @param {number} largest */
export const axis = (largest) => [0.02, 0.05, 0.1, 0.25, 0.5, 0.75].find((end) => largest <= end) ?? 1;

export function makeBars() {
  const kl = h("span.kl");
  const end = h("span.faint");
  const body = h(".rows@rowgroup");
  const head = h(
    ".bar-row.note@row",
    h("@columnheader", "token"),
    h("@columnheader", h("span.flex.axis", "0", end)),
    h(".num@columnheader", h("i.key-base", { "aria-hidden": "true" }), " base"),
    h(".num@columnheader", h("i.key-steered", { "aria-hidden": "true" }), " steered"),
  );
  const table = h(".bars@table", { label: "Next token" }, h("@rowgroup", head), body);
  const none = h(".none.note", "Nothing computed yet.");
  return {
    kl,
    box: h("", none, table),
    /** @param {Bars} bars @param {number} k rows to keep room for */
    show({ rows = [], kl: distance }, k) {
      body.style.minHeight = `${27 * Math.max(k, rows.length)}px`;
      none.hidden = rows.length > 0;
      table.hidden = !none.hidden;
      put(kl, typeof distance === "number" ? `KL(base‖steered) ${nats(distance)} nats` : "");
      const sorted = [...rows].sort((a, b) => Math.max(b[1], b[2]) - Math.max(a[1], a[2]));
      const full = axis(sorted.length ? Math.max(sorted[0][1], sorted[0][2]) : 0);
      put(end, `${100 * full}%`);
      put(body, ...sorted.map((row) => draw(row, full)));
    },
  };
}

/** @param {[string, number, number]} row @param {number} full */
function draw([token, base, steered], full) {
  const outline = h("i.base");
  const solid = h("i.steered");
  outline.style.width = `${(100 * base) / full}%`;
  solid.style.width = `${(100 * steered) / full}%`;
  const shown = visible(token);
  return h(
    ".bar-row@row",
    h(".of@rowheader", { title: shown }, shown),
    h(".track@cell", { "aria-hidden": "true" }, outline, solid),
    h(".num@cell", percent(base)),
    h(`.num${steered > base ? ".more" : ""}@cell`, percent(steered)),
  );
}
