/** Elements whose text is always text, and numbers and characters as people read them. */

/**
 * @template {string} S
 * @typedef {S extends `${infer T}.${string}` ? T : S extends `${infer T}@${string}` ? T : S} TagOf
 */
/**
 * @template {string} S
 * @typedef {TagOf<S> extends keyof HTMLElementTagNameMap ? HTMLElementTagNameMap[TagOf<S>] : HTMLDivElement} Made
 */

const FOCUSABLE = /^(but|inp|sel|text)/;

/**
 * Make an element: `h("span.chip", { title: "..." }, child)` or `h("b", "text")`; `@row` gives it a role. Classes get
 * the prefix of this package; without a tag it is a div. Functions listen to the event of their name, `label` is its aria-label; false and
 * undefined are left out. What can take the focus keeps its keys from Jupyter's shortcuts. Strings become text nodes.
 * @template {string} S
 * @param {S} spec
 * @param {Record<string, any> | string | Node} [props]
 * @param {...(Node | string)} children
 * @returns {Made<S>}
 */
export function h(spec, props = {}, ...children) {
  if (typeof props === "string" || props instanceof Node) return h(spec, {}, props, ...children);
  const [, tag, look, role] = /** @type {RegExpExecArray} */ (/(\w*)([^@]*)@?(.*)/.exec(spec));
  const node = document.createElement(tag || "div");
  if (role) set(node, "role", role);
  if (look) node.className = look.replaceAll(".", " saew-").slice(1);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== false && value !== undefined) set(node, name === "label" ? "aria-label" : name, value);
  }
  if (FOCUSABLE.test(tag) || "tabindex" in props) node.dataset.lmSuppressShortcuts = "true";
  node.append(...children);
  return /** @type {Made<S>} */ (/** @type {unknown} */ (node));
}

/**
 * Set an attribute to what a value is as text.
 * @param {Element} node
 * @param {string} name
 * @param {unknown} value
 */
export const set = (node, name, value) => node.setAttribute(name, `${value}`);

/**
 * Put children, or a text, in the place of what a node has.
 * @param {Element} node
 * @param {...(Node | string)} children
 */
export const put = (node, ...children) => node.replaceChildren(...children);

/**
 * Draw what is in a box anew; the focus stays at its place.
 * @param {Element} box
 * @param {Node[]} children
 * @returns what has the focus, or can get it first
 */
export function redraw(box, children) {
  const all = () => /** @type {HTMLElement[]} */ ([...box.querySelectorAll("[tabindex],button")]);
  const { activeElement } = /** @type {ShadowRoot} */ (box.getRootNode());
  const at = all().indexOf(/** @type {HTMLElement} */ (activeElement));
  put(box, ...children);
  const next = all()[Math.max(0, at)];
  if (at >= 0) next?.focus();
  return next;
}

/**
 * Keep an event from the page and from Jupyter.
 * @param {Event} event
 */
export const keep = (event) => {
  event.preventDefault();
  event.stopPropagation();
};

/**
 * Three significant digits.
 * @param {number} value
 */
export function number(value) {
  if (!value) return "0";
  const size = Math.abs(value);
  if (size >= 1000) return value.toFixed(0);
  return size < 1e-4 ? value.toExponential(1) : value.toPrecision(3);
}

/**
 * A share as a percentage; a dash where it is not known.
 * @param {number} share
 */
export function percent(share) {
  if (share < 0) return "–";
  if (share > 0 && share < 1e-4) return "<0.01%";
  return `${(100 * share).toFixed(share < 0.1 ? 2 : 1)}%`;
}

/** @type {Record<string, string>} */
const MARKS = { " ": "·", "\n": "↵", "\t": "⇥", "\x7f": "␡" };

/**
 * What stands for a character that cannot be seen; undefined for all others. The joiners inside emoji stay as they are.
 * @param {string} character
 */
export function mark(character) {
  const code = character.codePointAt(0) ?? 0;
  if (MARKS[character]) return MARKS[character];
  if (code < 32) return String.fromCodePoint(0x2400 + code);
  if (code !== 0x200d && /^[\p{Cf}\p{Zl}\p{Zp}\x80-\x9f]$/u.test(character))
    return `⟨${code.toString(16).toUpperCase()}⟩`;
  return undefined;
}

/**
 * Text with invisible characters to be seen.
 * @param {string} text
 */
export const visible = (text) => [...text].map((character) => mark(character) ?? character).join("");

/**
 * Prose with invisible characters to be seen; spaces stay spaces.
 * @param {string} text
 */
export const readable = (text) => text.split(" ").map(visible).join(" ");
