"""Specificities made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from saewidgets.analysis.specificity import Firings, Scores, of_firings, of_sample
from saewidgets.results import Example, FeatureId, FeatureStats, Histogram, Interval, Specificity

FEATURE = FeatureId("sae", 7)


def exact_of(
    values: Any, marks: Any, n_tokens: int = 1000, n_marked: int | None = None, largest: float = 10.0, **about: Any
) -> Specificity:
    """From every firing on texts of ``n_tokens`` tokens."""
    values, marks = np.asarray(values, np.float64), np.asarray(marks, bool)
    found = Firings(values, marks, n_tokens, int(marks.sum()) if n_marked is None else n_marked)
    return of_firings(found, largest, **{"feature": FEATURE, "what": "/cat/", **about})


def stats_of(values: Any, sampled: Any = ()) -> FeatureStats:
    """What an index knows of a feature: all its firings, and which of them it has sampled, by number."""
    values = np.asarray(values, np.float64)
    largest = float(values.max(initial=0.0))
    edges = [largest * i / 10 for i in range(11)]
    own = np.ceil(values / largest * 10 - 1e-12).astype(int) - 1 if largest else np.zeros(0, int)
    intervals = []
    for i in range(10):
        inside = values[own == i]
        n, mass = len(inside), float(inside.sum())
        examples = tuple(Example(float(values[k]), 1, np.array([0, k + 1]), k, 0) for k in sampled if own[k] == i)
        shares = n / max(len(values), 1), mass, mass / max(float(values.sum()), 1e-9)
        intervals.append(Interval(edges[i], edges[i + 1], float(n), n, n, *shares, examples))
    fine = np.linspace(0, largest, 641) if largest else np.zeros(2)
    counts = np.histogram(values, fine)[0] if largest else np.zeros(1, np.int64)
    return FeatureStats(
        feature=FEATURE, n_tokens=1000, count=len(values), max=largest, mean=float(values.mean()) if len(values) else 0,
        std=0.0, quantiles=(), histogram=Histogram(counts, fine), fine_histogram=Histogram(counts, fine),
        intervals=tuple(intervals), top=(), sample="index of 1,000 tokens",
    )  # fmt: skip


def sampled_of(values: Any, scored: Any, yes: Any, **about: Any) -> Specificity:
    """From some of the firings, by number."""
    values = np.asarray(values, np.float64)
    counts = np.stack([~np.asarray(yes, bool), np.asarray(yes, bool)], 1).astype(np.int64).reshape(-1, 2)
    scores = Scores(values[np.asarray(scored, np.int64)], counts)
    return of_sample(stats_of(values), scores, 1, **{"kind": "predicate", "what": "/cat/", **about})


def rated_of(values: Any, ratings: Any, least: int = 3, **about: Any) -> Specificity:
    """From ratings of the first firings, a list of scores each."""
    values = np.asarray(values, np.float64)
    counts = np.array([np.bincount(each, minlength=4) for each in ratings])
    scores = Scores(values[: len(ratings)], counts)
    return of_sample(
        stats_of(values), scores, least, **{"kind": "rating", "what": f"rated >= {least}", "rater": "ann", **about}
    )
