"""Untrusted text stays on its line and in its direction."""

from __future__ import annotations

import pytest

from saewidgets.results.text import one_line


@pytest.mark.parametrize("breaks", ["\n", "\r", "\x85", "\u2028", "\u2029", "\x1b", "\u202e", "\u2066", "\ud800"])
def test_what_breaks_a_line_or_turns_it_is_escaped(breaks):
    shown = one_line(f"a{breaks}b")
    assert shown == f"a{breaks!r}b".replace("'", "")
    assert shown.isascii()


@pytest.mark.parametrize("letters", ["a b", "é", "שלום", "👨‍👩‍👧", "你好", "'\\"])
def test_letters_of_all_scripts_stay(letters):
    assert one_line(letters) == letters
