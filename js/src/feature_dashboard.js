/** The live view of saewidgets/widgets/feature_dashboard.py. */

import { makeAllFeatures } from "./shared/all_features.js";
import { decode, decodeExamples, decodeLive, decodeTable } from "./shared/dashboard_wire.js";
import { h, readable } from "./shared/dom.js";
import { effects } from "./shared/effects.js";
import { makeExamples } from "./shared/examples.js";
import { makeFeatureHead } from "./shared/feature_head.js";
import { makeFind } from "./shared/find.js";
import { makeIntervals } from "./shared/intervals.js";
import { connect } from "./shared/link.js";
import { makeLiveBox } from "./shared/live_box.js";
import { makeStatus } from "./shared/notes.js";
import { choose } from "./shared/options.js";
import { makeTip } from "./shared/pair.js";
import { makePredicate } from "./shared/predicate.js";
import { makeRating } from "./shared/rating.js";
import { relations } from "./shared/relations.js";
import { makeStack } from "./shared/stack.js";
import { makeTabs } from "./shared/tabs.js";
import { hideTwin } from "./shared/twin.js";

/** @typedef {import("./shared/link.js").Model} Model */

const ALONE = "no kernel answers: tabs, examples, sorting and the threshold work; all else needs one";

/** @param {{ model: Model, el: HTMLElement }} context @returns its end, which leaves nothing behind */
function render({ model, el }) {
  let refusal = "";
  /** @type {import("./shared/notes.js").Kernel} */
  let kernel = "live";
  /** @type {import("./shared/dashboard_wire.js").Dashboard | undefined} */
  let data;
  /** The list that was read whole, where it has come. @type {ReturnType<typeof decodeExamples>} */
  let read;
  /** @type {ReturnType<typeof decodeTable>} */
  let table;
  /** @type {ReturnType<typeof decodeLive>} */
  let activations;
  let [feature, tab, list] = ["", "feature", "top"];
  let [asked, tabled] = ["", ""];

  // ---- what the person does
  const send = (/** @type {Record<string, any>} */ content) => {
    if (kernel !== "silent") link.send(content);
  };
  const ask = (/** @type {Record<string, any>} */ change) => send({ op: "set", ...change });
  const onOpen = (/** @type {string} */ name) => ask({ feature: name });
  const onTab = (/** @type {string} */ next) => {
    tab = next;
    ask({ tab });
    drawTab();
  };
  const onList = (/** @type {string} */ next) => {
    list = next;
    drawExamples();
  };
  const onRun = (/** @type {string} */ prompt, /** @type {boolean} */ again) => {
    if (prompt !== model.get("prompt") || again) ask({ prompt });
  };

  // ---- what is on the page
  const root = h("");
  root.className = "saew saew-dashboard";
  /** @type {HTMLFieldSetElement[]} */
  const sets = [];
  /** What needs a kernel. @param {...(Node | string)} children */
  const needing = (...children) => {
    const set = h("fieldset", ...children);
    sets.push(set);
    return set;
  };
  const select = h("select.box", { label: "SAE", change: () => ask({ sae: select.value }) });
  const find = makeFind((text) => send({ op: "find", text }), onOpen);
  const head = makeFeatureHead(
    {
      onStep: (by) => send({ op: "step", by }),
      onJump: (index) => onOpen(`${model.get("sae")}/${index}`),
      onSay: (said) => send({ op: "annotate", ...said }),
    },
    select,
    find.box,
  );
  const state = makeStatus(root, () => send({ op: "stop" }));
  const tip = makeTip(root);
  const live = makeLiveBox(onRun, tip);
  const intervals = makeIntervals(onList);
  const examples = makeExamples(tip);
  const logits = h("section.logits");
  const related = h("section.relations");
  const all = makeAllFeatures((name) => {
    tab = "feature";
    ask({ feature: name, tab });
    drawTab();
    head.focus();
  });
  const predicate = makePredicate((wanted) => send({ op: "predicate", ...wanted }));
  const stack = makeStack((list) => {
    onList(list);
    onTab("feature");
    head.focus();
  });
  const rating = makeRating({
    onBegin: () => send({ op: "rating_begin" }),
    onRate: (key, score) => send({ op: "rate", key, score }),
  });
  const panels = [
    h(
      ".halves",
      h(".narrow", intervals.box, logits),
      h(".broad", needing(live.box), live.strip, examples.box),
      needing(related),
    ),
    all.box,
    h("", needing(predicate.box), stack.box, needing(rating.box)),
  ];
  const tabs = makeTabs(
    [
      ["feature", "Feature", panels[0]],
      ["table", "All features", panels[1]],
      ["specificity", "Specificity", panels[2]],
    ],
    onTab,
  );
  root.append(
    h(".top.wrap", needing(head.box), state.box),
    needing(head.said),
    head.words,
    state.problem,
    tabs.box,
    ...panels,
    tip.box,
  );

  // ---- drawing
  const drawExamples = () => {
    intervals.choose(list);
    if (!data) return;
    const shown = data.head.feature;
    const given = data.lists.get(list) ?? [];
    const whole = read?.feature === shown && read.list === list ? read.examples : undefined;
    const none = data.head.dead ? "It never fires on this corpus." : "Nothing fires in this interval.";
    examples.show(whole ?? given, data.head.max, none);
    const wanted = `${shown} ${list}`;
    if (whole || !given.length || wanted === asked || kernel === "silent" || shown !== feature || tab !== "feature")
      return;
    asked = wanted;
    send({ op: "examples", list: list === "top" ? list : Number(list) });
  };
  const drawLive = () => {
    live.show(activations, feature, data?.head.feature === feature ? data.head.max : 0);
  };
  const drawScores = () => {
    stack.show(model.get("_specificity"), feature);
    rating.show(model.get("_rating"), feature, !!refusal);
  };
  const drawTable = () => {
    const sae = model.get("sae");
    const fits = table?.head.sae === sae;
    all.show(fits ? table : undefined, kernel === "silent" ? "The table is not in this page." : "No table yet.");
    if (data) all.name(data.head.feature, data.head.label);
    if (fits || tab !== "table" || kernel === "silent" || tabled === sae) return;
    tabled = sae;
    send({ op: "table" });
  };
  const drawTab = () => {
    tabs.show(tab);
    if (tab === "table") drawTable();
    else drawExamples();
  };
  const drawHead = () => {
    head.show(feature, data?.head);
    root.classList.toggle("saew-behind", !!data && data.head.feature !== feature);
  };
  const drawState = () => {
    state.show(model.get("status").state, kernel, refusal || model.get("error"), false);
    const alone = kernel === "silent";
    if (alone) /** @type {HTMLElement} */ (state.box.firstChild).textContent = ALONE;
    for (const set of sets) set.disabled = alone;
  };
  /** Take over what Python says, unless Python has not yet heard what we said. */
  const pull = () => {
    if (link.pending) return;
    [feature, tab] = [model.get("feature"), model.get("tab")];
    const names = model.get("_saes") ?? [];
    choose(
      select,
      names.map((/** @type {string} */ name) => [name, readable(name)]),
      model.get("sae"),
    );
    select.hidden = names.length < 2;
    live.prompt(model.get("prompt"));
    drawHead();
    drawTab();
    drawLive();
    drawScores();
  };
  /** Read a buffer; one that cannot be read is told. @template T @param {(view: DataView) => T} read @param {string} name */
  const unpacked = (read, name) => {
    try {
      return read(model.get(name));
    } catch (error) {
      refusal = String(error);
      drawState();
      return undefined;
    }
  };
  const load = () => {
    data = unpacked(decode, "_data");
    for (const part of [head.words, intervals.box, logits, examples.box, related]) part.hidden = !data;
    if (data) {
      intervals.show(data.head);
      logits.replaceChildren(...effects(data.head.logits));
      related.replaceChildren(...relations(data.head, onOpen));
      all.name(data.head.feature, data.head.label);
    }
    drawHead();
    drawExamples();
    drawLive();
  };
  const loadExamples = () => {
    read = unpacked(decodeExamples, "_examples") ?? read;
    drawExamples();
  };
  const loadTable = () => {
    table = unpacked(decodeTable, "_table") ?? table;
    drawTable();
  };
  const loadLive = () => {
    activations = unpacked(decodeLive, "_live");
    drawLive();
  };

  // ---- life
  const link = connect(model, (now, error) => {
    const missed = kernel === "silent" && tab !== model.get("tab");
    kernel = now;
    if (now === "live") {
      refusal = error;
      if (missed) ask({ tab });
      pull();
    }
    drawState();
    if (now === "silent") drawTab();
  });
  const receive = (/** @type {any} */ message) => {
    if (message?.op === "found") find.show(message.text, message.items);
  };
  /** @type {[string, () => void][]} */
  const listeners = [
    ["change:_data", load],
    ["change:_examples", loadExamples],
    ["change:_table", loadTable],
    ["change:_live", loadLive],
    ["change:_specificity", drawScores],
    ["change:_rating", drawScores],
    ["change:_concepts", () => predicate.show(model.get("_concepts"))],
    ["change:status", drawState],
    ["change:error", drawState],
    ...["feature", "sae", "prompt", "tab"].map(
      (name) => /** @type {[string, () => void]} */ ([`change:${name}`, pull]),
    ),
  ];
  for (const [name, listener] of listeners) model.on(name, listener);
  model.on("msg:custom", receive);
  el.append(root);
  predicate.show(model.get("_concepts"));
  pull();
  for (const read of [loadTable, loadLive, load, loadExamples, drawState]) read();
  const restore = hideTwin(el, model.get("_twin"));
  link.send({ op: "hello" });

  return () => {
    for (const [name, listener] of listeners) model.off(name, listener);
    model.off("msg:custom", receive);
    link.close();
    live.close();
    all.close();
    restore();
    root.remove();
  };
}

export default { render };
