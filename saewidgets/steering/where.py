"""Which positions an edit changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from saewidgets.errors import EditError
from saewidgets.results import FeatureId
from saewidgets.results.steering_vector import Number

Part = Literal["all", "prompt", "generated"]
PARTS = ("all", "prompt", "generated")


@dataclass(frozen=True)
class WhileActive:
    """Positions at which a feature, often another one, fires above a threshold; see :func:`while_active`."""

    feature: FeatureId | str | int
    threshold: float = 0.0


Where = Part | tuple[int, ...] | tuple[bool, ...] | WhileActive


def while_active(feature: FeatureId | str | int, threshold: Number = 0.0) -> WhileActive:
    """The positions at which a feature fires.

    Args:
        feature: The feature; it is read at its own hook point, before any edit there.
        threshold: Activation, in the SAE's units, that it must exceed.

    Raises:
        EditError: The threshold is not a finite number.

    Example:
        >>> while_active("mid/7", 2.0)
        WhileActive(feature='mid/7', threshold=2.0)
    """
    if isinstance(threshold, bool) or not hasattr(threshold, "__float__") or not math.isfinite(threshold):
        raise EditError("This is no threshold.", got=repr(threshold), expected="a finite number")
    return WhileActive(feature, float(threshold))


def make_where(where: Any) -> Where:
    """Positions as people give them: a word, a position, several, a mask, or :func:`while_active`.

    Raises:
        EditError: None of these.
    """
    if isinstance(where, WhileActive) or (isinstance(where, str) and where in PARTS):
        return where
    tensor: Any = where
    if hasattr(tensor, "detach"):
        where = tensor.detach().cpu().numpy()
    if isinstance(where, int | np.integer) and not isinstance(where, bool):
        where = [where]
    if isinstance(where, np.ndarray | Sequence) and not isinstance(where, str):
        array = np.asarray(where)
        if array.ndim == 1 and array.dtype == bool and len(array):
            return tuple(array.tolist())
        if array.ndim == 1 and array.dtype.kind in "iu" and len(array):
            if array.min() < 0:
                raise EditError("Positions are counted from 0.", got=int(array.min()), expected="0 or more")
            return tuple(array.tolist())
    raise EditError(
        "An edit cannot be made there.",
        got=repr(where)[:80],
        expected="'all', 'prompt', 'generated', positions, a mask, or while_active(feature)",
    )
