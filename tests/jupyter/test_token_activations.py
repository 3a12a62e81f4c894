"""TokenActivations in a real JupyterLab and Notebook 7, on the bundled model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

FIRST = "The capital of France is Paris."
SECOND = "The capital of Japan is Tokyo."
CELLS = (
    "import saewidgets as sw\nlab = sw.demo()",
    f"view = sw.TokenActivations(lab, {FIRST!r})\nview",
    "# the last cell",
)


@pytest.fixture(scope="module")
def live(browser: Browser, server: Server) -> Iterator[NotebookPage]:
    """One notebook with one view, on which all tests of this module work."""
    with opened(browser, server) as notebook:
        notebook.write("live.ipynb", *CELLS)
        notebook.open("live.ipynb")
        notebook.run_all()
        expect(notebook.tokens.first).to_be_visible()
        yield notebook


def show(notebook: NotebookPage, prompt: str) -> None:
    """Type a prompt and wait until its tokens are there."""
    notebook.prompt.fill(prompt)
    expect(notebook.strip).to_contain_text(prompt)


def test_type_a_prompt_click_a_token_read_it_back(live: NotebookPage, screenshots: Path) -> None:
    show(live, SECOND)
    live.wait_for_python("view.result.prompt_tokens.text", SECOND)
    tokens = live.python("view.result.tokens")
    position = next(p for p, token in enumerate(tokens) if token.strip() == "Tokyo")

    live.tokens.nth(position).click()
    live.wait_for_python("view.token", position)
    strongest = live.python(f"view.result.by_token({position})[0].feature")
    row = live.view.locator(f".saew-panel [data-feature='{strongest}']")
    expect(row).to_be_visible()

    row.click()
    live.wait_for_python("view.feature", f"mid-topk-2048/{strongest}")
    expect(live.tokens.nth(position)).to_have_attribute("aria-label", re.compile(rf"Tokyo.*mid-topk-2048/{strongest} "))
    live.view.scroll_into_view_if_needed()
    assert live.screenshot(screenshots, f"token-activations-{live.server.app}").stat().st_size > 10_000


def test_python_sets_what_the_browser_shows(live: NotebookPage) -> None:
    live.python(f"setattr(view, 'prompt', {FIRST!r})")
    expect(live.strip).to_contain_text(FIRST)
    expect(live.prompt).to_have_value(FIRST)
    live.python("setattr(view, 'sae', 'mid-topk-512')")
    live.wait_for_python("view.result.d_sae", 512)
    expect(live.view.locator(".saew-sae")).to_have_value("mid-topk-512")
    live.python("setattr(view, 'sae', 'mid-topk-2048')")
    live.wait_for_python("view.result.d_sae", 2048)


def test_keys_walk_the_tokens_and_not_the_notebook(live: NotebookPage) -> None:
    show(live, SECOND)
    live.tokens.nth(1).click()
    live.wait_for_python("view.token", 1)
    cells = live.n_cells()
    for key in ("ArrowRight", "ArrowRight", "b", "a", "d", "d", "Enter"):
        live.page.keyboard.press(key)
    live.wait_for_python("view.token", 3)
    assert live.n_cells() == cells


def test_an_error_is_shown_and_the_view_goes_on(live: NotebookPage) -> None:
    problem = live.view.locator(".saew-error")
    live.prompt.fill("")
    expect(problem).to_be_visible()
    expect(problem).to_contain_text("do this")
    show(live, FIRST)
    expect(problem).to_be_hidden()


def test_the_static_twin_is_hidden_while_the_view_lives(live: NotebookPage) -> None:
    twin = live.page.locator(".saew-twin")
    expect(twin).to_have_count(1)
    expect(twin).to_be_hidden()


def test_python_reached_no_address_outside(live: NotebookPage) -> None:
    assert live.hosts_reached_by_python() == []


def test_a_notebook_opened_without_its_kernel_shows_the_twin(browser: Browser, server: Server) -> None:
    with opened(browser, server) as writer:
        writer.write("cold.ipynb", *CELLS)
        writer.open("cold.ipynb")
        writer.run_all()
        expect(writer.tokens.first).to_be_visible()
        writer.save()
    server.stop_kernels("cold.ipynb")
    with opened(browser, server) as reader:
        reader.open("cold.ipynb")
        twin = reader.page.locator(".saew-twin")
        expect(twin).to_be_visible()
        expect(twin.locator("mark").first).to_be_visible()
        expect(twin).to_contain_text("mid-topk-2048")


def test_a_label_is_edited_in_place_and_its_keys_are_no_shortcuts(live: NotebookPage) -> None:
    cells = live.n_cells()
    row = live.view.locator(".saew-right .saew-row").first
    row.locator(".saew-name").dblclick()
    field = live.view.locator(".saew-rename")
    expect(field).to_be_focused()
    live.page.keyboard.type("bax dd")
    live.page.keyboard.press("Enter")
    expect(field).to_be_hidden()
    expect(row.locator(".saew-label")).to_have_text("bax dd")
    live.wait_for_python("lab.label(view.feature)", "bax dd")
    assert live.n_cells() == cells
    live.python("lab.annotations.undo() and None")
    expect(row.locator(".saew-label")).to_have_text("")
