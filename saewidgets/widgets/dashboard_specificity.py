"""The specificity tab of a feature dashboard: the curve as JSON, predicates as typed, examples to be rated blind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from saewidgets.errors import SpecificityError
from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import Example, FeatureStats
from saewidgets.results.numbers import whole_number
from saewidgets.views.cells import clipped
from saewidgets.widgets.dashboard_tokens import TOKEN_LENGTH
from saewidgets.widgets.dashboard_wire import WORDS_LENGTH, brief
from saewidgets.widgets.steering_wire import clean

ITEMS, AROUND = 50, 16
MOST_WITHIN, MOST_TEXT = 1_000, 10_000
CURVE = {
    "t": "thresholds", "precision": "precision", "low": "precision_low", "high": "precision_high",
    "recall": "recall", "recall_of_firings": "recall_of_firings", "share": "share", "mass": "mass",
}  # fmt: skip


class Scoring(NamedTuple):
    """How the feature is scored: ``value`` is a predicate, or None for the ratings of ``rater``, or of all.

    ``within``: also tokens that follow a marked one within so many.
    """

    value: Any
    within: int = 0
    rater: str | None = None


def specificity_json(result: Any) -> dict[str, Any]:
    """A Specificity as the browser reads it; what is unknown is null.

    Example:
        >>> specificity_json(lab.specificity("sae/7", r"\\bParis\\b"))["labels"]  # doctest: +SKIP
        ['no', 'yes']
    """
    names = ("low", "high", "share", "mass_share", "precision", "precision_low", "precision_high")
    intervals = [
        {name: brief(getattr(each, name)) for name in names}
        | {"n": int(each.n), "counts": [brief(float(count)) for count in each.counts]}
        for each in result.intervals
    ]
    return {
        "feature": clean(str(result.feature)),
        "kind": str(result.kind),
        "what": clipped(clean(result.what), WORDS_LENGTH),
        "rater": clipped(clean(result.rater), WORDS_LENGTH),
        "n_scored": int(result.n_scored),
        "base_rate": brief(result.base_rate),
        "exact": bool(result.exact),
        "labels": list("0123") if result.kind == "rating" else ["no", "yes"],
        "max": brief(result.max),
        "intervals": intervals,
        "curve": {short: _column(getattr(result, name)) for short, name in CURVE.items()},
    }


def _column(values: Any) -> list[Any]:
    return [None if value is None else round(value, 4) for value in map(brief, np.asarray(values).tolist())]


# ---- what the browser may choose as predicate ----------------------------------------------------------------------


def typed_scoring(message: Mapping[str, Any], concept: Callable[[str], Any], rater: str | None) -> Scoring | None:
    """What was typed as a way to score: None where the text is empty.

    Args:
        message: ``kind`` "regex", "tokens" (separated by commas or line ends, each with and without a space in front;
            one in double quotes as it stands), "concept" or "ratings", with ``text`` and ``within``.
        concept: From the name of a concept to a predicate.
        rater: Whose ratings.

    Raises:
        SpecificityError: Neither.
    """
    kind, text = message.get("kind"), message.get("text", "")
    within = whole_number(message.get("within", 0))
    if kind == "ratings":
        return Scoring(None, 0, rater)
    if kind not in {"regex", "tokens", "concept"} or not isinstance(text, str) or len(text) > MOST_TEXT:
        raise SpecificityError(
            "Features cannot be scored by this.", got=repr((kind, text))[:80],
            expected="a regular expression, tokens, a concept, or ratings",
        )  # fmt: skip
    if within is None or not 0 <= within <= MOST_WITHIN:
        raise SpecificityError(
            "This is no number of tokens.", got=repr(message.get("within"))[:80], expected=f"0 to {MOST_WITHIN}"
        )
    if not text.strip():
        return None
    return Scoring(text if kind == "regex" else typed_tokens(text) if kind == "tokens" else concept(text), within)


def typed_tokens(text: str) -> frozenset[str]:
    """The tokens that are meant by a list as people type it.

    Example:
        >>> sorted(typed_tokens('Paris, " Rome"'))
        [' Paris', ' Rome', 'Paris']
    """
    parts = [part.strip() for part in text.split("\n" if "\n" in text else ",")]
    found: set[str] = set()
    for part in filter(None, parts):
        quoted = _quoted(part)
        found |= {part, f" {part}"} if quoted is None else {quoted}
    return frozenset(found - {""})


def _quoted(part: str) -> str | None:
    if len(part) < 2 or not part.startswith('"') or not part.endswith('"'):
        return None
    try:
        return json.loads(part, strict=False)
    except ValueError:
        return part[1:-1]


# ---- rating ---------------------------------------------------------------------------------------------------------


def blind(stats: FeatureStats, rater: str) -> dict[str, Example]:
    """Examples from all intervals that have some, at most fifty, in an order that tells nothing of their activation.

    The order and the keys depend on the feature and the rater alone, so that a rater who comes back goes on. Examples
    with the same window and token share a rating, and are shown once.
    """
    drawn: list[tuple[str, Example]] = []
    seen: set[tuple[bytes, int]] = set()
    for turn in range(max((len(interval.examples) for interval in stats.intervals), default=0)):
        for n, interval in enumerate(stats.intervals):
            if turn >= len(interval.examples) or len(drawn) >= ITEMS:
                continue
            example = interval.examples[turn]
            same = (example.ids.tobytes(), example.position)
            if same not in seen:
                seen.add(same)
                drawn.append((_key(stats.feature, rater, n, turn), example))
    return dict(sorted(drawn, key=lambda one: one[0]))


def _key(feature: FeatureId, rater: str, interval: int, turn: int) -> str:
    name = json.dumps([str(feature), rater, interval, turn])
    return hashlib.blake2b(name.encode(), digest_size=8).hexdigest()


def rating_json(
    feature: FeatureId, rater: str, items: Mapping[str, Example], score: Callable[[Example], int | None]
) -> dict[str, Any]:
    """The examples to rate, without activation and interval, and the scores that they have.

    Args:
        feature: The feature.
        rater: Who rates.
        items: Examples by key, as :func:`blind` gives them.
        score: The score that the rater gave, or None.
    """
    rows = []
    for key, example in items.items():
        start, stop = example.around(AROUND, AROUND)
        tokens = example.tokens
        rows.append({
            "key": key,
            "tokens": [clipped(clean(text), TOKEN_LENGTH) for text in tokens.strings[start:stop]],
            "special": np.flatnonzero(tokens.special[start:stop]).tolist(),
            "peak": example.position - start,
            "score": score(example),
        })  # fmt: skip
    done = sum(row["score"] is not None for row in rows)
    name = clipped(clean(rater), WORDS_LENGTH)
    return {"feature": clean(str(feature)), "rater": name, "items": rows, "done": done, "of": len(rows)}
