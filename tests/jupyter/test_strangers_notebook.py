"""A stranger's notebook whose saved widget state is a script: after ``saewidgets clean`` there is nothing to run."""

from __future__ import annotations

import json

import anywidget
import nbformat
import pytest
from playwright.sync_api import Browser, expect

from saewidgets.cli import main
from saewidgets.export.views import STATE
from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

RUN = "() { document.title = 'owned'; window.owned = 1; }"
ESM = f"export default {{ initialize{RUN}, render{RUN} }};"
TEXT = "What can be read of it."
LABEL = "import ipywidgets\nipywidgets.Label('widgets are shown')"


def hostile_notebook() -> nbformat.NotebookNode:
    """An output that asks for a saved widget, and the widget's state, which is a stranger's script."""
    view = {"model_id": "evil", "version_major": 2, "version_minor": 1}
    data = {"application/vnd.jupyter.widget-view+json": view, "text/plain": TEXT}
    cell = nbformat.v4.new_code_cell("'run'", outputs=[nbformat.v4.new_output("display_data", data)])
    found = nbformat.v4.new_notebook(cells=[cell, nbformat.v4.new_code_cell(LABEL)])
    found.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    names = [f"_{kind}_{part}" for kind in ("model", "view") for part in ("name", "module", "module_version")]
    traits = anywidget.AnyWidget.class_traits()
    own = {name: traits[name].default_value for name in names}
    model = {name.removeprefix("_"): value for name, value in own.items() if name.startswith("_model")}
    model["state"] = {**own, "_esm": ESM, "_anywidget_id": "evil.Evil"}
    found.metadata["widgets"] = {STATE: {"version_major": 2, "version_minor": 0, "state": {"evil": model}}}
    return found


def text_of(notebook: NotebookPage) -> str:
    """What stands in the first cell's output, once something does."""
    first = "window.jupyterapp.shell.currentWidget.content.widgets[0].outputArea.node.innerText"
    notebook.page.wait_for_function(f"() => {first}.trim()")
    return notebook.page.evaluate(first)


@pytest.mark.parametrize("server", ["lab"], indirect=True)
def test_after_clean_nothing_of_it_runs(browser: Browser, server: Server) -> None:
    path = server.folder / "stranger.ipynb"
    nbformat.write(hostile_notebook(), path)
    assert main(["clean", "--check", str(path)]) == 1
    assert main(["clean", str(path)]) == 0
    assert "widgets" not in json.loads(path.read_text())["metadata"]
    with opened(browser, server) as notebook:
        notebook.open(path.name)
        assert text_of(notebook).strip() == TEXT
        notebook.run_all()  # a widget that is shown has waited for those that were saved
        expect(notebook.page.get_by_text("widgets are shown", exact=True)).to_be_visible()
        assert "owned" not in notebook.page.title()
        assert not notebook.page.evaluate("'owned' in window")
