"""Which concepts of the world an SAE has: the best feature of each, chosen on some documents and measured on others.

Protocol. Feature and threshold of a concept are those with the best F1 on the selection documents, over all features
and the thresholds 0, 0.1, ..., 0.9 times the feature's maximum there. F1 is then measured with that feature and
threshold on held-out documents of another seed. A span of the concept counts as found when the feature fires above the
threshold on any of its tokens; a firing token counts as right when it overlaps a span of the concept. Precision is over
firing tokens, recall over spans, F1 = 2PR / (P + R). Concepts with too few spans in either set are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from saewidgets.demo import world
from saewidgets.demo.build.corpus import TokenSpans
from saewidgets.index.concepts import ranges

LEVELS = 10


@dataclass(frozen=True)
class Codes:
    """The features that fire on each token of a corpus, compressed by rows.

    Attributes:
        indptr: First entry of each token and, last, the number of entries.
        features: Feature of each entry.
        values: Its activation, above 0.
        width: Number of features of the SAE.
    """

    indptr: Int64[np.ndarray, " token_plus_one"]
    features: Int32[np.ndarray, " entry"]
    values: Float32[np.ndarray, " entry"]
    width: int

    @property
    def maximum(self) -> np.ndarray:
        """Largest activation of each feature."""
        found = np.zeros(self.width, dtype=np.float32)
        np.maximum.at(found, self.features, self.values)
        return found


@dataclass(frozen=True)
class ConceptScore:
    """How well one feature stands for one concept on held-out documents."""

    concept: str
    feature: int
    threshold: float
    precision: float
    recall: float
    f1: float
    spans: int


@torch.no_grad()
def encode_all(encode: Callable[[Tensor], Tensor], activations: np.ndarray, chunk: int = 4096) -> Codes:
    """Codes of an SAE for activations.

    Args:
        encode: The SAE's encoder, from [token, d_in] to [token, d_sae].
        activations: [token, d_in], at least one.
        chunk: Tokens encoded at once.
    """
    width = 0
    counts, features, values = [], [], []
    for start in range(0, len(activations), chunk):
        codes = encode(torch.from_numpy(activations[start : start + chunk].astype(np.float32)))
        width = codes.shape[1]
        rows, columns = codes.nonzero(as_tuple=True)
        counts.append(torch.bincount(rows, minlength=len(codes)).numpy())
        features.append(columns.numpy().astype(np.int32))
        values.append(codes[rows, columns].numpy())
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(counts))])
    return Codes(indptr, np.concatenate(features), np.concatenate(values), width)


def _at_least(keys: np.ndarray, levels: np.ndarray, width: int) -> np.ndarray:
    """Counts [key, level - 1] of entries at that level or above."""
    table = np.bincount(keys.astype(np.int64) * LEVELS + levels - 1, minlength=width * LEVELS).reshape(width, LEVELS)
    return table[:, ::-1].cumsum(1)[:, ::-1]


def _spans_of(spans: TokenSpans, concept: int) -> tuple[np.ndarray, np.ndarray]:
    chosen = spans.concept == concept
    return spans.first[chosen], spans.end[chosen]


def choose(codes: Codes, spans: TokenSpans, concepts: np.ndarray) -> dict[int, tuple[int, float]]:
    """The feature and threshold of best F1 for each concept.

    Args:
        codes: Codes of the selection documents.
        spans: Their labels.
        concepts: Indices of the concepts to look for.

    Returns:
        Feature and threshold by concept.
    """
    maximum = codes.maximum
    levels = np.clip(np.ceil(LEVELS * codes.values / maximum[codes.features]), 1, LEVELS).astype(np.int64)
    firing = _at_least(codes.features, levels, codes.width)
    best: dict[int, tuple[int, float]] = {}
    for concept in concepts.tolist():
        first, end = _spans_of(spans, concept)
        tokens, owner = ranges(first, end)
        once = np.unique(tokens)
        entries, _ = ranges(codes.indptr[once], codes.indptr[once + 1])
        right = _at_least(codes.features[entries], levels[entries], codes.width)
        entries, token = ranges(codes.indptr[tokens], codes.indptr[tokens + 1])
        pair = owner[token] * codes.width + codes.features[entries]
        top = np.argsort(pair * (LEVELS + 1) + levels[entries], kind="stable")
        last = top[np.append(np.diff(pair[top]) > 0, True)] if len(top) else top
        found = _at_least(codes.features[entries][last], levels[entries][last], codes.width)
        precision, recall = right / np.maximum(firing, 1), found / len(first)
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        feature, level = np.unravel_index(int(f1.argmax()), f1.shape)
        best[concept] = (int(feature), float(level / LEVELS * maximum[feature]))
    return best


def measure(codes: Codes, spans: TokenSpans, chosen: dict[int, tuple[int, float]]) -> list[ConceptScore]:
    """F1 of chosen features and thresholds on held-out documents.

    Args:
        codes: Codes of the held-out documents.
        spans: Their labels.
        chosen: What ``choose`` gave.
    """
    order = np.argsort(codes.features, kind="stable")
    column = np.searchsorted(codes.features[order], np.arange(codes.width + 1))
    token_of = np.repeat(np.arange(len(codes.indptr) - 1), np.diff(codes.indptr))
    scores = []
    for concept, (feature, threshold) in chosen.items():
        first, end = _spans_of(spans, concept)
        entries = order[column[feature] : column[feature + 1]]
        fires = np.zeros(len(codes.indptr), dtype=bool)
        fires[token_of[entries[codes.values[entries] > threshold]]] = True
        inside = np.zeros(len(fires), dtype=bool)
        inside[ranges(first, end)[0]] = True
        before = np.concatenate([[0], np.cumsum(fires)])
        recall = float((before[end] > before[first]).mean())
        precision = float((fires & inside).sum() / max(1, fires.sum()))
        f1 = 2 * precision * recall / max(precision + recall, 1e-12)
        name = world.concepts[concept].name
        scores.append(ConceptScore(name, feature, threshold, precision, recall, f1, len(first)))
    return scores


def frequent(selection: TokenSpans, held_out: TokenSpans, minimum: int) -> np.ndarray:
    """Indices of the concepts with at least ``minimum`` spans in both sets."""
    counts = [np.bincount(spans.concept, minlength=len(world.concepts)) for spans in (selection, held_out)]
    return np.flatnonzero(np.minimum(*counts) >= minimum)
