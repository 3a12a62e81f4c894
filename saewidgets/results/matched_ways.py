"""One row of a comparison of ways to steer, its interval, and how a feature was chosen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RESAMPLES = 2000


class FeatureChoice(NamedTuple):
    """How a feature was chosen among all of an SAE, and how it does on texts that it was not chosen on.

    Attributes:
        chosen_auroc: On the texts it was chosen on; the best of all features, so too good.
        auroc: On the other texts: share of pairs of a positive and a negative text that it puts in order.
        precision: On the other texts: share of positive ones among those in which it fires.
        recall: On the other texts: share of the positive ones in which it fires.
        n_texts: How many texts it was chosen on, both sides together.
        candidates: Of how many of the best detectors it is the one that steers best; 1: the best detector.
    """

    chosen_auroc: float
    auroc: float
    precision: float
    recall: float
    n_texts: int
    candidates: int = 1


class MatchedWay(NamedTuple):
    """One way to steer in a matched comparison; means over prompts and draws, with a 95 % bootstrap interval.

    Attributes:
        method: An operation on the feature, or how the vector was made.
        n_pairs: Pairs of texts that the vector was made from; 0 where it needs none.
        effect: Gain in the target's log-odds at the next token, in nats; NaN where no draw reaches the budget.
        low: Lower end of its interval: over prompts and, where there are several, over draws of texts.
        high: Upper end.
        score: Harmonic mean of concept, fluency and repetition, 0 to 2, of the first draw.
        written: Share of the continuations in which the target was written, of the first draw.
        kl: Mean KL(base || edited) on the neutral texts, in nats per token.
        ce_increase: Mean increase of the cross-entropy of the neutral texts, in nats per token.
        norm: Mean length of what is added to a token of the prompts, in mean lengths of their activations.
        strength: Mean strength, in multiples of the feature's reference maximum or of the vector.
        reached: How many draws reach the budget.
        draws: Of how many.
    """

    method: str
    n_pairs: int
    effect: float
    low: float
    high: float
    score: float
    written: float
    kl: float
    ce_increase: float
    norm: float
    strength: float
    reached: int
    draws: int


def interval_of(values: np.ndarray, minus: np.ndarray | None = None) -> tuple[float, float, float]:
    """Mean of [draw, prompt], or of a difference of two, with its 95 % bootstrap interval, seed 0.

    Prompts are drawn for both alike; draws of texts for each by itself.
    """
    if not values.size or (minus is not None and not minus.size):
        return float("nan"), float("nan"), float("nan")
    random = np.random.default_rng(0)
    n_prompts = values.shape[1]
    counts = random.multinomial(n_prompts, np.full(n_prompts, 1 / n_prompts), RESAMPLES) / n_prompts

    def resampled(values: np.ndarray) -> np.ndarray:
        n = len(values)
        weights = random.multinomial(n, np.full(n, 1 / n), RESAMPLES) / n
        return np.einsum("rd,dp,rp->r", weights, values, counts)

    means, mean = resampled(values), float(values.mean())
    if minus is not None:
        means, mean = means - resampled(minus), mean - float(minus.mean())
    low, high = np.percentile(means, [2.5, 97.5])
    return mean, float(low), float(high)
