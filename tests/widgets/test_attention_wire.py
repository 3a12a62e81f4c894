"""The buffer of attention patterns holds all that the browser draws."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from saewidgets.widgets.attention_wire import MAGIC, MOST, pack
from tests.results.attentions import attention_of, looking_back, random_attention
from tests.widgets.nasty import LETTERS, MARKUP, PARTS


def read(data):
    magic, version, size, n = struct.unpack_from("<4I", data)
    assert (magic, version, size % 4) == (MAGIC, 1, 0)
    head = json.loads(data[16 : 16 + size])
    weights = np.frombuffer(data, "<f2", n, 16 + size)
    assert len(data) == 16 + size + 2 * n
    return head, weights.astype(np.float32).reshape(head["n_heads"], -1)


def test_the_lower_triangle_in_order():
    found = random_attention(n=7, n_heads=3)
    head, weights = read(pack(found, prompt="word"))
    query, key = np.tril_indices(7)
    assert np.abs(weights - found.pattern[:, query, key]).max() < 3e-4
    assert (head["prompt"], head["layer"], head["n_layers"], head["model"]) == ("word", 1, 4, "toy")
    assert (head["special"], head["total"], head["hook"]) == ([0], 7, "blocks.1.attn.hook_pattern")
    assert head["tokens"] == list(found.tokens)
    assert head["ids"] == found.prompt_tokens.ids.tolist()


def test_the_numbers_of_the_heads_and_null_where_there_are_none():
    head, _ = read(pack(attention_of([looking_back(3, 1)], [b"<|bos|>", b"x", b"y"])))
    assert head["heads"] == [
        {"entropy": 0.0, "bos": 0.5, "previous": 1.0, "own": 0.0, "duplicate": None, "induction": None}
    ]


def test_of_a_long_prompt_the_first_tokens_travel():
    found = random_attention(n=MOST + 44, n_heads=1, n_dropped=5)
    head, weights = read(pack(found))
    assert (len(head["tokens"]), head["total"]) == (MOST, MOST + 49)
    assert weights.shape == (1, MOST * (MOST + 1) // 2)
    assert weights[0, -MOST:] == pytest.approx(found.pattern[0, MOST - 1, :MOST], abs=3e-4)
    assert head["heads"][0]["entropy"] == found.heads()[0].entropy  # of the whole prompt


def test_nasty_tokens_arrive_whole():
    pieces = [*(text.encode() for text in (*MARKUP, *LETTERS)), *PARTS]
    head, _ = read(pack(attention_of([looking_back(len(pieces), 1)], pieces), prompt="\ud800"))
    assert head["tokens"][: len(MARKUP)] == list(MARKUP)
    assert [text for _, _, text in head["groups"]] == [" café", "😀"]


def test_a_character_that_is_cut_is_no_group():
    found = random_attention(n=MOST + 1, n_heads=1)
    pieces = [*found.prompt_tokens.pieces[:-2], b"\xc3", b"\xa9"]
    whole = attention_of(found.pattern, pieces)
    assert whole.prompt_tokens.groups[-1] == (MOST - 1, MOST + 1, "é")
    head, _ = read(pack(whole))
    assert (head["groups"], head["tokens"][-1]) == ([], "\\xc3")


def test_a_view_of_12_heads_stays_below_a_megabyte():
    assert len(pack(random_attention(n=1000, n_heads=12))) < 1_000_000
