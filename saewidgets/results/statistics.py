"""Correlations, and means with an interval, in numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 10_000
CHUNK = 2**18  # values drawn at a time: 2 MiB of indices


class Estimate(NamedTuple):
    """A mean over n prompts with its 95 % interval; NaN where n is 0."""

    mean: float
    low: float
    high: float
    n: int


def pearson(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's r of two columns [row]; NaN with fewer than 3 rows, a constant column or a value that is not finite.

    Example:
        >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([3.0, 1.0, 2.0])), 6)
        -0.5
    """
    if len(x) < 3 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return float("nan")
    if x.min() == x.max() or y.min() == y.max():
        return float("nan")
    a, b = _deviations(x), _deviations(y)
    return float(np.clip(a @ b / np.sqrt((a @ a) * (b @ b)), -1, 1))


def spearman(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation of two columns [row], ties with their average rank; NaN as :func:`pearson`.

    Example:
        >>> spearman(np.array([1.0, 2.0, 30.0]), np.array([0.0, 5.0, 6.0]))
        1.0
    """
    if np.isnan(x).any() or np.isnan(y).any():
        return float("nan")
    return pearson(average_ranks(x), average_ranks(y))


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Rank of each value from 1, float64 [row], smallest first; equal values share the mean of their ranks.

    Example:
        >>> average_ranks(np.array([7.0, 5.0, 7.0])).tolist()
        [2.5, 1.0, 2.5]
    """
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[inverse]


def estimate(values: np.ndarray) -> Estimate:
    """Mean over prompts with its 95 % bootstrap percentile interval: 10,000 resamples, seed 0.

    Equally many values are resampled alike, so that what is compared is paired.

    Args:
        values: One number a prompt, float64 [prompt]; NaN is left out.

    Example:
        >>> estimate(np.array([2.0, float("nan")]))
        Estimate(mean=2.0, low=2.0, high=2.0, n=1)
    """
    known = values[~np.isnan(values)]
    n = len(known)
    if not n:
        return Estimate(float("nan"), float("nan"), float("nan"), 0)
    random = np.random.default_rng(0)
    step = max(1, CHUNK // n)
    sizes = [min(step, RESAMPLES - start) for start in range(0, RESAMPLES, step)]
    means = np.concatenate([known[random.integers(n, size=(size, n))].mean(axis=1) for size in sizes])
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(known.mean()), float(low), float(high), n)


def _deviations(values: np.ndarray) -> np.ndarray:
    """Distance from the mean, in units that neither overflow nor vanish when squared."""
    scaled = values / np.abs(values).max()
    return scaled - scaled.mean()
