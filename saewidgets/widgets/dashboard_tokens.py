"""The tokens of examples as a table of strings and places in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from saewidgets.results.feature_stats import Example
from saewidgets.views.cells import clipped
from saewidgets.widgets.steering_wire import clean

TOKEN_LENGTH = 64
"""Characters of a token that are shown; some tokenizers have tokens of hundreds of dashes."""

NARROW = 65_535
"""A table that is longer needs places of four bytes."""

MOST = 50_000
"""Tokens that are kept decoded."""

Known = dict[int, tuple[str, bool]]


class Pieces:
    """What token ids stand for: text, and whether it is a special token. Each is decoded once, and kept."""

    def __init__(self) -> None:
        self._held: tuple[Any, Known] = (None, {})

    def of(self, ids: Iterable[int], examples: Sequence[Example]) -> Known:
        """Text of each id and of others; decoded in runs no longer than a window, which the model can read.

        Args:
            ids: Token ids.
            examples: Windows that say how ids are decoded; what others said before is forgotten.
        """
        decode = next((each.decode for each in examples if each.decode is not None), None)
        former, known = self._held
        if former != decode or len(known) > MOST:
            known = {}
        run = max((len(each) for each in examples), default=1)
        new = [i for i in dict.fromkeys(ids) if i not in known]
        for start in range(0, len(new), run):
            some = new[start : start + run]
            tokens = Example(0.0, 0, np.array(some, np.int64), 0, 0, decode).tokens
            texts = [clipped(clean(text), TOKEN_LENGTH) for text in tokens.strings]
            known.update(zip(some, zip(texts, tokens.special.tolist(), strict=True), strict=True))
        self._held = decode, known
        return known


class TokenTable:
    """Strings of the tokens of some spans of ids, each once, and where each token is among them.

    Args:
        spans: Ids of one span of tokens after the other.
        known: What ids stand for.
    """

    def __init__(self, spans: Sequence[np.ndarray], known: Known) -> None:
        ids = all_of(spans)
        place = {i: n for n, i in enumerate(dict.fromkeys(ids))}
        self.strings = [known[i][0] for i in place]
        self.special = [n for i, n in place.items() if known[i][1]]
        self.places = [place[i] for i in ids]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def wide(self) -> dict[str, bool]:
        """What the header says of the width of a place."""
        return {"wide": True} if len(self.strings) > NARROW else {}

    @property
    def packed(self) -> bytes:
        """The places as they travel."""
        return np.array(self.places, "<u4" if self.wide else "<u2").tobytes()

    @property
    def head(self) -> dict[str, Any]:
        """The table as it stands in the header."""
        return {"table": self.strings, "special": self.special, **self.wide}


def all_of(spans: Sequence[np.ndarray]) -> list[int]:
    """The ids of all spans."""
    return np.concatenate([np.zeros(0, np.int64), *spans]).tolist()
