/** Where a box that floats over a view stands. */

/**
 * Put a box below an element of a view, inside of the view.
 * @param {HTMLElement} root
 * @param {HTMLElement} box
 * @param {Element} cell
 * @param {number} [x] pixels to the right
 * @param {number} [y] pixels down
 */
export function place(root, box, cell, x = 0, y = 6) {
  const from = root.getBoundingClientRect();
  const at = cell.getClientRects()[0] ?? from;
  box.style.left = `${Math.max(0, Math.min(at.left - from.left + x, from.width - box.offsetWidth - 8))}px`;
  box.style.top = `${at.bottom - from.top + y}px`;
}
