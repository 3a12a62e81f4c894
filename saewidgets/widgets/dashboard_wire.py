"""What a feature dashboard sends to the browser: one feature, all features as a table, the windows of a list.

Each is one buffer, little endian: u32 magic, version, bytes of the header, and a number; the header (JSON, UTF-8,
padded to 4 bytes); then columns. Every number in a header is finite, else null, with five significant digits.

- One feature ("SAEF", number of tokens): u16 token [n]. Tokens are places in the header's table of strings; u32 where
  the table is too long for u16, and ``wide`` says so. The examples' tokens follow each other.
- The table ("SAET", number of features): u32 count, f32 max, f32 mean, [d_sae] each.
- The windows of a list ("SAEX", number of tokens): u16 or u32 token [n]; f32 value [n].
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import Example, FeatureStats, LogitEffects
from saewidgets.results.steering_vector import Number
from saewidgets.views.cells import clipped
from saewidgets.views.remarks import Pinned
from saewidgets.widgets.dashboard_tokens import TOKEN_LENGTH, Pieces, TokenTable, all_of
from saewidgets.widgets.steering_wire import clean, finite

FEATURE, TABLE, EXAMPLES = (int.from_bytes(name, "little") for name in (b"SAEF", b"SAET", b"SAEX"))
VERSION = 1
BEFORE_TOP, BEFORE_INTERVAL = 16, 5
TARGET = 15_000
"""Bytes of one feature, what people wrote left out; examples are left out, the last first, until it fits."""

SHORTER = ((20, 10), (20, 8), (20, 6), (20, 5), (16, 4), (12, 3), (10, 2), (5, 1), (2, 1), (1, 1), (0, 0))
"""How many examples of the top list and of each interval are sent at most."""

RELATED_LENGTHS, EXAMPLES_ROOM = (200, 80, 40, 16, 0), 7_000
"""Characters of the labels of other features at most: fewer where else no room were left for examples."""

LABEL_LENGTH, NOTE_LENGTH, WORDS_LENGTH = 1_000, 100_000, 200
MOST_NEIGHBOURS = 20


class Said(NamedTuple):
    """What people said about a feature.

    Args:
        label: What a view shows for its number.
        given: The label that a person gave, as typed.
        note: Plain text.
        tags: Sorted.
        stars: How many people starred it.
        mine: Whether the one who writes did.
        people: Who starred and rated it, a line each.
        pins: Pinned examples.
    """

    label: str = ""
    given: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    stars: int = 0
    mine: bool = False
    people: tuple[str, ...] = ()
    pins: tuple[Pinned, ...] = ()


def pack_feature(
    stats: FeatureStats, said: Said | None = None, *, d_sae: int = 0,
    label: Callable[[FeatureId], str | None] = lambda _: None, pieces: Pieces | None = None,
) -> bytes:  # fmt: skip
    """All that the dashboard shows of one feature, in about 15,000 bytes at most.

    Args:
        stats: The feature.
        said: What people said about it; by default its label in ``stats``.
        d_sae: How many features its SAE has.
        label: Gives the label of another feature.
        pieces: Tokens that are known already.

    Example:
        >>> pack_feature(lab.feature("sae/7"))[:4]  # doctest: +SKIP
        b'SAEF'
    """
    said = Said(stats.label) if said is None else said
    written = _written(said)
    head, room = {}, 0
    for length in RELATED_LENGTHS:
        head = _numbers(stats) | {"d_sae": d_sae} | _others(stats, label, length)
        room = TARGET - 32 - len(_json(head | _written(Said())))
        if room >= EXAMPLES_ROOM:
            break
    lists, table = _lists(stats, room, pieces or Pieces())
    return _joined(FEATURE, _json(head | written | table.head | {"lists": lists}), len(table), table.packed)


def pack_table(
    sae: str, n_tokens: int, count: np.ndarray, largest: np.ndarray, mean: np.ndarray,
    labels: Mapping[int, str] | None = None,
) -> bytes:  # fmt: skip
    """How often and how strongly every feature of an SAE fires, and the labels that there are.

    Args:
        sae: Name of the SAE.
        n_tokens: Tokens counted.
        count: On how many each fires [d_sae].
        largest: Largest activations [d_sae].
        mean: Means of the activations above 0 [d_sae].
        labels: By feature.

    Example:
        >>> pack_table("s", 10, np.array([3]), np.array([2.0]), np.array([1.5]), {0: "cats"})[:4]
        b'SAET'
    """
    named = {str(n): clipped(clean(text), WORDS_LENGTH) for n, text in (labels or {}).items() if text}
    header = _json({"sae": clean(sae), "n_tokens": int(n_tokens), "labels": named})
    counts = np.clip(np.asarray(count), 0, 2**32 - 1).astype("<u4")
    numbers = [np.nan_to_num(np.asarray(each, np.float32), posinf=0, neginf=0) for each in (largest, mean)]
    return _joined(TABLE, header, len(counts), counts.tobytes(), *(each.astype("<f4").tobytes() for each in numbers))


def pack_examples(
    feature: FeatureId, name: str | int, examples: Sequence[Example], values: Sequence[np.ndarray]
) -> bytes:
    """Whole windows with the activation of every token.

    Args:
        feature: The feature.
        name: "top", or the interval from 1.
        examples: The windows.
        values: The feature's activations in each, float32 [pos].
    """
    spans = [each.ids for each in examples]
    table = TokenTable(spans, Pieces().of(all_of(spans), examples))
    rows = [
        [brief(each.activation), len(each), each.position, each.text, each.offset + each.position] for each in examples
    ]
    header = _json({"feature": clean(str(feature)), "list": name, "examples": rows} | table.head)
    numbers = np.concatenate([np.zeros(0), *values]).astype("<f4")
    numbers[~np.isfinite(numbers)] = 0
    return _joined(EXAMPLES, header, len(table), table.packed, numbers.tobytes())


def brief(value: Number | None) -> float | int | None:
    """The number with five significant digits, None where it is unknown or not finite.

    Example:
        >>> brief(1.23456789), brief(3.0), brief(float("nan"))
        (1.2346, 3, None)
    """
    known = finite(value)
    if known is None:
        return None
    rounded = float(f"{known:.5g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded


# ---- the header of one feature -------------------------------------------------------------------------------------


def _numbers(stats: FeatureStats) -> dict[str, Any]:
    """What is known of how often and how strongly it fires."""
    feature, histogram = stats.feature, stats.histogram
    names = ("low", "high", "share", "mass_share")
    return {
        "feature": clean(str(feature)), "sae": clean(feature.sae), "index": feature.index,
        **{name: clipped(clean(getattr(stats, name)), WORDS_LENGTH) for name in ("model", "hook", "sample")},
        "density": finite(stats.density), "count": stats.count, "n_tokens": stats.n_tokens,
        **{name: brief(getattr(stats, name)) for name in ("max", "mean", "std")},
        "dead": stats.dead, "dense": stats.dense,
        "quantiles": [[brief(each) for each in quantile] for quantile in stats.quantiles],
        "histogram": {"counts": histogram.counts.tolist(), "edges": [brief(edge) for edge in histogram.edges.tolist()]},
        "intervals": [
            {name: brief(getattr(each, name)) for name in names}
            | {"count": int(each.count) if each.exact else brief(each.count), "exact": each.exact}
            for each in stats.intervals
        ],
    }  # fmt: skip


def _others(
    stats: FeatureStats, label: Callable[[FeatureId], str | None], length: int = WORDS_LENGTH
) -> dict[str, Any]:
    """What its weights say, and the features and concepts that it goes together with."""

    def named(feature: FeatureId) -> list[str]:
        return [clean(str(feature)), clipped(clean(label(feature) or ""), length) if length else ""]

    return {
        "logits": None if stats.logits is None else _logits(stats.logits),
        "neighbours": [[*named(n.feature), brief(n.cosine)] for n in stats.neighbours[:MOST_NEIGHBOURS]],
        "cofiring": [[*named(c.feature), *map(brief, (c.jaccard, c.low, c.high))] for c in stats.cofiring],
        "encoder_cosine": brief(stats.encoder_cosine),
        "neurons": [[n.neuron, brief(n.value), brief(n.share)] for n in stats.neurons],
        "concepts": [
            [clipped(clean(c.words), WORDS_LENGTH), *map(brief, (c.precision, c.recall, c.f1))] for c in stats.concepts
        ],
    }


def _logits(logits: LogitEffects) -> dict[str, Any]:
    rows = {
        side: [[clipped(clean(each.token), TOKEN_LENGTH), brief(each.effect)] for each in getattr(logits, side)]
        for side in ("top", "bottom")
    }
    counts, edges = logits.histogram
    how = clipped(clean(logits.how), 2 * WORDS_LENGTH)
    return rows | {"counts": counts.tolist(), "edges": [brief(edge) for edge in edges.tolist()], "how": how}


def _written(said: Said) -> dict[str, Any]:
    return {
        "label": clipped(clean(said.label), LABEL_LENGTH),
        "given": clipped(clean(said.given), LABEL_LENGTH),
        "note": clipped(clean(said.note), NOTE_LENGTH),
        "tags": [clipped(clean(tag), LABEL_LENGTH) for tag in said.tags],
        "stars": said.stars,
        "mine": said.mine,
        "people": list(map(clean, said.people)),
        "pins": [list(map(clean, pin)) for pin in said.pins],
    }


def _lists(stats: FeatureStats, room: int, pieces: Pieces) -> tuple[list[dict[str, Any]], TokenTable]:
    """The lists of examples in the header, and their tokens; as many as there is room for."""
    every: list[tuple[str | int, int, Sequence[Example]]] = [("top", BEFORE_TOP, stats.top)]
    every += [(n + 1, BEFORE_INTERVAL, interval.examples) for n, interval in enumerate(stats.intervals)]
    rows = [[_row(each, around) for each in examples] for _, around, examples in every]
    spans = [[each.ids[slice(*each.around(around, around))] for each in examples] for _, around, examples in every]
    ids = all_of([span for some in spans for span in some])
    known = pieces.of(ids, [each for _, _, examples in every for each in examples])
    for top, others in SHORTER:
        kept = [top, *[others] * (len(every) - 1)]
        lists = [
            {"name": name, "before": around, "examples": some[:n]}
            for (name, around, _), some, n in zip(every, rows, kept, strict=True)
        ]
        table = TokenTable([span for some, n in zip(spans, kept, strict=True) for span in some[:n]], known)
        if len(_json(table.head | {"lists": lists})) + len(table.packed) <= room:
            break
    return lists, table  # pyright: ignore[reportPossiblyUnboundVariable]


def _row(example: Example, around: int) -> list[Any]:
    start, stop = example.around(around, around)
    peak, place = example.position - start, example.offset + example.position
    cut = [start > 0, stop < len(example)]
    return [brief(example.activation), stop - start, peak, example.text, place, *cut]


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8", "replace")


def _joined(magic: int, header: bytes, n: int, *columns: bytes) -> bytes:
    header += b" " * (-len(header) % 4)
    return b"".join([struct.pack("<4I", magic, VERSION, len(header), n), header, *columns])
