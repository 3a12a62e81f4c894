/** What a feature is meant to fire on: a pattern, tokens, a concept, or what people said of its examples. */

import { named } from "./controls.js";
import { h, readable, set } from "./dom.js";
import { makeNumber } from "./numbers.js";
import { choose } from "./options.js";

/** @type {Record<string, string>} */
const HINTS = { regex: "regular expression, as London|Paris", tokens: "tokens, with a comma between" };
const CONCEPT = "concept/";

/** @param {(predicate: { kind: string, text: string, within: number }) => void} onScore */
export function makePredicate(onScore) {
  let width = 0;
  const ask = () => {
    const { value } = kind;
    if (value.startsWith(CONCEPT)) onScore({ kind: "concept", text: value.slice(CONCEPT.length), within: width });
    else if (value === "ratings") onScore({ kind: value, text: "", within: 0 });
    else onScore({ kind: value, text: input.value, within: width });
  };
  const draw = () => {
    const hint = HINTS[kind.value];
    input.hidden = !hint;
    near.hidden = kind.value === "ratings";
    set(input, "placeholder", hint);
  };
  const kind = h("select.box", { change: draw });
  const input = h("input.pattern.box", {
    label: "Pattern or tokens",
    autocomplete: "off",
    spellcheck: "false",
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      if (event.key === "Enter" && !event.isComposing) ask();
    },
  });
  const within = makeNumber({
    name: "within tokens",
    min: 0,
    max: 64,
    onPick: (value) => {
      width = value;
    },
  });
  const near = h("label.flex.note", "or within", within.box, "tokens after");
  within.show(0);
  return {
    box: h(".wrap", named("It should fire on", kind), input, near, h("button.go.box", { click: ask }, "Score")),
    /** @param {string[]} concepts that may be chosen */
    show(concepts) {
      /** @type {[string, string][]} */
      const kinds = [
        ["regex", "a pattern"],
        ["tokens", "tokens"],
        ["ratings", "my ratings"],
      ];
      for (const name of concepts) kinds.push([CONCEPT + name, `concept: ${readable(name)}`]);
      choose(kind, kinds, kind.value || "regex");
      draw();
    },
  };
}
