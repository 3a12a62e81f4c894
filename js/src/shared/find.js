/** The box that finds features by label or number: what was found stands below it as buttons. */

import { h, keep, percent, put, readable } from "./dom.js";

/** @param {(text: string) => void} onAsk @param {(feature: string) => void} onOpen */
export function makeFind(onAsk, onOpen) {
  const list = h(".found.box", { hidden: true });
  const input = h("input.box", {
    type: "search",
    placeholder: "Find a feature",
    input() {
      if (input.value.trim()) onAsk(input.value.trim());
      else list.hidden = true;
    },
  });
  const open = (/** @type {string} */ name) => {
    input.value = "";
    list.hidden = true;
    input.focus();
    onOpen(name);
  };
  const box = h(
    ".find",
    {
      keydown(/** @type {KeyboardEvent} */ event) {
        event.stopPropagation();
        const places = /** @type {HTMLElement[]} */ ([input, ...list.children]);
        const at = places.indexOf(/** @type {HTMLElement} */ (event.target));
        const step = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1 })[event.key];
        const text = input.value.trim();
        if (step && !list.hidden) places[(at + step + places.length) % places.length].focus();
        else if (event.key === "Escape") {
          list.hidden = true;
          input.focus();
        } else if (event.key === "Enter" && !at && text) {
          if (/^(.*\/)?\d+$/.test(text) || list.hidden) open(text);
          else places[1].click();
        } else return;
        keep(event);
      },
      focusout(/** @type {FocusEvent} */ event) {
        if (!box.contains(/** @type {Node | null} */ (event.relatedTarget))) list.hidden = true;
      },
    },
    input,
    list,
  );
  return {
    box,
    /** What Python found for a text. @param {string} text @param {[name: string, label: string, density: number | null][]} items */
    show(text, items) {
      if (text !== input.value.trim()) return;
      list.hidden = !items.length;
      put(
        list,
        ...items.map(([name, label, density]) =>
          h(
            "button.flex",
            { click: () => open(name) },
            h("b", readable(name)),
            h("span.of", readable(label)),
            h("span.faint", density === null ? "" : percent(density)),
          ),
        ),
      );
    },
  };
}
