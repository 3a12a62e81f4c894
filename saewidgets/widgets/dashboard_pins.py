"""What a feature dashboard shows of pinned examples, and of what people say of the examples of the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from saewidgets.errors import SaewidgetsError
from saewidgets.results import Pin, Tokens
from saewidgets.results.feature_stats import Example, FeatureStats
from saewidgets.views.cells import clipped
from saewidgets.views.remarks import Pinned, remark_of
from saewidgets.widgets.dashboard_tokens import TOKEN_LENGTH

MOST_PINS = 20
AROUND = 16
"""Tokens that are shown on each side."""

LENGTH = 400
"""Characters of a text whose tokens are not known."""


def pinned(lab: Any, sae: str, pins: Sequence[Pin]) -> tuple[Pinned, ...]:
    """Pinned examples, each cut to what is near its token; up to 20, and how many more there are.

    Args:
        lab: Its model splits the texts.
        sae: Name of the SAE, whose model and BOS count.
        pins: The texts, and the tokens meant.
    """
    found = [_pinned(lab, sae, pin) for pin in pins[:MOST_PINS]]
    more = len(pins) - MOST_PINS
    return (*found, *([Pinned(f"and {more} more", "", "")] if more > 0 else []))


def _pinned(lab: Any, sae: str, pin: Pin) -> Pinned:
    try:
        tokens = lab.model_of(sae).tokenize(pin.text, lab.saes[sae].prepend_bos)
    except SaewidgetsError:  # there is no tokenizer, or no model; the text is shown all the same
        tokens = None
    if tokens is None or pin.position >= len(tokens):
        return Pinned(clipped(pin.text, LENGTH), "", f" (token {pin.position})")
    return near(tokens, pin.position)


def near(tokens: Tokens, position: int) -> Pinned:
    """The token, whole where it is a part of a character, and the text around it; special tokens are left out.

    Args:
        tokens: The text.
        position: The token, from 0.

    Example:
        >>> import numpy as np
        >>> near(Tokens(np.arange(3), (b"in", b" Paris", b" now"), np.zeros(3, bool)), 1)
        Pinned(before='in', token=' Paris', after=' now')
    """
    first, last, token = next(group for group in tokens.groups if group[0] <= position < group[1])
    plain = [group for group in tokens.groups if not tokens.special[group[0]]]
    before = [clipped(text, TOKEN_LENGTH) for _, stop, text in plain if stop <= first]
    after = [clipped(text, TOKEN_LENGTH) for start, _, text in plain if start >= last]
    left, right = "… " * (len(before) > AROUND), " …" * (len(after) > AROUND)
    return Pinned(left + "".join(before[-AROUND:]), clipped(token, TOKEN_LENGTH), "".join(after[:AROUND]) + right)


def remarks_on_examples(lab: Any, stats: FeatureStats) -> dict[Example, str]:
    """What people say of the examples of a feature, a line each; of most nobody says anything.

    Args:
        lab: Keeps the annotations; one that keeps none has none.
        stats: The feature.
    """
    store = getattr(lab, "annotations", None)
    if store is None or stats.feature.sae not in lab.saes or not len(store):
        return {}
    own = lab.target(str(stats.feature)).key[1:]
    about = [one for one in store.annotations("example") if one.target.key[1:4] == own]
    said = {(one.target.prompt, one.target.position): remark_of(one) for one in about}
    listed = [*stats.top, *(each for interval in stats.intervals for each in interval.examples)] if said else []
    return {each: line for each in listed if (line := said.get((each.tokens.text, each.position)))}
