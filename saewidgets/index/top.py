"""The contexts on which each feature is largest, each context once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from saewidgets.index.bottom_k import order_within, rank_in_group
from saewidgets.index.hashing import mix


class TopContexts:
    """The n windows of tokens on which each feature reaches most; windows of the same tokens count once.

    The order is by activation, largest first, then by position. Of each window the token with the largest activation is
    kept, and of windows of the same tokens the first of the best. As the order is total, the list depends on the
    corpus alone, not on how it was cut into batches.

    Args:
        d_sae: Number of features.
        n: How many.

    Attributes:
        values: Activations, float32 [d_sae, n], descending; 0 where there are fewer.
        positions: Positions of the tokens, uint32 [d_sae, n].
        hashes: Hashes of their windows, uint64 [d_sae, n].
    """

    def __init__(self, d_sae: int, n: int) -> None:
        self.n = n
        self.values = np.zeros((d_sae, n), np.float32)
        self.positions = np.zeros((d_sae, n), np.uint32)
        self.hashes = np.zeros((d_sae, n), np.uint64)

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        return self.values.nbytes + self.positions.nbytes + self.hashes.nbytes

    def add(self, features: np.ndarray, positions: np.ndarray, values: np.ndarray, hashes: np.ndarray) -> None:
        """Take in the largest activation of a feature in each of some windows, all arrays [items].

        Args:
            features: The features.
            positions: Where in the corpus.
            values: The activations, above 0.
            hashes: Hash of each window's tokens.
        """
        chosen = values >= self.values[features, -1]
        features, positions, values, hashes = features[chosen], positions[chosen], values[chosen], hashes[chosen]
        if not len(features):
            return
        old = np.unique(features)
        held = self.values[old] > 0
        features = np.concatenate([np.repeat(old, held.sum(1)), features])
        positions = np.concatenate([self.positions[old][held], positions])
        values = np.concatenate([self.values[old][held], values])
        hashes = np.concatenate([self.hashes[old][held], hashes])
        order = _best_first(features, values, positions)
        order = order[np.sort(_first_of_each(features[order], hashes[order]))]
        features = features[order]
        rank = rank_in_group(features)
        kept = rank < self.n
        where, order = (features[kept], rank[kept]), order[kept]
        self.values[where], self.positions[where], self.hashes[where] = values[order], positions[order], hashes[order]

    def merge(self, other: TopContexts) -> None:
        """Take in all that another holds."""
        features, place = np.nonzero(other.values)
        self.add(features, *(each[features, place] for each in (other.positions, other.values, other.hashes)))

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """The state by name."""
        yield from (("values", self.values), ("positions", self.positions), ("hashes", self.hashes))

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        self.values[:], self.positions[:], self.hashes[:] = (arrays[n] for n in ("values", "positions", "hashes"))


def _best_first(features: np.ndarray, values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Order by feature, then by value from the largest, then by position."""
    falling = ~values.view(np.uint32)  # the bits of numbers above 0 are ordered as the numbers are
    return order_within(features, falling.astype(np.uint64) << np.uint64(32) | positions)


def _first_of_each(features: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """The first place of each pair of feature and hash, in any order."""
    pairs = mix(mix(features.astype(np.uint64)) ^ hashes)
    order = np.argsort(pairs)
    pairs = pairs[order]
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]]))
    return np.minimum.reduceat(order, starts)
