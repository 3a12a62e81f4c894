"""Which concepts a feature tells, where the spans of a corpus that express them are known.

"The feature fires above t times its maximum" is compared with each concept, for t = 0, 0.1, ..., 0.9, and the t with
the best F1 is taken, on the corpus on which F1 is measured. A token belongs to a span that it overlaps. Precision is
the share of the tokens on which the feature fires that belong to a span of the concept; recall is the share of the
concept's spans in which it fires on some token, so that a feature that fires on the last word of a name has found the
name; F1 = 2PR / (P + R). Concepts with few spans are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saewidgets.errors import LoadError
from saewidgets.index.accumulate import Items
from saewidgets.index.corpus import Window
from saewidgets.index.reading import Placed, Reader
from saewidgets.index.store import NO_CONCEPT, Columns
from saewidgets.results.feature_stats import ConceptMatch

N_CONCEPTS, N_LEVELS = 5, 10


class Spans(NamedTuple):
    """Spans as half-open ranges of tokens: number of the concept, first token, one past the last; each int64 [n]."""

    concept: np.ndarray
    first: np.ndarray
    end: np.ndarray


def ranges(first: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All whole numbers of half-open ranges one after the other, and the number of the range of each.

    Example:
        >>> ranges(np.array([3, 7]), np.array([5, 8]))[0].tolist()
        [3, 4, 7]
    """
    sizes = end - first
    owner = np.repeat(np.arange(len(first)), sizes)
    return np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes) + first[owner], owner


def f1_of(precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    """2PR / (P + R); 0 where both are 0."""
    return 2 * precision * recall / np.maximum(precision + recall, 1e-12)


class ConceptReader(Reader):
    """A reader of one SAE's windows that notes what fires, and which concepts are there, in the same pass.

    Memory grows with the corpus: 12 bytes an activation.

    Args:
        reader: The reader in whose place it stands, which has read nothing yet.
        spans_of: The spans of a window, as positions in it.
    """

    def __init__(self, reader: Reader, spans_of: Callable[[Window], Spans]) -> None:
        vars(self).update(vars(reader))
        self._spans_of, self._spans = spans_of, [Spans(*np.zeros((3, 0), np.int64))]
        kinds = np.int32, np.uint32, np.float32
        self._fired: list[tuple[np.ndarray, ...]] = [tuple(np.zeros(0, kind) for kind in kinds)]

    def read(self, batch: Sequence[Placed]) -> list[Items]:
        """The activations of one batch."""
        items = super().read(batch)
        self._fired += [(each.features, each.positions, each.values) for each in items]
        for placed in batch:
            concept, first, end = self._spans_of(placed.window)
            self._spans.append(Spans(concept, first + placed.start, end + placed.start))
        return items

    def matches(self, d_sae: int, n_concepts: int, minimum_spans: int) -> Columns:
        """The concepts that each feature tells best, from all that has been read; see :func:`best_concepts`."""
        fired, spans = (map(np.concatenate, zip(*each, strict=True)) for each in (self._fired, self._spans))
        return best_concepts(Firings.of(*fired, d_sae=d_sae), Spans(*spans), n_concepts, minimum_spans)


class Firings(NamedTuple):
    """Activations above 0, by position: ``features`` int64, ``positions`` int64, and ``levels`` from 1 to 10.

    An activation of level n is above (n - 1) tenths of the largest of its feature. ``table`` int64 [d_sae, 10] counts
    those of level n or above at n - 1.
    """

    features: np.ndarray
    positions: np.ndarray
    levels: np.ndarray
    table: np.ndarray

    @staticmethod
    def of(features: np.ndarray, positions: np.ndarray, values: np.ndarray, d_sae: int) -> Firings:
        """From activations in any order."""
        order = np.argsort(positions, kind="stable")
        features, values = features[order].astype(np.int64), values[order].astype(np.float64)
        largest = np.zeros(d_sae)
        np.maximum.at(largest, features, values)
        levels = np.clip(np.ceil(N_LEVELS * values / largest[features]), 1, N_LEVELS).astype(np.int64)
        table = _at_least(features, levels, d_sae)
        return Firings(features, positions[order].astype(np.int64), levels, table)

    def at(self, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Those on some tokens, and the number of the token of each."""
        return ranges(np.searchsorted(self.positions, tokens, "left"), np.searchsorted(self.positions, tokens, "right"))


def _at_least(features: np.ndarray, levels: np.ndarray, d_sae: int) -> np.ndarray:
    """Counts [d_sae, 10] of those of level n or above at n - 1."""
    table = np.bincount(features * N_LEVELS + levels - 1, minlength=d_sae * N_LEVELS).reshape(d_sae, N_LEVELS)
    return table[:, ::-1].cumsum(1)[:, ::-1]


def best_concepts(firings: Firings, spans: Spans, n_concepts: int, minimum_spans: int) -> Columns:
    """The concepts that each feature tells best, by F1.

    Args:
        firings: All of a corpus.
        spans: All of it, by position in the corpus.
        n_concepts: How many concepts there are.
        minimum_spans: Concepts with fewer spans are left out.

    Returns:
        ``concept`` uint32, ``precision``, ``recall`` and ``threshold`` (a share of the maximum) float32, each
        [d_sae, 5], best first; ``NO_CONCEPT`` and 0 behind the last.
    """
    counts = np.bincount(spans.concept, minlength=n_concepts)
    kept = np.flatnonzero(counts >= max(minimum_spans, 1))
    rows = [_scores(firings, spans.first[own], spans.end[own]) for own in (spans.concept == n for n in kept)]
    nothing = {"concept": NO_CONCEPT, "precision": 0.0, "recall": 0.0, "threshold": 0.0}
    shape = len(firings.table), N_CONCEPTS
    out = {n: np.full(shape, value, np.uint32 if n == "concept" else np.float32) for n, value in nothing.items()}
    if not rows:
        return out
    scores = np.stack(rows)
    order = np.argsort(-f1_of(*scores[:, :2].swapaxes(0, 1)), axis=0, kind="stable")[:N_CONCEPTS]
    listed = np.take_along_axis(scores[:, 0], order, 0).T > 0
    out["concept"][:, : len(order)][listed] = kept[order].T[listed]
    for n, name in enumerate(("precision", "recall", "threshold")):
        out[name][:, : len(order)][listed] = np.take_along_axis(scores[:, n], order, 0).T[listed]
    return out


def _scores(firings: Firings, first: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Precision, recall and threshold of each feature for one concept, float32 [3, d_sae]."""
    d_sae = len(firings.table)
    tokens, span = ranges(first, end)
    entries, _ = firings.at(np.unique(tokens))
    right = _at_least(firings.features[entries], firings.levels[entries], d_sae)
    entries, token = firings.at(tokens)
    # The highest level of each feature in each span says at which thresholds the span is found.
    keys = np.sort((span[token] * d_sae + firings.features[entries]) * (N_LEVELS + 1) + firings.levels[entries])
    pairs = keys // (N_LEVELS + 1)
    last = keys[np.append(pairs[1:] != pairs[:-1], True)] if len(keys) else keys
    found = _at_least(last // (N_LEVELS + 1) % d_sae, last % (N_LEVELS + 1), d_sae)
    precision, recall = right / np.maximum(firings.table, 1), found / len(first)
    level = f1_of(precision, recall).argmax(1)
    best = np.arange(d_sae), level
    return np.stack([precision[best], recall[best], level / N_LEVELS]).astype(np.float32)


class StoredConcepts(Mapping[int, tuple[ConceptMatch, ...]]):
    """The concepts kept with an index, by feature; read when they are looked at."""

    def __init__(self, folder: Path, table: Columns, names: list[str]) -> None:
        self._folder, self._table, self._names = folder, table, names

    def __getitem__(self, feature: Any) -> tuple[ConceptMatch, ...]:
        numbers = self._table["concept"]
        if isinstance(feature, bool) or not isinstance(feature, int | np.integer) or not 0 <= feature < len(numbers):
            raise KeyError(feature)
        held = numbers[feature] != NO_CONCEPT
        if not held.any():
            raise KeyError(feature)
        if numbers[feature][held].max() >= len(self._names):
            raise LoadError(f"The index in {self._folder} is damaged.", got="a concept without a name")
        names = "precision", "recall", "threshold"
        precision, recall, level = (self._table[name][feature][held].astype(np.float64) for name in names)
        columns = precision, recall, f1_of(precision, recall), level.round(1)
        rows = zip(numbers[feature][held].tolist(), *(each.tolist() for each in columns), strict=True)
        return tuple(ConceptMatch(self._names[n], *scores) for n, *scores in rows)

    def __iter__(self) -> Iterator[int]:
        return iter(np.flatnonzero((self._table["concept"] != NO_CONCEPT).any(1)).tolist())

    def __len__(self) -> int:
        return int((self._table["concept"] != NO_CONCEPT).any(1).sum())

    def __repr__(self) -> str:
        return f"StoredConcepts of {len(self)} features"
