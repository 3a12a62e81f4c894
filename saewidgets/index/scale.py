"""The bins that all counts are kept in, relative to each feature's largest activation so far.

Let R be the power of two just above the largest activation, R/2 <= max < R. A histogram has 32 bins of equal width in
each of the 8 octaves below R, and one for all that is smaller than R/256. When a larger activation comes and R doubles,
the bins move by one octave and the lowest octave joins the last bin: no count is ever split, and the histogram is that
of the final R whatever came when. Bins of equal width R/64 and R/32 are unions of these.
"""

from __future__ import annotations

import numpy as np

OCTAVES, PER_OCTAVE, LINEAR, SAMPLED = 8, 32, 64, 32
N_BINS = 1 + OCTAVES * PER_OCTAVE
NO_SCALE = np.int16(-(2**15))


def scale_of(largest: np.ndarray) -> np.ndarray:
    """Exponent E of the least power of two above each number, R = 2**E; NO_SCALE where it is 0.

    Example:
        >>> scale_of(np.array([0.0, 0.75, 1.0]))
        array([-32768,      0,      1], dtype=int16)
    """
    return np.where(largest > 0, np.frexp(largest)[1], NO_SCALE).astype(np.int16)


def fine_bin(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Bin of the histogram that each activation falls into, its R = 2**scale known to be above it."""
    mantissa, exponent = np.frexp(values)
    octave = OCTAVES - 1 - (scale.astype(np.int32) - exponent)
    within = np.minimum((mantissa - np.float32(0.5)) * np.float32(2 * PER_OCTAVE), PER_OCTAVE - 1).astype(np.int32)
    return np.where(octave >= 0, 1 + octave * PER_OCTAVE + within, 0)


def linear_bin(values: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Bin of width R/64 that each activation falls into."""
    return np.ldexp(values, 6 - scale.astype(np.int32)).astype(np.int32)


def edges(scale: int) -> np.ndarray:
    """Edges of the histogram's bins, float64 [N_BINS + 1]; the first is 0, the last R."""
    top = 2.0**scale
    octaves = [top * 2.0 ** (n - OCTAVES) * (1 + np.arange(PER_OCTAVE) / PER_OCTAVE) for n in range(OCTAVES)]
    return np.concatenate([[0.0], *octaves, [top]])


UNIT_EDGES = edges(0)
LINEAR_OF_FINE = np.minimum((UNIT_EDGES[:-1] * LINEAR).astype(np.int64), LINEAR - 1)
"""Which bin of width R/64 each bin of the histogram lies in."""


def to_linear(histogram: np.ndarray) -> np.ndarray:
    """Counts in bins of width R/64 [..., 64] from a histogram [..., N_BINS]; exact."""
    starts = np.flatnonzero(np.diff(LINEAR_OF_FINE, prepend=-1))
    return np.add.reduceat(histogram, starts, axis=-1)


def moved(histogram: np.ndarray, octaves: int) -> np.ndarray:
    """A histogram [n, N_BINS] when R has doubled ``octaves`` times."""
    lost = min(octaves, OCTAVES) * PER_OCTAVE
    out = np.zeros_like(histogram)
    out[:, 0] = histogram[:, : 1 + lost].sum(1)
    out[:, 1 : N_BINS - lost] = histogram[:, 1 + lost :]
    return out


def moved_linear(sums: np.ndarray, octaves: int) -> np.ndarray:
    """Sums in bins of width R/64 [n, 64] when R has doubled ``octaves`` times."""
    together = 2 ** min(octaves, 6)
    out = np.zeros_like(sums)
    out[:, : LINEAR // together] = sums.reshape(len(sums), -1, together).sum(2)
    return out
