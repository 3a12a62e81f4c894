"""Prompts that run together: of like length, padded on the right."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from saewidgets.results import Tokens

BATCH_TOKENS = 4096


def batches_of(prompts: Sequence[Tokens]) -> Iterator[list[int]]:
    """Numbers of the prompts that run together: of like length, and at most ``BATCH_TOKENS`` with their pads."""
    batch: list[int] = []
    for n in sorted(range(len(prompts)), key=lambda n: len(prompts[n])):
        if batch and (len(batch) + 1) * len(prompts[n]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(n)
    if batch:
        yield batch


def padded(
    prompts: Sequence[Tokens], chosen: Sequence[np.ndarray]
) -> tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"]]:
    """Token ids, 0 where a prompt has ended, and which tokens are chosen, never a pad.

    Args:
        prompts: The prompts of one batch.
        chosen: Tokens wanted of each, bool [pos].
    """
    ids = torch.zeros(len(prompts), max(map(len, prompts)), dtype=torch.long)
    wanted = torch.zeros(ids.shape, dtype=torch.bool)
    for n, (tokens, mask) in enumerate(zip(prompts, chosen, strict=True)):
        ids[n, : len(tokens)] = torch.from_numpy(tokens.ids)
        wanted[n, : len(tokens)] = torch.from_numpy(mask)
    return ids, wanted
