"""From a typed prompt to painted tokens, in a real JupyterLab on the bundled model."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.benchmarks.rows import Row, table
from tests.browser.chromium import ARGS, find_chromium
from tests.jupyter.notebook_page import opened
from tests.jupyter.server import running

COUNTRIES = ("France", "Italy", "Spain", "Japan", "Peru", "Egypt", "Kenya", "Norway", "Poland", "Greece")
ROUNDS = 3

# Enter runs at once: the time has no typing pause in it. Painted = the second frame after the tokens have changed.
TYPE = """(prompt) => new Promise((resolve) => {
  const view = document.querySelector(".saew");
  const strip = view.querySelector(".saew-strip");
  const box = view.querySelector(".saew-prompt");
  const last = prompt.split(" ").at(-1);
  const start = performance.now();
  const watch = new MutationObserver(() => {
    if (!strip.textContent.includes(last)) return;
    watch.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
  });
  watch.observe(strip, { childList: true, subtree: true });
  box.value = prompt;
  box.dispatchEvent(new Event("input", { bubbles: true }));
  box.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
})"""


def typed_to_painted() -> list[Row]:
    """Median and ninth decile over 30 prompts, after one to warm up."""
    cells = ("import saewidgets as sw\nlab = sw.demo()", "view = sw.TokenActivations(lab, 'Hello.')\nview")
    home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    with home as folder, running("lab", Path(folder)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGS))
        with opened(browser, server) as notebook:
            notebook.write("bench.ipynb", *cells)
            notebook.open("bench.ipynb")
            notebook.run_all()
            notebook.tokens.first.wait_for()
            prompts = [f"A letter from {name} number{n}" for n in range(ROUNDS) for name in COUNTRIES]
            times = [notebook.page.evaluate(TYPE, prompt) for prompt in ("Warm up once", *prompts)][1:]
        browser.close()
    value = f"{statistics.median(times):.0f} (p90 {statistics.quantiles(times, n=10)[-1]:.0f})"
    return [Row("typed prompt -> painted, JupyterLab, ms after the typing pause", value, "<= 250 median")]


if __name__ == "__main__":
    print(table(typed_to_painted()))
