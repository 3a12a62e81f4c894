/**
 * The picture of the package circuitsvis; goes to a page with the script of that package, once (circuitsvis_picture.py).
 *
 * circuitsvis puts tokens into the page as HTML, so that they are escaped before it gets them.
 */

import { h, keep, set, visible } from "./shared/dom.js";

/** @typedef {import("./shared/attention_wire.js").Attention} Attention */
/** @typedef {{ render(id: string, component: any, props: object): void, AttentionPatterns: any }} Library */

/** @type {Record<string, string>} */
const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
/** A token as circuitsvis may have it: HTML that reads as the token. @param {string} token */
export const escaped = (token) => visible(token).replace(/[&<>"']/g, (character) => ENTITIES[character]);

/**
 * @param {Library} library
 * @param {import("./shared/circuitsvis_page.js").Handlers} handlers
 */
export default function makeCircuits(library, { onHead, onToken, onOver, onDrawn }) {
  // Its tensors are tiny. On the graphics card each new shape costs a shader, which holds up the page for seconds.
  /** @type {any} */ (globalThis)._tfengine?.setBackend("cpu");
  /** @type {Attention} */
  let result;
  /** @type {{ head: number | null, token: number | null }} what is asked for */
  let wanted = { head: null, token: null };
  /** @type {{ head: number | null, token: number | null }} what circuitsvis has taken over */
  let locked = { ...wanted };
  let driving = false;
  /** @type {HTMLElement | undefined} */
  let shown;
  const heads = () => parts(shown, "figure canvas");
  const tokens = () => parts(shown, ".tokens button");
  const observer = new MutationObserver(() => finish());
  const inker = new MutationObserver((changes) => {
    for (const { target } of changes) ink(/** @type {HTMLElement} */ (target));
  });

  const draw = () => {
    const { n_heads, tokens: texts } = result.head;
    const attention = Array.from({ length: n_heads }, (_, head) =>
      texts.map((_, query) => [...result.row(head, query), ...Array(texts.length - query - 1).fill(0)]),
    );
    observer.disconnect();
    const div = h("", { id: `saew-cv-${Math.random().toString(36).slice(2)}`, hidden: true });
    for (const old of [...box.children]) if (old !== shown) old.remove();
    // circuitsvis looks for the element in the document; from then on it may be anywhere, in a shadow root too.
    document.body.append(div);
    library.render(div.id, library.AttentionPatterns, { tokens: texts.map(escaped), attention });
    box.append(div);
    observer.observe(div, { childList: true, subtree: true });
    finish();
  };
  const finish = () => {
    const div = /** @type {HTMLElement} */ (box.lastElementChild);
    if (!div || div === shown || parts(div, ".tokens button").length !== result.head.tokens.length) return;
    observer.disconnect();
    const focused = focus();
    shown?.remove();
    shown = div;
    locked = { head: null, token: null };
    dress(div, result);
    inker.disconnect();
    for (const button of tokens()) inker.observe(button, { attributes: true, attributeFilter: ["style"] });
    tokens().forEach(ink);
    div.hidden = false;
    choose();
    if (focused) rove(focused.isHead ? heads() : tokens(), focused.at)?.focus();
    onDrawn();
  };
  /** Which part has the focus. */
  const focus = () => {
    const { activeElement } = /** @type {ShadowRoot} */ (box.getRootNode());
    const [head, token] = [heads(), tokens()].map((all) => all.indexOf(/** @type {HTMLElement} */ (activeElement)));
    return head < 0 && token < 0 ? undefined : { isHead: head >= 0, at: Math.max(head, token) };
  };
  /** Bring circuitsvis to what is wanted; it can choose and not unchoose, so that for that it is drawn again. */
  const choose = () => {
    if (!shown) return;
    const { head, token } = wanted;
    if ((head === null && locked.head !== null) || (token === null && locked.token !== null)) return draw();
    driving = true;
    if (head !== locked.head) heads()[head ?? -1]?.click();
    if (token !== locked.token) tokens()[token ?? -1]?.click();
    driving = false;
    locked = { ...wanted };
    mark(heads(), head);
    mark(tokens(), token);
  };

  const place = (/** @type {Event} */ { target }) => {
    const from = /** @type {Element} */ (target);
    const figure = from.closest("figure");
    const part = /** @type {HTMLElement} */ (figure?.querySelector("canvas") ?? from.closest(".tokens button"));
    const all = figure ? heads() : tokens();
    return { part, all, at: all.indexOf(part), isHead: !!figure };
  };
  /** What the mouse does by being there, the focus does too. @param {string} type */
  const hover = (type) => (/** @type {Event} */ event) =>
    place(event).part?.dispatchEvent(new MouseEvent(type, { bubbles: true }));
  const box = h(".cv", {
    click(/** @type {Event} */ event) {
      const { all, at, isHead } = place(event);
      if (driving || at < 0) return;
      locked[isHead ? "head" : "token"] = at;
      rove(all, at);
      (isHead ? onHead : onToken)(at);
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      const { part, all, at } = place(event);
      if (at < 0) return;
      /** @type {Record<string, number>} */
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: all.length - 1 };
      const to = moves[event.key];
      if (event.key === "Enter" || event.key === " ") part.click();
      else if (to === undefined) return;
      else rove(all, Math.max(0, Math.min(all.length - 1, to)))?.focus();
      keep(event);
    },
    focusin: hover("mouseover"),
    focusout: hover("mouseout"),
    mouseover(/** @type {Event} */ event) {
      const { at, isHead } = place(event);
      onOver(isHead || at < 0 ? undefined : at);
    },
    mouseout: () => onOver(),
  });
  return {
    element: box,
    /** @param {Attention} next */
    draw(next) {
      result = next;
      draw();
    },
    /** @param {number | null} head @param {number | null} token */
    pick(head, token) {
      wanted = { head, token };
      choose();
    },
    close() {
      observer.disconnect();
      inker.disconnect();
      box.replaceChildren();
      shown = undefined;
    },
  };
}

/** @param {HTMLElement | undefined} div @param {string} selector */
const parts = (div, selector) => /** @type {HTMLElement[]} */ ([...(div?.querySelectorAll(selector) ?? [])]);

/** @param {HTMLElement[]} all @param {number} at */
function rove(all, at) {
  all.forEach((one, i) => {
    one.tabIndex = i === at ? 0 : -1;
  });
  return all[at];
}

/** @param {HTMLElement[]} all @param {number | null} at */
function mark(all, at) {
  all.forEach((one, i) => {
    set(one, "aria-pressed", i === at);
  });
  rove(
    all,
    at ??
      Math.max(
        0,
        all.findIndex((one) => one.tabIndex === 0),
      ),
  );
}

/** Names, roles and keys, which circuitsvis does not give. @param {HTMLElement} div @param {Attention} result */
function dress(div, result) {
  const [all, ...heads] = parts(div, "canvas");
  set(all, "role", "img");
  set(all, "aria-label", "Attention pattern: a row for each token that looks");
  for (const title of parts(div, "h4")) set(title, "role", "presentation");
  const [selects, buttons] = [parts(div, "select"), parts(div, ".tokens button")];
  for (const select of selects) set(select, "aria-label", "Direction");
  heads.forEach((canvas, i) => {
    set(canvas, "role", "button");
    set(canvas, "aria-label", `head ${i}`);
  });
  buttons.forEach((button, i) => {
    set(button, "aria-label", `${i}: ${visible(result.head.tokens[i])}`);
  });
  for (const one of [...heads, ...buttons, ...selects]) one.dataset.lmSuppressShortcuts = "true";
}

/** The ink of a token that can be read on its ground. @param {HTMLElement} button */
function ink(button) {
  const numbers = button.style.backgroundColor.match(/[\d.]+/g) ?? [255, 255, 255];
  const [red, green, blue] = numbers.map((one) => (Number(one) / 255) ** 2.2);
  const dark = 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179;
  const colour = dark ? "rgb(0, 0, 0)" : "rgb(255, 255, 255)";
  if (button.style.color !== colour) button.style.color = colour;
}
