/** The live view of saewidgets/widgets/attention_patterns.py. */

import { decode } from "./shared/attention_wire.js";
import { forget, take, want } from "./shared/circuitsvis_page.js";
import { h, number, put } from "./shared/dom.js";
import { makeHeadMaps } from "./shared/head_maps.js";
import { makeHeadTable } from "./shared/head_table.js";
import { connect } from "./shared/link.js";
import { makeLooksAt } from "./shared/looks_at.js";
import { makeStatus } from "./shared/notes.js";
import { level, tint } from "./shared/palette.js";
import { makePromptBox } from "./shared/prompt_box.js";
import { makeStrip } from "./shared/strip.js";
import { hideTwin } from "./shared/twin.js";

/** @typedef {import("./shared/link.js").Model} Model */

/** Longer prompts would keep the page busy for a second or more where circuitsvis draws them. */
const MOST = 128;
const LEAST = 0.01;
const LEGEND = "A row for each token that looks, a column for each that it looks at; stronger colour: more weight.";

/** @param {{ model: Model, el: HTMLElement }} context @returns its end, which leaves nothing behind */
function render({ model, el }) {
  /** @type {import("./shared/attention_wire.js").Attention | undefined} */
  let result;
  /** @type {{ head: number | null, token: number | null }} */
  let chosen = { head: null, token: null };
  /** @type {number | undefined} the token under the mouse or in focus */
  let over;
  let refusal = "";
  /** @type {import("./shared/notes.js").Kernel} */
  let kernel = "live";
  /** @type {import("./shared/circuitsvis_page.js").Picture | undefined} */
  let circuits;
  let missing = false;
  let heard = false;

  // ---- what the person does
  const ask = (/** @type {Record<string, any>} */ content) => link.send({ op: "set", ...content });
  const choose = (/** @type {Partial<typeof chosen>} */ next) => {
    chosen = { ...chosen, ...next };
    drawChoice();
    ask(next);
  };
  const onHead = (/** @type {number | null} */ head) => choose({ head: head === chosen.head ? null : head });
  const onSelect = (/** @type {number} */ token) => choose({ token: token === chosen.token ? null : token });
  const onHover = (/** @type {number | undefined} */ position = undefined) => {
    over = position !== undefined && position >= 0 ? position : undefined;
    drawQuery();
  };
  const onRun = (/** @type {string} */ prompt, /** @type {boolean} */ asked) => {
    if (prompt !== model.get("prompt") || link.pending) ask({ prompt });
    else if (asked) link.send({ op: "run" });
  };

  // ---- what is on the page
  const root = h("");
  root.className = "saew saew-attention";
  const prompt = makePromptBox(onRun);
  const layer = h("select.box", { label: "Layer", change: () => ask({ layer: Number(layer.value) }) });
  const state = makeStatus(root, () => link.send({ op: "stop" }));
  const maps = makeHeadMaps({ onHead, onSelect, onHover });
  const strip = makeStrip({ onSelect, onHover });
  const own = h("", maps.box, strip.grid);
  const theirs = h("");
  const notes = h(".notes.flex.note");
  const table = makeHeadTable(onHead);
  const looks = makeLooksAt();
  const named = h("label.flex.note", "Layer", layer);
  root.append(
    h(".left", prompt.box, state.problem, theirs, own, notes),
    h(".right", named, state.box, looks.box, table.grid),
  );
  theirs.hidden = own.hidden = true;

  // ---- drawing
  const query = () => {
    const last = (result?.head.tokens.length ?? 0) - 1;
    return Math.min(over ?? chosen.token ?? last, last);
  };
  /** What the token in question looks at. */
  const drawQuery = () => {
    if (!result) return;
    const coats = [...result.row(chosen.head, query())].map((weight) =>
      weight < LEAST
        ? undefined
        : {
            washes: [`linear-gradient(rgba(253,141,60,${tint(weight)}) 0 0)`],
            said: [number(weight)],
            level: level(weight),
          },
    );
    strip.paint(coats, 0);
    looks.show(result, chosen.head, query());
    maps.look(query());
  };
  const drawChoice = () => {
    const n = result?.head.tokens.length ?? 0;
    const n_heads = result?.head.n_heads ?? 0;
    const token = chosen.token !== null && chosen.token < n ? chosen.token : null;
    const head = chosen.head !== null && chosen.head < n_heads ? chosen.head : null;
    strip.select(token ?? -1);
    table.choose(head);
    maps.choose(head);
    circuits?.pick(head, token);
    drawQuery();
  };
  const drawNotes = () => {
    if (!result) return;
    const { tokens, total, special, n_heads, n_layers, model: name, hook } = result.head;
    const n = tokens.length;
    const cut = total > n;
    const by = own.hidden ? "drawn by circuitsvis" : circuits && n > MOST ? `circuitsvis: up to ${MOST} tokens` : "";
    const parts = [`${special.length} special, kept`, `${n_heads} heads · ${n_layers} layers`, `${name} · ${hook}`, by];
    put(
      notes,
      h(cut ? "b" : "span", cut ? `showing ${n} of ${total} tokens` : `${n} tokens`),
      ...parts.filter(Boolean).map((part) => h("span", part)),
      h("span", LEGEND),
    );
  };
  const drawState = () =>
    state.show(model.get("status").state, kernel, refusal || model.get("error"), result !== undefined);
  /** The picture of circuitsvis takes the place of our own once it is there. */
  const drawCircuits = () => {
    if (!result) return;
    const few = result.head.tokens.length <= MOST;
    if (circuits && few) circuits.draw(result);
    else {
      own.hidden = false;
      theirs.hidden = true;
      circuits?.close();
      if (few && heard && !missing) want(wish);
    }
    drawNotes();
  };
  /** Take over what Python says, unless Python has not yet heard what we said. */
  const pull = () => {
    if (!link.pending) {
      chosen = { head: model.get("head"), token: model.get("token") };
      prompt.show(model.get("prompt"));
      const [now, n] = [model.get("layer"), result?.head.n_layers ?? 0];
      const layers = n ? [...Array(n).keys()] : [now];
      put(layer, ...layers.map((one) => h("option", { value: one }, `${one}`)));
      layer.value = `${now < 0 ? now + n : now}`;
    }
    drawChoice();
  };
  const load = () => {
    try {
      result = decode(model.get("_data"));
    } catch (error) {
      refusal = String(error);
    }
    if (result) {
      over = undefined;
      strip.show(result.head);
      maps.show(result);
      table.show(result.head.heads);
      drawCircuits();
    }
    pull();
    drawState();
  };

  // ---- life
  /** @type {import("./shared/circuitsvis_page.js").Wish} */
  const wish = {
    ask: () => link.send({ op: "script" }),
    use(make) {
      circuits = make({
        onHead,
        onToken: onSelect,
        onOver: onHover,
        onDrawn() {
          own.hidden = true;
          theirs.hidden = false;
          drawNotes();
        },
      });
      put(theirs, circuits.element);
      drawCircuits();
      drawChoice();
    },
  };
  const report = (/** @type {typeof kernel} */ now, /** @type {string} */ error) => {
    kernel = now;
    heard = now === "live";
    if (heard) {
      refusal = error;
      pull();
    }
    if (!heard) forget(wish);
    else if (!circuits) drawCircuits();
    drawState();
  };
  const onMessage = (/** @type {any} */ message) => {
    if (message?.op !== "script") return;
    missing = !message.library;
    if (missing) forget(wish);
    else take(message);
  };
  /** @type {Record<string, () => any>} */
  const changes = { _data: load, status: drawState, error: drawState };
  for (const name of ["prompt", "layer", "head", "token"]) changes[name] = pull;
  const link = connect(model, report, changes, onMessage);
  el.append(root);
  load();
  const restore = hideTwin(el, model.get("_twin"));
  link.send({ op: "hello" });

  return () => {
    link.close();
    forget(wish);
    circuits?.close();
    prompt.close();
    restore();
    root.remove();
  };
}

export default { render };
