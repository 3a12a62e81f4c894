/** Shows saved views in a page of its own: the host that stands in for Jupyter, with no kernel behind it. */

const saved = JSON.parse(document.getElementById("saew-state")?.textContent ?? "");
/** The views' scripts have put what they export here, in their order. @type {any[]} */
const scripts = /** @type {any} */ (globalThis).saewidgetsViews;

/** Base64 of compressed bytes. @param {string} text */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** What a view asks of its model; nobody answers. @param {Record<string, any>} state */
function makeModel(state) {
  /** @type {[string, Function][]} */
  let listeners = [];
  return {
    get: (/** @type {string} */ name) => state[name],
    on: (/** @type {string} */ name, /** @type {Function} */ listener) => listeners.push([name, listener]),
    off(/** @type {string} */ name, /** @type {Function} */ listener) {
      listeners = listeners.filter(([other, one]) => other !== name || one !== listener);
    },
    send() {
      queueMicrotask(() => {
        for (const [name, listener] of listeners) if (name === "msg:custom") listener({ op: "alone" }, []);
      });
    },
  };
}

saved.views.forEach(async (/** @type {any} */ { script, binary, state }, /** @type {number} */ place) => {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(`[data-saew="${place}"]`)]);
  try {
    for (const name of binary) state[name] = await unpack(state[name]);
    const model = makeModel(state);
    for (const el of all) await scripts[script].render({ model, el });
  } catch (error) {
    // The static copy stays.
    for (const el of all) el.remove();
    console.error(error);
  }
});
