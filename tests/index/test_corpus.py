"""A corpus as windows: what may be given, how it is cut, and going on from a place."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets.errors import MismatchError, PromptError, TokenError
from saewidgets.index.corpus import Corpus, Place
from saewidgets.models import LanguageModel
from tests.conftest import TEXTS


@pytest.fixture(scope="module")
def model(bridge):
    return LanguageModel(bridge)


def cut(model, texts, context=8, prepend=None):
    return [(window.ids.tolist(), window.text, window.offset) for window in Corpus(model, texts, context, prepend)]


def test_text_is_cut_into_windows_with_bos_in_front_of_each(model):
    ids = model.vocabulary.encode_ids(TEXTS[0])
    bos = model.vocabulary.bos_id
    found = cut(model, [TEXTS[0]])
    assert [offset for _, _, offset in found] == list(range(0, len(ids), 7))
    assert [token for window, _, _ in found for token in window[1:]] == ids
    assert {window[0] for window, _, _ in found} == {bos}
    assert max(len(window) for window, _, _ in found) == 8


def test_no_bos_where_the_sae_was_trained_without(model):
    ids = model.vocabulary.encode_ids(TEXTS[0])
    assert [token for window, _, _ in cut(model, [TEXTS[0]], prepend=False) for token in window] == ids


def test_text_that_begins_with_bos_gets_no_second(model):
    assert cut(model, ["<|bos|>the cat"]) == cut(model, ["the cat"])


def test_first_windows_are_what_the_lab_reads(model):
    assert cut(model, ["the cat"])[0][0] == model.tokenize("the cat").ids.tolist()


def test_token_ids_are_taken_as_they_are(model):
    assert cut(model, [[5, 6, 7]]) == [([5, 6, 7], 0, 0)]
    assert cut(model, [np.arange(1, 13)]) == [(list(range(1, 9)), 0, 0), (list(range(9, 13)), 0, 8)]
    assert cut(model, [torch.arange(0, 12)]) == [([0, *range(1, 8)], 0, 0), ([0, *range(8, 12)], 0, 7)]
    assert cut(model, torch.ones(2, 3, dtype=torch.int32)) == [([1, 1, 1], 0, 0), ([1, 1, 1], 1, 0)]


@pytest.mark.parametrize("column", ["text", "input_ids", "tokens"])
def test_rows_of_a_dataset(model, column):
    value = "the cat" if column == "text" else [5, 6]
    assert cut(model, [{"other": 1, column: value}]) == cut(model, [value])


def test_datasets_of_hugging_face(model):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"text": TEXTS[:2]})
    assert cut(model, rows) == cut(model, TEXTS[:2])


def test_empty_texts_are_passed_over_and_counted(model):
    corpus = Corpus(model, ["", "the cat", []], 8, None)
    assert [window.text for window in corpus] == [1]
    assert (corpus.place.texts, corpus.place.empty) == (3, 2)


@pytest.mark.parametrize(
    ("texts", "error", "what"),
    [("one text", PromptError, "not a corpus"), (7, PromptError, "not a corpus"),
     ({"text": ["a"]}, PromptError, "not a corpus"), (["the", {"label": 3}], PromptError, "Text 1 "),
     (["the", 7.5], PromptError, "Text 1 "), (["the", None], PromptError, "Text 1 "),
     (["a\ud800b"], PromptError, "Text 0 "), ([[1], [99_999]], TokenError, "Text 1 "),
     ([[1], [-1]], TokenError, "Text 1 "), ([[[1], [2]]], PromptError, "Text 0 "),
     ([[1.5]], TokenError, "Text 0 ")],
)  # fmt: skip
def test_what_is_no_text_is_named(model, texts, error, what):
    with pytest.raises(error, match=what):
        list(Corpus(model, texts, 8, None))


@pytest.mark.parametrize("n", range(14))
def test_goes_on_after_any_window(model, n):
    texts = [TEXTS[0], "", TEXTS[1], [5, 6], ""]
    first = Corpus(model, texts, 8, None)
    every = [window.ids.tolist() for window in Corpus(model, texts, 8, None)]
    given = iter(first)
    before = [next(given).ids.tolist() for _ in range(min(n, len(every)))]
    place = Place(**vars(first.place))
    second = Corpus(model, iter(texts), 8, None, place)
    assert before + [window.ids.tolist() for window in second] == every
    assert vars(second.place) == vars(Place(5, 0, 2, Corpus(model, texts, 8, None).digest()))


@pytest.mark.parametrize("others", [["the dog", TEXTS[1]], [TEXTS[0]], []])
def test_other_texts_before_the_place_are_noticed(model, others):
    first = Corpus(model, ["the cat", TEXTS[1], TEXTS[2]], 8, None)
    given = iter(first)
    for _ in range(4):
        next(given)
    with pytest.raises(MismatchError, match="not those"):
        list(Corpus(model, others, 8, None, first.place))


def test_windows_of_the_same_tokens_have_the_same_hash(model):
    one, two, three = Corpus(model, ["the cat", "the cat", "the dog"], 8, None)
    assert one.hash == two.hash != three.hash


def test_hash_of_the_texts_tells_text_from_ids_and_where_one_ends(model):
    hashes = [Corpus(model, texts, 8, None).digest() for texts in (["ab"], ["a", "b"], ["b", "a"], [[97]], ["a"])]
    assert len(set(hashes)) == len(hashes)
