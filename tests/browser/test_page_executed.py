"""A page of ``saewidgets export --execute`` in Chromium: its slider moves what the notebook's kernel has recorded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.test_export import opened  # noqa: F401 - opened is a fixture
from tests.browser.test_page_recorded import READY, bars
from tests.export.pages import code, notebook

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[2]
SETUP = "import saewidgets as sw\nlab = sw.demo()\nprompt, paris = 'The capital of Spain is', 1815"
PANEL = "sw.SteeringPanel(lab, prompt, sw.steering.set(paris, 1), max_new_tokens=2)"
TOLD = """
found = [lab.next_token(prompt, sw.steering.set(paris, times), 10).top(10) for times in (1, 10)]
print([100 * max(row.edited for row in rows) for rows in found])
"""


def likeliest(page: Any) -> float:
    """Percent of the likeliest steered token."""
    steered = [cells[3].rstrip("%") for cells in bars(page)]
    return max(float(one) for one in steered if not one.startswith("<"))


def test_the_slider_of_a_notebook_that_was_run_for_its_page_moves(opened, tmp_path):  # noqa: F811
    nbformat.write(notebook("# Paris", code(SETUP), code(PANEL), code(TOLD)), tmp_path / "nb.ipynb")
    command = [sys.executable, "-m", "saewidgets.cli", "export", "--execute", str(tmp_path / "nb.ipynb")]
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {"PYTHONPATH": search, "HF_HUB_OFFLINE": "1", "IPYTHONDIR": str(tmp_path)}
    subprocess.run(command, check=True, env=os.environ | own)
    one = opened(tmp_path / "nb.html")
    one.page.wait_for_selector(READY)
    at_1, at_10 = json.loads(one.page.locator("pre.stdout").inner_text())
    assert abs(at_1 - at_10) > 1
    assert likeliest(one.page) == pytest.approx(at_1, abs=0.06)
    one.page.locator(".saew-slide").focus()
    one.page.keyboard.press("End")
    one.page.wait_for_selector(".saew-steering[data-state^='recorded: mid-topk-2048/1815 at 10 ']")
    assert likeliest(one.page) == pytest.approx(at_10, abs=0.06)
    assert (one.page.evaluate("window.stopped"), one.page.evaluate("window.ran"), one.faults) == ([], [], [])
