/** The live view of saewidgets/widgets/feature_ranking.py. */

import { makeColumns } from "./shared/columns.js";
import { makeCombobox } from "./shared/combobox.js";
import { makeToggle, named } from "./shared/controls.js";
import { h, put, set, visible } from "./shared/dom.js";
import { headings, metric, nodes, story } from "./shared/headings.js";
import { connect } from "./shared/link.js";
import { makeNotes, makeRemarks, makeStatus } from "./shared/notes.js";
import { idOf, labelOf, picture, unitOf } from "./shared/picture.js";
import { makePromptBox } from "./shared/prompt_box.js";
import { decode } from "./shared/ranking_wire.js";
import { makeRename } from "./shared/rename.js";
import { makeScatter } from "./shared/scatter.js";
import { makeStrip } from "./shared/strip.js";
import { hideTwin } from "./shared/twin.js";

/** @typedef {import("./shared/link.js").Model} Model */

const OWN = ["feature", "k", "order", "position", "method", "scope"];
const ALONE = "no kernel: following, k and order work; all else needs one";
const LEGEND =
  "Bars: right + raises M; left − lowers it; attribution and ablation share a scale. Lines: thick rises into the top k, dotted falls out.";

/**
 * Marks the tokens on which the followed feature fires, its own position underlined.
 * @param {import("./shared/ranking_wire.js").Ranking} ranking
 * @param {number} followed
 */
function coatsOf({ feature, sae, position }, followed) {
  /** @type {import("./shared/strip.js").Coat[]} */
  const coats = [];
  position.forEach((at, row) => {
    if (at >= 0 && feature[row] === feature[followed] && sae[row] === sae[followed])
      coats[at] = { washes: ["linear-gradient(#2f80d052 0 0)"], said: [], level: row === followed ? 4 : 0 };
  });
  return coats;
}

/** @param {{ model: Model, el: HTMLElement }} context @returns its end, which leaves nothing behind */
function render({ model, el }) {
  const get = model.get.bind(model);
  /** @type {Record<string, any>} */
  const own = {};
  let refusal = "";
  /** @type {import("./shared/notes.js").Kernel} */
  let kernel = "live";
  /** @type {import("./shared/ranking_wire.js").Ranking | undefined} */
  let ranking;
  /** @type {import("./shared/picture.js").Picture | undefined} */
  let shown;
  let followed = -1;
  /** The feature in the readout. */
  let told = "";

  // ---- what the person does
  const ask = (/** @type {Record<string, any>} */ content) => link.send({ op: "set", ...content });
  /** Draw at once what this browser can draw, and tell Python. @param {Record<string, any>} change */
  const change = (change) => {
    Object.assign(own, change);
    drawOwn();
    ask(change);
  };
  const onFollow = (/** @type {number} */ row) => {
    if (row === followed) return;
    followed = row;
    drawFollowed();
  };
  const onChoose = (/** @type {number} */ row) => {
    if (!ranking) return;
    const feature = idOf(ranking, row);
    change({ feature: feature === own.feature ? "" : feature });
  };
  const onRun = (/** @type {string} */ prompt, /** @type {boolean} */ asked) => {
    if (prompt !== get("prompt") || link.pending) ask({ prompt });
    else if (asked) link.send({ op: "run" });
  };

  // ---- what is on the page
  const root = h("");
  root.className = "saew saew-ranking";
  const prompt = makePromptBox(onRun);
  const select = h("select.box", { label: "SAE", change: () => ask({ sae: select.value }) });
  const state = makeStatus(root, () => link.send({ op: "stop" }));
  const whole = h("button.whole.box", { click: () => change({ position: null }) }, "whole prompt");
  const strip = makeStrip({
    onSelect: (position) => change({ position: position === own.position ? null : position }),
    onHover: () => {},
  });
  const notes = makeNotes((mask_special) => ask({ mask_special }));
  const fields = ["target", "baseline"].map((field, i) =>
    makeCombobox({
      name: ["Target", "Baseline"][i],
      none: ["most likely next token", "mean logit"][i],
      onAsk: (text) => link.send({ op: "complete", field, text }),
      onPick: (value) => ask({ [field]: value }),
    }),
  );
  const method = h(
    "select.box",
    { change: () => change({ method: method.value }) },
    h("option", { value: "attribution" }, "attribution"),
    h("option", { value: "integrated_gradients" }, "integrated gradients"),
  );
  const scope = makeToggle(
    "Ablate",
    [
      ["position", "at this position"],
      ["all_positions", "at all positions at once"],
    ],
    (scope) => change({ scope }),
  );
  const order = makeToggle(
    "Order",
    [
      ["absolute", "absolute"],
      ["signed", "signed"],
    ],
    (order) => change({ order }),
  );
  const count = h("input.box.k", {
    type: "number",
    min: 1,
    max: 1000,
    change() {
      const k = Math.round(Number(count.value));
      if (k >= 1 && k <= 1000) change({ k });
      else count.value = own.k;
    },
    keydown: (/** @type {Event} */ event) => event.stopPropagation(),
  });
  const columns = makeColumns({ onFollow, onChoose });
  const scatter = makeScatter({ onFollow, onChoose });
  const heads = h(".heads");
  const rest = h(".nodes@table", { label: "What is no feature" });
  const line = h("span");
  const write = h("button.pen.faint");
  const remarks = makeRemarks(get);
  const formula = h(".metric");
  const chart = h(".chart", heads, columns.box, rest, h(".note", LEGEND));
  root.append(
    h(".top", prompt.box, h(".side", select, state.box)),
    state.problem,
    h(".tokens", h(".flex.note", "Features of", whole, "or of one token:"), strip.grid, notes.box),
    h(".controls", ...fields.map(({ box }) => box), named("Method", method), scope.box),
    h(".controls.view", formula, order.box, named("k", count)),
    h(".readout", line, write),
    h(".charts", chart, h(".plot", scatter.box, remarks.box)),
  );

  // ---- drawing
  const drawFollowed = () => {
    for (const part of [columns, scatter]) part.follow(followed);
    if (!shown) return;
    strip.paint(coatsOf(shown.ranking, followed), 0);
    const { ranking, orders } = shown;
    const { feature } = own;
    const row = followed >= 0 ? followed : (orders[1].find((one) => idOf(ranking, one) === feature) ?? -1);
    const ours = ranking.head.saes.some((sae) => feature.startsWith(`${sae}/`));
    const missing = ours ? " does not fire here" : " is of another SAE";
    const hint = "Hover or use arrow keys to follow a feature; click or Enter chooses it.";
    const label = labelOf(ranking, feature);
    const silent = feature ? [h("b", feature), label && ` ${label}`, missing] : [h("span.faint", hint)];
    told = row >= 0 ? idOf(ranking, row) : feature;
    write.hidden = !told;
    set(write, "aria-label", `Label ${told}`);
    put(line, ...(row >= 0 ? story(shown, row) : silent));
  };
  const drawPicture = () => {
    const running = get("status").state === "running";
    if (ranking) {
      shown = picture(ranking, own.order === "signed", own.k, own.feature);
      if (followed >= ranking.n) followed = -1;
      put(heads, ...headings(shown, running));
      columns.show(shown);
      columns.choose(own.feature);
      put(rest, ...nodes(ranking));
      scatter.show(ranking, shown.shown, shown.r[1], unitOf(ranking.head.metric));
    }
    drawFollowed();
  };
  const drawControls = () => {
    const { position } = own;
    set(whole, "aria-pressed", position === null);
    strip.select(position ?? -1);
    put(scope.buttons[0], position === null ? "at each position" : "at this position");
    scope.show(own.scope ?? (position === null ? "all_positions" : "position"));
    order.show(own.order);
    method.value = own.method;
    count.value = own.k;
  };
  const drawOwn = () => {
    drawControls();
    drawPicture();
  };
  const drawState = () => {
    const { state: now } = get("status");
    state.show(now, kernel, refusal || get("error"), !!ranking);
    if (kernel === "silent") put(/** @type {HTMLElement} */ (state.box.firstChild), ALONE);
  };
  const drawStatus = () => {
    drawPicture();
    drawState();
  };
  const drawFields = () => {
    const head = ranking?.head;
    const next = head?.target ? `most likely: ${visible(head.target)}` : "most likely next token";
    fields[0].show(get("target"), head?.target ?? "", next);
    fields[1].show(get("baseline"), head?.baseline ?? "", "mean logit");
    if (head) for (const field of fields) field.offer(head.predictions);
  };
  /** Take over what Python says, unless Python has not yet heard what we said. */
  const pull = () => {
    if (link.pending) return;
    const former = JSON.stringify(own);
    for (const name of OWN) own[name] = get(name);
    prompt.show(get("prompt"));
    const names = get("_saes").map((/** @type {string} */ name) => h("option", { value: name }, name));
    put(select, ...names);
    select.value = get("sae");
    drawFields();
    // What is clicked twice must not be drawn anew in between.
    if (JSON.stringify(own) !== former) drawOwn();
  };
  /** Labels change where they stand, so that what has the focus keeps it. */
  const drawLabels = () => {
    if (!ranking) return;
    ranking.told = get("_labels");
    for (const node of columns.box.querySelectorAll(".saew-of.saew-faint")) {
      const { dataset } = /** @type {HTMLElement} */ (node.parentElement);
      put(node, labelOf(ranking, idOf(ranking, Number(dataset.row))));
    }
    drawFollowed();
  };
  const load = () => {
    const former = ranking?.head;
    try {
      ranking = decode(get("_data"));
    } catch (error) {
      refusal = String(error);
    }
    if (ranking) {
      const { head } = ranking;
      if (former?.tokens.join() !== head.tokens.join() || former.masked.join() !== head.masked.join()) {
        strip.show(head);
        notes.show(/** @type {any} */ (head), get("mask_special"));
        drawControls();
      }
      put(formula, ...metric(head));
      ranking.told = get("_labels");
      drawFields();
      drawPicture();
    }
    drawState();
  };

  // ---- life
  const report = (/** @type {typeof kernel} */ now, /** @type {string} */ error) => {
    kernel = now;
    if (now === "live") {
      refusal = error;
      pull();
    }
    drawState();
  };
  const receive = (/** @type {any} */ message) => {
    if (message?.op !== "completions") return;
    const items = message.items.map((/** @type {any[]} */ [, text, value]) => [value, text]);
    fields[message.field === "target" ? 0 : 1].complete(message.text, items);
  };
  /** @type {Record<string, () => any>} */
  const changes = { _data: load, _labels: drawLabels, _notes: remarks.show, status: drawStatus, error: drawState };
  for (const name of [...OWN, "prompt", "target", "baseline", "sae", "_saes"]) changes[name] = pull;
  const link = connect(model, report, changes, receive);
  makeRename(root, link.send, ".saew-entry", (target) => {
    const at = /** @type {HTMLElement | null} */ (target.closest(".saew-entry,.saew-readout"));
    if (!ranking || !at) return null;
    const { row } = at.dataset;
    const id = row ? idOf(ranking, Number(row)) : told;
    return [at, id, labelOf(ranking, id)];
  });
  el.append(root);
  pull();
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
