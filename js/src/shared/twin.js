/** Hides the static copy of a view that stands beside it, for as long as the view is alive. */

/**
 * @param {HTMLElement} el the view
 * @param {string} mark class of the copy
 * @returns {() => void} brings the copy back
 */
export function hideTwin(el, mark) {
  /** @type {Set<HTMLElement>} */
  const hidden = new Set();
  const look = () => {
    for (let scope = mark ? el.parentElement : null; scope; scope = scope.parentElement) {
      const found = scope.getElementsByClassName(mark);
      for (const copy of found) {
        const output = /** @type {HTMLElement} */ (copy.closest(".jp-OutputArea-child") ?? copy);
        if (output.contains(el)) continue;
        output.style.display = "none";
        hidden.add(output);
      }
      if (found.length) return;
    }
  };
  look();
  // A host may put the view into the page, or draw the copy, after render.
  const timers = [0, 50, 300, 1500].map((delay) => setTimeout(look, delay));
  return () => {
    timers.forEach(clearTimeout);
    for (const output of hidden) output.style.display = "";
  };
}
