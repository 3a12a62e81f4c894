"""What every live view shares: posting work, talking to the browser, the static twin beside it."""

from __future__ import annotations

import difflib
import inspect
import sys
import threading
import uuid
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from saewidgets.errors import SaewidgetsError
from saewidgets.export.page import STATIC, Places, SavedBox, SavedView, page
from saewidgets.export.views import held, read_by_script
from saewidgets.views.files import write_bytes
from saewidgets.widgets.pictures import Pictured
from saewidgets.widgets.worker import Job, Worker

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class LiveView(Pictured, anywidget.AnyWidget):
    """Base of the live views.

    A subclass names its script with ``class View(LiveView, stem="view")``, posts work with ``_post``, handles what the
    browser asks in ``_op_<name>(content)`` and says what it looks like without a kernel in ``static_html`` and
    ``static_text``. Nothing that the browser sends can end it: faults travel back and are shown.
    """

    status = traitlets.Dict(
        {"state": "idle", "message": ""},
        read_only=True,
        help="What the view is doing: {'state': 'idle' | 'queued' | 'running' | 'done' | 'stopped' | 'failed', "
        "'message': text}.",
    ).tag(sync=True)
    error = traitlets.Unicode(
        "", read_only=True, help="What went wrong last, as text; empty when the last run went well."
    ).tag(sync=True)
    _twin = traitlets.Unicode("", help="Marks the static copy that the live view hides.").tag(sync=True)

    _by_cell: ClassVar[dict[str, tuple[str, weakref.WeakSet[LiveView]]]] = {}

    def __init_subclass__(cls, stem: str = "", **kwargs: Any) -> None:
        if stem:  # as text: for a path anywidget keeps every view of the class alive, to change it with the file
            cls._esm = (STATIC / f"{stem}.js").read_text(encoding="utf-8")
            cls._css = (STATIC / f"{stem}.css").read_text(encoding="utf-8")
        super().__init_subclass__(**kwargs)

    def __init__(self, unknown: dict[str, Any], **traits: Any) -> None:
        self._refuse(unknown)
        self._jobs: dict[str, Job] = {}
        layout = {"layout": unknown["layout"]} if "layout" in unknown else {}
        super().__init__(_twin=f"saew-twin-{uuid.uuid4().hex[:12]}", **layout, **traits)
        self.on_msg(self._receive)
        self._hear_while_a_cell_runs()
        self._supersede()
        hold(self, self._twin)

    def _refuse(self, unknown: dict[str, Any]) -> None:
        """An unknown keyword is an error; a misspelt one would be dropped without a word otherwise."""
        known = [name for name in inspect.signature(type(self)).parameters if name != "unknown"]
        for name in unknown.keys() - {"layout"}:
            close = difflib.get_close_matches(name, known, n=1)
            advice = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(known)}."
            raise TypeError(f"{type(self).__name__} has no argument {name!r}; {advice}")

    # ---- work ----------------------------------------------------------------------------------------------------

    def _post(self, worker: Worker, kind: str, work: Callable[[Job], Any]) -> Job:
        """Post work; a newer one of the same kind wins. The status follows the newest job."""
        job = Job(self, kind, work, self._on_job)
        self._jobs[kind] = job
        self._say("queued")
        if worker.is_current():
            worker.run(job)
        else:
            worker.post(job)
        return job

    def _on_job(self, job: Job) -> None:
        if self._jobs.get(job.key[1]) is not job:
            return
        self._say(job.state, describe(job.error) if job.error is not None else "")

    def _say(self, state: str, message: str = "") -> None:
        """Set ``status`` and ``error``."""
        text = message.encode("utf-8", "backslashreplace").decode()
        if state in ("done", "failed"):
            self.set_trait("error", text if state == "failed" else "")
        self.set_trait("status", {"state": state, "message": text})

    def _wait(self) -> None:
        """Wait for the newest jobs, unless on a worker's own thread, which would wait for itself."""
        for job in list(self._jobs.values()):
            while not job.told and not _on_worker():
                job.wait()

    def stop(self) -> None:
        """Ask all work of this view to stop."""
        for job in list(self._jobs.values()):
            if not job.finished:
                job.stop()

    def close(self) -> None:
        """Close the view; its work stops."""
        if hasattr(self, "_jobs"):
            self.stop()
        super().close()

    def _hear_while_a_cell_runs(self) -> None:
        """Let messages go to the thread that the browser names.

        ipykernel 7.4 sends them to the one that sent last on the view's comm: a cell's, where Stop waits for its end.
        """
        comm: Any = self.comm
        if hasattr(comm, "_reply_subshell_for"):
            comm._reply_subshell_for = None

    def _supersede(self) -> None:
        """When a cell runs again, work of the views that its last run made stops."""
        cell, run = current_cell()
        if not cell:
            return
        former_run, former = LiveView._by_cell.get(cell, ("", weakref.WeakSet()))
        if former_run != run:
            for view in list(former):
                view.stop()
            former = weakref.WeakSet()
        former.add(self)
        LiveView._by_cell[cell] = (run, former)

    # ---- the browser ---------------------------------------------------------------------------------------------

    def _receive(self, _: object, content: object, __: object = None) -> None:
        """Answer one message: ``{op, view, seq, ...}`` in, ``{op: "ack", view, seq, error}`` back. Never raises."""
        message = content if isinstance(content, dict) else {}
        op = message.get("op")
        handler = getattr(self, f"_op_{op}", None) if isinstance(op, str) else None
        error = ""
        try:
            if handler is None:
                error = f"The view does not know the request {op!r:.80}."
            else:
                handler(message)
        except Exception as fault:  # noqa: BLE001 - whatever it is, the browser shows it
            error = describe(fault)
        identity = {name: value for name in ("view", "seq") if isinstance(value := message.get(name), (str, int))}
        self.send({"op": "ack", "error": error.encode("utf-8", "backslashreplace").decode(), **identity})

    def _op_hello(self, _: dict[str, Any]) -> None:
        """A view opened; the answer tells it that a kernel is there."""

    def _op_stop(self, _: dict[str, Any]) -> None:
        self.stop()

    # ---- what is shown without a kernel --------------------------------------------------------------------------

    def static_html(self) -> str:
        """The view as plain HTML that survives sanitisers; no scripts."""
        raise NotImplementedError

    def static_text(self) -> str:
        """The view as plain text."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live view with its static twin, for hosts that show one bundle."""
        data, metadata = _bundle(super()._repr_mimebundle_(**kwargs))
        return {**data, **self._twin_bundle()}, metadata

    def _ipython_display_(self, **_: Any) -> None:
        display_twin_and_live(self, super()._repr_mimebundle_)

    def to_html(self, path: str | Path) -> Path:
        """Write the view as one HTML file that works without a kernel, a network and, as its static twin, scripts.

        Args:
            path: Where to write it; an existing file is replaced.

        Returns:
            The path.
        """
        saved = self._saved()
        title = f"{type(self).__name__} · {saved.state.get('prompt', '')}"[:80]
        return write_page(saved, self._marked_html(), title, path)

    def _saved(self) -> SavedView:
        """The view as it stands, for a page without a kernel."""
        self._wait()
        return SavedView(read_by_script(self.get_state()), str(self._esm), str(self._css))

    def _marked_html(self) -> str:
        return f'<div class="saew-twin {self._twin}">{self.static_html()}</div>'

    def _twin_bundle(self) -> dict[str, str]:
        return {"text/html": self._marked_html(), "text/plain": self.static_text()}


def hold(view: Any, mark: str) -> None:
    """Let an export of this kernel's notebook find the view, by its model and by the mark of its twin."""
    held[f"saew-twin {mark}"] = view
    if view.model_id is not None:
        held[view.model_id] = view


def display_twin_and_live(view: Any, bundle: Callable[[], Any]) -> None:
    """Two outputs: the static twin, and the live view, which hides it.

    One output would do, but a notebook that is opened without its kernel then shows an error in place of the twin.
    """
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    display(view._twin_bundle(), raw=True)
    if getattr(get_ipython(), "kernel", None) is None:
        return
    data, metadata = _bundle(bundle())
    if WIDGET_VIEW in data:
        live = {WIDGET_VIEW: data[WIDGET_VIEW], "text/plain": f"{type(view).__name__} (needs a running kernel)"}
        display(live, metadata=metadata, raw=True)


def write_page(saved: SavedView | SavedBox, twin: str, title: str, path: str | Path) -> Path:
    """Write a view, or several, as one HTML file.

    Raises:
        StoreError: It cannot be written.
    """
    places = Places()
    body = f"<main>{places.place(saved)}\n{twin}</main>"
    return write_bytes(page(body, places, title).encode("utf-8", "replace"), path)


def _bundle(found: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data and the metadata of what a widget says it looks like."""
    return found if isinstance(found, tuple) else (found or {}, {})


def describe(fault: BaseException) -> str:
    """An exception as text for people: our own errors as they are, others with their type in front."""
    if isinstance(fault, SaewidgetsError):
        return str(fault)
    return f"{type(fault).__name__}: {fault}"


def current_cell() -> tuple[str, str]:
    """The notebook cell that runs now, and which run of it; empty where the host does not say."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    get_parent = getattr(getattr(shell, "kernel", None), "get_parent", None)
    parent = get_parent() if get_parent is not None else {}
    cell = parent.get("metadata", {}).get("cellId") if isinstance(parent, dict) else None
    return (str(cell), str(parent.get("header", {}).get("msg_id"))) if cell else ("", "")


def _on_worker() -> bool:
    """True on the thread of any worker."""
    return threading.current_thread().name == "saewidgets-worker"
