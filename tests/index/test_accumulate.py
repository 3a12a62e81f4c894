"""The state: every part of it against counting one by one, and that order and batches leave no trace."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saewidgets.index import scale as bins
from saewidgets.index.accumulate import Accumulator
from saewidgets.index.bottom_k import BottomK
from saewidgets.index.hashing import priority, salt
from saewidgets.index.settings import SKETCH
from tests.index.planted import accumulated, items, random_items, top_contexts, values_of

D_SAE = 5


@pytest.fixture(scope="module")
def found():
    return random_items()


@pytest.fixture(scope="module")
def state(found):
    return accumulated(found, D_SAE)


def held(part: BottomK, group: int) -> dict[int, float]:
    n = part.n[group]
    return dict(zip(part.positions[group, :n].tolist(), part.values[group, :n].tolist(), strict=True))


@pytest.mark.parametrize("feature", range(D_SAE))
def test_counts_sums_and_maximum(found, state, feature):
    values = values_of(found, feature)
    assert state.count[feature] == len(values)
    assert state.largest[feature] == values.max(initial=0)
    assert state.total.rounded()[feature] == math.fsum(values.astype(np.float64))
    assert state.squares.rounded()[feature] == math.fsum(values.astype(np.float64) ** 2)


@pytest.mark.parametrize("feature", range(D_SAE - 1))
def test_histogram_has_every_activation_between_the_edges_of_its_bin(found, state, feature):
    values, scale = values_of(found, feature), int(state.scale[feature])
    edges = bins.edges(scale)
    assert edges[-1] / 2 <= values.max() < edges[-1]
    assert np.array_equal(state.histogram[feature], np.histogram(values.astype(np.float64), edges)[0])
    linear = np.ldexp(np.arange(65) / 64, scale)
    assert np.array_equal(bins.to_linear(state.histogram[feature]), np.histogram(values.astype(np.float64), linear)[0])
    wide = values.astype(np.float64)
    assert np.allclose(state.mass(np.array([feature]))[0], np.histogram(wide, linear, weights=wide)[0], rtol=1e-12)


@pytest.mark.parametrize("feature", range(D_SAE))
def test_top_contexts_are_the_best_of_each_windows_tokens(found, state, feature):
    n = int((state.top.values[feature] > 0).sum())
    mine = list(zip(state.top.values[feature].tolist(), state.top.positions[feature].tolist(), strict=True))
    assert mine[:n] == top_contexts(found, feature, 4)
    assert n == min(4, len(top_contexts(found, feature, 99)))


def test_same_tokens_fill_one_place_of_the_top_list():
    found = items([0] * 6, [0, 1, 8, 16, 24, 32], [5, 9, 9, 8, 1, 1], hashes=[7, 7, 7, 3, 4])
    state = accumulated(found, 1)
    assert state.top.values[0].tolist() == [9, 1, 1, 0]
    assert state.top.positions[0, :3].tolist() == [1, 24, 32]


@pytest.mark.parametrize("feature", range(D_SAE - 1))
def test_sample_of_a_bin_is_its_lowest_priorities(found, state, feature):
    own = found.features == feature
    values, positions = found.values[own], found.positions[own]
    lot = np.minimum(np.floor(values.astype(np.float64) / 2.0 ** int(state.scale[feature]) * 32), 31)
    priorities = state.sample_priority(np.full(len(values), feature * 32), positions)
    for n in range(32):
        chosen = np.flatnonzero(lot == n)
        chosen = chosen[np.argsort(priorities[chosen])][: state.sample.k]
        expected = dict(zip(positions[chosen].tolist(), values[chosen].tolist(), strict=True))
        assert held(state.sample, feature * 32 + n) == expected


@pytest.mark.parametrize("feature", range(D_SAE))
def test_sketch_holds_the_tokens_of_lowest_priority(found, state, feature):
    positions = found.positions[found.features == feature]
    lowest = positions[np.argsort(priority(salt(0, "token"), positions))][:SKETCH]
    assert held(state.sketch, feature).keys() == set(lowest.tolist())


def same(a: Accumulator, b: Accumulator) -> None:
    for name in ("count", "largest", "scale", "histogram", "upper"):
        assert np.array_equal(getattr(a, name), getattr(b, name)), name
    for name in ("values", "positions", "hashes"):
        assert np.array_equal(getattr(a.top, name), getattr(b.top, name)), name
    for name in ("total", "squares"):
        one, two = getattr(a, name), getattr(b, name)
        one.carry()
        two.carry()
        assert np.array_equal(one.limbs, two.limbs), name
    for part in ("sample", "sketch"):
        one, two = getattr(a, part), getattr(b, part)
        assert [held(one, g) for g in range(len(one.n))] == [held(two, g) for g in range(len(two.n))]


@pytest.mark.parametrize("parts", [1, 3, 40, 4000])
def test_order_and_parts_leave_no_trace(found, state, parts):
    order = np.random.default_rng(parts).permutation(len(found.features))
    same(state, accumulated(found, D_SAE, order, parts))


@pytest.mark.parametrize("rising", [True, False])
def test_maximum_at_the_end_or_at_the_start(found, state, rising):
    order = np.argsort(found.values if rising else -found.values, kind="stable")
    same(state, accumulated(found, D_SAE, order, 200))


def test_state_goes_on_after_it_was_stored(found, state):
    order = np.arange(len(found.features))
    first = accumulated(found, D_SAE, order[:1500])
    second = Accumulator(D_SAE, 4, 6, SKETCH, 0)
    second.restore({name: array.copy() for name, array in first.arrays()})
    second.add(type(found)(*(each[1500:] for each in found)))
    same(state, second)


def test_state_is_as_large_after_many_tokens_as_after_few():
    few, many = (accumulated(random_items(n, n_tokens=n), D_SAE) for n in (100, 20_000))
    assert few.nbytes == many.nbytes


def test_powers_of_two_and_tiny_numbers_fall_into_a_bin():
    values = np.array([1.0, 0.5, 2.0**-8, 2.0**-9, 1e-38, 1.9999999], np.float32)
    state = accumulated(items([0] * 6, range(6), values), 1)
    assert state.scale[0] == 1
    assert state.histogram[0].sum() == 6
    assert state.histogram[0, 0] == 3  # below R / 256 = 2**-7
