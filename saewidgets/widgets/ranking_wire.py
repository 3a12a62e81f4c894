"""A ranking as one compact buffer for the browser.

Layout, little endian: u32 magic, version, bytes of the header, number of rows; the header (JSON, UTF-8, padded to 8
bytes); float64 activation, attribution, ablation [row]; float32 density [row], -1 where unknown; i32 index into
``saes``, position (-1: all of them), feature [row]; u8 1 where the ablation is known [row]. Numbers stay float64, so
that the browser finds the same ranks, ties included. No NaN ever travels: an unknown ablation is 0 with its flag at 0,
an unknown number of the header is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from saewidgets.results import Ranking
from saewidgets.widgets.wire import buffer_head, labels_in, labels_of, tokens_head

MAGIC = 0x52454153  # "SAER"
VERSION = 1


def pack_ranking(
    result: Ranking,
    *,
    saes: Mapping[str, Any] | None = None,
    value_of: Callable[[int, str], int | str] = lambda token_id, _: token_id,
    text_of: Callable[[int], str] = str,
    labels: Mapping[str, str] | None = None,
) -> bytes:
    """One buffer with all that the browser needs to rank, draw and follow features.

    Args:
        result: The ranking; it may be one that is still being computed.
        saes: Where ``density`` of the SAEs is read, by name.
        value_of: What to assign as target for a token of the vocabulary, given its id and its text.
        text_of: The text of a token id.
        labels: Labels of features by name, as :func:`labels_on` gives them.

    Example:
        >>> pack_ranking(ranking)[:4]  # doctest: +SKIP
        b'SAER'
    """
    known = ~np.isnan(result.ablation)
    header = _header(result, value_of, text_of) | {"labels": labels or {}}
    columns = (
        (result.activation, "<f8"),
        (result.attribution, "<f8"),
        (np.where(known, result.ablation, 0.0), "<f8"),
        (_density(result, saes or {}), "<f4"),
        (result.sae_index, "<i4"),
        (result.positions, "<i4"),
        (result.features, "<i4"),
        (known, "u1"),
    )
    parts = [np.asarray(column).astype(kind).tobytes() for column, kind in columns]
    return b"".join([buffer_head(MAGIC, VERSION, header, len(result), align=8), *parts])


def _header(
    result: Ranking, value_of: Callable[[int, str], int | str], text_of: Callable[[int], str]
) -> dict[str, Any]:
    """The part of the buffer that is text."""
    return {
        "model": result.model,
        "saes": list(result.saes),
        "hook": ", ".join(dict.fromkeys(result.hooks)),
        **tokens_head(result.prompt_tokens, result.masked),
        "metric": result.metric,
        "value": _finite(result.metric_value),
        "target": "".join(text_of(one) for one in result.target),
        "baseline": None if result.baseline is None else text_of(result.baseline),
        "predictions": [
            [value_of(one.id, one.token), one.token, _finite(one.probability)] for one in result.predictions
        ],
        "method": result.method,
        "scope": result.scope,
        "position": result.position,
        "nodes": [[n.name, n.sae, n.position, _finite(n.attribution), _finite(n.ablation)] for n in result.nodes],
        "stopped": result.stopped,
        "completeness": None if result.completeness_error is None else _finite(result.completeness_error),
    }


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def labels_on(result: Ranking, lab: Any) -> dict[str, str]:
    """Labels of the features that have one, by their name."""
    labels: dict[str, str] = {}
    for i, name in enumerate(result.saes):
        label = labels_of(labels_in(lab, name))
        for feature in np.unique(result.features[result.sae_index == i]).tolist():
            if text := label(feature):
                labels[f"{name}/{feature}"] = text
    return labels


def _density(result: Ranking, saes: Mapping[str, Any]) -> np.ndarray:
    """Share of reference tokens on which the feature of each row fires; -1 where unknown."""
    density = np.full(len(result), -1.0, np.float32)
    for i, name in enumerate(result.saes):
        table = getattr(saes.get(name), "density", None)
        if table is not None:
            mine = result.sae_index == i
            density[mine] = np.asarray(table, np.float32)[result.features[mine]]
    return np.where(np.isfinite(density), density, np.float32(-1.0))
