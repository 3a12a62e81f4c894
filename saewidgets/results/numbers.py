"""Whole numbers as people give them."""

from __future__ import annotations

import operator
from typing import Any


def whole_number(value: Any) -> int | None:
    """A Python int, numpy or torch whole number as an int; None for anything else, True and False among them.

    Example:
        >>> whole_number(3), whole_number(3.0), whole_number(True), whole_number("3")
        (3, None, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return None
