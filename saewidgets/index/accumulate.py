"""What is kept of each feature while the corpus passes: a state of fixed size, whatever the number of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from saewidgets.index import scale as bins
from saewidgets.index.bottom_k import BottomK
from saewidgets.index.hashing import priority, salt
from saewidgets.index.top import TopContexts

_ROWS_AT_ONCE = 1024


class Items(NamedTuple):
    """Activations that are not 0, one a place of each array.

    ``features`` int32, ``values`` float32, ``positions`` (of the token in the corpus) uint32, ``windows`` (number of
    the window in the corpus) int64, ``hashes`` (of the window's tokens) uint64.
    """

    features: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    windows: np.ndarray
    hashes: np.ndarray


class Accumulator:
    """The state of one SAE's features.

    Every part of it is a function of the set of activations that were added: their order and their batches leave no
    trace (sums are of float32 numbers of one octave in float64, which is exact, except below R/64 and for the squares).

    Args:
        d_sae: Number of features.
        examples: Distinct contexts kept of each feature.
        per_bin: Activations kept of each of the 32 bins of equal width.
        sketch: Tokens kept of each feature, from which co-firing features are found.
        seed: Of the samples.

    Attributes:
        count: Tokens that each feature fires on, int64 [d_sae].
        largest: Largest activation, float32 [d_sae].
        squares: Sum of squared activations, float64 [d_sae].
        scale: Exponent of R, int16 [d_sae].
        histogram: Counts, uint32 [d_sae, N_BINS]; see :mod:`saewidgets.index.scale`.
        mass: Sums of activations in bins of width R/64, float64 [d_sae, 64].
        top: The contexts on which each feature is largest.
        sample: A uniform sample of each bin of width R/32; group ``32 * feature + bin``.
        sketch: The tokens of lowest priority that each feature fires on; one priority a token, the same for all
            features, so that features that fire together keep the same tokens.
    """

    def __init__(self, d_sae: int, examples: int, per_bin: int, sketch: int, seed: int) -> None:
        self.d_sae, self._sample_salt, self._token_salt = d_sae, salt(seed, "sample"), salt(seed, "token")
        self.count = np.zeros(d_sae, np.int64)
        self.largest = np.zeros(d_sae, np.float32)
        self.squares = np.zeros(d_sae, np.float64)
        self.scale = np.full(d_sae, bins.NO_SCALE)
        self.histogram = np.zeros((d_sae, bins.N_BINS), np.uint32)
        self.mass = np.zeros((d_sae, bins.LINEAR), np.float64)
        self.top = TopContexts(d_sae, examples)
        self.sample = BottomK(d_sae * bins.SAMPLED, per_bin, self.sample_priority)
        self.sketch = BottomK(d_sae, sketch, self.token_priority)

    def sample_priority(self, groups: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Priority of a feature's activation at a position."""
        return priority(self._sample_salt, positions, groups // bins.SAMPLED)

    def token_priority(self, groups: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """Priority of a token."""
        del groups
        return priority(self._token_salt, positions)

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        plain = (self.count, self.largest, self.squares, self.scale, self.histogram, self.mass)
        return sum(each.nbytes for each in (*plain, self.top, self.sample, self.sketch))

    def add(self, items: Items) -> None:
        """Take activations in; no pair of feature and position comes twice."""
        if not len(items.features):
            return
        order = np.argsort(items.features.astype(np.uint64) << np.uint64(32) | items.positions)
        items = Items(*(each[order] for each in items))
        self._rescale(items.features, items.values)
        self._add_sums(items.features, items.values)
        self._add_top(items)
        lots = items.features.astype(np.int64) * bins.SAMPLED
        lots += bins.linear_bin(items.values, self.scale[items.features]) // 2
        self.sample.add(lots, items.positions, items.values)
        self.sketch.add(items.features.astype(np.int64), items.positions, items.values)

    def _add_sums(self, features: np.ndarray, values: np.ndarray) -> None:
        wide, scale = values.astype(np.float64), self.scale[features]
        self.count += np.bincount(features, minlength=self.d_sae)
        self.squares += np.bincount(features, wide * wide, self.d_sae)
        at = features.astype(np.int64)
        np.add.at(self.histogram.reshape(-1), at * bins.N_BINS + bins.fine_bin(values, scale), np.uint32(1))
        np.add.at(self.mass.reshape(-1), at * bins.LINEAR + bins.linear_bin(values, scale), wide)

    def _add_top(self, items: Items) -> None:
        """The largest activation of each feature in each window; items are sorted by feature, then position."""
        changes = (items.features[1:] != items.features[:-1]) | (items.windows[1:] != items.windows[:-1])
        starts = np.flatnonzero(np.concatenate([[True], changes]))
        sizes = np.diff(np.concatenate([starts, [len(items.values)]]))
        largest = np.maximum.reduceat(items.values, starts)
        group = np.repeat(np.arange(len(starts)), sizes)
        peaks = np.flatnonzero(items.values == largest[group])
        first = peaks[np.concatenate([[True], group[peaks][1:] != group[peaks][:-1]])]
        self.top.add(items.features[first], items.positions[first], items.values[first], items.hashes[first])

    def _rescale(self, features: np.ndarray, values: np.ndarray) -> None:
        """Move to the new maxima; features that had none just take theirs."""
        starts = np.flatnonzero(np.concatenate([[True], features[1:] != features[:-1]]))
        touched = features[starts]
        self.largest[touched] = np.maximum(self.largest[touched], np.maximum.reduceat(values, starts))
        new = bins.scale_of(self.largest[touched])
        growth = np.where(self.count[touched] > 0, new.astype(np.int32) - self.scale[touched], 0)
        self.scale[touched] = new
        for octaves in np.unique(growth[growth > 0]).tolist():
            rows = touched[growth == octaves].astype(np.int64)
            self.histogram[rows] = bins.moved(self.histogram[rows], octaves)
            self.mass[rows] = bins.moved_linear(self.mass[rows], octaves)
            for n in range(0, len(rows), _ROWS_AT_ONCE):
                self._move_sample(rows[n : n + _ROWS_AT_ONCE], octaves)

    def _move_sample(self, rows: np.ndarray, octaves: int) -> None:
        lots = (rows[:, None] * bins.SAMPLED + np.arange(bins.SAMPLED)).reshape(-1)
        lots, positions, values = self.sample.take(lots)
        lots = lots // bins.SAMPLED * bins.SAMPLED + (lots % bins.SAMPLED >> min(octaves, 5))
        self.sample.add(lots, positions, values)

    # ---- a checkpoint ----------------------------------------------------------------------------------------------

    _PLAIN = ("count", "largest", "squares", "scale", "histogram", "mass")
    _PARTS = ("top", "sample", "sketch")

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """The state by name, one array after the other."""
        for name in self._PLAIN:
            yield name, getattr(self, name)
        for part in self._PARTS:
            for name, array in getattr(self, part).arrays():
                yield f"{part}.{name}", array

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        for name in self._PLAIN:
            getattr(self, name)[:] = arrays[name]
        for part in self._PARTS:
            getattr(self, part).restore({
                name.removeprefix(f"{part}."): array for name, array in arrays.items() if name.startswith(f"{part}.")
            })  # fmt: skip
