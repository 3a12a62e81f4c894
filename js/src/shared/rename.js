/** A field laid over what it names: F2, a double click or a pen opens it; Enter or leaving it keeps, Escape does not. */

import { h, keep, set } from "./dom.js";
import { place } from "./place.js";

/** @typedef {(content: Record<string, any>, answer: (error: string) => void) => void} Send */

/**
 * What was refused stays in the field, to be mended; keys that are typed there reach nothing else.
 * @param {HTMLElement} root
 * @param {Send} send
 * @param {string} spots where a double click edits a label
 * @param {(target: Element) => [at: Element, feature: string, label: string] | null | undefined} find the feature meant
 */
export function makeRename(root, send, spots, find) {
  /** What is kept already; undefined where it was refused. @type {string | undefined} */
  let stored;
  /** @type {any} */
  let from;
  /** @type {(text: string) => Record<string, any>} */
  let content;

  const close = () => {
    const back = from;
    field.hidden = true; // takes the focus away, in some browsers at once
    back?.focus();
  };
  const save = () => {
    const text = field.value.trim();
    if (text === stored) return close();
    stored = text;
    const asked = content;
    send(content(text), (error) => {
      if (asked !== content || field.hidden) return;
      if (error) stored = undefined;
      else close();
    });
  };
  const field = h("input.rename.box", {
    hidden: true,
    blur() {
      from = undefined;
      if (!field.hidden) save();
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      if (event.key === "Escape") close();
      else if (event.key === "Enter" && !event.isComposing) save();
    },
  });
  /** @param {Element} at @param {string} name @param {string} text @param {typeof content} make @param {number} [x] */
  const open = (at, name, text, make, x) => {
    from = /** @type {ShadowRoot} */ (root.getRootNode()).activeElement;
    content = make;
    field.value = stored = text;
    set(field, "aria-label", name);
    field.hidden = false;
    place(root, field, at, x, -29);
    field.select();
    field.focus();
  };
  const edit = (/** @type {any} */ event) => {
    const { target, key, detail } = event;
    const meant = key ? key === "F2" : target.closest(detail > 1 ? spots : ".saew-pen");
    const spot = meant && root.dataset.state !== "silent" && find(target);
    if (!spot) return;
    keep(event);
    const [at, feature, label] = spot;
    open(at, `Label ${feature}`, label, (label) => ({ op: "annotate", feature, label }), 60);
  };
  root.onclick = root.onkeydown = edit;
  root.append(field);
  return open;
}
