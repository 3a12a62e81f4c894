"""Explorer in a real JupyterLab and Notebook 7, on the bundled model: one thing after the other, in one cell."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

PROMPT = "They met at the Golden Gate Bridge."
OTHER = "Who built the Eiffel Tower?"
LABEL = "Golden (Gate Bridge)"
CELLS = (
    "import saewidgets as sw\nfrom saewidgets.widgets.explorer import Explorer\nlab = sw.demo()",
    f'explorer = Explorer(lab, "{PROMPT}")\nexplorer',
)
NAMES = ("tokens", "ranking", "dashboard", "steering")
THEME = """async (theme) => {
  await window.jupyterapp.commands.execute("apputils:change-theme", { theme });
  document.querySelector(".saew-bar").scrollIntoView();
}"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: Server) -> Iterator[NotebookPage]:
    """One notebook with one explorer, on which all tests of this module work."""
    with opened(browser, server) as notebook:
        notebook.page.set_viewport_size({"width": 1400, "height": 1300})
        notebook.write("explorer.ipynb", *CELLS)
        notebook.open("explorer.ipynb")
        notebook.run_all()
        expect(notebook.page.locator(".saew-pane")).to_have_count(4)
        yield notebook


def part(notebook: NotebookPage, name: str) -> Locator:
    return notebook.page.locator(".saew-pane").nth(NAMES.index(name))


def boxes(notebook: NotebookPage) -> list[dict[str, float]]:
    found = [part(notebook, name).bounding_box() for name in NAMES]
    assert all(found)
    return found  # type: ignore[return-value]


def test_the_views_stand_in_two_columns_and_the_twin_is_hidden(notebook: NotebookPage) -> None:
    tokens, ranking, dashboard, steering = boxes(notebook)
    assert tokens["x"] == ranking["x"] == steering["x"] < dashboard["x"]
    assert tokens["y"] == dashboard["y"] < ranking["y"] < steering["y"]
    assert steering["width"] > dashboard["width"] > tokens["width"] > 300
    assert round(dashboard["height"]) == 760
    assert notebook.page.locator(".jp-mod-outputsScrolled").count() == 0  # Notebook 7 folds what is high
    for twin in notebook.page.locator(".saew-twin").all():
        expect(twin).to_be_hidden()


def test_a_token_a_feature_steered_and_annotated_in_one_cell(notebook: NotebookPage) -> None:
    cells = notebook.n_cells()
    bridge = part(notebook, "tokens").locator(".saew-strip .saew-tok", has_text="Bridge")
    bridge.click()
    place = notebook.python("list(explorer.tokens.result.tokens).index(' Bridge')")
    notebook.wait_for_python("(explorer.token, explorer.ranking.position)", (place, place))
    second = part(notebook, "tokens").locator(".saew-panel .saew-row").nth(1)
    index = second.get_attribute("data-feature")
    second.click()
    name = f"{notebook.python('explorer.sae')}/{index}"
    notebook.wait_for_python("explorer.feature", name)
    for view in NAMES:
        notebook.wait_for_python(f"explorer.{view}.feature", name)
    expect(part(notebook, "dashboard").locator(".saew-id")).to_have_text(name)
    expect(notebook.page.locator(".saew-chosen b")).to_have_text(name)
    part(notebook, "tokens").locator(".saew-panel .saew-row").nth(1).focus()
    for _ in range(2):
        notebook.page.keyboard.press("s")
    expect(part(notebook, "steering").get_by_role("slider", name=f"Strength of {name}")).to_be_visible()
    notebook.wait_for_python("[edit.name for edit in explorer.steering.edits]", [name])
    assert notebook.python("len(explorer.steering.result.steered[0].text) > 0")
    label = part(notebook, "dashboard").get_by_label("Label", exact=True)
    label.fill(LABEL)
    label.press("Enter")
    expect(notebook.page.locator(".saew-chosen")).to_contain_text(LABEL)
    note = part(notebook, "dashboard").get_by_label("Note", exact=True)
    note.fill("fires on s and b")
    note.press("Enter")
    notebook.wait_for_python(f"(lambda a: (a.label, a.note))(lab.annotation({name!r}))", (LABEL, "fires on s and b"))
    assert notebook.n_cells() == cells
    notebook.wait_for_python("[edit.name for edit in explorer.steering.edits]", [name])


def test_one_prompt_is_that_of_all(notebook: NotebookPage) -> None:
    notebook.page.get_by_role("textbox", name="Prompt", exact=True).fill(OTHER)
    for name in NAMES:
        notebook.wait_for_python(f"explorer.{name}.prompt", OTHER)
    for name in ("tokens", "ranking"):
        expect(part(notebook, name).locator(".saew-strip .saew-tok").last).to_have_text("?")
    expect(part(notebook, "dashboard").locator(".saew-own .saew-tok").last).to_have_text("?")


def test_separators_are_dragged_and_moved_with_keys(notebook: NotebookPage) -> None:
    before = boxes(notebook)
    columns = notebook.page.get_by_role("separator", name="Width of the left column")
    columns.scroll_into_view_if_needed()
    at = columns.bounding_box()
    assert at
    notebook.page.mouse.move(at["x"] + 6, at["y"] + 200)
    notebook.page.mouse.down()
    notebook.page.mouse.move(at["x"] + 46, at["y"] + 200)
    notebook.page.mouse.move(at["x"] + 106, at["y"] + 200)
    notebook.page.mouse.up()
    assert boxes(notebook)[0]["width"] == pytest.approx(before[0]["width"] + 100, abs=3)
    height = notebook.page.get_by_role("separator", name="Height of the columns")
    height.focus()
    for key in ("ArrowDown", "ArrowDown", "b", "a"):  # below, above: cells, if the notebook heard them
        notebook.page.keyboard.press(key)
    assert boxes(notebook)[2]["height"] == pytest.approx(800, abs=2)
    notebook.wait_for_python("explorer.sizes['height']", 800)
    columns.dblclick()
    notebook.wait_for_python("explorer.sizes['columns']", 0.42)
    notebook.python("setattr(explorer, 'sizes', {})")
    expect(height).to_have_attribute("aria-valuenow", "760")


@pytest.mark.parametrize("width", [1400, 700])
@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_it_is_seen_in_both_themes_and_widths(
    notebook: NotebookPage, screenshots: Path, theme: str, width: int
) -> None:
    notebook.page.set_viewport_size({"width": width, "height": 1300})
    notebook.page.evaluate(THEME, f"JupyterLab {theme}")
    if width == 700:
        expect(notebook.page.get_by_role("separator", name="Width of the left column")).to_have_count(0)
        every = boxes(notebook)
        assert len({round(box["x"]) for box in every}) == 1
        assert [box["y"] for box in every] == sorted(box["y"] for box in every)
    else:
        expect(notebook.page.get_by_role("separator", name="Width of the left column")).to_be_visible()
    name = f"explorer-{notebook.server.app}-{theme.lower()}-{width}"
    assert notebook.screenshot(screenshots, name).stat().st_size > 10_000
    notebook.page.set_viewport_size({"width": 1400, "height": 1300})
    notebook.page.evaluate(THEME, "JupyterLab Light")


def test_python_reached_no_address_outside(notebook: NotebookPage) -> None:
    assert notebook.hosts_reached_by_python() == []


def test_a_notebook_opened_without_its_kernel_shows_the_four_twins(
    notebook: NotebookPage, browser: Browser, server: Server
) -> None:
    notebook.save()
    shutil.copy(server.folder / "explorer.ipynb", server.folder / "cold-explorer.ipynb")
    with opened(browser, server) as reader:
        reader.open("cold-explorer.ipynb")
        twin = reader.page.locator(".saew-twin").first
        expect(twin).to_be_visible()
        expect(twin.locator("h3")).to_have_text(["Tokens", "Ranking", "Feature", "Steering"])
        expect(twin).to_contain_text(re.compile("Golden"))
