"""AttentionPatterns beside TokenActivations in a real JupyterLab and Notebook 7, on the bundled model."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from saewidgets.widgets.circuitsvis_picture import find_script
from tests.jupyter.notebook_page import opened
from tests.jupyter.server import Server

IMPORTS = """import ipywidgets
import saewidgets as sw
from saewidgets.widgets.attention_patterns import AttentionPatterns
lab, prompt = sw.demo(), 'The capital of France is Paris.'"""
CELLS = (
    IMPORTS,
    "tokens = sw.TokenActivations(lab, prompt)\ntokens",
    "one = AttentionPatterns(lab, prompt, 1)\none",
    "two = AttentionPatterns(lab, prompt, 2)\ntwo",
    "link = ipywidgets.link((tokens, 'token'), (one, 'token'))",
)


def test_two_views_of_circuitsvis_and_a_linked_token(browser: Browser, server: Server, screenshots: Path) -> None:
    if find_script() is None:
        reason = "circuitsvis is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with opened(browser, server) as notebook:
        notebook.write("attention.ipynb", *CELLS)
        notebook.open("attention.ipynb")
        notebook.run_all()
        drawn = notebook.page.locator(".saew-attention .tokens")
        expect(drawn).to_have_count(2)
        drawn.first.locator("button").nth(4).click()
        notebook.wait_for_python("(one.token, tokens.token, two.token)", (4, 4, None))
        notebook.page.locator(".saew-acts .saew-tok").nth(3).click()
        notebook.wait_for_python("one.token", 3)
        expect(drawn.first.locator("button").nth(3)).to_have_attribute("aria-pressed", "true")
        drawn.first.scroll_into_view_if_needed()
        assert notebook.screenshot(screenshots, f"attention-patterns-{server.app}").stat().st_size > 10_000
