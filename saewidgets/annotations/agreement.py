"""How far two raters agree."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from saewidgets.annotations.records import SCORES
from saewidgets.errors import AnnotationError
from saewidgets.results.agreement import Agreement
from saewidgets.results.annotation import Annotation
from saewidgets.results.numbers import whole_number

CATEGORIES, CATEGORIES_LIMIT = len(SCORES), 1_000


def weighted_kappa(first: Iterable[Any], second: Iterable[Any], categories: Any = CATEGORIES) -> float:
    """Cohen's kappa with quadratic weights: 1 - sum w O / sum w E, w = (i - j)^2.

    O are the pairs that were found, E those that two raters with the same frequencies would give by chance. 1 is full
    agreement, 0 that of chance; NaN without pairs, or where both always say the same one thing.

    An item that one of them has not rated (None, NaN, pandas' NA) is left out, as in :meth:`AnnotationStore.agreement`.

    Args:
        first: Scores of one rater, from 0 to categories - 1; whole floats, as in a column with gaps, are fine.
        second: Those of the other for the same items.
        categories: How many scores there are.

    Raises:
        AnnotationError: Lists of different lengths, or what is no such score.

    Example:
        >>> weighted_kappa([0, 1, 2, 3], [0, 1, 2, 3]), weighted_kappa([0, 0, 3, 3], [0, 3, 0, 3])
        (1.0, 0.0)
        >>> weighted_kappa([0, 3, None], [0.0, 3.0, 1.0])
        1.0
    """
    return _kappa(_table(first, second, categories))


def _table(first: Iterable[Any], second: Iterable[Any], categories: Any) -> np.ndarray:
    size = whole_number(categories)
    if size is None or not 0 < size <= CATEGORIES_LIMIT:
        expected = f"a whole number from 1 to {CATEGORIES_LIMIT}"
        raise AnnotationError("There is no such number of scores.", got=repr(categories)[:80], expected=expected)
    a, b = ([_score(each, size) for each in scores] for scores in (first, second))
    if len(a) != len(b):
        got = f"{len(a)} and {len(b)} scores"
        raise AnnotationError("Two raters are compared on the same items.", got=got)
    table = np.zeros((size, size), np.int64)
    for pair in zip(a, b, strict=True):
        if None not in pair:
            table[pair] += 1
    return table


def _score(value: Any, categories: int) -> int | None:
    """A score, None where there is none."""
    is_float = isinstance(value, float | np.floating)
    if value is None or type(value).__name__ == "NAType" or (is_float and math.isnan(value)):
        return None
    score = whole_number(int(value) if is_float and value.is_integer() else value)
    if score is None or not 0 <= score < categories:
        raise AnnotationError("There is no such score.", got=repr(value)[:80], expected=f"0..{categories - 1}")
    return score


def _kappa(table: np.ndarray) -> float:
    n, scores = int(table.sum()), np.arange(len(table))
    weights = (scores[:, None] - scores) ** 2
    # Both sums times n^2 are whole numbers: no rounding before the one division.
    by_chance = int((weights * np.outer(table.sum(1), table.sum(0))).sum())
    found = int((weights * table).sum()) * n
    return 1 - found / by_chance if by_chance else float("nan")


def agreement_of(annotations: Iterable[Annotation], first: str, second: str) -> Agreement:
    """The agreement of two raters over everything that both have rated."""
    pairs = []
    for each in annotations:
        scores = dict(each.ratings)
        if first in scores and second in scores:
            pairs.append((scores[first], scores[second]))
    table = _table([a for a, _ in pairs], [b for _, b in pairs], len(SCORES))
    return Agreement(first, second, _kappa(table), table)
