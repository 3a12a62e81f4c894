"""Puts a Chromium on the machine when the tests find none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tests.browser.chromium import find_chromium


def _attempt(command: list[str], seconds: int, **extra: str) -> bool:
    print(f"$ {' '.join(command)}", flush=True)
    try:
        return subprocess.run(command, env=os.environ | extra, timeout=seconds, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error)
        return False


def _debian_package() -> bool:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return False
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _attempt(["apt-get", "update", "-qq"], 300, **quiet)
    return _attempt(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "chromium"], 600, **quiet)


def _playwright_download() -> bool:
    return _attempt([sys.executable, "-m", "playwright", "install", "chromium"], 600)


def ensure_chromium() -> str | None:
    """A Chromium or Chrome that starts, or None: what is there, else Debian's package, else Playwright's."""
    for install in (lambda: True, _debian_package, _playwright_download):
        if install() and (found := find_chromium()) and _attempt([found, "--version"], 60):
            return found
    return None
