/** Where the views of an explorer stand: a bar, two columns, and what is below them; one column where it is narrow. */

/** @typedef {Record<string, number>} Sizes columns and rows as shares, height in px */
/** @typedef {Record<string, [usual: number, least: number, largest: number]>} Ranges */

/** Pixels: width of a separator, and from where on there are two columns. */
export const [GAP, WIDE] = [12, 860];

/** Separators: its place in the grid, and which size it changes. */
export const SIZED = /** @type {const} */ ([
  ["x", "columns"],
  ["y", "rows"],
  ["z", "height"],
]);

/**
 * @param {string[]} shown names of views
 * @param {Sizes} sizes
 * @param {boolean} wide
 * @returns {{columns: string, rows: string, areas: string, separators: string[]}} of a CSS grid; the separators in use
 */
export function arrange(shown, { columns, rows, height }, wide) {
  const here = (/** @type {string[]} */ ...names) => names.filter((name) => shown.includes(name));
  if (!wide) {
    const areas = ["bar", ...shown].map((name) => `"${name}"`).join(" ");
    return { columns: "minmax(0, 1fr)", rows: "auto", areas, separators: [] };
  }
  let [left, right] = [here("tokens", "ranking"), here("dashboard")];
  if (!right.length) [left, right] = [left.slice(0, 1), left.slice(1)];
  else if (!left.length) [left, right] = [right, []];
  const two = right.length > 0;
  const line = (/** @type {string} */ name, /** @type {string} */ middle = name, /** @type {string} */ end = name) =>
    two ? `"${name} ${middle} ${end}"` : `"${name}"`;
  const areas = [line("bar")];
  const tracks = ["auto"];
  const separators = two ? ["x"] : [];
  if (left.length > 1) {
    areas.push(line(left[0], "x", right[0]), line("y", "x", right[0]), line(left[1], "x", right[0]));
    tracks.push(...[rows, 0, 1 - rows].map((share) => `${share ? Math.round((height - GAP) * share) : GAP}px`));
    separators.push("y");
  } else if (left.length) {
    areas.push(line(left[0], "x", right[0]));
    tracks.push(`${height}px`);
  }
  if (left.length) {
    areas.push(line("z"));
    tracks.push(`${GAP}px`);
    separators.push("z");
  }
  for (const name of here("steering")) {
    areas.push(line(name));
    tracks.push("auto");
  }
  const share = (/** @type {number} */ part) => `minmax(0, ${Number(part.toFixed(4))}fr)`;
  const widths = two ? `${share(columns)} ${GAP}px ${share(1 - columns)}` : "minmax(0, 1fr)";
  return { columns: widths, rows: tracks.join(" "), areas: areas.join(" "), separators };
}

/**
 * Finds the box that an element stands in beside others, through what wraps it alone, and names its children.
 * @param {HTMLElement} el
 * @param {string[]} names of the elements behind it
 * @returns {{parent: HTMLElement, own: HTMLElement, panes: HTMLElement[]} | undefined} undefined while it stands nowhere
 */
export function findPanes(el, names) {
  let own = el;
  for (let depth = 0; depth < 4; depth++) {
    const parent = own.parentElement;
    if (!parent) return undefined;
    const all = /** @type {HTMLElement[]} */ ([...parent.children]);
    if (all.length > 1) return all.length === names.length + 1 ? { parent, own, panes: all.slice(1) } : undefined;
    own = parent;
  }
  return undefined;
}
