import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { axis } from "../src/shared/bars.js";
import { absoluteOf, formulaOf, reachText } from "../src/shared/edits.js";
import { nats, share, word } from "../src/shared/meter.js";
import { stepped } from "../src/shared/slider.js";
import widget from "../src/steering_panel.js";
import { FakeModel } from "./fake_model.js";
import { bars, edit, OPERATIONS, panelState, text } from "./fake_panel.js";

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
  const model = new FakeModel(panelState(state));
  const close = widget.render({ model, el });
  model.answer();
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
const nameOf = (/** @type {Element | null} */ node) => node?.getAttribute("aria-label");
/** @param {Element} target @param {string} key */
const press = (target, key) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
/** @param {any} control @param {any} value @param {...string} events */
function enter(control, value, ...events) {
  control.value = value;
  for (const event of events) control.dispatchEvent(new Event(event, { bubbles: true }));
}
const slider = () => labelled("Strength of mid/7");
const entry = () => labelled("Strength of mid/7 as a number");
const frame = () => vi.advanceTimersByTime(20);
const texts = (/** @type {number} */ side) => all(".saew-writing")[side];

describe("numbers", () => {
  it.each([
    [4, "ArrowRight", 4.1],
    [4, "ArrowLeft", 3.9],
    [0.2, "ArrowUp", 0.3],
    [4, "PageUp", 5],
    [4, "PageDown", 3],
    [9.95, "ArrowRight", 10],
    [4, "Home", -10],
    [4, "End", 10],
    [15, "ArrowLeft", 14.9],
    [15, "ArrowRight", 15],
    [-15, "PageUp", -14],
    [4, "a", undefined],
  ])("a slider at %d goes on %s to %s", (value, key, next) => {
    expect(stepped(value, key)).toBe(next);
  });
  it("formulas have the number in them", () => {
    const operations = /** @type {any} */ (OPERATIONS);
    expect(formulaOf(edit({ value: 4.25 }), operations)).toBe("x + (4.25 m − f) d");
    expect(formulaOf(edit({ operation: "add", value: -2 }), operations)).toBe("x + −2 m d");
    expect(formulaOf(edit({ operation: "scale", value: 0.5 }), operations)).toBe("x + (0.5 − 1) f d");
    expect(formulaOf(edit({ operation: "project_out", keep_norm: true }), operations)).toBe(
      "x − (x · u) u, brought back to its length",
    );
    expect(formulaOf(edit({ operation: "other" }), operations)).toBe("x + (4 m − f) d");
  });
  it("an absolute value is a multiple of the maximum", () => {
    expect(absoluteOf(edit(), 10)).toBeCloseTo(83);
    expect(absoluteOf(edit({ maximum: null, absolute: 8, value: 4 }), 1)).toBe(2);
    expect(absoluteOf(edit({ maximum: null, absolute: null }))).toBeUndefined();
    expect(absoluteOf(edit({ operation: "scale" }))).toBeUndefined();
  });
  it("an edit tells on how many tokens it did something", () => {
    expect(reachText(edit({ conditional: true, reach: [3, 12] }))).toBe("fired on 3 of 12 tokens, no-op elsewhere");
    expect(reachText(edit({ conditional: true, reach: [0, 12] }))).toBe("fired on none of 12 tokens: a no-op");
    expect(reachText(edit())).toBe("moved 5 of 6 tokens");
    expect(reachText(edit({ reach: null }))).toBe("");
  });
  it.each([
    [0, 0, "none"],
    [0.0001, 0, "small"],
    [0.01, 0.25, "small"],
    [0.1, 0.5, "noticeable"],
    [1, 0.75, "large"],
    [1000, 1, "large"],
  ])("a KL of %d is at %d of the scale: %s", (kl, at, name) => {
    expect(share(kl)).toBeCloseTo(at, 9);
    expect(word(kl)).toBe(name);
  });
  it("a KL below rounding is about nothing", () => {
    expect([0, 6e-9, 0.00559].map(nats)).toEqual(["0", "≈ 0", "0.00559"]);
  });
  it("an axis ends at one of a few numbers", () => {
    expect([0, 0.02, 0.021, 0.3, 0.51, 0.8].map(axis)).toEqual([0.02, 0.02, 0.05, 0.5, 0.75, 1]);
  });
});

describe("a slider", () => {
  it("draws each move at once and sends the latest, one a frame", () => {
    const { model } = open();
    for (let i = 1; i <= 50; i++) enter(slider(), i / 10, "input");
    expect(one(".saew-formula").textContent).toBe("x + (5 m − f) d");
    expect(one(".saew-absolute").textContent).toBe("= 41.5");
    expect(entry().value).toBe("5");
    expect(slider().getAttribute("aria-valuetext")).toBe("5 × max, 41.5");
    expect(model.asked("edit")).toEqual([]);
    frame();
    expect(model.asked("edit")).toEqual([{ key: "e1", value: 5 }]);
    enter(slider(), 6, "input");
    frame();
    expect(model.asked("edit").length).toBe(2);
  });
  it("sends the last move before anything else that is asked", () => {
    const { model } = open();
    enter(slider(), 7, "input");
    labelled("Remove mid/7").click();
    expect(model.sent.map(({ op, value }) => [op, value])).toEqual([
      ["edit", 7],
      ["remove", undefined],
    ]);
  });
  it("is not moved under the hand", () => {
    const { model } = open();
    slider().dispatchEvent(new Event("pointerdown"));
    enter(slider(), 6, "input");
    frame();
    model.update({ _edits: [edit({ value: 2 })] });
    model.answer();
    expect([slider().value, entry().value]).toEqual(["6", "6"]);
    enter(slider(), 6.5, "input");
    model.update({ _edits: [edit({ value: 6 })] });
    slider().dispatchEvent(new Event("change"));
    expect(model.asked("edit").at(-1)).toEqual({ key: "e1", value: 6.5 });
    expect(slider().value).toBe("6.5");
    model.update({ _edits: [edit({ value: 6.5, formula: "", reach: [1, 2] })] });
    model.answer();
    expect(one(".saew-reach").textContent).toBe("moved 1 of 2 tokens");
    model.update({ _edits: [edit({ value: 3 })] });
    expect(slider().value).toBe("3");
  });
  it("waits with what it has while the kernel does not answer", () => {
    const { model } = open();
    enter(slider(), 1, "input");
    frame();
    vi.advanceTimersByTime(600);
    for (const value of [2, 3, 4]) {
      enter(slider(), value, "input");
      frame();
    }
    expect(model.asked("edit")).toEqual([{ key: "e1", value: 1 }]);
    model.answer();
    frame();
    expect(model.asked("edit").at(-1)).toEqual({ key: "e1", value: 4 });
    expect(model.asked("edit").length).toBe(2);
  });
  it("is not put back between a move and its frame", () => {
    const { model } = open();
    press(slider(), "PageUp");
    model.update({ _edits: [edit({ reach: [1, 6] })] });
    expect(slider().value).toBe("5");
    frame();
    expect(model.asked("edit")).toEqual([{ key: "e1", value: 5 }]);
  });
  it("has keys of its own", () => {
    const { model } = open();
    for (const key of ["ArrowRight", "PageUp", "ArrowDown", "End"]) {
      expect(press(slider(), key)).toBe(false);
      frame();
    }
    expect(model.asked("edit").map(({ value }) => value)).toEqual([4.1, 5.1, 5, 10]);
    expect(slider().dataset.lmSuppressShortcuts).toBe("true");
  });
  it("takes numbers beyond it, and says so", () => {
    const { model } = open();
    enter(entry(), "25.5", "input", "change");
    frame();
    expect(model.asked("edit")).toEqual([{ key: "e1", value: 25.5 }]);
    expect(one(".saew-slider").className).toContain("saew-beyond");
    expect(slider().getAttribute("aria-valuetext")).toBe("25.5 × max, 212");
    expect(one(".saew-rail i").style.width).toBe("50%");
  });
  it("takes no text for a number, and leaves who types alone", () => {
    const { model } = open();
    enter(entry(), "", "input");
    model.update({ _edits: [edit({ value: 2 })] });
    expect(entry().value).toBe("");
    enter(entry(), "", "change");
    frame();
    expect(model.asked("edit")).toEqual([]);
    expect(entry().value).toBe("4");
    press(entry(), "Escape");
    model.update({ _edits: [edit({ value: 3 })] });
    expect(entry().value).toBe("3");
  });
  it("is not there where the formula has no number", () => {
    open({ _edits: [edit({ operation: "ablate", slider: false, value: 0 })] });
    expect(one(".saew-strength").hidden).toBe(true);
    expect(labelled("Sweep mid/7").hidden).toBe(true);
    expect(one(".saew-formula").textContent).toBe("x − f d");
  });
});

describe("edits", () => {
  it("show what they are", () => {
    open();
    expect(one(".saew-title").textContent).toBe("1 mid/7 Golden Gate");
    expect(one(".saew-unit").textContent).toBe("× max");
    expect(one(".saew-absolute").textContent).toBe("= 33.2");
    expect(one(".saew-facts").textContent).toBe("max 8.30: largest activation on 1,048,576 tokensmoved 5 of 6 tokens");
    expect([...labelled("Operation of mid/7").options].map((option) => option.textContent)).toContain(
      "set_if_active:  x + (v m − f) d where f > 0, else x",
    );
  });
  it("of a vector are in its length, scaled ones in what is there", () => {
    open({ _edits: [edit({ kind: "vector", unit: "× vector" }), edit({ key: "e2", operation: "scale" })] });
    expect(all(".saew-unit").map(({ textContent }) => textContent)).toEqual(["× vector", "× f"]);
    expect(all(".saew-absolute").map(({ textContent }) => textContent)).toEqual(["= 33.2", ""]);
    expect(one(".saew-facts span").textContent).toBe("length 8.30");
  });
  it("change operation, place and norm", () => {
    const { model } = open();
    enter(labelled("Operation of mid/7"), "ablate", "change");
    expect(one(".saew-reach").textContent).toBe("");
    expect(one(".saew-strength").hidden).toBe(true);
    enter(labelled("Where mid/7 is edited"), "prompt", "change");
    one(".saew-edit [type=checkbox]").click();
    expect(model.asked("edit")).toEqual([
      { key: "e1", operation: "ablate" },
      { key: "e1", where: "prompt" },
      { key: "e1", keep_norm: true },
    ]);
    expect(one(".saew-formula").textContent).toBe("x − f d, brought back to its length");
  });
  it("go back to what Python holds when Python refuses", () => {
    const { model } = open();
    enter(labelled("Operation of mid/7"), "project_out", "change");
    model.answer("no such thing");
    expect(labelled("Operation of mid/7").value).toBe("set");
    expect(one(".saew-what").textContent).toBe("no such thing");
  });
  it("leave a list of choices that is open alone", () => {
    const { model } = open();
    const choices = [labelled("SAE"), labelled("Operation of mid/7")].map(({ firstChild }) => firstChild);
    model.update({ _edits: [edit({ value: 2 })] });
    expect([labelled("SAE").firstChild, labelled("Operation of mid/7").firstChild]).toEqual(choices);
    expect(labelled("SAE").firstChild).toBe(choices[0]);
  });
  it("show another place as it is", () => {
    open({ _edits: [edit({ where: "while mid/3 > 0" })] });
    const where = labelled("Where mid/7 is edited");
    expect(where.value).toBe("while mid/3 > 0");
    expect(where.options.length).toBe(4);
  });
  it("move, keep their controls and the focus", () => {
    const two = [edit(), edit({ key: "e2", name: "mid/8" })];
    const { model } = open({ _edits: two });
    const card = one(".saew-edit");
    const later = labelled("Apply mid/7 later");
    const replace = vi.spyOn(one(".saew-edits"), "replaceChildren");
    model.update({ _edits: two.map((one) => ({ ...one, value: 2 })) });
    expect(replace).not.toHaveBeenCalled();
    later.focus();
    labelled("Apply mid/7 earlier").click();
    expect(model.asked("move")).toEqual([]);
    later.click();
    expect(model.asked("move")).toEqual([{ key: "e1", to: 1 }]);
    model.update({ _edits: [...two].reverse() });
    model.answer();
    expect(all(".saew-edit")[1]).toBe(card);
    expect(document.activeElement).toBe(later);
    expect(later.getAttribute("aria-disabled")).toBe("true");
  });
  it("go, and hand the focus on", () => {
    const { model } = open();
    labelled("Remove mid/7").focus();
    labelled("Remove mid/7").click();
    model.update({ _edits: [] });
    model.answer();
    expect(model.asked("remove")).toEqual([{ key: "e1" }]);
    expect(document.activeElement).toBe(labelled("Add a feature or a vector"));
    expect(one(".saew-none").hidden).toBe(false);
  });
});

describe("the add box", () => {
  const box = () => labelled("Add a feature or a vector");
  const options = () => all(".saew-option").map(({ textContent }) => textContent);

  it("offers the linked feature and the vectors", () => {
    const { model } = open({ feature: "mid/9" });
    box().dispatchEvent(new Event("focus"));
    expect(options()).toEqual(["add mid/9 ", "vector joy - sorrow "]);
    press(box(), "ArrowDown");
    press(box(), "Enter");
    button("add mid/9").click();
    expect(model.asked("add")).toEqual([{ name: "mid/9" }, { name: "mid/9" }]);
    expect(box().value).toBe("");
    model.update({ feature: "" });
    model.answer();
    expect(one(".saew-add button").hidden).toBe(true);
  });
  it("searches labels", () => {
    const { model } = open();
    box().focus();
    enter(box(), "gate", "input");
    expect(model.asked("find")).toEqual([{ text: "gate" }]);
    model.emit("msg:custom", { op: "found", text: "old", items: [["mid/1", "", null]] });
    expect(options()).toEqual([]);
    model.emit("msg:custom", {
      op: "found",
      text: "gate",
      items: [
        ["mid/3", "Golden Gate", 0.01],
        ["mid/4", "a gate", null],
      ],
    });
    expect(options()).toEqual(["mid/3 Golden Gate1.00%", "mid/4 a gate"]);
    enter(box(), "gates", "input");
    expect(options()).toEqual([]);
    enter(box(), "gate", "input");
    press(box(), "Enter");
    expect(model.asked("add")).toEqual([{ name: "mid/3" }]);
  });
  it.each(["7", "mid/7", "joy - sorrow", "nonsense"])("adds %s as typed", (name) => {
    const { model } = open({ feature: "mid/70" });
    enter(box(), name, "input");
    press(box(), "Enter");
    expect(model.asked("add")).toEqual([{ name }]);
  });
  it("lets go on Escape", () => {
    const { model } = open({ feature: "mid/9" });
    enter(box(), "gate", "input");
    press(box(), "Escape");
    expect([box().value, one(".saew-options").hidden]).toEqual(["", true]);
    expect(model.asked("add")).toEqual([]);
  });
});

describe("the next token", () => {
  it("is sorted by the larger of both, on one axis", () => {
    open();
    const rows = all(".saew-rows .saew-bar-row").map(({ children }) => [...children].map((cell) => cell.textContent));
    expect(rows).toEqual([
      ["·Rome", "", "10.0%", "50.0%"],
      ["·Paris", "", "20.0%", "5.00%"],
    ]);
    expect(all(".saew-track i").map(({ style }) => style.width)).toEqual(["20%", "100%", "40%", "10%"]);
    expect(one(".saew-kl").textContent).toBe("KL(base‖steered) 0.420 nats");
  });
  it("paints the steered tokens of the prompt", () => {
    const { model } = open();
    const names = () => all(".saew-strip .saew-tok").map((cell) => nameOf(cell));
    expect(names()).toEqual(["0: <bos>, masked", "1: Golden, steered", "2: ·Gate, steered"]);
    const cell = all(".saew-strip .saew-tok")[2];
    model.update({ _bars: bars({ steered: [1] }) });
    expect(names()[2]).toBe("2: ·Gate");
    expect(all(".saew-strip .saew-tok")[2]).toBe(cell);
    expect(one(".saew-prompt-tokens").textContent).toContain("1 of 3 tokens steered");
    model.update({ _bars: bars({ prompt: { ...bars().prompt, dropped: 4 } }) });
    expect(one(".saew-prompt-tokens").textContent).toContain("showing 3 of 7");
  });
  it("keeps room for its rows, and for none", () => {
    const { model } = open({ _bars: {} });
    expect(one(".saew-bars").hidden).toBe(true);
    expect(one(".saew-strip").hidden).toBe(true);
    model.update({ _bars: bars() });
    expect(one(".saew-rows").style.minHeight).toBe("270px");
  });
});

describe("texts", () => {
  const streamed = (/** @type {string[]} */ tokens, more = {}) => ({
    running: true,
    base: [text([" a", " b"], { stopped: "eos" })],
    steered: [text(tokens, more)],
  });

  it("mark where they differ and what was steered, not by colour alone", () => {
    open();
    const [, cell] = texts(1).querySelectorAll(".saew-tok");
    expect(cell.className).toBe("saew-tok saew-touched saew-differs");
    expect(nameOf(cell)).toBe("2: ·x, log-prob −0.500 steered, −3.00 under base, KL 0.310 nats, steered here, differs");
    expect(nameOf(texts(0).querySelector(".saew-tok"))).toBe("1: ·a, log-prob −0.500");
    expect(one(".saew-story.saew-note:has(.saew-meter)").textContent).toBe("mean KL 0.110 nats/token, noticeable");
  });
  it("grow at their end and keep what is there, with the focus", () => {
    const { model } = open({ _texts: streamed([" a"]) });
    const first = /** @type {HTMLElement} */ (texts(1).querySelector(".saew-tok"));
    first.focus();
    model.update({ _texts: streamed([" a", " x", " y"]) });
    expect(texts(1).textContent).toBe(" a x y");
    expect(document.activeElement).toBe(first);
    press(first, "End");
    expect(document.activeElement?.textContent).toBe(" y");
    model.update({ _texts: streamed([" a", " z"]) });
    expect(texts(1).textContent).toBe(" a z");
    expect(texts(1).querySelector(".saew-tok")).toBe(first);
    expect(document.activeElement).toBe(first);
    expect(texts(1).querySelectorAll("wbr").length).toBe(2);
    expect(texts(1).querySelectorAll("[tabindex='0']").length).toBe(1);
  });
  it("join the pieces of a character when they have all arrived", () => {
    const { model } = open({ _texts: streamed(["�"]) });
    model.update({ _texts: streamed(["�", "�"], { groups: [[0, 2, "é"]] }) });
    expect(texts(1).textContent).toBe("é");
    expect(texts(1).querySelectorAll(".saew-tok").length).toBe(2);
  });
  it("have room for what they may become, and do not shrink while they are written", () => {
    const { model } = open({ max_new_tokens: 64 });
    const room = () => texts(1).style.minHeight;
    expect(room()).toBe("");
    model.update({ _texts: streamed([]) });
    expect(room()).toBe("349px");
    Object.defineProperty(texts(1), "offsetHeight", { value: 400 });
    model.update({ _texts: streamed([" a"]) });
    expect(room()).toBe("400px");
    model.update({ _texts: { ...streamed([" a"]), running: false } });
    expect(room()).toBe("");
  });
  it("say how they ended", () => {
    const { model } = open();
    const ends = () => all(".saew-end").map(({ textContent }) => textContent);
    expect(ends()).toEqual(["ended: length limit", "ended: length limit"]);
    model.update({ _texts: streamed([" a"]) });
    expect(ends()).toEqual(["ended: end of text", "writing …"]);
    expect(all(".saew-running")).toEqual([texts(1)]);
    model.update({ _texts: streamed(Array(32).fill(" a")) });
    expect(ends()[1]).toBe("ended: length limit");
    model.update({ _texts: { ...streamed([" a"], { stopped: "cancelled" }), running: false } });
    expect(ends()[1]).toBe("stopped");
  });
  it("say that they repeat themselves only where they do", () => {
    const { model } = open();
    expect(one(".saew-pair .saew-again")).toBeUndefined();
    model.update({ _texts: { base: [], steered: [text([" a"], { repetition: 0.34 })] } });
    expect(one(".saew-pair .saew-again").textContent).toBe("repeats 34%");
  });
  it("come in samples, each with its seed", () => {
    const { model } = open();
    const pair = [text([" a"], { seed: 3 }), text([" b"], { seed: 4 })];
    model.update({ _texts: { base: pair, steered: pair } });
    expect(all(".saew-writing").map((grid) => nameOf(grid))).toEqual([
      "Base text, sample 1 of 2",
      "Steered text, sample 1 of 2",
      "Base text, sample 2 of 2",
      "Steered text, sample 2 of 2",
    ]);
    expect(all(".saew-side-text")[3].textContent).toContain("seed 4");
    model.update({ _texts: {} });
    expect(all(".saew-writing").length).toBe(2);
    expect(texts(0).getAttribute("role")).toBe("group");
  });
  it("tell of the token in focus", () => {
    open();
    const cell = /** @type {HTMLElement} */ (texts(1).querySelectorAll(".saew-tok")[1]);
    cell.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    expect(one(".saew-tip").textContent).toContain("·x  new token 2 · id 11");
    expect(one(".saew-tip").textContent).toContain("KL 0.310 nats");
    press(cell, "Escape");
    expect(one(".saew-tip").hidden).toBe(true);
  });
  it("that are older than the edits say so where they are written on request", () => {
    const { model } = open({ live: false });
    const behind = () => one(".saew-generate").nextElementSibling.hidden;
    expect(behind()).toBe(true);
    model.update({ _edits: [edit({ value: 5 })] });
    expect(behind()).toBe(false);
    model.update({ _texts: { base: [], steered: [text([" n"])] } });
    expect(behind()).toBe(true);
  });
});

describe("the side effect", () => {
  it("is a number, a word and a bar", () => {
    const { model } = open();
    expect(one(".saew-side-effect").textContent).toContain("Not measured yet");
    model.update({ _side: { kl: 0.031, base_ce: 2.1, steered_ce: 2.15, n_tokens: 96, n_texts: 8 } });
    expect(one(".saew-side-effect").textContent).toContain(
      "small: KL 0.0310 nats/token; CE 2.10 → 2.15 (8 texts, 96 tokens)",
    );
    expect(Number.parseFloat(one(".saew-scale i").style.width)).toBeCloseTo(37.28, 1);
  });
  it("says when the edits have changed since, until the work is done", () => {
    const { model } = open({ _side: { kl: 0.031, base_ce: 2.1, steered_ce: 2.15, n_tokens: 96, n_texts: 8 } });
    const old = () => one(".saew-side-effect").classList.contains("saew-old");
    model.update({ status: { state: "running", message: "" }, _edits: [edit({ value: 5 })] });
    expect(old()).toBe(true);
    model.update({ _side: { kl: 0.5, base_ce: 2.1, steered_ce: 2.4, n_tokens: 96, n_texts: 8 } });
    expect(old()).toBe(false);
    model.update({ _edits: [edit({ value: 6 })] });
    expect(old()).toBe(true);
    model.update({ status: { state: "done", message: "" } });
    vi.advanceTimersByTime(100);
    expect(old()).toBe(false);
  });
});

describe("a sweep", () => {
  const cards = () => all(".saew-card");
  const swept = (/** @type {number} */ value, more = {}) => ({
    value,
    absolute: 8.3 * value,
    text: " words",
    repetition: 0,
    mean_kl: 0.1,
    top: [" Rome", 0.5],
    ...more,
  });
  const state = { key: "e1", name: "mid/7", operation: "set", running: false };

  it("is asked for, and shows a card for each strength", () => {
    const { model } = open();
    expect(one(".saew-sweep").hidden).toBe(true);
    labelled("Sweep mid/7").click();
    expect(model.asked("sweep")).toEqual([{ key: "e1" }]);
    model.update({ _sweep: { ...state, texts: [swept(-2), swept(4, { repetition: 0.8, mean_kl: null, top: null })] } });
    expect(one(".saew-sweep b").textContent).toBe("Sweep of mid/7: set, in × max");
    expect(cards().map(({ textContent }) => textContent)).toEqual([
      "× −2= −16.6·Rome 50.0% wordsKL 0.100",
      "× 4= 33.2– wordsKL –repeats 80%",
    ]);
    expect(cards().map((card) => card.getAttribute("aria-pressed"))).toEqual(["false", "true"]);
  });
  it("gives its strength to the edit", () => {
    const { model } = open({ _sweep: { ...state, texts: [swept(-2), swept(4)] } });
    cards()[0].focus();
    cards()[0].click();
    expect(model.asked("edit")).toEqual([{ key: "e1", value: -2 }]);
    expect(cards()[0].getAttribute("aria-pressed")).toBe("true");
    model.update({ _sweep: { ...state, texts: [swept(-3), swept(4)] } });
    expect(document.activeElement).toBe(cards()[0]);
  });
  it("of an edit that has gone can only be read", () => {
    const { model } = open({ _sweep: { ...state, key: "e9", texts: [swept(1)] } });
    cards()[0].click();
    expect(cards()[0].getAttribute("aria-disabled")).toBe("true");
    expect(model.asked("edit")).toEqual([]);
  });
});

describe("presets and code", () => {
  it("are saved as a file, by the view that was asked", () => {
    /** @type {any[]} */
    const made = [];
    vi.spyOn(URL, "createObjectURL").mockImplementation((blob) => {
      made.push(blob);
      return "blob:x";
    });
    /** @this {HTMLAnchorElement} */
    function clicked() {
      made.push([this.download, this.getAttribute("href")]);
    }
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockImplementation(clicked);
    const { model } = open();
    model.emit("msg:custom", { op: "preset", text: "{}" });
    expect(made).toEqual([]);
    button("save preset").click();
    expect(model.asked("preset")).toEqual([{}]);
    model.emit("msg:custom", { op: "preset", text: "{}" });
    model.emit("msg:custom", { op: "preset", text: "{}" });
    expect(made.slice(1)).toEqual([["steering.json", "blob:x"]]);
  });
  it("are loaded from one", async () => {
    const { model } = open();
    const file = labelled("Preset file");
    const choose = async (/** @type {any} */ chosen) => {
      Object.defineProperty(file, "files", { value: [chosen], configurable: true });
      file.dispatchEvent(new Event("change"));
      await Promise.resolve();
    };
    await choose({ name: "big", size: 8_000_001, text: async () => "no" });
    expect(one(".saew-what").textContent).toContain("larger than 8 MB");
    await choose({ name: "good", size: 8_000_000, text: async () => "{}" });
    expect(model.asked("load")).toEqual([{ text: "{}" }]);
  });
  it("go to the clipboard, or else into a field", async () => {
    const written = vi.fn();
    vi.stubGlobal("navigator", { clipboard: { writeText: written } });
    open();
    button("copy as code").click();
    await Promise.resolve();
    expect(written).toHaveBeenCalledWith("edits = []");
    expect(one(".saew-code").hidden).toBe(true);
    vi.stubGlobal("navigator", {});
    button("copy as code").click();
    await Promise.resolve();
    expect([one(".saew-code").hidden, one(".saew-code").value]).toEqual([false, "edits = []"]);
    vi.unstubAllGlobals();
  });
});

describe("settings", () => {
  it.each([
    ["new tokens", "64", { max_new_tokens: 64 }],
    ["temperature", "0.7", { temperature: 0.7 }],
    ["top-p", "0.9", { top_p: 0.9 }],
    ["seed", "5", { seed: 5 }],
    ["samples", "3", { samples: 3 }],
    ["k", "5", { k: 5 }],
  ])("%s", (name, value, expected) => {
    const { model } = open();
    enter(labelled(name), value, "input", "change");
    expect(model.asked("set")).toEqual([expected]);
  });
  it.each([
    ["new tokens", "257"],
    ["new tokens", "2.5"],
    ["samples", "0"],
    ["temperature", "-1"],
  ])("%s takes no %s", (name, value) => {
    const { model } = open();
    const former = labelled(name).value;
    enter(labelled(name), value, "input", "change");
    expect(model.asked("set")).toEqual([]);
    expect(labelled(name).value).toBe(former);
  });
  it("live, SAE, prompt, Generate and Stop", () => {
    const { model } = open({ status: { state: "running", message: "" } });
    one(".saew-controls [type=checkbox]").click();
    enter(labelled("SAE"), "wide", "change");
    enter(labelled("Prompt"), "new", "input");
    press(labelled("Prompt"), "Enter");
    model.update({ prompt: "new" });
    model.answer();
    press(labelled("Prompt"), "Enter");
    button("Generate").click();
    button("Stop").click();
    expect(model.asked("set")).toEqual([{ live: false }, { sae: "wide" }, { prompt: "new" }]);
    expect(model.asked("generate").length).toBe(2);
    expect(model.asked("stop").length).toBe(1);
  });
});

describe("life", () => {
  it("says what the kernel does, but not each passing state", () => {
    const { model } = open();
    const states = () => [one(".saew-status").textContent, button("Stop").hidden];
    model.update({ status: { state: "queued", message: "" } });
    model.update({ status: { state: "running", message: "" } });
    expect(states()).toEqual(["ready", true]);
    vi.advanceTimersByTime(100);
    expect(states()).toEqual(["running", false]);
    model.update({ status: { state: "done", message: "" } });
    vi.advanceTimersByTime(100);
    expect(states()).toEqual(["ready", true]);
  });
  it("without a kernel shows what was computed and says what needs one", () => {
    const model = new FakeModel(panelState());
    widget.render({ model, el });
    model.emit("msg:custom", { op: "alone" });
    expect(one(".saew-status").textContent).toContain("no kernel answers");
    expect(all("fieldset").every((set) => /** @type {any} */ (set).disabled)).toBe(true);
    expect(button("copy as code").closest("fieldset")).toBeNull();
    expect(texts(1).textContent).toBe(" a x c");
    model.answer();
    expect(all("fieldset").some((set) => /** @type {any} */ (set).disabled)).toBe(false);
  });
  it("leaves nothing behind", () => {
    const { model, close } = open();
    enter(slider(), 7, "input");
    close();
    frame();
    expect(model.listeners).toEqual([]);
    expect(model.asked("edit")).toEqual([]);
    expect(el.childElementCount).toBe(0);
  });
  it("works before anything has run", () => {
    open({ _edits: [], _bars: {}, _texts: {}, error: "no", status: { state: "failed", message: "no" } });
    expect(one(".saew-what").textContent).toBe("no");
  });
  it("text stays text", () => {
    const bad = "<img src=x onerror=alert(1)>";
    open({
      feature: bad,
      error: bad,
      _edits: [edit({ name: bad, label: bad, where: bad, source: bad, operation: bad, formula: bad, unit: bad })],
      _bars: bars({ rows: [[bad, 0.1, 0.2]], prompt: { ...bars().prompt, tokens: [bad, bad, bad] } }),
      _texts: { base: [text([bad])], steered: [text([bad], { stopped: bad, groups: [[0, 1, bad]] })] },
      _sweep: {
        ...{ key: "e1", name: bad, operation: bad },
        texts: [{ value: 1, absolute: null, text: bad, repetition: 0, mean_kl: null, top: [bad, 1] }],
      },
      _operations: [[bad, bad, true]],
      _saes: [bad],
      _vectors: [bad],
      sae: bad,
    });
    one("[role=combobox]").dispatchEvent(new Event("focus"));
    expect(all("img, script")).toEqual([]);
    expect(one(".saew-title").textContent).toBe(`1 ${bad} ${bad}`);
  });
  it("keeps Jupyter from all keys", () => {
    open();
    const free = all("button, input, select, textarea, [tabindex]").filter(
      ({ dataset }) => dataset.lmSuppressShortcuts !== "true",
    );
    expect(free).toEqual([]);
  });
});
