"""The ten intervals: counts with their bounds, and that the samples are uniform whatever the bins cut."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.index.accumulate import Accumulator, Items
from saewidgets.index.intervals import intervals
from saewidgets.index.settings import SKETCH
from tests.index.planted import accumulated, intervals_of, items, random_items, values_of

K = 3


@pytest.fixture(scope="module")
def found():
    return random_items(6000, n_tokens=4000, spread=0.7)


@pytest.mark.parametrize("feature", range(4))
@pytest.mark.parametrize("per_bin", [6, 2000])
def test_counts_lie_within_their_bounds_and_are_exact_where_they_say(found, feature, per_bin):
    result = intervals(accumulated(found, 5, per_bin=per_bin), K)
    values = values_of(found, feature)
    own = intervals_of(values)
    counts = np.bincount(own, minlength=10)
    assert (result.low[feature] <= counts).all()
    assert (counts <= result.high[feature]).all()
    exact = result.low[feature] == result.high[feature]
    assert np.array_equal(result.count[feature][exact], counts[exact])
    mass = np.bincount(own, values.astype(np.float64), 10)
    assert np.allclose(result.mass[feature][exact], mass[exact], rtol=1e-9)
    assert result.count[feature].sum() == pytest.approx(len(values))
    assert result.mass[feature].sum() == pytest.approx(values.astype(np.float64).sum())
    assert exact.all() == (per_bin == 2000)
    assert exact[7:].all()  # the upper intervals hold few


@pytest.mark.parametrize("parts", [1, 7])
def test_all_is_exact_where_every_activation_was_kept(found, parts):
    order = np.random.default_rng(1).permutation(len(found.features))
    result = intervals(accumulated(found, 5, order, parts, kept=6000), K)
    for feature in range(5):
        values = values_of(found, feature).astype(np.float64)
        own = intervals_of(values.astype(np.float32)) if len(values) else np.zeros(0, np.int64)
        counts = np.bincount(own, minlength=10)
        for each in (result.count, result.low, result.high):
            assert np.array_equal(each[feature], counts)
        assert np.allclose(result.mass[feature], np.bincount(own, values, 10), rtol=1e-12)


def test_one_activation_more_than_fits_and_none_is_kept(found):
    result = intervals(accumulated(found, 5, kept=5999), K)
    assert (result.low < result.high).any()


def test_estimates_are_near_where_there_are_many():
    random = np.random.default_rng(0)
    values = random.exponential(1.0, 200_000).astype(np.float32)
    result = intervals(accumulated(items(np.zeros(200_000), np.arange(200_000), values), 1), K)
    share = np.bincount(intervals_of(values), minlength=10) / len(values)
    assert np.abs(result.count[0] / len(values) - share).max() < 0.001
    assert ((result.high - result.low)[0] / len(values)).max() < 0.05


def test_feature_that_never_fires_has_empty_intervals(found):
    result = intervals(accumulated(found, 5), K)
    assert result.count[4].tolist() == result.high[4].tolist() == [0] * 10
    assert not result.values[4].any()


def test_maximum_and_edges_belong_to_the_interval_below():
    values = np.arange(1, 11, dtype=np.float32)
    result = intervals(accumulated(items(np.zeros(10), np.arange(10), values), 1), K)
    assert result.count[0].tolist() == [1] * 10
    assert result.values[0, :, 0].tolist() == values.tolist()


@pytest.mark.parametrize("feature", range(4))
def test_samples_are_of_their_interval_and_none_comes_twice(found, feature):
    result = intervals(accumulated(found, 5, per_bin=3 * K), K)
    values, positions = values_of(found, feature), found.positions[found.features == feature]
    known = dict(zip(positions.tolist(), zip(values.tolist(), intervals_of(values), strict=True), strict=True))
    counts = np.bincount(intervals_of(values), minlength=10)
    for n in range(10):
        size = int((result.values[feature, n] > 0).sum())
        chosen = result.positions[feature, n, :size].tolist()
        assert min(K - 1, counts[n]) <= size <= min(K, counts[n])
        assert len(set(chosen)) == size
        assert [known[p] for p in chosen] == [(v, n) for v in result.values[feature, n, :size].tolist()]


# ---- uniform: many features fire alike, and each draws a sample ---------------------------------------------

N_FEATURES = 1500


def copies(values: np.ndarray, per_bin: int) -> Accumulator:
    """A state of many features with the same activations at the same positions; the largest comes last."""
    order = np.argsort(values, kind="stable")
    state = Accumulator(N_FEATURES, 4, per_bin, SKETCH, 0)
    for part in np.array_split(order, 7):
        feature = np.repeat(np.arange(N_FEATURES), len(part))
        state.add(items(feature, np.tile(part, N_FEATURES), np.tile(values[part], N_FEATURES)))
    return state


def z_of_chi_square(inclusions: np.ndarray, sizes: np.ndarray) -> float:
    """How far the inclusions [n] of drawing ``sizes`` [draws] of n without replacement are from uniform, as a z."""
    n = len(inclusions)
    shares = sizes / n
    expected, variance = shares.sum(), (shares * (1 - shares)).sum()
    chi = ((inclusions - expected) ** 2).sum() / variance * (n - 1) / n
    freedom = n - 1
    return ((chi / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / (2 / (9 * freedom)) ** 0.5


def check_uniform(values: np.ndarray, k: int, per_bin: int) -> np.ndarray:
    """All intervals; mean size of the samples of each."""
    result = intervals(copies(values, per_bin), k)
    own = intervals_of(values)
    means = np.zeros(10)
    for n in range(10):
        members = np.flatnonzero(own == n)
        held = result.values[:, n] > 0
        sizes, means[n] = held.sum(1), held.sum(1).mean()
        counts = np.bincount(result.positions[:, n][held], minlength=len(values))[members]
        assert counts.sum() == held.sum()
        if 0 < means[n] < len(members):
            assert abs(z_of_chi_square(counts, sizes)) < 4, n
        first = np.bincount(result.positions[:, n, 0][held[:, 0]], minlength=len(values))[members]
        if len(members) > 1:
            assert abs(z_of_chi_square(first, held[:, 0].astype(int))) < 4, n
    return means


def test_samples_are_uniform_where_activations_are_spread():
    values = np.random.default_rng(1).exponential(1.0, 400).astype(np.float32)
    means = check_uniform(values, 5, 15)
    counts = np.bincount(intervals_of(values), minlength=10)
    assert (means >= 0.97 * np.minimum(counts, 5)).all()


def test_samples_are_uniform_where_an_edge_cuts_a_crowded_bin():
    # Edges at 9 and 10 of 10: the bin [8.75, 9) to [9, 9.5) of R = 16 has 300 outside of the tenth interval, 6 inside.
    crowd, cut, apart = np.full(300, 9.0), np.linspace(9.05, 9.45, 6), np.linspace(9.55, 10.0, 8)
    values = np.concatenate([crowd, cut, apart]).astype(np.float32)
    means = check_uniform(values, 4, 12)
    assert means[9] > 0.1  # some are drawn, though seldom all that were asked for
    assert means[8] == 4


def test_samples_are_uniform_where_a_cut_bin_holds_some_more_outside_than_inside():
    values = np.concatenate([np.full(50, 9.0), np.linspace(9.05, 9.45, 20), np.linspace(9.55, 10.0, 20)])
    assert check_uniform(values.astype(np.float32), 4, 6)[9] > 0.5


def test_taking_all_that_is_held_would_not_be_uniform():
    """The check above sees it: without the limit, members of the cut bin are drawn too seldom."""
    crowd, cut, apart = np.full(300, 9.0), np.linspace(9.05, 9.45, 6), np.linspace(9.55, 10.0, 8)
    values = np.concatenate([crowd, cut, apart]).astype(np.float32)
    state = copies(values, 12)
    inside = np.arange(300, len(values))
    lots = state.sample.positions.reshape(N_FEATURES, 32, -1)
    held = (np.arange(12) < state.sample.n.reshape(N_FEATURES, 32, 1)) & np.isin(lots, inside)
    counts = np.bincount(lots[held], minlength=len(values))[inside]
    assert z_of_chi_square(counts, held.sum((1, 2))) > 20


def test_another_seed_draws_another_sample(found):
    first, again, other = (
        intervals(accumulated(found, 5, per_bin=3 * K, seed=seed), K).positions for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert (first != other).mean() > 0.3


def test_positions_of_a_group_have_no_equal_priorities():
    state = Accumulator(1, 1, 6, SKETCH, 0)
    positions = np.arange(100_000, dtype=np.uint32)
    priorities = state.sample_priority(np.zeros(len(positions), np.int64), positions)
    assert len(np.unique(priorities)) == len(positions)


def test_items_of_nothing_change_nothing():
    state = Accumulator(2, 1, 6, SKETCH, 0)
    kinds = (np.int32, np.float32, np.uint32, np.int64, np.uint64)
    state.add(Items(*(np.zeros(0, kind) for kind in kinds)))
    assert not state.count.any()
