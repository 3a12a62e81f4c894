/** The live view of saewidgets/widgets/steering_panel.py. */

import { makeBars } from "./shared/bars.js";
import { h, readable } from "./shared/dom.js";
import { absoluteOf, makeEdits, unitOf } from "./shared/edits.js";
import { makeFinder } from "./shared/finder.js";
import { connect } from "./shared/link.js";
import { makeMeter } from "./shared/meter.js";
import { makeStatus } from "./shared/notes.js";
import { makeNumber } from "./shared/numbers.js";
import { choose } from "./shared/options.js";
import { makePair } from "./shared/pair.js";
import { makeCopy, makePreset } from "./shared/preset.js";
import { makePromptBox } from "./shared/prompt_box.js";
import { makeSampling, SAMPLING } from "./shared/sampling.js";
import { makeSmallMultiple } from "./shared/small_multiple.js";
import { makeStrip } from "./shared/strip.js";
import { hideTwin } from "./shared/twin.js";

/** @typedef {import("./shared/link.js").Model} Model */
/** @typedef {import("./shared/edits.js").Edit} Edit */

const ALONE = "no kernel answers: what was computed is shown, changes need one";
const SOON = 100;
const HELD = ["prompt", "sae", "feature", "k", "live", "_edits", "_operations", "_saes", "_vectors"];

const legend = () =>
  h(
    ".legend.note",
    h("span", h("span.tok.touched", "hatched"), " a token whose activation an edit changed"),
    h("span", h("span.tok.differs", "underlined"), " the texts differ"),
    h("span", "KL, ticks at .01, .1, 1 nats: small under 0.1, noticeable under 1, large above"),
  );

/** @param {{ model: Model, el: HTMLElement, signal?: AbortSignal }} context */
function render({ model, el, signal }) {
  /** @type {Edit[]} */
  let edits = [];
  /** Strengths not sent yet; the latest of each edit. @type {Map<string, number>} */
  const moves = new Map();
  let frame = 0;
  let refusal = "";
  let [written, measured] = ["", ""];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon;
  /** @type {import("./shared/notes.js").Kernel} */
  let kernel = "live";

  // ---- what the person does
  const flush = () => {
    cancelAnimationFrame(frame);
    frame = 0;
    for (const [key, value] of moves) link.send({ op: "edit", key, value });
    moves.clear();
  };
  const send = (/** @type {Record<string, any>} */ content) => {
    flush();
    link.send(content);
  };
  const ask = (/** @type {Record<string, any>} */ change) => send({ op: "set", ...change });
  /** Draw at once, and tell Python: of moves the latest, one a frame. @param {string} key @param {Partial<Edit>} change @param {boolean} [rest] */
  const onChange = (key, change, rest) => {
    const edit = edits.find((one) => one.key === key);
    if (!edit) return;
    const { value } = change;
    if (value !== undefined) {
      edit.absolute = absoluteOf(edit, value) ?? null;
      edit.value = value;
      moves.set(key, value);
      if (kernel === "live") frame ||= requestAnimationFrame(flush);
    } else if (!rest) {
      Object.assign(edit, change, { reach: null });
      send({ op: "edit", key, ...change });
    } else if (moves.size) flush();
    drawEdits();
  };
  const onRun = (/** @type {string} */ prompt, /** @type {boolean} */ asked) => {
    if (prompt !== model.get("prompt") || link.pending) ask({ prompt });
    else if (asked) send({ op: "generate" });
  };

  // ---- what is on the page
  const root = h(".x");
  root.className = "saew saew-steering";
  /** @type {HTMLFieldSetElement[]} */
  const sets = [];
  /** What needs a kernel. @param {...(Node | string)} children */
  const needing = (...children) => {
    const set = h("fieldset", ...children);
    sets.push(set);
    return set;
  };
  const prompt = makePromptBox(onRun);
  const select = h("select.box", { label: "SAE", change: () => ask({ sae: select.value }) });
  const state = makeStatus(root, () => send({ op: "stop" }));
  const strip = makeStrip({ onSelect() {}, onHover() {} });
  const painted = h("span");
  const list = makeEdits({
    onChange,
    onMove: (key, to) => send({ op: "move", key, to }),
    onRemove: (key) => send({ op: "remove", key }),
    onSweep: (key) => send({ op: "sweep", key }),
    onRest: () => pull(),
    onEmpty: () => finder.input.focus(),
  });
  const finder = makeFinder({
    onAsk: (text) => link.send({ op: "find", text }),
    onAdd: (name) => send({ op: "add", name }),
  });
  const offer = h("button.link", { click: () => send({ op: "add", name: model.get("feature") }) });
  const preset = makePreset({
    onSave: () => send({ op: "preset" }),
    onLoad: (text) => send({ op: "load", text }),
    onProblem(text) {
      refusal = text;
      drawState();
    },
  });
  const copy = makeCopy(() => model.get("_code"));
  const bars = makeBars();
  const k = makeNumber({ name: "k", min: 1, max: 50, onPick: (k) => ask({ k }) });
  const meter = makeMeter();
  const sampling = makeSampling(ask, () => send({ op: "generate" }));
  const pair = makePair(root);
  const sweep = makeSmallMultiple((key, value) => {
    if (!edits.some((edit) => edit.key === key)) return;
    onChange(key, { value });
    flush();
  });
  root.append(
    needing(h(".top", prompt.box, h(".side", select, state.box))),
    state.problem,
    h(".prompt-tokens", h(".note", painted), strip.grid),
    h(
      ".halves",
      h(
        ".left@group",
        { label: "Edits" },
        needing(list.box, h(".add.flex", finder.box, offer)),
        h(".files.flex.note", needing(...preset.controls), ...copy.controls),
        copy.field,
      ),
      h(
        ".right@group",
        { label: "Effect" },
        h(".flex.heading", h("b", "Next token"), bars.kl, needing(h("label.flex.note.k", "k", k.box))),
        bars.box,
        meter.box,
      ),
    ),
    h(".texts@group", { label: "Texts" }, needing(sampling.box), pair.box),
    needing(sweep.box),
    legend(),
    pair.tip,
  );

  // ---- drawing
  const signature = () =>
    JSON.stringify([
      model.get("prompt"),
      model
        .get("_edits")
        .map((/** @type {Edit} */ edit) => [edit.name, edit.operation, edit.value, edit.where, edit.keep_norm]),
      SAMPLING.map((name) => model.get(name)),
    ]);
  /** Figures that are older than the edits say so. */
  const drawAge = () => {
    const [live, now] = [model.get("live"), signature()];
    sampling.age(!live && !!model.get("_texts").steered && written !== now);
    const done = live && model.get("status").state === "done";
    meter.age(typeof model.get("_side").kl === "number" && measured !== now && !done);
  };
  const drawEdits = () => {
    list.show(edits, model.get("_operations"));
    sweep.mark(edits.find(({ key }) => key === model.get("_sweep").key)?.value);
    drawAge();
  };
  let tokens = "";
  const drawBars = () => {
    const now = model.get("_bars");
    bars.show(now, model.get("k"));
    const head = now.prompt;
    strip.grid.hidden = !head;
    painted.textContent = "";
    if (!head) return;
    const key = JSON.stringify(head);
    if (key !== tokens) strip.show(head);
    tokens = key;
    /** @type {import("./shared/strip.js").Coat[]} */
    const coats = [];
    for (const i of now.steered) coats[i] = { layers: ["var(--touched)"], texts: ["steered"], level: 0 };
    strip.paint(coats, 0);
    const n = head.tokens.length;
    const all = head.dropped ? `, showing ${n} of ${n + head.dropped}` : "";
    painted.textContent = `Prompt: ${now.steered.length} of ${n} tokens steered${all}`;
  };
  const drawTexts = () => {
    written = signature();
    pair.show(model.get("_texts"), model.get("max_new_tokens"));
    drawAge();
  };
  const drawSide = () => {
    measured = signature();
    meter.show(model.get("_side"));
    drawAge();
  };
  const drawSweep = () => {
    const now = model.get("_sweep");
    const edit = edits.find(({ key }) => key === now.key);
    sweep.show(now, edit ? unitOf(edit) : "× max");
    sweep.mark(edit?.value);
  };
  const drawState = () => {
    state.show(model.get("status").state, kernel, refusal || model.get("error"), !!model.get("_bars").prompt);
    const alone = kernel === "silent";
    if (alone) /** @type {HTMLElement} */ (state.box.firstChild).textContent = ALONE;
    for (const set of sets) set.disabled = alone;
    drawAge();
  };
  /** States follow each other fast while a slider moves: show one now and then, and the last. */
  const drawSoon = () => {
    soon ??= setTimeout(() => {
      soon = undefined;
      drawState();
    }, SOON);
  };
  /** Take over what Python says, unless Python has not yet heard what we said; never from under the hand. */
  const pull = () => {
    if (link.pending || moves.size) return;
    const held = new Map(edits.filter(({ key }) => list.holds(key)).map((edit) => [edit.key, edit]));
    edits = model.get("_edits").map((/** @type {Edit} */ edit) => {
      const mine = held.get(edit.key);
      return mine ? { ...edit, value: mine.value, absolute: absoluteOf(edit, mine.value) ?? null } : { ...edit };
    });
    prompt.show(model.get("prompt"));
    const names = model.get("_saes");
    choose(
      select,
      names.map((/** @type {string} */ name) => [name, readable(name)]),
      model.get("sae"),
    );
    sampling.show((name) => model.get(name));
    k.show(model.get("k"));
    const feature = model.get("feature");
    finder.offer(feature, model.get("_vectors"));
    offer.textContent = `add ${readable(feature)}`;
    offer.hidden = !feature;
    drawEdits();
  };

  // ---- life
  const link = connect(model, (now, error) => {
    kernel = now;
    if (now === "live") {
      refusal = error;
      if (moves.size) frame ||= requestAnimationFrame(flush);
      pull();
    }
    drawState();
  });
  const receive = (/** @type {any} */ message) => {
    if (message?.op === "found") finder.complete(message.text, message.items);
    if (message?.op === "preset") preset.receive(message.text);
  };
  /** @type {[string, () => void][]} */
  const listeners = [
    ["change:_bars", drawBars],
    ["change:_texts", drawTexts],
    ["change:_side", drawSide],
    ["change:_sweep", drawSweep],
    ["change:status", drawSoon],
    ["change:error", drawState],
    ...[...HELD, ...SAMPLING].map((name) => /** @type {[string, () => void]} */ ([`change:${name}`, pull])),
  ];
  for (const [name, listener] of listeners) model.on(name, listener);
  model.on("msg:custom", receive);
  el.append(root);
  pull();
  drawBars();
  drawTexts();
  drawSide();
  drawSweep();
  drawState();
  const restore = hideTwin(el, model.get("_twin"));
  link.send({ op: "hello" });

  const dispose = () => {
    if (!root.parentNode) return;
    for (const [name, listener] of listeners) model.off(name, listener);
    model.off("msg:custom", receive);
    cancelAnimationFrame(frame);
    clearTimeout(soon);
    link.close();
    prompt.close();
    restore();
    root.remove();
  };
  signal?.addEventListener("abort", dispose, { once: true });
  return dispose;
}

export default { render };
