"""The contexts on which each feature is largest, each context once."""

from __future__ import annotations

import numpy as np

from saewidgets.index.bottom_k import rank_in_group


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
        order = np.lexsort((positions, -values, hashes, features))
        features, hashes = features[order], hashes[order]
        first = np.concatenate([[True], (features[1:] != features[:-1]) | (hashes[1:] != hashes[:-1])])
        order = order[first]
        features, hashes, positions, values = features[first], hashes[first], positions[order], values[order]
        order = np.lexsort((positions, -values, features))
        features = features[order]
        rank = rank_in_group(features)
        kept = rank < self.n
        where, order = (features[kept], rank[kept]), order[kept]
        self.values[where], self.positions[where], self.hashes[where] = values[order], positions[order], hashes[order]

    def arrays(self) -> dict[str, np.ndarray]:
        """The state."""
        return {"values": self.values, "positions": self.positions, "hashes": self.hashes}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        self.values[:], self.positions[:], self.hashes[:] = (arrays[n] for n in ("values", "positions", "hashes"))
