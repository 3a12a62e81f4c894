"""Prints what the token view costs: bytes on the wire and on disk, and milliseconds until a feature is painted.

``make bench`` runs it; without a browser the last line is left out.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from saewidgets.views import first_feature, token_strip_html
from saewidgets.widgets import TokenActivations
from saewidgets.widgets.base import STATIC
from saewidgets.widgets.wire import pack
from tests.benchmarks.rows import Row, table
from tests.browser.bridge import bridged
from tests.browser.chromium import ARGS, find_chromium
from tests.widgets.fake_lab import FakeLab, random_activations

# Clicks row after row; a change is painted when the frame after it begins.
CLICKS = """async () => {
  const rows = [...document.querySelectorAll('.saew-right .saew-row')].slice(0, 60);
  const painted = () => new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)));
  const times = [];
  for (const row of rows) {
    await painted();
    const start = performance.now();
    row.click();
    const script = performance.now() - start;
    await painted();
    times.push([script, performance.now() - start]);
  }
  return times;
}"""


def sizes() -> Iterator[Row]:
    """Bytes of the script, the state and the static twin."""
    bundle = sum((STATIC / f"token_activations.{kind}").stat().st_size for kind in ("js", "css"))
    yield Row("script + style, minified", kilobytes(bundle), "<= 20 kB")
    for name, zipf in (("Zipf", True), ("uniform: the worst case", False)):
        result = random_activations(n=500, l0=64, zipf=zipf)
        state = len(pack(result, density=np.full(result.d_sae, 0.01, np.float32))) + bundle
        yield Row(f"state with script, 500 tokens, L0 64, {name}", kilobytes(state), "<= 300 kB")
    result = random_activations(n=500, l0=64)
    common = result.top(1, by="count")[0].feature
    for name, feature in (("a telling feature", first_feature(result)), ("one that fires everywhere", common)):
        page = len(token_strip_html(result, feature).encode())
        yield Row(f"static HTML, 500 tokens, {name}", kilobytes(page), "<= 20 kB")


def kilobytes(n: int) -> str:
    return f"{n / 1000:.1f} kB"


def paints() -> Iterator[Row]:
    """Milliseconds from a click on a feature to its paint, and what the kernel sent meanwhile."""
    from playwright.sync_api import sync_playwright

    lab: Any = FakeLab()
    result = random_activations(n=500, l0=64)
    lab.activations = lambda prompt, sae=None, mask_special=True: result
    lab.saes["mid"] = lab._sae(result.d_sae)
    with bridged() as bridge, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGS))
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.goto(bridge.page_url(TokenActivations(lab, "x")))
        page.wait_for_selector(".saew[data-state=done]")
        bridge.holding, sent = True, len(bridge.sent)
        times = page.evaluate(CLICKS)
        messages = len(bridge.sent) - sent
        browser.close()
    script, painted = (statistics.median(column) for column in zip(*times, strict=True))
    text = f"{painted:.1f} ms, of it script {script:.1f} ms; {messages} kernel messages"
    yield Row("feature change -> painted, 500 tokens, median of 60", text, "<= 30 ms, no message")


if __name__ == "__main__":
    print(table([*sizes(), *(paints() if find_chromium() else ())]))
