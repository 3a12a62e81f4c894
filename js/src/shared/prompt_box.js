/** The prompt box: runs after a pause in typing, or at once on Enter. */

import { h } from "./dom.js";

const PAUSE = 250;

/** @param {(prompt: string, asked: boolean) => void} onRun asked: by Enter, not by a pause */
export function makePromptBox(onRun) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let typing;
  const close = () => {
    clearTimeout(typing);
    typing = undefined;
  };
  const run = (asked = false) => {
    close();
    onRun(box.value, asked);
  };
  const box = h("textarea.prompt.box", {
    rows: 2,
    spellcheck: "false",
    label: "Prompt",
    placeholder: "Type a prompt",
    input() {
      close();
      typing = setTimeout(run, PAUSE);
    },
    keydown(/** @type {KeyboardEvent} */ event) {
      event.stopPropagation();
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      run(true);
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
