"""Which features fire on the same tokens, from the few tokens of lowest priority that each keeps.

Every token has one priority, the same for all features, and each feature keeps the tokens of lowest priority on which
it fires. Two features' kept tokens are compared up to the lower of their highest kept priorities: there, both lists are
complete. The tokens with either feature up to that priority are a sample of all tokens with either, so the share of
them that have both estimates the Jaccard index. Where both features keep all their tokens, it is exact.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from saewidgets.index.bottom_k import NO_LIMIT
from saewidgets.index.finish import NOTHING
from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import CoFiring

_CANDIDATES = 256
_Z = 1.959964


class CoFiringTable:
    """Finds the features that fire with a feature.

    Args:
        sae: Name of the SAE.
        counts: Tokens that each feature fires on [d_sae].
        sketch: Kept tokens of each feature by priority [d_sae, s], NOTHING behind the last.
        tokens: The kept tokens of all features, sorted.
        features: The feature of each.
        priority: From tokens to priorities.
    """

    def __init__(
        self, sae: str, counts: np.ndarray, sketch: np.ndarray, tokens: np.ndarray, features: np.ndarray,
        priority: Callable[[np.ndarray], np.ndarray],
    ) -> None:  # fmt: skip
        self._sae, self._counts, self._sketch = sae, counts, sketch
        self._tokens, self._features, self._priority = tokens, features, priority

    def of(self, feature: int, k: int) -> tuple[CoFiring, ...]:
        """The k features most alike in their tokens, by Jaccard index; none that shares no kept token."""
        own = self._sketch[feature]
        own = own[own != NOTHING]
        start, stop = (np.searchsorted(self._tokens, own, side) for side in ("left", "right"))
        size = stop - start
        where = np.repeat(start, size) + np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        others, both = np.unique(self._features[where], return_counts=True)
        both, others = both[others != feature], others[others != feature]
        likely = np.lexsort((others, -both))[:_CANDIDATES]
        others, both = others[likely], both[likely]
        if not len(others):
            return ()
        either, exact = self._either(feature, others, both)
        jaccard = both / either
        low, high = (np.where(exact, jaccard, each) for each in _wilson(both, either))
        counts, own_count = self._counts[others], int(self._counts[feature])
        shared = np.minimum(jaccard / (1 + jaccard) * (counts + own_count), np.minimum(counts, own_count))
        shared = np.where(exact, both, shared)
        order = np.lexsort((others, -jaccard))[:k]
        columns = (each[order].tolist() for each in (others, jaccard, low, high, shared, shared / own_count))
        return tuple(CoFiring(FeatureId(self._sae, row[0]), *row[1:]) for row in zip(*columns, strict=True))

    def _either(self, feature: int, others: np.ndarray, both: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of each pair, the tokens with either feature as far as both lists are complete, and whether that is all."""
        rows = np.append(others, feature)
        kept = self._sketch[rows]
        priorities = np.where(kept != NOTHING, self._priority(kept), NO_LIMIT)
        whole = self._counts[rows] <= kept.shape[1]
        limits = np.where(whole, NO_LIMIT, priorities[:, -1])
        limit = np.minimum(limits[:-1], limits[-1])
        held = kept != NOTHING
        theirs = (held[:-1] & (priorities[:-1] <= limit[:, None])).sum(1)
        own = (held[-1] & (priorities[-1] <= limit[:, None])).sum(1)
        return theirs + own - both, whole[:-1] & whole[-1]


def _wilson(hits: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % interval of shares."""
    share, z2 = hits / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return np.maximum(0.0, middle - half), np.minimum(1.0, middle + half)
