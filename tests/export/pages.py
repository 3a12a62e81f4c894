"""Notebooks to export, and a look into what was written."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

import nbformat

from saewidgets.export.views import STATE
from saewidgets.widgets.base import WIDGET_VIEW

new = nbformat.v4


def saved(text: str) -> list[dict[str, Any]]:
    """The views in a page, with their bytes as bytes."""
    views = json.loads(text.split('id="saew-state">')[1].split("</script>", maxsplit=1)[0])["views"]
    for view in views:
        for name in view["binary"]:
            view["state"][name] = zlib.decompress(base64.b64decode(view["state"][name]))
    return views


def scripts(text: str) -> list[str]:
    """The scripts of a page that run."""
    return re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)


def body(text: str) -> str:
    """What people read of a page: no style, no scripts."""
    return re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)


def outputs_of(view: Any) -> list[Any]:
    """The two outputs of a view in a notebook: the twin, and the live view."""
    live: dict[str, Any] = {WIDGET_VIEW: {"model_id": view.model_id, "version_major": 2, "version_minor": 1}}
    live["text/plain"] = f"{type(view).__name__} (needs a running kernel)"
    return [new.new_output("display_data", view._twin_bundle()), new.new_output("display_data", live)]


def model_of(view: Any) -> dict[str, Any]:
    """A widget in a notebook's saved state, as nbclient and JupyterLab write it."""
    state = {**view.get_state(), "layout": "IPY_MODEL_layout"}
    state = {name: value for name, value in state.items() if name not in {"tabbable", "tooltip"}}
    if "children" in state:
        state["children"] = [f"IPY_MODEL_{child.model_id}" for child in view.children]
    binary = [name for name, value in state.items() if isinstance(value, (bytes, memoryview))]
    buffers = [
        {"path": [name], "data": base64.b64encode(bytes(state.pop(name))).decode(), "encoding": "base64"}
        for name in binary
    ]
    names = {f"model_{part}": state[f"_model_{part}"] for part in ("name", "module", "module_version")}
    return {**names, "state": json.loads(json.dumps(state)), "buffers": buffers}


def notebook(*cells: Any, views: Any = ()) -> nbformat.NotebookNode:
    """A notebook of cells (strings are markdown) that holds the state of views."""
    made = [new.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    found = new.new_notebook(cells=made)
    found.metadata["language_info"] = {"name": "python"}
    if views:
        found.metadata["widgets"] = {STATE: {"state": {view.model_id: model_of(view) for view in views}}}
    return found


def code(source: str, *outputs: Any, count: int | None = 1) -> Any:
    """A code cell; a dict is a bundle of display data."""
    made = [new.new_output("display_data", one) if isinstance(one, dict) and "output_type" not in one else one
            for one in outputs]  # fmt: skip
    return new.new_code_cell(source, outputs=made, execution_count=count)


def html(source: str) -> Any:
    """A code cell whose output is HTML."""
    return code("x", {"text/html": source, "text/plain": "plain"})
