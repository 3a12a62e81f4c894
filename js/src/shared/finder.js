/** The box that adds an edit: a feature by number or label, a vector by name, or the feature of a linked view. */

import { h, keep, percent, put, readable, set } from "./dom.js";

const LISTED = 40;

/** @typedef {[name: string, kind: string, label: string, density?: number | null]} Item */

/** @param {{ onAsk(text: string): void, onAdd(name: string): void }} handlers */
export function makeFinder({ onAsk, onAdd }) {
  const id = `saew-${Math.random().toString(36).slice(2)}`;
  /** @type {Item[]} */
  let offered = [];
  /** @type {Item[]} */
  let found = [];
  let [answered, active] = ["", -1];
  /** @type {Item[]} */
  let items = [];

  const close = () => {
    list.hidden = true;
    active = -1;
    set(input, "aria-expanded", false);
    input.removeAttribute("aria-activedescendant");
  };
  const add = (/** @type {string} */ name) => {
    input.value = "";
    close();
    onAdd(name);
  };
  const activate = (/** @type {number} */ index) => {
    active = items.length ? (index + items.length) % items.length : -1;
    [...list.children].forEach((option, i) => {
      set(option, "aria-selected", i === active);
    });
    const option = list.children[active];
    if (!option) return;
    set(input, "aria-activedescendant", option.id);
    option.scrollIntoView?.({ block: "nearest" });
  };
  const open = () => {
    const text = input.value.trim().toLowerCase();
    const chosen = items[active]?.[0];
    const fits = offered.filter(([name, , label]) => `${name} ${label}`.toLowerCase().includes(text));
    const rest = text && answered === text ? found.filter(([name]) => !fits.some(([other]) => other === name)) : [];
    items = [...fits, ...rest].slice(0, LISTED);
    put(
      list,
      ...items.map(([name, kind, label, density], i) =>
        h(
          "li.option@option",
          { id: `${id}-${i}`, "aria-selected": "false" },
          h("span.of", h("span.faint", kind), h("b", readable(name)), ` ${readable(label)}`),
          typeof density === "number" ? h("span.faint", percent(density)) : "",
        ),
      ),
    );
    list.hidden = !items.length;
    set(input, "aria-expanded", !list.hidden);
    active = items.findIndex(([name]) => name === chosen);
    if (active >= 0) activate(active);
  };
  const list = h("ul.options.box@listbox", {
    id,
    label: "What can be added",
    hidden: true,
    mousedown(/** @type {MouseEvent} */ event) {
      event.preventDefault();
      const option = /** @type {Element} */ (event.target).closest("li");
      const item = items[[...list.children].indexOf(/** @type {Element} */ (option))];
      if (item) add(item[0]);
    },
  });
  /** What Enter adds: what is marked, what was typed where it is a name, else the first that was found. */
  const meant = () => {
    const text = input.value.trim();
    const exact = /^(.*\/)?\d+$/.test(text) || offered.some(([name]) => name === text);
    return items[active]?.[0] ?? (exact ? text : (text && items[0]?.[0]) || text);
  };
  const input = h("input.combo.box@combobox", {
    placeholder: "Add a feature (number or label) or a vector",
    label: "Add a feature or a vector",
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": id,
    focus: open,
    click: open,
    blur: close,
    input() {
      active = -1;
      if (input.value.trim()) onAsk(input.value.trim());
      open();
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      const step = /** @type {Record<string, number>} */ ({ ArrowDown: 1, ArrowUp: -1 })[event.key];
      if (step) {
        keep(event);
        if (list.hidden) open();
        activate(active < 0 && step < 0 ? items.length - 1 : active + step);
      } else if (event.key === "Enter" && !event.isComposing) {
        keep(event);
        const name = meant();
        if (name) add(name);
      } else if (event.key === "Escape" && (input.value || !list.hidden)) {
        keep(event);
        input.value = "";
        close();
      }
    },
  });
  return {
    box: h(".combobox", input, list),
    input,
    /** What is there without searching. @param {string} feature of a linked view, or "" @param {string[]} vectors */
    offer(feature, vectors) {
      offered = vectors.map((name) => [name, "vector ", ""]);
      if (feature) offered.unshift([feature, "add ", ""]);
    },
    /** What Python found for a text. @param {string} text @param {[string, string, number | null][]} rows */
    complete(text, rows) {
      answered = text.toLowerCase();
      found = rows.map(([name, label, density]) => [name, "", label, density]);
      const { activeElement } = /** @type {ShadowRoot} */ (input.getRootNode());
      if (activeElement === input) open();
    },
  };
}
