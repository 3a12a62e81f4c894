"""Correlations and intervals, against answers by hand and against slow loops."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from saewidgets.results import statistics
from saewidgets.results.statistics import average_ranks, estimate, pearson, spearman


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64)


def test_pearson_by_hand():
    # Deviations (-2, -1, 0, 3) and (-1, -3, 1, 3): 14 / sqrt(14 * 20).
    assert pearson(column(0, 1, 2, 5), column(4, 2, 6, 8)) == pytest.approx(14 / math.sqrt(280))
    assert pearson(column(1, 2, 3), column(-1, -2, -3)) == -1


def test_spearman_by_hand():
    # 1 - 6 * sum d^2 / (n (n^2 - 1)), d = (0, 1, -1, 0).
    assert spearman(column(1, 2, 3, 100), column(-9, 5, 4, 6)) == pytest.approx(1 - 6 * 2 / 60)


def test_spearman_with_ties_by_hand():
    # Ranks (1, 2.5, 2.5, 4) and (1, 2, 3, 4): 4.5 / sqrt(4.5 * 5).
    assert spearman(column(1, 7, 7, 9), column(1, 2, 3, 4)) == pytest.approx(4.5 / math.sqrt(22.5))


def test_ranks_and_pearson_against_loops():
    random = np.random.default_rng(3)
    x, y = random.integers(0, 6, 40).astype(float), random.normal(size=40)
    ranks = [sum(a < b for a in x) + (sum(a == b for a in x) + 1) / 2 for b in x]
    assert average_ranks(x).tolist() == ranks
    mx, my = sum(x) / 40, sum(y) / 40
    above = sum((a - mx) * (b - my) for a, b in zip(x, y, strict=True))
    below = sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y)
    assert pearson(x, y) == pytest.approx(above / math.sqrt(below), rel=1e-12)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (column(), column()),
        (column(1, 2), column(1, 2)),
        (column(1, 1, 1), column(1, 2, 3)),
        (column(1, 2, 3), column(0, 0, 0)),
        (column(1, 2, math.nan), column(1, 2, 3)),
        (column(1, 2, 3), column(1, 2, math.nan)),
    ],
)
def test_what_is_not_defined_is_nan(x, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(pearson(x, y))
        assert math.isnan(spearman(x, y))


def test_infinity_has_a_rank_and_no_line():
    x, y = column(1, 2, 3), column(1, 2, math.inf)
    assert math.isnan(pearson(x, y))
    assert spearman(x, y) == 1


@pytest.mark.parametrize("unit", [1e-300, 2e307])
def test_units_do_not_change_a_correlation(unit):
    x, y = column(0, 1, 2, 5), column(4, 2, 6, 8)
    assert pearson(x * unit, y) == pytest.approx(14 / math.sqrt(280))


def test_estimate_against_a_loop():
    values = column(1, 4, 2, 9, 3)
    random = np.random.default_rng(0)
    means = sorted(values[random.integers(5, size=5)].mean() for _ in range(10_000))
    found = estimate(values)
    assert found.mean == pytest.approx(3.8)
    # Both are of 10,000 resamples; the mean is a fifth of a whole number.
    assert found.low == pytest.approx(means[250], abs=0.21)
    assert found.high == pytest.approx(means[9749], abs=0.21)
    assert found.n == 5


def test_estimate_of_zeros_and_ones_is_that_of_the_binomial():
    # 100 prompts, half 1: the mean has standard deviation 0.05, so 95 % lie within 0.4 and 0.6.
    found = estimate(column(*([0, 1] * 50)))
    assert found[:3] == pytest.approx((0.5, 0.4, 0.6), abs=0.011)


def test_estimate_is_the_same_again_and_its_interval_shrinks_with_prompts():
    values = column(*range(10))
    assert estimate(values) == estimate(values)
    wide, narrow = estimate(values), estimate(np.tile(values, 20))
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)


def test_estimate_of_one_and_of_none():
    assert estimate(column(0.1)) == (0.1, 0.1, 0.1, 1)
    none = estimate(column(math.nan))
    assert none.n == 0
    assert all(math.isnan(value) for value in none[:3])


def test_nan_is_left_out():
    assert estimate(column(math.nan, 3, math.nan, 5)) == estimate(column(3, 5))


def test_memory_is_bounded_and_the_answer_is_that_of_one_piece(monkeypatch):
    values = column(1, 4, 2, 9, 3)
    drawn: list[int] = []
    plain = np.random.default_rng

    class Counting:
        def __init__(self, seed: int) -> None:
            self.random = plain(seed)

        def integers(self, n: int, size: tuple[int, int]) -> np.ndarray:
            drawn.append(size[0] * size[1])
            return self.random.integers(n, size=size)

    monkeypatch.setattr(statistics, "CHUNK", 700)
    monkeypatch.setattr(np.random, "default_rng", Counting)
    found = estimate(values)
    assert max(drawn) <= 700
    assert sum(drawn) == 5 * 10_000
    monkeypatch.undo()
    assert found[:3] == pytest.approx(estimate(values)[:3], abs=0.21)
