import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widget from "../src/feature_ranking.js";
import { decode } from "../src/shared/ranking_wire.js";
import { KEYS, overlap, pearson, ranksOf, sorted } from "../src/shared/ranks.js";
import { FakeModel } from "./fake_model.js";
import { packRanking, rankingState } from "./fake_ranking.js";

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

/** @param {Record<string, any>} [state] */
function open(state) {
  const model = new FakeModel(rankingState(state));
  const close = widget.render({ model, el });
  return { model, close };
}
/** @param {string} selector */
const all = (selector) => /** @type {HTMLElement[]} */ ([...el.querySelectorAll(selector)]);
/** @param {string} selector */
const one = (selector) => all(selector)[0];
/** @param {Element} target @param {string} key @param {KeyboardEventInit} [more] */
const press = (target, key, more) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
/** Rows of a column: of the first k, or those below. @param {number} column @param {string} [kind] */
const rows = (column, kind = ":not(.saew-low)") =>
  [...all(".saew-list")[column].querySelectorAll(`.saew-entry${kind}`)].map((cell) =>
    Number(/** @type {HTMLElement} */ (cell).dataset.row),
  );
const input = (/** @type {number} */ i) => /** @type {HTMLInputElement} */ (all(".saew-combo")[i]);
/** @param {HTMLInputElement} box @param {string} text */
function type(box, text) {
  box.value = text;
  box.dispatchEvent(new Event("input"));
}
const options = (/** @type {number} */ i) =>
  [...all(".saew-options")[i].children].map((option) => option.firstElementChild?.textContent);

/** @type {any[]} */
const CASES = JSON.parse(readFileSync(join(import.meta.dirname, "ranking_cases.json"), "utf8"));

describe("ranks", () => {
  describe.each(CASES)("of $k of some rows", (columns) => {
    const ranking = /** @type {import("../src/shared/ranking_wire.js").Ranking} */ (decode(packRanking(columns)));
    it.each(["absolute", "signed"])("are those of Python, %s", (order) => {
      const orders = KEYS.map((by) => sorted(ranking, by, order === "signed"));
      expect(orders.map((rank) => [...ranksOf(rank)])).toEqual(columns[order].ranks);
      expect(overlap(orders, ranking.ablation, columns.k)).toEqual(columns[order].overlap);
    });
    it("correlate as in Python", () => {
      const found = [pearson(ranking, "activation"), pearson(ranking, "attribution")];
      found.forEach((r, i) => {
        const expected = columns.pearson[i];
        if (expected === null) expect(r).toBeNaN();
        else expect(r).toBeCloseTo(expected, 9);
      });
    });
  });
});

describe("decode", () => {
  it.each([0, 1, 5])("reads a view that begins at byte %d", (offset) => {
    const ranking = decode(packRanking({ activation: [1, 2], attribution: [-1, 3], ablation: [null, 4], offset }));
    expect([...(ranking?.known ?? [])]).toEqual([0, 1]);
    expect([...(ranking?.ablation ?? [])]).toEqual([0, 4]);
    expect([...(ranking?.attribution ?? [])]).toEqual([-1, 3]);
    expect([...(ranking?.feature ?? [])]).toEqual([0, 1]);
  });
  it("refuses another version", () => {
    const data = packRanking();
    data.setUint32(4, 2, true);
    expect(() => decode(data)).toThrow("version");
  });
});

describe("the picture", () => {
  it("shows the first k of each column and below what another column shows", () => {
    open({ k: 2 });
    expect([0, 1, 2].map((column) => rows(column))).toEqual([
      [0, 1],
      [3, 2],
      [3, 2],
    ]);
    expect([0, 1, 2].map((column) => rows(column, ".saew-low"))).toEqual([
      [2, 3],
      [1, 0],
      [1, 0],
    ]);
    expect(all(".saew-low .saew-rank").map((rank) => rank.textContent)).toEqual(["#3", "#4", "#3", "#4", "#3", "#4"]);
    expect(all(".saew-count").map((badge) => badge.textContent)).toEqual(["0/2", "2/2"]);
  });
  it("joins each row by lines, those that rise into the top apart", () => {
    open({ k: 2 });
    const [left, right] = all(".saew-joint");
    const kinds = (/** @type {Element} */ joint) =>
      Object.fromEntries(
        [...joint.children].map((path) => [path.getAttribute("data-row"), path.getAttribute("class")]),
      );
    expect(kinds(left)).toEqual({ 0: "saew-falls", 1: "saew-falls", 2: "saew-rises", 3: "saew-rises" });
    expect(kinds(right)).toEqual({ 0: "saew-apart", 1: "saew-apart", 2: "saew-stays", 3: "saew-stays" });
  });
  it("tells values by sign, side and size", () => {
    open();
    const cells = [...all(".saew-list")[1].querySelectorAll(".saew-entry")];
    expect(cells.map((cell) => cell.querySelector(".saew-value")?.textContent)).toEqual([
      "−4.00",
      "+3.00",
      "+0.500",
      "−0.250",
    ]);
    const bars = cells.map((cell) => /** @type {HTMLElement} */ (cell.querySelector("i")).style);
    expect(bars.map(({ left, width }) => [left, width])).toEqual([
      ["10%", "40%"],
      ["50%", "30%"],
      ["50%", "5%"],
      ["47.5%", "2.5%"],
    ]);
    expect(cells[0].textContent).toBe("113−4.00");
  });
  it("says which rows are at the top by ablation too", () => {
    open({ k: 3 });
    const told = (/** @type {number} */ column) =>
      [...all(".saew-list")[column].querySelectorAll("[role=img][aria-label='top by ablation']")].length;
    expect([told(0), told(1)]).toEqual([2, 3]);
  });
  it("shows what is not ablated yet as not known", () => {
    open({ _data: packRanking({ ablation: [null, null, null, 2] }), status: { state: "running", message: "" } });
    expect(rows(2)).toEqual([3]);
    expect(all(".saew-count").map((badge) => badge.textContent)).toEqual(["0/1", "1/1"]);
    expect(one(".saew-heads").textContent).toContain("1 of 4 ablated");
    expect(one("progress").hidden).toBe(false);
    expect(all(".saew-joint")[1].children.length).toBe(1);
    expect(all(".saew-list")[2].querySelector(".saew-low")?.textContent).toContain("not yet");
  });
  it("has nothing to compare before the first ablation", () => {
    open({ _data: packRanking({ ablation: [null, null, null, null] }) });
    expect(all(".saew-count")).toEqual([]);
    expect(one(".saew-plot").textContent).toContain("not defined");
  });
  it("draws every known row and the error, wherever it is", () => {
    open({ _data: packRanking({ head: { nodes: [["error", "mid", -1, 100, 90]] } }) });
    const dots = all(".saew-dots").map((path) => path.getAttribute("d")?.match(/M/g)?.length ?? 0);
    expect(dots.reduce((sum, n) => sum + n, 0)).toBe(4);
    expect(one(".saew-scatter").textContent).toContain("error, beyond: 100, 90.0");
    expect(one(".saew-node").textContent).toContain("+100");
  });
  it("sums nodes over positions, and their ablations only where one is known", () => {
    const nodes = [
      ["error", "mid", 1, 1, 2],
      ["error", "mid", 2, 0.5, 1],
      ["bias", "mid", -1, -2, 0.25],
    ];
    open({ _data: packRanking({ head: { nodes } }) });
    expect(all(".saew-node .saew-value").map((value) => value.textContent)).toEqual(["+1.50", "–", "−2.00", "+0.250"]);
  });
  it("says when the script is not that of the package", () => {
    const data = packRanking();
    data.setUint32(4, 9, true);
    open({ _data: data });
    expect(one(".saew-what").textContent).toContain("differ in version");
  });
  it("works before anything has run", () => {
    open({ _data: new DataView(new ArrayBuffer(0)), status: { state: "failed", message: "no" }, error: "no tokens" });
    expect(one(".saew-what").textContent).toBe("no tokens");
    expect(all(".saew-entry")).toEqual([]);
  });
});

describe("following", () => {
  it("marks one row in all columns and both joints", () => {
    open();
    all(".saew-list")[2].firstElementChild?.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    expect(all(".saew-on").map((node) => node.getAttribute("data-row"))).toEqual(["3", "3", "3", "3", "3"]);
    expect(one(".saew-readout").textContent).toContain("mid/13");
    expect(one(".saew-readout").textContent).toContain("ablation −5.00 (#1)");
    one(".saew-columns").dispatchEvent(new MouseEvent("mouseleave"));
    expect(all(".saew-on")).toEqual([]);
  });
  it("walks with the arrow keys", () => {
    open();
    const first = /** @type {HTMLElement} */ (all(".saew-list")[0].firstElementChild);
    first.focus();
    press(first, "ArrowDown");
    press(/** @type {Element} */ (document.activeElement), "ArrowRight");
    const now = /** @type {HTMLElement} */ (document.activeElement);
    expect([now.dataset.row, now.parentElement?.getAttribute("aria-label")]).toEqual(["1", "Rows by attribution"]);
    expect(all(".saew-entry[tabindex='0']")).toEqual([now]);
    press(now, "End");
    expect(/** @type {HTMLElement} */ (document.activeElement).dataset.row).toBe(`${rows(1).at(-1)}`);
  });
  it("keeps the focus while new numbers arrive", () => {
    const { model } = open();
    const cell = /** @type {HTMLElement} */ (all(".saew-list")[1].children[1]);
    cell.focus();
    const { row } = cell.dataset;
    model.update({ _data: packRanking({ attribution: [9, 8, 7, 6] }) });
    const now = /** @type {HTMLElement} */ (document.activeElement);
    expect(now).not.toBe(cell);
    expect(now.dataset.row).toBe(row);
  });
  it("chooses with a click, and lets go with another", () => {
    const { model } = open();
    /** @type {HTMLElement} */ (all(".saew-list")[1].firstElementChild).click();
    expect(all(".saew-entry[aria-selected=true]").length).toBe(3);
    /** @type {HTMLElement} */ (all(".saew-list")[1].firstElementChild).click();
    expect(model.asked("set")).toEqual([{ feature: "mid/13" }, { feature: "" }]);
  });
  it("shows the chosen feature even where it is at the top of no column", () => {
    open({ k: 1, feature: "mid/11" });
    expect(rows(0, ".saew-low")).toContain(1);
  });
  it.each([
    ["mid/99", "mid/99 does not fire here"],
    ["wide/3", "wide/3 is of another SAE"],
  ])("says of %s that it is not here", (feature, text) => {
    open({ feature });
    expect(one(".saew-readout").textContent).toBe(text);
  });
});

describe("questions", () => {
  it("asks for a token, and for the whole prompt", () => {
    const { model } = open();
    all(".saew-tok")[2].click();
    one(".saew-whole").click();
    expect(model.asked("set")).toEqual([{ position: 2 }, { position: null }]);
  });
  it("draws order and k at once", () => {
    const { model } = open();
    all(".saew-toggle button")[3].click();
    expect(rows(1)).toEqual([2, 1, 0, 3]);
    const count = /** @type {HTMLInputElement} */ (one(".saew-k"));
    count.value = "1";
    count.dispatchEvent(new Event("change"));
    expect(rows(1)).toEqual([2]);
    expect(model.asked("set")).toEqual([{ order: "signed" }, { k: 1 }]);
  });
  it("takes no k that makes no sense", () => {
    const { model } = open();
    const count = /** @type {HTMLInputElement} */ (one(".saew-k"));
    count.value = "0";
    count.dispatchEvent(new Event("change"));
    expect(count.value).toBe("10");
    expect(model.asked("set")).toEqual([]);
  });
  it("names the scope that holds while none is chosen", () => {
    const { model } = open();
    const pressed = () => all(".saew-toggle")[0].querySelector("[aria-pressed=true]")?.textContent;
    expect(pressed()).toBe("at all positions at once");
    model.answer();
    model.update({ position: 1 });
    expect(pressed()).toBe("at this position");
    model.update({ scope: "all_positions" });
    expect(pressed()).toBe("at all positions at once");
  });
  it("goes back to what Python holds when Python refuses", () => {
    const { model } = open();
    all(".saew-toggle button")[3].click();
    model.answer("no");
    expect(rows(1)[0]).toBe(3);
    expect(one(".saew-what").textContent).toBe("no");
  });
});

describe("a token picker", () => {
  it("shows spaces and offers what the model finds likely", () => {
    open();
    expect(input(0).value).toBe("·Paris");
    expect(input(1).placeholder).toBe("mean logit");
    input(1).dispatchEvent(new Event("focus"));
    expect(options(1)).toEqual(["mean logit", "·Paris", "·Rome"]);
    expect(input(1).getAttribute("aria-expanded")).toBe("true");
  });
  it("completes what is typed, and takes only the answer to the last question", () => {
    const { model } = open();
    type(input(0), " Lo");
    expect(input(0).value).toBe("·Lo");
    expect(model.asked("complete")).toEqual([{ field: "target", text: " Lo" }]);
    model.emit("msg:custom", { op: "completions", field: "target", text: " L", items: [[1, " Lyon", " Lyon"]] });
    expect(options(0)).toEqual([]);
    const items = [
      [7, " London", " London"],
      [8, " Lo\\xc3", 8],
    ];
    model.emit("msg:custom", { op: "completions", field: "target", text: " Lo", items });
    expect(options(0)).toEqual(["·London", "·Lo\\xc3"]);
    press(input(0), "ArrowUp");
    expect(input(0).getAttribute("aria-activedescendant")).toBe(all(".saew-option")[1].id);
    model.emit("msg:custom", { op: "completions", field: "target", text: " Lo", items: [[6, " Lo", " Lo"], ...items] });
    expect(input(0).getAttribute("aria-activedescendant")).toBe(all(".saew-option")[2].id);
    press(input(0), "Enter");
    expect(model.asked("set")).toEqual([{ target: 8 }]);
    expect(input(0).value).toBe("·Lo\\xc3");
    expect(all(".saew-options")[0].hidden).toBe(true);
  });
  it("takes a text as it is typed", () => {
    const { model } = open();
    type(input(1), " New York");
    press(input(1), "Enter");
    expect(model.asked("set")).toEqual([{ baseline: " New York" }]);
  });
  it("empties with Enter, goes back with Escape or when it is left", () => {
    const { model } = open();
    for (const leave of [() => press(input(0), "Escape"), () => input(0).dispatchEvent(new Event("blur"))]) {
      type(input(0), "nonsense");
      leave();
      expect(input(0).value).toBe("·Paris");
    }
    type(input(0), "");
    press(input(0), "Enter");
    expect(model.asked("set")).toEqual([{ target: "" }]);
  });
  it("is not taken from under the person's fingers", () => {
    const { model } = open();
    model.answer();
    type(input(0), "half");
    model.update({ target: " Rome" });
    expect(input(0).value).toBe("half");
  });
  it("shows an id as its text, several as one, none as the likeliest", () => {
    const { model } = open({ target: 5 });
    model.answer();
    expect(input(0).value).toBe("·Paris");
    model.update({ target: [" New", " York"] });
    expect(input(0).value).toBe("·New·York");
    model.update({ target: "" });
    expect([input(0).value, input(0).placeholder]).toEqual(["", "most likely: ·Paris"]);
  });
});

describe("life", () => {
  it("says hello once and nothing else", () => {
    expect(open().model.sent.map(({ op }) => op)).toEqual(["hello"]);
  });
  it("says what works without a kernel", () => {
    const { model } = open();
    vi.advanceTimersByTime(3000);
    expect(one(".saew-status").textContent).toContain("no kernel");
    model.answer();
    expect(one(".saew-status").textContent).toBe("ready");
  });
  it("stops", () => {
    const { model } = open({ status: { state: "running", message: "" } });
    one(".saew-stop").click();
    expect(model.asked("stop").length).toBe(1);
  });
  it("leaves nothing behind", () => {
    const { model, close } = open();
    close();
    expect(model.listeners).toEqual([]);
    expect(el.children.length).toBe(0);
  });
  it("keeps hostile text as text", () => {
    const evil = "<img src=x onerror=alert(1)>";
    const head = {
      tokens: ["<|bos|>", evil],
      metric: evil,
      labels: { "mid/13": evil },
      predictions: [[evil, evil, 1]],
    };
    open({ _data: packRanking({ head: { ...head, ids: [0, 1], target: evil, nodes: [[evil, "mid", -1, 1, 1]] } }) });
    input(0).dispatchEvent(new Event("focus"));
    expect(all("img")).toEqual([]);
    expect(one(".saew-metric b").textContent).toBe(evil);
  });
});
