"""The layers of the tests: what each runs, and how many of its tests passed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "build" / "tests"
SCRIPTS = ROOT / "js"
LONGEST = 2400
"""Seconds after which a command that hangs is ended."""


@dataclass
class Outcome:
    """How one layer went.

    Args:
        layer: Its name.
        passed: Number of tests that passed.
        failed: Number that failed, errors included.
        skipped: What was left out, and why.
        seconds: Wall time.
    """

    layer: str
    passed: int = 0
    failed: int = 0
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0


def read_report(layer: str, report: Path, status: int) -> Outcome:
    """Counts of a JUnit report; a run that failed without a failed test counts as one failure."""
    outcome = Outcome(layer)
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            skip = case.find("skipped")
            if skip is not None:
                outcome.skipped.append(f"{case.get('classname')}.{case.get('name')}: {skip.get('message')}")
            elif case.find("failure") is not None or case.find("error") is not None:
                outcome.failed += 1
            else:
                outcome.passed += 1
    if status != 0 and outcome.failed == 0:
        outcome.failed = 1
    return outcome


def _run(command: list[str], cwd: Path = ROOT, extra: Mapping[str, str] | None = None) -> int:
    print(f"\n$ {' '.join(command)}", flush=True)
    try:
        return subprocess.run(command, cwd=cwd, env=os.environ | (extra or {}), check=False, timeout=LONGEST).returncode
    except subprocess.TimeoutExpired:
        print(f"ended after {LONGEST} s", flush=True)
        return 124


def pytest_layer(layer: str, paths: list[str], *options: str, **extra: str) -> Outcome:
    """One pytest run over ``paths``."""
    report = RESULTS / f"{layer}.xml"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    status = _run([sys.executable, "-m", "pytest", *paths, f"--junitxml={report}", *options], extra=extra)
    outcome = read_report(layer, report, status)
    outcome.seconds = time.monotonic() - start
    return outcome


def script_layer(layer: str) -> Outcome:
    """The scripts: unit tests, types, lint and format, and that the committed bundles are what the sources give."""
    report = RESULTS / f"{layer}.xml"
    report.unlink(missing_ok=True)
    start = time.monotonic()
    npm = shutil.which("npm")
    assert npm, "ask missing_node() first"
    # Not `npm ci`: it refuses a lock file without the optional packages of every other platform.
    if _run([npm, "install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"], SCRIPTS) != 0:
        return Outcome(layer, failed=1)
    status = _run(
        [npm, "test", "--silent", "--", "--reporter=default", "--reporter=junit", f"--outputFile.junit={report}"],
        SCRIPTS,
    )
    outcome = read_report(layer, report, status)
    for check in ("types", "lint", "build:check"):
        good = _run([npm, "run", "--silent", check], SCRIPTS) == 0
        outcome.passed += good
        outcome.failed += not good
    outcome.seconds = time.monotonic() - start
    return outcome


def missing_node() -> str | None:
    """Why the script layer cannot run, or None."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return "node and npm were not found; the scripts need node 20 or newer"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    major = int(version.lstrip("v").split(".")[0])
    return None if major >= 20 else f"node {version} is too old; the scripts need node 20 or newer"
