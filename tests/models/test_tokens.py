"""Tokens as people read them: bytes of pieces, special tokens, prompts of every form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from saewidgets.errors import PromptError, TokenError
from saewidgets.models.tokenize import id_tokens, split_prompts, text_tokens
from saewidgets.models.tokens import Vocabulary

BATTERY = {
    "plain": "the cat sat on the mat",
    "accents": "café Zürich naïve",
    "combining": "e\u0301 o\u0308\u0323",
    "emoji": "a 🙂 and a family 👩\u200d👩\u200d👧\u200d👦 and a flag 🏴\u200d☠️",
    "hebrew": "שלום עולם",
    "bidi": "left \u202eright\u202c left",
    "nul": "a\x00b",
    "lines": "one\r\ntwo\n\n\tthree  ",
    "html": "</script><img src=x onerror=alert(1)> &amp; <bos>",
    "spaces": "  two before, four    inside",
    "braille": "⠃⠗",
}


@pytest.fixture(scope="module")
def vocabulary(tokenizer) -> Vocabulary:
    return Vocabulary(tokenizer)


def tokens_of(vocabulary: Vocabulary, text: str, **options):
    return text_tokens(vocabulary, text, **{"prepend_bos": False, "n_ctx": 1000, "d_vocab": 10_000, **options})


@pytest.mark.parametrize("text", BATTERY.values(), ids=BATTERY.keys())
def test_bytes_of_byte_level_pieces_are_the_bytes_of_the_text(vocabulary, text):
    ids, pieces = vocabulary.encode(text)
    assert b"".join(pieces) == text.encode()
    assert len(ids) == len(pieces)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_text_round_trips_byte_level(tokenizer, text):
    assert b"".join(Vocabulary(tokenizer).encode(text)[1]) == text.encode()


@pytest.mark.parametrize("text", BATTERY.values(), ids=BATTERY.keys())
def test_bytes_of_metaspace_pieces_are_the_bytes_of_the_text(metaspace_tokenizer, text):
    vocabulary = Vocabulary(metaspace_tokenizer)
    assert vocabulary.style == "metaspace"
    assert b"".join(vocabulary.encode(text)[1]) == text.encode()


def test_metaspace_space_that_the_tokenizer_adds_is_not_shown_and_others_are(metaspace_tokenizer):
    _, pieces = Vocabulary(metaspace_tokenizer).encode("sat sat")
    assert pieces == (b"s", b"at", b" s", b"at")


def test_metaspace_token_that_is_only_the_added_space_has_no_bytes(metaspace_tokenizer):
    assert Vocabulary(metaspace_tokenizer).encode("cat")[1][0] == b""


def test_metaspace_newline_is_one_byte_piece(metaspace_tokenizer):
    vocabulary = Vocabulary(metaspace_tokenizer)
    ids, pieces = vocabulary.encode("cat\nsat")
    newline = metaspace_tokenizer.convert_tokens_to_ids("<0x0A>")
    assert pieces[ids.index(newline)] == b"\n"


def test_metaspace_special_token_in_front_of_the_text(metaspace_tokenizer):
    ids, pieces = Vocabulary(metaspace_tokenizer).encode("<s>cat")
    assert (ids[0], pieces[0], b"".join(pieces)) == (1, b"<s>", b"<s>cat")


def test_word_pieces_are_slices_of_the_text_though_the_tokenizer_lowers_it(word_piece_tokenizer):
    vocabulary = Vocabulary(word_piece_tokenizer)
    _, pieces = vocabulary.encode("The  Cats sat. ")
    assert pieces == (b"The", b"  Cat", b"s", b" sat", b". ")


def test_word_piece_ids_without_their_text_are_decoded(word_piece_tokenizer):
    assert Vocabulary(word_piece_tokenizer).pieces([1, 3]) == (b"[CLS]", b"cat")


def test_added_tokens_that_are_not_special_stand_for_their_text(vocabulary, tokenizer):
    four_spaces = tokenizer.convert_tokens_to_ids("    ")
    assert vocabulary.pieces([four_spaces]) == (b"    ",)
    assert vocabulary.is_special([0, four_spaces]) == [True, False]


def test_id_that_the_tokenizer_does_not_have_is_shown_as_a_number(vocabulary, tokenizer):
    assert vocabulary.pieces([len(tokenizer) + 5]) == (f"<{len(tokenizer) + 5}>".encode(),)


def test_bos_is_put_in_front_and_marked(vocabulary):
    tokens = tokens_of(vocabulary, "the cat", prepend_bos=True)
    assert tokens.pieces[0] == b"<|bos|>"
    assert tokens.special.tolist() == [True] + [False] * (len(tokens) - 1)
    assert tokens.text == "the cat"


def test_bos_written_in_the_text_is_not_doubled(vocabulary):
    tokens = tokens_of(vocabulary, "<|bos|>the cat", prepend_bos=True)
    assert tokens.ids.tolist().count(0) == 1
    assert tokens.special[0]


def test_special_token_inside_the_text_is_marked(vocabulary):
    tokens = tokens_of(vocabulary, "the<|bos|>cat", prepend_bos=True)
    assert tokens.ids.tolist().count(0) == 2
    assert tokens.special.sum() == 2


def test_text_longer_than_the_context_is_cut_and_says_by_how_much(vocabulary):
    whole = tokens_of(vocabulary, "the cat " * 50, prepend_bos=True)
    cut = tokens_of(vocabulary, "the cat " * 50, prepend_bos=True, n_ctx=32)
    assert (len(cut), cut.n_dropped, whole.n_dropped) == (32, len(whole) - 32, 0)
    assert cut.ids.tolist() == whole.ids[:32].tolist()


def test_empty_text_is_refused_even_with_bos(vocabulary):
    with pytest.raises(PromptError, match="no tokens"):
        tokens_of(vocabulary, "", prepend_bos=True)


@pytest.mark.parametrize("text", ["a\ud800b", "\udfff"])
def test_half_a_surrogate_pair_is_refused(vocabulary, text):
    with pytest.raises(PromptError, match="surrogate"):
        tokens_of(vocabulary, text)


def test_text_without_tokenizer_is_refused():
    with pytest.raises(PromptError, match="no tokenizer"):
        tokens_of(Vocabulary(None), "the cat")


def test_ids_without_tokenizer_are_shown_as_numbers():
    tokens = id_tokens(Vocabulary(None), [3, 5], n_ctx=8, d_vocab=12)
    assert tokens.strings == ("<3>", "<5>")
    assert not tokens.special.any()


@pytest.mark.parametrize(
    "ids",
    [[0, 5, 6], (0, 5, 6), np.array([0, 5, 6], np.int32), torch.tensor([0, 5, 6]), [np.int64(0), np.int64(5), 6]],
    ids=["list", "tuple", "array", "tensor", "numpy numbers"],
)
def test_ids_of_any_form_are_taken_as_they_are(vocabulary, ids):
    tokens = id_tokens(vocabulary, ids, n_ctx=8, d_vocab=100)
    assert tokens.ids.tolist() == [0, 5, 6]
    assert tokens.ids.dtype == np.int64
    assert tokens.special.tolist() == [True, False, False]


def test_ids_of_text_give_the_text_back(vocabulary):
    ids, _ = vocabulary.encode(BATTERY["emoji"])
    assert id_tokens(vocabulary, ids, n_ctx=1000, d_vocab=1000).text == BATTERY["emoji"]


@pytest.mark.parametrize("wrong", [-1, 12, 2**40])
def test_id_outside_the_vocabulary_is_named_with_the_range(vocabulary, wrong):
    with pytest.raises(TokenError, match=rf"token id {wrong}\n  expected: a token id in 0\.\.11"):
        id_tokens(vocabulary, [1, wrong], n_ctx=8, d_vocab=12)


@pytest.mark.parametrize("edge", [0, 11])
def test_ids_at_both_ends_of_the_vocabulary_pass(vocabulary, edge):
    assert id_tokens(vocabulary, [edge], n_ctx=8, d_vocab=12).ids.tolist() == [edge]


def test_tokenizer_larger_than_the_model_is_noticed(vocabulary):
    with pytest.raises(TokenError, match=r"0\.\.3"):
        tokens_of(vocabulary, "the cat", d_vocab=4)


def test_more_ids_than_the_context_holds_names_both_numbers(vocabulary):
    with pytest.raises(PromptError, match=r"9 token ids\n  expected: at most 8"):
        id_tokens(vocabulary, [1] * 9, n_ctx=8, d_vocab=12)


@pytest.mark.parametrize("ids", [[], np.zeros(0), torch.zeros(0, dtype=torch.long)], ids=["list", "array", "tensor"])
def test_no_ids_are_refused(vocabulary, ids):
    with pytest.raises(PromptError, match="no tokens"):
        id_tokens(vocabulary, ids, n_ctx=8, d_vocab=12)


@pytest.mark.parametrize("ids", [[1.0, 2.0], [True, False], [1, True], np.array([0.5]), torch.tensor([True])], ids=repr)
def test_ids_that_are_not_whole_numbers_are_refused(vocabulary, ids):
    with pytest.raises(TokenError, match="whole numbers"):
        id_tokens(vocabulary, ids, n_ctx=8, d_vocab=12)


@pytest.mark.parametrize("prompt", [None, 3, b"bytes", {"a": 1}, 2.5], ids=repr)
def test_what_is_no_prompt_is_refused(vocabulary, prompt):
    with pytest.raises(PromptError, match="not a prompt"):
        id_tokens(vocabulary, prompt, n_ctx=8, d_vocab=12)


@pytest.mark.parametrize("ids", [torch.zeros(2, 3, dtype=torch.long), torch.tensor(3)], ids=["two", "none"])
def test_ids_of_another_rank_are_refused(vocabulary, ids):
    with pytest.raises(PromptError, match="flat list"):
        id_tokens(vocabulary, ids, n_ctx=8, d_vocab=12)


@pytest.mark.parametrize(
    ("prompt", "n", "several"),
    [
        ("the cat", 1, False),
        ([1, 2, 3], 1, False),
        ([], 1, False),
        (torch.tensor([1, 2]), 1, False),
        (["a", "b"], 2, True),
        ([[1, 2], [3]], 2, True),
        ([torch.tensor([1]), np.array([2, 3]), "c"], 3, True),
        (torch.ones(4, 2, dtype=torch.long), 4, True),
        (np.ones((1, 2), int), 1, True),
    ],
)
def test_one_prompt_is_told_from_several(prompt, n, several):
    prompts, many = split_prompts(prompt)
    assert (len(prompts), many) == (n, several)


def test_users_tokenizer_is_not_changed(tokenizer: PreTrainedTokenizerFast):
    before = tokenizer.backend_tokenizer.to_str()
    tokens_of(Vocabulary(tokenizer), "the cat " * 20, n_ctx=4, prepend_bos=True)
    assert tokenizer.backend_tokenizer.to_str() == before
