"""SteeringPanel in a real JupyterLab and Notebook 7, on the bundled model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

FIRST = "mid-topk-2048/336"
TAP = '''
import math, threading
from saewidgets.steering import generation

class Tap:
    """Lets tokens be written: all, or as many as it is told; so that a text is on its way as long as a test needs."""

    def __init__(self):
        self.changed, self.left, self.passed, self.waiting, self.heard = threading.Condition(), math.inf, 0, False, []

    def let(self, n=math.inf):
        with self.changed:
            self.left, self.waiting = n, False
            self.changed.notify_all()

    def take(self):
        with self.changed:
            self.waiting = self.left <= 0
            self.changed.wait_for(lambda: self.left > 0)
            self.left, self.passed = self.left - 1, self.passed + 1

def step(self, step=generation.Writing.step):
    tap.take()
    return step(self)

tap, generation.Writing.step = Tap(), step
'''
PANEL = f"""
panel = sw.SteeringPanel(
    lab, "I walked to the", [sw.steering.set("{FIRST}", 1), sw.steering.set_if_active("mid-topk-2048/1483", 2)],
    max_new_tokens=16)
panel.stop = lambda: tap.heard.append(tap.passed) or type(panel).stop(panel)
panel
"""
RANKING = """
import ipywidgets
ranking = sw.FeatureRanking(lab, "When Mary and John went to the store, John gave a drink to", " Mary", " John")
link = ipywidgets.link((ranking, "feature"), (panel, "feature"))
ranking
"""
AGREES = '''
import numpy as np
import torch

model = lab.models["demo"].model
ids = model.to_tokens("The city of Lyon is")
plain = model(ids)

def agrees():
    """Whether what is shown is what the lab computes anew: texts, next token, side effect."""
    shown, fresh = panel.result, lab.compare_steering(panel.prompt, panel.edits, panel.max_new_tokens, k=panel.k)
    texts = zip((*shown.base, *shown.steered), (*fresh.base, *fresh.steered), strict=True)
    mine, theirs = shown.next_token, fresh.next_token
    return (
        all(np.array_equal(one.new_tokens.ids, other.new_tokens.ids) for one, other in texts),
        np.array_equal(mine.ids, theirs.ids) and np.allclose(mine.edited, theirs.edited, rtol=0, atol=1e-5),
        bool(np.isclose(shown.side_effect.kl, fresh.side_effect.kl, rtol=1e-4)),
    )
'''
CELLS = ("import saewidgets as sw\nlab = sw.demo()", TAP, PANEL, AGREES, RANKING)
BLOCKING = "import os, time\nprint('runs')\nwhile not os.path.exists({go!r}):\n    time.sleep(0.02)"
ASYNC = "import asyncio, os\nprint('runs')\nwhile not os.path.exists({go!r}):\n    await asyncio.sleep(0.02)"
WHILE_IT_STREAMS = """
print("runs")
tap.let()
before, same = tap.passed, []
while len(same) < 40 or tap.passed < before + 10:
    same.append(torch.equal(model(ids), plain))
"""


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: Server) -> Iterator[NotebookPage]:
    """One notebook with one panel, on which all tests of this module work."""
    with opened(browser, server) as notebook:
        notebook.write("steering.ipynb", *CELLS)
        notebook.open("steering.ipynb")
        notebook.run_all()
        yield notebook


@pytest.fixture
def live(notebook: NotebookPage) -> Iterator[NotebookPage]:
    """The panel as it was at first, with all that it shows."""
    notebook.python(
        f"[setattr(panel, 'max_new_tokens', 16), setattr(panel, 'edits', (sw.steering.set('{FIRST}', 1),"
        " sw.steering.set_if_active('mid-topk-2048/1483', 2)))][0]"
    )
    expect(panel_of(notebook)).to_have_attribute("data-state", "done")
    panel_of(notebook).scroll_into_view_if_needed()
    yield notebook
    notebook.python("tap.let()")
    notebook.wait_for_python("panel.status['state'] in ('done', 'stopped')", True)


def panel_of(notebook: NotebookPage) -> Locator:
    return notebook.page.locator(".saew-steering")


def slider(notebook: NotebookPage) -> Locator:
    return notebook.page.get_by_label(f"Strength of {FIRST}", exact=True)


def number(notebook: NotebookPage) -> Locator:
    return notebook.page.get_by_label(f"Strength of {FIRST} as a number")


def writings(notebook: NotebookPage) -> Locator:
    """The base and the steered text."""
    return panel_of(notebook).locator(".saew-writing")


def hold(notebook: NotebookPage, tokens: int) -> None:
    """Write a long text anew, and hold it when it has so many tokens."""
    assert notebook.python("panel.result is not None")  # no step of what went before is left
    notebook.python(f"tap.let({tokens})")
    notebook.python("setattr(panel, 'max_new_tokens', 200)")
    notebook.wait_for_python("tap.waiting", True)
    expect(panel_of(notebook)).to_have_attribute("data-state", "running")
    expect(writings(notebook).nth(1).locator(".saew-tok").first).to_be_visible()


def percent(share: float) -> str:
    return "<0.01%" if 0 < share < 1e-4 else f"{100 * share:.{2 if share < 0.1 else 1}f}%"


def expect_what_python_has(notebook: NotebookPage) -> None:
    """Prompt tokens, bars and both texts on the page are those of ``panel.result``."""
    panel = panel_of(notebook)
    expect(panel).to_have_attribute("data-state", "done")
    tokens = notebook.python("panel.result.prompt_tokens.strings")
    expect(panel.locator(".saew-strip .saew-tok")).to_have_text(list(tokens))
    rows = notebook.python("[tuple(row)[1:] for row in panel.result.next_token.top(panel.k)]")
    rows.sort(key=lambda row: -max(row[1:]))
    shown = [f"{token.replace(' ', '·')}{percent(base)}{percent(steered)}" for token, base, steered in rows]
    expect(panel.locator(".saew-rows .saew-bar-row")).to_have_text(shown)
    texts = notebook.python("[''.join(text.new_tokens.strings) for text in panel.result.base + panel.result.steered]")
    expect(writings(notebook)).to_have_text(texts)


def test_tokens_bars_and_texts_are_those_of_python(live: NotebookPage, screenshots: Path) -> None:
    expect_what_python_has(live)
    assert live.python("panel.result.base[0].text != panel.result.steered[0].text")
    assert live.python("agrees()") == (True, True, True)
    assert live.screenshot(screenshots, f"steering-panel-{live.server.app}").stat().st_size > 10_000


def test_the_keyboard_moves_the_slider(live: NotebookPage) -> None:
    slider(live).focus()
    for key in ("PageUp", "ArrowRight", "ArrowLeft", "ArrowUp"):
        live.page.keyboard.press(key)
    live.wait_for_python("panel.edits[0].value", 2.1)
    expect(number(live)).to_have_value("2.1")
    live.page.keyboard.press("Home")
    live.wait_for_python("panel.edits[0].value", -10)
    expect_what_python_has(live)


def test_of_fifty_moves_while_text_streams_the_last_is_shown(live: NotebookPage) -> None:
    hold(live, 20)
    slider(live).scroll_into_view_if_needed()
    box: Any = slider(live).bounding_box()
    middle = box["y"] + box["height"] / 2
    live.page.mouse.move(box["x"] + 0.9 * box["width"], middle)
    live.page.mouse.down()
    for i in range(50):
        live.page.mouse.move(box["x"] + (0.9 - 0.008 * i) * box["width"], middle)
        if i == 10:
            live.python("tap.let()")
    live.page.mouse.up()
    last = float(number(live).input_value())
    assert -1 < last < 2
    live.wait_for_python("panel.edits[0].value", last)
    live.wait_for_python("panel.result.edits[0]", f"{FIRST}: x + ({last:g} m - f) d")
    expect_what_python_has(live)
    expect(number(live)).to_have_value(f"{last:g}")
    expect(slider(live)).to_have_value(f"{last:g}")
    assert live.python("(panel.edits[0].value, panel._edits[0]['value'])") == (last, last)
    assert live.python("agrees()") == (True, True, True)


def test_stop_answers_within_two_tokens_and_keeps_what_was_written(live: NotebookPage) -> None:
    heard = live.python("len(tap.heard)")
    hold(live, 41)
    before = live.python("tap.passed")
    panel_of(live).get_by_role("button", name="Stop").click()
    live.wait_for_python("len(tap.heard)", heard + 1)
    live.python("tap.let()")
    expect(panel_of(live)).to_have_attribute("data-state", "stopped")
    assert live.python("panel.status['state']") == "stopped"
    more = live.python("tap.passed") - before
    assert more <= 2
    texts = live.python("[text.text for text in panel.result.base + panel.result.steered]")
    written = live.python("sum(len(text) for text in panel.result.base + panel.result.steered)")
    assert 40 <= written <= 41 + more  # the pass under way may have been ended; both texts are shown together
    expect(writings(live)).to_have_text(texts)
    expect(panel_of(live).locator(".saew-end")).to_have_text(["stopped", "stopped"])
    whole = live.python("[lab.generate(panel.prompt, edits, 40).text for edits in ((), panel.edits)]")
    assert [full[: len(text)] for text, full in zip(texts, whole, strict=True)] == texts


def test_a_cell_that_runs_meanwhile_is_not_steered(live: NotebookPage) -> None:
    hold(live, 20)
    assert live.python("1 + 1") == 2
    assert live.python("panel.status['state']") == "running"
    live.start(WHILE_IT_STREAMS)
    live.wait_for_cell()
    assert live.python("(len(same) >= 40, all(same))") == (True, True)
    live.wait_for_python("panel.status['state']", "done")
    assert live.python("agrees()") == (True, True, True)


@pytest.mark.parametrize("code", [BLOCKING, ASYNC], ids=["blocking", "async"])
def test_a_move_while_a_cell_runs_arrives_at_the_latest_after_it(live: NotebookPage, code: str, tmp_path: Path) -> None:
    go = tmp_path / "go"
    slider(live).focus()
    live.start(code.format(go=str(go)))
    for _ in range(12):
        live.page.keyboard.press("ArrowRight")
    live.page.keyboard.press("PageUp")
    expect(number(live)).to_have_value("3.2")
    go.touch()
    live.wait_for_cell()
    live.wait_for_python("panel.edits[0].value", 3.2)
    expect_what_python_has(live)
    expect(number(live)).to_have_value("3.2")


def test_a_linked_ranking_offers_its_feature(live: NotebookPage) -> None:
    row = live.page.get_by_role("listbox", name="Rows by ablation").get_by_role("option").first
    row.scroll_into_view_if_needed()
    row.click()
    strongest = live.python("ranking.result.top(1, by='ablation')[0].feature")
    name = f"mid-topk-2048/{strongest}"
    live.wait_for_python("panel.feature", name)
    panel = panel_of(live)
    panel.get_by_role("combobox", name="Add a feature or a vector").click()
    expect(panel.get_by_role("option", name=name)).to_be_visible()
    live.page.keyboard.press("Escape")
    panel.get_by_role("button", name=f"add {name}").click()
    live.wait_for_python("[edit.name for edit in panel.edits][2:]", [name])
    expect(panel.locator(".saew-edit")).to_have_count(3)
    expect_what_python_has(live)


def test_keys_in_the_panel_are_no_shortcuts_of_the_notebook(live: NotebookPage) -> None:
    cells = live.n_cells()
    panel = panel_of(live)
    parts = (slider(live), number(live), writings(live).nth(1).locator(".saew-tok").first)
    for part in (*parts, panel.get_by_role("button", name="Generate"), panel.get_by_label(f"Operation of {FIRST}")):
        part.focus()
        for key in ("b", "a", "x", "ArrowRight"):  # below, above, cut: one cell more, if the notebook heard them
            live.page.keyboard.press(key)
    assert live.n_cells() == cells
    live.wait_for_python("panel.edits[0].value", 1.1)


def test_python_reached_no_address_outside(live: NotebookPage) -> None:
    assert live.hosts_reached_by_python() == []
