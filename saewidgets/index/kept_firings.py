"""All activations of a corpus that is small enough, so that what needs the final maximum can be counted exactly."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

MOST = 2**23
_AT_ONCE = 2**20


class KeptFirings:
    """Every activation with its feature, as long as there are no more than fit; then none any more.

    Args:
        most: How many fit.

    Attributes:
        whole: Whether all that were added are here.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most, self.whole = most, True
        self._parts: list[tuple[np.ndarray, np.ndarray]] = []
        self._n = 0

    @property
    def nbytes(self) -> int:
        """Bytes that it takes when it is full."""
        return 8 * self._most

    def add(self, features: np.ndarray, values: np.ndarray) -> None:
        """Take activations in; features int32 [items], values float32 [items], both not changed later."""
        self._n += len(features)
        self.whole = self.whole and self._n <= self._most
        if self.whole:
            self._parts.append((features, values))
        else:
            self._parts = []

    def merge(self, other: KeptFirings) -> None:
        """Take in all that another holds; where that one has not kept all, this one has not either."""
        self.whole = self.whole and other.whole
        self.add(*other._joined())

    def count(self, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """How many activations each interval of each feature holds, int64 [d_sae, n], and their sums, float64.

        Args:
            edges: Upper edges of all intervals but the last, ascending [d_sae, n - 1]; an interval holds its upper one.
        """
        features, values = self._sorted()
        shape = len(edges), edges.shape[1] + 1
        counts, sums = np.zeros(shape[0] * shape[1], np.int64), np.zeros(shape[0] * shape[1])
        for n in range(0, len(features), _AT_ONCE):
            feature, value = features[n : n + _AT_ONCE], values[n : n + _AT_ONCE].astype(np.float64)
            interval = np.zeros(len(feature), np.int64)
            for edge in edges.T:
                interval += value > edge[feature]
            place = feature.astype(np.int64) * shape[1] + interval
            counts += np.bincount(place, minlength=len(counts))
            sums += np.bincount(place, value, len(sums))
        return counts.reshape(shape), sums.reshape(shape)

    def _joined(self) -> tuple[np.ndarray, np.ndarray]:
        parts = [(np.zeros(0, np.int32), np.zeros(0, np.float32)), *self._parts]
        features, values = map(np.concatenate, zip(*parts, strict=True))
        self._parts = [(features, values)]
        return features, values

    def _sorted(self) -> tuple[np.ndarray, np.ndarray]:
        """In an order that does not depend on how they came in: by feature, then by activation."""
        features, values = self._joined()
        order = np.lexsort((values, features))
        self._parts = [(features[order], values[order])]
        return self._parts[0]

    # ---- a checkpoint ----------------------------------------------------------------------------------------------

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """What it holds, by name."""
        features, values = self._sorted()
        yield from (("whole", np.array([self.whole])), ("features", features), ("values", values))

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        self.whole = bool(arrays["whole"][0])
        self._parts, self._n = [(arrays["features"], arrays["values"])], len(arrays["features"])
