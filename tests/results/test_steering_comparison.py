"""Two texts side by side: what they share, and what the frame holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from saewidgets.results import NextToken, SteeringComparison
from saewidgets.results.steering_comparison import differing
from tests.results.test_generation import generation, tokens

IDS = some.lists(some.integers(0, 3), max_size=12)


def comparison(base, steered) -> SteeringComparison:
    none = np.zeros(0)
    following = NextToken(tokens("the", " cat"), none, (), none, none, 0.0, ("sae/3: x - f d",), none, "tiny")
    return SteeringComparison(following, base, steered)


@given(IDS, IDS)
def test_what_does_not_differ_is_the_same_in_both(one, other):
    first, second = differing(np.array(one, int), np.array(other, int))
    np.testing.assert_array_equal(np.array(one, int)[~first], np.array(other, int)[~second])


@given(IDS)
def test_equal_texts_do_not_differ(ids):
    assert not differing(np.array(ids, int), np.array(ids, int))[0].any()


def test_texts_without_a_common_token_differ_everywhere():
    assert [side.all() for side in differing(np.array([1, 2]), np.array([3]))] == [True, True]


def test_frame_has_both_texts_of_each_sample():
    found = comparison((generation(" sat"), generation(" ran", " on")), (generation(" sat"), generation(" ran")))
    frame = found.to_frame()
    assert frame.columns[:2].tolist() == ["sample", "text"]
    assert frame["sample"].tolist() == [0, 0, 1, 1, 1]
    assert frame["text"].tolist() == ["base", "steered", "base", "base", "steered"]
    assert frame["token"].tolist() == [" sat", " sat", " ran", " on", " ran"]
    assert frame["differs"].tolist() == [False, False, False, True, False]
    assert frame["position"].tolist() == [2, 2, 2, 3, 2]
    assert repr(found).startswith("SteeringComparison(' sat' → ' sat'; ' ran on' → ' ran'; sae/3")
    assert found.edits == ("sae/3: x - f d",)


def test_no_texts():
    assert comparison((), ()).to_frame().empty
    assert "no text" in repr(comparison((), ()))
    with pytest.raises(IndexError):
        comparison((), ()).differs()
