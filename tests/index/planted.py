"""Activations that are known, and what an index must say of them, counted one by one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saewidgets.index.accumulate import Accumulator, Items
from saewidgets.index.kept_firings import KeptFirings
from saewidgets.index.settings import SKETCH
from saewidgets.results import Activations


def items(features, positions, values, window: int = 8, hashes=None) -> Items:
    """Activations in windows of ``window`` tokens, each of its own tokens unless ``hashes`` (of windows) are given."""
    positions = np.asarray(positions)
    windows = positions // window
    own = windows if hashes is None else np.asarray(hashes)[windows]
    return Items(
        np.asarray(features, np.int32), np.asarray(values, np.float32), positions.astype(np.uint32),
        windows.astype(np.int64), own.astype(np.uint64),
    )  # fmt: skip


def accumulated(
    found: Items, d_sae: int, order=None, parts: int = 1, per_bin: int = 6, seed: int = 0, kept: int = 0
) -> Accumulator:
    """The state after these activations, in an order and in so many parts; ``kept`` as of a corpus that fits."""
    state = Accumulator(d_sae, 4, per_bin, SKETCH, seed)
    state.firings = KeptFirings(kept)
    order = np.arange(len(found.features)) if order is None else order
    for part in np.array_split(order, parts):
        state.add(Items(*(each[part] for each in found)))
    return state


def random_items(n: int = 4000, d_sae: int = 5, n_tokens: int = 2000, seed: int = 0, spread: float = 2.0) -> Items:
    """Activations over many octaves; some features fire often, the last never."""
    random = np.random.default_rng(seed)
    pairs = random.permutation((d_sae - 1) * n_tokens)[:n]
    values = np.exp(random.normal(0, spread, n)).astype(np.float32)
    return items(pairs // n_tokens, pairs % n_tokens, values, hashes=random.integers(0, 150, n_tokens))


def values_of(found: Items, feature: int) -> np.ndarray:
    return found.values[found.features == feature]


def top_contexts(found: Items, feature: int, n: int) -> list[tuple[float, int]]:
    """The n largest activations with their positions, each window's tokens once, by sorting all."""
    own = found.features == feature
    rows = sorted(zip(-found.values[own], found.positions[own].tolist(), found.hashes[own].tolist(), strict=True))
    seen: set[int] = set()
    best = []
    for value, position, tokens in rows:
        if tokens not in seen:
            seen.add(tokens)
            best.append((float(-value), position))
    return best[:n]


def of_feature(found: Sequence[Activations], feature: int) -> np.ndarray:
    """A feature's activations above 0 on all tokens of several prompts, one after the other."""
    dense = np.concatenate([prompt.feature(feature) for prompt in found])
    return dense[dense > 0]


def intervals_of(values: np.ndarray) -> np.ndarray:
    """The interval (0..9) of each activation, by comparing it with each edge."""
    edges = [float(values.max()) * n / 10 for n in range(1, 10)]
    return np.array([sum(float(value) > edge for edge in edges) for value in values])
