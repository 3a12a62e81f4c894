"""How well steering did, without a judge: numbers from log-probabilities and token ids, and ratings from 0 to 2.

=============  =====================================================================================================
concept        2 (s - b) / max(-b, 1), where b and s are the target's log-odds at the next token, without and with
               edits: 0 where nothing is gained, 2 where the target is as likely as all other tokens together
fluency        2 (log V - c) / (log V - c0), where c is the cross-entropy of the steered text under the unedited model,
               c0 that of its own text, V the size of the vocabulary: 2 for a text as expected as its own, 0 for one
               that is no more expected than tokens drawn evenly
repetition     2 times the share of runs of three tokens that were not written before
score          harmonic mean of the three, 0 where any is 0
=============  =====================================================================================================

All ratings are cut to 0..2. They are shaped after the three ratings of AxBench, whose concept, instruct and fluency
are given by a language model that reads the texts: the numbers cannot be compared with those of AxBench.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saewidgets.errors import EditError

RUN = 3  # tokens of a run whose repetition counts
_CHUNK_NUMBERS = 2**24


def log_odds(logits: Tensor, target: Sequence[int]) -> Tensor:
    """Log p - log(1 - p) of the next token being one of several, float64 [...].

    Args:
        logits: Logits, or log-probabilities [..., d_vocab].
        target: Token ids, each once and not the whole vocabulary.

    Example:
        >>> log_odds(torch.log(torch.tensor([0.25, 0.25, 0.5])), [0, 1]).item()
        0.0
    """
    inside = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    inside[list(target)] = True
    wide = logits if logits.dtype == torch.float64 else logits.float()
    named = wide[..., inside].logsumexp(-1)
    return (named - wide.masked_fill(inside, -math.inf).logsumexp(-1)).double()


def concept_rating(base: np.ndarray, steered: np.ndarray) -> np.ndarray:
    """The target's gain in log-odds as a rating from 0 to 2; see the head of this module.

    Args:
        base: Log-odds without edits [prompt].
        steered: Log-odds with them [..., prompt].

    Example:
        >>> concept_rating(np.array([-8.0]), np.array([[-9.0], [-4.0], [0.0], [3.0]])).ravel()
        array([0., 1., 2., 2.])
    """
    room = np.maximum(-base, 1.0)
    return 2 * ((steered - base) / room).clip(0, 1)


def fluency_rating(base_ce: np.ndarray, steered_ce: np.ndarray, d_vocab: int) -> np.ndarray:
    """How expected a text is to the unedited model, as a rating from 0 to 2; see the head of this module.

    Args:
        base_ce: Cross-entropy of the unedited model's own texts in nats per token [prompt].
        steered_ce: Cross-entropy of the steered texts under the unedited model [..., prompt].
        d_vocab: Size of the vocabulary.

    Example:
        >>> fluency_rating(np.array([0.0]), np.array([0.0, np.log(10), np.log(1000)]), 100).round(6)
        array([2., 1., 0.])
    """
    even = math.log(d_vocab)
    return 2 * ((even - steered_ce) / np.maximum(even - base_ce, 1e-9)).clip(0, 1)


def distinct_share(ids: Sequence[int], run: int = RUN) -> float:
    """Share of runs of ``run`` tokens that were not written before; 1 for texts shorter than that.

    Example:
        >>> distinct_share([1, 2, 3, 4]), distinct_share([1, 1, 1, 1, 1])
        (1.0, 0.3333333333333333)
    """
    runs = [tuple(ids[n : n + run]) for n in range(len(ids) - run + 1)]
    return len(set(runs)) / len(runs) if runs else 1.0


def harmonic_means(*ratings: np.ndarray) -> np.ndarray:
    """The harmonic mean of ratings, number by number: 0 where any is 0, NaN where any is NaN.

    Example:
        >>> harmonic_means(np.array([2.0, 2.0, 1.0]), np.array([2.0, 0.0, 2.0]), np.array([2.0, 2.0, 2.0]))
        array([2. , 0. , 1.5])
    """
    stacked = np.stack(np.broadcast_arrays(*ratings)).astype(np.float64)
    zero = (stacked == 0).any(0)
    unknown = np.isnan(stacked).any(0)
    means = len(stacked) / (1 / np.where(stacked == 0, 1.0, stacked)).sum(0)
    return np.where(unknown, np.nan, np.where(zero, 0.0, means))


class Detector(NamedTuple):
    """How well one feature tells texts of two sides apart by its largest activation in each.

    Attributes:
        feature: The feature.
        auroc: Share of pairs of a positive and a negative text that it puts in order, ties half; 0.5 by chance.
        precision: Of the texts in which it fires (f > 0), the share that is positive; 0 where it fires in none.
        recall: Of the positive texts, the share in which it fires.
    """

    feature: int
    auroc: float
    precision: float
    recall: float


def choose_detectors(positive: np.ndarray, negative: np.ndarray, k: int = 1) -> list[tuple[Detector, Detector]]:
    """The features that best tell every second text of both sides apart, and how they do on the others.

    Chosen by AUROC on texts 0, 2, 4, ...; where several are equal, by the larger difference of mean activations in
    units of the feature's largest one, then by the smaller index. Texts 1, 3, 5, ... are not looked at before.

    Args:
        positive: Largest activation of each feature in each text [n, d_sae].
        negative: The same of the other side [m, d_sae].
        k: At most how many; only those that are better than chance.

    Returns:
        Of each, best first, the detector as it was chosen, and as it is on the other texts.

    Raises:
        EditError: A side with fewer than 2 texts, or no feature that is better than chance.

    Example:
        >>> p, n = np.array([[0.0, 3.0], [0.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 0.0]])
        >>> choose_detectors(p, n)[0][1]
        Detector(feature=1, auroc=1.0, precision=1.0, recall=1.0)
    """
    if min(len(positive), len(negative)) < 2:
        raise EditError(
            "A feature is chosen on half of the texts and checked on the other half.",
            got=f"{len(positive)} positive and {len(negative)} negative texts", expected="2 or more of each",
            do="give more texts, or name the feature with feature=...",
        )  # fmt: skip
    p, n = positive[::2], negative[::2]
    scores = aurocs(p, n)
    scale = np.maximum(np.maximum(p.max(0), n.max(0)), 1e-30)
    gap = (p.mean(0) - n.mean(0)) / scale
    best = [int(feature) for feature in np.lexsort((-gap, -scores))[:k] if scores[feature] > 0.5]
    if not best:
        raise EditError(
            "No feature of the SAE tells the texts of both sides apart.", got=f"best AUROC {scores.max():.2f}",
            expected="above 0.5", do="name the feature with feature=..., or take another SAE",
        )  # fmt: skip
    return [(_detector(j, p, n), _detector(j, positive[1::2], negative[1::2])) for j in best]


def _detector(index: int, positive: np.ndarray, negative: np.ndarray) -> Detector:
    p, n = positive[:, index], negative[:, index]
    right, wrong = int((p > 0).sum()), int((n > 0).sum())
    precision = right / (right + wrong) if right + wrong else 0.0
    return Detector(index, float(aurocs(p[:, None], n[:, None])[0]), precision, right / len(p))


def aurocs(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column, ties half, float64 [d].

    Args:
        positive: Values [n, d].
        negative: Values [m, d].

    Example:
        >>> aurocs(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([[2.0, 0.0]]))
        array([0.5, 0.5])
    """
    n, m, d = len(positive), len(negative), positive.shape[1]
    result = np.empty(d)
    step = max(1, _CHUNK_NUMBERS // (n * m))
    for start in range(0, d, step):
        p, q = positive[:, None, start : start + step], negative[None, :, start : start + step]
        result[start : start + step] = ((p > q).sum((0, 1)) + 0.5 * (p == q).sum((0, 1))) / (n * m)
    return result


def check_above_zero(name: str, values: Any) -> tuple[float, ...]:
    """Numbers as floats, smallest first, each once.

    Raises:
        EditError: There are none, or one is not finite and above 0.
    """
    try:
        listed = sorted({float(value) for value in values})
    except (TypeError, ValueError):
        listed = []
    if not listed or not all(0 < value < math.inf for value in listed):
        raise EditError(f"These are no numbers for '{name}'.", got=repr(values)[:80], expected="numbers above 0")
    return tuple(listed)
