/** Tabs: arrow keys go from one to the next and show it. */

import { makeChoice } from "./choice.js";
import { h, set } from "./dom.js";

/**
 * @param {[value: string, title: string, panel: HTMLElement][]} tabs
 * @param {(value: string) => void} onPick
 */
export function makeTabs(tabs, onPick) {
  const id = `saew-${Math.random().toString(36).slice(2)}`;
  const choice = makeChoice(".tabs.flex@tablist", "Views", onPick);
  choice.fill(
    tabs.map(([value, title, panel]) => {
      panel.id = id + value;
      set(panel, "role", "tabpanel");
      set(panel, "aria-label", title);
      return [value, h("button@tab", { "aria-controls": panel.id, tabindex: -1 }, title)];
    }),
  );
  return {
    box: choice.box,
    /** @param {string} value */
    show(value) {
      choice.show(value);
      for (const [other, , panel] of tabs) panel.hidden = other !== value;
    },
  };
}
