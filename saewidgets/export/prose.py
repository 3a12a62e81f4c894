"""Markdown and code of a notebook as HTML; formulas stay as they are written."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from functools import lru_cache
from html import escape, unescape
from pathlib import Path
from typing import Any

from saewidgets.export.cleaning import cleaned_html, is_image

LONGEST = 500_000
"""Characters of a cell; a longer one is shown as it is."""
LARGEST_IMAGE = 20_000_000
"""Bytes of an image that lies beside the notebook."""

SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif", ".webp": "webp", ".svg": "svg+xml"}
_TASK = re.compile(r'<input class="task-list-item-checkbox"[^>]*?(checked)?\s*/?>')
_TAG = re.compile(r"<[^>]*>")


def markdown_html(source: str, attachments: Mapping[str, Any], folder: Path | None) -> str:
    """A markdown cell as HTML; images of its attachments and of files beside the notebook become part of it.

    Args:
        source: The text.
        attachments: The cell's attachments by name.
        folder: Where the notebook is; None where that is not known.

    Example:
        >>> markdown_html("*Hi* $a_1$", {}, None)
        '<p><em>Hi</em> $a_1$</p>'
    """
    if len(source) > LONGEST:
        return f"<pre>{escape(source)}</pre>"
    from nbconvert.filters.markdown_mistune import MarkdownWithMath

    try:
        renderer = _renderer()(attachments, folder)
        made = MarkdownWithMath(renderer=renderer).render(source)
    except Exception:  # noqa: BLE001 - nested too deeply, or what a parser could not foresee
        return f"<pre>{escape(source)}</pre>"
    clean = cleaned_html(_TASK.sub(lambda box: "☑ " if box[1] else "☐ ", made)).strip()
    for place, image in renderer.images.items():
        clean = clean.replace(place, image)
    return clean


@lru_cache(maxsize=1)
def _renderer() -> Any:
    from nbconvert.filters.markdown_mistune import IPythonRenderer

    class Renderer(IPythonRenderer):
        """Images in place, headings with the ids that Jupyter gives them."""

        def __init__(self, attachments: Mapping[str, Any], folder: Path | None) -> None:
            super().__init__(escape=False, exclude_anchor_links=True)
            self.held = attachments
            self.folder = folder
            self.images: dict[str, str] = {}  # a word that nobody can guess -> the image that takes its place

        def heading(self, text: str, level: int, **attrs: Any) -> str:
            del attrs
            name = re.sub(r"\s+", "-", _TAG.sub("", text).strip())
            return f'<h{level} id="{escape(name)}">{text}</h{level}>\n'

        def image(self, text: str, url: str, title: str | None = None) -> str:
            name = escape(unescape(_TAG.sub("", text)))
            found = _attached(self.held, url) if url.startswith("attachment:") else _beside(self.folder, url)
            if found is None and is_image(url):
                found = url
            if found is None:
                return f'[image: {name or "no name"}] <a href="{escape(url)}">{escape(url[:200])}</a>'
            more = f' title="{escape(title)}"' if title else ""
            place = f"image-{secrets.token_hex(16)}"
            self.images[place] = f'<img src="{found}" alt="{name}"{more}>'
            return place

    return Renderer


def _attached(attachments: Mapping[str, Any], url: str) -> str | None:
    bundle = attachments.get(url.removeprefix("attachment:"))
    for kind, data in bundle.items() if isinstance(bundle, Mapping) else ():
        address = f"data:{kind};base64,{''.join(data) if isinstance(data, list) else data}"
        if is_image(address):
            return address
    return None


def _beside(folder: Path | None, url: str) -> str | None:
    """An image that lies in the notebook's folder or below it, nowhere else."""
    kind = SUFFIXES.get(Path(url).suffix.lower())
    if folder is None or kind is None:
        return None
    try:
        root = folder.resolve()
        path = (root / url).resolve()
        if not path.is_relative_to(root) or path.stat().st_size > LARGEST_IMAGE:
            return None
        data = base64.b64encode(path.read_bytes()).decode()
    except (OSError, ValueError, RuntimeError):
        return None
    return f"data:image/{kind};base64,{data}"


def code_html(source: str, language: str) -> str:
    """Code with the colours of its words, as the inside of a ``pre``; every character is escaped.

    Example:
        >>> code_html("1 < 2", "no such language")
        '1 &lt; 2'
    """
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.util import ClassNotFound

    if len(source) > LONGEST:
        return escape(source, quote=False)
    try:
        return highlight(source, _lexer(language), HtmlFormatter(nowrap=True)).rstrip("\n")
    except ClassNotFound:
        return escape(source, quote=False)


@lru_cache(maxsize=8)
def _lexer(language: str) -> Any:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name("ipython3" if language in {"python", "ipython"} else language, stripnl=False)
    except ClassNotFound:
        return get_lexer_by_name("python" if language in {"python", "ipython", "ipython3"} else language, stripnl=False)
