import { describe, expect, it } from "vitest";
import { h, mark, number, percent, visible } from "../src/shared/dom.js";
import { band, HUES, level, tint } from "../src/shared/palette.js";

describe("numbers", () => {
  it.each([
    [0, "0"],
    [8.3125, "8.31"],
    [1234.5, "1235"],
    [0.001234, "0.00123"],
    [0.000012, "1.2e-5"],
  ])("%d as %s", (value, text) => {
    expect(number(value)).toBe(text);
  });
  it.each([
    [-1, "–"],
    [0, "0.00%"],
    [0.00001, "<0.01%"],
    [0.0123, "1.23%"],
    [0.5, "50.0%"],
  ])("share %d as %s", (share, text) => {
    expect(percent(share)).toBe(text);
  });
});

describe("text", () => {
  it("shows what cannot be seen and leaves the rest", () => {
    expect(visible(" a\n\t\0\u200b\u202e")).toBe("·a↵⇥␀⟨200B⟩⟨202E⟩");
    expect(mark("a")).toBeUndefined();
    expect(visible("👨‍👩‍👧")).toBe("👨‍👩‍👧");
  });
  it("is never markup", () => {
    const node = h("span.x", { title: "<b>" }, "<img src=x>");
    expect(node.childElementCount).toBe(0);
    expect(node.textContent).toBe("<img src=x>");
  });
});

describe("colours", () => {
  it("tells six features apart by hue and by pattern", () => {
    expect(new Set(HUES).size).toBe(6);
    const patterns = HUES.map((hue, slot) => band(slot, 1).replaceAll(hue, "C"));
    expect(new Set(patterns).size).toBe(6);
  });
  it("never tints so strongly that text cannot be read", () => {
    expect([tint(0), tint(1), tint(99)]).toEqual([0.08, 0.6, 0.6]);
  });
  it("has four levels", () => {
    expect([0.01, 0.25, 0.26, 0.51, 0.76, 1, 9].map(level)).toEqual([1, 1, 2, 3, 4, 4, 4]);
  });
});
