import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import widget from "../src/explorer.js";
import { arrange, findPanes } from "../src/shared/panes.js";
import { FakeModel } from "./fake_model.js";

const NAMES = ["tokens", "ranking", "dashboard", "steering"];
const SIZES = { columns: 0.4, rows: 0.5, height: 612 };

/** The box, as Jupyter makes it: the bar and the views. @type {HTMLElement} */
let box;
/** @type {HTMLElement} */
let el;
/** @type {HTMLElement[]} */
let panes;
/** Widths that the observers are told of. @type {(() => void)[]} */
let resized = [];

class Observer {
  /** @param {() => void} told */
  constructor(told) {
    resized.push(told);
  }
  observe() {}
  unobserve() {}
  disconnect() {}
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("ResizeObserver", Observer);
  resized = [];
  box = document.createElement("div");
  el = document.createElement("div");
  panes = NAMES.map(() => document.createElement("div"));
  box.append(el, ...panes);
  document.body.replaceChildren(box);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

/** @param {Record<string, any>} [state] @param {boolean} [live] */
function open(state, live = true) {
  const model = new FakeModel({
    _panes: NAMES,
    _titles: { tokens: "Tokens", ranking: "Ranking", dashboard: "Feature", steering: "Steering" },
    _ranges: { columns: [0.42, 0.2, 0.8], rows: [0.5, 0.15, 0.85], height: [640, 240, 2400] },
    sizes: SIZES,
    shown: NAMES,
    _offer: { feature: "mid/3", label: "gates", steered: false },
    error: "",
    ...state,
  });
  const close = widget.render({ model, el });
  if (live) model.answer();
  model.sent.length = 0;
  return { model, close };
}
/** @param {string} selector @returns {any} */
const one = (selector) => el.querySelector(selector);
/** @param {string} place @returns {HTMLElement} */
const separator = (place) => one(`.saew-${place}[role=separator]`);
/** @param {string} name @returns {any} */
const button = (name) => [...el.querySelectorAll("button")].find(({ textContent }) => textContent === name);
/** @param {Element} target @param {string} key @param {KeyboardEventInit} [more] */
const press = (target, key, more) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }));
/** @param {Element} target @param {string} type @param {MouseEventInit} [more] */
const point = (target, type, more) => target.dispatchEvent(new PointerEvent(type, { bubbles: true, ...more }));
const sent = (/** @type {FakeModel} */ model) => {
  vi.advanceTimersByTime(1000);
  return model.asked("set");
};
/** @param {number} width */
function widen(width) {
  Object.defineProperty(box, "clientWidth", { value: width, configurable: true });
  for (const told of resized) told();
}
const css = (/** @type {string} */ name) => box.style.getPropertyValue(`--saew-${name}`);

describe("arrange", () => {
  it("puts tokens over the ranking, the dashboard beside, steering below", () => {
    expect(arrange(NAMES, SIZES, true)).toEqual({
      columns: "minmax(0, 0.4fr) 12px minmax(0, 0.6fr)",
      rows: "auto 300px 12px 300px 12px auto",
      areas:
        '"bar bar bar" "tokens x dashboard" "y x dashboard" "ranking x dashboard" "z z z" "steering steering steering"',
      separators: ["x", "y", "z"],
    });
  });
  it.each([
    [["tokens", "dashboard"], "auto 612px 12px", '"bar bar bar" "tokens x dashboard" "z z z"', ["x", "z"]],
    [["tokens", "ranking"], "auto 612px 12px", '"bar bar bar" "tokens x ranking" "z z z"', ["x", "z"]],
    [["dashboard", "steering"], "auto 612px 12px auto", '"bar" "dashboard" "z" "steering"', ["z"]],
    [["ranking"], "auto 612px 12px", '"bar" "ranking" "z"', ["z"]],
    [["steering"], "auto auto", '"bar" "steering"', []],
    [[], "auto", '"bar"', []],
  ])("leaves no hole for what is not seen: %s", (shown, rows, areas, separators) => {
    expect(arrange(shown, SIZES, true)).toMatchObject({ rows, areas, separators });
  });
  it("stacks where it is narrow, each as high as it is", () => {
    expect(arrange(["tokens", "steering"], SIZES, false)).toEqual({
      columns: "minmax(0, 1fr)",
      rows: "auto",
      areas: '"bar" "tokens" "steering"',
      separators: [],
    });
  });
  it("gives each area a rectangle, whatever is seen", () => {
    for (let bits = 0; bits < 16; bits++) {
      const { areas, rows, columns } = arrange(
        NAMES.filter((_, i) => bits & (1 << i)),
        SIZES,
        true,
      );
      const lines = [...areas.matchAll(/"([^"]*)"/g)].map(([, line]) => line.split(" "));
      expect(lines.length).toBe(rows.split(" ").length);
      expect(new Set(lines.map((line) => line.length))).toEqual(new Set([columns.includes("12px") ? 3 : 1]));
    }
  });
});

describe("finding the box", () => {
  it("looks through what wraps the bar alone", () => {
    const outer = document.createElement("div");
    box.replaceChild(outer, el);
    outer.append(el);
    expect(findPanes(el, NAMES)).toEqual({ parent: box, own: outer, panes });
  });
  it("takes no box with other numbers of views", () => {
    expect(findPanes(el, ["tokens"])).toBe(undefined);
    el.remove();
    expect(findPanes(el, NAMES)).toBe(undefined);
  });
});

describe("the layout", () => {
  it("names the views and sets the grid, and takes all of it back", () => {
    const { close, model } = open();
    point(panes[0], "pointerdown");
    expect(box.classList.contains("saew-panes")).toBe(true);
    expect(panes.map((pane) => pane.style.getPropertyValue("--saew-area"))).toEqual(NAMES);
    expect(css("rows")).toBe("auto 300px 12px 300px 12px auto");
    close();
    expect(box.className).toBe("");
    expect(panes.map((pane) => pane.className)).toEqual(["", "", "", ""]);
    expect(el.children.length).toBe(0);
    expect(model.listeners).toEqual([]);
    const key = new KeyboardEvent("keydown", { key: "s", bubbles: true, cancelable: true });
    panes[0].dispatchEvent(key);
    expect(key.defaultPrevented).toBe(false);
  });
  it("follows views that come later, and a box that comes later", async () => {
    el.remove();
    open();
    expect(box.className).toBe("");
    box.prepend(el);
    for (const told of resized) told();
    expect(panes[1].className).toContain("saew-pane");
    const late = document.createElement("div");
    panes[1].replaceWith(late);
    await Promise.resolve();
    vi.advanceTimersByTime(1);
    expect(late.className).toContain("saew-pane");
    expect(late.style.getPropertyValue("--saew-area")).toBe("ranking");
  });
  it("stacks below 860 px, and takes no width of 0 for narrow", () => {
    open();
    widen(859);
    expect(css("areas")).toBe('"bar" "tokens" "ranking" "dashboard" "steering"');
    expect(separator("x").hidden).toBe(true);
    widen(860);
    expect(separator("x").hidden).toBe(false);
    widen(0);
    expect(separator("x").hidden).toBe(false);
  });
  it("hides views without taking them out, and leaves the prompt to the first", () => {
    const { model } = open();
    const follows = () => panes.map((pane) => pane.classList.contains("saew-follows"));
    expect(follows()).toEqual([false, true, false, true]);
    button("Tokens").click();
    expect(panes.map((pane) => pane.classList.contains("saew-away"))).toEqual([true, false, false, false]);
    expect(follows()).toEqual([true, false, false, true]);
    expect(button("Tokens").getAttribute("aria-pressed")).toBe("false");
    expect(sent(model)).toEqual([{ shown: ["ranking", "dashboard", "steering"] }]);
    button("Tokens").click();
    expect(sent(model).at(-1)).toEqual({ shown: NAMES });
  });
  it("takes over what Python says", () => {
    const { model } = open();
    model.update({ sizes: { ...SIZES, height: 912 }, shown: ["tokens", "dashboard"] });
    expect(css("rows")).toBe("auto 912px 12px");
    expect(button("Ranking").getAttribute("aria-pressed")).toBe("false");
  });
});

describe("separators", () => {
  it("say what they are", () => {
    open();
    expect(["x", "y", "z"].map((place) => separator(place).getAttribute("aria-orientation"))).toEqual([
      "vertical",
      "horizontal",
      "horizontal",
    ]);
    const told = ["label", "valuenow", "valuemin", "valuemax", "valuetext"];
    const all = ["x", "z"].map((place) => told.map((name) => separator(place).getAttribute(`aria-${name}`)));
    expect(all).toEqual([
      ["Width of the left column", "40", "20", "80", "40%"],
      ["Height of the columns", "612", "240", "2400", "612 px"],
    ]);
    expect(separator("x").tabIndex).toBe(0);
    expect(separator("x").dataset.lmSuppressShortcuts).toBe("true");
  });
  it.each([
    ["x", "ArrowLeft", 0.38],
    ["x", "ArrowRight", 0.42],
    ["x", "PageDown", 0.5],
    ["x", "Home", 0.2],
    ["x", "End", 0.8],
    ["x", "Enter", 0.42],
    ["y", "ArrowUp", 0.48],
    ["z", "ArrowDown", 632],
    ["z", "PageUp", 512],
    ["z", "Home", 240],
  ])("%s moves with %s", (place, key, value) => {
    const { model } = open();
    const name = { x: "columns", y: "rows", z: "height" }[place] ?? "";
    press(separator(place), key);
    expect(separator(place).getAttribute("aria-valuenow")).toBe(`${Math.round(value <= 1 ? value * 100 : value)}`);
    expect(sent(model)).toEqual([{ sizes: { ...SIZES, [name]: value } }]);
  });
  it("leave other keys, and stop at their ends", () => {
    const { model } = open({ sizes: { ...SIZES, columns: 0.79 } });
    press(separator("x"), "ArrowRight", { ctrlKey: true });
    press(separator("x"), "b");
    expect(sent(model)).toEqual([]);
    press(separator("x"), "ArrowRight");
    press(separator("x"), "ArrowRight");
    expect(sent(model)).toEqual([{ sizes: { ...SIZES, columns: 0.8 } }]);
  });
  it("are dragged, and tell once where they were let go", () => {
    const { model } = open();
    widen(1012);
    const x = separator("x");
    point(x, "pointerdown", { clientX: 400 });
    for (const clientX of [420, 480, 500]) point(x, "pointermove", { clientX });
    expect(css("columns")).toBe("minmax(0, 0.5fr) 12px minmax(0, 0.5fr)");
    expect(model.asked("set")).toEqual([]);
    point(x, "pointerup", { clientX: 500 });
    point(x, "pointermove", { clientX: 900 });
    expect(sent(model)).toEqual([{ sizes: { ...SIZES, columns: 0.5 } }]);
    const z = separator("z");
    point(z, "pointerdown", { clientY: 700 });
    point(z, "pointermove", { clientY: 750 });
    point(z, "pointerup", { clientY: 750 });
    expect(sent(model).at(-1)).toEqual({ sizes: { ...SIZES, columns: 0.5, height: 662 } });
  });
  it("go back to their usual place by a double click", () => {
    const { model } = open();
    point(separator("z"), "pointerdown", { clientY: 1 });
    point(separator("z"), "pointerup", { clientY: 1 });
    expect(sent(model)).toEqual([]);
    separator("z").dispatchEvent(new MouseEvent("dblclick"));
    expect(sent(model)).toEqual([{ sizes: { ...SIZES, height: 640 } }]);
  });
  it("are not moved from under the hand", () => {
    const { model } = open();
    press(separator("x"), "Home");
    model.update({ sizes: { ...SIZES, columns: 0.7 } });
    expect(separator("x").getAttribute("aria-valuenow")).toBe("20");
    vi.advanceTimersByTime(200);
    model.update({ sizes: { ...SIZES, columns: 0.6 } });
    expect(separator("x").getAttribute("aria-valuenow")).toBe("20");
    model.state.sizes = { ...SIZES, columns: 0.2 };
    model.answer();
    model.update({ sizes: { ...SIZES, columns: 0.6 } });
    expect(separator("x").getAttribute("aria-valuenow")).toBe("60");
  });
  it("tell what was moved last before the view goes", () => {
    const { model, close } = open();
    press(separator("x"), "End");
    close();
    expect(model.asked("set")).toEqual([{ sizes: { ...SIZES, columns: 0.8 } }]);
  });
});

describe("steering", () => {
  it("is asked once by the button", () => {
    const { model } = open();
    expect(one(".saew-chosen").textContent).toBe("mid/3 gates");
    button("Steer it").click();
    expect(model.asked("steer")).toEqual([{}]);
    model.update({ _offer: { feature: "mid/3", label: "gates", steered: true } });
    button("✓ steered").click();
    expect(model.asked("steer")).toEqual([{}]);
  });
  it("is asked by s from anywhere in the box, but where people type", () => {
    const { model } = open();
    const inside = document.createElement("span");
    const typed = ["input", "textarea", "select"].map((name) => document.createElement(name));
    panes[0].append(inside, ...typed);
    press(inside, "s");
    expect(model.asked("steer").length).toBe(0);
    point(inside, "pointerdown");
    press(inside, "s");
    expect(model.asked("steer").length).toBe(1);
    for (const place of typed) press(place, "s");
    for (const name of ["ctrlKey", "metaKey", "altKey"]) press(inside, "s", { [name]: true });
    press(inside, "S", { shiftKey: true });
    expect(model.asked("steer").length).toBe(1);
  });
  it("is asked by s where a view has lost the focus, until the hand is elsewhere", () => {
    const { model } = open();
    const other = document.createElement("button");
    document.body.append(other);
    panes[0].dispatchEvent(new Event("focusin", { bubbles: true }));
    press(document.body, "s");
    expect(model.asked("steer").length).toBe(1);
    other.dispatchEvent(new Event("focusin", { bubbles: true }));
    press(document.body, "s");
    press(other, "s");
    expect(model.asked("steer").length).toBe(1);
  });
  it("shows the panel where it is away", () => {
    const { model } = open({ shown: ["tokens"] });
    button("Steer it").click();
    expect(sent(model)).toEqual([{ shown: ["tokens", "steering"] }]);
    expect(model.asked("steer").length).toBe(1);
  });
  it("is not offered without a feature, a panel or a kernel", () => {
    const { model } = open({ _offer: { feature: "", label: "", steered: false } });
    expect(one(".saew-chosen").textContent).toBe("no feature chosen");
    expect(button("Steer it").disabled).toBe(true);
    point(panes[0], "pointerdown");
    press(panes[0], "s");
    expect(model.asked("steer")).toEqual([]);
    model.update({ _offer: { feature: "mid/3", label: "", steered: false } });
    expect(button("Steer it").disabled).toBe(false);
    model.emit("msg:custom", { op: "alone" });
    expect(button("Steer it").disabled).toBe(true);
    press(panes[0], "s");
    expect(model.asked("steer")).toEqual([]);
  });
  it("is not there without a panel", () => {
    box.lastElementChild?.remove();
    open({ _panes: NAMES.slice(0, 3), shown: NAMES.slice(0, 3) });
    expect(button("Steer it").hidden).toBe(true);
    expect(button("Steering")).toBe(undefined);
  });
  it("writes names and labels as text", () => {
    open({ _offer: { feature: "<b>x</b>/3", label: "a\u202eb <i>", steered: false } });
    expect(one(".saew-chosen").textContent).toBe("<b>x</b>/3 a⟨202E⟩b <i>");
    expect(one(".saew-chosen i")).toBe(null);
  });
});

describe("state", () => {
  it("shows faults, of the views and of what was asked", () => {
    const { model } = open();
    model.update({ error: "This view wants no feature." });
    expect(one(".saew-error").textContent).toBe("This view wants no feature.");
    button("Steer it").click();
    model.answer("There is no steering panel.");
    expect(one(".saew-error").textContent).toBe("There is no steering panel.");
    model.update({ error: "" });
    button("Steer it").click();
    model.answer();
    expect(one(".saew-error").hidden).toBe(true);
  });
  it("moves without a kernel and asks nothing", () => {
    const { model } = open({}, false);
    model.emit("msg:custom", { op: "alone" });
    press(separator("x"), "Home");
    button("Tokens").click();
    expect(css("columns")).toBe("minmax(0, 0.2fr) 12px minmax(0, 0.8fr)");
    expect(sent(model)).toEqual([]);
    expect(one("[role=status]").textContent).toContain("no kernel");
  });
  it("says hello once", () => {
    const model = new FakeModel(open().model.state);
    widget.render({ model, el });
    expect(model.sent.map(({ op }) => op)).toEqual(["hello"]);
  });
});
