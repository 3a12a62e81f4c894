"""Outputs of a notebook's cells as HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from saewidgets.export.charts import chart_in_html, charts_in, title_of, told_html
from saewidgets.export.cleaning import cleaned_html, is_image
from saewidgets.export.prose import markdown_html
from saewidgets.export.views import Views

WIDGET = "application/vnd.jupyter.widget-view+json"
IMAGES = ("image/svg+xml", "image/png", "image/jpeg", "image/gif", "image/webp")
LONGEST = 1_000_000
"""Characters of one text output; what is longer is cut, and said to be."""

_COLOURS = re.compile(r"\x1b(\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)?|[@-Z\\^_])")
_SPACE = re.compile(r"(<[^>]*>|\s)*+")


def outputs_html(outputs: Sequence[Any], views: Views) -> str:
    """The outputs of one cell; our views live where their state is known, else as their static twins."""
    parts: list[str] = []
    after_twin = False
    for output in outputs:
        if not isinstance(output, Mapping):
            continue
        made = _output(output, views, after_twin)
        after_twin = "saew-twin" in made
        if made:
            parts.append(f'<div class="output">{made}</div>')
    return "".join(parts)


def _output(output: Mapping[str, Any], views: Views, after_twin: bool) -> str:
    kind = output.get("output_type")
    if kind == "stream":
        name = "stderr" if output.get("name") == "stderr" else "stdout"
        return _pre(text_of(output.get("text")), name)
    if kind == "error":
        lines = output.get("traceback")
        shown = "\n".join(map(text_of, lines)) if isinstance(lines, list) else ""
        return _pre(shown or f"{text_of(output.get('ename'))}: {text_of(output.get('evalue'))}", "stderr")
    data = output.get("data")
    if not isinstance(data, Mapping):
        return ""
    if WIDGET in data:
        return _widget(data, views, after_twin)
    return next((shown for shown in _forms(data, views) if shown), "")


def _widget(data: Mapping[str, Any], views: Views, after_twin: bool) -> str:
    """A live view: ours where its state is known; nothing where its twin stands before it; else another form of it."""
    bundle = data[WIDGET]
    model_id = bundle.get("model_id") if isinstance(bundle, Mapping) else None
    place = views.place(model_id)
    if place:
        rest = next((shown for shown in _forms(data, views, texts=False) if shown), "")
        return rest + place
    other = "" if after_twin else next((shown for shown in _forms(data, views) if shown), "")
    views.n_static += after_twin or "saew-twin" in other or views.is_ours(model_id)
    if after_twin:
        return ""
    return f'{other}<p class="note">A live view stood here. It needs a running kernel.</p>'


def _forms(data: Mapping[str, Any], views: Views, texts: bool = True) -> Iterator[str]:
    """The forms in which an output can be shown, the richest first; "" for one that shows nothing."""
    source = text_of(data.get("text/html"))
    embedded = chart_in_html(source)
    if source and embedded is None:
        yield _rich(source, views)
    for kind in IMAGES:
        if kind in data:
            yield _image(kind, text_of(data[kind]), text_of(data.get("text/plain")))
    if not texts:
        return
    for kind, spec in [*charts_in(data), *([embedded] if embedded else [])]:
        yield _chart(kind, spec, text_of(data.get("text/plain")), views)
    if "text/markdown" in data:
        yield markdown_html(text_of(data["text/markdown"]), {}, None)
    for kind in ("text/latex", "text/plain"):
        if kind in data:
            yield _pre(text_of(data[kind]), "stdout")


def _rich(source: str, views: Views) -> str:
    """A stranger's HTML, cleaned; the twin of a view of this kernel as it stands now."""
    fresh = views.fresh_twin(source)
    if fresh is not None:
        return fresh
    clean = cleaned_html(source)
    shows_nothing = _SPACE.fullmatch(clean) and "<img" not in clean
    return "" if shows_nothing else f'<div class="rich">{clean}</div>'


def _image(kind: str, data: str, text: str) -> str:
    """An image as part of the page; an SVG too, for scripts and addresses inside an image do nothing."""
    if kind == "image/svg+xml":
        import base64

        data = base64.b64encode(data.encode("utf-8", "replace")).decode()
    address = f"data:{kind};base64,{data}"
    return f'<img src="{escape(address)}" alt="{escape(text[:200])}">' if is_image(address) else ""


def _chart(kind: str, spec: Any, text: str, views: Views) -> str:
    """A chart as an image that is part of the page; in words where it has no drawing."""
    drawing, why = views.charts.drawn(kind, spec)
    if not drawing:
        return told_html(spec, why, text)
    told = ". ".join(part for part in title_of(spec) if part)
    return _image("image/svg+xml", drawing, told or text or "a chart")


def _pre(text: str, name: str) -> str:
    shown = _as_printed(text)
    if not shown.strip():
        return ""
    cut = f"\n… cut: {len(shown):,} characters" if len(shown) > LONGEST else ""
    return f'<pre class="{name}" tabindex="0">{escape(shown[:LONGEST], quote=False)}{cut}</pre>'


def _as_printed(text: str) -> str:
    """Text as a terminal leaves it: without colours, and of each line what was written over the rest."""
    plain = _COLOURS.sub("", text).replace("\r\n", "\n")
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n")) if "\r" in plain else None
    return plain if lines is None else "\n".join(lines)


def text_of(value: object) -> str:
    """Text of a notebook: a string, or its lines in a list; nothing else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return ""
