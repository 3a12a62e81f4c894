"""For each of many groups, the k items of lowest priority: a uniform sample whatever comes, in whatever order."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

NO_LIMIT = np.uint64(2**64 - 1)
_FEW, _AT_ONCE = 8, 2**13

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
        order = taken[np.argsort(groups[taken].astype(np.uint32))]
        groups, positions, values, priorities = groups[order], positions[order], values[order], priorities[order]
        rank = rank_in_group(groups)
        slot = self.n[groups] + rank
        full = np.zeros(len(self.n), bool)
        full[groups[slot >= self.k]] = True
        fits, crowded = ~full[groups], full[groups]
        self.positions[groups[fits], slot[fits]] = positions[fits]
        self.values[groups[fits], slot[fits]] = values[fits]
        np.add.at(self.n, groups[fits], 1)
        self._refill(groups[crowded], positions[crowded], values[crowded], priorities[crowded], rank[crowded])
        self._set_limits(groups[fits & (rank == 0)])

    def merge(self, other: BottomK) -> None:
        """Take in all that another holds of the same groups, of other positions."""
        for n in range(0, len(self.n), _AT_ONCE):
            groups = np.arange(n, min(n + _AT_ONCE, len(self.n)))
            held = np.arange(self.k) < other.n[groups][:, None]
            rows = np.repeat(groups, other.n[groups])
            self.add(rows, other.positions[groups][held], other.values[groups][held])

    def take(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Take everything out of some groups; groups, positions and values of what was in them."""
        held = np.arange(self.k)[None] < self.n[groups][:, None]
        rows = np.repeat(groups, self.n[groups])
        out = rows, self.positions[groups][held], self.values[groups][held]
        self.n[groups], self._limit[groups] = 0, NO_LIMIT
        return out

    def _refill(
        self, groups: np.ndarray, positions: np.ndarray, values: np.ndarray, priorities: np.ndarray, rank: np.ndarray
    ) -> None:
        """Groups that get more than they hold, sorted, with each item's place among those that its group gets."""
        starts = np.flatnonzero(rank == 0)
        sizes = np.diff(np.append(starts, len(groups)))
        few = np.repeat(sizes <= _FEW, sizes)
        ends = np.cumsum(sizes[sizes <= _FEW])
        items = [each[few] for each in (groups, positions, values, priorities)]
        for n in range(0, len(ends), _AT_ONCE):
            part = slice(ends[n - 1] if n else 0, ends[min(n + _AT_ONCE, len(ends)) - 1])
            self._refill_few(*(each[part] for each in items))
        if not few.all():
            self._refill_many(*(each[~few] for each in (groups, positions, values, priorities)))

    def _refill_few(
        self, groups: np.ndarray, positions: np.ndarray, values: np.ndarray, priorities: np.ndarray
    ) -> None:
        """A row for each group, of which the lowest places are kept."""
        rank = rank_in_group(groups)
        starts = np.flatnonzero(rank == 0)
        rows, row = groups[starts], np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(groups))))
        shape = len(rows), self.k + _FEW
        held = np.arange(self.k, dtype=np.int32) < self.n[rows][:, None]
        every, where, what = np.full(shape, NO_LIMIT), np.zeros(shape, np.uint32), np.zeros(shape, np.float32)
        where[:, : self.k], what[:, : self.k] = self.positions[rows], self.values[rows]
        old = self._priorities(np.broadcast_to(rows[:, None], held.shape), where[:, : self.k])
        every[:, : self.k] = np.where(held, old, NO_LIMIT)
        new = row, self.k + rank
        every[new], where[new], what[new] = priorities, positions, values
        lowest = np.argpartition(every, self.k - 1, axis=1)[:, : self.k]
        self.positions[rows] = np.take_along_axis(where, lowest, 1)
        self.values[rows] = np.take_along_axis(what, lowest, 1)
        self._limit[rows] = np.take_along_axis(every, lowest[:, -1:], 1)[:, 0]
        self.n[rows] = self.k

    def _refill_many(
        self, groups: np.ndarray, positions: np.ndarray, values: np.ndarray, priorities: np.ndarray
    ) -> None:
        """All old and new items sorted."""
        full = groups[rank_in_group(groups) == 0]
        old_groups, old_positions, old_values = self.take(full)
        groups = np.concatenate([old_groups, groups])
        positions = np.concatenate([old_positions, positions])
        values = np.concatenate([old_values, values])
        priorities = np.concatenate([self._priorities(old_groups, old_positions), priorities])
        order = order_within(groups, priorities)
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

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """The state by name, one array after the other, without its empty places."""
        yield "n", self.n
        held = np.arange(self.k, dtype=np.int32)[None] < self.n[:, None]
        yield "positions", self.positions[held]
        yield "values", self.values[held]

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Take the state of :meth:`arrays`."""
        self.n[:] = arrays["n"]
        held = np.arange(self.k)[None] < self.n[:, None]
        self.positions[held], self.values[held] = arrays["positions"], arrays["values"]
        self._limit[:] = NO_LIMIT
        self._set_limits(np.arange(len(self.n)))


def order_within(groups: np.ndarray, keys: np.ndarray) -> np.ndarray:
    """Order by group, then by key, uint64; equal keys of a group in any order.

    It sorts one number each, made of the group and the first bits of the key, which is several times as fast as
    sorting by two, and sorts by two where these bits do not decide.

    Example:
        >>> order_within(np.array([1, 0, 1]), np.array([5, 9, 4], np.uint64))
        array([1, 2, 0])
    """
    if not len(groups):
        return np.zeros(0, np.int64)
    lowest = groups.min()
    bits = np.uint64(max(int(groups.max() - lowest).bit_length(), 1))
    joined = (groups - lowest).astype(np.uint64) << (np.uint64(64) - bits) | keys >> bits
    order = np.argsort(joined)
    joined = joined[order]
    return np.lexsort((keys, groups)) if (joined[1:] == joined[:-1]).any() else order


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
