/** Which feature is shown, what people say of it, and how often it fires. */

import { h, keep, number, percent, put, readable, set } from "./dom.js";
import { makeNumber } from "./numbers.js";

/** @typedef {import("./dashboard_wire.js").Head} Head */

/** @type {Record<string, number>} */
const STEPS = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };

/** A whole number with its thousands apart. @param {number} n */
export const whole = (n) => Math.round(n).toLocaleString("en-US");

/**
 * Text that is edited in place: Enter or leaving it saves, Escape brings back what was there.
 * @param {string} spec
 * @param {string} label
 * @param {(text: string) => void} onSave
 */
function makeField(spec, label, onSave) {
  let stored = "";
  const save = () => {
    const text = field.value.trim();
    if (text === stored) field.value = text;
    else onSave(text);
    stored = text;
  };
  const field = /** @type {HTMLInputElement} */ (
    h(/** @type {"input"} */ (spec), {
      label,
      placeholder: `${label} …`,
      spellcheck: "false",
      rows: 1,
      change: save,
      keydown(/** @type {KeyboardEvent} */ event) {
        event.stopPropagation();
        if (event.key === "Escape") field.value = stored;
        else if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        else save();
        event.preventDefault();
      },
    })
  );
  return {
    field,
    /** @param {string} text @param {boolean} force also over what somebody types */
    show(text, force) {
      if (force || field.value === stored) field.value = text;
      stored = text;
    },
  };
}

/** How often and how strongly it fires. @param {Head} head */
function facts(head) {
  const { dead, dense, density, count, n_tokens, max, mean, quantiles } = head;
  const badge = (/** @type {string} */ text) => h("b.badge.box", text);
  if (dead) return [badge(`dead: never fires in ${whole(n_tokens)} tokens`)];
  const half = quantiles.find(([level]) => level === 0.5);
  const rare = `${whole(count)} of ${whole(n_tokens)} tokens`;
  return [
    dense
      ? badge(`dense: fires on ${percent(density)} of tokens`)
      : h("span", `fires on ${percent(density)} of tokens`),
    h("span.faint", rare),
    h("span", "max ", h("b", number(max))),
    h("span", `mean ${number(mean)} where it fires`),
    half ? h("span", `median ${number(half[1])}`) : "",
  ];
}

/**
 * @param {object} handlers
 * @param {(by: number) => void} handlers.onStep
 * @param {(index: number) => void} handlers.onJump
 * @param {(said: Record<string, any>) => void} handlers.onSay
 * @param {...Node} more what stands beside the number
 */
export function makeFeatureHead({ onStep, onJump, onSay }, ...more) {
  let starred = false;
  const former = h("button.icon.box", { label: "Previous feature", click: () => onStep(-1) }, "‹");
  const next = h("button.icon.box", { label: "Next feature", click: () => onStep(1) }, "›");
  const id = h("b.id@spinbutton", {
    label: "Feature",
    tabindex: 0,
    title: "arrow keys: previous and next feature",
    keydown(/** @type {KeyboardEvent} */ event) {
      if (!(event.key in STEPS) || event.ctrlKey || event.metaKey || event.altKey) return;
      keep(event);
      onStep(STEPS[event.key]);
    },
  });
  const jump = makeNumber({ name: "Go to feature number", min: 0, onPick: onJump });
  const of = h("span.faint");
  const star = h("button.star", { click: () => onSay({ star: !starred }) });
  const label = makeField("input.title", "Label", (text) => onSay({ label: text }));
  const note = makeField("textarea.remark", "Note", (text) => onSay({ note: text }));
  const tags = h("span.faint");
  const people = h(".pins.note");
  const words = h(".facts.wrap");
  const source = h(".note");
  let shown = "";
  return {
    box: h(".who.wrap", h("span.flex", former, id, next), h("label.flex.note", "go to", jump.box), of, ...more),
    said: h(".said", h(".flex", star, label.field), h(".flex", note.field, tags), people),
    words: h("", words, source),
    focus: () => id.focus(),
    /** @param {string} feature the one that was asked for @param {Head} [head] the one that is there */
    show(feature, head) {
      const index = Number(feature.slice(feature.lastIndexOf("/") + 1)) || 0;
      put(id, readable(feature) || "no feature");
      set(id, "aria-valuenow", index);
      set(id, "aria-valuetext", [feature, head?.feature === feature ? head.label : ""].filter(Boolean).join(", "));
      jump.show(index);
      if (!head) return;
      put(of, `of ${whole(head.d_sae)}`);
      const other = shown !== head.feature;
      shown = head.feature;
      label.show(head.given, other);
      label.field.placeholder = readable(head.label) || "Label …";
      note.show(head.note, other);
      starred = head.mine;
      put(star, `${starred ? "★" : "☆"}${head.stars > 1 ? ` ${head.stars}` : ""}`);
      set(star, "aria-label", `Star, ${head.stars} so far`);
      set(star, "aria-pressed", starred);
      put(tags, head.tags.map((tag) => `#${readable(tag)}`).join(" "));
      const pins = head.pins.map((pin) => {
        const [before, token, after] = pin.map(readable);
        return h(".what", `Pinned: ${before}`, token && h("b.peak", token), after);
      });
      put(people, ...head.people.map((line) => h(".what", readable(line))), ...pins);
      put(words, ...facts(head));
      put(source, [head.model, head.hook, head.sample].filter(Boolean).map(readable).join(" · "));
    },
  };
}
