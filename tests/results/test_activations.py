"""Sparse activations, with answers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.errors import FeatureIndexError, TokenError
from saewidgets.results import Activations, ActivationsBatch, Tokens


@pytest.fixture
def found() -> Activations:
    """Tokens <|bos|> a b c; feature 1: 2, 0, 4; feature 5: 3, 3, 0; feature 7: 0, 4, 0 on a, b, c."""
    return Activations(
        prompt_tokens=Tokens(np.array([0, 10, 11, 12]), (b"<|bos|>", b"a", b"b", b"c"), np.array([True, *[False] * 3])),
        indptr=np.array([0, 0, 2, 4, 5]),
        indices=np.array([1, 5, 5, 7, 1], np.int32),
        values=np.array([2, 3, 3, 4, 4], np.float32),
        masked=np.array([True, False, False, False]),
        d_sae=9,
        sae="mid",
        model="tiny",
        hook="hook_embed",
    )


def test_top_by_largest_ties_by_number(found):
    assert found.top(2) == ((1, 4.0, 3.0, 2, 3), (7, 4.0, 4.0, 1, 2))
    assert [row.feature for row in found.top()] == [1, 7, 5]


def test_top_by_mean_and_by_count(found):
    assert [row.feature for row in found.top(by="mean")] == [7, 1, 5]
    assert [row.feature for row in found.top(by="count")] == [1, 5, 7]


def test_position_of_the_largest_is_the_first(found):
    assert {row.feature: row.position for row in found.top()}[5] == 1


@pytest.mark.parametrize("k", [0, -3])
def test_top_of_none(found, k):
    assert found.top(k) == ()


def test_feature_is_dense_over_the_prompt(found):
    assert found.feature(1).tolist() == [0, 2, 0, 4]
    assert found.feature(8).tolist() == [0, 0, 0, 0]
    assert found.feature(np.int64(5)).dtype == np.float32


@pytest.mark.parametrize("index", [9, -1, 10**6])
def test_feature_out_of_range(found, index):
    with pytest.raises(FeatureIndexError, match=r"0\.\.8"):
        found.feature(index)


def test_feature_true_is_not_feature_one(found):
    with pytest.raises(FeatureIndexError):
        found.feature(True)


def test_by_token_largest_first(found):
    assert found.by_token(2) == ((7, 4.0), (5, 3.0))
    assert found.by_token(2, k=1) == ((7, 4.0),)
    assert found.by_token(0) == ()


@pytest.mark.parametrize("position", [4, -1, True])
def test_position_that_is_not_there(found, position):
    with pytest.raises(TokenError, match=r"0\.\.3"):
        found.by_token(position)


def test_frame(found):
    frame = found.to_frame()
    assert list(frame.columns) == ["position", "token", "feature", "activation"]
    assert frame.to_numpy().tolist()[2:4] == [[2, "b", 5, 3.0], [2, "b", 7, 4.0]]
    assert len(frame) == 5


def test_parts(found):
    assert found.tokens == ("<|bos|>", "a", "b", "c")
    assert found.token_ids.tolist() == [0, 10, 11, 12]
    assert found.special_mask.tolist() == [True, False, False, False]
    assert len(found) == 4


def test_batch_is_a_sequence(found):
    batch = ActivationsBatch((found, found))
    assert (len(batch), batch[1], list(batch)) == (2, found, [found, found])
    assert len(batch[:1]) == 1
    assert isinstance(batch[:1], ActivationsBatch)


def test_frame_of_a_batch_says_which_prompt(found):
    frame = ActivationsBatch((found, found)).to_frame()
    assert list(frame.columns) == ["prompt", "position", "token", "feature", "activation"]
    assert frame["prompt"].tolist() == [0] * 5 + [1] * 5


def test_frame_of_an_empty_batch_has_its_columns():
    frame = ActivationsBatch(()).to_frame()
    assert list(frame.columns) == ["prompt", "position", "token", "feature", "activation"]
    assert len(frame) == 0
