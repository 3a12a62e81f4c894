"""FeatureRanking in a real JupyterLab and Notebook 7, on the bundled model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

PROMPT = "When Mary and John went to the store, John gave a drink to"
CELLS = (
    "import saewidgets as sw\nlab = sw.demo()",
    f"view = sw.FeatureRanking(lab, {PROMPT!r}, ' Mary', ' John')\nview",
    "# the last cell",
)


@pytest.fixture(scope="module")
def live(browser: Browser, server: Server) -> Iterator[NotebookPage]:
    """One notebook with one view, on which all tests of this module work."""
    with opened(browser, server) as notebook:
        notebook.write("ranking.ipynb", *CELLS)
        notebook.open("ranking.ipynb")
        notebook.run_all()
        expect(notebook.view.locator(".saew-entry").first).to_be_visible()
        yield notebook


def badges(notebook: NotebookPage) -> list[str]:
    return notebook.view.locator(".saew-count").all_inner_texts()


def test_the_overlaps_are_those_of_python(live: NotebookPage, screenshots: Path) -> None:
    found = live.python("tuple(view.result.overlap(10))")
    assert badges(live) == [f"{found[0]}/10", f"{found[1]}/10"]
    live.view.scroll_into_view_if_needed()
    assert live.screenshot(screenshots, f"feature-ranking-{live.server.app}").stat().st_size > 10_000


def test_type_a_target_click_a_token_read_them_back(live: NotebookPage) -> None:
    target = live.view.get_by_label("Target", exact=True)
    target.click()
    target.press_sequentially(" Joh")
    option = live.view.get_by_role("option", name="·John").first
    expect(option).to_be_visible()
    target.press("ArrowDown")
    target.press("Enter")
    live.wait_for_python("view.target", " John")
    baseline = live.view.get_by_label("Baseline", exact=True)
    baseline.click()
    live.view.get_by_role("option", name="mean logit").click()
    live.wait_for_python("view.result.metric", "logit(' John') \u2212 mean logit")
    expect(live.view.locator(".saew-metric")).to_contain_text("logit(' John') \u2212 mean logit")

    last = live.python("len(view.result.tokens) - 1")
    live.tokens.nth(last).click()
    live.wait_for_python("(view.position, view.result.position, view.result.scope)", (last, last, "position"))
    first = live.view.get_by_role("listbox", name="Rows by ablation").get_by_role("option").first
    strongest = live.python("view.result.top(1, by='ablation')[0].feature")
    expect(first.locator("b")).to_have_text(str(strongest))
    first.click()
    live.wait_for_python("view.feature", f"mid-topk-2048/{strongest}")


def test_python_sets_what_the_browser_shows(live: NotebookPage) -> None:
    live.python("[setattr(view, *pair) for pair in (('target', ' Mary'), ('position', None), ('k', 5))][0]")
    expect(live.view.locator(".saew-metric")).to_contain_text("logit(' Mary')")
    expect(live.view.locator(".saew-k")).to_have_value("5")
    live.python("setattr(view, 'baseline', ' New York City')")
    expect(live.view.locator(".saew-error")).to_contain_text("token")
    live.python("setattr(view, 'baseline', ' John')")
    expect(live.view.locator(".saew-error")).to_be_hidden()


def test_keys_walk_the_columns_and_not_the_notebook(live: NotebookPage) -> None:
    cells = live.n_cells()
    live.view.get_by_role("listbox", name="Rows by activation").get_by_role("option").first.focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "Enter"):
        live.page.keyboard.press(key)
    second = live.python("view.result.top(2, by='activation')[1].feature")
    live.wait_for_python("view.feature", f"mid-topk-2048/{second}")
    live.view.get_by_label("Target", exact=True).press("b")
    live.page.keyboard.press("Escape")
    assert live.n_cells() == cells


def test_python_reached_no_address_outside(live: NotebookPage) -> None:
    assert live.hosts_reached_by_python() == []
