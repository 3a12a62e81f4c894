"""Attention patterns with known answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from saewidgets.results import Attention, Tokens


def attention_of(pattern: Any, pieces: list[bytes], ids: list[int] | None = None, **more: Any) -> Attention:
    """Patterns of given tokens; the first token is special if it is ``<|bos|>``."""
    special = np.array([piece == b"<|bos|>" for piece in pieces])
    tokens = Tokens(np.array(ids or range(len(pieces))), tuple(pieces), special, more.pop("n_dropped", 0))
    options: dict[str, Any] = {"layer": 1, "n_layers": 4, "model": "toy", "hook": "blocks.1.attn.hook_pattern"}
    return Attention(tokens, np.asarray(pattern, np.float32), **(options | more))


def looking_back(n: int, by: int) -> np.ndarray:
    """A pattern in which each token looks only at the one ``by`` places before, or at the first, [query, key]."""
    places = np.arange(n)
    return (places == np.maximum(places - by, 0)[:, None]).astype(np.float32)


def random_attention(n: int = 12, n_heads: int = 4, seed: int = 0, **more: Any) -> Attention:
    """Random patterns over words, BOS in front."""
    scores = np.random.default_rng(seed).normal(0, 2, (n_heads, n, n))
    weights = np.tril(np.exp(scores))
    pieces = [b"<|bos|>", *(f" word{i % 7}".encode() for i in range(n - 1))]
    ids = [0, *(1 + i % 7 for i in range(n - 1))]
    return attention_of(weights / weights.sum(axis=-1, keepdims=True), pieces, ids, **more)
