"""What a page needs to draw with the package circuitsvis, once: its script and how this package uses it.

The script is read from where the package is installed, which is never imported: it would load torch.
"""

from __future__ import annotations

import base64
import importlib.util
import zlib
from functools import lru_cache
from pathlib import Path

from saewidgets.export.page import STATIC


def find_script() -> Path | None:
    """The script in the installed package; None where there is none."""
    try:
        found = importlib.util.find_spec("circuitsvis")
    except (ImportError, ValueError):
        return None
    folders = [] if found is None or found.submodule_search_locations is None else found.submodule_search_locations
    return next((path for folder in folders if (path := Path(folder) / "dist" / "cdn" / "iife.js").is_file()), None)


def script_message() -> dict[str, str]:
    """What is sent to a page that asks.

    Returns:
        ``library``, the script, compressed (deflate) and as base64, 0.4 MB, "" where the package is not installed; and
        ``drawing``, the module that draws with it.
    """
    path = find_script()
    if path is None:
        return {"library": "", "drawing": ""}
    drawing = (STATIC / "circuitsvis_picture.js").read_text(encoding="utf-8")
    return {"library": _packed(path, path.stat().st_mtime_ns), "drawing": drawing}


@lru_cache(maxsize=1)
def _packed(path: Path, changed: int) -> str:
    del changed
    return base64.b64encode(zlib.compress(path.read_bytes(), 6)).decode()
