"""What steering does, drawn for a paper: the edits, the next token, both texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from saewidgets.results import Generation, NextToken, NextTokenRow, SteeringComparison, Tokens
from saewidgets.results.steering_vector import Number
from saewidgets.views.cells import clipped, visible
from saewidgets.views.drawing import ADVANCE, INK, LINE, SOFT, box, chunks, columns, fixed, line, shown, svg, words
from saewidgets.views.remarks import Remark
from saewidgets.views.steering import _edit_lines, _former, _kl, _name, _percent, _reach, _side
from saewidgets.views.written import facts, no_marks

MARGIN, ROW, GAP, BAR = 16, 24, 32, 18
PAIRS = 4
LEGEND = (
    "bars: outlined as the model is, filled steered · orange: an edit changed the token's activation · underlined: the "
    "texts differ"
)
TOUCHED, STEERED = "#fd8d3c", "#c8641b"
ENDS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75)


def steering_comparison_svg(
    result: SteeringComparison, k: int = 10, where: Sequence[str] = (), said: Sequence[Remark] = (), *, width: int = 900
) -> str:
    """The edits, the k likeliest next tokens without and with them, and both texts side by side, as vector text.

    Of several samples the first four are drawn.

    Args:
        result: What the model says without and with the edits.
        k: How many next tokens are drawn.
        where: For each edit where it acts; nothing is said of an empty text.
        said: For each edit what people say of its feature.
        width: Of the drawing, in px.

    Returns:
        SVG, light, with every text escaped.

    Example:
        >>> import saewidgets as sw
        >>> found = sw.demo().compare_steering("I walked to the", sw.steering.set(7, 4))  # doctest: +SKIP
        >>> steering_comparison_svg(found)[:4]  # doctest: +SKIP
        '<svg'
    """
    after, inner = result.next_token, width - 2 * MARGIN
    title = f"Steering · model {_name(after.model)} · {_kl(after.kl)}"
    parts, y = _lines([title], MARGIN, 24.0, inner, bold=True)
    edits = _edit_lines(result.edits, result.strengths, _reach(result), where, said)
    more, y = _lines(edits, MARGIN, y + 2, inner)
    tokens, y = _flow(result.prompt_tokens, after.steered, None, MARGIN, y + 10, inner)
    bars, y = _bars(after, k, y + GAP, inner)
    texts, y = _pairs(result, y, inner)
    parts += [*more, *tokens, *bars, *texts]
    told = [] if result.side_effect is None else [_side(result.side_effect)]
    last, y = _lines([*told, LEGEND], MARGIN, y + 14, inner, soft=True)
    return svg(width, y + MARGIN - 8, title, [*parts, *last])


def _lines(
    texts: Sequence[str], x: Number, y: Number, width: Number, *, bold: bool = False, soft: bool = False
) -> tuple[list[str], float]:
    """Lines of plain text below each other, each broken where it is too long; and where they end."""
    look = {"size": 11, "fill": SOFT} if soft else {}
    most = max(8, int(width / ADVANCE * 13 / look.get("size", 13)))
    parts = []
    for text in texts:
        for piece in _broken(shown(text), most):
            parts.append(words(x, y, piece, more=' font-weight="bold"' if bold else "", **look))
            y += 15 if soft else 19
    return parts, float(y)


def _broken(text: str, most: int) -> list[str]:
    """A text in lines of at most so many columns, broken at spaces where there are any."""
    lines = [""]
    for word in text.split(" "):
        for piece in chunks(word, most):
            if lines[-1] and columns(f"{lines[-1]} {piece}") > most:
                lines.append(piece)
            else:
                lines[-1] = f"{lines[-1]} {piece}" if lines[-1] else piece
    return lines


def _flow(
    tokens: Tokens, steered: np.ndarray, differs: np.ndarray | None, left: Number, y: Number, width: Number
) -> tuple[list[str], float]:
    """Tokens that flow in lines: tinted where an edit moved them, underlined where the texts differ."""
    most, x, parts = max(4, int(width / ADVANCE)), float(left), []
    for start, stop, text in tokens.groups:
        touched = bool(steered[start:stop].any())
        other = differs is not None and bool(differs[start:stop].any())
        for piece in chunks(shown(text), most):
            size = columns(piece) * ADVANCE
            if x + size > left + width and x > left:
                x, y = float(left), y + ROW
            parts.append(_token(x, y, piece, touched, other, bool(tokens.special[start])))
            x += size
        if text.endswith("\n"):
            x, y = float(left), y + ROW
    return parts, float(y + (ROW if x > left else 0))


def _token(x: Number, y: Number, text: str, touched: bool, differs: bool, special: bool) -> str:
    size, inner = columns(text) * ADVANCE, text.strip(" ")
    before = (len(text) - len(text.lstrip(" "))) * ADVANCE
    made = box(x, y, size, 20, TOUCHED, 0.25, 0) if touched else ""
    if inner:
        made += words(x + before, y + 14.5, inner, fill=SOFT if special else INK)
    if differs and inner:
        made += line(x + before, y + 18, x + before + columns(inner) * ADVANCE, y + 18, f'stroke="{INK}"')
    return made


def _bars(result: NextToken, k: int, y: Number, width: Number) -> tuple[list[str], float]:
    """The likeliest next tokens; their bars share an axis."""
    rows = result.top(k)
    if not rows:
        return [], float(y)
    largest = max(max(row.base, row.edited) for row in rows)
    end = next((end for end in ENDS if largest <= end), 1.0)
    name, numbers = 170.0, 200.0
    left, track = MARGIN + name, width - name - numbers
    right = MARGIN + width
    parts = [
        words(MARGIN, y, "Next token", more=' font-weight="bold"'), words(left, y, "0", size=11, fill=SOFT),
        _ending(left + track, y, f"{100 * end:g} %", size=11), _ending(right - 100, y, "base", size=11),
        _ending(right, y, "steered", size=11), line(MARGIN, y + 6, right, y + 6, f'stroke="{LINE}"'),
    ]  # fmt: skip
    y += 12
    for row in rows:
        parts.append(_bar(row, left, y, track / end, right))
        y += ROW
    return parts, float(y)


def _bar(row: NextTokenRow, left: Number, y: Number, scale: Number, right: Number) -> str:
    outline = f'x="{fixed(left)}" y="{fixed(y)}" width="{fixed(row.base * scale)}" height="{BAR}"'
    return (
        words(MARGIN, y + 13.5, clipped(shown(visible(row.token)), int((left - MARGIN) / ADVANCE) - 1))
        + f'<rect {outline} fill="none" stroke="{SOFT}"/>'
        + box(left, y + 4, row.edited * scale, BAR - 8, STEERED, round_=0)
        + _ending(right - 100, y + 13.5, _percent(row.base))
        + _ending(right, y + 13.5, _percent(row.edited))
    )


def _ending(right: Number, y: Number, text: str, size: Number = 13) -> str:
    """Text that ends at a place."""
    return words(right - columns(text) * ADVANCE * size / 13, y, text, size=size, fill=SOFT if size < 13 else INK)


def _pairs(result: SteeringComparison, y: Number, width: Number) -> tuple[list[str], float]:
    """Each pair of texts side by side, with how the steered one was drawn below."""
    one, parts = (width - GAP) / 2, []
    right = MARGIN + one + GAP
    pairs = list(zip(result.base, result.steered, strict=False))[:PAIRS]
    for n, (base, steered) in enumerate(pairs):
        y += GAP - 6
        seed = f", seed {base.seed}" if len(result.base) > 1 else ""
        parts += [
            words(MARGIN, y, f"Base{seed}", more=' font-weight="bold"'),
            words(right, y, "Steered", more=' font-weight="bold"'),
            line(MARGIN, y + 6, MARGIN + one, y + 6, f'stroke="{LINE}"'),
            line(right, y + 6, right + one, y + 6, f'stroke="{LINE}"'),
        ]
        mine, theirs = result.differs(n)
        left_part, low = _flow(base.new_tokens, no_marks(base), mine, MARGIN, y + 12, one)
        right_part, lower = _flow(steered.new_tokens, _new(steered), theirs, right, y + 12, one)
        notes, y = _lines([*facts(steered), *_former(result, steered)], right, max(low, lower) + 12, one, soft=True)
        parts += [*left_part, *right_part, *notes]
    left_out = min(len(result.base), len(result.steered)) - len(pairs)
    more, y = _lines([f"and {left_out} more pairs"] if left_out > 0 else [], MARGIN, y + 8, width, soft=True)
    return [*parts, *more], y


def _new(text: Generation) -> np.ndarray:
    return text.steered[len(text.prompt_tokens) :]
