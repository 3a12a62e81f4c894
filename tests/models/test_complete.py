"""Tokens found by their text: how they begin, and the nearest to a text that is none."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.errors import TargetError
from saewidgets.models import LanguageModel
from saewidgets.models.complete import TokenFinder
from saewidgets.models.tokens import Vocabulary
from tests.conftest import BOS

WORDS = [
    "<s>",
    " Paris",
    "Paris",
    " Par",
    "par",
    " paris",
    " Parisian",
    " Rome",
    "\u00e9t\u00e9",
    " the",
    " Paros",
    " ",
]


class Words(Vocabulary):
    """A vocabulary of known words; the first is special, and one piece is half a character."""

    def __init__(self, words):
        super().__init__(None)
        self.special_ids = frozenset({0})
        self.tokenizer = [*words, "half"]
        self.words = [*(word.encode() for word in words), b"\xc3"]

    def pieces(self, ids):
        return tuple(self.words[i] for i in ids)


@pytest.fixture
def finder():
    return TokenFinder(Words(WORDS), 1000)


def texts(found):
    return [text for _, text in found]


def test_own_beginning_first_then_after_a_space_then_in_any_case(finder):
    assert texts(finder.complete("Par")) == ["Paris", " Par", " Paris", " Paros", " Parisian", "par", " paris"]
    assert texts(finder.complete(" Par")) == [" Par", " Paris", " Paros", " Parisian", "par", "Paris", " paris"]


def test_ids_come_with_the_texts(finder):
    assert finder.complete("Rom") == [(7, " Rome")]
    assert all(WORDS[token_id] == text for token_id, text in finder.complete(""))


def test_shorter_comes_first_and_of_equal_length_the_lower_id(finder):
    assert finder.complete(" P", 3) == [(3, " Par"), (1, " Paris"), (10, " Paros")]


@pytest.mark.parametrize("n", [0, 1, 3])
def test_at_most_n(finder, n):
    assert finder.complete("Par", n) == finder.complete("Par", 100)[:n]


def test_case_is_ignored_only_where_nothing_else_begins_so(finder):
    assert texts(finder.complete("rOME")) == [" Rome"]
    assert texts(finder.complete("PARI")) == ["Paris", " Paris", " paris", " Parisian"]


def test_nothing_begins_so(finder):
    assert finder.complete("xyz") == []


def test_specials_and_halves_of_characters_are_left_out(finder):
    every = texts(finder.complete("", 100))
    assert "<s>" not in every
    assert len(every) == len(WORDS) - 1
    assert finder.complete("<s") == []
    assert texts(finder.complete("\u00e9")) == ["\u00e9t\u00e9"]


def test_only_whitespace_matches_what_begins_with_it(finder):
    assert set(texts(finder.complete(" ", 100))) == {word for word in WORDS if word.startswith(" ")}
    assert texts(finder.complete("  ")) == []


def test_ids_that_the_model_does_not_read_are_left_out():
    assert TokenFinder(Words(WORDS), 3).complete("Par", 100) == [(2, "Paris"), (1, " Paris")]


def test_texts_are_read_once(finder, monkeypatch):
    finder.complete("Par")
    monkeypatch.setattr(Words, "pieces", None)
    assert finder.complete("Rom")


def test_nearest_shares_the_first_letter_and_the_space(finder):
    assert finder.nearest(" Pariss") == [" Paris", " paris", "Paris"]
    assert finder.nearest("Pariss")[0] == "Paris"
    assert finder.nearest(" Rom") == [" Rome"]
    assert finder.nearest(" Parisians", 1) == [" Parisian"]


@pytest.mark.parametrize("text", ["", " ", "\u4e2d\u6587"])
def test_nothing_is_near(finder, text):
    assert finder.nearest(text) == []


def test_model_completes_from_its_own_vocabulary(bridge):
    model = LanguageModel(bridge)
    found = model.complete(" th")
    assert found
    assert all(model.token_text(token_id) == text for token_id, text in found)
    assert found[0][1].startswith(" th")
    assert BOS not in texts(model.complete("", 10_000))
    assert len(model.complete("", 5)) == 5


def test_token_id_of_a_text_and_of_an_id(bridge):
    model = LanguageModel(bridge)
    token_id, text = model.complete(" th", 1)[0]
    assert model.token_id(text) == token_id
    assert model.token_id(token_id) == token_id
    assert model.token_id(model.d_vocab - 1) == model.d_vocab - 1
    assert type(model.token_id(np.int64(5))) is int


def test_text_that_is_not_one_token_shows_its_split_and_the_nearest(bridge):
    model = LanguageModel(bridge)
    ids, pieces = model.vocabulary.encode(" the cat")
    with pytest.raises(TargetError) as caught:
        model.token_id(" the cat")
    message = str(caught.value)
    assert " + ".join(repr(piece.decode()) for piece in pieces) in message
    assert f"target={[int(i) for i in ids]}" in message
    nearest = model._finder.nearest(" the cat")
    assert len(nearest) == 3
    assert all(repr(text) in message for text in nearest)


def test_empty_text_is_no_token(bridge):
    with pytest.raises(TargetError, match="not one token[\\s\\S]*empty"):
        LanguageModel(bridge).token_id("")


@pytest.mark.parametrize("token", [-1, 10**9, True, 1.0, None, (1,), b"the"])
def test_what_is_no_token(bridge, token):
    model = LanguageModel(bridge)
    with pytest.raises(TargetError, match=r"not a token[\s\S]*0\.\.320"):
        model.token_id(token)
