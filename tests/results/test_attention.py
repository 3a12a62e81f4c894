"""The numbers of attention patterns, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saewidgets.errors import HookPointError, MismatchError, TokenError
from saewidgets.results.attention import known_layer
from tests.results.attentions import attention_of, looking_back, random_attention

PIECES = [b"<|bos|>", b" a", b" b", b" c", b" a", b" b"]
IDS = [0, 1, 2, 3, 1, 2]


def test_a_previous_token_head():
    (one,) = attention_of([looking_back(6, 1)], PIECES, IDS).heads()
    assert (one.head, one.entropy, one.previous, one.own) == (0, 0.0, 1.0, 0.0)
    assert one.bos == pytest.approx(1 / 5)  # only " a" at 1, whose token before is BOS


def test_a_head_at_rest():
    (one,) = attention_of([looking_back(6, 99)], PIECES, IDS).heads()
    assert (one.bos, one.own, one.duplicate, one.induction, one.entropy) == (1.0, 0.0, 0.0, 0.0, 0.0)
    assert one.previous == pytest.approx(1 / 5)


def test_a_head_that_looks_at_itself():
    (one,) = attention_of([looking_back(6, 0)], PIECES, IDS).heads()
    assert (one.own, one.previous, one.bos) == (1.0, 0.0, 0.0)


def test_duplicate_and_induction_scores_are_over_the_tokens_that_repeat():
    # " a" at 4 and " b" at 5 repeat those at 1 and 2.
    by_three = attention_of([looking_back(6, 3)], PIECES, IDS).heads()[0]
    assert (by_three.duplicate, by_three.induction) == (1.0, 0.0)
    by_two = attention_of([looking_back(6, 2)], PIECES, IDS).heads()[0]
    assert (by_two.duplicate, by_two.induction) == (0.0, 1.0)


def test_induction_needs_a_token_between_the_copies():
    pieces, ids = [b"<|bos|>", b" a", b" a"], [0, 1, 1]
    one = attention_of([looking_back(3, 0)], pieces, ids).heads()[0]
    # What followed the first " a" is the second one itself, which is no earlier token.
    assert one.duplicate == 0.0
    assert math.isnan(one.induction)


def test_scores_that_the_prompt_cannot_have_are_nan():
    one = attention_of([looking_back(3, 1)], [b"x", b"y", b"z"]).heads()[0]
    assert (one.bos, one.previous) == (0.0, 1.0)
    assert math.isnan(one.duplicate)
    assert math.isnan(one.induction)
    only_bos = attention_of([[[1.0]]], [b"<|bos|>"]).heads()[0]
    assert all(math.isnan(value) for value in only_bos[1:])


def test_special_tokens_do_not_repeat():
    pieces = [b"<|bos|>", b"x", b"<|bos|>"]
    assert math.isnan(attention_of([looking_back(3, 2)], pieces, [0, 1, 0]).heads()[0].duplicate)


def test_entropy_is_in_nats():
    pattern = [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]]
    found = attention_of([pattern], [b"<|bos|>", b"a", b"b", b"c"])
    assert found.entropy[0].tolist() == pytest.approx([0, math.log(2), 0, math.log(4)])
    assert found.heads()[0].entropy == pytest.approx(math.log(8) / 3)  # BOS does not count as a query
    assert str(found.entropy[0, 0]) == "0.0"  # and not -0.0


def test_means_leave_special_queries_out():
    pattern = [[1, 0, 0], [0.25, 0.75, 0], [0, 0, 1]]
    one = attention_of([pattern], [b"<|bos|>", b"a", b"<|bos|>"], [0, 1, 0]).heads()[0]
    assert (one.bos, one.own, one.previous) == (0.25, 0.75, 0.25)


def test_of_one_head_and_of_all():
    found = random_attention()
    assert np.array_equal(found.of(2), found.pattern[2])
    assert np.array_equal(found.of(None), found.pattern.max(axis=0))
    for head in (-1, 4, True, 1.0, "1"):
        with pytest.raises(MismatchError, match="0..3"):
            found.of(head)


def test_what_a_token_looks_at():
    pattern = [[1, 0, 0], [0.4, 0.6, 0], [0.5, 0, 0.5]]
    found = attention_of([pattern, looking_back(3, 0)], [b"<|bos|>", b"a", b"b"])
    assert found.by_token(2, head=0) == ((0, 0.5), (2, 0.5))
    assert [one.position for one in found.by_token(1, head=0)] == [1, 0]
    assert [one.position for one in found.by_token(1)] == [1, 0]
    assert found.by_token(1)[0].weight == 1.0
    assert len(found.by_token(1, k=1)) == 1
    assert found.by_token(1, k=-3) == ()
    for position in (3, -1, True, 0.0):
        with pytest.raises(TokenError, match=r"0\.\.2"):
            found.by_token(position)


def test_frame_has_the_lower_triangle():
    found = random_attention(n=5, n_heads=3)
    frame = found.to_frame()
    assert list(frame.columns) == ["head", "query", "key", "query_token", "key_token", "weight"]
    assert len(frame) == 3 * 15
    assert np.all(frame["key"] <= frame["query"])
    sums = np.asarray(frame.groupby(["head", "query"])["weight"].sum())
    assert sums == pytest.approx(np.ones(15), abs=1e-6)
    row = frame[(frame["head"] == 2) & (frame["query"] == 4) & (frame["key"] == 3)].iloc[0]
    assert row["weight"] == found.pattern[2, 4, 3]
    assert (row["query_token"], row["key_token"]) == (found.tokens[4], found.tokens[3])


def test_frame_of_the_heads():
    found = random_attention()
    frame = found.heads_frame()
    assert list(frame.columns) == ["head", "entropy", "bos", "previous", "own", "duplicate", "induction"]
    assert frame["bos"].tolist() == [one.bos for one in found.heads()]


def test_it_tells_of_itself():
    found = random_attention(n=6, n_heads=2)
    assert repr(found) == "Attention(layer=1, 2 heads, 6 tokens, 1 special)"
    assert (len(found), found.n_heads, found.special_mask.tolist()) == (6, 2, [True] + [False] * 5)


@pytest.mark.parametrize("layer", [4, -5, True, 1.0, "1", None])
def test_no_such_layer(layer):
    with pytest.raises(HookPointError, match=r"0\.\.3, or -1\.\.-4"):
        known_layer(layer, 4)


def test_a_model_without_layers():
    with pytest.raises(HookPointError, match="with blocks"):
        known_layer(0, 0)


def test_layers_from_the_last():
    assert [known_layer(layer, 4) for layer in (0, 3, -1, -4, np.int64(2))] == [0, 3, 3, 0, 2]
