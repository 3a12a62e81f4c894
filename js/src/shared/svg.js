/** SVG elements; strings become text nodes. */

import { set } from "./dom.js";

/**
 * @param {string} tag
 * @param {Record<string, string | number>} [props] classes get the prefix of this package
 * @param {...(Node | string)} children
 */
export function svg(tag, props = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(props))
    set(node, name, name === "class" ? `${value}`.replace(/\w+/g, "saew-$&") : value);
  node.append(...children);
  return node;
}
