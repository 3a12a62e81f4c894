/** The live view of saewidgets/widgets/steering_panel.py. */

import { makeBars } from "./shared/bars.js";
import { h, put, readable } from "./shared/dom.js";
import { absoluteOf, makeEdits, unitOf } from "./shared/edits.js";
import { makeFinder } from "./shared/finder.js";
import { connect } from "./shared/link.js";
import { makeMeter } from "./shared/meter.js";
import { makeRemarks, makeStatus } from "./shared/notes.js";
import { makeNumber } from "./shared/numbers.js";
import { choose } from "./shared/options.js";
import { makePair } from "./shared/pair.js";
import { makeCopy, makePreset } from "./shared/preset.js";
import { makePromptBox } from "./shared/prompt_box.js";
import { makeRename } from "./shared/rename.js";
import { makeSampling, SAMPLING } from "./shared/sampling.js";
import { makeSmallMultiple } from "./shared/small_multiple.js";
import { makeStrip } from "./shared/strip.js";
import { hideTwin } from "./shared/twin.js";

/** @typedef {import("./shared/link.js").Model} Model */
/** @typedef {import("./shared/edits.js").Edit} Edit */

const ALONE = "no kernel answers: what was computed is shown, changes need one";
const SOON = 100;
const HELD = ["prompt", "sae", "feature", "k", "live", "_edits", "_operations", "_presets", "_saes", "_vectors"];

const legend = () =>
  h(
    ".legend.note",
    h("span", h("span.tok.touched", "hatched"), " a token whose activation an edit changed"),
    h("span", h("span.tok.differs", "underlined"), " the texts differ"),
    h("span", "KL, ticks at .01, .1, 1 nats: small under 0.1, noticeable under 1, large above"),
  );

/** @param {{ model: Model, el: HTMLElement }} context @returns its end, which leaves nothing behind */
function render({ model, el }) {
  const get = model.get.bind(model);
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
    if (prompt !== get("prompt") || link.pending) ask({ prompt });
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
  const offer = h("button.link", { click: () => send({ op: "add", name: get("feature") }) });
  const preset = makePreset({
    onSave: () => send({ op: "preset" }),
    onLoad: (text) => send({ op: "load", text }),
    onProblem(text) {
      refusal = text;
      drawState();
    },
  });
  const presets = h("select.box", {
    label: "Presets of the lab",
    change: () => send({ op: "preset_load", name: presets.value }),
  });
  const hold = h(
    "button.link",
    { click: () => rename(hold, "Name of the preset", "", (name) => ({ op: "preset_save", name })) },
    "keep as …",
  );
  const copy = makeCopy(() => get("_code"));
  const remarks = makeRemarks(get);
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
        needing(list.box, remarks.box, h(".add.flex", finder.box, offer)),
        h(".files.flex.note", needing(presets, hold, ...preset.controls), ...copy.controls),
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
      get("prompt"),
      get("_edits").map((/** @type {Edit} */ edit) => [
        edit.name,
        edit.operation,
        edit.value,
        edit.where,
        edit.keep_norm,
      ]),
      SAMPLING.map((name) => get(name)),
    ]);
  /** Figures that are older than the edits say so. */
  const drawAge = () => {
    const [live, now] = [get("live"), signature()];
    sampling.age(!live && !!get("_texts").steered && written !== now);
    const done = live && get("status").state === "done";
    meter.age(typeof get("_side").kl === "number" && measured !== now && !done);
  };
  const drawEdits = () => {
    list.show(edits, get("_operations"));
    sweep.mark(edits.find(({ key }) => key === get("_sweep").key)?.value);
    drawAge();
  };
  let tokens = "";
  const drawBars = () => {
    const now = get("_bars");
    bars.show(now, get("k"));
    const head = now.prompt;
    strip.grid.hidden = !head;
    put(painted, "");
    if (!head) return;
    const key = JSON.stringify(head);
    if (key !== tokens) strip.show(head);
    tokens = key;
    /** @type {import("./shared/strip.js").Coat[]} */
    const coats = [];
    for (const i of now.steered) coats[i] = { washes: ["var(--touched)"], said: ["steered"], level: 0 };
    strip.paint(coats, 0);
    const n = head.tokens.length;
    const all = head.dropped ? `, showing ${n} of ${n + head.dropped}` : "";
    put(painted, `Prompt: ${now.steered.length} of ${n} tokens steered${all}`);
  };
  const drawTexts = () => {
    written = signature();
    pair.show(get("_texts"), get("max_new_tokens"));
    drawAge();
  };
  const drawSide = () => {
    measured = signature();
    meter.show(get("_side"));
    drawAge();
  };
  const drawSweep = () => {
    const now = get("_sweep");
    const edit = edits.find(({ key }) => key === now.key);
    sweep.show(now, edit ? unitOf(edit) : "× max");
    sweep.mark(edit?.value);
  };
  const drawState = () => {
    state.show(get("status").state, kernel, refusal || get("error"), !!get("_bars").prompt);
    const alone = kernel === "silent";
    if (alone) put(/** @type {HTMLElement} */ (state.box.firstChild), ALONE);
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
    edits = get("_edits").map((/** @type {Edit} */ edit) => {
      const mine = held.get(edit.key);
      return mine ? { ...edit, value: mine.value, absolute: absoluteOf(edit, mine.value) ?? null } : { ...edit };
    });
    prompt.show(get("prompt"));
    const names = get("_saes");
    choose(
      select,
      names.map((/** @type {string} */ name) => [name, readable(name)]),
      get("sae"),
    );
    const kept = get("_presets") ?? [];
    choose(presets, [["", "presets"], ...kept.map((/** @type {string} */ name) => [name, readable(name)])], "");
    presets.hidden = !kept.length;
    sampling.show((name) => get(name));
    k.show(get("k"));
    const feature = get("feature");
    finder.offer(feature, get("_vectors"));
    put(offer, `add ${readable(feature)}`);
    offer.hidden = !feature;
    drawEdits();
  };

  // ---- life
  const report = (/** @type {typeof kernel} */ now, /** @type {string} */ error) => {
    kernel = now;
    if (now === "live") {
      refusal = error;
      if (moves.size) frame ||= requestAnimationFrame(flush);
      pull();
    }
    drawState();
  };
  const receive = (/** @type {any} */ message) => {
    if (message?.op === "found") finder.complete(message.text, message.items);
    if (message?.op === "preset") preset.receive(message.text);
  };
  /** @type {Record<string, () => any>} */
  const changes = {
    _bars: drawBars,
    _texts: drawTexts,
    _side: drawSide,
    _sweep: drawSweep,
    _notes: remarks.show,
    status: drawSoon,
    error: drawState,
  };
  for (const name of [...HELD, ...SAMPLING]) changes[name] = pull;
  const link = connect(model, report, changes, receive);
  const rename = makeRename(root, link.send, ".saew-title", (target) => {
    const card = /** @type {HTMLElement | null} */ (target.closest("[data-key]"));
    const edit = edits.find(({ key, kind }) => key === card?.dataset.key && kind === "feature");
    return edit && card?.firstElementChild && [card.firstElementChild, edit.name, edit.label];
  });
  el.append(root);
  pull();
  drawBars();
  drawTexts();
  drawSide();
  drawSweep();
  drawState();
  const restore = hideTwin(el, get("_twin"));
  link.send({ op: "hello" });

  return () => {
    cancelAnimationFrame(frame);
    clearTimeout(soon);
    link.close();
    prompt.close();
    restore();
    root.remove();
  };
}

export default { render };
