"""Tokens as people read them: the bytes that each token id stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from saewidgets.errors import PromptError

Style = Literal["byte_level", "metaspace", "offsets", "none"]


def _byte_of_character() -> dict[str, int]:
    """Byte-level BPE writes each byte as one printable character; this is the way back."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    characters = [chr(byte) for byte in printable] + [chr(0x100 + n) for n in range(len(others))]
    return dict(zip(characters, printable + others, strict=True))


_BYTES = _byte_of_character()
_BYTE_PIECE = re.compile("<0x([0-9A-F]{2})>")


class Vocabulary:
    """What the token ids of a tokenizer stand for.

    Args:
        tokenizer: A Hugging Face tokenizer, or None.

    Example:
        >>> Vocabulary(None).pieces([3, 5])
        (b'<3>', b'<5>')
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.style = _style(tokenizer)
        added = getattr(tokenizer, "added_tokens_decoder", None) or {}
        self._added = {int(i): str(token).encode() for i, token in added.items()}
        special = {int(i) for i, token in added.items() if getattr(token, "special", True)}
        self.special_ids = frozenset(special | {int(i) for i in getattr(tokenizer, "all_special_ids", [])})
        self.bos_id: int | None = getattr(tokenizer, "bos_token_id", None)

    def is_special(self, ids: Iterable[int]) -> list[bool]:
        """Whether each id is a special token (BOS, EOS, pad)."""
        return [i in self.special_ids for i in ids]

    def pieces(self, ids: Sequence[int]) -> tuple[bytes, ...]:
        """The bytes of each token; the name of a special token; ``<7>`` for an id that stands for no text."""
        names = [None] * len(ids) if self.tokenizer is None else self.tokenizer.convert_ids_to_tokens(list(ids))
        return tuple(self._piece(i, name) for i, name in zip(ids, names, strict=True))

    def _piece(self, token_id: int, name: str | None) -> bytes:
        if token_id in self._added:
            return self._added[token_id]
        if name is None:
            return f"<{token_id}>".encode()
        if self.style == "byte_level" and all(character in _BYTES for character in name):
            return bytes(_BYTES[character] for character in name)
        if self.style == "metaspace":
            byte = _BYTE_PIECE.fullmatch(name)
            return bytes([int(byte[1], 16)]) if byte else name.replace("\u2581", " ").encode()
        return (str(self.tokenizer.decode([token_id])) if self.style == "offsets" else name).encode()

    def encode(self, text: str) -> tuple[list[int], tuple[bytes, ...]]:
        """Token ids of a text, without BOS, and their bytes, which together are the bytes of the text.

        Raises:
            PromptError: There is no tokenizer, or the text holds half of a surrogate pair.
        """
        data = self._checked(text)
        if self.style == "offsets":
            encoded = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
            return list(encoded["input_ids"]), _slices(text, encoded["offset_mapping"])
        ids = list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
        return ids, self._without_added_space(ids, self.pieces(ids), data)

    def encode_ids(self, text: str) -> list[int]:
        """Token ids of a text, without BOS; :meth:`encode` where nobody asks for the bytes, which is faster.

        Raises:
            PromptError: As for :meth:`encode`.
        """
        self._checked(text)
        return list(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def _checked(self, text: str) -> bytes:
        if self.tokenizer is None:
            raise PromptError(
                "The model has no tokenizer, so that it cannot read text.", got=repr(text[:40]), expected="token ids"
            )
        return _utf8(text)

    def _without_added_space(self, ids: list[int], pieces: tuple[bytes, ...], data: bytes) -> tuple[bytes, ...]:
        """Some tokenizers put a space before the text; it is not part of it."""
        if sum(map(len, pieces)) != len(data) + 1:
            return pieces
        for n, (token_id, piece) in enumerate(zip(ids, pieces, strict=True)):
            if token_id not in self.special_ids and piece.startswith(b" "):
                shorter = (*pieces[:n], piece[1:], *pieces[n + 1 :])
                return shorter if b"".join(shorter) == data else pieces
        return pieces


def _style(tokenizer: Any) -> Style:
    if tokenizer is None:
        return "none"
    if hasattr(tokenizer, "byte_decoder"):
        return "byte_level"
    backend = getattr(tokenizer, "backend_tokenizer", None)
    parts = [getattr(backend, part, None) for part in ("decoder", "pre_tokenizer")]
    states = b"".join(part.__getstate__() for part in parts if part is not None)
    if b'"ByteLevel"' in states:
        return "byte_level"
    if any(kind in states for kind in (b'"ByteFallback"', b'"Metaspace"')) or hasattr(tokenizer, "sp_model"):
        return "metaspace"
    return "offsets" if getattr(tokenizer, "is_fast", False) else "none"


def _slices(text: str, offsets: Sequence[tuple[int, int]]) -> tuple[bytes, ...]:
    """The text cut where its tokens end; what lies between two tokens goes to the second, the rest to the last."""
    ends = [end for _, end in offsets[:-1]] + [len(text)] * bool(offsets)
    pieces, start = [], 0
    for end in ends:
        pieces.append(text[start : max(start, end)].encode())
        start = max(start, end)
    return tuple(pieces)


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise PromptError(
            "The prompt holds half of a surrogate pair, which is not a character.",
            got=f"{text[error.start]!a} at character {error.start}",
            expected="text that can be written as UTF-8",
            do="remove that character",
        ) from None
