/** What a person must know about the picture, what people say of it, and what the kernel is doing. */

import { h, put } from "./dom.js";

/** @param {(mask: boolean) => void} onMask */
export function makeNotes(onMask) {
  const box = h(".notes.flex.note");
  return {
    box,
    /** @param {import("./wire.js").Result["head"]} head @param {boolean} masking */
    show(head, masking) {
      const n = head.tokens.length;
      const cut = head.dropped > 0;
      const parts = [h(cut ? "b" : "span", cut ? `showing ${n} of ${n + head.dropped} tokens` : `${n} tokens`)];
      if (head.special.length) {
        const text = `${head.masked.length} of ${n} positions masked`;
        const change = h("button.link", { click: () => onMask(!masking) }, masking ? "unmask" : "mask");
        parts.push(h("span.flex", h("span.hatch.masked.box"), text, change));
      }
      parts.push(h("span", `${head.model} · ${head.hook}`));
      if (head.nonfinite) parts.push(h("b", `${head.nonfinite} activations are not finite: left out`));
      put(box, ...parts);
    },
  };
}

/** What people have noted on what is chosen. @param {(trait: string) => any} get */
export function makeRemarks(get) {
  const box = h(".remarks.note");
  const show = () => put(box, ...get("_notes").map((/** @type {string} */ note) => h(".what", note)));
  show();
  return { box, show };
}

/** @typedef {"live" | "waiting" | "silent"} Kernel */

/** @type {Record<string, string>} */
const TEXTS = {
  idle: "ready",
  done: "ready",
  waiting: "waiting for the running cell",
  silent: "no kernel answers; colours and lists work",
};

/** @param {HTMLElement} root @param {() => void} onStop */
export function makeStatus(root, onStop) {
  const text = h("span.status@status");
  const stop = h("button.stop", { click: onStop, hidden: true }, "Stop");
  const problem = h(".error@alert", { hidden: true });
  return {
    box: h(".state.note", text, stop),
    problem,
    /** @param {string} state @param {Kernel} kernel @param {string} error @param {boolean} shown whether a prompt is on the screen */
    show(state, kernel, error, shown) {
      const now = kernel === "live" ? state : kernel;
      root.dataset.state = now;
      put(text, TEXTS[now] ?? now);
      stop.hidden = kernel === "silent" || (state !== "queued" && state !== "running");
      const stale = state === "failed" && shown;
      root.classList.toggle("saew-stale", stale);
      problem.hidden = !error;
      put(problem, h(".what", error));
      if (stale) problem.append(h(".faint", "Below is the last prompt that ran."));
    },
  };
}
