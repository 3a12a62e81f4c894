"""How far two raters agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Agreement:
    """Two raters' scores of the same items.

    Args:
        first: Name of one rater.
        second: Name of the other.
        kappa: Cohen's kappa with quadratic weights; NaN without items, or where both always give the same one score.
        table: How many items got score i from the first and j from the second, int64 [score, score].

    Example:
        >>> Agreement("ann", "bob", 1.0, np.diag([1, 0, 0, 2]))
        Agreement(ann and bob: kappa 1.00 over 3 items, 3 the same)
    """

    first: str
    second: str
    kappa: float
    table: np.ndarray

    @property
    def n(self) -> int:
        """Items that both have rated."""
        return int(self.table.sum())

    def __repr__(self) -> str:
        same = int(np.trace(self.table))
        return f"Agreement({self.first} and {self.second}: kappa {self.kappa:.2f} over {self.n} items, {same} the same)"

    def to_frame(self) -> pd.DataFrame:
        """One row a pair of scores that occurs: first, second, count."""
        import pandas as pd

        rows = [(int(i), int(j), int(self.table[i, j])) for i, j in np.argwhere(self.table)]
        return pd.DataFrame(rows, columns=[self.first, self.second, "count"])
