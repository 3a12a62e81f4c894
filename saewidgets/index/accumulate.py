"""What is kept of each feature while the corpus passes: a state of fixed size, whatever the number of tokens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from saewidgets.errors import MismatchError
from saewidgets.index import scale as bins
from saewidgets.index.bottom_k import BottomK
from saewidgets.index.exact import ExactSums
from saewidgets.index.hashing import priority, salt
from saewidgets.index.kept_firings import KeptFirings
from saewidgets.index.top import TopContexts

_ROWS_AT_ONCE = 1024
_UNIT = 29  # all float32 numbers from R/64 to R are multiples of R / 2**29


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
    trace, nor does it matter which of several states they were added to before these were merged. Sums are exact.

    Args:
        d_sae: Number of features.
        examples: Distinct contexts kept of each feature.
        per_bin: Activations kept of each of the 32 bins of equal width.
        sketch: Tokens kept of each feature, from which co-firing features are found.
        seed: Of the samples.

    Attributes:
        count: Tokens that each feature fires on, int64 [d_sae].
        largest: Largest activation, float32 [d_sae].
        total: Sums of activations.
        squares: Sums of squared activations.
        scale: Exponent of R, int16 [d_sae].
        histogram: Counts, uint32 [d_sae, N_BINS]; see :mod:`saewidgets.index.scale`.
        upper: Sums of activations in bins of width R/64, in units of R / 2**29, int64 [d_sae, 64]; 0 in the first bin,
            whose sum is what is left of the total: see :meth:`mass`.
        top: The contexts on which each feature is largest.
        sample: A uniform sample of each bin of width R/32; group ``32 * feature + bin``.
        sketch: The tokens of lowest priority that each feature fires on; one priority a token, the same for all
            features, so that features that fire together keep the same tokens.
        firings: All activations, of a corpus that is small enough.
    """

    def __init__(self, d_sae: int, examples: int, per_bin: int, sketch: int, seed: int) -> None:
        self.d_sae, self._made = d_sae, (d_sae, examples, per_bin, sketch, seed)
        self._sample_salt, self._token_salt = salt(seed, "sample"), salt(seed, "token")
        self.count = np.zeros(d_sae, np.int64)
        self.largest = np.zeros(d_sae, np.float32)
        self.total, self.squares = ExactSums(d_sae, -149, 128), ExactSums(d_sae, -298, 256)
        self.scale = np.full(d_sae, bins.NO_SCALE)
        self.histogram = np.zeros((d_sae, bins.N_BINS), np.uint32)
        self.upper = np.zeros((d_sae, bins.LINEAR), np.int64)
        self.top = TopContexts(d_sae, examples)
        self.sample = BottomK(d_sae * bins.SAMPLED, per_bin, self.sample_priority)
        self.sketch = BottomK(d_sae, sketch, self.token_priority)
        self.firings = KeptFirings()

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
        plain = (self.count, self.largest, self.scale, self.histogram, self.upper, self.total, self.squares)
        return sum(each.nbytes for each in (*plain, self.top, self.sample, self.sketch, self.firings))

    def mass(self, rows: np.ndarray) -> np.ndarray:
        """Sums of the activations of some features in bins of width R/64, float64 [rows, 64], each rounded once."""
        unit = np.where(self.count[rows] > 0, self.scale[rows].astype(np.int32), 0)[:, None] - _UNIT
        upper, rest = self.upper[rows], self.total.of(rows)
        row, column = np.nonzero(upper)
        for part in (upper & 0xFFFFFFFF, upper & ~0xFFFFFFFF):  # as float64 each is exact
            rest.add(row, np.ldexp(part.astype(np.float64), unit)[row, column], sign=-1)
        out = np.ldexp(upper.astype(np.float64), unit)
        out[:, 0] = rest.rounded()
        return out

    def add(self, items: Items) -> None:
        """Take activations in; no pair of feature and position comes twice."""
        if not len(items.features):
            return
        order = np.argsort(items.features.astype(np.uint64) << np.uint64(32) | items.positions)
        items = Items(*(each[order] for each in items))
        self.firings.add(items.features, items.values)
        self._rescale(items.features, items.values)
        linear = bins.linear_bin(items.values, self.scale[items.features])
        self._add_sums(items.features, items.values, linear)
        self._add_top(items)
        lots = items.features.astype(np.int64) * bins.SAMPLED
        self.sample.add(lots + linear // 2, items.positions, items.values)
        self.sketch.add(items.features.astype(np.int64), items.positions, items.values)

    def merge(self, other: Accumulator) -> None:
        """Take in all that another state holds, as if it had been added here.

        Args:
            other: A state of other tokens, made with the same numbers; it is used up.

        Raises:
            MismatchError: It was made with other numbers.
        """
        if other._made != self._made:
            names = "d_sae, examples, per_bin, sketch, seed"
            raise MismatchError(f"States of other {names} do not merge.", got=other._made, expected=self._made)
        largest = np.maximum(self.largest, other.largest)
        rows = np.flatnonzero(largest)
        for state in (self, other):
            state._move(rows, bins.scale_of(largest[rows]))
        self.largest = largest
        for name in ("count", "histogram", "upper"):
            np.add(getattr(self, name), getattr(other, name), out=getattr(self, name))
        for part in (*self._SUMS, *self._PARTS):
            getattr(self, part).merge(getattr(other, part))

    def _add_sums(self, features: np.ndarray, values: np.ndarray, linear: np.ndarray) -> None:
        wide, scale = values.astype(np.float64), self.scale[features]
        self.count += np.bincount(features, minlength=self.d_sae)
        at = features.astype(np.int64)
        self.total.add(at, wide)
        self.squares.add(at, wide * wide)
        np.add.at(self.histogram.reshape(-1), at * bins.N_BINS + bins.fine_bin(values, scale), np.uint32(1))
        units = np.ldexp(wide, _UNIT - scale.astype(np.int32)).astype(np.int64)
        np.add.at(self.upper.reshape(-1), at * bins.LINEAR + linear, np.where(linear > 0, units, 0))

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
        self._move(touched, bins.scale_of(self.largest[touched]))

    def _move(self, rows: np.ndarray, scale: np.ndarray) -> None:
        """Features to a scale that is not below theirs."""
        growth = np.where(self.count[rows] > 0, scale.astype(np.int32) - self.scale[rows], 0)
        self.scale[rows] = scale
        for octaves in np.unique(growth[growth > 0]).tolist():
            moved = rows[growth == octaves].astype(np.int64)
            self.histogram[moved] = bins.moved(self.histogram[moved], octaves)
            upper = bins.moved_linear(self.upper[moved], octaves) >> min(octaves, 6)  # the unit grows too
            upper[:, 0] = 0
            self.upper[moved] = upper
            for n in range(0, len(moved), _ROWS_AT_ONCE):
                self._move_sample(moved[n : n + _ROWS_AT_ONCE], octaves)

    def _move_sample(self, rows: np.ndarray, octaves: int) -> None:
        lots = (rows[:, None] * bins.SAMPLED + np.arange(bins.SAMPLED)).reshape(-1)
        lots, positions, values = self.sample.take(lots)
        lots = lots // bins.SAMPLED * bins.SAMPLED + (lots % bins.SAMPLED >> min(octaves, 5))
        self.sample.add(lots, positions, values)

    # ---- a checkpoint ----------------------------------------------------------------------------------------------

    _PLAIN = ("count", "largest", "scale", "histogram", "upper")
    _SUMS = ("total", "squares")
    _PARTS = ("top", "sample", "sketch", "firings")

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """The state by name, one array after the other."""
        for name in self._PLAIN:
            yield name, getattr(self, name)
        for name in self._SUMS:
            getattr(self, name).carry()
            yield name, getattr(self, name).limbs
        for part in self._PARTS:
            for name, array in getattr(self, part).arrays():
                yield f"{part}.{name}", array

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        for name in self._PLAIN:
            getattr(self, name)[:] = arrays[name]
        for name in self._SUMS:
            getattr(self, name).limbs[:] = arrays[name]
        for part in self._PARTS:
            getattr(self, part).restore({
                name.removeprefix(f"{part}."): array for name, array in arrays.items() if name.startswith(f"{part}.")
            })  # fmt: skip
