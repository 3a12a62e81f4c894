"""Tokens coloured by one feature, drawn for a paper."""

from __future__ import annotations

import numpy as np

from saewidgets.results import Activations, FeatureId
from saewidgets.results.steering_vector import Number
from saewidgets.views.cells import clipped, number
from saewidgets.views.drawing import ADVANCE, INK, LINE, SOFT, box, chunks, columns, line, shown, svg, words

ROW, MARGIN, TOP = 26, 16, 62
COLOUR = "#fd8d3c"


def token_strip_svg(result: Activations, feature: int | None = None, *, width: int = 720, label: str = "") -> str:
    """The tokens of a prompt as vector text, tinted by a feature, with its name, a legend and the model.

    The tint grows with the activation; above half of the largest the token has a dotted line below it, above three
    quarters a solid one.

    Args:
        result: What fires where.
        feature: The feature to colour by; none by default.
        width: Of the drawing, in px.
        label: Name of the feature for people.

    Returns:
        SVG, light, with every token escaped.

    Example:
        >>> import saewidgets as sw
        >>> result = sw.demo().activations("The capital of France is Paris.")  # doctest: +SKIP
        >>> token_strip_svg(result, 7)[:4]  # doctest: +SKIP
        '<svg'
    """
    values = np.zeros(len(result), np.float32) if feature is None else result.feature(feature)
    largest = float(values.max(initial=0.0))
    special = result.special_mask
    parts: list[str] = []
    x, y = float(MARGIN), float(TOP)
    most = max(4, int((width - 2 * MARGIN) / ADVANCE))
    for start, stop, text in result.prompt_tokens.groups:
        value = float(values[start:stop].max())
        for piece in chunks(shown(text), most):
            size = columns(piece) * ADVANCE
            if x + size > width - MARGIN and x > MARGIN:
                x, y = float(MARGIN), y + ROW
            parts.append(_token(x, y, piece, value / largest if largest > 0 else 0.0, bool(special[start])))
            x += size
        if text.endswith("\n"):
            x, y = float(MARGIN), y + ROW
    height = y + ROW + (MARGIN if x > MARGIN else 0)
    name = f"SAE {result.sae}" if feature is None else f"Feature {FeatureId(result.sae, feature)}"
    title = f"{name} {label}".strip()
    return svg(width, height, title, [*_head(result, title, largest, most), *parts])


def _token(x: Number, y: Number, text: str, share: Number, special: bool) -> str:
    size = columns(text) * ADVANCE
    parts = box(x, y, size, 20, COLOUR, 0.08 + 0.52 * share) if share > 0 else ""
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    if inner:
        parts += words(x + before * ADVANCE, y + 14.5, inner, fill=SOFT if special else INK)
    if share > 0.5:
        dots = "" if share > 0.75 else ' stroke-dasharray="2 2"'
        parts += line(x, y + 18, x + size, y + 18, f'stroke="{INK}" stroke-width="1.2"{dots}')
    return parts


def _head(result: Activations, title: str, largest: Number, most: int) -> list[str]:
    parts = [words(MARGIN, 24, clipped(title, most), more=' font-weight="bold"')]
    note = f"model {result.model} · {len(result)} tokens"
    masked = int(result.masked.sum())
    note += f" · {masked} masked" if masked else ""
    x = float(MARGIN)
    if largest > 0:
        parts.append(words(x, 45, "0", size=11, fill=SOFT))
        parts += [box(x + 12 + 6 * i, 36, 6, 11, COLOUR, 0.08 + 0.52 * (i + 0.5) / 12, 0) for i in range(12)]
        end = f"{number(largest)}   ┄ over ½  ─ over ¾ of it"
        parts.append(words(x + 90, 45, end, size=11, fill=SOFT))
        x += 100 + columns(end) * ADVANCE * 11 / 13
    left = max(4, most - int((x + 10) / ADVANCE))
    parts.append(words(x + 10, 45, clipped(note, int(left * 13 / 11)), size=11, fill=SOFT))
    parts.append(line(MARGIN, 54, MARGIN + most * ADVANCE, 54, f'stroke="{LINE}"'))
    return parts
