"""The result of a continuation and of a next-token question, from given numbers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from saewidgets.results import Generation, NextToken, Tokens


def tokens(*texts: str) -> Tokens:
    ids = np.array([len(text) * 100 + ord(text[0]) for text in texts], np.int64)
    return Tokens(ids, tuple(text.encode() for text in texts), np.zeros(len(texts), bool))


def generation(*new: str, **changes) -> Generation:
    n = len(new)
    given = {
        "prompt_tokens": tokens("the", " cat"), "new_tokens": tokens(*new), "logprobs": -np.arange(1.0, n + 1),
        "base_logprobs": -2 * np.arange(1.0, n + 1), "kl": np.full(n, 0.5), "steered": np.arange(1 + n) == 1,
        "edits": ("sae/3: x - f d",), "model": "tiny",
    }  # fmt: skip
    return Generation(**{**given, **changes})


def test_generation_says_what_it_is():
    found = generation(" sat", " down")
    assert (len(found), found.text, found.tokens) == (2, " sat down", ("the", " cat", " sat", " down"))
    assert repr(found) == "Generation(' sat down', 2 tokens, sae/3: x - f d, ended by length)"
    assert "no edits, ended by eos" in repr(generation("a", edits=(), stopped="eos"))


def test_generation_as_a_frame():
    frame = generation(" sat", " down").to_frame()
    assert frame["position"].tolist() == [0, 1, 2, 3]
    assert frame["token"].tolist() == ["the", " cat", " sat", " down"]
    assert frame["steered"].tolist() == [False, True, False, False]
    np.testing.assert_array_equal(frame["logprob"], [np.nan, np.nan, -1, -2])
    np.testing.assert_array_equal(frame["base_logprob"], [np.nan, np.nan, -2, -4])
    np.testing.assert_array_equal(frame["kl"], [np.nan, np.nan, 0.5, 0.5])


def test_frame_of_nothing_written():
    frame = generation(steered=np.zeros(2, bool)).to_frame()
    assert len(frame) == 2
    assert frame["steered"].tolist() == [False, False]


@pytest.mark.parametrize(
    ("text", "share"),
    [("", 0), ("a", 0), ("ab", 0), ("abc", 0), ("aaaa", 1 / 2), ("abcabc", 1 / 4), ("abcabcabc", 4 / 7), ("abcd", 0)],
)
def test_repetition_is_the_share_of_runs_of_three_seen_before(text, share):
    assert generation(*text).repetition == pytest.approx(share)


def test_next_token():
    found = NextToken(
        tokens("the", " cat"), np.array([7, 3, 5]), (" sat", " ran", "!"), np.array([0.5, 0.1, 0.2]),
        np.array([0.1, 0.6, 0.2]), 0.25, ("sae/3: x - f d",), np.array([False, True]), "tiny",
    )  # fmt: skip
    assert len(found) == 3
    assert found.top(2) == ((7, " sat", 0.5, 0.1), (3, " ran", 0.1, 0.6))
    assert found.top(2)[1].edited == 0.6
    assert found.top(99) == found.top(3)
    assert found.top(-1) == ()
    assert (
        repr(found)
        == "NextToken(' sat' 0.500→0.100, ' ran' 0.100→0.600, '!' 0.200→0.200; KL 0.25 nats; 1 of 2 steered)"
    )
    frame = found.to_frame()
    assert list(frame.columns) == ["token", "id", "base", "edited"]
    assert frame["edited"].tolist() == [0.1, 0.6, 0.2]


def test_pickle_round_trip():
    found = generation(" sat")
    again = pickle.loads(pickle.dumps(found))
    assert again.text == " sat"
    assert np.array_equal(again.steered, found.steered)
