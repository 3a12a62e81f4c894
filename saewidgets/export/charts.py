"""Charts of a notebook (Vega-Lite, Vega) as drawings, or as their titles where none can be made.

A specification is anybody's, and its language can compute without end. So it is drawn by a process of its own, which
has a few seconds and fetches nothing; of the drawing only shapes and text are kept.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from html import escape
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

SECONDS = 20.0
"""For one chart."""
SECONDS_OF_ALL = 120.0
"""For the charts of one notebook."""
MEMORY = 2**30
"""Bytes for one chart, where the system can limit them."""
LARGEST = 3_000_000
"""Characters of a specification, and of a drawing."""
DEEPEST = 100
TOLD = 2000
MOST_TRIED = 8

_KIND = re.compile(r"application/vnd\.(vega|vegalite)\.v(\d{1,2})[+.]json")
_EMBEDDED = re.compile(r"(?:\}\)\(|\bspec = )(?=\{)")
_MODE = re.compile(r'\s*(?:,|;\s*\w+ embedOpt =)\s*\{[^{}]{0,2000}"mode": "(vega|vega-lite)"')
_XML = "{http://www.w3.org/2000/svg}"
_REFERENCE = re.compile(r"#[\w.-]*|data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*")
_OUTSIDE = re.compile(r"url\((?!['\"]?#[\w.-]+['\"]?\))", re.IGNORECASE)
_SHAPES = frozenset({
    "svg", "g", "path", "rect", "line", "circle", "ellipse", "polygon", "polyline", "text", "tspan", "title", "desc",
    "defs", "clipPath", "linearGradient", "radialGradient", "stop", "image", "use",
})  # fmt: skip
_INLINE = frozenset({"values", "datasets"})
_SAYS_NOTHING = re.compile(r"\s*(alt\.\w*Chart\(|<Vega)")
INSTALL = 'pip install "saewidgets[figures]"'
# For a Python that knows nothing of this folder and of its environment: argv is where vl-convert is, and two limits.
_DRAW = """import sys, json
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]),) * 2)
except (ImportError, ValueError, OSError):
    pass
sys.path.insert(0, sys.argv[1])
import vl_convert
kind, spec = json.load(sys.stdin)
draw = vl_convert.vega_to_svg if kind == "vega" else vl_convert.vegalite_to_svg
drawing = draw(spec, allowed_base_urls=[])
if len(drawing) > int(sys.argv[2]):
    sys.exit(f"the drawing has {len(drawing):,} characters")
sys.stdout.buffer.write(drawing.encode("utf-8", "replace"))
"""


class _NotDrawn(Exception):  # noqa: N818 - a chart that stays words, no fault of ours
    """Why a chart has no drawing."""


class Charts:
    """The charts of one notebook, which share their time."""

    def __init__(self) -> None:
        self._left = SECONDS_OF_ALL
        self._known: dict[str, tuple[str, str]] = {}

    def drawn(self, kind: str, spec: Any) -> tuple[str, str]:
        """A chart as SVG, or "" and why there is none.

        Args:
            kind: "vega" or "vegalite".
            spec: The specification, as JSON has it.
        """
        try:
            text = _checked(kind, spec)
            if text not in self._known:
                started = time.monotonic()
                self._known[text] = _tried(text, min(SECONDS, self._left))
                self._left -= time.monotonic() - started
        except _NotDrawn as why:
            return "", str(why)
        return self._known[text]


def charts_in(data: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The charts of an output: kind and specification."""
    for name, spec in data.items():
        found = _KIND.fullmatch(name)
        if found:
            yield found[1], spec


def chart_in_html(source: str) -> tuple[str, Any] | None:
    """The chart in HTML as Altair writes it, kind and specification; its script is read, nothing of it runs.

    Example:
        >>> chart_in_html('<script>(function(spec, embedOpt){vegaEmbed()})({"mark": "bar"}, {"mode": "vega-lite"});')
        ('vegalite', {'mark': 'bar'})
    """
    if "vegaEmbed" not in source or len(source) > 2 * LARGEST:
        return None
    for start in islice(_EMBEDDED.finditer(source), MOST_TRIED):
        try:
            spec, end = json.JSONDecoder().raw_decode(source, start.end())
        except (ValueError, RecursionError):
            continue
        mode = _MODE.match(source, end)
        if mode and isinstance(spec, dict):
            return mode[1].replace("-", ""), spec
    return None


def title_of(spec: Any) -> tuple[str, str]:
    """Title and description, "" where there is none.

    Example:
        >>> title_of({"title": {"text": ["One", "two"]}, "description": "Three"})
        ('One two', 'Three')
    """
    if not isinstance(spec, Mapping):
        return "", ""
    title = spec.get("title")
    title = title.get("text") if isinstance(title, Mapping) else title
    words = title if isinstance(title, list) else [title]
    said = spec.get("description")
    lines = " ".join(word for word in words if isinstance(word, str))
    return lines[:TOLD], said[:TOLD] if isinstance(said, str) else ""


def told_html(spec: Any, why: str, text: str) -> str:
    """A chart that is not drawn: its title, its description, what was printed for it, and how to get the picture."""
    title, said = title_of(spec)
    lines = [f"<b>Chart: {escape(title)}</b>" if title else "<b>Chart</b>"]
    lines += [escape(said)] if said else []
    text = "" if _SAYS_NOTHING.match(text) else text
    printed = f'<pre class="stdout" tabindex="0">{escape(text, quote=False)}</pre>' if text.strip() else ""
    return f'<p>{"<br>".join(lines)}</p>{printed}<p class="note">{escape(why)}</p>'


# ---- drawing ---------------------------------------------------------------------------------------------------------


def _checked(kind: str, spec: Any) -> str:
    """What the other process reads, of a specification that may be drawn."""
    try:
        text = json.dumps([kind, spec], allow_nan=False) if isinstance(spec, Mapping) else ""
    except (ValueError, TypeError, RecursionError):
        text = ""
    if not text:
        raise _NotDrawn("Not drawn: this is no chart.")
    if len(text) > LARGEST:
        raise _NotDrawn(f"Not drawn: it has {len(text):,} characters, {LARGEST:,} is the limit here.")
    if _fetches(spec):
        raise _NotDrawn("Not drawn: its data are at an address, and nothing is fetched. Give the data with the chart.")
    return text


def _fetches(part: Any, depth: int = 0) -> bool:
    """Whether a part of a specification names data by an address; one that is nested too deeply counts as such."""
    if depth > DEEPEST:
        return True
    if isinstance(part, Mapping):
        address = part.get("url")
        if isinstance(address, str) or (isinstance(address, Mapping) and "signal" in address):
            return True
        return any(_fetches(one, depth + 1) for name, one in part.items() if name not in _INLINE)
    return isinstance(part, list) and any(_fetches(one, depth + 1) for one in part)


def _tried(text: str, seconds: float) -> tuple[str, str]:
    try:
        return clean_drawing(_asked(text, seconds)), ""
    except (_NotDrawn, ElementTree.ParseError, ValueError) as why:
        return "", f"Not drawn: {why}"[:TOLD]


def _asked(text: str, seconds: float) -> str:
    """The drawing that another process makes."""
    found = find_spec("vl_convert")
    if found is None or not found.origin:
        raise _NotDrawn(f"vl-convert is not installed. {INSTALL}, then export again.")
    if seconds <= 0:
        raise _NotDrawn(f"the charts of this notebook took more than {SECONDS_OF_ALL:.0f} s.")
    command = [sys.executable, "-I", "-c", _DRAW, str(Path(found.origin).parent.parent), str(LARGEST), str(MEMORY)]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=seconds, check=False)  # noqa: S603 - our own command; the chart is its input
    except subprocess.TimeoutExpired:
        raise _NotDrawn(f"it takes more than {seconds:.0f} s.") from None
    except OSError as error:
        raise _NotDrawn(str(error)) from error
    if done.returncode:
        raise _NotDrawn(_said(done.returncode, done.stderr.decode("utf-8", "replace")))
    return done.stdout.decode("utf-8", "replace")


def _said(code: int, text: str) -> str:
    """Why the process ended: the last line of an error that is no part of its trace."""
    lines = [line for line in text.splitlines() if not line.startswith((" ", "Traceback")) and line.strip()]
    lines = [line for line in lines if not line.endswith("failed:")]
    return lines[-1][:300] if code == 1 and lines else "it takes too much memory, or vl-convert has failed."


def clean_drawing(source: str) -> str:
    """An SVG of which only shapes, text and images within it are left: no script, nothing foreign, no address.

    Raises:
        ValueError: No drawing.
        ParseError: No XML.

    Example:
        >>> clean_drawing('<svg xmlns="http://www.w3.org/2000/svg" onload="x()"><script>x()</script><g/></svg>')
        '<svg xmlns="http://www.w3.org/2000/svg"><g /></svg>'
    """
    if "<!" in source:
        raise ValueError("this is no drawing")
    root = ElementTree.fromstring(source)  # noqa: S314 - no document type, so that nothing expands
    if root.tag != f"{_XML}svg":
        raise ValueError("this is no drawing")
    _clean(root)
    root.set("xmlns", _XML[1:-1])
    return ElementTree.tostring(root, encoding="unicode")


def _clean(node: ElementTree.Element) -> None:
    """Take out what is not allowed; names of elements lose their namespace, which the root says."""
    node.tag = node.tag.removeprefix(_XML)
    for name, value in list(node.attrib.items()):
        local = name.rpartition("}")[2].lower()
        refers = local in {"href", "src"} and not _REFERENCE.fullmatch(value)
        if local.startswith("on") or refers or _OUTSIDE.search(value):
            del node.attrib[name]
    for child in list(node):
        if child.tag == f"{_XML}a":  # what a link is around stays
            child.tag, child.attrib = f"{_XML}g", {}
        if isinstance(child.tag, str) and child.tag.removeprefix(_XML) in _SHAPES:
            _clean(child)
        else:
            node.remove(child)
