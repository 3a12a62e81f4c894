import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widget from "../src/feature_dashboard.js";
import { passes } from "../src/shared/all_features.js";
import { decode, decodeExamples, decodeLive, decodeTable } from "../src/shared/dashboard_wire.js";
import { orderByLabel, orderOf } from "../src/shared/order.js";
import {
  dashboardState,
  header,
  live,
  packExamples,
  packFeature,
  packTable,
  rating,
  specificity,
} from "./fake_dashboard.js";
import { FakeModel, pack as packActivations } from "./fake_model.js";

const BAD = "<img src=x onerror=document.title='owned'>";

/** @type {HTMLElement} */
let el;

beforeEach(() => {
  vi.useFakeTimers();
  el = document.createElement("div");
  document.body.replaceChildren(el);
});
afterEach(() => {
  vi.useRealTimers();
});

/** @type {WeakMap<FakeModel, string>} */
const views = new WeakMap();
const viewOf = (/** @type {FakeModel} */ model) => views.get(model);
/** @param {Record<string, any>} [state] */
function open(state) {
  const model = new FakeModel(dashboardState(state));
  const close = widget.render({ model, el });
  views.set(model, model.sent[0].view);
  model.answer();
  model.sent.length = 0;
  return { model, close };
}
/** @param {Record<string, any>} [state] */
function alone(state) {
  const model = new FakeModel(dashboardState(state));
  const close = widget.render({ model, el });
  model.emit("msg:custom", { op: "alone" });
  model.sent.length = 0;
  return { model, close };
}
/** @param {string} selector */
const all = (selector) => /** @type {HTMLElement[]} */ ([...el.querySelectorAll(selector)]);
/** @param {string} selector @returns {any} */
const one = (selector) => all(selector)[0];
/** @param {string} label @returns {any} */
const labelled = (label) => one(`[aria-label="${label}"]`);
/** @param {string} name @returns {any} */
const button = (name) => all("button").find(({ textContent }) => textContent === name);
/** @param {string} selector */
const textOf = (selector) => one(selector).textContent;
/** @param {Element} target @param {string} key @param {any} [more] */
const press = (target, key, more) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
/** @param {any} control @param {any} value @param {...string} events */
function enter(control, value, ...events) {
  control.value = value;
  for (const event of events) control.dispatchEvent(new Event(event, { bubbles: true }));
}
const focused = () => /** @type {HTMLElement} */ (document.activeElement);
const examples = () => all(".saew-example").map((row) => row.textContent);
const coloured = () => all(".saew-example .saew-tok").filter(({ style }) => style.background).length;
/** @param {string} list */
const interval = (list) => one(`[data-value="${list}"]`);

describe("the buffers", () => {
  it.each([0, 1, 2, 3])("are read from byte %d on", (offset) => {
    const read = decode(packFeature({}, undefined, offset));
    expect(read?.head.feature).toBe("mid/7");
    const [first, second] = read?.lists.get("top") ?? [];
    expect(first.tokens.length).toBe(33);
    expect([first.tokens[16], first.peak, first.left, first.right]).toEqual([" Gate", 16, true, false]);
    expect(second.tokens).toEqual(["<bos>", " Gate", "\n"]);
    expect(second.special).toEqual([true, false, false]);
    expect(read?.lists.get("1")?.[0].activation).toBe(0.5);
  });
  it("give every token its value, also after an odd number of tokens", () => {
    const read = decodeExamples(packExamples(3, [[1, ["a", "b", "c"], [0, 2, 0.5]]]));
    expect(read?.list).toBe("3");
    expect([...(read?.examples[0].values ?? [])]).toEqual([0, 2, 0.5]);
  });
  it("hold a table", () => {
    const read = decodeTable(packTable([[1, 2, 1.5], [0, 0, 0]], { 0: "cats" })); // biome-ignore format: rows
    expect([read?.head.labels, [...(read?.count ?? [])], read?.max[0], read?.mean[0]]).toEqual([{ 0: "cats" }, [1, 0], 2, 1.5]); // biome-ignore format: one line
  });
  it("hold the values of one feature on a text", () => {
    const text = /** @type {any} */ (decodeLive(live));
    expect([...text.of(7)]).toEqual([0, 0, 4]);
    expect([...text.of(8)]).toEqual([0, 0, 0]);
  });
  it("may be empty, and of no other kind or version", () => {
    const empty = new DataView(new ArrayBuffer(0));
    expect([decode(empty), decodeExamples(empty), decodeTable(empty)]).toEqual([undefined, undefined, undefined]);
    expect(() => decode(packTable([[1, 1, 1]]))).toThrow("version");
    const data = packFeature();
    data.setUint32(4, 2, true);
    expect(() => decode(data)).toThrow("version");
  });
});

describe("orders", () => {
  const values = Float32Array.from({ length: 100_000 }, (_, i) => ((i * 7919) % 1000) / 8);
  it("of a hundred thousand numbers are right to the last tie", () => {
    const rows = [...values.keys()];
    expect([...orderOf(values, false)]).toEqual([...rows].sort((a, b) => values[a] - values[b] || a - b));
    expect([...orderOf(values, true)]).toEqual([...rows].sort((a, b) => values[b] - values[a] || a - b));
  });
  it("of counts go beyond 2^31", () => {
    expect([...orderOf(new Uint32Array([7, 2 ** 30, 0, 7]), true)]).toEqual([1, 0, 3, 2]);
  });
  it("take what is no number for nothing", () => {
    expect([...orderOf(new Float32Array([Number.NaN, 2, 0, -1, 1]), true)]).toEqual([1, 4, 0, 2, 3]);
  });
  it("of labels end with those that have none", () => {
    const labels = { 1: "cats", 3: "bats", 9: "gone" };
    expect([...orderByLabel(labels, 5, false)]).toEqual([3, 1, 0, 2, 4]);
    expect([...orderByLabel(labels, 5, true)]).toEqual([1, 3, 0, 2, 4]);
  });
  it("leave out what a filter does", () => {
    const features = /** @type {any} */ (decodeTable(packTable([[0, 0, 0], [5, 1, 1], [500, 1, 1]]))); // biome-ignore format: rows
    const wanted = { text: "", from: 0, to: 1, dense: false, dead: false };
    const rows = (/** @type {any} */ more, /** @type {any} */ labels = {}) =>
      [0, 1, 2].filter(passes(features, labels, { ...wanted, ...more }));
    expect(rows({})).toEqual([0, 1, 2]);
    expect(rows({ dead: true })).toEqual([1, 2]);
    expect(rows({ dense: true })).toEqual([0, 1]);
    expect(rows({ from: 0.005, to: 0.4 })).toEqual([1]);
    expect(rows({ text: "2" })).toEqual([2]);
    expect(rows({ text: " CAT " }, { 1: "Cats" })).toEqual([1]);
  });
});

describe("the heading", () => {
  it("says which feature, how often it fires and what it is called", () => {
    open();
    expect(textOf(".saew-id")).toBe("mid/7");
    expect(one(".saew-id").getAttribute("aria-valuetext")).toBe("mid/7, Golden Gate");
    expect(textOf(".saew-facts")).toContain("fires on 0.10% of tokens1,023 of 1,000,000 tokens");
    expect(textOf(".saew-facts")).toContain("max 10.0mean 2.50 where it firesmedian 1.50");
    expect(labelled("Label").value).toBe("Golden Gate");
    expect(labelled("Note").value).toBe("a bridge");
    expect(el.textContent).not.toMatch(/NaN|undefined|null|Infinity/);
  });
  it.each([
    [{ dense: true, density: 0.03 }, "dense: fires on 3.00% of tokens"],
    [
      { dead: true, count: 0, density: 0, max: 0, mean: null, n_tokens: 1_234_567 },
      "dead: never fires in 1,234,567 tokens",
    ],
  ])("tells of %o", (more, text) => {
    open({ _data: packFeature(more, "dead" in more ? [["top", 16, []]] : undefined) });
    expect(textOf(".saew-badge")).toBe(text);
    expect(one(".saew-intervals").hidden).toBe("dead" in more);
    expect(el.textContent).not.toMatch(/NaN|undefined|null|Infinity/);
  });
  it("steps with arrow keys and buttons, jumps by number", () => {
    const { model } = open();
    for (const key of ["ArrowRight", "ArrowUp", "ArrowLeft", "ArrowDown"])
      expect(press(one(".saew-id"), key)).toBe(false);
    press(one(".saew-id"), "a");
    press(one(".saew-id"), "ArrowRight", { ctrlKey: true });
    labelled("Next feature").click();
    labelled("Previous feature").click();
    expect(model.asked("step").map(({ by }) => by)).toEqual([1, 1, -1, -1, 1, -1]);
    enter(labelled("Go to feature number"), "12", "input", "change");
    expect(model.asked("set")).toEqual([{ feature: "mid/12" }]);
  });
  it("saves a label with Enter, brings it back with Escape", () => {
    const { model } = open();
    enter(labelled("Label"), "  Bridges ", "input");
    press(labelled("Label"), "Escape");
    expect(labelled("Label").value).toBe("Golden Gate");
    enter(labelled("Label"), "  Bridges ", "input");
    press(labelled("Label"), "Enter");
    labelled("Label").dispatchEvent(new Event("change"));
    expect(model.asked("annotate")).toEqual([{ label: "Bridges" }]);
    enter(labelled("Note"), "two\nlines", "change");
    labelled("Star, 1 so far").click();
    expect(model.asked("annotate").slice(1)).toEqual([{ note: "two\nlines" }, { star: false }]);
  });
  it("leaves a label alone that somebody types, but not for another feature", () => {
    const { model } = open();
    enter(labelled("Label"), "half", "input");
    model.update({ _data: packFeature({ given: "by another" }) });
    expect(labelled("Label").value).toBe("half");
    model.update({ feature: "mid/8", _data: packFeature({ feature: "mid/8", index: 8, given: "other" }) });
    expect(labelled("Label").value).toBe("other");
  });
  it("shows who starred and rated it, and pinned examples with their token marked", () => {
    const { model } = open({ _data: packFeature({ tags: ["place", "us"], people: ["Stars: 1 (ann)"] }) });
    expect(textOf(".saew-said")).toContain("#place #us");
    expect(all(".saew-pins > *").map((each) => each.textContent)).toEqual([
      "Stars: 1 (ann)",
      "Pinned: under the Golden Gate",
    ]);
    expect(textOf(".saew-pins .saew-peak")).toBe(" Golden");
    model.update({ _data: packFeature({ people: [], pins: [["a text\n", "", " (token 900)"]] }) });
    expect(textOf(".saew-pins")).toBe("Pinned: a text↵ (token 900)");
    expect(one(".saew-pins .saew-peak")).toBeUndefined();
    model.update({ _data: packFeature({ people: [], pins: [] }) });
    expect(textOf(".saew-pins")).toBe("");
  });
  it("shows a label from a file where nobody has given one", () => {
    open({ _data: packFeature({ label: "London (from a file)", given: "" }) });
    expect([labelled("Label").value, labelled("Label").placeholder]).toEqual(["", "London (from a file)"]);
  });
  it("finds features", () => {
    const { model } = open();
    const box = one(".saew-find input");
    box.focus();
    enter(box, "fog", "input");
    expect(model.asked("find")).toEqual([{ text: "fog" }]);
    model.emit("msg:custom", { op: "found", text: "fo", items: [["mid/1", "late", null]] });
    expect(one(".saew-found").hidden).toBe(true);
    model.emit("msg:custom", { op: "found", text: "fog", items: [["mid/40", "fog", 0.001]] });
    press(box, "ArrowDown");
    expect(focused().textContent).toBe("mid/40fog0.10%");
    press(focused(), "Escape");
    expect([focused(), one(".saew-found").hidden]).toEqual([box, true]);
    model.emit("msg:custom", { op: "found", text: "fog", items: [] });
    expect(one(".saew-found").hidden).toBe(true);
    model.emit("msg:custom", { op: "found", text: "fog", items: [["mid/40", "fog", 0.001]] });
    press(box, "Enter");
    enter(box, "12", "input");
    press(box, "Enter");
    expect(model.asked("set")).toEqual([{ feature: "mid/40" }, { feature: "12" }]);
  });
  it("says that another feature is on its way", () => {
    const { model } = open();
    model.update({ feature: "mid/8" });
    expect(textOf(".saew-id")).toBe("mid/8");
    expect(one(".saew").className).toContain("saew-behind");
    model.update({ _data: packFeature({ feature: "mid/8", index: 8 }) });
    expect(one(".saew").className).not.toContain("saew-behind");
  });
});

describe("tabs", () => {
  const shown = () => all("[role=tabpanel]").map(({ hidden }) => !hidden);
  it("are walked with arrow keys", () => {
    const { model } = open();
    expect(shown()).toEqual([true, false, false]);
    const [first, , last] = all("[role=tab]");
    press(first, "ArrowLeft");
    expect(focused()).toBe(last);
    expect(shown()).toEqual([false, false, true]);
    press(last, "ArrowRight");
    expect(model.asked("set").map(({ tab }) => tab)).toEqual(["specificity", "feature"]);
    expect(first.getAttribute("aria-selected")).toBe("true");
    expect(el.querySelector(`#${first.getAttribute("aria-controls")}`)).toBe(one("[role=tabpanel]"));
  });
  it("stay when Python has not heard of them yet", () => {
    const { model } = open();
    all("[role=tab]")[2].click();
    model.update({ prompt: "from Python" });
    expect(shown()).toEqual([false, false, true]);
  });
  it("that were chosen without a kernel are told to it when it comes back", () => {
    const { model } = open();
    model.emit("msg:custom", { op: "alone" });
    all("[role=tab]")[1].click();
    expect(model.asked("set")).toEqual([]);
    model.emit("msg:custom", { op: "ack", view: viewOf(model), seq: 1, error: "" });
    expect(model.asked("set")).toEqual([{ tab: "table" }]);
    expect(shown()).toEqual([false, true, false]);
  });
  it("follow Python", () => {
    const { model } = open({ tab: "specificity" });
    expect(shown()).toEqual([false, false, true]);
    model.update({ tab: "feature" });
    expect(shown()).toEqual([true, false, false]);
  });
});

describe("examples", () => {
  it("are of the top list, five tokens each way, the peak coloured and marked", () => {
    open();
    const [first, second] = all(".saew-example");
    expect(first.querySelectorAll(".saew-tok").length).toBe(11);
    expect(first.querySelector(".saew-peak")?.textContent).toBe(" Gate");
    expect(first.querySelector(".saew-peak")?.getAttribute("aria-label")).toBe("·Gate, 10.0, peak");
    expect(second.querySelector(".saew-special")?.textContent).toBe("<bos>");
    expect(second.querySelector(".saew-ctl[data-mark='↵']")).not.toBeNull();
    expect(coloured()).toBe(2);
    expect(all(".saew-peak[data-level='4']").length).toBe(1);
    expect(all(".saew-peak[data-level='2']").length).toBe(1);
  });
  it("are cut as wanted", () => {
    open();
    const widths = all("[aria-label=Window] [role=radio]");
    press(widths[0], "ArrowRight");
    expect(widths.map((radio) => radio.getAttribute("aria-checked"))).toEqual(["false", "true", "false"]);
    expect(all(".saew-example")[0].querySelectorAll(".saew-tok").length).toBe(33);
    expect(examples()[0]).toContain("…");
    widths[2].click();
    expect(all(".saew-example")[1].querySelectorAll(".saew-tok").length).toBe(3);
  });
  it("are of the interval that is chosen, with one scale for all", () => {
    const { model } = open();
    interval("1").click();
    expect(examples()).toEqual([expect.stringContaining("0.500")]);
    expect(textOf(".saew-intervals .saew-told")).toBe("0–1.00: 50.0% of firings, 10.0% of mass, 512 firings");
    press(interval("1"), "ArrowRight");
    expect(textOf(".saew-examples")).toBe("Nothing fires in this interval.");
    press(interval("2"), "ArrowLeft");
    press(interval("1"), "ArrowLeft");
    expect(interval("top").getAttribute("aria-checked")).toBe("true");
    expect(examples().length).toBe(2);
    const tabbed = all(".saew-bins [role=radio]").filter(({ tabIndex }) => tabIndex === 0);
    expect(tabbed).toEqual([interval("top")]);
    expect(model.asked("examples")).toEqual([{ list: 1 }, { list: "top" }]);
  });
  it("are asked for whole, once, and then every token has its colour", () => {
    const model = new FakeModel(dashboardState());
    widget.render({ model, el });
    expect(model.asked("examples")).toEqual([{ list: "top" }]);
    model.answer();
    model.update({ _examples: packExamples("top", [[1, [" Golden", " Gate", " x"], [4, 10, 0]]]) }); // biome-ignore format: rows
    expect(coloured()).toBe(2);
    expect(all(".saew-example .saew-tok").map((cell) => cell.ariaLabel ?? cell.getAttribute("aria-label"))).toEqual([
      "·Golden, 4.00",
      "·Gate, 10.0, peak",
      "·x, 0",
    ]);
    expect(examples()[0]).not.toContain("…");
    model.update({ _examples: packExamples("top", [[1, [" Golden", " Gate", " x"], [4, 10, 0]]], "mid/7", 5) }); // biome-ignore format: rows
    expect(examples()[0]).toContain("… ·Golden".replace("·", " "));
    model.update({ _examples: packExamples("top", [[0, ["other"], [3]]], "mid/8") });
    expect(coloured()).toBe(2);
    expect(model.asked("examples").length).toBe(1);
  });
  it("are walked with arrow keys, and tell where they are", () => {
    const { model } = open();
    const cells = all(".saew-example .saew-tok");
    cells[0].focus();
    press(cells[0], "ArrowRight");
    expect(focused()).toBe(cells[1]);
    press(cells[1], "End");
    expect(focused()).toBe(cells.at(-1));
    expect(textOf(".saew-tip")).toContain("token 102 of text 1");
    expect(one(".saew-tip").hidden).toBe(false);
    model.update({ _examples: packExamples("top", [[0, ["other"], [3]]]) });
    expect(one(".saew-tip").hidden).toBe(true);
    expect(all(".saew-examples [tabindex='0']").length).toBe(1);
  });
  it("stay as they are when Python answers something else", () => {
    const { model } = open();
    const cell = all(".saew-example .saew-tok")[3];
    labelled("Next feature").click();
    model.answer();
    expect(all(".saew-example .saew-tok")[3]).toBe(cell);
  });
});

describe("what a feature is related to", () => {
  it("is linked", () => {
    const { model } = open();
    expect(all(".saew-relations .saew-related").map((table) => table.getAttribute("aria-label"))).toEqual([
      "Concepts",
      "Points the same way",
      "Fires together",
      "Neurons",
    ]);
    expect(textOf(".saew-relations")).toContain("0.30 (0.20–0.40)");
    expect(textOf(".saew-relations")).toContain("mid/13 0.25Neurons");
    expect(textOf(".saew-relations")).toContain("−0.200");
    button("mid/40 fog").click();
    expect(model.asked("set")).toEqual([{ feature: "mid/40" }]);
  });
  it("shows what it does to the logits", () => {
    open();
    expect(textOf(".saew-ends")).toBe("raiseslogit·Gate+0.900·Bridge+0.500lowerslogit·the−0.400");
    expect(one(".saew-hist").getAttribute("aria-label")).toBe("Effects on the vocabulary from −0.500 to +0.900");
    expect(Number.parseFloat(one(".saew-hist .saew-cut").style.left)).toBeCloseTo((100 * 0.5) / 1.4);
    expect(textOf(".saew-logits")).toContain("the final norm is folded");
  });
  it("may be unknown", () => {
    open({
      _data: packFeature({
        logits: null,
        neighbours: [],
        cofiring: [],
        neurons: [],
        concepts: [],
        encoder_cosine: null,
      }),
    });
    expect(textOf(".saew-relations") + textOf(".saew-logits")).toBe("");
  });
});

describe("a text of one's own", () => {
  it("is run after a pause and coloured by the feature", () => {
    const { model } = open();
    enter(labelled("Your own text"), "Golden Gate", "input");
    vi.advanceTimersByTime(300);
    expect(model.asked("set")).toEqual([{ prompt: "Golden Gate" }]);
    model.update({ prompt: "Golden Gate", _live: live });
    model.answer();
    expect(textOf(".saew-broad [aria-live]")).toBe("max 4.00 on “·Gate”; fires on 1 of 2 tokens");
    expect(all(".saew-own .saew-tok").map(({ style }) => !!style.background)).toEqual([false, false, true]);
  });
  it("has characters that are split over tokens whole", () => {
    open({ _live: packActivations({ tokens: ["<bos>", "\\xf0", "\\x9f"], rows: [[], [], []], head: { groups: [[1, 3, "🙂"]] } }) }); // biome-ignore format: one line
    expect(all(".saew-own .saew-tok").map(({ textContent }) => textContent)).toEqual(["<bos>", "🙂", ""]);
  });
  it("is coloured anew for another feature without a run", () => {
    const { model } = open({ _live: live });
    model.update({ feature: "mid/3", _data: packFeature({ feature: "mid/3", index: 3 }) });
    model.answer();
    expect(all(".saew-own .saew-tok").map(({ style }) => !!style.background)).toEqual([false, true, false]);
    model.update({ feature: "mid/9", _data: packFeature({ feature: "mid/9", index: 9 }) });
    model.answer();
    expect(textOf(".saew-broad [aria-live]")).toBe("does not fire here");
    model.update({ feature: "wide/3", sae: "wide" });
    expect(one(".saew-own").hidden).toBe(true);
  });
});

describe("the table", () => {
  const rows = /** @type {[number, number, number][]} */ (
    Array.from({ length: 5000 }, (_, i) => [i % 40, i / 100, i / 200])
  );
  const grid = () => one(".saew-grid");
  const numbers = () => all(".saew-row").map((row) => Number(row.firstElementChild?.textContent));
  /** @param {Record<string, any>} [state] */
  function openTable(state) {
    const opened = open({ tab: "table", _table: packTable(rows, { 3: "cats", 20: BAD }), ...state });
    Object.defineProperty(grid(), "clientHeight", { value: 260 });
    return opened;
  }
  it("is asked for when it is first seen, once for each SAE", () => {
    const { model } = open();
    all("[role=tab]")[1].click();
    model.update({ tab: "table" });
    model.answer();
    expect(model.asked("table").length).toBe(1);
    expect(textOf(".saew-all .saew-none")).toBe("No table yet.");
    model.update({ _table: packTable(rows) });
    expect(grid().hidden).toBe(false);
    expect(textOf(".saew-all .saew-controls")).toContain("5,000 of 5,000 features");
    model.update({ sae: "wide", feature: "wide/1" });
    expect(model.asked("table").length).toBe(2);
    expect(grid().hidden).toBe(true);
  });
  it("has only the rows that are seen in the page", () => {
    openTable();
    expect(all(".saew-row").length).toBeLessThan(60);
    expect(grid().getAttribute("aria-rowcount")).toBe("5001");
    grid().scrollTop = 26 * 4000;
    grid().dispatchEvent(new Event("scroll"));
    vi.advanceTimersByTime(20);
    expect(numbers()).toContain(4000);
    expect(numbers()).not.toContain(0);
    expect(one(".saew-row").getAttribute("aria-rowindex")).toBe(`${numbers()[0] + 2}`);
    expect(all(".saew-row").length).toBeLessThan(60);
  });
  it("is sorted by its headings", () => {
    openTable();
    button("max").click();
    expect(numbers()[0]).toBe(4999);
    expect(all(".saew-all [role=columnheader]").map((head) => head.getAttribute("aria-sort"))).toEqual([
      "none",
      "none",
      "none",
      "descending",
      "none",
    ]);
    button("max").click();
    expect(numbers()[0]).toBe(0);
    button("density").click();
    expect(numbers().slice(0, 2)).toEqual([39, 79]);
    button("label").click();
    expect(numbers().slice(0, 3)).toEqual([20, 3, 7]);
    button("feature").click();
    button("feature").click();
    expect(numbers()[0]).toBe(4999);
  });
  it("is filtered", () => {
    openTable();
    enter(one(".saew-search"), "cat", "input");
    expect(numbers()).toEqual([3]);
    expect(textOf(".saew-all .saew-controls")).toContain("1 of 5,000 features");
    enter(one(".saew-search"), "", "input");
    const [dense, dead] = all(".saew-all [type=checkbox]");
    dense.click();
    dead.click();
    expect(numbers().slice(0, 11)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 41]);
    enter(labelled("Least density in percent"), "1", "input");
    expect(numbers().slice(0, 2)).toEqual([10, 50]);
    enter(one(".saew-search"), "nothing", "input");
    expect(numbers()).toEqual([]);
  });
  it("is walked and opened by keys", () => {
    const { model } = openTable();
    const active = () =>
      el.querySelector(`#${grid().getAttribute("aria-activedescendant")}`)?.firstElementChild?.textContent;
    expect(active()).toBe("0");
    for (const key of ["ArrowDown", "ArrowDown", "ArrowUp"]) expect(press(grid(), key)).toBe(false);
    expect(active()).toBe("1");
    press(grid(), "PageDown");
    expect(active()).toBe("9");
    press(grid(), "End");
    expect(active()).toBe("4999");
    expect(grid().scrollTop).toBe(26 * 4999 - 260 + 52);
    press(grid(), "Home");
    press(grid(), "ArrowDown");
    press(grid(), "Enter");
    expect(model.asked("set")).toEqual([{ feature: "mid/1", tab: "feature" }]);
    expect(focused()).toBe(one(".saew-id"));
  });
  it("opens a row that is clicked, and takes over a label", () => {
    const { model } = openTable({ _data: packFeature({ label: "bridges" }) });
    expect(all(".saew-row")[7].textContent).toContain("bridges");
    model.update({ _data: packFeature({ label: "gates" }) });
    expect(all(".saew-row")[7].textContent).toContain("gates");
    model.update({ _data: packFeature({ label: "" }) });
    expect(all(".saew-row")[7].textContent).not.toContain("gates");
    all(".saew-row")[5].click();
    expect(model.asked("set")).toEqual([{ feature: "mid/5", tab: "feature" }]);
  });
});

describe("specificity", () => {
  const state = { tab: "specificity", _specificity: specificity() };
  const figures = () => all(".saew-figure").map(({ textContent }) => textContent);
  it("is asked for with a predicate", () => {
    const { model } = open({ tab: "specificity", _concepts: ["bridges"] });
    enter(labelled("Pattern or tokens"), "Gate|Bridge", "input");
    enter(labelled("within tokens"), "2", "input", "change");
    press(labelled("Pattern or tokens"), "Enter");
    const kind = labelled("It should fire on");
    enter(kind, "concept/bridges", "change");
    expect(labelled("Pattern or tokens").hidden).toBe(true);
    button("Score").click();
    enter(kind, "ratings", "change");
    button("Score").click();
    expect(model.asked("predicate")).toEqual([
      { kind: "regex", text: "Gate|Bridge", within: 2 },
      { kind: "concept", text: "bridges", within: 2 },
      { kind: "ratings", text: "", within: 0 },
    ]);
  });
  it("shows shares, whiskers and numbers of each interval", () => {
    const { model } = open(state);
    const [empty, first] = all(".saew-tall .saew-bin");
    expect(empty.getAttribute("aria-label")).toBe("0–1.00: none scored, 0 scored");
    expect(first.getAttribute("aria-label")).toBe(
      "1.00–2.00: yes 75.0%, no 25.0%, precision 75.0% (30.0%–95.0%), 4 scored",
    );
    const heights = [...first.querySelectorAll("i")].map(({ style }) => Number.parseFloat(style.height));
    expect(heights.map((height) => height.toFixed(4))).toEqual(["25.0000", "75.0000", "65.0000"]);
    expect(Number.parseFloat(one(".saew-whisker").style.bottom)).toBeCloseTo(30);
    expect(all(".saew-whisker").length).toBe(9);
    expect(all(".saew-counts span").map(({ textContent }) => textContent)).toEqual(["n 0", ...Array(9).fill("n 4")]);
    first.click();
    expect(interval("2").getAttribute("aria-checked")).toBe("true");
    expect(model.asked("set")).toEqual([{ tab: "feature" }]);
    expect(textOf(".saew-specific")).toContain(
      "40 firings scored, an estimate from samples, 1.00% of all tokens are meant",
    );
  });
  it("tells what a threshold would keep", () => {
    open(state);
    const slider = labelled("Threshold");
    enter(slider, "50", "input");
    expect(figures()).toEqual([
      "kept above5.0050.0% of the max",
      "precision75.0% (65.0%–75.0%)",
      "recall50.0%of the firings that are meant",
      "firings kept25.0%",
      "mass kept75.0%",
    ]);
    expect(slider.getAttribute("aria-valuetext")).toBe("kept above 5.00, precision 75.0% (65.0%–75.0%), recall 50.0%");
    expect(one(".saew-tall .saew-cut").style.left).toBe("50%");
    enter(slider, "100", "input");
    expect(figures()[1]).toBe("precision–");
    expect(el.textContent).not.toMatch(/NaN|undefined|null|Infinity/);
  });
  it("knows recall of everything where it was counted", () => {
    const next = specificity();
    next.curve.recall = next.curve.t.map(() => 0.25);
    open({ ...state, _specificity: next });
    expect(figures()[2]).toBe("recall25.0%of all that is meant");
  });
  it("is not shown for another feature", () => {
    const { model } = open(state);
    model.update({ feature: "mid/8" });
    expect(one(".saew-specific").hidden).toBe(true);
  });
  it("has a look of its own for each of four scores", () => {
    const counts = [1, 2, 3, 4];
    const next = specificity({ kind: "rating", rater: "ann", labels: ["0", "1", "2", "3"] });
    next.intervals = next.intervals.map((/** @type {any} */ one) => ({ ...one, n: 10, counts }));
    open({ ...state, _specificity: next });
    expect(all(".saew-tall .saew-bin")[0].querySelectorAll(".saew-s0, .saew-s1, .saew-s2, .saew-s3").length).toBe(4);
    expect(textOf(".saew-specific .saew-wrap")).toContain("rated 3 rated 2 rated 1 rated 0");
    expect(textOf(".saew-specific")).toContain("40 ratings by ann");
  });
});

describe("rating", () => {
  const card = () => one(".saew-card");
  /** @param {(number | null)[]} scores */
  const openCards = (scores) => open({ tab: "specificity", _rating: rating(scores) });
  it("begins when asked", () => {
    const { model } = open({ tab: "specificity" });
    expect(card().hidden).toBe(true);
    button("Rate examples blind").click();
    expect(model.asked("rating_begin")).toEqual([{}]);
    model.update({ _rating: rating([null, null]) });
    expect(focused()).toBe(card());
  });
  it("goes on by key, and takes back", () => {
    const { model } = openCards([2, null, null]);
    expect(textOf(".saew-rating .saew-note")).toContain("1 of 3");
    expect(textOf(".saew-card .saew-words")).toBe("<bos> word1\n");
    expect(textOf(".saew-card .saew-peak")).toBe(" word1");
    press(card(), "3");
    expect(textOf(".saew-card .saew-words")).toContain("word2");
    press(card(), "u");
    expect(textOf(".saew-card .saew-words")).toContain("word1");
    press(card(), "u");
    press(card(), "7");
    press(card(), "0", { ctrlKey: true });
    press(card(), "0");
    press(card(), "2");
    press(card(), "u");
    all(".saew-score")[1].click();
    expect(card().hidden).toBe(true);
    expect(textOf(".saew-rating")).toContain("all 3 rated");
    expect(model.asked("rate")).toEqual([
      { key: "k1", score: 3 },
      { key: "k1", score: null },
      { key: "k1", score: 0 },
      { key: "k2", score: 2 },
      { key: "k2", score: null },
      { key: "k2", score: 1 },
    ]);
  });
  it("has the rubric in words", () => {
    openCards([null]);
    expect(all(".saew-score").map(({ textContent }) => textContent)).toEqual([
      "0irrelevant throughout the context",
      "1related to the context, but not near the marked text, or only vaguely",
      "2loosely related to the marked text, or to context near it",
      "3cleanly identifies the activating text",
    ]);
  });
  it("shows what is stored, also where Python refuses", () => {
    const { model } = openCards([null, null]);
    press(card(), "3");
    model.update({ _rating: rating([3, null]) });
    model.answer();
    expect(textOf(".saew-card .saew-words")).toContain("word1");
    press(card(), "1");
    model.answer("the file is read-only");
    expect(textOf(".saew-card .saew-words")).toContain("word1");
    expect(textOf(".saew-error")).toContain("read-only");
  });
});

describe("without a kernel", () => {
  it("says so once, and all that needs none works", () => {
    const { model } = alone({ _specificity: specificity(), _table: packTable([[1, 1, 1], [2, 3, 1]]), _rating: rating([null]) }); // biome-ignore format: one line
    expect(textOf(".saew-status")).toContain("no kernel answers: tabs, examples, sorting and the threshold work");
    interval("1").click();
    expect(examples().length).toBe(1);
    all("[aria-label=Window] [role=radio]")[2].click();
    all("[role=tab]")[1].click();
    button("max").click();
    expect(all(".saew-row")[0].firstElementChild?.textContent).toBe("1");
    all("[role=tab]")[2].click();
    enter(labelled("Threshold"), "30", "input");
    expect(textOf(".saew-figure b")).toBe("3.00");
    expect(model.asked("examples")).toEqual([]);
    expect(model.asked("table")).toEqual([]);
    for (const name of ["Next feature", "Label", "Your own text", "Pattern or tokens"])
      expect(labelled(name).closest("fieldset").disabled).toBe(true);
    press(one(".saew-id"), "ArrowRight");
    press(one(".saew-card"), "3");
    expect([...model.asked("step"), ...model.asked("rate")]).toEqual([]);
    expect(textOf(".saew-rating")).toContain("0 of 1");
  });
  it("says that a table is not there", () => {
    alone({ tab: "table" });
    expect(textOf(".saew-all .saew-none")).toBe("The table is not in this page.");
  });
  it("draws what there is while there is no feature yet", () => {
    const { model } = open({ _data: new DataView(new ArrayBuffer(0)), feature: "", error: "no index: build one" });
    expect(textOf(".saew-id")).toBe("no feature");
    expect(textOf(".saew-error")).toContain("no index: build one");
    model.update({ _live: live, feature: "mid/7" });
    expect(textOf(".saew-broad [aria-live]")).toContain("max 4.00");
  });
  it("tells of a buffer that it cannot read", () => {
    const data = packFeature();
    data.setUint32(4, 9, true);
    open({ _data: data });
    expect(textOf(".saew")).toContain("mid/7");
  });
});

describe("hostile text", () => {
  it("stays text wherever it stands", () => {
    const bad = /** @type {[string, string, number]} */ ([BAD, BAD, 0.5]);
    const { model } = open({
      _saes: ["mid", BAD],
      _concepts: [BAD],
      _data: packFeature(
        {
          label: BAD,
          given: BAD,
          note: BAD,
          tags: [BAD],
          people: [BAD],
          pins: [[BAD, BAD, BAD]],
          model: BAD,
          hook: BAD,
          sample: BAD,
          neighbours: [bad],
          cofiring: [[BAD, BAD, 0.1, 0.1, 0.1]],
          concepts: [[BAD, 0.1, 0.1, 0.1]],
          logits: { ...header().logits, top: [[BAD, 1]], how: BAD },
        },
        [["top", 16, [[1, [BAD, "\u202egnirts", "\u0000", "\n", BAD]]]]],
      ),
      _table: packTable([[1, 1, 1]], { 0: BAD }),
      _specificity: specificity({ what: BAD, rater: BAD }),
      _rating: { ...rating([null]), items: [{ key: BAD, tokens: [BAD], special: [], peak: 0, score: null }] },
      error: BAD,
    });
    for (const tab of ["table", "specificity", "feature"]) model.update({ tab });
    model.emit("msg:custom", { op: "found", text: "", items: [[BAD, BAD, null]] });
    expect(all("img, script").length).toBe(0);
    expect(textOf(".saew-example")).toContain(BAD);
    expect(document.title).not.toBe("owned");
  });
});

describe("life", () => {
  it("leaves nothing behind", () => {
    const { model, close } = open({ tab: "table", _table: packTable([[1, 1, 1]]) });
    enter(labelled("Your own text"), "x", "input");
    one(".saew-grid").dispatchEvent(new Event("scroll"));
    close();
    expect(model.listeners).toEqual([]);
    expect(el.childElementCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
  });
  it("keeps Jupyter from all keys", () => {
    open({ _specificity: specificity(), _rating: rating([null]), _table: packTable([[1, 1, 1]]) });
    const left = all("button, input, select, textarea, [tabindex]").filter(
      ({ dataset }) => !dataset.lmSuppressShortcuts,
    );
    expect(left).toEqual([]);
  });
});

const CASES = join(import.meta.dirname, "dashboard_cases.json");
const cases = JSON.parse(readFileSync(CASES, "utf8"));
/** @param {string} text base64 */
const bytes = (text) => {
  const { buffer, byteOffset, byteLength } = Buffer.from(text, "base64");
  return new DataView(/** @type {ArrayBuffer} */ (buffer), byteOffset, byteLength);
};
describe.each(cases)("what Python packs: $name", (/** @type {any[]} */ ...[given]) => {
  const { expected, ...packed } = given;
  it("is read as it was meant", () => {
    const read = decode(bytes(packed._data));
    expect(read?.head.index).toBe(expected.feature);
    for (const [list, windows] of Object.entries(expected.tokens))
      expect(
        read?.lists
          .get(list)
          ?.slice(0, 2)
          .map(({ tokens }) => tokens),
      ).toEqual(windows);
    const whole = decodeExamples(bytes(packed._examples));
    const rounded = whole?.examples
      .slice(0, 2)
      .map(({ values }) => [...(values ?? [])].map((value) => Number(value.toFixed(3))));
    expect(rounded).toEqual(expected.values);
    for (const { tokens, values } of whole?.examples ?? []) expect(values?.length).toBe(tokens.length);
  });
  it("is drawn without a fault", () => {
    const { head } = /** @type {any} */ (decode(bytes(packed._data)));
    const { name: _, ...traits } = packed;
    const state = Object.fromEntries(
      Object.entries(traits).map(([name, value]) => [name, typeof value === "string" ? bytes(value) : value]),
    );
    const { model } = open({ ...state, feature: head.feature, sae: head.sae });
    for (const tab of ["specificity", "table", "feature"]) {
      model.update({ tab });
      model.answer();
      expect(one("[role=tabpanel]:not([hidden])").textContent).not.toMatch(/NaN|undefined|null|Infinity/);
    }
    for (const list of ["1", "10", "top"]) interval(list).click();
    expect(examples().length >= 2).toBe(expected.tokens.top.length === 2);
    expect(all("script, img").length).toBe(0);
    if (!packed._table) return;
    const table = decodeTable(bytes(packed._table));
    expect([...(table?.count.subarray(0, 5) ?? [])]).toEqual(expected.count);
    expect(decodeLive(bytes(packed._live))?.head.tokens.length).toBeGreaterThan(4);
  });
});
