"""The first notebook in a real JupyterLab, as a workshop would open it."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, expect

from tests.jupyter.notebook_page import opened
from tests.jupyter.server import Server

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "01_explore.ipynb"


@pytest.mark.parametrize("server", ["lab"], indirect=True)
def test_the_first_notebook_runs_and_shows_its_views(browser: Browser, server: Server, screenshots: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "skip-execution" not in cell.metadata.get("tags", [])]
    nbformat.write(notebook, server.folder / NOTEBOOK.name)
    with opened(browser, server) as page:
        page.open(NOTEBOOK.name)
        page.run_all()
        page.view.scroll_into_view_if_needed()
        expect(page.tokens.first).to_be_visible()
        assert page.hosts_reached_by_python() == []
        page.screenshot(screenshots, "01-explore")
