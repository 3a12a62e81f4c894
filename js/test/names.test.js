import { describe, expect, it } from "vitest";
import { PRIVATE } from "../names.mjs";
import dashboards from "./dashboard_cases.json";
import { fakeState } from "./fake_model.js";
import { edit, panelState } from "./fake_panel.js";
import { rankingState } from "./fake_ranking.js";

/** Names of all that a value holds, at any depth. @param {any} value @returns {string[]} */
function namesIn(value) {
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return [];
  const own = Array.isArray(value) ? [] : Object.keys(value);
  return [...own, ...Object.values(value).flatMap(namesIn)];
}
/** The text in front of the numbers of each buffer in a value; those of a file are base64. @param {any} value @returns {any[]} */
function headersIn(value) {
  if (typeof value === "string" && value.startsWith("U0F")) {
    const bytes = Uint8Array.from(atob(value), (character) => character.charCodeAt(0));
    return headersIn(new DataView(bytes.buffer));
  }
  if (value instanceof DataView && value.byteLength) {
    const size = value.getUint32(8, true);
    return [JSON.parse(new TextDecoder().decode(new Uint8Array(value.buffer, value.byteOffset + 16, size)))];
  }
  return value === null || typeof value !== "object" ? [] : Object.values(value).flatMap(headersIn);
}

describe("names that a bundle makes short", () => {
  it("are none that Python writes or reads", () => {
    const states = [fakeState(), rankingState(), panelState({ _edits: [edit()] })];
    const all = [...states, dashboards];
    const names = new Set([...all, ...all.flatMap(headersIn)].flatMap(namesIn));
    expect(names.size).toBeGreaterThan(100);
    expect([...names].filter((name) => PRIVATE.test(name))).toEqual([]);
  });
  it("are none of an element, an event or a text node, but those that we do not read there", () => {
    const things = [
      document,
      document.createElement("input"),
      document.createElement("select"),
      new KeyboardEvent("x"),
    ];
    const names = new Set();
    for (const thing of things)
      for (let of = thing; of; of = Object.getPrototypeOf(of))
        for (const name of Object.getOwnPropertyNames(of)) names.add(name);
    expect(names.has("textContent")).toBe(true);
    expect([...names].filter((name) => PRIVATE.test(name))).toEqual(names.has("slot") ? ["slot"] : []);
  });
});
