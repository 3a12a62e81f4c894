"""How far two raters agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from saewidgets.annotations.records import SCORES
from saewidgets.errors import AnnotationError
from saewidgets.results.agreement import Agreement
from saewidgets.results.annotation import Annotation


def weighted_kappa(first: Sequence[int], second: Sequence[int], categories: int = len(SCORES)) -> float:
    """Cohen's kappa with quadratic weights: 1 - sum w O / sum w E, w = (i - j)^2.

    O are the pairs that were found, E those that two raters with the same frequencies would give by chance. 1 is full
    agreement, 0 that of chance; NaN without pairs, or where both always say the same one thing.

    Args:
        first: Scores of one rater, from 0 to categories - 1.
        second: Those of the other for the same items.
        categories: How many scores there are.

    Raises:
        AnnotationError: Lists of different lengths, or a score out of range.

    Example:
        >>> weighted_kappa([0, 1, 2, 3], [0, 1, 2, 3]), weighted_kappa([0, 0, 3, 3], [0, 3, 0, 3])
        (1.0, 0.0)
    """
    return _kappa(_table(first, second, categories))


def _table(first: Sequence[int], second: Sequence[int], categories: int) -> np.ndarray:
    if len(first) != len(second):
        got = f"{len(first)} and {len(second)} scores"
        raise AnnotationError("Two raters are compared on the same items.", got=got)
    table = np.zeros((categories, categories), np.int64)
    for a, b in zip(first, second, strict=True):
        if not (0 <= a < categories and 0 <= b < categories):
            raise AnnotationError("There is no such score.", got=(a, b), expected=f"0..{categories - 1}")
        table[a, b] += 1
    return table


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
