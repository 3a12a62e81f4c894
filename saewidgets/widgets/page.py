"""A view as one HTML file that works from disk, fetches nothing, and shows its twin where scripts are off."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from pathlib import Path
from typing import Any

HOST = Path(__file__).parent.parent / "static" / "page.js"

# What a notebook's theme would set; a page of its own follows the reader's system.
THEME = """body{margin:24px auto;max-width:1000px;padding:0 16px;background:#fff;color:#1b1b1f;font:14px/1.5 system-ui}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee;--jp-layout-color1:#111;--jp-layout-color2:#212121;
--jp-border-color2:#424242;--jp-content-font-color1:#eee;--jp-content-font-color2:#b8b8be;--jp-brand-color1:#42a5f5;
--jp-error-color1:#ef5350}}"""


def page(state: dict[str, Any], script: str, style: str, twin: str, title: str) -> str:
    """The page.

    Args:
        state: What the script reads from its model; bytes are allowed.
        script: The view's script, an ES module.
        style: The view's style.
        twin: The static twin, HTML.
        title: Text for the head of the page.

    Example:
        >>> "<title>a &lt; b</title>" in page({}, "export default {}", "", "<p>twin</p>", "a < b")
        True
    """
    binary = [name for name, value in state.items() if isinstance(value, (bytes, memoryview))]
    plain = {name: base64.b64encode(value).decode() if name in binary else value for name, value in state.items()}
    saved = json.dumps({"state": plain, "binary": binary, "script": script}, separators=(",", ":"))
    host = HOST.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(host.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}' blob:; "
        "base-uri 'none'; form-action 'none'"
    )
    # "<" is the only character that could end a script element; \u003c is the same to JSON.
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>{html.escape(title)}</title>
<style>{THEME}
{style}</style>
</head>
<body>
<main id="saew-live"></main>
{twin}
<script type="application/json" id="saew-state">{saved.replace("<", chr(92) + "u003c")}</script>
<script type="module">{host}</script>
</body>
</html>
"""
