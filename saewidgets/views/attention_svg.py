"""Attention patterns drawn for a paper."""

from __future__ import annotations

import math

from saewidgets.results import Attention, HeadSummary
from saewidgets.results.steering_vector import Number
from saewidgets.views.attention import _caption, _share, _value
from saewidgets.views.cells import clipped, visible
from saewidgets.views.drawing import ADVANCE, LINE, SOFT, box, columns, fixed, line, shown, svg, words

MARGIN, TOP, GAP, TITLE = 16, 66, 18, 22
COLOUR = "#d9570a"
LEAST = 0.02
MOST = 128
LABEL = 14
A_ROW = 3
LEGEND = "rows: the token that looks; columns: the token looked at; the darker the more weight, white below 0.02"


def attention_svg(result: Attention, *, head: int | None = None, width: int = 720) -> str:
    """The pattern of one head with its tokens on both sides, or those of all heads side by side.

    Args:
        result: The patterns.
        head: Number of the head; None: all.
        width: Of the drawing, in px.

    Returns:
        SVG, light, with every token escaped; the first 128 tokens.

    Raises:
        MismatchError: The layer has no such head.

    Example:
        >>> import saewidgets as sw
        >>> result = sw.demo().attention("The capital of France is Paris.", 1)  # doctest: +SKIP
        >>> attention_svg(result, head=3)[:4]  # doctest: +SKIP
        '<svg'
    """
    most = max(4, int((width - 2 * MARGIN) / ADVANCE))
    title = f"Attention of layer {result.layer}" + ("" if head is None else f", head {head}")
    cut = [f"the first {MOST} drawn"] if len(result) > MOST else []
    note = " · ".join([*_caption(result, head)[:-1], *cut, shown(result.prompt_tokens.text)])
    parts = [
        words(MARGIN, 24, clipped(title, most), more=' font-weight="bold"'),
        words(MARGIN, 42, clipped(note, int(most * 13 / 11)), size=11, fill=SOFT),
        words(MARGIN, 57, clipped(LEGEND, int(most * 13 / 11)), size=11, fill=SOFT),
    ]
    body, height = _every(result, width) if head is None else _one(result, head, width)
    return svg(width, height, title, parts + body)


def _every(result: Attention, width: int) -> tuple[list[str], float]:
    """All heads side by side, with the height of the drawing."""
    side = (width - 2 * MARGIN - (A_ROW - 1) * GAP) / A_ROW
    parts: list[str] = []
    for one in result.heads():
        x = MARGIN + (one.head % A_ROW) * (side + GAP)
        y = TOP + (one.head // A_ROW) * (side + GAP + TITLE) + TITLE
        parts += [words(x, y - 6, clipped(_told(one), int(side / ADVANCE * 13 / 11)), size=11)]
        parts += _matrix(result, one.head, x, y, side)
    rows = math.ceil(result.n_heads / A_ROW)
    return parts, TOP + rows * (side + GAP + TITLE) + MARGIN


def _told(one: HeadSummary) -> str:
    return f"head {one.head} · {_value(one.entropy)} nats · BOS {_share(one.bos)}"


def _one(result: Attention, head: int, width: int) -> tuple[list[str], float]:
    """One head with its tokens on both sides, with the height of the drawing."""
    names = [clipped(visible(token), LABEL) for token in result.tokens[:MOST]]
    left = MARGIN + 8 + max(columns(name) for name in names) * ADVANCE * 11 / 13
    cell = min(26.0, (width - MARGIN - left) / len(names))
    size = min(11.0, cell)
    above = TOP + (left - MARGIN) * 0.75 + 8
    parts = _matrix(result, head, left, above, cell * len(names))
    for place, name in enumerate(names):
        middle = above + (place + 0.5) * cell + size / 3
        parts.append(words(left - 6 - columns(name) * ADVANCE * size / 13, middle, name, size=size))
        x, y = left + (place + 0.5) * cell + size / 3, above - 5
        parts.append(words(x, y, name, size=size, more=f' transform="rotate(-45 {fixed(x)} {fixed(y)})"'))
    return parts, above + cell * len(names) + MARGIN


def _matrix(result: Attention, head: int, x: Number, y: Number, side: Number) -> list[str]:
    """A pattern as squares in a frame."""
    pattern = result.of(head)[:MOST, :MOST]
    cell = side / len(pattern)
    parts = [
        box(x + key * cell, y + query * cell, cell, cell, COLOUR, round(weight, 2), 0)
        for query, row in enumerate(pattern.tolist())
        for key, weight in enumerate(row[: query + 1])
        if weight >= LEAST
    ]
    frame = f'stroke="{LINE}"'
    corners = [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]
    edges = zip(corners, [*corners[1:], corners[0]], strict=True)
    return [*parts, *(line(*a, *b, frame) for a, b in edges)]
