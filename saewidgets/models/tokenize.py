"""A prompt, as text or as token ids, to the tokens that a model reads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from saewidgets.errors import PromptError, SaewidgetsError, TokenError
from saewidgets.models.tokens import Vocabulary
from saewidgets.results import Tokens

COLUMNS = ("text", "input_ids", "tokens")
"""Of a row of a dataset, the first that it has."""


def text_tokens(vocabulary: Vocabulary, text: str, prepend_bos: bool, n_ctx: int, d_vocab: int) -> Tokens:
    """The tokens of a text, cut to the context; BOS in front where asked for, and never twice.

    Raises:
        PromptError: The text is empty, or is not valid text.
        TokenError: The tokenizer gives an id that the model does not have.
    """
    ids, pieces = vocabulary.encode(text)
    if not ids:
        raise PromptError("The prompt has no tokens.", got=repr(text), expected="some text", do="type a prompt")
    bos = vocabulary.bos_id
    if prepend_bos and bos is not None and ids[0] != bos:
        ids, pieces = [bos, *ids], (*vocabulary.pieces([bos]), *pieces)
    kept = ids[:n_ctx]
    _check_range(np.array(kept, np.int64), d_vocab)
    return _tokens(vocabulary, kept, pieces[:n_ctx], len(ids) - len(kept))


def id_tokens(vocabulary: Vocabulary, ids: Any, n_ctx: int, d_vocab: int) -> Tokens:
    """The tokens of given ids, taken as they are: no BOS is added.

    Raises:
        PromptError: There are no ids, or more than the context holds.
        TokenError: An id is not a whole number from 0 to d_vocab - 1.
    """
    array = as_id_array(ids)
    if array.ndim != 1:
        raise PromptError(
            "Token ids of one prompt are a flat list.", got=f"shape {list(array.shape)}", expected="shape [pos]"
        )
    if len(array) == 0:
        raise PromptError("The prompt has no tokens.", got="no token ids", expected="at least one token id")
    if len(array) > n_ctx:
        raise PromptError(
            "The prompt is longer than the model's context.",
            got=f"{len(array)} token ids",
            expected=f"at most {n_ctx}",
            do=f"pass ids[:{n_ctx}]",
        )
    _check_range(array, d_vocab)
    kept = array.tolist()
    return _tokens(vocabulary, kept, vocabulary.pieces(kept), 0)


def as_id_array(ids: Any) -> np.ndarray:
    """Token ids from a list, an array or a tensor, int64 [pos] or [batch, pos].

    Raises:
        PromptError: Neither text nor numbers.
        TokenError: Numbers that are not whole.
    """
    if isinstance(ids, torch.Tensor):
        # bfloat16 has no numpy counterpart, and is refused below like any other fraction.
        ids = (ids.float() if ids.is_floating_point() else ids).detach().cpu().numpy()
    if isinstance(ids, bytes | dict | set) or not isinstance(ids, np.ndarray | Sequence):
        raise PromptError(
            "This is not a prompt.", got=type(ids).__name__, expected="text, or token ids as a list, array or tensor"
        )
    try:
        array = np.asarray(ids)
    except ValueError:
        array = np.asarray(None)
    if array.size == 0:
        return np.zeros(array.shape, np.int64)
    if array.dtype.kind not in "iu" or (isinstance(ids, Sequence) and any(isinstance(i, bool) for i in ids)):
        raise TokenError("Token ids are whole numbers.", got=repr(ids)[:80], expected="a list, array or tensor of int")
    return array.astype(np.int64)


def _check_range(ids: np.ndarray, d_vocab: int) -> None:
    wrong = ids[(ids < 0) | (ids >= d_vocab)]
    if len(wrong):
        raise TokenError(
            "The model has no such token.", got=f"token id {wrong[0]}", expected=f"a token id in 0..{d_vocab - 1}"
        )


def _tokens(vocabulary: Vocabulary, ids: list[int], pieces: tuple[bytes, ...], n_dropped: int) -> Tokens:
    special = np.array(vocabulary.is_special(ids), dtype=bool)
    return Tokens(np.array(ids, np.int64), pieces, special, n_dropped)


def split_prompts(prompt: Any) -> tuple[list[Any], bool]:
    """The prompts that were given, and whether they were several: a list of prompts, or ids [batch, pos]."""
    if isinstance(prompt, np.ndarray | torch.Tensor) and prompt.ndim == 2:
        return list(prompt), True
    if isinstance(prompt, list | tuple) and any(
        isinstance(part, str | list | tuple) or getattr(part, "ndim", 0) > 0 for part in prompt
    ):
        return list(prompt), True
    return [prompt], False


def check_texts(texts: Any) -> None:
    """Pass if it may be a corpus: an iterable of texts, of token ids or of rows, not yet read.

    Raises:
        PromptError: One text, a table, or no iterable.

    Example:
        >>> check_texts(["one text", "another"])
    """
    table = hasattr(texts, "columns") and hasattr(texts, "iloc")
    if isinstance(texts, str | bytes | Mapping) or table or not isinstance(texts, Iterable):
        raise PromptError(
            "This is not a corpus.", got=type(texts).__name__,
            expected="an iterable of texts, of lists of token ids, or of rows with 'text' or 'input_ids'",
            do="pass a column of it" if table else "pass [text] for one text" if isinstance(texts, str) else None,
        )  # fmt: skip


def read_row(number: int, row: Any, d_vocab: int) -> str | np.ndarray:
    """A text of a corpus, or its token ids, int64 [pos].

    Args:
        number: Its place in the corpus, from 0; named in errors.
        row: A string, token ids, or a row of a dataset with a "text", "input_ids" or "tokens".
        d_vocab: Number of token ids.

    Raises:
        PromptError: It is none of these.
        TokenError: A token id that the model does not have.

    Example:
        >>> read_row(0, {"text": "in Paris"}, 100)
        'in Paris'
    """
    if isinstance(row, Mapping):
        column = next((name for name in COLUMNS if name in row), None)
        if column is None:
            raise PromptError(
                f"Text {number} of the corpus has no text.", got=f"columns {', '.join(map(str, row))}"[:200],
                expected=" or ".join(f"'{name}'" for name in COLUMNS),
            )  # fmt: skip
        row = row[column]
    if isinstance(row, str):
        return row
    with of_text(number):
        ids = as_id_array(row)
    if ids.ndim != 1:
        raise PromptError(
            f"Text {number} of the corpus: token ids of one text are a flat list.", got=f"shape {list(ids.shape)}",
            expected="shape [pos]",
        )  # fmt: skip
    wrong = ids[(ids < 0) | (ids >= d_vocab)]
    if len(wrong):
        raise TokenError(
            f"Text {number} of the corpus: the model has no such token.", got=f"token id {wrong[0]}",
            expected=f"a token id in 0..{d_vocab - 1}",
        )  # fmt: skip
    return ids


@contextmanager
def of_text(number: int) -> Iterator[None]:
    """Errors inside say which text of a corpus they are about."""
    try:
        yield
    except SaewidgetsError as error:
        what = f"Text {number} of the corpus: {error.what}"
        raise type(error)(what, got=error.got, expected=error.expected, do=error.do) from error
