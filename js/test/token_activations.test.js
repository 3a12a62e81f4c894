import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widget from "../src/token_activations.js";
import { FakeModel, fakeState, pack } from "./fake_model.js";

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
  const model = new FakeModel(fakeState(state));
  const close = widget.render({ model, el });
  return { model, close };
}
/** @param {string} selector */
const all = (selector) => /** @type {HTMLElement[]} */ ([...el.querySelectorAll(selector)]);
/** @param {string} selector */
const one = (selector) => all(selector)[0];
/** @param {string} text */
function type(text) {
  const box = /** @type {HTMLTextAreaElement} */ (one(".saew-prompt"));
  box.value = text;
  box.dispatchEvent(new Event("input"));
  return box;
}
const coloured = () => all(".saew-tok").flatMap((cell, i) => (cell.style.background ? [i] : []));
/** @param {Element} target @param {string} key @param {KeyboardEventInit} [more] */
const press = (target, key, more) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));

describe("first draw", () => {
  it("shows the tokens, the focus and the list", () => {
    open();
    expect(all(".saew-tok").map((cell) => cell.textContent)).toEqual(["<|bos|>", " Golden", " Gate"]);
    expect(coloured()).toEqual([1, 2]);
    expect(all(".saew-right .saew-row").map((row) => row.dataset.feature)).toEqual(["3", "7"]);
    expect(one(".saew-tok[data-level='4']").textContent).toBe(" Gate");
  });
  it("says hello once and nothing else", () => {
    const { model } = open();
    expect(model.sent.map(({ op }) => op)).toEqual(["hello"]);
  });
  it("has roles and labels", () => {
    open();
    expect(one(".saew-strip").getAttribute("role")).toBe("grid");
    expect(all("[role=row] > .saew-tok[role=gridcell]").length).toBe(3);
    expect(all(".saew-tok[tabindex='0']").length).toBe(1);
    expect(all(".saew-tok")[2].getAttribute("aria-label")).toBe("2: ·Gate, mid/3 4.00");
    expect(all(".saew-tok")[0].getAttribute("aria-label")).toBe("0: <|bos|>, masked");
  });
  it("works before anything has run", () => {
    open({
      _data: new DataView(new ArrayBuffer(0)),
      feature: "",
      features: [],
      status: { state: "failed", message: "no" },
      error: "no tokens",
    });
    expect(one(".saew-error").hidden).toBe(false);
    expect(one(".saew-what").textContent).toBe("no tokens");
    expect(all(".saew-tok").length).toBe(0);
  });
  it("says when the script is not that of the package", () => {
    const data = pack();
    data.setUint32(4, 9, true);
    open({ _data: data });
    expect(one(".saew-what").textContent).toContain("differ in version");
  });
});

describe("choosing", () => {
  it("paints at once and asks once", () => {
    const { model } = open();
    all(".saew-right .saew-row")[1].click();
    expect(coloured()).toEqual([2]);
    expect(model.asked("set")).toEqual([{ features: ["mid/7"], feature: "mid/7" }]);
  });
  it("does not fall back while Python still says the former", () => {
    const { model } = open();
    all(".saew-right .saew-row")[1].click();
    model.update({ features: ["mid/3"], feature: "mid/3", token: 1 });
    expect(coloured()).toEqual([2]);
    model.update({ features: ["mid/7"], feature: "mid/7" });
    model.answer();
    expect(coloured()).toEqual([2]);
  });
  it("goes back to what Python holds when Python refuses", () => {
    const { model } = open();
    all(".saew-right .saew-row")[1].click();
    model.answer("no such feature");
    expect(coloured()).toEqual([1, 2]);
    expect(one(".saew-what").textContent).toBe("no such feature");
  });
  it("keeps a feature's hue when another one goes", () => {
    const { model } = open({ features: ["mid/3", "mid/7"], feature: "mid/7" });
    const look = () => all(".saew-chip .saew-swatch").at(-1)?.style.background;
    const before = look();
    model.update({ features: ["mid/7"] });
    expect(look()).toBe(before);
  });
  it("adds with the swatch, with Shift and with Space", () => {
    for (const act of [
      () => one(".saew-row[data-feature='7'] .saew-swatch").click(),
      () =>
        one(".saew-row[data-feature='7']").dispatchEvent(new MouseEvent("click", { shiftKey: true, bubbles: true })),
      () => press(one(".saew-row[data-feature='7']"), " "),
    ]) {
      const { model, close } = open();
      act();
      expect(model.asked("set")).toEqual([{ features: ["mid/3", "mid/7"], feature: "mid/7" }]);
      close();
    }
  });
  it("leaves the focus in the list of a token", () => {
    const { model } = open({ token: 2 });
    const rows = () => all(".saew-panel .saew-row");
    rows()[1].focus();
    press(rows()[1], "Enter");
    model.answer();
    model.update({ features: ["mid/7"], feature: "mid/7" });
    expect(rows().indexOf(/** @type {HTMLElement} */ (document.activeElement))).toBe(1);
  });
  it("stops at six", () => {
    const rows = [1, 2, 3, 4, 5, 6, 7].map((feature) => /** @type {[number, number]} */ ([feature, feature]));
    const features = [1, 2, 3, 4, 5, 6].map((feature) => `mid/${feature}`);
    const { model } = open({ _data: pack({ rows: [[], [], rows] }), features, feature: "mid/1" });
    one(".saew-row[data-feature='7'] .saew-swatch").click();
    expect(model.asked("set")).toEqual([]);
    expect(one(".saew-found").textContent).toContain("6 features at most");
  });
  it("ignores features of another SAE", () => {
    open({ features: ["wide/3"], feature: "wide/3", sae: "wide" });
    expect(coloured()).toEqual([]);
  });
});

describe("the scale", () => {
  it("ends at the reference maximum where known, else at that of the prompt", () => {
    open({ _data: pack({ reference: [8, 0] }) });
    expect(one(".saew-legend .saew-flex").textContent).toBe("08.00");
    expect(one(".saew-tok[data-level='2']").textContent).toBe(" Gate");
    one(".saew-link").click();
    expect(one(".saew-legend .saew-flex").textContent).toBe("04.00");
    expect(one(".saew-tok[data-level='4']").textContent).toBe(" Gate");
  });
  it("keeps text legible", () => {
    open({ _data: pack({ rows: [[], [[3, 1000]], [[3, 1]]], reference: [1] }) });
    const alphas = all(".saew-tok").map((cell) => Number(/,\s*([\d.]+)\)/.exec(cell.style.background)?.[1] ?? 0));
    expect(Math.max(...alphas)).toBe(0.6);
  });
});

describe("prompt", () => {
  it("runs after a pause, once", () => {
    const { model } = open();
    model.answer();
    type("a");
    vi.advanceTimersByTime(200);
    type("ab");
    vi.advanceTimersByTime(249);
    expect(model.asked("set")).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(model.asked("set")).toEqual([{ prompt: "ab" }]);
  });
  it("runs at once on Enter, not on Shift+Enter nor while composing", () => {
    const { model } = open();
    model.answer();
    const box = type("ab");
    press(box, "Enter", { shiftKey: true });
    press(box, "Enter", { isComposing: true });
    expect(model.asked("set")).toEqual([]);
    press(box, "Enter");
    expect(model.asked("set")).toEqual([{ prompt: "ab" }]);
    vi.advanceTimersByTime(1000);
    expect(model.asked("set").length).toBe(1);
  });
  it("runs the same prompt again on Enter", () => {
    const { model } = open();
    model.answer();
    press(one(".saew-prompt"), "Enter");
    expect(model.asked("run").length).toBe(1);
  });
  it("is not taken from under the person's fingers", () => {
    const { model } = open();
    model.answer();
    const box = type("half a wo");
    model.update({ prompt: "from Python" });
    expect(box.value).toBe("half a wo");
  });
});

describe("the kernel", () => {
  it("is waited for after half a second, and given up after three", () => {
    const { model } = open();
    vi.advanceTimersByTime(499);
    expect(one(".saew-status").textContent).toBe("ready");
    vi.advanceTimersByTime(1);
    expect(one(".saew-status").textContent).toBe("waiting for the running cell");
    vi.advanceTimersByTime(2500);
    expect(one(".saew-status").textContent).toContain("no kernel answers");
    model.answer();
    expect(one(".saew-status").textContent).toBe("ready");
  });
  it("is only waited for once it has answered", () => {
    const { model } = open();
    model.answer();
    all(".saew-right .saew-row")[1].click();
    vi.advanceTimersByTime(60_000);
    expect(one(".saew-status").textContent).toBe("waiting for the running cell");
  });
  it("may be absent for sure", () => {
    const { model } = open();
    model.emit("msg:custom", { op: "alone" });
    expect(one(".saew").dataset.state).toBe("silent");
  });
  it.each([["queued"], ["running"]])("can be stopped while %s", (state) => {
    const { model } = open({ status: { state, message: "" } });
    expect(one(".saew-status").textContent).toBe(state);
    one(".saew-stop").click();
    expect(model.asked("stop").length).toBe(1);
  });
  it.each([[null], [5], [{}], [{ op: "ack" }], [{ op: "ack", view: "another", seq: 99 }], [{ op: "ack", seq: "x" }]])(
    "may send %j without harm",
    (content) => {
      const { model } = open();
      model.emit("msg:custom", content);
      expect(coloured()).toEqual([1, 2]);
    },
  );
});

describe("life", () => {
  it("leaves nothing behind", () => {
    const { model, close } = open();
    type("x");
    close();
    expect(model.listeners).toEqual([]);
    expect(el.childElementCount).toBe(0);
    expect(vi.getTimerCount()).toBe(0);
    vi.advanceTimersByTime(10_000);
    expect(model.asked("set")).toEqual([]);
  });
  it("hides its static copy, and brings it back", () => {
    const copy = document.createElement("div");
    copy.className = "saew-twin saew-twin-1";
    document.body.prepend(copy);
    const { close } = open();
    expect(copy.style.display).toBe("none");
    close();
    expect(copy.style.display).toBe("");
  });
  it("lives in a shadow root", () => {
    const shadow = el.attachShadow({ mode: "open" });
    const inner = document.createElement("div");
    shadow.append(inner);
    widget.render({ model: new FakeModel(fakeState()), el: inner });
    expect(inner.querySelectorAll(".saew-tok").length).toBe(3);
  });
});

describe("nasty text", () => {
  const NASTY = [
    "</script><script>x</script>",
    "<img src=x onerror=alert(1)>",
    "\0",
    "\r\n",
    "\t",
    "👨‍👩‍👧",
    "\u202eabc",
    "__proto__",
    " \u00a0",
  ];
  it("stays text", () => {
    const tokens = ["<bos>", ...NASTY];
    open({
      _data: pack({ tokens, rows: tokens.map(() => [[3, 1]]), head: { labels: { 3: NASTY[1] }, sae: "mid" } }),
      _saes: ["mid", NASTY[1]],
      prompt: NASTY[0],
      error: NASTY[1],
    });
    expect(all(".saew-tok").map((cell) => cell.textContent)).toEqual(tokens);
    expect(all("script, img").length).toBe(0);
    expect(one(".saew-what").textContent).toBe(NASTY[1]);
  });
  it("gathers a character that is split over tokens in its first cell", () => {
    const tokens = [" caf\\xc3", "\\xa9", "x"];
    open({
      _data: pack({ tokens, rows: [[], [], []], head: { special: [], masked: [], groups: [[0, 2, " café"]] } }),
      features: [],
      feature: "",
    });
    expect(all(".saew-tok").map((cell) => cell.textContent)).toEqual([" café", "", "x"]);
    expect(one(".saew-rest").getAttribute("aria-label")).toBe("1: \\xa9");
  });
});
