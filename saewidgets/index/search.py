"""Which features of an index have a property."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from saewidgets.errors import IndexBuildError
from saewidgets.results import Activations


class CutTextWarning(UserWarning):
    """Texts that were looked at were longer than what the model reads at once; their ends were not looked at."""


def labelled(labels: Any, d_sae: int, label: Any) -> np.ndarray:
    """Features whose label holds a text, in upper or lower case, bool [d_sae].

    Raises:
        IndexBuildError: Not a text.
    """
    if not isinstance(label, str):
        raise IndexBuildError("This is no label to look for.", got=repr(label)[:80], expected="a text")
    wanted = label.casefold()
    found = np.zeros(d_sae, bool)
    found[[n for n, each in labels.items() if 0 <= n < d_sae and wanted in each.casefold()]] = True
    return found


def between(density: np.ndarray, limits: Any) -> np.ndarray:
    """Features with a density in [low, high], bool [d_sae].

    Raises:
        IndexBuildError: Not two numbers, the lower first.
    """
    try:
        low, high = (float(each) for each in limits)
    except (TypeError, ValueError):
        low, high = 1.0, 0.0
    if not low <= high:
        raise IndexBuildError(
            "This is no range of densities.", got=repr(limits)[:80],
            expected="two shares of tokens, the lower first, such as (0.0001, 0.01)",
        )  # fmt: skip
    return (density >= low) & (density <= high)


def share_at_token(values: np.ndarray, positions: np.ndarray, tokens: np.ndarray, token: int) -> np.ndarray:
    """Share of each feature's top contexts [d_sae, n] that are largest at a token, float64 [d_sae]."""
    held = values > 0
    hits = held & (tokens[np.minimum(positions, max(len(tokens) - 1, 0))] == token) if len(tokens) else held & False
    return hits.sum(1) / np.maximum(held.sum(1), 1)


def warn_of_cut(prompts: Sequence[Activations], stacklevel: int) -> None:
    """Say how many texts were cut to the model's context.

    Args:
        prompts: Activations on the texts.
        stacklevel: Of the caller whom it concerns, counted from here.
    """
    cut = [prompt.prompt_tokens for prompt in prompts if prompt.prompt_tokens.n_dropped]
    if cut:
        read, lost = len(cut[0]), sum(tokens.n_dropped for tokens in cut)
        who = "The text is" if len(prompts) == 1 else f"{len(cut)} of {len(prompts)} texts are"
        what = f"{who} longer than the {read} tokens that the model reads at once: the last {lost:,} were not looked at"
        warnings.warn(f"{what}. Split long texts and pass a list", CutTextWarning, stacklevel + 1)


def largest_on(prompts: Sequence[Activations], d_sae: int) -> np.ndarray:
    """The largest activation of each feature on some prompts, float32 [d_sae]."""
    largest = np.zeros(d_sae, np.float32)
    for prompt in prompts:
        np.maximum.at(largest, prompt.indices, prompt.values)
    return largest


def share_of_texts(prompts: Sequence[Activations], d_sae: int) -> np.ndarray:
    """Share of the prompts on which each feature fires at all, float64 [d_sae]."""
    fires = np.zeros(d_sae)
    for prompt in prompts:
        fires[np.unique(prompt.indices)] += 1
    return fires / max(len(prompts), 1)
