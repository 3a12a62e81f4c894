"""Views in one HTML file that works from disk, fetches nothing, and shows their twins where scripts are off.

The policy in its head lists the scripts that may run, by their hash: the host and one script for each kind of view. No
other script runs, whatever the rest of the page holds, and nothing is fetched.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

STATIC = Path(__file__).parent.parent / "static"

# What a notebook's theme would set; a page of its own follows the reader's system.
THEME = """body{margin:24px auto;max-width:1000px;padding:0 16px;background:#fff;color:#1b1b1f;font:14px/1.5 system-ui}
mark{color:inherit}
.views-row{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr))}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee;--jp-layout-color1:#111;--jp-layout-color2:#212121;
--jp-border-color2:#424242;--jp-content-font-color1:#eee;--jp-content-font-color2:#b8b8be;--jp-brand-color1:#42a5f5;
--jp-error-color1:#ef5350}}"""

# The end of a bundled script, or of one written by hand: what it exports.
_BUNDLED = re.compile(r"export\s*\{\s*([\w$]+)\s+as\s+default\s*\};?\s*\Z")
_BY_HAND = re.compile(r"\bexport\s+default\s+")


@dataclass(frozen=True)
class SavedView:
    """A view as it stands.

    Args:
        state: What the script reads from its model; bytes are allowed.
        script: The view's script, an ES module.
        style: The view's style.
    """

    state: Mapping[str, Any]
    script: str
    style: str


@dataclass(frozen=True)
class SavedBox:
    """Views beside or below each other."""

    kind: Literal["row", "column"]
    children: tuple[SavedView | SavedBox, ...]


class Places:
    """The places of a page at which views are drawn; each script and style is kept once."""

    def __init__(self) -> None:
        self.views: list[dict[str, Any]] = []
        self._placed: list[SavedView] = []
        self.scripts: dict[str, int] = {}
        self.styles: dict[str, None] = {}

    def place(self, saved: SavedView | SavedBox) -> str:
        """HTML of the place of a view."""
        if isinstance(saved, SavedBox):
            return f'<div class="views-{saved.kind}">{"".join(map(self.place, saved.children))}</div>'
        known = next((place for place, one in enumerate(self._placed) if one is saved), None)
        if known is not None:  # a view that is shown twice is kept once
            return f'<div data-saew="{known}"></div>'
        binary = [name for name, value in saved.state.items() if isinstance(value, (bytes, bytearray, memoryview))]
        plain = {name: _packed(value) if name in binary else value for name, value in saved.state.items()}
        script = self.scripts.setdefault(saved.script, len(self.scripts))
        self.styles[saved.style] = None
        self._placed.append(saved)
        self.views.append({"script": script, "binary": binary, "state": plain})
        return f'<div data-saew="{len(self.views) - 1}"></div>'


def page(body: str, places: Places, title: str, style: str = "") -> str:
    """The page.

    Args:
        body: HTML that holds the places; whatever a stranger wrote must have been cleaned.
        places: The views that are drawn there.
        title: Text for the head of the page.
        style: Style of the body.

    Example:
        >>> "<title>a &lt; b</title>" in page("<p>twin</p>", Places(), "a < b")
        True
    """
    scripts = [_inline(script, place) for script, place in places.scripts.items()]
    if scripts:
        scripts.append(_cannot_end((STATIC / "page.js").read_text(encoding="utf-8")))
    saved = json.dumps({"views": places.views}, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    modules = "\n".join(f'<script type="module">{script}</script>' for script in scripts)
    styles = "\n".join([THEME, style, *places.styles]).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">
<meta http-equiv="x-dns-prefetch-control" content="off">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<style>{styles}</style>
<script type="application/json" id="saew-state">{saved}</script>
</head>
<body>
{body}
{modules}
</body>
</html>
"""


def _packed(value: bytes | bytearray | memoryview) -> str:
    """Bytes as the host reads them: compressed, then base64."""
    return base64.b64encode(zlib.compress(bytes(value), 9)).decode()


def _inline(script: str, place: int) -> str:
    """A module that hands over what it exports; modules inside a page cannot be imported."""
    into = f"(globalThis.saewidgetsViews??=[])[{place}]="
    bundled = _BUNDLED.search(script)
    if bundled:
        return _cannot_end(f"{script[: bundled.start()]}{into}{bundled[1]};")
    if len(_BY_HAND.findall(script)) != 1:
        raise ValueError("the script of a view ends with one default export")
    return _cannot_end(_BY_HAND.sub(into, script))


def _cannot_end(script: str) -> str:
    """The script without what would end its element; in strings, where alone it can stand, it means the same."""
    return re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE).replace("<!--", "<\\!--")


def _policy(scripts: list[str]) -> str:
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src {allowed}; "
        "base-uri 'none'; form-action 'none'"
    )
