/** What draws with the package circuitsvis: it comes from the kernel, once a page, and nothing is fetched. */

/** @typedef {import("./attention_wire.js").Attention} Attention */
/**
 * Names of these two are no private ones (names.mjs): what draws may be of another build than the view.
 * @typedef {object} Handlers
 * @property {(head: number) => void} onHead
 * @property {(token: number) => void} onToken
 * @property {(token?: number) => void} onOver
 * @property {() => void} onDrawn
 */
/**
 * @typedef {object} Picture
 * @property {HTMLElement} element
 * @property {(result: Attention) => void} draw
 * @property {(head: number | null, token: number | null) => void} pick
 * @property {() => void} close
 */
/** @typedef {(handlers: Handlers) => Picture} Make */
/** @typedef {{ ask(): void, use(make: Make): void }} Wish */
/** @typedef {{ make?: Make, loading?: boolean, broken?: boolean, asking?: Wish, wishes: Wish[] }} Page */

const KEY = Symbol.for("saewidgets.circuitsvis.1");

/** Of all views of the page, each of which has its own copy of this code. @returns {Page} */
const page = () => {
  const all = /** @type {any} */ (globalThis);
  all[KEY] ??= { wishes: [] };
  return all[KEY];
};

/** One view asks for all. */
function ask() {
  const { make, loading, broken, asking, wishes } = page();
  if (make || loading || broken || asking || !wishes[0]) return;
  page().asking = wishes[0];
  wishes[0].ask();
}

/** @param {Wish} wish used at once where it is there */
export function want(wish) {
  const { make, wishes } = page();
  if (make) wish.use(make);
  else if (!wishes.includes(wish)) wishes.push(wish);
  ask();
}

/** @param {Wish} wish */
export function forget(wish) {
  const now = page();
  now.wishes = now.wishes.filter((other) => other !== wish);
  if (now.asking === wish) now.asking = undefined;
  ask();
}

/**
 * Take in the answer of the kernel.
 * @param {{ library: string, drawing: string }} answer base64 of the compressed script, and the module that uses it
 */
export async function take({ library, drawing }) {
  const now = page();
  if (now.make || now.loading) return;
  now.loading = true;
  try {
    const bytes = Uint8Array.from(atob(library), (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const source = (await new Response(stream).text()).replace(/\/\/# sourceMappingURL=\S*\s*$/, "");
    const its = await run(`${source}\nexport default CircuitsVis;`);
    const draw = await run(drawing);
    now.make = (handlers) => draw(its, handlers);
    for (const { use } of now.wishes) use(now.make);
  } catch (error) {
    now.broken = true;
    console.warn("The script of circuitsvis cannot be used", error);
  }
  now.wishes = [];
  now.asking = now.loading = undefined;
}

/** What a module exports. @param {string} source */
async function run(source) {
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  try {
    return (await import(/* @vite-ignore */ url)).default;
  } finally {
    URL.revokeObjectURL(url);
  }
}
