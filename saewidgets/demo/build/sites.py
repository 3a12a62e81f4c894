"""Reads and replaces activations of the bundled model while it is being built, with plain torch hooks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float16, Int
from torch import Tensor, nn
from transformers import GPT2LMHeadModel

from saewidgets.demo.build.corpus import Corpus
from saewidgets.demo.build.settings import BOS_ID, PAD_ID
from saewidgets.index.concepts import ranges

BATCH_TOKENS = 16_384


@dataclass(frozen=True)
class Site:
    """A place in the model: the residual stream before a layer, or hook_z (heads concatenated) of a layer."""

    kind: str
    layer: int

    @property
    def hook(self) -> str:
        """The name in transformer_lens.

        Example:
            >>> Site("mid", 2).hook
            'blocks.2.hook_resid_pre'
        """
        return f"blocks.{self.layer}.hook_resid_pre" if self.kind == "mid" else f"blocks.{self.layer}.attn.hook_z"

    def module(self, model: GPT2LMHeadModel) -> nn.Module:
        """The module whose first input is the activation."""
        block = f"transformer.h.{self.layer}"
        return model.get_submodule(block if self.kind == "mid" else f"{block}.attn.c_proj")


class _StopForwardError(Exception):
    """Ends a forward pass at the site that is read."""


@contextmanager
def replaced(
    model: GPT2LMHeadModel, site: Site, change: Callable[[Float[Tensor, "batch pos d"]], Tensor]
) -> Iterator[None]:
    """Within the block, ``change`` replaces the activation at the site."""
    handle = site.module(model).register_forward_pre_hook(lambda _, args: (change(args[0]), *args[1:]))
    try:
        yield
    finally:
        handle.remove()


def read(
    model: GPT2LMHeadModel, ids: Int[Tensor, "batch pos"], sites: Sequence[Site]
) -> list[Float[Tensor, "batch pos d"]]:
    """The activations at some sites, in their order; nothing above the last of them is run."""
    held: dict[Site, Tensor] = {}

    def keep(site: Site) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
            held[site] = args[0]
            if len(held) == len(sites):
                raise _StopForwardError

        return hook

    handles = [site.module(model).register_forward_pre_hook(keep(site)) for site in sites]
    try:
        with torch.no_grad(), suppress(_StopForwardError):
            model.transformer(ids)
    finally:
        for handle in handles:
            handle.remove()
    return [held[site] for site in sites]


def padded_batches(corpus: Corpus) -> Iterator[tuple[Int[Tensor, "batch pos"], Bool[Tensor, "batch pos"], np.ndarray]]:
    """Batches of documents of like length, one document a row behind a BOS, padded on the right.

    Yields:
        Token ids; where there is a token of a document (no BOS, no padding); the flat numbers of those tokens in the
        corpus, in the order in which the mask picks them.
    """
    sizes = np.diff(corpus.starts)
    order = np.argsort(sizes, kind="stable")
    at = 0
    while at < len(order):
        count = max(1, BATCH_TOKENS // (int(sizes[order[min(at + 64, len(order) - 1)]]) + 1))
        chosen = order[at : at + count]
        width = int(sizes[chosen].max()) + 1
        ids = np.full((len(chosen), width), PAD_ID, dtype=np.int64)
        ids[:, 0] = BOS_ID
        for row, index in enumerate(chosen.tolist()):
            ids[row, 1 : sizes[index] + 1] = corpus.document(index)
        flat, _ = ranges(corpus.starts[chosen], corpus.starts[chosen + 1])
        real = np.arange(width)[None] <= sizes[chosen][:, None]
        real[:, 0] = False
        yield torch.from_numpy(ids), torch.from_numpy(real), flat
        at += count


def collect(model: GPT2LMHeadModel, sites: Sequence[Site], corpus: Corpus) -> list[Float16[np.ndarray, "token d"]]:
    """The activations at some sites for every token of a corpus (no special tokens), in the corpus's order."""
    found = [np.empty((int(corpus.starts[-1]), model.config.n_embd), dtype=np.float16) for _ in sites]
    for ids, real, flat in padded_batches(corpus):
        for rows, activation in zip(found, read(model, ids, sites), strict=True):
            rows[flat] = activation[real].numpy().astype(np.float16)
    return found
