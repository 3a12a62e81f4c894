/** The live view of saewidgets/widgets/token_activations.py. */

import { makeChips, makeLegend } from "./shared/chips.js";
import { coatsOf } from "./shared/coats.js";
import { h, put } from "./shared/dom.js";
import { makeFeatureList } from "./shared/feature_list.js";
import { connect } from "./shared/link.js";
import { makeNotes, makeRemarks, makeStatus } from "./shared/notes.js";
import { makePromptBox } from "./shared/prompt_box.js";
import { makeRename } from "./shared/rename.js";
import { MOST, Selection } from "./shared/selection.js";
import { makeStrip } from "./shared/strip.js";
import { makeTip, makeTokenPanel } from "./shared/token_panel.js";
import { hideTwin } from "./shared/twin.js";
import { decode } from "./shared/wire.js";

/** @typedef {import("./shared/link.js").Model} Model */

const OWN = ["feature", "features", "token"];

/** @param {{ model: Model, el: HTMLElement }} context @returns its end, which leaves nothing behind */
function render({ model, el }) {
  const get = model.get.bind(model);
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
    if (prompt !== get("prompt") || link.pending) ask({ prompt });
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
  const remarks = makeRemarks(get);
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
    h(".left", prompt.box, state.problem, chips.box, remarks.box, strip.grid, legend.box, notes.box, panel.box),
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
    const at = chosen.token ?? length;
    const token = at < length ? at : -1;
    strip.select(token);
    panel.show(chosen, token);
  };
  const drawState = () => {
    state.show(get("status").state, kernel, refusal || get("error"), !!chosen.result);
  };
  /** Take over what Python says, unless Python has not yet heard what we said. */
  const pull = () => {
    if (!link.pending) {
      for (const name of OWN) /** @type {any} */ (chosen)[name] = get(name);
      prompt.show(get("prompt"));
      put(select, ...get("_saes").map((/** @type {string} */ name) => h("option", { value: name }, name)));
      select.value = get("sae");
    }
    colour();
    drawToken();
  };
  /** Labels change where they stand, so that what has the focus keeps it. */
  const drawLabels = () => {
    chosen.told = get("_labels");
    for (const row of chosen.result?.rows.values() ?? []) row.label = chosen.labelOf(row.feature);
    for (const node of /** @type {NodeListOf<HTMLElement>} */ (root.querySelectorAll(".saew-label"))) {
      node.title = chosen.labelOf(/** @type {HTMLElement} */ (node.closest("[data-feature]")).dataset.feature);
      put(node, node.title);
    }
  };
  const load = () => {
    try {
      chosen.result = decode(get("_data"));
    } catch (error) {
      refusal = String(error);
    }
    const { result } = chosen;
    drawLabels();
    if (result) {
      strip.show(result.head);
      tip.show(chosen);
      list.show(chosen);
      notes.show(result.head, get("mask_special"));
    }
    pull();
    drawState();
  };

  // ---- life
  /** @type {Record<string, () => any>} */
  const changes = { _data: load, _labels: drawLabels, _notes: remarks.show, status: drawState, error: drawState };
  for (const name of [...OWN, "prompt", "sae", "_saes"]) changes[name] = pull;
  const report = (/** @type {typeof kernel} */ now, /** @type {string} */ error) => {
    kernel = now;
    if (now === "live") {
      refusal = error;
      pull();
    }
    drawState();
  };
  const link = connect(model, report, changes);
  makeRename(root, link.send, ".saew-name,.saew-pick", (target) => {
    const at = /** @type {HTMLElement | null} */ (target.closest("[data-feature]"));
    return at && [at, chosen.idOf(at.dataset.feature), chosen.labelOf(at.dataset.feature)];
  });
  el.append(root);
  load();
  const restore = hideTwin(el, get("_twin"));
  link.send({ op: "hello" });

  return () => {
    link.close();
    prompt.close();
    restore();
    root.remove();
  };
}

export default { render };
