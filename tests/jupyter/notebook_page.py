"""Drives one notebook in JupyterLab or Notebook 7 through the application object that the page exposes."""

from __future__ import annotations

import ast
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from tests.jupyter.server import Server

PATIENCE = 120_000
"""Milliseconds before something that does not happen is a failure; long, for machines that are busy."""

READY = """() => {
  const panel = window.jupyterapp?.shell?.currentWidget;
  const kernel = panel?.context?.sessionContext?.session?.kernel;
  return panel?.content?.widgets?.length > 0 && panel.context.isReady
    && kernel?.connectionStatus === "connected" && kernel.status === "idle";
}"""

# Executing a command can wait for a dialog for ever: it is started, and its end is polled.
RUN_ALL = """() => {
  window.saewidgetsRun = "running";
  window.jupyterapp.commands.execute("notebook:run-all-cells")
    .then(() => { window.saewidgetsRun = "done"; }, (error) => { window.saewidgetsRun = String(error); });
}"""
RUN_STATE = """() => {
  const dialog = document.querySelector(".jp-Dialog");
  return dialog ? "dialog: " + dialog.textContent : window.saewidgetsRun;
}"""

CELL_ERRORS = """() => window.jupyterapp.shell.currentWidget.content.widgets.flatMap((cell) =>
  (cell.model.sharedModel.outputs ?? []).filter((output) => output.output_type === "error")
    .map((output) => output.ename + ": " + output.evalue))"""

EVALUATE = """async (expression) => {
  const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
  const future = kernel.requestExecute(
    { code: "", silent: true, store_history: false, user_expressions: { value: expression } });
  const reply = (await future.done).content;
  const value = reply.user_expressions?.value;
  return value?.status === "ok" ? { value: value.data["text/plain"] } : { error: JSON.stringify(value ?? reply) };
}"""

# What `start` runs is on its way as soon as it has printed something.
START = """(code) => {
  const kernel = window.jupyterapp.shell.currentWidget.context.sessionContext.session.kernel;
  const future = kernel.requestExecute({ code, store_history: false });
  window.saewidgetsCell = "sent";
  future.onIOPub = ({ header }) => { if (header.msg_type === "stream") window.saewidgetsCell = "running"; };
  future.done.then(({ content }) => { window.saewidgetsCell = content.status + (content.evalue ?? ""); });
}"""


class NotebookPage:
    """One open notebook.

    ``problems`` collects what must not happen: a request that leaves the machine, and a console error that names us.
    """

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.requests = 0
        self.problems: list[str] = []
        page.on("request", self._on_request)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._blame(str(error)))

    def _on_request(self, request: Request) -> None:
        self.requests += 1
        url = urlsplit(request.url)
        if url.scheme in {"http", "https", "ws", "wss"} and url.hostname not in {"127.0.0.1", "localhost"}:
            self.problems.append(f"request left the machine: {request.url}")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._blame(f"{message.text} {message.location.get('url', '')}")

    def _blame(self, text: str) -> None:
        if any(name in text.lower() for name in ("saew", "anywidget", "blob:")):
            self.problems.append(f"console error: {text}")

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook of code cells into the server's folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.server.folder / name)

    def open(self, name: str) -> None:
        """Open a notebook and wait until its kernel is idle."""
        self.page.goto(self.server.url(name))
        self.page.wait_for_function(READY, timeout=PATIENCE)

    def run_all(self, seconds: float = 300) -> None:
        """Run all cells; an error in a cell, or a dialog, fails."""
        self.page.evaluate(RUN_ALL)
        self.page.wait_for_function(f"() => ({RUN_STATE})() !== 'running'", timeout=seconds * 1000)
        state, errors = self.page.evaluate(RUN_STATE), self.page.evaluate(CELL_ERRORS)
        assert state == "done", state
        assert not errors, errors

    def python(self, expression: str) -> Any:
        """Value of a Python expression in the kernel; a literal."""
        reply = self.page.evaluate(EVALUATE, expression)
        assert "value" in reply, reply.get("error")
        return ast.literal_eval(reply["value"])

    def start(self, code: str) -> None:
        """Run code as a cell does, and wait until it prints something, not for its end."""
        self.page.evaluate(START, code)
        self.page.wait_for_function("() => window.saewidgetsCell !== 'sent'")

    def wait_for_cell(self) -> None:
        """Wait for the end of what was started; an error fails."""
        self.page.wait_for_function("() => !['sent', 'running'].includes(window.saewidgetsCell)")
        state = self.page.evaluate("() => window.saewidgetsCell")
        assert state == "ok", state

    def wait_for_python(self, expression: str, expected: object, seconds: float = 120) -> None:
        """Ask the kernel until the expression has this value."""
        deadline = time.monotonic() + seconds
        while (value := self.python(expression)) != expected:
            assert time.monotonic() < deadline, f"{expression} is {value!r}, not {expected!r}"

    def hosts_reached_by_python(self) -> list[str]:
        """Addresses outside this machine that the kernel tried to reach."""
        code = "(lambda seen: __import__('sys').audit('saewidgets.test.hosts', seen) or seen)([])"
        return self.python(code)

    @property
    def view(self) -> Locator:
        """The first live view."""
        return self.page.locator(".saew").first

    @property
    def prompt(self) -> Locator:
        """Its prompt box."""
        return self.view.locator(".saew-prompt")

    @property
    def strip(self) -> Locator:
        """Its row of tokens."""
        return self.view.locator(".saew-strip")

    @property
    def tokens(self) -> Locator:
        """Its tokens."""
        return self.view.locator(".saew-tok")

    def n_cells(self) -> int:
        """Number of cells of the notebook."""
        return self.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length")

    def save(self) -> None:
        """Save the notebook to disk."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")

    def screenshot(self, folder: Path, name: str) -> Path:
        """Save what the page shows as a PNG."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        self.page.screenshot(path=path, animations="disabled")
        return path


@contextlib.contextmanager
def opened(browser: Browser, server: Server) -> Iterator[NotebookPage]:
    """A page that must end without a request that left the machine and without a console error that names us."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    try:
        notebook = NotebookPage(context.new_page(), server)
        yield notebook
    finally:
        context.close()
    assert notebook.requests > 0
    assert not notebook.problems, notebook.problems
