/** A text of one's own, coloured by the feature that is shown. */

import { h, number, put, set, visible } from "./dom.js";
import { makePromptBox } from "./prompt_box.js";
import { makeWalk, tokenCell } from "./walk.js";

/** @typedef {ReturnType<typeof import("./dashboard_wire.js").decodeLive>} Live */

/**
 * @param {(prompt: string, asked: boolean) => void} onRun
 * @param {import("./walk.js").Tip} tip
 */
export function makeLiveBox(onRun, tip) {
  const prompt = makePromptBox(onRun);
  set(prompt.box, "aria-label", "Your own text");
  set(prompt.box, "placeholder", "Try it on your own text");
  set(prompt.box, "rows", 1);
  const told = h(".note", { "aria-live": "polite" });
  const walk = makeWalk(".own", "Its tokens", tip);
  return {
    box: prompt.box,
    strip: h("", walk.box, told),
    close: prompt.close,
    prompt: prompt.show,
    /** @param {Live} result @param {string} feature @param {number} max value of the strongest tint */
    show(result, feature, max) {
      const here = result && feature.startsWith(`${result.head.sae}/`) ? result : undefined;
      walk.box.hidden = told.hidden = !here;
      if (!here) return;
      const { tokens, special, masked, groups, sae } = here.head;
      const values = here.of(Number(feature.slice(sae.length + 1)));
      const most = Math.max(...values);
      const starts = new Map(groups.map(([start, stop, text]) => [start, { stop, text }]));
      let until = 0;
      const cells = tokens.map((token, i) => {
        const group = starts.get(i);
        const look = i < until ? ".rest" : "";
        if (group) until = group.stop;
        const how = { look, special: special.includes(i), value: values[i], max: max || most };
        return tokenCell(group?.text ?? token, how);
      });
      walk.fill(
        [h(".words@row", ...cells.flatMap((cell, i) => (/^\s/.test(tokens[i]) ? [h("wbr"), cell] : [cell])))],
        cells,
        tokens.map((_, i) => `token ${i}${masked.includes(i) ? ", masked" : ""}`),
      );
      const fires = values.filter((value) => value > 0).length;
      const peak = visible(tokens[values.indexOf(most)]);
      const where = `fires on ${fires} of ${tokens.length - masked.length} tokens`;
      put(told, fires ? `max ${number(most)} on “${peak}”; ${where}` : "does not fire here");
    },
  };
}
