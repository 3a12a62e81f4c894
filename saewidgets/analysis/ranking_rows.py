"""The rows of a ranking: which pairs of token and feature belong together, and what they add up to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from saewidgets.analysis.attribution import Decomposition
from saewidgets.results.ranking import Scope


@dataclass(frozen=True)
class Rows:
    """The rows of one SAE: the pairs of row r are ``pairs[starts[r]:starts[r + 1]]``.

    Attributes:
        pairs: Pairs of the decomposition, row after row [pair].
        starts: First pair of each row, and the end [row + 1].
        features: Feature of each row [row].
        positions: Its token [row]; -1 where it stands for all positions.
        activation: Sum of its activations, float64 [row].
        attribution: Sum of its attributions, float64 [row].
        gradient: dM/dx that the attributions come from [pos, d_in].
    """

    pairs: np.ndarray
    starts: np.ndarray
    features: np.ndarray
    positions: np.ndarray
    activation: np.ndarray
    attribution: np.ndarray
    gradient: Tensor

    def of(self, row: int) -> np.ndarray:
        """The pairs of one row."""
        return self.pairs[self.starts[row] : self.starts[row + 1]]


def make_rows(
    part: Decomposition, gradient: Tensor, attribution: np.ndarray, scope: Scope, position: int | None
) -> Rows:
    """The rows of one SAE.

    Args:
        part: The prompt at its hook point.
        gradient: dM/dx [pos, d_in].
        attribution: Attribution of each pair [pair].
        scope: "position": a row for each pair; "all_positions": one for each feature.
        position: Only features that fire at this token; None: all.
    """
    features, positions = part.features.cpu().numpy(), part.positions.cpu().numpy()
    values = part.values.double().cpu().numpy()
    kept = np.arange(len(features)) if position is None else np.flatnonzero(positions == position)
    if scope == "all_positions":
        kept = np.flatnonzero(np.isin(features, features[kept]))
        kept = kept[np.argsort(features[kept], kind="stable")]
        starts = np.flatnonzero(np.diff(features[kept], prepend=-1))
    else:
        starts = np.arange(len(kept))
    first = kept[starts]
    at = positions[first] if scope == "position" else np.full(len(first), -1)

    def summed(column: np.ndarray) -> np.ndarray:
        return np.add.reduceat(column[kept], starts) if len(starts) else np.zeros(0)

    ends = np.append(starts, len(kept))
    return Rows(kept, ends, features[first], at, summed(values), summed(attribution), gradient)
