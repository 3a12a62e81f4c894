"""Finds a Chromium or Chrome, and how to start it for a test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
)


def find_chromium() -> str | None:
    """Path of a browser: SAEWIDGETS_CHROMIUM, one on PATH, on macOS an application, or Playwright's own."""
    asked = os.environ.get("SAEWIDGETS_CHROMIUM")
    if asked:
        return shutil.which(asked)
    on_path = (shutil.which(name) for name in NAMES)
    applications = (
        Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"),
        Path("/Applications/Chromium.app/Contents/MacOS/Chromium"),
    )
    installed = (str(path) for path in applications if path.exists())
    return next((path for path in (*on_path, *installed) if path), None) or _playwright_chromium()


def _playwright_chromium() -> str | None:
    """The newest browser that ``playwright install chromium`` has put on this machine."""
    default = Path.home() / ".cache" / "ms-playwright"
    root = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH", default))
    found = sorted(root.glob("chromium-*/chrome-linux*/chrome")) + sorted(
        root.glob("chromium-*/chrome-mac*/*.app/Contents/MacOS/*")
    )
    return str(found[-1]) if found else None
