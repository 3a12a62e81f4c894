"""What readers see of each view: in JupyterLab with and without a kernel, on GitHub, in nbconvert's page, in an export.

One notebook is run once, saved by JupyterLab, and read in all of them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import Browser, Page, Route
from playwright.sync_api import TimeoutError as TooLateError

from saewidgets.export.notebook import export_notebook
from tests.export.readers import ALONE, TOKEN, cells, github_page, lacking, outputs_of_cell, view_names, wanted
from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

pytestmark = pytest.mark.parametrize("server", ["lab"], indirect=True)
VIEWS = view_names()
NAME = "readers.ipynb"

# What can be read of one cell's outputs: the visible text, and what stands in boxes to type in.
READ_CELL = """(n) => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[n];
  cell.node.scrollIntoView();
  const area = cell.outputArea.node;
  const boxes = [...area.querySelectorAll("input, textarea")].filter((box) => box.checkVisibility());
  return [area.innerText, ...boxes.map((box) => box.value)].join("\\n");
}"""
TRUSTED = "() => window.jupyterapp.shell.currentWidget.content.widgets.every((cell) => cell.model.trusted !== false)"
DRAWN = """(n) => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[n];
  cell.node.scrollIntoView();
  return cell.outputArea.node.querySelector("canvas, svg");
}"""
SETTLED = """(busy) => !document.querySelector(busy)
  && [...document.querySelectorAll("[data-saew]")].every((place) => place.querySelector(".saew"))"""
OWNED = "() => 'owned' in window"


class Seen(NamedTuple):
    """What a reader sees of each view; whether hostile text did anything; the requests that left; if views live."""

    texts: dict[str, str]
    owned: bool
    requests: list[str]
    live: bool = False


class Shared(NamedTuple):
    """The notebook as JupyterLab has saved it, its export out of its kernel, and what was seen of it live."""

    saved: Path
    exported: Path
    live: Seen


def read_cells(notebook: NotebookPage) -> Seen:
    texts = {}
    for n, name in enumerate(VIEWS, 1):
        with contextlib.suppress(TooLateError):
            shown = f"(words) => ({READ_CELL})({n}).includes(words)"
            notebook.page.wait_for_function(shown, arg=wanted(name).get("label", TOKEN), timeout=20_000)
        texts[name] = notebook.page.evaluate(READ_CELL, n)
    return Seen(texts, notebook.page.evaluate(OWNED), list(notebook.problems))


@pytest.fixture(scope="module")
def shared(browser: Browser, server: Server) -> Shared:
    """The notebook, run once."""
    with opened(browser, server) as notebook:
        notebook.write(NAME, *cells())
        notebook.open(NAME)
        notebook.run_all()
        live = read_cells(notebook)._replace(live=True)
        notebook.page.wait_for_function(DRAWN, arg=len(VIEWS) + 1)
        notebook.save()
        notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        assert notebook.python(f"str(sw.export_notebook({NAME!r}, 'readers.html'))") == "readers.html"
        assert notebook.hosts_reached_by_python() == []
    server.stop_kernels(NAME)
    return Shared(server.folder / NAME, server.folder / "readers.html", live)


# ---- readers ---------------------------------------------------------------------------------------------------------


def lab_live(shared: Shared, *_: Any) -> Seen:
    return shared.live


def lab_trusted(shared: Shared, browser: Browser, server: Server) -> Seen:
    """The author's own file, the day after."""
    with opened(browser, server) as notebook:
        notebook.open(shared.saved.name)
        assert notebook.page.evaluate(TRUSTED)
        return read_cells(notebook)


def lab_untrusted(shared: Shared, browser: Browser, server: Server) -> Seen:
    """A file that somebody else has made: this JupyterLab has never signed what is in it."""
    received = json.loads(shared.saved.read_text())
    received["metadata"]["title"] = "received"
    received["cells"].append({"cell_type": "markdown", "id": "last", "metadata": {}, "source": "more"})
    (server.folder / "received.ipynb").write_text(json.dumps(received))
    with opened(browser, server) as notebook:
        notebook.open("received.ipynb")
        assert not notebook.page.evaluate(TRUSTED)
        return read_cells(notebook)


def nbconvert_page(shared: Shared, browser: Browser, _: Server) -> Seen:
    """The page of ``jupyter nbconvert --to html``, offline; what an empty notebook's page asks for is nbconvert's."""
    exporter: Any = HTMLExporter(template_name="lab", exclude_input=True)
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1")])
    pages = {name: exporter.from_notebook_node(outputs_of_cell(shared.saved, n))[0] for n, name in enumerate(VIEWS, 1)}
    own = from_disk(browser, shared, {"": exporter.from_notebook_node(empty)[0]}).requests
    seen = from_disk(browser, shared, pages)
    return seen._replace(requests=[url for url in seen.requests if url not in own])


def on_github(shared: Shared, browser: Browser, _: Server) -> Seen:
    pages = {name: outputs_of_cell(shared.saved, n).cells[0].outputs for n, name in enumerate(VIEWS, 1)}
    return from_disk(browser, shared, {name: github_page(outputs) for name, outputs in pages.items()})


def exported_in_the_kernel(shared: Shared, browser: Browser, _: Server) -> Seen:
    return exported_page(shared.exported, browser, live=True)


def exported_without_a_kernel(shared: Shared, browser: Browser, _: Server) -> Seen:
    return exported_page(export_notebook(shared.saved, shared.saved.with_name("later.html")), browser, live=False)


def exported_page(path: Path, browser: Browser, live: bool) -> Seen:
    with offline(browser) as (page, requests):
        page.goto(path.as_uri())
        if live:
            page.wait_for_function(SETTLED, arg=f".saew[data-state]:not({ALONE})")
        places = [page.locator("main > .cell").nth(n) for n in range(1, len(VIEWS) + 1)]
        texts = {name: visible(place) for name, place in zip(VIEWS, places, strict=True)}
        assert bool(page.locator(".saew").count()) is live
        return Seen(texts, page.evaluate(OWNED), requests, live)


def visible(place: Any) -> str:
    """The text of outputs that can be seen, and what stands in boxes to type in."""
    boxes = place.locator("input:visible, textarea:visible").evaluate_all("boxes => boxes.map((box) => box.value)")
    return "\n".join([*place.locator(".output").all_inner_texts(), *boxes])


def from_disk(browser: Browser, shared: Shared, pages: dict[str, str]) -> Seen:
    texts, owned = {}, False
    with offline(browser) as (page, requests):
        for n, (name, html) in enumerate(pages.items()):
            path = shared.saved.with_name(f"page{n}.html")
            path.write_text(html)
            page.goto(path.as_uri())
            texts[name] = page.locator("body").inner_text()
            owned |= page.evaluate(OWNED)
    return Seen(texts, owned, requests)


@contextlib.contextmanager
def offline(browser: Browser) -> Iterator[tuple[Page, list[str]]]:
    """A page that may open files, and the addresses of everything else that it asked for in vain."""
    context = browser.new_context(offline=True, viewport={"width": 1100, "height": 900})
    requests: list[str] = []

    def stop(route: Route) -> None:
        if urlsplit(route.request.url).scheme in {"file", "data"}:
            route.continue_()
        else:
            requests.append(route.request.url)
            route.abort()

    page = context.new_page()
    page.route("**/*", stop)
    try:
        yield page, requests
    finally:
        context.close()


HOSTS: dict[str, Callable[[Shared, Browser, Server], Seen]] = {
    "Lab live": lab_live,
    "Lab cold trusted": lab_trusted,
    "Lab cold untrusted": lab_untrusted,
    "nbconvert": nbconvert_page,
    "GitHub-like": on_github,
    "exported in the kernel": exported_in_the_kernel,
    "exported without a kernel": exported_without_a_kernel,
}


@pytest.fixture(scope="module", params=HOSTS)
def seen(request: pytest.FixtureRequest, shared: Shared, browser: Browser, server: Server) -> Seen:
    return HOSTS[request.param](shared, browser, server)


# ---- what they see ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_tokens_labels_and_notes_are_read(seen: Seen, view: str) -> None:
    assert lacking(view, seen.texts[view]) == []


def test_nothing_hostile_ran_and_nothing_was_asked_of_anybody(seen: Seen) -> None:
    assert not seen.owned
    assert seen.requests == []
