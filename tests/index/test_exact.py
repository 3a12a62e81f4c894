"""Sums without rounding, against whole numbers and ``math.fsum``."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saewidgets.index import exact
from saewidgets.index.exact import ExactSums

FLOATS = st.floats(0, float(np.finfo(np.float32).max), width=32)


def sums(values, n: int = 1) -> ExactSums:
    out = ExactSums(n, -149, 128)
    out.add(np.arange(len(values)) % n, np.array(values, np.float64))
    return out


@given(st.lists(FLOATS, max_size=40))
def test_sums_are_rounded_once(values):
    assert sums(values).rounded().tolist() == [math.fsum(values)]


@given(st.lists(FLOATS, max_size=40))
def test_squares_are_exact_from_the_smallest_number_to_the_largest(values):
    squares = np.array(values, np.float64) ** 2
    out = ExactSums(1, -298, 256)
    out.add(np.zeros(len(values), int), squares)
    assert out.rounded().tolist() == [math.fsum(squares.tolist())]


@given(st.lists(FLOATS, max_size=40), st.randoms(use_true_random=False), st.integers(0, 40))
def test_order_and_parts_give_the_same_limbs(values, random, cut):
    shuffled = random.sample(values, len(values))
    one, two = sums(values), sums(shuffled[:cut])
    two.merge(sums(shuffled[cut:]))
    one.carry()
    assert np.array_equal(one.limbs, two.limbs)


@given(st.lists(FLOATS, max_size=20), st.lists(FLOATS, max_size=20))
def test_what_was_added_can_be_taken_away(kept, taken):
    out = sums(kept + taken)
    out.add(np.zeros(len(taken), int), np.array(taken, np.float64), sign=-1)
    assert out.rounded().tolist() == [math.fsum(kept)]


def test_groups_are_apart():
    out = sums([1.0, 2.0, 4.0, 8.0, 16.0], n=3)
    assert out.rounded().tolist() == [9, 18, 4]
    assert out.of(np.array([2, 0])).rounded().tolist() == [4, 9]


@pytest.mark.parametrize("value", [2.0**-149, 3.4028234663852886e38, 1.0, 0.1])
def test_many_numbers_carry(monkeypatch, value):
    monkeypatch.setattr(exact, "_CARRY_AFTER", 1000)
    wide = float(np.float32(value))
    assert sums([wide] * 5000).rounded()[0] == 5000 * wide


def test_the_most_numbers_that_may_come_have_room():
    out = sums([float(np.finfo(np.float32).max)])
    out.limbs *= 2**30  # as many before a carry
    out.carry()
    out.limbs *= 2**3
    assert out.rounded()[0] == 2.0**33 * float(np.finfo(np.float32).max)
