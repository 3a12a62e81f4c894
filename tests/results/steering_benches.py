"""Comparisons of ways to steer that are made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from saewidgets.results import FeatureChoice, SteeringBench

NAN = float("nan")
NORMS, KLS = (0.2, 0.4), (0.1,)
WAYS = [("set", 0, 1), ("set_if_active", 0, 1), ("difference_in_means", 1, 2), ("difference_in_means", 4, 1),
        ("random", 0, 2)]  # fmt: skip
EFFECT = {"set": 2.0, "set_if_active": NAN, "difference_in_means": 1.0, "random": 0.0}


def bench_of(effect: Any = None, score: Any = None, **more: Any) -> SteeringBench:
    """Five ways, draws 0 and 1 where there are two, budgets 0.2, 0.4 (lengths) and 0.1 (KL); four prompts.

    Effect of a row: that of its method + n_pairs + 0.5 for draw 1 + its place among the budgets + the prompt's number.
    """
    arms = [(method, n, draw) for method, n, draws in WAYS for draw in range(draws)]
    rows = [(*arm, place) for arm in arms for place in range(3)]
    shape = len(rows), 4
    known = np.array([method != "set_if_active" for method, *_ in rows])
    base = np.array([EFFECT[m] + n + 0.5 * draw + place for m, n, draw, place in rows])
    effects = base[:, None] + np.arange(4) if effect is None else effect
    first = np.array([draw == 0 for _, _, draw, _ in rows]) & known
    scores = np.where(first[:, None], np.tile(np.arange(4) / 2, (len(rows), 1)), NAN) if score is None else score
    budgets = np.array([[*NORMS, *KLS][place] for *_, place in rows])

    def column(value: float) -> np.ndarray:
        return np.where(known, value, NAN)

    options: dict[str, Any] = {
        "target": (" Paris",), "model": "tiny", "hook": "blocks.2.hook_resid_pre", "feature": "mid/7",
        "choice": FeatureChoice(1.0, 0.9, 0.8, 0.7, 16), "prompts": ("a", "b", "c", "d"),
        "picking": np.array([True, False, True, False]), "n_neutral_tokens": 50, "n_texts": (8, 8), "text_length": 6.0,
        "mean_norm": 20.0, "base_log_odds": np.full(4, -5.0), "base_written": np.zeros(4),
        "matched": ("norm", "norm", "kl") * len(arms), "budget": budgets, "method": tuple(row[0] for row in rows),
        "n_pairs": np.array([row[1] for row in rows]), "draw": np.array([row[2] for row in rows]),
        "strength": column(1.5), "norm": np.where(known, budgets, NAN), "kl": column(0.1), "ce_increase": column(0.05),
        "effect": np.where(known[:, None], effects, NAN), "text_effect": np.full(shape, NAN),
        "written": np.where(first[:, None], np.ones(shape), NAN),
        "concept": np.full(shape, NAN), "fluency": np.full(shape, NAN),
        "repetition": np.full(shape, NAN), "score": scores, "seconds": 3.0,
    }  # fmt: skip
    return SteeringBench(**options | more)
