"""The features of activations, sparse."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saewidgets.saes.core import SAE

_DENSE_NUMBERS = 2**24


class SparseRows(NamedTuple):
    """Sparse rows.

    ``counts`` and ``nonfinite`` [rows] are how many features each row has and how many numbers of it were set aside;
    ``indices`` and ``values`` are the features, ascending, and their activations, one row after the other.
    """

    counts: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    nonfinite: np.ndarray


@torch.no_grad()
def sparse_rows(sae: SAE, x: Float[Tensor, "rows *width"]) -> SparseRows:
    """The features of activations that are not 0; never more than a few dense rows are held at once.

    Args:
        sae: The SAE.
        x: Activations [rows, d_in], or [rows, heads, d_head] where the SAE flattens heads.

    Returns:
        One row each; NaN and infinite features are counted and left out.
    """
    step = max(1, _DENSE_NUMBERS // sae.d_sae)
    parts = [_nonzeros(sae.encode(chunk)[0]) for chunk in x.split(step)] if len(x) else []
    empty = SparseRows(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, np.int64))
    return SparseRows(*map(np.concatenate, zip(empty, *parts, strict=True)))


def _nonzeros(acts: Float[Tensor, "rows d_sae"]) -> SparseRows:
    flat = acts.flatten()
    where = flat.nonzero().squeeze(1)
    values = flat[where].float().cpu().numpy()
    row, feature = np.divmod(where.cpu().numpy(), acts.shape[1])
    finite = np.isfinite(values)
    nonfinite = np.bincount(row[~finite], minlength=len(acts))
    if not finite.all():
        row, feature, values = row[finite], feature[finite], values[finite]
    return SparseRows(np.bincount(row, minlength=len(acts)), feature.astype(np.int32), values, nonfinite)
