"""Takes the pictures of docs/what-your-reader-sees.md: one notebook in every host that is installed here.

``python -m tests.tools.readers`` makes all of them, ``--only voila`` one. JupyterLab, Notebook 7, nbconvert and the
exported page need what the tests need; marimo and Voila are not among that: ``pip install marimo voila`` beside it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import nbformat
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.chromium import ARGS, find_chromium
from tests.jupyter.notebook_page import PATIENCE, NotebookPage
from tests.jupyter.server import Server, running

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "readers"
LARGEST = 150_000
SIZE: ViewportSize = {"width": 1000, "height": 600}
NAME = "reading.ipynb"
PROMPT = "We walked over the Golden Gate Bridge with Timothy."
MADE = f"""lab.annotate(336, label="Golden (Gate Bridge)", note="Above half of its maximum; below, San Francisco.")
view = sw.TokenActivations(lab, {PROMPT!r}, feature=336)"""
SETUP = "import saewidgets as sw\n\nlab = sw.demo()"
PROSE = "# Which features fire here?\n\nFeature 336 is on the bridge, and on nothing else of this sentence."

MARIMO = """import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    mo.md({prose!r})
    return


@app.cell
def _():
{code}
    view
    return


if __name__ == "__main__":
    app.run()
"""


class Machine:
    """What the pictures are made with: a browser, a folder to write in, and the pictures' folder."""

    def __init__(self, browser: Browser, home: Path, out: Path) -> None:
        self.browser, self.home, self.out = browser, home, out
        self.saved = home / NAME

    def page(self, **options: Any) -> Page:
        """A new page of the size of the pictures."""
        context = self.browser.new_context(viewport=SIZE, **options)
        context.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        return context.new_page()

    def picture(self, page: Page, name: str) -> None:
        """Save what the page shows."""
        page.mouse.move(2, SIZE["height"] - 2)
        page.evaluate("document.activeElement?.blur()")
        path = self.out / f"{name}.png"
        page.screenshot(path=path, animations="disabled")
        print(f"{path}: {path.stat().st_size:,} bytes")
        if path.stat().st_size > LARGEST:
            message = f"{path} is larger than {LARGEST:,} bytes"
            raise SystemExit(message)


# ---- JupyterLab, Notebook 7 ------------------------------------------------------------------------------------------


def write_notebook(path: Path) -> None:
    """The notebook that is read everywhere, not yet run."""
    code = [nbformat.v4.new_code_cell(f"{SETUP}\n{MADE}\nview")]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(PROSE), *code])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)


def live(machine: Machine, server: Server, picture: str) -> None:
    """Run the notebook, take its picture, save and export it."""
    notebook = NotebookPage(machine.page(), server)
    write_notebook(server.folder / NAME)
    notebook.open(NAME)
    notebook.run_all()
    expect(notebook.tokens.first).to_be_visible()
    show_view(notebook.page)
    machine.picture(notebook.page, picture)
    notebook.save()
    notebook.page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
    notebook.python(f"str(sw.export_notebook({NAME!r}, 'reading.html'))")
    for name in (NAME, "reading.html"):
        (machine.home / name).write_bytes((server.folder / name).read_bytes())
    notebook.page.context.close()
    server.stop_kernels(NAME)


def cold(machine: Machine, server: Server, name: str, picture: str) -> None:
    """Open a saved notebook whose kernel has ended."""
    notebook = NotebookPage(machine.page(), server)
    notebook.open(name)
    expect(notebook.page.locator(".saew-twin")).to_be_visible()
    expect(notebook.page.get_by_text("Loading widget")).to_have_count(0)
    show_view(notebook.page)
    machine.picture(notebook.page, picture)
    notebook.page.context.close()


def show_view(page: Page) -> None:
    """Scroll so that the code is out of the way."""
    page.locator(".saew:visible, .saew-twin:visible").first.evaluate("view => view.scrollIntoView({ block: 'start' })")


def lab(machine: Machine) -> None:
    """JupyterLab: live, then trusted and untrusted without the kernel."""
    with running("lab", machine.home / "lab") as server:
        live(machine, server, "jupyterlab-live")
        cold(machine, server, NAME, "jupyterlab-trusted")
        received = json.loads((server.folder / NAME).read_text())
        received["cells"].append({"cell_type": "markdown", "id": "last", "metadata": {}, "source": ""})
        (server.folder / "received.ipynb").write_text(json.dumps(received))
        cold(machine, server, "received.ipynb", "jupyterlab-untrusted")


def notebook(machine: Machine) -> None:
    """Notebook 7, live."""
    with running("notebook", machine.home / "notebook") as server:
        live(machine, server, "notebook-7")


# ---- pages -----------------------------------------------------------------------------------------------------------


def nbconvert(machine: Machine) -> None:
    """The page of ``jupyter nbconvert --to html``, offline."""
    from nbconvert import HTMLExporter

    exporter: Any = HTMLExporter(template_name="lab")
    path = machine.home / "nbconvert.html"
    path.write_text(exporter.from_notebook_node(nbformat.read(machine.saved, as_version=4))[0])
    from_disk(machine, path, ".saew-twin", "nbconvert")


def exported(machine: Machine) -> None:
    """The page of ``sw.export_notebook``, offline."""
    from_disk(machine, machine.home / "reading.html", ".saew[data-state=silent]", "exported")


def from_disk(machine: Machine, path: Path, wait_for: str, picture: str) -> None:
    """Open a file with the network off."""
    page = machine.page(offline=True)
    page.goto(path.as_uri(), wait_until="domcontentloaded")
    page.wait_for_selector(wait_for)
    machine.picture(page, picture)
    page.context.close()


# ---- other hosts -----------------------------------------------------------------------------------------------------


def marimo(machine: Machine) -> None:
    """Marimo, as an app; the network is off for the page."""
    code = "\n".join(f"    {line}".rstrip() for line in f"{SETUP}\n{MADE}".split("\n"))
    app = machine.home / "reading.py"
    app.write_text(MARIMO.format(prose=PROSE, code=code))
    options = ["--headless", "--no-token"]
    served(machine, ["marimo", "run", str(app), *options, "--port"], "marimo")


def voila(machine: Machine) -> None:
    """Voila, as an app."""
    write_notebook(machine.home / "voila.ipynb")
    served(machine, ["voila", str(machine.home / "voila.ipynb"), "--no-browser", "--show_tracebacks=True", "--port"],
           "voila")  # fmt: skip


def served(machine: Machine, command: list[str], picture: str) -> None:
    """Start an app of the notebook and take its picture; a request that leaves this machine is stopped and printed."""
    with serving(machine, command) as origin:
        page = machine.page()
        page.route(lambda url: not url.startswith((origin, origin.replace("http", "ws"), "data:", "blob:")), stop)
        page.goto(origin)
        for prompt in ("The capital of Japan is Tokyo.", PROMPT):  # the kernel answers
            page.locator(".saew-prompt").fill(prompt)
            expect(page.locator(".saew-strip")).to_contain_text(prompt)
        page.locator(".saew-right .saew-row").nth(3).click()
        expect(page.locator(".saew-tok[style*=background]")).not_to_have_count(0)
        page.locator(".saew-right .saew-row").nth(2).click()
        show_view(page)
        machine.picture(page, picture)
        page.context.close()


def stop(route: Any) -> None:
    """Refuse a request, and say so."""
    print(f"asked for {route.request.url}")
    route.abort()


@contextlib.contextmanager
def serving(machine: Machine, command: list[str]) -> Iterator[str]:
    """A program that serves pages on a free port of this machine, and ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "HOME": str(machine.home)}
    origin = f"http://127.0.0.1:{port}"
    log = machine.home / f"{command[0]}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command, str(port)], cwd=machine.home, env=os.environ | own, stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            wait_for_server(process, origin, log)
            yield origin
        finally:
            process.terminate()
            process.wait(30)


def wait_for_server(process: subprocess.Popen[bytes], origin: str, log: Path, seconds: float = 120) -> None:
    """Wait until a server answers."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
            urllib.request.urlopen(origin, timeout=60).close()
            return
        time.sleep(0.2)
    message = f"the server did not come up:\n{log.read_text()[-4000:]}"
    raise SystemExit(message)


HOSTS: dict[str, Callable[[Machine], None]] = {
    "lab": lab, "notebook": notebook, "nbconvert": nbconvert, "exported": exported, "marimo": marimo, "voila": voila,
}  # fmt: skip
NEEDS = {"marimo": "marimo", "voila": "voila"}


def main() -> int:
    """Make the pictures that were asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=HOSTS, help="a host; may be given several times")
    parser.add_argument("--out", type=Path, default=PICTURES, help="default: docs/readers")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    asked = options.only or list(HOSTS)
    # These two read what JupyterLab has saved.
    asked = ["lab", *asked] if {"nbconvert", "exported"} & {*asked} and "lab" not in asked else asked
    missing = [name for name in asked if name in NEEDS and find_spec(NEEDS[name]) is None]
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(ARGS))
        machine = Machine(browser, Path(home), options.out)
        for name in asked:
            if name not in missing:
                HOSTS[name](machine)
        browser.close()
    for name in missing:
        print(f"no picture of {name}: pip install {NEEDS[name]}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
