"""What a feature fires on, interval by interval, and what a threshold leaves of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from saewidgets.analysis.predicates import Predicate
from saewidgets.errors import SpecificityError
from saewidgets.models import LanguageModel
from saewidgets.models.batches import batches_of, padded
from saewidgets.models.tokenize import check_texts, of_text, read_row
from saewidgets.results import FeatureStats, Tokens
from saewidgets.results.specificity import THRESHOLDS, IntervalScore, Specificity, wilson
from saewidgets.saes import SAE

N_INTERVALS = 10
AT_ONCE = 64  # windows that are held before they run


class Firings(NamedTuple):
    """Where a feature fires on some texts: its activations, float64 [firing], above 0, and which of them are marked,
    bool [firing]; and how many tokens were looked at, and how many of these are marked.
    """  # noqa: D205 - a list of fields

    values: np.ndarray
    marks: np.ndarray
    n_tokens: int
    n_marked: int


class Scores(NamedTuple):
    """Firings that were scored: their activations, float64 [n], and how often each got each score, int64 [n, score]."""

    values: np.ndarray
    counts: np.ndarray


# ---- reading texts -----------------------------------------------------------------------------------------------


def firings(
    model: LanguageModel, sae: SAE, feature: int, texts: Any, predicate: Predicate, context: int | None = None
) -> Firings:
    """Run every token of some texts; special tokens are left out.

    The predicate sees each text whole. The model reads a text longer than ``context`` in windows, as an index does.

    Args:
        model: The model.
        sae: An SAE that reads it.
        feature: Number of the feature.
        texts: Texts, token ids, or rows with "text", "input_ids" or "tokens".
        predicate: What is marked.
        context: Most tokens of a window; by default what the model reads.

    Raises:
        PromptError: Something among the texts that is none; names its number.
        SpecificityError: The predicate does not mark tokens; there is no token.
    """
    values, marks, n_tokens, n_marked = [], [], 0, 0
    windows: list[tuple[Tokens, np.ndarray]] = []
    whole = _windows(model, sae.prepend_bos, texts, predicate, min(context or model.n_ctx, model.n_ctx))
    for window in _and_end(whole):
        if window is not None:
            windows.append(window)
            n_tokens += int((~window[0].special).sum())
            n_marked += int(window[1][~window[0].special].sum())
        if windows and (window is None or len(windows) == AT_ONCE):
            for found, marked in _run(model, sae, feature, windows):
                values.append(found)
                marks.append(marked)
            windows = []
    if not n_tokens:
        raise SpecificityError("There is no token in the texts.", got="nothing but special tokens", expected="texts")
    return Firings(np.concatenate(values), np.concatenate(marks), n_tokens, n_marked)


def _and_end(items: Iterator[Any]) -> Iterator[Any]:
    yield from items
    yield None


def _run(
    model: LanguageModel, sae: SAE, feature: int, windows: Sequence[tuple[Tokens, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    tokens = [each for each, _ in windows]
    for batch in batches_of(tokens):
        prompts = [tokens[n] for n in batch]
        ids, wanted = padded(prompts, [~each.special for each in prompts])
        if not wanted.any():
            continue
        x = model.read(ids, [sae.hook])[sae.hook]
        rows = x[wanted.to(x.device)].flatten(1)
        model.check_finite(rows, sae.hook)
        found = sae.activation_of(rows[None], feature)[0][0].double().cpu().numpy()
        marked = np.concatenate([windows[n][1][~tokens[n].special] for n in batch])
        fires = np.isfinite(found) & (found > 0)
        yield found[fires], marked[fires]


def _windows(
    model: LanguageModel, prepend_bos: bool | None, texts: Any, predicate: Predicate, context: int
) -> Iterator[tuple[Tokens, np.ndarray]]:
    """What the model reads together, and the marked tokens of it."""
    check_texts(texts)
    prepend = model.prepend_bos if prepend_bos is None else prepend_bos
    bos = model.vocabulary.bos_id
    for number, row in enumerate(texts):
        ids, pieces, typed = _read(model, number, row)
        if not ids:
            continue
        front = bos is not None and (ids[0] == bos or (prepend and typed))
        if front and ids[0] != bos:
            ids, pieces = [int(bos or 0), *ids], (*model.vocabulary.pieces([int(bos or 0)]), *pieces)
        yield from _cut(_tokens(model, ids, pieces), predicate, context, front)


def _cut(tokens: Tokens, predicate: Predicate, context: int, front: bool) -> Iterator[tuple[Tokens, np.ndarray]]:
    marks, step = predicate.marks(tokens), max(context - front, 1)
    for start in range(front, max(len(tokens), front + 1), step):
        keep = np.arange(start, min(start + step, len(tokens)))
        keep = np.concatenate([np.arange(int(front)), keep])
        yield Tokens(tokens.ids[keep], tuple(tokens.pieces[n] for n in keep), tokens.special[keep]), marks[keep]


def _read(model: LanguageModel, number: int, row: Any) -> tuple[list[int], tuple[bytes, ...], bool]:
    """Token ids and bytes of a text, whole, and whether it was given as text."""
    text = read_row(number, row, model.d_vocab)
    if not isinstance(text, str):
        return text.tolist(), model.vocabulary.pieces(text.tolist()), False
    with of_text(number):
        return *model.vocabulary.encode(text), True


def _tokens(model: LanguageModel, ids: list[int], pieces: tuple[bytes, ...]) -> Tokens:
    return Tokens(np.array(ids, np.int64), pieces, np.array(model.vocabulary.is_special(ids), bool))


# ---- scoring -------------------------------------------------------------------------------------------------------


class _All(NamedTuple):
    """All firings, scored or not: per interval how many, float64 [10], their mass, and whether the number is exact;
    shares above each threshold, float64 [101]; the base rate and the number of marked tokens, where known.
    """  # noqa: D205 - a list of fields

    edges: np.ndarray
    firings: np.ndarray
    mass: np.ndarray
    counted: np.ndarray
    share: np.ndarray
    mass_share: np.ndarray
    base_rate: float = float("nan")
    n_marked: int | None = None


def of_firings(found: Firings, largest: float, **about: Any) -> Specificity:
    """From every firing on some texts.

    Args:
        found: The firings.
        largest: The feature's maximum, at least the largest of them.
        about: The other fields: feature, what, ...
    """
    values, edges = found.values, THRESHOLDS[::N_INTERVALS] * largest
    own = interval_of(values, edges)
    each = np.bincount(own, minlength=N_INTERVALS).astype(np.float64)
    mass = np.bincount(own, values, minlength=N_INTERVALS)
    share, mass_share = (_share(_above(values, weights, largest)) for weights in (np.ones(len(values)), values))
    base = found.n_marked / found.n_tokens
    whole = _All(edges, each, mass, np.ones(N_INTERVALS, bool), share, mass_share, base, found.n_marked)
    scores = Scores(values, np.stack([~found.marks, found.marks], 1).astype(np.int64))
    told = {"kind": "predicate", "count": len(values), "n_tokens": found.n_tokens}
    return _specificity(scores, 1, largest, whole, told | about)


def of_sample(
    stats: FeatureStats, scores: Scores, least: int, notes: tuple[str, ...] = (), **about: Any
) -> Specificity:
    """From scores of some firings of a corpus, each counting for as many of its interval as it stands for.

    Args:
        stats: What the index knows of the feature.
        scores: Firings that were scored.
        least: The lowest score that suffices.
        notes: What else should be known.
        about: The other fields: kind, what, ...
    """
    edges = np.array([each.low for each in stats.intervals] + [stats.max], np.float64)
    each, mass = (np.array([getattr(i, name) for i in stats.intervals], float) for name in ("count", "mass"))
    counted = np.array([interval.exact for interval in stats.intervals])
    whole = _All(edges, each, mass, counted, *_curves(stats, each, mass))
    scored = np.bincount(interval_of(scores.values, edges), minlength=N_INTERVALS)
    told = {"feature": stats.feature, "count": stats.count, "n_tokens": stats.n_tokens}
    told["notes"] = (*_unscored(each, scored), *notes)
    return _specificity(scores, least, float(stats.max), whole, told | about)


def _unscored(count: np.ndarray, scored: np.ndarray) -> tuple[str, ...]:
    """What precision leaves out, as a sentence."""
    empty = np.flatnonzero((count > 0) & (scored == 0))
    if not len(empty):
        return ()
    listed, share = ", ".join(str(i + 1) for i in empty), count[empty].sum() / count.sum()
    return (f"No firing was scored in interval {listed} ({share:.1%} of the firings); precision leaves them out.",)


def interval_of(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """The interval (low, high] that each activation lies in, from 0; the edges are float64 [11].

    Example:
        >>> interval_of(np.array([0.1, 1.0, 1.1, 10.0]), np.arange(11.0)).tolist()
        [0, 0, 1, 9]
    """
    return np.clip(np.searchsorted(edges, values, side="left") - 1, 0, len(edges) - 2)


def _specificity(scores: Scores, least: int, largest: float, whole: _All, about: dict[str, Any]) -> Specificity:
    own, given = interval_of(scores.values, whole.edges), scores.counts.sum(1)
    yes = scores.counts[:, least:].sum(1) / np.maximum(given, 1)
    total = np.bincount(own, given, minlength=N_INTERVALS)
    weight = given * (whole.firings / np.maximum(total, 1))[own]
    kept, hits, squares = (_above(scores.values, each, largest) for each in (weight, weight * yes, weight**2))
    marked = float(whole.n_marked or "nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.clip(hits / kept, 0, 1)
        low, high = wilson(precision, kept**2 / squares)
        recall, f1, of_firings = hits / marked, 2 * hits / (kept + marked), np.clip(hits / hits[0], 0, 1)
    intervals = tuple(_interval(i, scores.counts[own == i], least, whole) for i in range(N_INTERVALS))
    return Specificity(
        max=largest, n_scored=len(scores.values), base_rate=whole.base_rate, intervals=intervals,
        thresholds=THRESHOLDS, precision=precision, precision_low=low, precision_high=high, recall=recall,
        recall_of_firings=of_firings, f1=f1, share=whole.share, mass=whole.mass_share,
        exact=all(each.exact for each in intervals), **about,
    )  # fmt: skip


def _interval(i: int, counts: np.ndarray, least: int, whole: _All) -> IntervalScore:
    """One interval, from the scores [n, score] of the firings in it that were scored."""
    sums, given, n = counts.sum(0), counts.sum(1), len(counts)
    shares = sums / sums.sum() if n else np.full(len(sums), np.nan)
    precision = float(shares[least:].sum()) if n else float("nan")
    low, high = wilson(precision, given.sum() ** 2 / (given**2).sum() if n else 0)
    share, mass_share = (float(each[i] / (each.sum() or 1)) for each in (whole.firings, whole.mass))
    with np.errstate(divide="ignore", invalid="ignore"):
        llr = float(np.log(precision / np.float64(whole.base_rate)))
    return IntervalScore(
        low=float(whole.edges[i]), high=float(whole.edges[i + 1]), count=float(whole.firings[i]), share=share,
        mass_share=mass_share, n=n, counts=tuple(sums.tolist()), shares=tuple(shares.tolist()), precision=precision,
        precision_low=float(low), precision_high=float(high), llr=llr,
        exact=bool(whole.counted[i] and n == whole.firings[i]),
    )  # fmt: skip


def _above(values: np.ndarray, weights: np.ndarray, largest: float) -> np.ndarray:
    """Sum of the weights of the activations above each threshold, float64 [101]."""
    order = np.argsort(values)
    first = np.searchsorted(values[order], THRESHOLDS * largest, side="right")
    return np.concatenate([np.cumsum(weights[order][::-1], dtype=np.float64)[::-1], [0.0]])[first]


def _share(kept: np.ndarray) -> np.ndarray:
    return kept / kept[0] if kept[0] else np.zeros(len(kept))


def _curves(stats: FeatureStats, count: np.ndarray, mass: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of firings and of mass above each threshold: the intervals' own, and between edges by the histogram."""
    fine = stats.fine_histogram
    edges = np.minimum(fine.edges, stats.max)
    centres = (edges[:-1] + edges[1:]) / 2
    at, curves = np.arange(N_INTERVALS * N_INTERVALS), []
    own = at // N_INTERVALS
    for known, bins in ((count, fine.counts), (mass, fine.counts * centres)):
        below = np.interp(THRESHOLDS * stats.max, edges, np.concatenate([[0.0], np.cumsum(bins)]))
        start, stop = below[own * N_INTERVALS], below[(own + 1) * N_INTERVALS]
        inside = stop - start
        linear = 1 - (at % N_INTERVALS) / N_INTERVALS
        part = np.where(inside > 0, (stop - below[at]) / np.where(inside > 0, inside, 1), linear)
        after = np.concatenate([np.cumsum(known[::-1])[::-1], [0.0]])
        curves.append(_share(np.append(after[own + 1] + part * known[own], 0.0)))
    return curves[0], curves[1]
