/** Edits as a file and as code. */

import { h, put } from "./dom.js";

/** Bytes; a web socket of Jupyter takes 10 MB. */
const MOST = 8_000_000;

/** @param {{ onSave(): void, onLoad(text: string): void, onProblem(text: string): void }} handlers */
export function makePreset({ onSave, onLoad, onProblem }) {
  let asked = false;
  const file = h("input", {
    type: "file",
    accept: ".json,application/json",
    label: "Preset file",
    hidden: true,
    async change() {
      const [chosen] = file.files ?? [];
      if (!chosen) return;
      if (chosen.size > MOST) onProblem(`${chosen.name} is no preset: it is larger than 8 MB.`);
      else onLoad(await chosen.text());
      file.value = "";
    },
  });
  const save = h(
    "button.link",
    {
      click() {
        asked = true;
        onSave();
      },
    },
    "save preset",
  );
  const load = h("button.link", { click: () => file.click() }, "load preset");
  return {
    controls: [save, load, file],
    /** Offer the preset that was asked for here; other views ask for themselves. @param {string} text */
    receive(text) {
      if (!asked) return;
      asked = false;
      const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
      h("a", { href: url, download: "steering.json" }).click();
      setTimeout(() => URL.revokeObjectURL(url), 1000);
    },
  };
}

/** @param {() => string} code */
export function makeCopy(code) {
  const told = h("span.faint@status");
  const field = h("textarea.code.box", { label: "The edits as code", readonly: "", rows: 4, hidden: true });
  const copy = async () => {
    field.value = code();
    try {
      await navigator.clipboard.writeText(field.value);
      field.hidden = true;
      put(told, "copied");
    } catch {
      field.hidden = false;
      field.focus();
      field.select();
      put(told, "copy it from here");
    }
  };
  return { controls: [h("button.link", { click: copy }, "copy as code"), told], field };
}
