"""What JupyterLab and Notebook 7 save of a view, and what an export makes of it with and without its kernel."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Browser, expect

from saewidgets.export import views as views_module
from saewidgets.export.notebook import exported
from tests.jupyter.notebook_page import opened
from tests.jupyter.server import Server

CELLS = (
    "import saewidgets as sw\nlab = sw.demo()",
    "sw.row(*[sw.TokenActivations(lab, f'The capital of {where}') for where in ('France', 'Japan')])",
    "# the last cell",
)
EXPORT = "str(sw.export_notebook('saved.ipynb', 'saved.html'))"


def test_state_is_not_saved_unless_asked_and_the_kernel_has_it(
    browser: Browser, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = server.folder / "saved.ipynb"
    with opened(browser, server) as notebook:
        notebook.write(path.name, *CELLS)
        notebook.open(path.name)
        notebook.run_all()
        expect(notebook.page.locator(".saew-strip")).to_have_count(2)
        boxes = [box for box in (notebook.page.locator(".saew").nth(n).bounding_box() for n in (0, 1)) if box]
        assert all(box["width"] > 300 and box["height"] > 100 for box in boxes)
        assert boxes[0]["y"] == boxes[1]["y"]
        assert boxes[0]["x"] < boxes[1]["x"]
        expect(notebook.page.locator(".saew-twin").first).to_be_hidden()
        notebook.save()
        notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        assert notebook.python(EXPORT) == "saved.html"

    monkeypatch.setattr(views_module, "held", {})
    assert "widgets" not in json.loads(path.read_text())["metadata"]
    alone = exported(path)
    assert (alone.n_live, alone.n_static) == (0, 1)
    assert "Japan" in alone.html
    page = browser.new_page()
    page.goto((server.folder / "saved.html").as_uri())
    page.wait_for_function("document.querySelectorAll('.saew[data-state=silent]').length == 2")
    page.close()
