"""The tokens of one prompt, byte for byte."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one prompt as the model reads them.

    Args:
        ids: Token ids, int64 [pos].
        pieces: The bytes that each token stands for; for a special token its name, such as ``b"<|bos|>"``.
        special: True at special tokens (BOS, EOS, pad), bool [pos].
        n_dropped: How many tokens at the end did not fit into the context.

    Example:
        >>> tokens = Tokens(np.array([0, 5, 6]), (b"<|bos|>", b" caf\\xc3", b"\\xa9"), np.array([True, False, False]))
        >>> tokens.text, tokens.strings
        (' café', ('<|bos|>', ' caf\\\\xc3', '\\\\xa9'))
        >>> tokens.groups
        ((0, 1, '<|bos|>'), (1, 3, ' café'))
    """

    ids: np.ndarray
    pieces: tuple[bytes, ...]
    special: np.ndarray
    n_dropped: int = 0

    def __len__(self) -> int:
        return len(self.pieces)

    @property
    def text(self) -> str:
        """The text without its special tokens; bytes that are not UTF-8 as ``\\xNN``."""
        plain = (piece for piece, special in zip(self.pieces, self.special, strict=True) if not special)
        return b"".join(plain).decode("utf-8", "backslashreplace")

    @cached_property
    def strings(self) -> tuple[str, ...]:
        """Each token by itself; a part of a character as ``\\xNN``."""
        return tuple(piece.decode("utf-8", "backslashreplace") for piece in self.pieces)

    @cached_property
    def groups(self) -> tuple[tuple[int, int, str], ...]:
        """Runs (start, stop, text) of tokens that together are whole characters.

        Nearly always one token; several where a character is split over tokens. Bytes that no neighbour completes
        are a group of their own, shown as ``\\xNN``.
        """
        groups: list[tuple[int, int, str]] = []
        start = 0
        while start < len(self.pieces):
            stop = self._whole_characters(start)
            joined = b"".join(self.pieces[start:stop])
            groups.append((start, stop, joined.decode("utf-8", "backslashreplace")))
            start = stop
        return tuple(groups)

    def _whole_characters(self, start: int) -> int:
        """The end of the shortest run from ``start`` that is valid UTF-8, or start + 1 where there is none."""
        joined = b""
        for stop in range(start, len(self.pieces)):
            if stop > start and self.special[stop]:
                break
            joined += self.pieces[stop]
            try:
                joined.decode("utf-8")
            except UnicodeDecodeError as error:
                if error.end < len(joined) or error.reason != "unexpected end of data":
                    break
                continue
            return stop + 1
        return start + 1
