/** The live view of saewidgets/widgets/token_activations.py. */

import { makeChips, makeLegend } from "./shared/chips.js";
import { coatsOf } from "./shared/coats.js";
import { h } from "./shared/dom.js";
import { makeFeatureList } from "./shared/feature_list.js";
import { connect } from "./shared/link.js";
import { makeNotes, makeStatus } from "./shared/notes.js";
import { makePromptBox } from "./shared/prompt_box.js";
import { MOST, Selection } from "./shared/selection.js";
import { makeStrip } from "./shared/strip.js";
import { makeTip, makeTokenPanel } from "./shared/token_panel.js";
import { hideTwin } from "./shared/twin.js";
import { decode } from "./shared/wire.js";

/** @typedef {import("./shared/link.js").Model} Model */

const OWN = ["feature", "features", "token"];

/** @param {{ model: Model, el: HTMLElement, signal?: AbortSignal }} context */
function render({ model, el, signal }) {
  const chosen = new Selection();
  let refusal = "";
  /** @type {import("./shared/notes.js").Kernel} */
  let kernel = "live";

  // ---- what the person does
  const ask = (/** @type {Record<string, any>} */ content) => link.send({ op: "set", ...content });
  /** @param {string[]} features @param {string} feature */
  const choose = (features, feature) => {
    Object.assign(chosen, { features, feature });
    colour();
    ask({ features, feature });
  };
  const onAlone = (/** @type {number} */ index) => choose([chosen.idOf(index)], chosen.idOf(index));
  const onToggle = (/** @type {number} */ index) => {
    const id = chosen.idOf(index);
    const rest = chosen.chosen.map((one) => one.id).filter((other) => other !== id);
    if (chosen.features.includes(id)) choose(rest, chosen.feature === id ? (rest.at(-1) ?? "") : chosen.feature);
    else if (rest.length < MOST) choose([...rest, id], id);
    else list.say(`${MOST} features at most: remove one first`);
  };
  const onSelect = (/** @type {number} */ position) => {
    chosen.token = position === chosen.token ? null : position;
    drawToken();
    ask({ token: chosen.token });
  };
  const onRun = (/** @type {string} */ prompt, /** @type {boolean} */ asked) => {
    if (prompt !== model.get("prompt") || link.pending) ask({ prompt });
    else if (asked) link.send({ op: "run" });
  };

  // ---- what is on the page
  const root = h("");
  root.className = "saew saew-acts";
  const prompt = makePromptBox(onRun);
  const select = h("select.sae.box", { label: "SAE", change: () => ask({ sae: select.value }) });
  const state = makeStatus(root, () => link.send({ op: "stop" }));
  const chips = makeChips((id) => choose(chosen.features, id), onToggle);
  const strip = makeStrip({ onSelect, onHover: (position, cell) => tip.show(chosen, position, cell) });
  const legend = makeLegend(() => {
    chosen.ofReference = !chosen.ofReference;
    colour();
  });
  const notes = makeNotes((mask_special) => ask({ mask_special }));
  const panel = makeTokenPanel({ onAlone, onToggle });
  const list = makeFeatureList({ onAlone, onToggle });
  const tip = makeTip(root);
  list.box.prepend(select, state.box);
  root.append(
    h(".left", prompt.box, state.problem, chips.box, strip.grid, legend.box, notes.box, panel.box),
    list.box,
    tip.box,
  );

  // ---- drawing
  const colour = () => {
    const all = chosen.chosen;
    strip.paint(coatsOf(all), all.length > 1 ? all.length : 0);
    for (const part of [list, panel]) part.choose(all);
    chips.show(all);
    legend.show(all, chosen.ofReference);
  };
  const drawToken = () => {
    const length = chosen.result?.head.tokens.length ?? 0;
    const token = chosen.token !== null && chosen.token < length ? chosen.token : -1;
    strip.select(token);
    panel.show(chosen, token);
  };
  const drawState = () => {
    state.show(model.get("status").state, kernel, refusal || model.get("error"), !!chosen.result);
  };
  /** Take over what Python says, unless Python has not yet heard what we said. */
  const pull = () => {
    if (!link.pending) {
      for (const name of OWN) /** @type {any} */ (chosen)[name] = model.get(name);
      prompt.show(model.get("prompt"));
      select.replaceChildren(
        ...model.get("_saes").map((/** @type {string} */ name) => h("option", { value: name }, name)),
      );
      select.value = model.get("sae");
    }
    colour();
    drawToken();
  };
  const load = () => {
    try {
      chosen.result = decode(model.get("_data"));
    } catch (error) {
      refusal = String(error);
    }
    const { result } = chosen;
    if (result) {
      strip.show(result.head);
      tip.show(chosen);
      list.show(chosen);
      notes.show(result.head, model.get("mask_special"));
    }
    pull();
    drawState();
  };

  // ---- life
  const link = connect(model, (now, error) => {
    kernel = now;
    if (now === "live") {
      refusal = error;
      pull();
    }
    drawState();
  });
  const names = [...OWN, "prompt", "sae", "_saes"];
  /** @type {[string, () => void][]} */
  const listeners = [
    ["change:_data", load],
    ["change:status", drawState],
    ["change:error", drawState],
    ...names.map((name) => /** @type {[string, () => void]} */ ([`change:${name}`, pull])),
  ];
  for (const [name, listener] of listeners) model.on(name, listener);
  el.append(root);
  load();
  const restore = hideTwin(el, model.get("_twin"));
  link.send({ op: "hello" });

  const dispose = () => {
    if (!root.parentNode) return;
    for (const [name, listener] of listeners) model.off(name, listener);
    link.close();
    prompt.close();
    restore();
    root.remove();
  };
  signal?.addEventListener("abort", dispose, { once: true });
  return dispose;
}

export default { render };
