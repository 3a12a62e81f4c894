import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { PRIVATE } from "../names.mjs";
import widget from "../src/attention_patterns.js";
import makeCircuits, { escaped } from "../src/circuitsvis_picture.js";
import { decode } from "../src/shared/attention_wire.js";
import { FakeLibrary, fakeState, lookingBack, pack } from "./fake_attention.js";
import { FakeModel } from "./fake_model.js";

const KEY = Symbol.for("saewidgets.circuitsvis.1");
/** @type {any} */
const page = globalThis;
/** @type {HTMLElement} */
let el;

beforeEach(() => {
  vi.useFakeTimers();
  el = document.createElement("div");
  document.body.replaceChildren(el);
  delete page[KEY];
});
afterEach(() => {
  vi.useRealTimers();
});

/** @param {Record<string, any>} [state] @param {HTMLElement} [into] */
function open(state, into = el) {
  const model = new FakeModel(fakeState(state));
  const close = widget.render({ model, el: into });
  return { model, close };
}
/** With the script of circuitsvis in the page. @param {Record<string, any>} [state] */
function openWith(state, library = new FakeLibrary()) {
  page[KEY] = { make: (/** @type {any} */ handlers) => makeCircuits(library, handlers), wishes: [] };
  const { model, close } = open(state);
  model.answer();
  return { model, close, library };
}
/** @param {string} selector */
const all = (selector) => /** @type {HTMLElement[]} */ ([...el.querySelectorAll(selector)]);
/** @param {string} selector */
const one = (selector) => all(selector)[0];
/** @param {Element} target @param {string} key */
const press = (target, key) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
const coloured = () => all(".saew-strip .saew-tok").flatMap((cell, i) => (cell.style.background ? [i] : []));
const own = () => /** @type {HTMLElement} */ (one(".saew-own").parentElement);

const theirs = () => /** @type {HTMLElement} */ (own().previousElementSibling);

describe("the buffer", () => {
  it("holds the rows of each head, wherever it begins", () => {
    for (const offset of [0, 1, 2, 3]) {
      const result = /** @type {NonNullable<ReturnType<typeof decode>>} */ (decode(pack({ offset })));
      expect([...result.row(0, 2)]).toEqual([0, 1, 0]);
      expect([...result.row(1, 3)]).toEqual([0.5, 0, 0, 0.5]);
      expect([...result.row(null, 2)]).toEqual([0.75, 1, 0.25]);
    }
  });
  it("is empty before anything has run, and of one version", () => {
    expect(decode(new DataView(new ArrayBuffer(0)))).toBeUndefined();
    const data = pack();
    data.setUint32(4, 9, true);
    expect(() => decode(data)).toThrow("differ in version");
  });
});

describe("names that a bundle makes short", () => {
  it("are none that Python, another build or the page's other views know", () => {
    const { head } = /** @type {NonNullable<ReturnType<typeof decode>>} */ (decode(pack()));
    const told = [fakeState(), head, head.heads[0]].flatMap(Object.keys);
    const builds = "head row onHead onToken onOver onDrawn element draw pick close library drawing";
    const page = "make loading broken asking wishes ask use render AttentionPatterns setBackend";
    const names = [...told, ...builds.split(" "), ...page.split(" ")];
    expect(names.filter((name) => PRIVATE.test(name))).toEqual([]);
  });
});

describe("our own drawing", () => {
  it("shows tokens, heads, layers and what the last token looks at", () => {
    open();
    expect(all(".saew-strip .saew-tok").map((cell) => cell.textContent)).toEqual(["<|bos|>", "The", " cat", " sat"]);
    expect(all(".saew-small").map((small) => small.getAttribute("aria-label"))).toEqual([
      "all heads",
      "head 0",
      "head 1",
    ]);
    expect(all("[aria-label='Layer'] option").map((option) => option.textContent)).toEqual(["0", "1", "2"]);
    expect(one(".saew-looks").textContent).toContain("·satposition 3 looks at (all heads: the largest weight)");
    expect(all(".saew-seen").map((line) => line.textContent)).toEqual(["·cat21.00", "<|bos|>00.500", "·sat30.500"]);
    expect(coloured()).toEqual([0, 2, 3]);
    expect(own().hidden).toBe(false);
  });
  it("says hello once and asks for the script once a kernel is there", () => {
    const { model } = open();
    expect(model.sent.map(({ op }) => op)).toEqual(["hello"]);
    model.answer();
    model.answer();
    expect(model.sent.map(({ op }) => op)).toEqual(["hello", "script"]);
  });
  it("chooses a head by its picture, by its row and by keys, and again none", () => {
    const { model } = open();
    all(".saew-small")[2].click();
    expect(model.asked("set")).toEqual([{ head: 1 }]);
    expect(all("[aria-checked=true]").map((small) => small.getAttribute("aria-label"))).toEqual(["head 1"]);
    expect(all(".saew-seen").map((line) => line.textContent)).toEqual(["<|bos|>00.500", "·sat30.500"]);
    const rows = all(".saew-table .saew-row");
    rows[1].click();
    press(rows[1], "ArrowDown");
    press(rows[2], "ArrowDown");
    press(rows[2], "Enter");
    press(rows[2], "Enter");
    expect(model.asked("set").map(({ head }) => head)).toEqual([1, 0, 1, null]);
    press(rows[2], "Enter");
    press(rows[2], "Home");
    press(rows[0], "Enter");
    expect(model.asked("set").slice(-2)).toEqual([{ head: 1 }, { head: null }]);
    press(all(".saew-small")[0], "ArrowRight");
    expect(model.asked("set").at(-1)).toEqual({ head: 0 });
  });
  it("chooses a token by mouse and keys", () => {
    const { model } = open({ head: 0 });
    const cells = all(".saew-strip .saew-tok");
    cells[1].click();
    expect(all("[aria-selected=true].saew-tok")).toEqual([cells[1]]);
    expect(coloured()).toEqual([0]);
    press(cells[1], "ArrowRight");
    press(cells[2], "Enter");
    press(cells[2], "Enter");
    expect(model.asked("set")).toEqual([{ token: 1 }, { token: 2 }, { token: null }]);
  });
  it("shows what the token under the mouse or in focus looks at", () => {
    open({ head: 0, token: 3 });
    all(".saew-strip .saew-tok")[2].dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    expect(coloured()).toEqual([1]);
    expect(one(".saew-looks b").textContent).toBe("·cat");
    one(".saew-strip").dispatchEvent(new MouseEvent("mouseleave"));
    expect(coloured()).toEqual([2]);
  });
  it("follows Python, and Python's links", () => {
    const { model } = open();
    model.answer();
    model.answer(); // the script was asked for
    model.update({ token: 1, head: 1, layer: 2 });
    expect(one(".saew-looks .saew-faint").textContent).toBe("position 1 looks at (head 1)");
    expect(/** @type {HTMLSelectElement} */ (one("[aria-label='Layer']")).value).toBe("2");
  });
  it("asks for another layer", () => {
    const { model } = open();
    const select = /** @type {HTMLSelectElement} */ (one("[aria-label='Layer']"));
    select.value = "2";
    select.dispatchEvent(new Event("change"));
    expect(model.asked("set")).toEqual([{ layer: 2 }]);
  });
  it("says what is cut and what is special", () => {
    open({ _data: pack({ head: { total: 9 } }) });
    expect(one(".saew-notes b").textContent).toBe("showing 4 of 9 tokens");
    expect(one(".saew-notes").textContent).toContain("1 special, kept");
  });
  it("works before anything has run", () => {
    open({ _data: new DataView(new ArrayBuffer(0)), status: { state: "failed", message: "no" }, error: "no tokens" });
    expect(one(".saew-what").textContent).toBe("no tokens");
    expect(own().hidden).toBe(true);
  });
  it("drops a choice that the next result lacks", () => {
    const { model } = open({ token: 3, head: 1 });
    model.answer();
    model.update({ _data: pack({ patterns: [lookingBack(2)], tokens: ["<|bos|>", "Hi"] }) });
    expect(all(".saew-tok[aria-selected=true]")).toEqual([]);
    expect(one(".saew-looks b").textContent).toBe("Hi");
  });
  it("leaves nothing behind", () => {
    const { model, close } = open();
    close();
    expect([model.listeners, el.children.length]).toEqual([[], 0]);
  });
});

describe("the script of circuitsvis, once a page", () => {
  it("is asked for by one view only, and used by all", () => {
    const [first, second] = [open(), open()];
    first.model.answer();
    second.model.answer();
    expect([first, second].map(({ model }) => model.asked("script").length)).toEqual([1, 0]);
  });
  it("is asked for by the next view when the first goes or has none", () => {
    const views = [open(), open(), open()];
    for (const { model } of views) model.answer();
    views[0].close();
    expect(views.map(({ model }) => model.asked("script").length)).toEqual([1, 1, 0]);
    views[1].model.emit("msg:custom", { op: "script", library: "", drawing: "" });
    expect(views.map(({ model }) => model.asked("script").length)).toEqual([1, 1, 1]);
    views[1].model.answer();
    expect(views[1].model.asked("script").length).toBe(1);
  });
  it("is not asked for again where the package is missing", () => {
    const { model } = open();
    model.answer();
    model.emit("msg:custom", { op: "script", library: "", drawing: "" });
    model.answer();
    model.update({ _data: pack() });
    expect(model.asked("script").length).toBe(1);
  });
  it("is not asked for where it would not be used", () => {
    const tokens = Array.from({ length: 129 }, (_, i) => `t${i}`);
    const { model } = open({ _data: pack({ patterns: [lookingBack(129)], tokens }) });
    model.answer();
    expect(model.asked("script")).toEqual([]);
  });
  it("is not asked for again when it cannot be used", async () => {
    const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
    const { model } = open();
    model.answer();
    model.emit("msg:custom", { op: "script", library: "?", drawing: "" });
    await vi.waitFor(() => expect(warn).toHaveBeenCalled());
    model.answer();
    model.update({ _data: pack() });
    expect(model.asked("script").length).toBe(1);
    expect(own().hidden).toBe(false);
    warn.mockRestore();
  });
  it("is not asked for without a kernel", () => {
    const { model } = open();
    model.emit("msg:custom", { op: "alone" });
    expect(model.asked("script")).toEqual([]);
    expect(one(".saew").dataset.state).toBe("silent");
  });
});

describe("the picture of circuitsvis", () => {
  it("takes the place of our own, drawn from an element of the document", () => {
    const { library } = openWith();
    expect(own().hidden).toBe(true);
    expect(theirs().hidden).toBe(false);
    const [{ component, props, inDocument }] = library.drawn;
    expect([component, inDocument]).toEqual(["AttentionPatterns", true]);
    expect(props.attention[0]).toEqual([
      [1, 0, 0, 0],
      [1, 0, 0, 0],
      [0, 1, 0, 0],
      [0, 0, 1, 0],
    ]);
    expect(one(".saew-notes").textContent).toContain("drawn by circuitsvis");
    expect(document.body.children.length).toBe(1);
  });
  it("works in a shadow root", () => {
    const shadow = el.attachShadow({ mode: "open" });
    const inner = document.createElement("div");
    shadow.append(inner);
    const library = new FakeLibrary();
    page[KEY] = { make: (/** @type {any} */ handlers) => makeCircuits(library, handlers), wishes: [] };
    open({}, inner).model.answer();
    expect(inner.querySelectorAll(".saew-cv .tokens button").length).toBe(4);
  });
  it("gets tokens as text", () => {
    const tokens = ["<bos>", "<img src=x onerror=alert(1)>", "</script>", " &amp;\n'\""];
    const { library } = openWith({ _data: pack({ tokens }) });
    expect(library.drawn[0].props.tokens[0]).toBe("&lt;bos&gt;");
    expect(all(".tokens button").map((button) => button.textContent)).toEqual([
      "<bos>",
      "<img·src=x·onerror=alert(1)>",
      "</script>",
      "·&amp;↵'\"",
    ]);
    expect(all(".tokens img, .tokens script")).toEqual([]);
    expect(escaped("\u202e<")).toBe("⟨202E⟩&lt;");
  });
  it("our own stays until it has drawn", async () => {
    const library = new FakeLibrary();
    library.late = true;
    openWith({}, library);
    expect([own().hidden, theirs().hidden]).toEqual([false, true]);
    library.finish();
    await vi.waitFor(() => expect(own().hidden).toBe(true));
  });
  it("chooses tokens and heads, and is told of them once", () => {
    const { model, library } = openWith();
    all(".tokens button")[2].click();
    expect(model.asked("set")).toEqual([{ token: 2 }]);
    expect(library.drawn[0].clicks).toEqual(["token 2"]);
    all(".saew-cv figure canvas")[1].click();
    expect(model.asked("set")).toEqual([{ token: 2 }, { head: 1 }]);
    expect(one(".saew-looks .saew-faint").textContent).toBe("position 2 looks at (head 1)");
    expect(all(".tokens button[aria-pressed=true]").length).toBe(1);
  });
  it("is drawn anew to choose none", () => {
    const { model, library } = openWith();
    all(".saew-cv figure canvas")[1].click();
    all(".tokens button")[2].click();
    all(".tokens button")[2].click();
    expect(model.asked("set").at(-1)).toEqual({ token: null });
    expect(library.drawn.length).toBe(2);
    expect(library.drawn[1].clicks).toEqual(["head 1"]);
    expect(all(".saew-cv > *").length).toBe(1);
  });
  it("follows Python without asking back", () => {
    const { model, library } = openWith();
    model.update({ token: 3, head: 0 });
    expect(library.drawn[0].clicks).toEqual(["head 0", "token 3"]);
    expect(model.asked("set")).toEqual([]);
    model.update({ token: null });
    expect(library.drawn[1].clicks).toEqual(["head 0"]);
  });
  it("is walked with the arrow keys", () => {
    const { model } = openWith();
    const buttons = all(".tokens button");
    expect(buttons.map((button) => button.tabIndex)).toEqual([0, -1, -1, -1]);
    press(buttons[0], "ArrowRight");
    expect(document.activeElement).toBe(buttons[1]);
    press(buttons[1], "End");
    press(buttons[3], "Enter");
    expect(model.asked("set")).toEqual([{ token: 3 }]);
    const figures = all(".saew-cv figure canvas");
    press(figures[0], "ArrowRight");
    expect(document.activeElement).toBe(figures[1]);
    press(figures[1], " ");
    expect(model.asked("set").at(-1)).toEqual({ head: 1 });
  });
  it("keeps the focus when it is drawn anew", () => {
    openWith({ token: 2 });
    const button = all(".tokens button")[2];
    button.focus();
    press(button, "Enter");
    expect(document.activeElement).toBe(all(".tokens button")[2]);
    expect(document.activeElement).not.toBe(button);
  });
  it("has names, roles and readable ink", () => {
    openWith();
    expect(all(".tokens button").map((button) => button.getAttribute("aria-label"))).toEqual([
      "0: <|bos|>",
      "1: The",
      "2: ·cat",
      "3: ·sat",
    ]);
    expect(all(".tokens button").map((button) => button.style.color)).toEqual([
      "rgb(255, 255, 255)",
      "rgb(0, 0, 0)",
      "rgb(255, 255, 255)",
      "rgb(0, 0, 0)",
    ]);
    expect(all("figure canvas").map((head) => head.getAttribute("aria-label"))).toEqual(["head 0", "head 1"]);
    expect(one(".tokens select").getAttribute("aria-label")).toBe("Direction");
    expect(all(".saew-cv :is(button, select, [tabindex]):not([data-lm-suppress-shortcuts=true])")).toEqual([]);
  });
  it("gives way to our own where the prompt is long", () => {
    const { model } = openWith();
    const tokens = Array.from({ length: 129 }, (_, i) => `t${i}`);
    model.update({ _data: pack({ patterns: [lookingBack(129)], tokens }) });
    expect([own().hidden, theirs().hidden]).toEqual([false, true]);
    expect(one(".saew-notes").textContent).toContain("circuitsvis: up to 128 tokens");
    model.update({ _data: pack() });
    expect([own().hidden, theirs().hidden]).toEqual([true, false]);
  });
  it("shows what the token under the mouse looks at", () => {
    openWith({ head: 0 });
    all(".tokens button")[2].dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    expect(one(".saew-looks b").textContent).toBe("·cat");
    all(".tokens button")[2].dispatchEvent(new MouseEvent("mouseout", { bubbles: true }));
    expect(one(".saew-looks b").textContent).toBe("·sat");
  });
});
