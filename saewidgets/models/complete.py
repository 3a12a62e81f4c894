"""Finding tokens by what they read as: exactly, by how they begin, or the nearest ones."""

from __future__ import annotations

import difflib
from functools import cached_property

from saewidgets.models.tokens import Vocabulary


class TokenFinder:
    """Looks tokens up by their text; the texts of all tokens are read once.

    Args:
        vocabulary: What the token ids stand for.
        d_vocab: Number of token ids that the model reads.

    Example:
        >>> TokenFinder(Vocabulary(None), 20).complete("<1", 3)
        [(1, '<1>'), (10, '<10>'), (11, '<11>')]
    """

    def __init__(self, vocabulary: Vocabulary, d_vocab: int) -> None:
        self.vocabulary, self.d_vocab = vocabulary, d_vocab

    @cached_property
    def texts(self) -> tuple[tuple[int, str], ...]:
        """Id and text of each token that is not special and is whole characters."""
        known = self.d_vocab if self.vocabulary.tokenizer is None else min(self.d_vocab, len(self.vocabulary.tokenizer))
        ids = [i for i in range(known) if i not in self.vocabulary.special_ids]
        found = []
        for token_id, piece in zip(ids, self.vocabulary.pieces(ids), strict=True):
            text = piece.decode("utf-8", "ignore")
            if text and text.encode() == piece:
                found.append((token_id, text))
        return tuple(found)

    @cached_property
    def _ids(self) -> dict[str, int]:
        """Id by text; of several tokens that read the same the last, for those of single bytes come first."""
        return {text: token_id for token_id, text in self.texts}

    def exact(self, text: str) -> int | None:
        """The token that reads just like ``text``, or None."""
        return self._ids.get(text)

    def complete(self, text: str, n: int = 20) -> list[tuple[int, str]]:
        """Tokens that begin with ``text``, shortest first; then those that do after a space, then in any case.

        Args:
            text: How they begin.
            n: At most how many.
        """
        small = text.lower().lstrip()

        def place(entry: tuple[int, str]) -> int:
            if entry[1].startswith(text):
                return 0
            if entry[1].startswith(f" {text}"):
                return 1
            return 2 if small and entry[1].lower().lstrip().startswith(small) else 3

        found = [(place(entry), len(entry[1]), entry[0], entry) for entry in self.texts]
        return [entry for where, _, _, entry in sorted(row for row in found if row[0] < 3)[:n]]

    def nearest(self, text: str, n: int = 3) -> list[str]:
        """The n tokens most like ``text`` among those with its first letter; first those with a space where it has one.

        Args:
            text: Not a token itself.
            n: At most how many.
        """
        wanted = text.strip().lower()
        alike = [entry for _, entry in self.texts if entry.strip()[:1].lower() == wanted[:1] != ""]
        matches = difflib.get_close_matches(wanted, {entry.strip().lower() for entry in alike}, n=n, cutoff=0.0)
        spaced = text.startswith(" ")

        def place(entry: str) -> tuple[int, bool, float]:
            likeness = difflib.SequenceMatcher(None, text, entry).ratio()
            return matches.index(entry.strip().lower()), entry.startswith(" ") != spaced, -likeness

        return sorted((entry for entry in alike if entry.strip().lower() in matches), key=place)[:n]
