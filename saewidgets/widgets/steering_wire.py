"""What a steering panel tells the browser, as JSON: every number finite (else null), every text valid Unicode."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from saewidgets.results import FeatureId, Generation, NextToken, Reach, SideEffect, SteeringVector
from saewidgets.results.steering_comparison import differing
from saewidgets.results.steering_vector import Number
from saewidgets.steering import Edit
from saewidgets.steering.edits import FORMULAS
from saewidgets.steering.serialize import WITH_VALUE
from saewidgets.steering.where import Where, WhileActive
from saewidgets.widgets.wire import labels_in, labels_of

IN_MAXIMA = ("add", "set", "set_if_active")
SYMBOLS = {"add": "\u03b1", "scale": "\u03b3"}
POSITIONS_SHOWN = 8
TEXT_SHOWN = 2000

OPERATIONS = [
    [name, formula.format(value=SYMBOLS.get(name, "v")), name in WITH_VALUE] for name, formula in FORMULAS.items()
]
"""Name, formula with a letter for its number, and whether it has one."""


def clean(text: str) -> str:
    """The text with what is not valid Unicode escaped.

    Example:
        >>> clean("a\\ud800")
        'a\\\\ud800'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def finite(value: Number | None) -> float | None:
    """The number, or None where it is unknown."""
    return None if value is None or not math.isfinite(value) else float(value)


def column(values: np.ndarray) -> list[float | None]:
    """Numbers, None where unknown."""
    return [finite(value) for value in values.tolist()]


def where_text(where: Where) -> str:
    """Where an edit acts, in words.

    Example:
        >>> where_text("prompt"), where_text((0, 3)), where_text(WhileActive("mid/7", 0.5))
        ('prompt', 'positions 0, 3', 'while mid/7 > 0.5')
    """
    if isinstance(where, str):
        return where
    if isinstance(where, WhileActive):
        return clean(f"while {where.feature} > {where.threshold:g}")
    chosen = [n for n, yes in enumerate(where) if yes] if isinstance(where[0], bool) else list(where)
    shown = ", ".join(map(str, chosen[:POSITIONS_SHOWN]))
    more = len(chosen) - POSITIONS_SHOWN
    return f"positions {shown or 'none'}" + (f" and {more} more" if more > 0 else "")


def maximum_of(edit: Edit, saes: Mapping[str, Any]) -> tuple[float | None, str]:
    """The unit of an edit's strength, None where it is not known, and where it comes from."""
    if isinstance(edit.target, SteeringVector):
        return edit.target.norm, "length of the vector"
    if edit.maximum is not None:
        return edit.maximum, "given"
    feature = FeatureId.parse(edit.target)
    sae = saes.get(feature.sae)
    table = getattr(sae, "reference_max", None)
    known = 0.0 if table is None else float(table[feature.index])
    if not 0 < known < math.inf:
        return None, ""
    sample, n = getattr(sae, "reference_sample", None), getattr(sae, "n_reference_tokens", None)
    tokens = "its reference tokens" if n is None else f"{n:,} tokens"
    return known, clean(f"largest activation on {tokens}" + (f" of {sample}" if sample else ""))


def edit_json(key: str, edit: Edit, reach: Reach | None, lab: Any) -> dict[str, Any]:
    """One edit as a card shows it.

    Args:
        key: Names the edit as long as it lives.
        edit: The edit, its feature named in full.
        reach: How many tokens it moved; None where not known yet.
        lab: Where maxima and labels are read.
    """
    maximum, source = maximum_of(edit, lab.saes)
    scaled = maximum is not None and edit.operation in IN_MAXIMA
    if isinstance(edit.target, SteeringVector):
        kind, label = "vector", f"{edit.target.method.replace('_', ' ')} at {edit.target.hook}"
    else:
        feature = FeatureId.parse(edit.target)
        kind = "feature"
        label = labels_of(labels_in(lab, feature.sae))(feature.index) or ""
    return {
        "key": key, "name": clean(edit.name), "label": clean(label), "kind": kind, "operation": edit.operation,
        "value": finite(edit.value), "where": where_text(edit.where), "keep_norm": edit.keep_norm,
        "formula": edit.formula, "absolute": finite(edit.value * maximum) if scaled and maximum else None,
        "maximum": finite(maximum), "source": source, "unit": "\u00d7 vector" if kind == "vector" else "\u00d7 max",
        "slider": edit.operation in WITH_VALUE,
        "conditional": edit.operation == "set_if_active" or isinstance(edit.where, WhileActive),
        "reach": None if reach is None else [int(reach.moved), int(reach.of)],
    }  # fmt: skip


def bars_json(result: NextToken) -> dict[str, Any]:
    """The prompt with what was steered, and the next token without and with the edits."""
    tokens = result.prompt_tokens
    special = np.flatnonzero(tokens.special).tolist()
    prompt = {
        "tokens": [clean(text) for text in tokens.strings], "ids": tokens.ids.tolist(), "special": special,
        "masked": special, "groups": _groups(tokens.groups), "dropped": tokens.n_dropped,
    }  # fmt: skip
    rows = [[clean(row.token), finite(row.base), finite(row.edited)] for row in result.top(len(result))]
    steered = np.flatnonzero(result.steered).tolist()
    kl = finite(max(result.kl, 0.0))
    return {"prompt": prompt, "rows": rows, "kl": kl, "steered": steered, "reach": [list(one) for one in result.reach]}


def texts_json(base: Sequence[Generation], steered: Sequence[Generation], running: bool = False) -> dict[str, Any]:
    """Texts without and with the edits; row n of one is compared with row n of the other.

    Args:
        base: Texts without edits.
        steered: Texts with them.
        running: Whether they are still being written. Then the end of the shorter one is not compared.
    """
    pairs = [_differs(one, other, running) for one, other in zip(base, steered, strict=True)]
    return {
        "running": running,
        "base": [text_json(one, mine) for one, (mine, _) in zip(base, pairs, strict=True)],
        "steered": [text_json(one, mine) for one, (_, mine) in zip(steered, pairs, strict=True)],
    }


def _differs(base: Generation, steered: Generation, running: bool) -> tuple[np.ndarray, np.ndarray]:
    one, other = base.new_tokens.ids, steered.new_tokens.ids
    shared = min(len(one), len(other)) if running else max(len(one), len(other))
    mine, theirs = differing(one[:shared], other[:shared])
    return _padded(mine, len(one)), _padded(theirs, len(other))


def _padded(mask: np.ndarray, n: int) -> np.ndarray:
    return np.append(mask, np.zeros(n - len(mask), bool))


def text_json(one: Generation, differs: np.ndarray) -> dict[str, Any]:
    """One text; positions count from its first new token."""
    new = one.new_tokens
    return {
        "seed": one.seed, "tokens": [clean(text) for text in new.strings], "ids": new.ids.tolist(),
        "special": np.flatnonzero(new.special).tolist(), "groups": _groups(new.groups),
        "steered": np.flatnonzero(one.steered[len(one.prompt_tokens) :]).tolist(),
        "differs": np.flatnonzero(differs).tolist(), "logprob": column(one.logprobs),
        "base": column(one.base_logprobs), "kl": column(np.maximum(one.kl, 0.0)), "stopped": one.stopped,
        "repetition": finite(one.repetition), "mean_kl": _mean_kl(one),
    }  # fmt: skip


def side_json(side: SideEffect | None) -> dict[str, Any]:
    """The side effect on neutral texts; nothing where it was not measured."""
    if side is None:
        return {}
    numbers = {name: finite(getattr(side, name)) for name in ("base_ce", "steered_ce")}
    return {"kl": finite(max(side.kl, 0.0)), **numbers, "n_tokens": side.n_tokens, "n_texts": side.n_texts}


def sweep_json(
    key: str, edit: Edit, values: Sequence[Number], texts: Sequence[Generation], saes: Mapping[str, Any], running: bool
) -> dict[str, Any]:
    """One text a strength.

    Args:
        key: The edit's.
        edit: The edit whose strengths they are.
        values: The strengths.
        texts: One a strength.
        saes: Where the maximum is read.
        running: Whether they are still being written.
    """
    maximum, _ = maximum_of(edit, saes)
    unit = maximum if edit.operation in IN_MAXIMA else None
    return {
        "running": running, "key": key, "name": clean(edit.name), "operation": edit.operation,
        "texts": [_swept(float(value), unit, text) for value, text in zip(values, texts, strict=True)],
    }  # fmt: skip


def _swept(value: float, unit: float | None, text: Generation) -> dict[str, Any]:
    # The first token is the likeliest one where none was drawn.
    known = len(text) > 0 and text.temperature == 0
    top = [clean(text.new_tokens.strings[0]), finite(math.exp(text.logprobs[0]))] if known else None
    return {
        "value": value, "absolute": None if unit is None else finite(value * unit),
        "text": clean(text.text)[:TEXT_SHOWN], "repetition": finite(text.repetition), "mean_kl": _mean_kl(text),
        "top": top,
    }  # fmt: skip


def _mean_kl(text: Generation) -> float | None:
    mean = finite(text.mean_kl)
    return None if mean is None else max(mean, 0.0)


def _groups(groups: Sequence[tuple[int, int, str]]) -> list[list[Any]]:
    """The groups of several tokens."""
    return [[start, stop, clean(text)] for start, stop, text in groups if stop - start > 1]
