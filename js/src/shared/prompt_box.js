/** The prompt box: runs after a pause in typing, or at once on Enter. */

import { h } from "./dom.js";

const PAUSE = 250;

/** @param {(prompt: string, at: "pause" | "enter") => void} onRun */
export function makePromptBox(onRun) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  const close = () => {
    clearTimeout(typing);
    typing = undefined;
  };
  /** @param {"pause" | "enter"} at */
  const run = (at) => {
    close();
    onRun(box.value, at);
  };
  const box = h("textarea.prompt.box", {
    rows: 2,
    spellcheck: "false",
    label: "Prompt",
    placeholder: "Type a prompt",
    input() {
      close();
      typing = setTimeout(run, PAUSE, "pause");
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      run("enter");
    },
  });

  return {
    box,
    close,
    /** Show a prompt that came from Python, unless the person is typing. @param {string} prompt */
    show(prompt) {
      if (typing === undefined && box.value !== prompt) box.value = prompt;
    },
  };
}
