/** The bar of saewidgets/widgets/explorer.py: the chosen feature, which views are seen, and how large they are. */

import { h, keep, readable, set } from "./shared/dom.js";
import { connect } from "./shared/link.js";
import { arrange, findPanes, GAP, SIZED, WIDE } from "./shared/panes.js";
import { makeSeparator } from "./shared/separator.js";

/** @typedef {import("./shared/link.js").Model} Model */

const SOON = 120;
/** @type {Record<string, string>} */
const LABELS = { x: "Width of the left column", y: "Height of the upper left view", z: "Height of the columns" };
/** Views with a prompt box of their own, in their order: the first that is seen keeps it. */
const PROMPTED = ["tokens", "ranking", "steering"];
const TYPED = "input, textarea, select, [contenteditable]:not([contenteditable=false])";

/** @param {{ model: Model, el: HTMLElement }} context @returns its end, which leaves nothing behind */
function render({ model, el }) {
  /** @type {string[]} */
  const names = model.get("_panes");
  const titles = model.get("_titles");
  /** @type {import("./shared/panes.js").Ranges} */
  const ranges = model.get("_ranges");
  let sizes = model.get("sizes");
  /** @type {string[]} */
  let shown = model.get("shown");
  let [refusal, alone, wide, inside] = ["", false, true, false];
  /** @type {ReturnType<typeof findPanes>} */
  let found;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let soon;
  /** What has not been sent yet. @type {Record<string, any>} */
  let changed = {};

  // ---- what the person does
  const flush = () => {
    clearTimeout(soon);
    soon = undefined;
    if (Object.keys(changed).length && !alone) link.send({ op: "set", ...changed });
    changed = {};
  };
  const change = (/** @type {Record<string, any>} */ what, wait = 0) => {
    Object.assign(changed, what);
    clearTimeout(soon);
    soon = setTimeout(flush, wait);
    draw();
  };
  const onMove = (/** @type {string} */ name, /** @type {number} */ value, /** @type {boolean} */ done) => {
    sizes = { ...sizes, [name]: value };
    change({ sizes }, done ? SOON : 4 * SOON);
  };
  const onToggle = (/** @type {string} */ name) => {
    shown = names.filter((one) => shown.includes(one) !== (one === name));
    change({ shown });
  };
  const steer = () => {
    const { feature, steered } = model.get("_offer");
    if (!feature || alone || !names.includes("steering")) return;
    if (!shown.includes("steering")) onToggle("steering");
    if (!steered) link.send({ op: "steer" });
    found?.panes[names.indexOf("steering")].scrollIntoView({ block: "nearest" });
  };
  /** A view that draws its rows anew may lose the focus: its keys are heard until the hand is elsewhere. */
  const onHand = (/** @type {Event} */ event) => {
    inside = !!found && event.composedPath().includes(found.parent);
  };
  const onKey = (/** @type {KeyboardEvent} */ event) => {
    const target = /** @type {Element} */ (event.composedPath()[0]);
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing;
    if (!inside || event.key !== "s" || !plain || target.matches(TYPED)) return;
    keep(event);
    steer();
  };

  // ---- what is on the page
  const root = h(".x");
  root.className = "saew saew-explorer";
  const feature = h("span.chosen", { "aria-live": "polite" });
  const button = h("button.steer.box", { click: steer, "aria-keyshortcuts": "s" });
  const toggles = names.map((name) => h("button.box", { click: () => onToggle(name) }, titles[name]));
  const note = h("span.note@status");
  const problem = h(".error@alert", { hidden: true });
  const separators = SIZED.map(([place, name]) => {
    const room = () => {
      if (name === "height") return 1;
      return name === "rows" ? sizes.height - GAP : (found?.parent.clientWidth ?? 0) - GAP;
    };
    const label = LABELS[place];
    const move = (/** @type {number} */ value, /** @type {boolean} */ done) => onMove(name, value, done);
    return makeSeparator({ place, label, range: ranges[name], value: () => sizes[name], room, onMove: move });
  });
  root.append(
    h(
      ".bar@group",
      { label: "Explorer" },
      h(".flex", feature, button),
      note,
      h(".flex.seen@group", { label: "Views to show" }, ...toggles),
      problem,
    ),
    ...separators.map(({ box }) => box),
  );

  // ---- drawing
  const drawOffer = () => {
    const { feature: name, label, steered } = model.get("_offer");
    feature.replaceChildren(
      name ? h("b", readable(name)) : h("span.faint", "no feature chosen"),
      label ? ` ${readable(label)}` : "",
    );
    button.hidden = !names.includes("steering");
    button.textContent = steered ? "✓ steered" : "Steer it";
    button.title = steered ? "Show it in the steering panel" : "Add it to the steering panel (s)";
    button.disabled = !name || alone;
  };
  const drawState = () => {
    note.textContent = alone ? "no kernel answers: each view is by itself" : "";
    const error = refusal || model.get("error");
    problem.hidden = !error;
    problem.replaceChildren(h(".what", error));
    drawOffer();
  };
  const draw = () => {
    toggles.forEach((toggle, i) => {
      set(toggle, "aria-pressed", shown.includes(names[i]));
    });
    const seen = names.filter((name) => shown.includes(name));
    const grid = arrange(seen, sizes, wide);
    SIZED.forEach(([place], i) => {
      separators[i].show(!!found && grid.separators.includes(place));
    });
    if (!found) return;
    const { parent, own, panes } = found;
    parent.classList.add("saew-panes");
    parent.classList.toggle("saew-narrow", !wide);
    for (const name of /** @type {const} */ (["columns", "rows", "areas"]))
      parent.style.setProperty(`--saew-${name}`, grid[name]);
    for (let node = el; node !== parent; node = /** @type {HTMLElement} */ (node.parentElement))
      node.classList.add("saew-through");
    own.classList.add("saew-through");
    const keeps = PROMPTED.find((name) => seen.includes(name));
    panes.forEach((pane, i) => {
      pane.classList.add("saew-pane");
      pane.classList.toggle("saew-away", !seen.includes(names[i]));
      pane.classList.toggle("saew-last", names[i] === "steering");
      pane.classList.toggle("saew-follows", PROMPTED.includes(names[i]) && names[i] !== keeps);
      pane.style.setProperty("--saew-area", names[i]);
    });
  };
  /** Take over what Python says, unless Python has not yet heard what we said. */
  const pull = () => {
    if (link.pending || soon) return;
    sizes = model.get("sizes");
    shown = model.get("shown");
    draw();
  };

  // ---- the box around it: views are put into it after this one, and it into the page after that
  const sized = new ResizeObserver(() => {
    const width = found?.parent.clientWidth;
    if (found && width && wide !== width >= WIDE) {
      wide = !wide;
      draw();
    } else if (!found) seek();
  });
  const replaced = new MutationObserver(() => seek());
  const seek = () => {
    const next = findPanes(el, names);
    if (next && next.parent !== found?.parent) {
      leave();
      replaced.observe(next.parent, { childList: true });
      sized.observe(next.parent);
      if (next.parent.clientWidth) wide = next.parent.clientWidth >= WIDE;
    }
    found = next ?? found;
    draw();
  };
  const leave = () => {
    if (!found) return;
    const { parent, panes } = found;
    sized.unobserve(parent);
    replaced.disconnect();
    parent.classList.remove("saew-panes", "saew-narrow");
    for (const pane of panes) pane.classList.remove("saew-pane", "saew-away", "saew-last", "saew-follows");
    found = undefined;
  };

  // ---- life
  const link = connect(model, (now, error) => {
    alone = now === "silent";
    if (now === "live") {
      refusal = error;
      pull();
    }
    drawState();
  });
  /** @type {[string, () => void][]} */
  const listeners = [
    ["change:_offer", drawOffer],
    ["change:error", drawState],
    ["change:sizes", pull],
    ["change:shown", pull],
  ];
  for (const [name, listener] of listeners) model.on(name, listener);
  /** @type {[string, (event: any) => void][]} */
  const hand = [
    ["pointerdown", onHand],
    ["focusin", onHand],
    ["keydown", onKey],
  ];
  for (const [name, listener] of hand) document.addEventListener(name, listener);
  el.append(root);
  sized.observe(/** @type {Element} */ (root.firstChild));
  drawState();
  seek();
  link.send({ op: "hello" });

  return () => {
    flush();
    for (const [name, listener] of listeners) model.off(name, listener);
    for (const [name, listener] of hand) document.removeEventListener(name, listener);
    leave();
    sized.disconnect();
    link.close();
    root.remove();
  };
}

export default { render };
