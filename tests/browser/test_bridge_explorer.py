"""The explorer in Chromium: the bar and four real views in one box, and the same in a file without a kernel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import expect

from saewidgets.widgets.explorer import Explorer
from tests.browser import bridge as bridge_module
from tests.browser.bridge import PAGE, Bridge
from tests.browser.conftest import leaves
from tests.browser.test_axe import axe, judged  # noqa: F401 - axe is a fixture
from tests.widgets.fake_explorer_lab import FakeExplorerLab

pytestmark = pytest.mark.browser
PROMPT = "the Golden Gate Bridge opens at dawn"
OTHER = "of San Francisco and nobody"
DRAWN = "() => document.querySelectorAll('.saew').length === 5 && document.querySelectorAll('.saew-tok').length > 12"

# A box of several models, as Jupyter makes it: empty places first, each view rendered before it comes to its place.
MODEL = PAGE.split('socket.binaryType = "arraybuffer";')[1].split("let model;")[0]
BOX = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>explorer</title>
<style>{PAGE.split("<style>")[1].split("</style>")[0]}
main {{ max-width: none; }} .box {{ display: grid; overflow: auto; }}</style></head>
<body><main><div id="box" class="box" style="width: 100%"></div>
</main>
<script type="module">
const asked = new URLSearchParams(location.search);
document.body.className = asked.get("theme");
let socket;
{MODEL}
const box = document.getElementById("box");
async function open(message, place) {{
  const model = new Model(message.id, message.state);
  const style = document.createElement("style");
  style.textContent = model.get("_css");
  document.head.append(style);
  const url = URL.createObjectURL(new Blob([model.get("_esm")], {{ type: "text/javascript" }}));
  const el = document.createElement("div");
  const close = await (await import(url)).default.render({{ model, el }});
  place.replaceWith(el);
  (window.closing ??= []).push(close);
  return model;
}}
for (const id of asked.get("models").split(",")) {{
  const own = new WebSocket(`ws://${{location.host}}/socket?model=${{id}}`);
  own.binaryType = "arraybuffer";
  socket ??= own;
  const place = box.appendChild(document.createElement("div"));
  let model;
  own.onmessage = async ({{ data }}) => {{
    const message = unpack(data);
    if (message.id !== id) return;
    if (message.type === "open") model = open(message, place);
    else if (message.type === "update") (await model).update(message.state);
    else if (message.type === "custom") (await model).emit("msg:custom", message.content, []);
  }};
}}
</script></body></html>"""


@pytest.fixture
def explorer(bridge: Bridge) -> Iterator[Explorer]:
    del bridge
    explorer = Explorer(FakeExplorerLab(), PROMPT)
    settled(explorer)
    yield explorer
    explorer.close()


@pytest.fixture
def show(browser: Any, bridge: Bridge, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Opens a page with the box. At the end: no console error, and no request has left this machine."""
    monkeypatch.setattr(bridge_module, "PAGE", BOX)
    pages: list[Any] = []
    faults: list[str] = []

    def open_page(explorer: Explorer, theme: str = "light", width: int = 1400, height: int = 1300) -> Any:
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if leaves(request.url) else None)
        models = ",".join(str(view.model_id) for view in explorer.children)
        page.goto(f"{bridge.url}/?models={models}&theme={theme}")
        page.wait_for_function(DRAWN)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def settled(explorer: Explorer) -> None:
    for _ in range(3):
        for view in explorer.children:
            view._wait()


def boxes(page: Any) -> list[dict[str, float]]:
    """Where the four views are."""
    return [page.locator(".saew-pane").nth(n).bounding_box() for n in range(4)]


def separator(page: Any, name: str) -> Any:
    return page.get_by_role("separator", name=name)


def part(page: Any, name: str) -> Any:
    """One view: tokens, ranking, dashboard or steering."""
    return page.locator(".saew-pane").nth(["tokens", "ranking", "dashboard", "steering"].index(name))


def drag(page: Any, what: Any, x: float, y: float) -> None:
    """Take the middle of something and let it go elsewhere."""
    at = what.bounding_box()
    from_x, from_y = at["x"] + at["width"] / 2, at["y"] + at["height"] / 2
    page.mouse.move(from_x, from_y)
    page.mouse.down()
    page.mouse.move(from_x + x / 2, from_y + y / 2)
    page.mouse.move(from_x + x, from_y + y)
    page.mouse.up()


def until(page: Any, true: Callable[[], bool]) -> None:
    """Wait for Python."""
    for _ in range(200):
        if true():
            return
        page.wait_for_timeout(25)
    assert true()


# ---- where the views are ---------------------------------------------------------------------------------------------


def test_two_columns_and_what_is_below(show, explorer):
    page = show(explorer)
    tokens, ranking, dashboard, steering = boxes(page)
    assert tokens["x"] == ranking["x"] == steering["x"] < dashboard["x"]
    assert tokens["y"] == dashboard["y"] < ranking["y"] < steering["y"]
    assert tokens["width"] == ranking["width"] < dashboard["width"]
    assert round(ranking["y"] + ranking["height"]) == round(dashboard["y"] + dashboard["height"])
    assert round(dashboard["height"]) == 760
    assert round(steering["width"]) == round(dashboard["x"] + dashboard["width"] - tokens["x"])
    assert page.evaluate("document.documentElement.scrollWidth") <= 1400
    assert sum(box["height"] for box in (dashboard, steering)) < 1600
    for name in ("Width of the left column", "Height of the upper left view", "Height of the columns"):
        bar = separator(page, name)
        over = "(bar) => [bar.scrollWidth - bar.clientWidth, bar.scrollHeight - bar.clientHeight]"
        assert bar.evaluate(over) == [0, 0]
        assert min(bar.bounding_box()[side] for side in ("width", "height")) == 12
    # One prompt box, and that of the dashboard's own text.
    assert page.locator(".saew-prompt:visible").count() == 2


@pytest.mark.parametrize("width", [700, 400])
def test_narrow_they_are_stacked(show, explorer, width):
    page = show(explorer, width=width)
    every = boxes(page)
    assert len({round(box["x"]) for box in every}) == 1
    assert [box["y"] for box in every] == sorted(box["y"] for box in every)
    assert all(above["y"] + above["height"] <= below["y"] for above, below in pairwise(every))
    assert page.get_by_role("separator").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.set_viewport_size({"width": 1400, "height": 900})
    expect(separator(page, "Width of the left column")).to_be_visible()


def test_separators_are_dragged_and_python_knows(show, explorer):
    page = show(explorer)
    before = boxes(page)
    drag(page, separator(page, "Width of the left column"), 150, 0)
    tokens, _, dashboard, _ = boxes(page)
    assert tokens["width"] == pytest.approx(before[0]["width"] + 150, abs=2)
    assert dashboard["width"] == pytest.approx(before[2]["width"] - 150, abs=2)
    drag(page, separator(page, "Height of the columns"), 0, 100)
    drag(page, separator(page, "Height of the upper left view"), 0, -60)
    assert boxes(page)[2]["height"] == pytest.approx(860, abs=2)
    assert boxes(page)[0]["height"] == pytest.approx(before[0]["height"] + 50 - 60, abs=3)
    until(page, lambda: explorer.sizes["height"] == 860 and explorer.sizes["rows"] < 0.5)
    assert explorer.sizes["columns"] == pytest.approx(0.42 + 150 / 1340, abs=0.01)
    separator(page, "Height of the columns").dblclick()
    until(page, lambda: explorer.sizes["height"] == 760)
    assert boxes(page)[2]["height"] == pytest.approx(760, abs=2)


def test_separators_are_moved_with_keys_and_the_next_page_has_it(show, explorer):
    page = show(explorer)
    one = separator(page, "Width of the left column")
    one.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(one).to_have_attribute("aria-valuenow", "50")
    until(page, lambda: explorer.sizes["columns"] == 0.5)
    explorer.sizes = {"columns": 0.5, "height": 500}
    expect(separator(page, "Height of the columns")).to_have_attribute("aria-valuenow", "500")
    again = show(explorer)
    tokens, _, dashboard, _ = boxes(again)
    assert tokens["width"] == dashboard["width"]
    assert round(dashboard["height"]) == 500


def test_a_view_that_is_away_is_drawn_at_its_width(show, explorer):
    page = show(explorer)
    toggle = page.get_by_role("group", name="Views to show").get_by_role("button", name="Feature")
    toggle.click()
    until(page, lambda: explorer.shown == ("tokens", "ranking", "steering"))
    tokens, ranking = boxes(page)[:2]
    assert tokens["y"] == ranking["y"]
    assert tokens["x"] < ranking["x"]
    expect(part(page, "dashboard").get_by_role("tab").first).to_be_hidden()
    away = boxes(page)[2]
    assert min(away["width"], away["height"]) > 300
    explorer.dashboard.tab = "table"
    explorer.dashboard.feature = "mid/40"
    page.wait_for_function("() => document.querySelectorAll('.saew-dashboard .saew-grid .saew-row').length > 5")
    toggle.click()
    grid = part(page, "dashboard").get_by_role("grid", name="All features")
    expect(grid).to_be_visible()
    seen, height = grid.locator(".saew-row").count(), grid.bounding_box()["height"]
    assert seen * 26 >= height - 60
    page.get_by_role("button", name="Tokens", exact=True).click()
    expect(part(page, "ranking").locator(".saew-prompt")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollHeight") < 3000


def test_all_of_it_is_taken_back(show, explorer):
    page = show(explorer)
    page.evaluate("window.closing[0]()")
    assert page.locator(".saew-pane").count() == 0
    assert page.evaluate("document.getElementById('box').className") == "box"


# ---- one thing after the other ---------------------------------------------------------------------------------------


def test_a_token_a_feature_steered_and_named(show, explorer):
    page = show(explorer)
    gate = part(page, "tokens").locator(".saew-strip .saew-tok").nth(3)
    gate.click()
    expect(part(page, "ranking").locator(".saew-strip .saew-tok").nth(3)).to_have_attribute("aria-selected", "true")
    second = explorer.lab.strongest(PROMPT, 3)[1]
    part(page, "tokens").locator(".saew-panel .saew-row").nth(1).click()
    until(page, lambda: explorer.feature == second)
    expect(part(page, "dashboard").locator(".saew-id")).to_have_text(second)
    expect(page.locator(".saew-chosen")).to_have_text(second)
    expect(part(page, "ranking").locator(".saew-entry[aria-selected=true]")).to_have_count(3)
    page.keyboard.press("s")
    expect(part(page, "steering").get_by_role("slider", name=f"Strength of {second}")).to_be_visible()
    page.keyboard.press("s")
    page.get_by_role("button", name="steered").click()
    label = part(page, "dashboard").get_by_label("Label", exact=True)
    label.fill("gates")
    label.press("Enter")
    expect(page.locator(".saew-chosen")).to_have_text(f"{second} gates")
    assert [edit.name for edit in explorer.steering.edits] == [second]
    settled(explorer)
    assert explorer.ranking.position == explorer.token == 3


def test_one_prompt_for_all(show, explorer):
    page = show(explorer)
    page.get_by_role("textbox", name="Prompt", exact=True).fill(OTHER)
    for name in ("tokens", "ranking", "steering"):
        strip = part(page, name).locator(".saew-strip").first
        expect(strip.locator(".saew-tok").last).to_have_text(re.compile("nobody"))
    expect(part(page, "dashboard").locator(".saew-own .saew-tok").last).to_have_text(re.compile("nobody"))
    own = page.get_by_label("Your own text")
    expect(own).to_have_value(OTHER)
    own.fill(PROMPT)
    expect(page.get_by_role("textbox", name="Prompt", exact=True)).to_have_value(PROMPT)
    explorer.prompt = ""
    for name in ("tokens", "ranking", "steering"):
        expect(part(page, name).locator(".saew-error")).to_be_visible()
    expect(page.locator(".saew-explorer .saew-error")).to_be_hidden()


# ---- people who see otherwise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("theme", "width"), [("light", 1400), ("dark", 1400), ("light", 700)])
def test_axe_finds_nothing(show, explorer, axe, theme, width):  # noqa: F811
    explorer.token = 3
    explorer.steer()
    page = show(explorer, theme=theme, width=width)
    page.wait_for_selector(".saew-edit")
    found = judged(page, axe)
    assert found["faults"] == []
    assert found["nodes"] >= 150


# ---- a file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_file_has_all_four_and_can_be_resized(explorer, browser, tmp_path, axe, theme):  # noqa: F811
    explorer.sizes = {"columns": 0.3}
    explorer.steer()
    settled(explorer)
    path = explorer.to_html(tmp_path / "explorer.html")
    context = browser.new_context(offline=True, color_scheme=theme, viewport={"width": 1200, "height": 1000})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    expect(page.locator(".saew-pane > .saew")).to_have_count(4)
    expect(page.locator(".saew-explorer .saew-bar")).to_contain_text("no kernel answers")
    tokens, _, dashboard, _ = boxes(page)
    assert tokens["width"] / (tokens["width"] + dashboard["width"]) == pytest.approx(0.3, abs=0.01)
    assert page.locator(".saew-twin:visible h3").count() == 0
    separator(page, "Width of the left column").press("End")
    assert boxes(page)[0]["width"] > tokens["width"] + 200
    expect(page.get_by_role("button", name="steered")).to_be_disabled()
    page.get_by_role("button", name="Ranking").click()
    expect(part(page, "ranking")).to_be_hidden()
    found = judged(page, axe)
    assert (found["faults"], faults) == ([], [])
    context.close()


def test_without_scripts_the_four_twins_are_read(explorer, browser, tmp_path):
    path = explorer.to_html(tmp_path / "explorer.html")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("h3:visible").all_inner_texts() == ["Tokens", "Ranking", "Feature", "Steering"]
    context.close()
