/** What the model writes without and with the edits, side by side, sample by sample. */

import { h, put, visible } from "./dom.js";
import { bar, nats, word } from "./meter.js";
import { place } from "./place.js";
import { makeWriting } from "./writing.js";

/** @typedef {import("./writing.js").Text} Text */
/** @typedef {{running?: boolean, base?: Text[], steered?: Text[]}} Texts */

const MUCH = 0.2;
/** @type {Record<string, string>} */
const ENDS = {
  length: "ended: length limit",
  stop: "ended: stop string",
  eos: "ended: end of text",
  cancelled: "stopped",
};

/** Whether more of a text is to come. @param {Text | undefined} text @param {number} most */
const open = (text, most) => !text || (text.tokens.length < most && !["eos", "stop"].includes(text.stopped));

/** @param {Text | undefined} text @param {boolean} more */
const ending = (text, more) => {
  if (more) return "writing …";
  return text?.tokens.length ? (ENDS[text.stopped] ?? visible(text.stopped)) : "";
};

/** Whether a text says the same again and again. @param {number} repetition */
export const repeats = (repetition) => (repetition > MUCH ? `repeats ${Math.round(100 * repetition)}%` : "");

/** What is said beside the token under the mouse or in focus. @param {HTMLElement} root */
export function makeTip(root) {
  const box = h(".tip.box", { "aria-hidden": "true", hidden: true });
  /** @type {HTMLElement | undefined} */
  let of;
  return {
    box,
    /** Go with the token. */
    check() {
      box.hidden ||= !of?.isConnected;
    },
    /** @param {HTMLElement} [cell] @param {string} [title] @param {string[]} [lines] */
    show(cell, title = "", lines = []) {
      of = cell;
      box.hidden = !cell;
      if (!cell) return;
      put(box, h("b", title), ...lines.map((line) => h("", line)));
      place(root, box, cell);
    },
  };
}

/** One text with what is known of it. @param {boolean} steering @param {Parameters<typeof makeWriting>[1]} onTip */
function makeSide(steering, onTip) {
  const writing = makeWriting(steering, onTip);
  const seed = h("span.faint");
  const end = h("span.faint.end");
  const story = h(".story.flex.note");
  const head = h(".flex", h("b", steering ? "Steered" : "Base"), seed, end);
  const plain = h("span", "the model as it is");
  return {
    box: h(".side-text", head, story, writing.grid),
    /** @param {Text | undefined} text @param {number} n @param {number} of @param {boolean} running @param {number} most */
    show(text, n, of, running, most) {
      const name = `${steering ? "Steered" : "Base"} text${of > 1 ? `, sample ${n + 1} of ${of}` : ""}`;
      put(seed, of > 1 && text ? `seed ${text.seed}` : "");
      const more = running && open(text, most);
      put(end, ending(text, more));
      const again = text ? repeats(text.repetition) : "";
      const kl = steering ? text?.mean_kl : null;
      const mean = typeof kl === "number" ? h("span.flex", bar(kl), `mean KL ${nats(kl)} nats/token, ${word(kl)}`) : "";
      put(story, steering ? mean : plain, again && h("span.again", again));
      writing.show(text, name, running, most);
      writing.grid.classList.toggle("saew-running", more);
    },
  };
}

/** @param {HTMLElement} root */
export function makePair(root) {
  const tip = makeTip(root);
  const box = h(".pair");
  /** @type {ReturnType<typeof makeSide>[][]} */
  const sides = [];
  return {
    box,
    tip: tip.box,
    /** @param {Texts} texts @param {number} most tokens that each may get */
    show({ running = false, base = [], steered = [] }, most) {
      const of = Math.max(1, base.length, steered.length);
      while (sides.length < of) {
        const pair = [makeSide(false, tip.show), makeSide(true, tip.show)];
        sides.push(pair);
        box.append(...pair.map((side) => side.box));
      }
      for (const pair of sides.splice(of)) for (const side of pair) side.box.remove();
      sides.forEach(([left, right], n) => {
        left.show(base[n], n, of, running, most);
        right.show(steered[n], n, of, running, most);
      });
      tip.check();
    },
  };
}
