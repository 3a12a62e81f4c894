"""The runner behind ``make test`` counts right, and says what it left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools import run
from tests.tools.layers import Outcome, read_report

REPORT = """<testsuites><testsuite>
  <testcase classname="a" name="good"/>
  <testcase classname="a" name="also_good"/>
  <testcase classname="a" name="wrong"><failure message="no"/></testcase>
  <testcase classname="a" name="broken"><error message="no"/></testcase>
  <testcase classname="a" name="left_out"><skipped message="no browser"/></testcase>
</testsuite></testsuites>"""


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.xml"
    path.write_text(REPORT)
    return path


def test_a_report_is_counted(report: Path) -> None:
    outcome = read_report("python", report, 1)
    assert (outcome.passed, outcome.failed, outcome.skipped) == (2, 2, ["a.left_out: no browser"])


def test_a_run_that_ends_badly_without_a_failed_test_is_a_failure(tmp_path: Path) -> None:
    assert read_report("python", tmp_path / "missing.xml", 2).failed == 1
    assert read_report("python", tmp_path / "missing.xml", 0).failed == 0


@pytest.mark.parametrize(("ci", "status", "last"), [("true", 1, "3 passed, 1 failed"), ("", 0, "3 passed, 0 failed")])
def test_what_is_skipped_is_said_loudly_and_fails_under_ci(
    ci: str, status: int, last: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    outcomes = [Outcome("python", passed=3), Outcome("browser", skipped=["no Chromium"])]
    assert run.report(outcomes) == status
    printed = capsys.readouterr().out
    assert "NOT TESTED" in printed
    assert "browser: no Chromium" in printed
    assert printed.splitlines()[-1] == last


def test_no_test_at_all_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path)
    assert run.report([Outcome("python")]) == 1
