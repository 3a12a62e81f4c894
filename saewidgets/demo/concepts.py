"""Concepts of the bundled world on tokens: which tokens express one, and a concept as a predicate."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import lru_cache
from itertools import accumulate
from typing import Any

import numpy as np

from saewidgets.demo import world
from saewidgets.errors import UnknownNameError
from saewidgets.results import Tokens

NUMBER = {concept.name: number for number, concept in enumerate(world.concepts)}
"""Place of each concept in ``world.concepts``, by name."""


class TokenLabels:
    """Finds the tokens of the spans of a text; a token belongs to a span that it overlaps.

    Args:
        text: The text.
        spans: Its spans, in characters.

    Example:
        >>> labels = TokenLabels("in London", world.label("in London"))
        >>> [(world.concepts[n].name, *where) for n, *where in zip(*labels.of([b"in", b" Lon", b"don"]))][0]
        ('city', 1, 3)
    """

    def __init__(self, text: str, spans: Sequence[world.Span]) -> None:
        table = np.array([(NUMBER[name], start, end) for start, end, name in spans], np.int64).reshape(-1, 3)
        at = np.arange(len(text) + 1)
        if not text.isascii():
            at = np.array([0, *accumulate(len(character.encode("utf-8", "surrogateescape")) for character in text)])
        self._concept, self._start, self._end = table[:, 0], at[table[:, 1]], at[table[:, 2]]

    def of(self, pieces: Sequence[bytes], before: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The spans that some tokens overlap, as half-open ranges of these tokens.

        Args:
            pieces: The bytes of the tokens.
            before: Bytes of the text before the first of them.

        Returns:
            Number of the concept in ``world.concepts``, first token and one past the last, int64 [n] each.
        """
        edges = before + np.cumsum([0, *map(len, pieces)])
        first = np.searchsorted(edges[1:], self._start, side="right")
        end = np.searchsorted(edges[:-1], self._end, side="left")
        here = first < end
        return self._concept[here], first[here], end[here]


class ConceptPredicate:
    """Marks the tokens that express a concept; made by ``saewidgets.demo.world.predicate``.

    The text is labelled as it stands: where a window begins or ends within a sentence, what only the whole sentence
    tells is not found there.

    Args:
        concept: Name of the concept.

    Raises:
        UnknownNameError: The world has no such concept; names those that are spelled alike.

    Example:
        >>> ConceptPredicate("city")
        ConceptPredicate('city')
    """

    def __init__(self, concept: Any) -> None:
        if not isinstance(concept, str) or concept not in NUMBER:
            raise _unknown(concept)
        self.concept = world.concepts[NUMBER[concept]]
        self.name = self.__name__ = concept

    def __repr__(self) -> str:
        return f"ConceptPredicate({self.name!r})"

    def __call__(self, tokens: Tokens) -> np.ndarray:
        """Which tokens express the concept, bool [pos]; never a special token."""
        plain = np.flatnonzero(~tokens.special)
        concept, first, end = _labels(b"".join(tokens.pieces[n] for n in plain)).of([tokens.pieces[n] for n in plain])
        marked = np.zeros(len(tokens), bool)
        own = concept == NUMBER[self.name]
        for start, stop in zip(first[own].tolist(), end[own].tolist(), strict=True):
            marked[plain[start:stop]] = True
        return marked


@lru_cache(maxsize=1024)
def _labels(data: bytes) -> TokenLabels:
    text = data.decode("utf-8", "surrogateescape")
    return TokenLabels(text, world.label(text))


def _unknown(concept: object) -> UnknownNameError:
    text = concept.strip().lower().replace(" ", "_") if isinstance(concept, str) else ""
    alike = get_close_matches(text, NUMBER, n=5, cutoff=0.5)
    alike = list(dict.fromkeys([*(name for name in NUMBER if text and text in name.split(".")), *alike]))[:5]
    return UnknownNameError(
        "The bundled world has no such concept.", got=repr(concept)[:80],
        expected=", ".join(map(repr, alike)) or f"one of {len(NUMBER)} names, such as {next(iter(NUMBER))!r}",
        do="[concept.name for concept in saewidgets.demo.world.concepts] lists all",
    )  # fmt: skip
