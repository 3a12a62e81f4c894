"""What ``saewidgets doctor`` finds, and how it is said."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal, NamedTuple

import saewidgets
from saewidgets.errors import SaewidgetsError
from saewidgets.results.text import one_line

State = Literal["ok", "note", "missing", "FAILS"]


class Finding(NamedTuple):
    """One thing that was looked at.

    ``state`` is "ok"; "note", what works and is worth knowing; "missing", what not everybody needs; or "FAILS", what
    will not work.
    """

    state: State
    what: str
    detail: str

    def __str__(self) -> str:
        return one_line(f"{self.state:<8} {self.what:<20} {self.detail}")


def say(found: Iterable[Finding], as_json: bool) -> int:
    """Print findings as they come, or all as one JSON object; 1 where something fails."""
    kept: list[Finding] = []
    for finding in found:
        kept.append(finding)
        if not as_json:
            print(finding, flush=True)
    failed = sum(finding.state == "FAILS" for finding in kept)
    if as_json:
        listed = [finding._asdict() for finding in kept]
        print(json.dumps({"saewidgets": saewidgets.__version__, "works": not failed, "findings": listed}, indent=1))
    else:
        print(f"{failed} of these must be mended" if failed else "everything that is needed works")
    return 1 if failed else 0


def failed(what: str, error: SaewidgetsError) -> Finding:
    """An error of ours as a finding, on one line."""
    parts = (("", error.what.rstrip(".")), ("got ", error.got), ("expected ", error.expected), ("do this: ", error.do))
    return Finding("FAILS", what, "; ".join(f"{word}{part}" for word, part in parts if part is not None)[:600])
