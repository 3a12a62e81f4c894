"""For each of many groups, the k items of lowest priority: a uniform sample whatever comes, in whatever order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

NO_LIMIT = np.uint64(2**64 - 1)
Priorities = Callable[[np.ndarray, np.ndarray], np.ndarray]


class BottomK:
    """The k items of lowest priority of each group.

    The priority of an item is a hash of its group's feature and its position. It looks like a random number, and it
    can be computed again, so that it is not stored. Which items are kept depends on the set of items alone: not on
    their order, on the batches that they came in, or on an interruption between.

    Args:
        n_groups: Number of groups.
        k: How many are kept of each.
        priorities: From groups and positions to priorities, uint64; lower is kept.

    Attributes:
        n: How many are kept of each group, int32 [n_groups].
        positions: Positions, uint32 [n_groups, k]; the first ``n`` of a group hold, in no order.
        values: Their activations, float32 [n_groups, k].
    """

    def __init__(self, n_groups: int, k: int, priorities: Priorities) -> None:
        self.k, self._priorities = k, priorities
        self.n = np.zeros(n_groups, np.int32)
        self.positions = np.zeros((n_groups, k), np.uint32)
        self.values = np.zeros((n_groups, k), np.float32)
        self._limit = np.full(n_groups, NO_LIMIT)

    @property
    def nbytes(self) -> int:
        """Bytes of the state."""
        return sum(each.nbytes for each in (self.n, self.positions, self.values, self._limit))

    def add(self, groups: np.ndarray, positions: np.ndarray, values: np.ndarray) -> None:
        """Take items in.

        Args:
            groups: Group of each [items].
            positions: Position of each, uint32 [items]; no group gets one twice.
            values: Activation of each, float32 [items].
        """
        priorities = self._priorities(groups, positions)
        taken = np.flatnonzero(priorities <= self._limit[groups])
        order = taken[np.argsort(groups[taken], kind="stable")]
        groups, positions, values, priorities = groups[order], positions[order], values[order], priorities[order]
        rank = rank_in_group(groups)
        slot = self.n[groups] + rank
        full = np.zeros(len(self.n), bool)
        full[groups[slot >= self.k]] = True
        fits, crowded = ~full[groups], full[groups]
        self.positions[groups[fits], slot[fits]] = positions[fits]
        self.values[groups[fits], slot[fits]] = values[fits]
        np.add.at(self.n, groups[fits], 1)
        self._refill(np.flatnonzero(full), groups[crowded], positions[crowded], values[crowded], priorities[crowded])
        self._set_limits(groups[fits & (rank == 0)])

    def take(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take everything out of some groups; groups, positions and values of what was in them."""
        held = np.arange(self.k)[None] < self.n[groups][:, None]
        rows = np.repeat(groups, self.n[groups])
        out = rows, self.positions[groups][held], self.values[groups][held]
        self.n[groups], self._limit[groups] = 0, NO_LIMIT
        return out

    def _refill(
        self, full: np.ndarray, groups: np.ndarray, positions: np.ndarray, values: np.ndarray, priorities: np.ndarray
    ) -> None:
        """Groups that get more than they hold: the lowest of old and new."""
        old_groups, old_positions, old_values = self.take(full)
        groups = np.concatenate([old_groups, groups])
        positions = np.concatenate([old_positions, positions])
        values = np.concatenate([old_values, values])
        priorities = np.concatenate([self._priorities(old_groups, old_positions), priorities])
        order = np.lexsort((priorities, groups))
        groups = groups[order]
        rank = rank_in_group(groups)
        kept = rank < self.k
        self.positions[groups[kept], rank[kept]] = positions[order][kept]
        self.values[groups[kept], rank[kept]] = values[order][kept]
        last = rank == self.k - 1
        self.n[full] = self.k
        self._limit[groups[last]] = priorities[order][last]

    def _set_limits(self, groups: np.ndarray) -> None:
        """The highest priority kept, of groups that have just become full."""
        groups = groups[(self.n[groups] == self.k) & (self._limit[groups] == NO_LIMIT)]
        if len(groups):
            rows = np.repeat(groups, self.k).reshape(-1, self.k)
            self._limit[groups] = self._priorities(rows, self.positions[groups]).max(1)

    # ---- a checkpoint ----------------------------------------------------------------------------------------------

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, without its empty places."""
        held = np.arange(self.k)[None] < self.n[:, None]
        return {"n": self.n, "positions": self.positions[held], "values": self.values[held]}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        self.n[:] = arrays["n"]
        held = np.arange(self.k)[None] < self.n[:, None]
        self.positions[held], self.values[held] = arrays["positions"], arrays["values"]
        self._limit[:] = NO_LIMIT
        self._set_limits(np.arange(len(self.n)))


def rank_in_group(groups: np.ndarray) -> np.ndarray:
    """The place of each item among those of its group, from 0; ``groups`` is sorted.

    Example:
        >>> rank_in_group(np.array([3, 3, 5, 7, 7, 7]))
        array([0, 1, 0, 0, 1, 2])
    """
    if not len(groups):
        return np.zeros(0, np.int64)
    starts = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.concatenate([starts, [len(groups)]])))
