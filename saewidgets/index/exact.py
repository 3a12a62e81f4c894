"""Sums that no rounding touches, so that neither the order of the numbers nor their parts leave a trace."""

from __future__ import annotations

import numpy as np

_BITS, _LOWER = 32, np.int64(2**32 - 1)
_MANTISSA = 53
_COUNT_BITS = 33
_CARRY_AFTER = 2**29
_AT_ONCE = 2**16


class ExactSums:
    """Exact sums of many groups of numbers that are not negative.

    Each sum is a whole number of several hundred bits, 32 of them in each of its limbs, which have room for carries.

    Args:
        n: Number of groups.
        least: No number but 0 is below 2**least, nor has it bits below.
        most: All numbers are below 2**most, and fewer than 2**33 come to one group.

    Attributes:
        limbs: int64 [n, limbs], the lowest first.

    Example:
        >>> sums = ExactSums(1, least=-149, most=128)
        >>> sums.add(np.zeros(3, int), np.array([1e30, 1e-30, 1.0]))
        >>> sums.add(np.zeros(1, int), np.array([1e30]), sign=-1)
        >>> sums.rounded()
        array([1.])
    """

    def __init__(self, n: int, least: int, most: int) -> None:
        self._least, self._most, self._uncarried = least, most, 0
        self._lowest = least - _MANTISSA + 1  # a place for the last of 53 bits of the smallest number
        self.limbs = np.zeros((n, (most + _COUNT_BITS - self._lowest) // _BITS + 2), np.int64)

    @property
    def nbytes(self) -> int:
        """Bytes of the sums."""
        return self.limbs.nbytes

    def add(self, groups: np.ndarray, values: np.ndarray, sign: int = 1) -> None:
        """Add a number to the sum of its group, or take it away.

        Args:
            groups: Group of each, int [items].
            values: The numbers, float64 [items].
            sign: 1, or -1 to take away what was added; no sum may come out below 0.
        """
        for n in range(0, len(values), _AT_ONCE):
            self._add(groups[n : n + _AT_ONCE], values[n : n + _AT_ONCE], sign)

    def _add(self, groups: np.ndarray, values: np.ndarray, sign: int) -> None:
        mantissa, exponent = np.frexp(values)
        whole = np.ldexp(mantissa, _MANTISSA).astype(np.int64)
        place = exponent.astype(np.int64) - (_MANTISSA + self._lowest)
        at = groups * self.limbs.shape[1] + (place >> 5)
        place &= 31
        low, high = (whole & _LOWER) << place, (whole >> _BITS) << place
        parts = (low & _LOWER, (low >> _BITS) + (high & _LOWER), high >> _BITS)
        for n, part in enumerate(parts):
            np.add.at(self.limbs.reshape(-1), at + n, part if sign > 0 else -part)
        self._uncarried += len(values)
        if self._uncarried > _CARRY_AFTER:
            self.carry()

    def merge(self, other: ExactSums) -> None:
        """Add the sums of another, group by group."""
        other.carry()
        self.limbs += other.limbs
        self.carry()

    def carry(self) -> None:
        """Bring each limb but the last into 0..2**32-1; the same sums then have the same limbs."""
        for n in range(self.limbs.shape[1] - 1):
            self.limbs[:, n + 1] += self.limbs[:, n] >> _BITS
            self.limbs[:, n] &= _LOWER
        self._uncarried = 0

    def of(self, rows: np.ndarray) -> ExactSums:
        """A copy of the sums of some groups."""
        out = ExactSums(0, self._least, self._most)
        out.limbs, out._uncarried = self.limbs[rows], self._uncarried
        return out

    def rounded(self) -> np.ndarray:
        """The sums, each rounded once, float64 [n]."""
        self.carry()
        data, size = self.limbs.astype("<u4").tobytes(), 4 * self.limbs.shape[1]
        unit = 1 << -self._lowest
        return np.array([int.from_bytes(data[n : n + size], "little") / unit for n in range(0, len(data), size)])
