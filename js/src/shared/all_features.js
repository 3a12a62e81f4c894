/** All features of an SAE as one table: sorted and filtered here, and only the rows that are seen are in the page. */

import { h, keep, number, percent, put, readable, set } from "./dom.js";
import { whole } from "./feature_head.js";
import { orderByLabel, orderOf } from "./order.js";

/** @typedef {import("./dashboard_wire.js").Features} Features */

const ROW = 26;
const SPARE = 8;
const DENSE = 0.01;
const NAMES = ["feature", "label", "density", "max", "mean"];

/**
 * Which features pass.
 * @param {Features} features
 * @param {Record<number, string>} labels
 * @param {{ text: string, from: number, to: number, dense: boolean, dead: boolean }} wanted shares of tokens
 */
export function passes({ head, count }, labels, { text, from, to, dense, dead }) {
  const part = text.trim().toLowerCase();
  return (/** @type {number} */ row) => {
    const density = count[row] / (head.n_tokens || 1);
    if (density < from || density > to || (dense && density > DENSE) || (dead && !count[row])) return false;
    return !part || `${row}`.includes(part) || !!labels[row]?.toLowerCase().includes(part);
  };
}

/** @param {(feature: string) => void} onOpen */
export function makeAllFeatures(onOpen) {
  const id = `saew-${Math.random().toString(36).slice(2)}`;
  /** @type {Features | undefined} */
  let features;
  /** @type {Record<number, string>} */
  let labels = {};
  let [key, down] = ["feature", false];
  let order = new Uint32Array();
  let rows = order;
  let active = 0;
  let frame = 0;

  // ---- what is wanted
  const search = h("input.search.box", {
    type: "search",
    placeholder: "Filter by number or label",
    input: filter,
  });
  const limit = (/** @type {string} */ label) =>
    h("input.number.box", { type: "number", min: 0, max: 100, step: "any", label, input: filter });
  const [from, to] = [limit("Least density in percent"), limit("Largest density in percent")];
  const check = (/** @type {string} */ text) => {
    const box = h("input", { type: "checkbox", change: filter });
    return { box, label: h("label.flex", box, text) };
  };
  const [dense, dead] = [check("hide dense (> 1%)"), check("hide dead")];
  const found = h("span.note", { "aria-live": "polite" });
  for (const box of [search, from, to]) box.addEventListener("keydown", (event) => event.stopPropagation());

  // ---- the table
  const heads = NAMES.map((name, i) =>
    h(i < 2 ? "@columnheader" : ".num@columnheader", h("button", { click: () => sort(name) }, name)),
  );
  const body = h(".body@rowgroup");
  const header = h(".cells.note@row", { "aria-rowindex": 1 }, ...heads);
  const grid = h(
    ".grid.box@grid",
    { label: "All features", tabindex: 0, scroll: () => (frame ||= requestAnimationFrame(draw)), click, keydown },
    h(".headgroup@rowgroup", header),
    body,
  );
  const none = h(".none.note");

  /** @param {MouseEvent} event */
  function click({ target }) {
    const row = /** @type {HTMLElement | null} */ (/** @type {Element} */ (target).closest("[data-at]"));
    if (row) open(Number(row.dataset.at));
  }
  const open = (/** @type {number} */ at) => {
    active = at;
    draw();
    if (features && at < rows.length) onOpen(`${features.head.sae}/${rows[at]}`);
  };
  /** @param {KeyboardEvent} event */
  function keydown(event) {
    if (event.target !== grid) return;
    const page = Math.max(1, Math.floor((grid.clientHeight - ROW) / ROW) - 1);
    /** @type {Record<string, number>} */
    const moves = {
      ArrowUp: active - 1,
      ArrowDown: active + 1,
      PageUp: active - page,
      PageDown: active + page,
      Home: 0,
      End: rows.length,
    };
    if (event.key === "Enter") open(active);
    else if (event.key in moves) {
      active = Math.max(0, Math.min(rows.length - 1, moves[event.key]));
      const top = active * ROW;
      const room = grid.clientHeight - 2 * ROW;
      grid.scrollTop = Math.max(top - room, Math.min(top, grid.scrollTop));
      draw();
    } else return;
    keep(event);
  }
  /** @param {string} name */
  function sort(name) {
    down = name === key ? !down : NAMES.indexOf(name) > 1;
    key = name;
    arrange();
  }
  function arrange() {
    if (!features) return;
    const { count, max, mean } = features;
    if (key === "label") order = orderByLabel(labels, count.length, down);
    else if (key === "feature") {
      order = Uint32Array.from(count.keys());
      if (down) order.reverse();
    } else order = orderOf(key === "max" ? max : key === "mean" ? mean : count, down);
    heads.forEach((cell, i) => {
      set(cell, "aria-sort", NAMES[i] !== key ? "none" : down ? "descending" : "ascending");
    });
    filter();
  }
  function filter() {
    if (!features) return;
    const share = (/** @type {HTMLInputElement} */ { value }, /** @type {number} */ other) =>
      value ? Number(value) / 100 : other;
    const wanted = {
      text: search.value,
      from: share(from, 0),
      to: share(to, 1),
      dense: dense.box.checked,
      dead: dead.box.checked,
    };
    rows = order.filter(passes(features, labels, wanted));
    active = 0;
    grid.scrollTop = 0;
    set(grid, "aria-rowcount", rows.length + 1);
    body.style.height = `${rows.length * ROW}px`;
    put(found, `${whole(rows.length)} of ${whole(order.length)} features`);
    draw();
  }
  function draw() {
    frame = 0;
    const first = Math.max(0, Math.floor(grid.scrollTop / ROW) - SPARE);
    const last = Math.min(rows.length, first + Math.ceil(grid.clientHeight / ROW) + 2 * SPARE);
    const seen = [];
    for (let at = first; at < last; at++) seen.push(line(at));
    put(body, ...seen);
    if (active >= first && active < last) set(grid, "aria-activedescendant", `${id}-${active}`);
    else grid.removeAttribute("aria-activedescendant");
  }
  /** @param {number} at */
  function line(at) {
    const { head, count, max, mean } = /** @type {Features} */ (features);
    const row = rows[at];
    const density = count[row] / (head.n_tokens || 1);
    const label = readable(labels[row] ?? "");
    const kind = count[row] ? (density > DENSE ? "dense" : "") : "dead";
    const known = (/** @type {number} */ value) => (value > 0 ? number(value) : "–");
    const node = h(
      ".cells.row@row",
      { id: `${id}-${at}`, "data-at": at, "aria-rowindex": at + 2, "aria-selected": at === active ? "true" : "false" },
      h("@gridcell", `${row}`),
      h(".of@gridcell", label, kind ? h("span.faint", ` ${kind}`) : ""),
      ...[percent(density), known(max[row]), known(mean[row])].map((text) => h(".num@gridcell", text)),
    );
    node.style.top = `${at * ROW}px`;
    return node;
  }

  return {
    box: h(
      ".all",
      h(".controls.wrap", search, h(".flex.note", "density", from, "to", to, "%"), dense.label, dead.label, found),
      grid,
      none,
    ),
    close: () => cancelAnimationFrame(frame),
    /** @param {Features | undefined} next @param {string} empty what to say without one */
    show(next, empty) {
      put(none, empty);
      none.hidden = !!next;
      grid.hidden = !next;
      if (next === features) {
        // It may have had no height before.
        if (next) draw();
        return;
      }
      features = next;
      labels = next ? { ...next.head.labels } : {};
      arrange();
    },
    /** A label that has changed. @param {string} feature @param {string} label */
    name(feature, label) {
      if (!features || !feature.startsWith(`${features.head.sae}/`)) return;
      const row = Number(feature.slice(features.head.sae.length + 1));
      if ((labels[row] ?? "") === label) return;
      if (label) labels[row] = label;
      else delete labels[row];
      draw();
    },
  };
}
