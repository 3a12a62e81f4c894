"""One line of a benchmark's table, and how to measure side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured: its value as text, and the target if there is one."""

    what: str
    value: str
    target: str = ""


def table(rows: Iterable[Row]) -> str:
    """The rows as a Markdown table."""
    return "\n".join(["| what | measured | target |", "|---|---|---|", *map(line, rows)])


def line(row: Row) -> str:
    """One row of that table."""
    return f"| {row.what} | {row.value} | {row.target} |"


def alternated(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, run in turns so that a change of the machine's load meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for run in candidates.values():
        run()
    for _ in range(rounds):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}
