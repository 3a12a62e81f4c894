"""A corpus as a stream of windows of tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from saewidgets.errors import MismatchError, TokenError
from saewidgets.models import LanguageModel
from saewidgets.models.tokenize import check_texts, of_text, read_row

_START = bytes(16)


@dataclass(frozen=True, eq=False)
class Window:
    """Tokens that the model reads together.

    Args:
        ids: Token ids, int64 [n].
        text: Number of the text in the corpus, from 0.
        offset: How many tokens of that text come before, a BOS that was put in front not counted.
    """

    ids: np.ndarray
    text: int
    offset: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def hash(self) -> int:
        """64 bits of the tokens: windows of the same tokens have the same."""
        return int.from_bytes(hashlib.blake2b(self.ids.tobytes(), digest_size=8).digest(), "little")


@dataclass
class Place:
    """How far a corpus has been read.

    Args:
        texts: Texts begun.
        windows: Windows given of the last of them.
        empty: Texts without a token, which are passed over.
        chain: Hash of all texts begun.
    """

    texts: int = 0
    windows: int = 0
    empty: int = 0
    chain: str = _START.hex()


class Corpus:
    """The windows of texts, read once, from the beginning or from a place reached before.

    A text longer than a window is cut into several. A text gets BOS in front of each window where the SAE's prompts
    have it; token ids are taken as they are, and where they begin with BOS, so does each of their windows.

    Args:
        model: Tokenizes.
        texts: Strings, token ids, or rows of a dataset with a "text", "input_ids" or "tokens".
        context: Most tokens of a window.
        prepend_bos: Whether texts get BOS in front; None: what the model does itself.
        place: Where to begin; what lies before is read, hashed, and not given again.

    Raises:
        PromptError: ``texts`` is one text, or holds something that is none; names its number.
        MismatchError: What lies before the place is not what it was.
    """

    def __init__(
        self, model: LanguageModel, texts: Any, context: int, prepend_bos: bool | None, place: Place | None = None
    ) -> None:
        check_texts(texts)
        self._model, self._context = model, context
        self._texts: Any = texts
        self._bos = model.vocabulary.bos_id
        prepend = model.prepend_bos if prepend_bos is None else prepend_bos
        self._prepend = self._bos is not None and prepend
        self._from = place or Place()
        self.place = Place()

    @property
    def n_texts(self) -> int | None:
        """How many texts there are, where that is known."""
        return len(self._texts) if hasattr(self._texts, "__len__") else None

    def __iter__(self) -> Iterator[Window]:
        done, self.place = self._from, Place()
        for number, row in enumerate(self._texts):
            text = self._row(number, row)
            self._count(text)
            if number >= done.texts:
                yield from self._windows(number, text)
            elif number == done.texts - 1:
                self._check_reached(done)
                yield from self._windows(number, text, done.windows, again=True)
        if self.place.texts < done.texts:
            self._check_reached(done)

    def digest(self) -> str:
        """Hash of all texts; none is tokenized."""
        self.place = Place()
        for number, row in enumerate(self._texts):
            self._count(self._row(number, row))
        return self.place.chain

    def _row(self, number: int, row: Any) -> str | np.ndarray:
        return read_row(number, row, self._model.d_vocab)

    def _count(self, text: str | np.ndarray) -> None:
        data = b"t" + text.encode("utf-8", "surrogatepass") if isinstance(text, str) else b"i" + text.tobytes()
        own = hashlib.blake2b(data, digest_size=16).digest()
        self.place.chain = hashlib.blake2b(bytes.fromhex(self.place.chain) + own, digest_size=16).hexdigest()
        self.place.texts += 1
        self.place.windows = 0

    def _check_reached(self, done: Place) -> None:
        if self.place.chain != done.chain:
            raise MismatchError(
                "The texts are not those with which this index was begun.",
                got=f"others among the first {min(self.place.texts, done.texts)}",
                expected="the same texts in the same order", do="pass resume=False to begin anew, or another path",
            )  # fmt: skip
        self.place.empty = done.empty

    def _windows(self, number: int, text: str | np.ndarray, skip: int = 0, again: bool = False) -> Iterator[Window]:
        if isinstance(text, str):
            with of_text(number):
                encoded = self._model.vocabulary.encode_ids(text) if text else []
            ids, front = np.array(encoded, np.int64), self._prepend
            if len(ids) and (ids.min() < 0 or ids.max() >= self._model.d_vocab):
                raise TokenError(f"Text {number} of the corpus has tokens that the model does not have.")
            if front and len(ids) and ids[0] == self._bos:
                ids = ids[1:]
            empty = not encoded
        else:
            front = self._bos is not None and bool(len(text)) and bool(text[0] == self._bos)
            ids, empty = text[1:] if front else text, not len(text)
        if empty:
            self.place.empty += not again
            return
        step = self._context - front
        for n, start in enumerate(range(0, max(len(ids), 1), step)):
            self.place.windows = n + 1
            if n >= skip:
                piece = ids[start : start + step]
                yield Window(np.append(np.int64(self._bos or 0), piece) if front else piece, number, start)
