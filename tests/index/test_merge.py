"""States of parts of a corpus, merged: the state of the whole, bit for bit, whatever the parts and the order."""

from __future__ import annotations

import math
from functools import reduce
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from saewidgets.errors import MismatchError
from saewidgets.index.accumulate import Accumulator, Items
from saewidgets.index.intervals import intervals
from saewidgets.index.kept_firings import MOST, KeptFirings
from tests.index.planted import items, random_items

D_SAE = 3
TOKENS = 64
VALUES = st.one_of(
    st.floats(2.0**-149, float(np.finfo(np.float32).max), width=32),  # every octave
    st.floats(1 / 64, 64, width=32),
    st.sampled_from([0.5, 1.0, 2.0]),  # equal ones
)
FIRINGS = st.lists(
    st.tuples(st.integers(0, D_SAE - 2), st.integers(0, TOKENS - 1), VALUES), max_size=60, unique_by=lambda row: row[:2]
)
PARTS = st.integers(0, 2**32).map(np.random.default_rng)


def planted(rows) -> Items:
    """Of windows of 8 tokens; the first and the fifth have the same tokens, and so on."""
    features, positions, values = zip(*rows, strict=True) if rows else ((), (), ())
    return items(features, np.array(positions, int), values, hashes=np.arange(8) % 4)


def state_of(found: Items, places: Any = slice(None), per_bin: int = 4, kept: int = MOST) -> Accumulator:
    state = Accumulator(D_SAE, 3, per_bin, 5, 0)
    state.firings = KeptFirings(kept)
    state.add(Items(*(each[places] for each in found)))
    return state


def states_of(found: Items, random: np.random.Generator, n: int) -> list[Accumulator]:
    part = random.integers(0, n, len(found.features))
    return [state_of(found, np.flatnonzero(part == each)) for each in range(n)]


def merged(one: Accumulator, two: Accumulator) -> Accumulator:
    one.merge(two)
    return one


def bits(state: Accumulator) -> dict[str, Any]:
    """All of a state; items of a sample have no order."""
    arrays: dict[str, Any] = {
        name: array.tobytes() for name, array in state.arrays() if not name.startswith(("sample", "sketch"))
    }
    for name in ("sample", "sketch"):
        part = getattr(state, name)
        arrays[name] = [
            sorted(zip(part.positions[g, :n].tolist(), part.values[g, :n].tolist(), strict=True))
            for g, n in enumerate(part.n.tolist())
        ]
    return arrays


@given(FIRINGS, PARTS, st.integers(1, 5))
@example([(0, 0, 1e-30), (0, 1, 1e30), (0, 2, 0.5)], np.random.default_rng(0), 3)
def test_parts_merge_to_the_whole(rows, random, n):
    found = planted(rows)
    assert bits(reduce(merged, states_of(found, random, n))) == bits(state_of(found))


@given(FIRINGS, st.integers(0, 2**32))
def test_the_order_of_merging_leaves_no_trace(rows, seed):
    found = planted(rows)

    def parts() -> list[Accumulator]:
        return states_of(found, np.random.default_rng(seed), 3)

    a, b, c = parts()
    left = bits(merged(merged(a, b), c))
    a, b, c = parts()
    assert bits(merged(a, merged(b, c))) == left
    a, b, c = parts()
    assert bits(merged(merged(c, b), a)) == left


@given(FIRINGS, FIRINGS)
def test_what_is_added_after_a_merge(rows, more):
    both = {row[:2]: row for row in [*rows, *more]}
    first, second = planted(rows), planted([row for key, row in both.items() if key not in {r[:2] for r in rows}])
    state = merged(state_of(first), state_of(planted([])))
    state.add(second)
    assert bits(state) == bits(state_of(planted(rows + [both[k] for k in both if k not in {r[:2] for r in rows}])))


@given(FIRINGS)
def test_sums_of_bins_are_exact(rows):
    found = planted(rows)
    state = state_of(found)
    mass, total = state.mass(np.arange(D_SAE)), state.total.rounded()
    for feature in range(D_SAE):
        values = found.values[found.features == feature].astype(np.float64)
        edge = np.ldexp(1.0, int(state.scale[feature]) - 6) if len(values) else 0
        assert mass[feature, 0] == math.fsum(values[values < edge])
        assert total[feature] == math.fsum(values)
        for column in range(1, 64):
            inside = (values >= edge * column) & (values < edge * (column + 1))
            assert mass[feature, column] == math.fsum(values[inside])


def test_parts_that_fit_make_a_whole_that_does_not():
    found = random_items(2_000, d_sae=D_SAE, n_tokens=1_200)
    whole = state_of(found, kept=1_500)
    halves = [state_of(found, np.arange(start, 2_000, 2), kept=1_500) for start in (0, 1)]
    assert [each.firings.whole for each in (whole, *halves)] == [False, True, True]
    assert bits(merged(*halves)) == bits(whole)


def test_large_states_of_many_octaves():
    found = random_items(20_000, d_sae=D_SAE, n_tokens=12_000, spread=4.0)
    order = np.argsort(found.values)  # the parts lie octaves apart
    whole = state_of(found)
    for parts in (np.array_split(order, 7), np.array_split(order[::-1], 3)):
        state = reduce(merged, [state_of(found, part) for part in parts])
        assert bits(state) == bits(whole)
        for one, two in zip(intervals(state, 1), intervals(whole, 1), strict=True):
            assert np.array_equal(one, two)


@pytest.mark.parametrize("other", [(4, 3, 4, 5, 0), (D_SAE, 2, 4, 5, 0), (D_SAE, 3, 9, 5, 0), (D_SAE, 3, 4, 5, 1)])
def test_states_that_were_made_otherwise_do_not_merge(other):
    with pytest.raises(MismatchError, match="merge"):
        state_of(planted([])).merge(Accumulator(*other))
