/** Shows a saved view in a page of its own: the host that stands in for Jupyter, with no kernel behind it. */

const saved = JSON.parse(document.getElementById("saew-state")?.textContent ?? "");
const { state } = saved;
for (const name of saved.binary) {
  state[name] = new DataView(Uint8Array.from(atob(state[name]), (character) => character.charCodeAt(0)).buffer);
}

/** @type {[string, Function][]} */
const listeners = [];
const model = {
  get: (/** @type {string} */ name) => state[name],
  on: (/** @type {string} */ name, /** @type {Function} */ listener) => listeners.push([name, listener]),
  off() {},
  send() {
    queueMicrotask(() => {
      for (const [name, listener] of listeners) if (name === "msg:custom") listener({ op: "alone" }, []);
    });
  },
};

const url = URL.createObjectURL(new Blob([saved.script], { type: "text/javascript" }));
import(url).then(({ default: view }) => view.render({ model, el: document.getElementById("saew-live") }));
