"""Tokens: text, whole characters, partial bytes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from saewidgets.results import Tokens


def tokens(*pieces: bytes, special: tuple[int, ...] = ()) -> Tokens:
    mask = np.array([n in special for n in range(len(pieces))], bool)
    return Tokens(np.arange(len(pieces)), pieces, mask)


def test_special_tokens_are_not_part_of_the_text():
    found = tokens(b"<|bos|>", b"the", b" cat", special=(0,))
    assert (found.text, found.strings, len(found)) == ("the cat", ("<|bos|>", "the", " cat"), 3)


def test_parts_of_a_character_are_shown_as_bytes_and_grouped():
    found = tokens(b"a", b"\xf0\x9f", b"\x99", b"\x82", b"b")
    assert found.strings == ("a", "\\xf0\\x9f", "\\x99", "\\x82", "b")
    assert found.groups == ((0, 1, "a"), (1, 4, "🙂"), (4, 5, "b"))


def test_character_and_the_text_around_it_in_one_token():
    assert tokens(b" caf\xc3", b"\xa9 au").groups == ((0, 2, " café au"),)


def test_bytes_that_nobody_completes_stand_alone():
    assert tokens(b"\xc3", b"x").groups == ((0, 1, "\\xc3"), (1, 2, "x"))
    assert tokens(b"\xa9", b"x").groups == ((0, 1, "\\xa9"), (1, 2, "x"))
    assert tokens(b"\xf0\x9f").groups == ((0, 1, "\\xf0\\x9f"),)


def test_character_is_not_completed_across_a_special_token():
    assert tokens(b"\xc3", b"<|bos|>", b"\xa9", special=(1,)).groups == (
        (0, 1, "\\xc3"),
        (1, 2, "<|bos|>"),
        (2, 3, "\\xa9"),
    )


def test_token_without_bytes_is_a_group_of_its_own():
    assert tokens(b"", b"cat").groups == ((0, 1, ""), (1, 2, "cat"))


def test_no_tokens():
    assert (tokens().text, tokens().strings, tokens().groups) == ("", (), ())


@given(text=st.text(st.characters(exclude_categories=["Cs"])), cuts=st.lists(st.integers(0, 400)))
def test_groups_of_any_cut_text_are_the_text(text, cuts):
    data = text.encode()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    found = tokens(*(data[a:b] for a, b in pairwise(edges)))
    assert "".join(group for _, _, group in found.groups) == text
    assert [start for start, _, _ in found.groups][1:] == [stop for _, stop, _ in found.groups][:-1]
