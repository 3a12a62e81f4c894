"""Reading one activation for each of many texts."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch

from saewidgets.errors import EditError, SaewidgetsError
from saewidgets.models import LanguageModel
from saewidgets.models.batches import batches_of, padded
from saewidgets.results import Tokens

Position = int | Literal["mean"]


def read_texts(
    model: LanguageModel,
    texts: Sequence[Any],
    hook: str,
    *,
    position: Position = -1,
    mask_special: bool = True,
    side: str = "texts",
) -> np.ndarray:
    """The activation of each text at one token, or the mean over its tokens.

    Texts are run in batches padded on the right; a pad is never read.

    Args:
        model: The model.
        texts: Texts, or lists of token ids, which are taken as they are.
        hook: Hook point; heads are flattened.
        position: Token of each text, from 0 or, below 0, from the end; "mean": the mean over its tokens.
        mask_special: Whether BOS, EOS and pad are left out of the mean, and refused as the one token.
        side: What the list is called in errors.

    Returns:
        float64 [text, d], in the model's units.

    Raises:
        EditError: No texts, one without the position, or a hook point that has not one activation for each token.
        HookPointError: There is no such hook point.
        NonFiniteError: An activation is NaN or infinite.
        PromptError: A text that cannot be read; says which.

    Warns:
        UserWarning: Texts that were cut to the context.

    Example:
        >>> read_texts(model, ["I love it", "I hate it"], "blocks.6.hook_resid_post").shape  # doctest: +SKIP
        (2, 768)
    """
    prompts = _tokens_of(model, texts, side)
    chosen = [_chosen(t, position, mask_special, f"Text {n} of '{side}'") for n, t in enumerate(prompts)]
    cut = sum(t.n_dropped > 0 for t in prompts)
    if cut:
        warnings.warn(
            f"{cut} of {len(prompts)} texts of '{side}' are longer than the model's context of {model.n_ctx} tokens "
            "and were cut, so that their last token is another one.",
            stacklevel=3,
        )
    result = np.zeros((len(prompts), math.prod(model.hook_shape(hook))))
    for batch in batches_of(prompts):
        result[batch] = _means(model, hook, [prompts[n] for n in batch], [chosen[n] for n in batch])
    return result


def _tokens_of(model: LanguageModel, texts: Sequence[Any], side: str) -> list[Tokens]:
    if isinstance(texts, str | bytes) or not hasattr(texts, "__len__"):
        raise EditError(
            f"'{side}' is not a list of texts.", got=repr(texts)[:80], expected="a list of texts, or of lists of ids"
        )
    if not len(texts):
        raise EditError(
            f"There are no texts in '{side}'.", got="an empty list", expected="at least one text",
            do="give 32 or more for each side",
        )  # fmt: skip
    prompts = []
    for n, text in enumerate(texts):
        with _naming(f"Text {n} of '{side}'"):
            prompts.append(model.tokenize(text))
    return prompts


@contextmanager
def _naming(which: str) -> Iterator[None]:
    try:
        yield
    except SaewidgetsError as error:
        raise type(error)(f"{which}: {error.what}", got=error.got, expected=error.expected, do=error.do) from error


def _chosen(tokens: Tokens, position: Any, mask_special: bool, which: str) -> np.ndarray:
    """The tokens of a text that are read, bool [pos]."""
    plain = ~tokens.special if mask_special else np.ones(len(tokens), bool)
    if isinstance(position, str) and position == "mean":
        if not plain.any():
            raise EditError(f"{which} has only special tokens.", got=tokens.strings, expected="a text")
        return plain
    if isinstance(position, bool | str) or not hasattr(position, "__index__"):
        raise EditError("This is no position.", got=repr(position)[:80], expected="a token's number, or 'mean'")
    at = int(position) + (len(tokens) if position < 0 else 0)
    if not 0 <= at < len(tokens):
        raise EditError(
            f"{which} has no token {position}.", got=f"{len(tokens)} tokens: {tokens.text[:60]!r}",
            expected=f"a position that every text has, here {-len(tokens)}..{len(tokens) - 1}",
        )  # fmt: skip
    if not plain[at]:
        raise EditError(
            f"Token {position} of {which[0].lower()}{which[1:]} is a special token.", got=tokens.strings[at],
            expected="a token of the text", do="read another position, or pass mask_special=False",
        )  # fmt: skip
    return np.arange(len(tokens)) == at


def _means(model: LanguageModel, hook: str, prompts: Sequence[Tokens], chosen: Sequence[np.ndarray]) -> np.ndarray:
    """The mean over the chosen tokens of each text of a batch, float64 [text, d]."""
    ids, wanted = padded(prompts, chosen)
    x = model.read(ids, [hook])[hook]
    if x.shape[:2] != ids.shape or tuple(x.shape[2:]) != model.hook_shape(hook):
        raise EditError(
            f"Hook point '{hook}' has not one activation for each token.", got=f"shape {list(x.shape)}",
            expected="[batch, pos, d] or [batch, pos, heads, d_head]",
        )  # fmt: skip
    rows = x[wanted.to(x.device)].flatten(1)
    model.check_finite(rows, hook)
    owner = wanted.nonzero()[:, 0]
    sums = torch.zeros(len(prompts), rows.shape[1], dtype=torch.float64)
    sums.index_add_(0, owner, rows.cpu().double())
    return (sums / wanted.sum(1, keepdim=True)).numpy()
