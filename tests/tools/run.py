"""Runs every test: Python, scripts, browser, JupyterLab. ``make test`` calls it.

What is missing on the machine is installed where that is possible. What still cannot run is left out, loudly; where the
environment says CI=true that is a failure. The last line is "N passed, N failed".
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.tools.layers import RESULTS, Outcome, missing_node, pytest_layer, script_layer

LAYERS = ("script", "python", "browser", "jupyter")


ONCE = (
    *(
        "annotations",
        "export",
        "results",
        "views",
        "widgets",
        "test_cli.py",
        "test_cli_doctor.py",
        "test_notebooks.py",
        "test_wheel.py",
    ),
    *("demo/test_build_assets.py", "demo/test_build_data.py", "demo/test_world.py", "demo/test_world_probability.py"),
)
"""Run once, not again under another version of the model library: it has no part in them, or other tests call what they
call of it (of the views, those of ``Lab``)."""


def _python(name: str) -> Outcome:
    left_out = ("browser", "jupyter", "benchmarks", *(ONCE if name == "tl4" else ()))
    ignored = [f"--ignore=tests/{each}" for each in left_out]
    return pytest_layer(name, ["tests"], *ignored)


def _script(name: str) -> Outcome:
    reason = missing_node()
    return Outcome(name, skipped=[reason]) if reason else script_layer(name)


def _in_browser(folder: str) -> Callable[[str], Outcome]:
    def run(name: str) -> Outcome:
        from tests.tools.chromium import ensure_chromium

        chromium = ensure_chromium()
        if chromium is None:
            return Outcome(name, skipped=["no Chromium or Chrome was found, and none could be installed"])
        return pytest_layer(name, [folder], SAEWIDGETS_CHROMIUM=chromium)

    return run


RUNNERS = {
    "python": _python,
    "script": _script,
    "browser": _in_browser("tests/browser"),
    "jupyter": _in_browser("tests/jupyter"),
}


def report(outcomes: list[Outcome]) -> int:
    """Print what ran and what did not; the exit status."""
    skipped = [f"  {outcome.layer}: {what}" for outcome in outcomes for what in outcome.skipped]
    passed, failed = sum(outcome.passed for outcome in outcomes), sum(outcome.failed for outcome in outcomes)
    print()
    for outcome in outcomes:
        print(f"{outcome.layer:10} {outcome.passed:5} passed {outcome.failed:3} failed {outcome.seconds:7.0f} s")
    if skipped:
        line = "!" * 78
        print(f"\n{line}\nNOT TESTED on this machine:", *skipped, line, sep="\n")
    if skipped and os.environ.get("CI") == "true":
        print("CI=true: what is not tested counts as failed.")
        failed += len(skipped)
    with (RESULTS / "total.txt").open("a") as total:
        total.write(f"{passed} {failed}\n")
    print(f"\n{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def main() -> int:
    """Run the layers that were asked for, all by default."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", action="append", choices=LAYERS, help="a layer; may be given several times")
    parser.add_argument("--name", help="name of the report, when one layer is run in another environment")
    arguments = parser.parse_args()
    RESULTS.mkdir(parents=True, exist_ok=True)
    layers = arguments.only or LAYERS
    return report([RUNNERS[layer](arguments.name or layer) for layer in layers])


if __name__ == "__main__":
    sys.exit(main())
