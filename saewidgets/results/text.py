"""Untrusted text on one line."""

from __future__ import annotations

import unicodedata

_BREAKS = {"Cc", "Cs", "Zl", "Zp"}  # control characters, half surrogates, line and paragraph separators
_TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}  # marks that turn the text after them round


def one_line(text: str) -> str:
    """The text with all that could break its line, or turn its direction, as an escape; other letters stay.

    Example:
        >>> one_line("é\\n\\u202e")
        'é\\\\n\\\\u202e'
    """
    return "".join(repr(c)[1:-1] if _escaped(c) else c for c in text)


def _escaped(character: str) -> bool:
    return unicodedata.category(character) in _BREAKS or unicodedata.bidirectional(character) in _TURNS
