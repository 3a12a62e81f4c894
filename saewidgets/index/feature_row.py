"""One row of an index, as the statistics of a feature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from saewidgets.errors import LoadError
from saewidgets.index import scale as bins
from saewidgets.index.intervals import N_INTERVALS
from saewidgets.index.store import Stored
from saewidgets.results import Tokens
from saewidgets.results.feature_stats import Example, Histogram, Interval, Quantile

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)


class FeatureRow:
    """What an index holds of one feature.

    Args:
        stored: The index.
        n: Number of the feature.
        decode: From token ids to tokens, for its examples.
    """

    def __init__(self, stored: Stored, n: int, decode: Callable[[np.ndarray], Tokens] | None) -> None:
        self._stored, self._decode = stored, decode
        self._row = {name: column[n] for name, column in stored.tables["features.arrow"].items()}
        self.count, self.max = int(self._row["count"]), float(self._row["max"])
        self.mean = float(self._row["sum"]) / max(self.count, 1)

    @property
    def std(self) -> float:
        """Standard deviation of the activations above 0."""
        return max(float(self._row["sum_squares"]) / max(self.count, 1) - self.mean**2, 0.0) ** 0.5

    @cached_property
    def fine(self) -> Histogram:
        """The histogram with 32 bins an octave."""
        edges = bins.edges(int(self._row["scale"])) if self.count else np.zeros(bins.N_BINS + 1)
        return Histogram(self._row["histogram"].astype(np.int64), edges)

    def histogram(self) -> Histogram:
        """32 to 64 bins of equal width, up to the one that holds the maximum."""
        if not self.count:
            return Histogram(np.zeros(0, np.int64), np.zeros(1))
        counts = bins.to_linear(self.fine.counts)
        used = int(np.flatnonzero(counts)[-1]) + 1
        return Histogram(counts[:used], np.ldexp(np.arange(used + 1) / bins.LINEAR, int(self._row["scale"])))

    def quantiles(self) -> tuple[Quantile, ...]:
        """Each lies in one bin of the fine histogram, whose edges are its bounds; within, it is interpolated."""
        if not self.count:
            return ()
        fine, below = self.fine, np.concatenate([[0], self.fine.counts.cumsum()])
        ranks = np.maximum(np.ceil(np.array(LEVELS) * self.count - 1e-9), 1)
        column = np.searchsorted(below, ranks, side="left") - 1
        low, high = fine.edges[column], np.minimum(fine.edges[column + 1], self.max)
        value = low + (high - low) * (ranks - below[column] - 0.5) / fine.counts[column]
        return tuple(Quantile(*map(float, row)) for row in zip(LEVELS, value, low, high, strict=True))

    def intervals(self) -> tuple[Interval, ...]:
        """The ten of equal width."""
        row, total = self._row, float(self._row["sum"])
        edges = [self.max * i / N_INTERVALS for i in range(N_INTERVALS)] + [self.max]
        counts, low, high, mass = (row[f"interval_{c}"].tolist() for c in ("count", "low", "high", "mass"))
        values, positions = (row[name].reshape(N_INTERVALS, -1) for name in ("sample_activation", "sample_position"))
        return tuple(
            Interval(
                low=edges[i],
                high=edges[i + 1],
                count=counts[i],
                count_low=low[i],
                count_high=high[i],
                share=counts[i] / self.count if self.count else 0.0,
                mass=mass[i],
                mass_share=mass[i] / total if total else 0.0,
                examples=self._examples(values[i], positions[i]),
            )
            for i in range(N_INTERVALS)
        )

    def top(self) -> tuple[Example, ...]:
        """The distinct contexts with the largest activations."""
        return self._examples(self._row["top_activation"], self._row["top_position"])

    def _examples(self, values: np.ndarray, positions: np.ndarray) -> tuple[Example, ...]:
        held = values > 0
        if not held.any():
            return ()
        tokens, windows = self._stored.tables["tokens.arrow"]["id"], self._stored.tables["windows.arrow"]
        starts, places = windows["start"], positions[held].astype(np.int64)
        at = np.searchsorted(starts, places, side="right") - 1
        if places.max() >= len(tokens) or at.min() < 0:
            raise LoadError(f"The index in {self._stored.folder} is damaged.", got="an example outside of its tokens")
        ends = np.where(at + 1 < len(starts), starts[np.minimum(at + 1, len(starts) - 1)], len(tokens))
        return tuple(
            Example(
                activation=value,
                position=int(place - starts[window]),
                ids=tokens[starts[window] : end].astype(np.int64),
                text=int(windows["text"][window]),
                offset=int(windows["offset"][window]),
                decode=self._decode,
            )
            for value, place, window, end in zip(values[held].tolist(), places, at, ends, strict=True)
        )
