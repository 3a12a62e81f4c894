/** Shows saved views in a page of its own: the host that stands in for Jupyter, with no kernel behind it. */

/**
 * What a kernel said when it was asked {op: "edit", key, value}, recorded by saewidgets/widgets/steering_recorded.py.
 * @typedef {[value: number, patch: Record<string, any>]} Said
 * @typedef {{ traits: string[], at: Record<string, { now: number, values: Said[] }>, off: string }} Recording
 */

const saved = JSON.parse(document.getElementById("saew-state")?.textContent ?? "");
/** The views' scripts have put what they export here, in their order. @type {any[]} */
const scripts = /** @type {any} */ (globalThis).saewidgetsViews;
const NEEDED = "This needs a running kernel.";

/** Whether a hand moves by small steps: each leads to the next recorded value. */
let stepping = false;
const look = (/** @type {any} */ { key, target }) => {
  stepping = key ? /^(Arrow|Page)/.test(key) : target.type !== "range";
};
for (const name of ["keydown", "pointerdown"]) addEventListener(name, look, true);

/** Base64 of compressed bytes. @param {string} text */
async function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new DataView(await new Response(stream).arrayBuffer());
}

/** What was recorded; nothing where it cannot be read. @param {string} text @returns {Promise<Recording | undefined>} */
async function unpackRecording(text) {
  try {
    return JSON.parse(new TextDecoder().decode(await unpack(text)));
  } catch (error) {
    console.error(error);
    return undefined;
  }
}

/**
 * What was said nearest to a value.
 * @param {Said[]} values
 * @param {number} shown the value on the screen
 * @param {number} value
 */
function nearest(values, shown, value) {
  const near = (/** @type {Said[]} */ some) =>
    some.reduce((a, b) => (Math.abs(b[0] - value) < Math.abs(a[0] - value) ? b : a));
  const found = near(values);
  if (!stepping || found[0] !== shown || value === shown) return found;
  const further = values.filter(([other]) => (value > shown ? other > shown : other < shown));
  return further.length ? near(further) : found;
}

/** A trait with a patch laid over it. @param {any} trait @param {any} patch */
function patched(trait, patch) {
  if (patch === undefined) return trait;
  if (Array.isArray(trait)) return trait.map((one) => ({ ...one, ...patch[one.key] }));
  return typeof patch === "object" ? { ...trait, ...patch } : patch;
}

/**
 * What a view asks of its model. What was recorded is answered; all else nobody answers.
 * @param {Record<string, any>} state
 * @param {Recording} [recording]
 */
function makeModel(state, recording) {
  /** @type {[string, Function][]} */
  let listeners = [];
  const first = { ...state };
  /** @type {{ key?: string, value: number }} */
  let shown = { value: 0 };
  const tell = (/** @type {string} */ name, /** @type {any[]} */ ...args) => {
    for (const [other, listener] of listeners) if (other === name) listener(...args);
  };
  /** Lay a patch over the traits as they were saved. @param {string[]} traits @param {Record<string, any>} patch */
  const show = (traits, patch) => {
    const former = { ...state };
    for (const name of traits) state[name] = patched(first[name], patch[name]);
    for (const name of traits) if (state[name] !== former[name]) tell(`change:${name}`);
  };
  const reply = (/** @type {Record<string, any>} */ message) => tell("msg:custom", message, []);
  const answer = (/** @type {any} */ { op, key, value, view, seq }) => {
    if (!recording) return reply({ op: "alone" });
    const known = op === "edit" && typeof value === "number" && recording.at[key];
    if (known) {
      const [found, patch] = nearest(known.values, shown.key === key ? shown.value : known.now, value);
      shown = { key, value: found };
      show(recording.traits, patch);
    }
    reply({ op: "ack", view, seq, error: known || op === "hello" ? "" : NEEDED });
  };
  return {
    get: (/** @type {string} */ name) => state[name],
    on: (/** @type {string} */ name, /** @type {Function} */ listener) => listeners.push([name, listener]),
    off(/** @type {string} */ name, /** @type {Function} */ listener) {
      listeners = listeners.filter(([other, one]) => other !== name || one !== listener);
    },
    send(/** @type {any} */ content) {
      queueMicrotask(() => {
        try {
          answer(content);
        } catch (error) {
          // What was recorded is broken: what was saved is shown, as without it.
          console.error(error);
          recording = undefined;
          show(Object.keys(first), {});
          reply({ ...content, op: "ack", error: NEEDED });
          answer(content);
        }
      });
    },
  };
}

/** Turn off what needs a kernel. @param {HTMLElement} el @param {string} selector */
function turnOff(el, selector) {
  try {
    for (const one of /** @type {NodeListOf<HTMLInputElement>} */ (el.querySelectorAll(selector))) one.disabled = true;
  } catch (error) {
    console.error(error);
  }
}

saved.views.forEach(async (/** @type {any} */ { script, binary, state }, /** @type {number} */ place) => {
  const all = /** @type {HTMLElement[]} */ ([...document.querySelectorAll(`[data-saew="${place}"]`)]);
  try {
    const { _recorded: text, ...traits } = state;
    const recording = text && (await unpackRecording(text));
    for (const name of binary) if (name in traits) traits[name] = await unpack(traits[name]);
    const model = makeModel(traits, recording);
    for (const el of all) {
      const end = await scripts[script].render({ model, el });
      const fault = el.querySelector(".saew-error")?.textContent;
      if (fault && !traits.error) {
        end?.(); // brings the static copy back
        throw new Error(fault);
      }
      if (recording) turnOff(el, recording.off);
    }
  } catch (error) {
    // The static copy stays.
    for (const el of all) el.remove();
    console.error(error);
  }
});
