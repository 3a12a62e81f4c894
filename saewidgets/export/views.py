"""Our views in a notebook: of this kernel, or of the widget state that the notebook holds.

Of a notebook's state only the values are taken; the script that draws them is always the one of this package.
"""

from __future__ import annotations

import base64
import json
import re
import struct
import weakref
from collections.abc import Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, Protocol

from saewidgets.export.charts import Charts
from saewidgets.export.page import STATIC, Places, SavedBox, SavedView

STATE = "application/vnd.jupyter.widget-state+json"
RECORDED = "_recorded"
"""What a view that is saved has recorded of its model, for a page without a kernel; no trait (page.js reads it)."""
BOXES = {"GridBoxModel": "row", "HBoxModel": "row", "VBoxModel": "column"}
DEEPEST = 8
MOST = 2000
"""Views of one notebook."""

_OURS = re.compile(r"saewidgets\.widgets\.([a-z_]{1,40})\.[A-Za-z]{1,40}")
_UNREAD = re.compile(r"_esm|_css|layout|tabbable|tooltip|_dom_classes|_anywidget_id|_(model|view)_.*")
_TWIN = re.compile(r'\s*<div class="(saew-twin saew-twin-[0-9a-f]{12})">')


class Held(Protocol):
    """A view of this kernel, or a container of such."""

    def _saved(self) -> SavedView | SavedBox:
        """It as it stands."""
        ...

    def _marked_html(self) -> str:
        """Its static twin, with the mark that the live view looks for."""
        ...


held: weakref.WeakValueDictionary[str, Held] = weakref.WeakValueDictionary()
"""Views of this kernel, by the id of their model and by the mark of their twin."""


recording: ContextVar[bool] = ContextVar("recording", default=True)
"""Whether views that are saved ask their model for what a reader without a kernel could ask."""


def read_by_script(state: Mapping[str, Any]) -> dict[str, Any]:
    """Of the state of a view, what its script reads."""
    return {name: value for name, value in state.items() if not _UNREAD.fullmatch(name)}


class Views:
    """Finds the views that a notebook's outputs name, and gives each its place in the page."""

    def __init__(self, notebook: Mapping[str, Any], places: Places) -> None:
        self.places = places
        self.state = _state_of(notebook)
        self.charts = Charts()
        self.n_live = 0
        self.n_static = 0
        self._found: dict[str, SavedView | SavedBox | None] = {}
        self._left = MOST

    def place(self, model_id: object) -> str:
        """HTML of the place of a view; "" where nothing is known of it."""
        saved = self._find(model_id) if isinstance(model_id, str) else None
        if saved is None:
            return ""
        self.n_live += 1
        return self.places.place(saved)

    def is_ours(self, model_id: object) -> bool:
        """Whether the notebook's state says that it is one of our views, of whatever version."""
        model = self.state.get(model_id) if isinstance(model_id, str) else None
        state = model.get("state") if isinstance(model, Mapping) else None
        return isinstance(state, Mapping) and bool(_OURS.fullmatch(str(state.get("_anywidget_id"))))

    def fresh_twin(self, source: str) -> str | None:
        """The twin of a view of this kernel as it stands now, where a text begins as its former twin."""
        found = _TWIN.match(source)
        view = held.get(found[1]) if found else None
        return None if view is None else view._marked_html()

    def _find(self, model_id: str, depth: int = 0) -> SavedView | SavedBox | None:
        self._left -= 1
        if self._left < 0:
            return None
        if model_id not in self._found:
            view = held.get(model_id)
            self._found[model_id] = self._in_state(model_id, depth) if view is None else view._saved()
        return self._found[model_id]

    def _in_state(self, model_id: str, depth: int) -> SavedView | SavedBox | None:
        model = self.state.get(model_id)
        state = model.get("state") if isinstance(model, Mapping) else None
        if not isinstance(model, Mapping) or not isinstance(state, Mapping):
            return None
        if model.get("model_module") == "@jupyter-widgets/controls" and depth < DEEPEST:
            return self._box(model, state, depth)
        return _view(model, state)

    def _box(self, model: Mapping[str, Any], state: Mapping[str, Any], depth: int) -> SavedBox | None:
        """A container all of whose children are our views; another one cannot be drawn here."""
        kind, names = BOXES.get(str(model.get("model_name"))), state.get("children")
        if kind is None or not isinstance(names, list) or not 0 < len(names) <= 32:
            return None
        children = [self._find(str(name).removeprefix("IPY_MODEL_"), depth + 1) for name in names]
        known = tuple(child for child in children if child is not None)
        return SavedBox("row" if kind == "row" else "column", known) if len(known) == len(names) else None


def _state_of(notebook: Mapping[str, Any]) -> Mapping[str, Any]:
    """Models by id; none where the notebook's state is missing or broken."""
    found: Any = notebook
    for key in ("metadata", "widgets", STATE, "state"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _view(model: Mapping[str, Any], state: Mapping[str, Any]) -> SavedView | None:
    """One of our views, saved by this version of its script; None for all else."""
    ours = _OURS.fullmatch(str(state.get("_anywidget_id")))
    files = _files(ours[1]) if ours and model.get("model_module") == "anywidget" else None
    if files is None or state.get("_esm", files[0]) != files[0]:
        return None
    values = read_by_script(state)
    try:
        for buffer in model.get("buffers", []):
            (name,) = buffer["path"]
            if buffer.get("encoding", "base64") != "base64":
                return None
            values[name] = base64.b64decode(buffer["data"], validate=True)
        plain = {name: value for name, value in values.items() if not isinstance(value, bytes)}
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return None
    values.pop(RECORDED, None)  # only a kernel records
    return SavedView(values, *files) if _has_its_data(values, files[0]) else None


def _has_its_data(values: Mapping[str, Any], script: str) -> bool:
    """Whether the results that a view says it has are there and begin as ours do; else its twin shows more."""
    status = values.get("status")
    done = not isinstance(status, Mapping) or status.get("state") == "done"
    if done and '"_data"' in script and not values.get("_data"):
        return False
    return all(_begins_well(value) for value in values.values() if isinstance(value, bytes) and value)


def _begins_well(data: bytes) -> bool:
    """Whether bytes are one of our buffers: u32 magic, version, bytes of the header, n; the header; columns of n."""
    try:
        magic, version, length, n = struct.unpack_from("<4s3I", data)
        header = json.loads(data[16 : 16 + length])
    except (struct.error, ValueError, RecursionError):
        return False
    return magic[:3] == b"SAE" and version == 1 and isinstance(header, dict) and 16 + length + 2 * n <= len(data)


@lru_cache(maxsize=32)
def _files(stem: str) -> tuple[str, str] | None:
    """Script and style of a kind of view; None where there is no such kind."""
    script, style = STATIC / f"{stem}.js", STATIC / f"{stem}.css"
    if not script.is_file() or not style.is_file():
        return None
    return script.read_text(encoding="utf-8"), style.read_text(encoding="utf-8")
