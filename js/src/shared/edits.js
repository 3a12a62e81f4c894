/** The edits, in the order in which they are applied: a card each, kept while its edit lives. */

import { h, number, put, readable, set } from "./dom.js";
import { makeNumber, plain } from "./numbers.js";
import { choose } from "./options.js";
import { makeSlider } from "./slider.js";

/**
 * @typedef {{key: string, name: string, label: string, kind: string, operation: string, value: number, where: string,
 *   keep_norm: boolean, formula: string, absolute: number | null, maximum: number | null, source: string, unit: string,
 *   slider: boolean, conditional: boolean, reach: [number, number] | null}} Edit
 */
/** @typedef {[name: string, formula: string, hasValue: boolean]} Operation */
/** @typedef {{ onChange(key: string, change: Partial<Edit>, rest?: boolean): void, onMove(key: string, to: number): void,
 *   onRemove(key: string): void, onSweep(key: string): void, onRest(): void, onEmpty(): void }} Handlers */

const WHERE = ["all", "prompt", "generated"];
const KEPT = ", brought back to its length";

/** A formula with the signs of print. @param {string} text */
export const printed = (text) => text.replaceAll(" - ", " − ").replaceAll(" . ", " · ");

/** The formula of an edit with its number in it. @param {Edit} edit @param {Operation[]} operations */
export function formulaOf({ operation, value, keep_norm, formula }, operations) {
  const found = operations.find(([name]) => name === operation);
  const own = found?.[1].replace(/(?<=^|[ (])[vαγ](?=[ )]|$)/gu, () => plain(value));
  return printed(own === undefined ? formula : own + (keep_norm ? KEPT : ""));
}

/** What a strength is a multiple of. @param {Edit} edit */
export const unitOf = ({ operation, unit }) => (operation === "scale" ? "× f" : unit);

/**
 * The strength in the units of the activation; undefined where it is not known.
 * @param {Edit} edit
 * @param {number} [strength] another than the edit's own
 */
export function absoluteOf({ operation, absolute, maximum, value }, strength = value) {
  if (operation === "scale") return undefined;
  if (maximum !== null) return strength * maximum;
  return absolute !== null && value ? (strength * absolute) / value : undefined;
}

/** On how many tokens it did something. @param {Edit} edit */
export function reachText({ reach, conditional }) {
  if (!reach) return "";
  const [moved, of] = reach;
  if (!conditional) return `moved ${moved} of ${of} tokens`;
  return moved ? `fired on ${moved} of ${of} tokens, no-op elsewhere` : `fired on none of ${of} tokens: a no-op`;
}

const size = (/** @type {number} */ value) => number(value).replace("-", "−");

/** @param {Edit} first @param {Handlers} handlers */
function makeCard({ key, name }, handlers) {
  const { onChange, onMove, onRemove, onSweep, onRest } = handlers;
  const shown = readable(name);
  const move = (/** @type {number} */ value) => onChange(key, { value });
  const slider = makeSlider(`Strength of ${shown}`, move, () => {
    onChange(key, {}, true);
    onRest();
  });
  const entry = makeNumber({ name: `Strength of ${shown} as a number`, step: 0.1, onPick: move });
  const operation = h("select.box", {
    label: `Operation of ${shown}`,
    change: () => onChange(key, { operation: operation.value }),
  });
  const where = h("select.box.where", {
    label: `Where ${shown} is edited`,
    change: () => onChange(key, { where: where.value }),
  });
  const keeps = h("input", { type: "checkbox", change: () => onChange(key, { keep_norm: keeps.checked }) });
  const title = h(".title");
  const formula = h("code.formula");
  const unit = h("span.unit");
  const absolute = h("span.absolute");
  const source = h("span");
  const reach = h("span.reach");
  const strength = h(".strength", slider.box, h(".entry.flex", entry.box, unit, absolute));
  let [index, last] = [0, 0];
  const moveTo = (/** @type {number} */ to) => {
    if (to >= 0 && to <= last) onMove(key, to);
  };
  const up = h("button.icon.box", { label: `Apply ${shown} earlier`, click: () => moveTo(index - 1) }, "↑");
  const down = h("button.icon.box", { label: `Apply ${shown} later`, click: () => moveTo(index + 1) }, "↓");
  const sweep = h("button.icon.box", { label: `Sweep ${shown}`, click: () => onSweep(key) }, "sweep");
  const remove = h("button.icon.box", { label: `Remove ${shown}`, click: () => onRemove(key) }, "×");
  const write = h("button.icon.box.pen", { label: `Label ${shown}` });
  const box = h(
    "li.edit.box",
    h(".flex", title, h("span.tools.flex", write, sweep, up, down, remove)),
    h(
      ".choices",
      operation,
      where,
      h("label.keeps.flex", { title: "each changed activation is brought back to its length" }, keeps, "keep norm"),
    ),
    formula,
    strength,
    h(".note.facts", source, reach),
  );

  return {
    box,
    /** @param {Edit} edit @param {Operation[]} operations @param {number} at @param {number} count */
    show(edit, operations, at, count) {
      index = at;
      put(title, h("span.faint", `${at + 1} `), h("b", shown), " ", h("span.faint", readable(edit.label)));
      const names = /** @type {[string, string][]} */ (
        operations.map(([name, text]) => [name, `${name}:  ${printed(text)}`])
      );
      choose(operation, names, edit.operation);
      choose(
        where,
        [...new Set([...WHERE, edit.where])].map((one) => [one, readable(one)]),
        edit.where,
      );
      keeps.checked = edit.keep_norm;
      const has = operations.find(([name]) => name === edit.operation)?.[2] ?? edit.slider;
      strength.hidden = sweep.hidden = !has;
      last = count - 1;
      set(up, "aria-disabled", at === 0);
      set(down, "aria-disabled", at === last);
      put(formula, formulaOf(edit, operations));
      const told = absoluteOf(edit);
      put(unit, unitOf(edit));
      put(absolute, told === undefined ? "" : `= ${size(told)}`);
      slider.draw(edit.value, `${plain(edit.value)} ${unitOf(edit)}${told === undefined ? "" : `, ${size(told)}`}`);
      entry.show(edit.value, slider.held);
      const vector = edit.kind === "vector";
      write.hidden = vector;
      const max = edit.maximum === null ? "" : `${vector ? "length" : "max"} ${number(edit.maximum)}`;
      put(source, has ? [max, vector ? "" : readable(edit.source)].filter(Boolean).join(": ") : "");
      put(reach, reachText(edit));
      reach.classList.toggle("saew-more", edit.conditional);
      set(box, "data-key", key);
    },
    /** Whether its slider is being dragged. */
    get held() {
      return slider.held;
    },
  };
}

/** @param {Handlers} handlers */
export function makeEdits(handlers) {
  const list = h("ol.edits", { label: "Edits, in the order in which they are applied" });
  const none = h(".none.note", "No edits: the model is as it is. Add a feature or a vector.");
  /** @type {Map<string, ReturnType<typeof makeCard>>} */
  const cards = new Map();
  return {
    box: h("", none, list),
    /** @param {string} key */
    holds: (key) => !!cards.get(key)?.held,
    /** @param {Edit[]} edits @param {Operation[]} operations */
    show(edits, operations) {
      const keys = edits.map(({ key }) => key);
      for (const key of cards.keys()) if (!keys.includes(key)) cards.delete(key);
      edits.forEach((edit, i) => {
        const card = cards.get(edit.key) ?? makeCard(edit, handlers);
        cards.set(edit.key, card);
        card.show(edit, operations, i, edits.length);
      });
      const boxes = keys.map((key) => /** @type {HTMLElement} */ (cards.get(key)?.box));
      none.hidden = keys.length > 0;
      list.hidden = !none.hidden;
      if ([...list.children].every((box, i) => box === boxes[i]) && list.children.length === boxes.length) return;
      const active = /** @type {HTMLElement | null} */ (
        /** @type {ShadowRoot} */ (list.getRootNode()).activeElement ?? null
      );
      const inside = !!active && list.contains(active);
      put(list, ...boxes);
      const next = list.contains(active) ? active : list.querySelector("button");
      if (inside && next) next.focus();
      else if (inside) handlers.onEmpty();
    },
  };
}
