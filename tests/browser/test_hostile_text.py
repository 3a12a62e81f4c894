"""Text that would be a script, in every place where text can be: no script runs, and it is shown as it is written.

A real lab: its tokens, its model, its SAEs, labels, notes, tags, authors and raters are all hostile.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AddedToken

import saewidgets as sw
from saewidgets.export import export_notebook
from saewidgets.widgets.base import LiveView
from tests.export.pages import code, notebook, outputs_of
from tests.export.readers import ALONE, ROW, made, squeezed, view_names

pytestmark = pytest.mark.browser
HOOK = "blocks.1.hook_resid_post"

# Each would call a function that does not exist: that it has run is an error of the page.
PAYLOADS = (
    "</script><script>owned()</script>",
    "<img src=x onerror=owned()>",
    '"><svg/onload=owned()>',
    "javascript:owned()",
    "{{constructor.constructor('owned()')()}}",
)
NAME = "<script>owned()</script>"
VIEWS = [name for name in view_names() if name != ROW]
# Containers are ipywidgets, which need Jupyter; what is in them is tested here by itself.
ALONE_IN_A_CELL = [name for name in VIEWS if issubclass(getattr(sw, name), LiveView)]


@pytest.fixture(scope="module")
def hostile(tokenizer, make_tensors, tmp_path_factory) -> Any:
    """A tiny lab whose every text is hostile; each payload is one token."""
    from transformer_lens.model_bridge import TransformerBridge

    own = copy.deepcopy(tokenizer)
    own.add_tokens([AddedToken(payload, special=False, normalized=False) for payload in PAYLOADS])
    shape: dict[str, Any] = {
        "n_layers": 2,
        "d_model": 32,
        "n_ctx": 32,
        "d_head": 8,
        "n_heads": 4,
        "d_mlp": 64,
        "d_vocab": len(own),
    }
    shape |= {"act_fn": "gelu_new", "normalization_type": "LN", "seed": 0}
    lab = sw.Lab(TransformerBridge.boot_native(shape, tokenizer=own).eval(), name=NAME)
    for payload in PAYLOADS:
        lab.add_sae(make_tensors(), payload, hook=HOOK)
    lab.build_index(["".join(PAYLOADS), "the cat sat"] * 3, sae=PAYLOADS[0], context=32, on_progress=False)
    lab.annotations = tmp_path_factory.mktemp("notes")
    lab.annotations.author = NAME
    said = {"set": {"label": PAYLOADS[1], "note": "\n".join(PAYLOADS)}, "add": {"tags": [NAME], "stars": [NAME]}}
    told = [(lab.target(n, sae=PAYLOADS[0]), {**said, "rate": {NAME: 3}}) for n in range(64)]
    lab.annotations.write(told)
    return lab


@pytest.fixture
def make(hostile) -> Callable[[str], Any]:
    prompt = "".join(PAYLOADS)
    strongest = hostile.activations(prompt, sae=PAYLOADS[0]).top(1)[0].feature
    more = {"prompt": prompt, "sae": PAYLOADS[0], "feature": f"{PAYLOADS[0]}/{strongest}", "target": PAYLOADS[3]}
    return lambda name: made(hostile, name, **more)


def shown(page: Any) -> str:
    """The visible text, the choices, and what stands in boxes to type in."""
    boxes = page.locator("input, textarea, option").evaluate_all("all => all.map((one) => one.value || one.text || '')")
    return squeezed("\n".join([page.locator("body").inner_text(), *boxes]))


def unread(page: Any, *texts: str) -> list[str]:
    seen = shown(page)
    return [text for text in texts if squeezed(text) not in seen]


def opened(browser: Any, path: Path, scripts: bool = True) -> tuple[Any, list[str]]:
    """A file in an offline page, and the errors of its scripts."""
    page = browser.new_context(offline=True, java_script_enabled=scripts).new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    return page, faults


def test_a_payload_that_runs_is_seen(browser, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(PAYLOADS[1] + PAYLOADS[2])
    page, faults = opened(browser, path)
    page.wait_for_timeout(200)
    page.context.close()
    assert sum("owned" in fault for fault in faults) == 2


@pytest.mark.parametrize("name", ALONE_IN_A_CELL)
def test_a_live_view_shows_it_as_text(bridge, show, make, name):
    view = make(name)
    page = show(view)
    page.wait_for_selector(".saew-tok", state="attached")
    # Hints come with the pointer and the focus; `show` fails where a script has thrown an error.
    for token in page.locator(".saew-tok").all()[:8]:
        for event in ("pointerover", "mouseover", "focus", "click"):
            token.dispatch_event(event)
    assert page.locator(".saew :is(script, img, [onload], [onerror])").count() == 0
    assert unread(page, *PAYLOADS) == []


@pytest.mark.parametrize("name", VIEWS)
def test_so_do_its_twin_and_its_export(browser, make, tmp_path, name):
    view = make(name)
    alone = view.to_html(tmp_path / "view.html")
    among = export_notebook(notebook(code("view", *outputs_of(view))), tmp_path / "nb.html")
    for path, scripts in ((alone, True), (alone, False), (among, True)):
        page, faults = opened(browser, path, scripts)
        if scripts:
            page.wait_for_selector(ALONE)
        missing = unread(page, *PAYLOADS[:2])
        page.context.close()
        assert (missing, faults) == ([], [])


@pytest.mark.parametrize("drawing", ["tokens", "ranking", "chart"])
def test_so_do_drawings_and_charts(browser, hostile, make, tmp_path, drawing):
    path = tmp_path / "drawing.svg"
    if drawing == "chart":
        hostile.specificity(f"{PAYLOADS[0]}/1", set(PAYLOADS)).chart().to_svg(path)
    else:
        make({"tokens": "TokenActivations", "ranking": "FeatureRanking"}[drawing]).to_svg(path)
    page, faults = opened(browser, path)
    text = squeezed(page.evaluate("document.documentElement.textContent"))
    scripts = page.evaluate("document.querySelectorAll('script, img, [onload], [onerror]').length")
    page.context.close()
    assert "owned()" in text
    assert (scripts, faults) == (0, [])
