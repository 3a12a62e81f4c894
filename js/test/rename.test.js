import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import ranking from "../src/feature_ranking.js";
import panel from "../src/steering_panel.js";
import tokens from "../src/token_activations.js";
import { FakeModel, fakeState, pack } from "./fake_model.js";
import { edit, panelState } from "./fake_panel.js";
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

/** @param {string} selector @returns {any} */
const one = (selector) => el.querySelector(selector);
const field = () => one(".saew-rename");
/** @param {Element} target @param {string} key */
const press = (target, key) =>
  target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
/** Two clicks; the first may have what is there drawn anew. @param {string} selector */
const twice = (selector) => {
  for (const detail of [1, 2]) one(selector).dispatchEvent(new MouseEvent("click", { bubbles: true, detail }));
};
/** @param {string} text */
const type = (text) => {
  field().value = text;
};

const VIEWS = {
  "token view": {
    view: tokens,
    state: () => fakeState({ _data: pack({ head: { labels: { 3: "gate" } } }) }),
    feature: "mid/3",
    spot: ".saew-right .saew-name",
    row: ".saew-right .saew-row",
    pen: ".saew-chip .saew-pen",
  },
  ranking: {
    view: ranking,
    state: () => rankingState({ feature: "mid/10", _data: packRanking({ head: { labels: { "mid/10": "gate" } } }) }),
    feature: "mid/10",
    spot: ".saew-entry[data-row='0'] b",
    row: ".saew-entry[data-row='0']",
    pen: ".saew-readout .saew-pen",
  },
  panel: {
    view: panel,
    state: () => panelState({ _edits: [edit({ label: "gate" })] }),
    feature: "mid/7",
    spot: ".saew-title b",
    row: ".saew-edit .saew-slide",
    pen: ".saew-edit .saew-pen",
  },
};

describe.each(Object.entries(VIEWS))("a label of the %s", (_, { view, state, feature, spot, row, pen }) => {
  function open() {
    const model = new FakeModel(state());
    const close = view.render({ model, el });
    model.answer();
    model.sent.length = 0;
    return { model, close };
  }

  it.each([
    ["a double click", () => twice(spot)],
    ["F2", () => press(one(row), "F2")],
    ["the pen", () => one(pen).click()],
  ])("is edited after %s", (_, act) => {
    const { model } = open();
    expect(field().hidden).toBe(true);
    expect(one(pen).getAttribute("aria-label")).toBe(`Label ${feature}`);
    act();
    expect(field().hidden).toBe(false);
    expect(field().value).toBe("gate");
    expect(field().getAttribute("aria-label")).toBe(`Label ${feature}`);
    type(" bridge ");
    press(field(), "Enter");
    expect(model.asked("annotate")).toEqual([{ feature, label: "bridge" }]);
    expect(field().hidden).toBe(false);
    model.answer();
    expect(field().hidden).toBe(true);
  });
  it("stays in the field where it was refused, and can be sent again", () => {
    const { model } = open();
    press(one(row), "F2");
    type("bridge");
    press(field(), "Enter");
    model.answer("A label is too long.");
    expect([field().hidden, field().value]).toEqual([false, "bridge"]);
    expect(one(".saew-what").textContent).toBe("A label is too long.");
    press(field(), "Enter");
    expect(model.asked("annotate").length).toBe(2);
    model.answer();
    expect(field().hidden).toBe(true);
  });
  it("is left with Escape, and unchanged with Enter", () => {
    const { model } = open();
    for (const [text, key] of [
      ["bridge", "Escape"],
      ["gate", "Enter"],
    ]) {
      press(one(row), "F2");
      expect(field().value).toBe("gate");
      type(text);
      press(field(), key);
      expect(field().hidden).toBe(true);
    }
    expect(model.asked("annotate")).toEqual([]);
  });
  it("is kept by leaving the field", () => {
    const { model } = open();
    press(one(row), "F2");
    type("bridge");
    field().dispatchEvent(new FocusEvent("blur"));
    expect(model.asked("annotate")).toEqual([{ feature, label: "bridge" }]);
    model.answer();
    field().dispatchEvent(new FocusEvent("blur"));
    expect(model.asked("annotate").length).toBe(1);
  });
  it("gives the focus back, but not to who has gone elsewhere", () => {
    const { model } = open();
    const other = document.createElement("button");
    document.body.append(other);
    const begin = () => {
      one(row).focus();
      press(one(row), "F2");
      type(`bridge ${model.sent.length}`);
    };
    begin();
    press(field(), "Escape");
    expect(document.activeElement).toBe(one(row));
    begin();
    other.focus();
    model.answer();
    expect(field().hidden).toBe(true);
    expect(document.activeElement).toBe(other);
  });
  it("can be taken away", () => {
    const { model } = open();
    press(one(row), "F2");
    type("  ");
    press(field(), "Enter");
    expect(model.asked("annotate")).toEqual([{ feature, label: "" }]);
  });
  it("keeps its keys from the view and from the page", () => {
    const { model } = open();
    const heard = vi.fn();
    document.body.addEventListener("keydown", heard);
    press(one(row), "F2");
    for (const key of ["a", "ArrowDown", "Home", " ", "x", "F2", "Enter"]) press(field(), key);
    expect(heard).not.toHaveBeenCalled();
    expect(model.sent).toEqual([]);
    expect(field().dataset.lmSuppressShortcuts).toBe("true");
    document.body.removeEventListener("keydown", heard);
  });
  it("is not edited without a kernel", () => {
    const { model } = open();
    model.emit("msg:custom", { op: "alone" });
    twice(spot);
    press(one(row), "F2");
    one(pen).click();
    expect(field().hidden).toBe(true);
  });
  it("is not mistaken for another one whose answer comes late", () => {
    const { model } = open();
    press(one(row), "F2");
    type("bridge");
    press(field(), "Enter");
    const first = model.sent.at(-1);
    press(field(), "Escape");
    press(one(row), "F2");
    type("another");
    model.emit("msg:custom", { op: "ack", view: first.view, seq: first.seq, error: "" });
    expect([field().hidden, field().value]).toEqual([false, "another"]);
  });
  it("is text, whatever it holds", () => {
    const nasty = "<img src=x onerror=alert(1)>";
    const model = new FakeModel(state());
    if (view === panel) model.state._edits = [edit({ label: nasty })];
    else model.state._labels = { [feature]: nasty };
    view.render({ model, el });
    expect(el.querySelectorAll("img").length).toBe(0);
    expect(el.textContent).toContain(nasty);
    press(one(row), "F2");
    expect(field().value).toBe(nasty);
  });
});

describe.each(Object.entries(VIEWS))("notes in the %s", (_, { view, state }) => {
  it("are text, line by line, as they stand", () => {
    const model = new FakeModel({ ...state(), _notes: ["mid/3: <b>one</b>\ntwo", "a first try"] });
    view.render({ model, el });
    model.answer();
    const notes = () => [...el.querySelectorAll(".saew-remarks > *")].map(({ textContent }) => textContent);
    expect(notes()).toEqual(["mid/3: <b>one</b>\ntwo", "a first try"]);
    model.update({ _notes: ["another"] });
    expect(notes()).toEqual(["another"]);
    model.update({ _notes: [] });
    expect(notes()).toEqual([]);
    expect(model.asked("set")).toEqual([]);
  });
});

describe("labels that change elsewhere", () => {
  it("are drawn in all places of the token view, also while one is edited", () => {
    const model = new FakeModel(fakeState({ _data: pack({ head: { labels: { 3: "gate" } } }), token: 2 }));
    tokens.render({ model, el });
    model.answer();
    const labels = () => [...el.querySelectorAll(".saew-label")].map(({ textContent }) => textContent);
    expect(labels()).toEqual(["gate", "gate", "", "gate", ""]);
    model.update({ _labels: { "mid/3": "bridge", "mid/7": "sea" } });
    expect(labels()).toEqual(["bridge", "bridge", "sea", "bridge", "sea"]);
    model.update({ _labels: { "mid/3": "" } });
    expect(labels()).toEqual(["", "", "", "", ""]);
    press(one(".saew-right .saew-row"), "F2");
    model.update({ _labels: {} });
    expect(labels()).toEqual(["gate", "gate", "", "gate", ""]);
    expect(field().hidden).toBe(false);
    expect(model.asked("set")).toEqual([]);
  });
  it("do not move the focus in the list", () => {
    const model = new FakeModel(fakeState());
    tokens.render({ model, el });
    model.answer();
    const rows = () => /** @type {HTMLElement[]} */ ([...el.querySelectorAll(".saew-right .saew-row")]);
    rows()[1].focus();
    press(rows()[1], "F2");
    expect(document.activeElement).toBe(field());
    model.update({ _labels: { "mid/7": "sea" } });
    press(field(), "Escape");
    expect(rows()[1].textContent).toContain("sea");
    expect(document.activeElement).toBe(rows()[1]);
  });
  it("are found by the search at once", () => {
    const model = new FakeModel(fakeState({ _labels: { "mid/7": "sea" } }));
    tokens.render({ model, el });
    const search = one(".saew-search");
    search.value = "sea";
    search.dispatchEvent(new Event("input"));
    expect([...el.querySelectorAll(".saew-right .saew-row")].length).toBe(1);
  });
  it("name a chosen feature that does not fire", () => {
    const model = new FakeModel(
      fakeState({ features: ["mid/3", "mid/99"], feature: "mid/99", _labels: { "mid/99": "silent" } }),
    );
    tokens.render({ model, el });
    expect(el.querySelectorAll(".saew-chip .saew-label")[1].textContent).toBe("silent");
  });
  it("are drawn in the ranking without numbers anew", () => {
    const model = new FakeModel(rankingState({ feature: "mid/99", _labels: { "mid/99": "silent" } }));
    ranking.render({ model, el });
    model.answer();
    expect(one(".saew-readout").textContent).toBe("mid/99 silent does not fire here");
    model.update({ _labels: { "mid/10": "gate" } });
    const entries = [...el.querySelectorAll(".saew-entry[data-row='0'] .saew-of")];
    expect(entries.map(({ textContent }) => textContent)).toEqual(["gate", "gate", "gate"]);
  });
  it("a double click on a row chooses it once", () => {
    const model = new FakeModel(rankingState());
    ranking.render({ model, el });
    model.answer();
    twice(".saew-entry[data-row='1']");
    expect(model.asked("set")).toEqual([{ feature: "mid/11" }]);
    expect(field().getAttribute("aria-label")).toBe("Label mid/11");
  });
});

describe("presets of the lab", () => {
  function open(/** @type {string[]} */ names) {
    const model = new FakeModel(panelState({ _presets: names }));
    panel.render({ model, el });
    model.answer();
    model.sent.length = 0;
    return model;
  }
  const select = () => one("[aria-label='Presets of the lab']");
  const hold = () =>
    /** @type {any} */ ([...el.querySelectorAll("button")].find(({ textContent }) => textContent === "keep as …"));

  it("are listed, and one that is chosen is asked for", () => {
    const model = open(["calm", "<b>loud</b>"]);
    expect([...select().options].map(({ textContent }) => textContent)).toEqual(["presets", "calm", "<b>loud</b>"]);
    select().value = "<b>loud</b>";
    select().dispatchEvent(new Event("change"));
    expect(model.asked("preset_load")).toEqual([{ name: "<b>loud</b>" }]);
    model.answer();
    expect(select().value).toBe("");
  });
  it("are not there before there are any, and appear at once", () => {
    const model = open([]);
    expect(select().hidden).toBe(true);
    model.update({ _presets: ["calm"] });
    expect(select().hidden).toBe(false);
  });
  it("are kept under a name", () => {
    const model = open([]);
    hold().click();
    expect(field().getAttribute("aria-label")).toBe("Name of the preset");
    type("calm");
    press(field(), "Enter");
    expect(model.asked("preset_save")).toEqual([{ name: "calm" }]);
    model.answer();
    expect(field().hidden).toBe(true);
    hold().click();
    press(field(), "Enter");
    expect(model.asked("preset_save").length).toBe(1);
  });
});
