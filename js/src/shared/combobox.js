/** A token of the vocabulary: typed, completed, or picked among those that the model finds likely. */

import { h, keep, percent, put, set, visible } from "./dom.js";

/** @typedef {[value: number | string, text: string, probability?: number]} Item */

const LISTED = 30;
const spaced = (/** @type {string} */ text) => text.replaceAll("·", " ");

/**
 * @param {object} options
 * @param {string} options.name
 * @param {string} options.none what choosing nothing means
 * @param {(text: string) => void} options.onAsk wants completions
 * @param {(value: number | string) => void} options.onPick
 */
export function makeCombobox({ name, none, onAsk, onPick }) {
  const id = `saew-${Math.random().toString(36).slice(2)}`;
  /** @type {Item[]} */
  let likely = [];
  /** @type {Item[]} */
  let completed = [];
  /** @type {Item[]} */
  let items = [];
  let active = -1;
  let typed = false;
  let shown = "";

  const close = () => {
    list.hidden = true;
    active = -1;
    set(input, "aria-expanded", false);
    input.removeAttribute("aria-activedescendant");
  };
  const revert = () => {
    typed = false;
    input.value = shown;
    close();
  };
  /** @param {Item} item */
  const pick = ([value, text]) => {
    shown = value === "" ? "" : visible(text);
    revert();
    onPick(value);
  };
  /** @param {number} index */
  const activate = (index) => {
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
    const text = typed ? spaced(input.value) : "";
    const small = text.trim().toLowerCase();
    const fits = (/** @type {Item} */ item) => item[1].trim().toLowerCase().startsWith(small);
    const first = likely.filter(fits);
    const rest = text ? completed.filter((item) => fits(item) && !first.some(([value]) => value === item[0])) : [];
    /** @type {Item[]} */
    const nothing = text ? [] : [["", none]];
    const chosen = items[active]?.[0];
    items = [...nothing, ...first, ...rest].slice(0, LISTED);
    put(
      list,
      ...items.map(([value, token, probability], i) =>
        h(
          "li.option@option",
          { id: `${id}-${i}`, "aria-selected": "false" },
          h(value === "" ? "i" : "span", value === "" ? token : visible(token)),
          probability === undefined ? "" : h("span.faint", percent(probability)),
        ),
      ),
    );
    list.hidden = !items.length;
    set(input, "aria-expanded", !list.hidden);
    active = items.findIndex(([value]) => value === chosen);
    if (active >= 0) activate(active);
  };
  const list = h("ul.options.box@listbox", {
    id,
    label: `${name} tokens`,
    hidden: true,
    mousedown(/** @type {MouseEvent} */ event) {
      event.preventDefault();
      const option = /** @type {Element} */ (event.target).closest("li");
      const item = items[[...list.children].indexOf(/** @type {Element} */ (option))];
      if (item) pick(item);
    },
  });
  const input = h("input.combo.box@combobox", {
    id: `${id}-input`,
    autocomplete: "off",
    spellcheck: "false",
    "aria-autocomplete": "list",
    "aria-expanded": "false",
    "aria-controls": id,
    focus() {
      input.select();
      open();
    },
    click: open,
    blur: revert,
    input() {
      typed = true;
      active = -1;
      const at = input.selectionStart;
      input.value = input.value.replaceAll(" ", "·");
      input.setSelectionRange(at, at);
      onAsk(spaced(input.value));
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
        const text = spaced(input.value);
        if (active >= 0) pick(items[active]);
        else if (typed) pick([text, text]);
        else close();
      } else if (event.key === "Escape" && (typed || !list.hidden)) {
        keep(event);
        revert();
      }
    },
  });
  return {
    box: h(".field.combobox", h("label.note", { for: input.id }, name), input, list),
    /** Show a trait of Python, unless the person is typing. @param {any} value @param {string} text @param {string} instead what stands there for nothing */
    show(value, text, instead) {
      const own = [value].flat().map((one) => (typeof one === "string" ? one : text || `id ${one}`));
      shown = visible(typeof value === "number" ? own[0] : own.join(""));
      input.placeholder = instead;
      if (!typed) input.value = shown;
    },
    /** @param {Item[]} items */
    offer(items) {
      likely = items;
    },
    /** What Python found for a text. @param {string} text @param {Item[]} found */
    complete(text, found) {
      if (!typed || text !== spaced(input.value)) return;
      completed = found;
      open();
    },
  };
}
