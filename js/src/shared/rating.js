/** Blind rating: one example at a time, in no order, without its activation; keys 0 to 3. */

import { h, keep, put, set } from "./dom.js";
import { tokenCell } from "./walk.js";

/** @typedef {{ key: string, tokens: string[], special: number[], peak: number, score: number | null }} Item */
/** @typedef {{ feature?: string, rater?: string, items?: Item[], done?: number, of?: number }} Rating */

const RUBRIC = [
  "irrelevant throughout the context",
  "related to the context, but not near the marked text, or only vaguely",
  "loosely related to the marked text, or to context near it",
  "cleanly identifies the activating text",
];

/**
 * @param {object} handlers
 * @param {() => void} handlers.onBegin
 * @param {(key: string, score: number | null) => void} handlers.onRate
 */
export function makeRating({ onBegin, onRate }) {
  /** @type {Rating} */
  let rating = {};
  /** What was said here, and may not have come back yet. @type {Map<string, number | null>} */
  const said = new Map();
  /** @type {string[]} */
  let order = [];

  const scoreOf = (/** @type {Item} */ { key, score }) => (said.has(key) ? said.get(key) : score);
  const current = () => rating.items?.find((item) => scoreOf(item) === null);
  const rate = (/** @type {number} */ score) => {
    const item = current();
    if (!item || card.closest("fieldset")?.disabled) return;
    said.set(item.key, score);
    order.push(item.key);
    onRate(item.key, score);
    draw();
  };
  const undo = () => {
    const key = order.pop();
    if (key === undefined || card.closest("fieldset")?.disabled) return;
    said.set(key, null);
    onRate(key, null);
    draw();
  };
  const progress = h("progress", { label: "Examples rated" });
  const count = h("span.note@status");
  const text = h(".words.box");
  const buttons = RUBRIC.map((words, score) =>
    h("button.score.flex.box", { click: () => rate(score) }, h("b", `${score}`), words),
  );
  const back = h("button.link", { click: undo }, "undo (u)");
  const card = h(
    ".card@group",
    {
      label: "Example to rate, keys 0 to 3",
      tabindex: 0,
      keydown(/** @type {KeyboardEvent} */ event) {
        if (event.ctrlKey || event.metaKey || event.altKey) return;
        if (/^[0-3]$/.test(event.key)) rate(Number(event.key));
        else if (event.key === "u" || event.key === "Backspace") undo();
        else return;
        keep(event);
      },
    },
    text,
    ...buttons,
  );
  const begin = h("button.go.box", { click: onBegin }, "Rate examples blind");
  const line = h(".flex.note", progress, count, back);
  const box = h("section.rating", h(".flex.heading", begin, line), card);

  function draw() {
    const items = rating.items ?? [];
    const item = current();
    const done = items.filter((one) => scoreOf(one) !== null).length;
    line.hidden = !items.length;
    card.hidden = !item;
    progress.max = items.length || 1;
    progress.value = done;
    put(count, item ? `${done} of ${items.length}` : `all ${items.length} rated`);
    back.hidden = !order.length;
    put(
      text,
      ...(item?.tokens ?? []).map((token, i) => {
        const cell = tokenCell(token, { special: item?.special.includes(i), peak: i === item?.peak, max: 0 });
        for (const name of ["role", "tabindex", "aria-label"]) cell.removeAttribute(name);
        return cell;
      }),
    );
    set(text, "data-key", item?.key ?? "");
  }
  draw();
  return {
    box,
    /** @param {Rating} next @param {string} feature the one on the screen @param {boolean} refused whether Python said no to something */
    show(next, feature, refused) {
      const fits = next.feature === feature ? next : {};
      if (fits.feature !== rating.feature || fits.rater !== rating.rater) order = [];
      for (const { key, score } of fits.items ?? []) if (refused || said.get(key) === score) said.delete(key);
      const started = !rating.items && fits.items;
      rating = fits;
      draw();
      if (started && !card.hidden) card.focus();
    },
  };
}
