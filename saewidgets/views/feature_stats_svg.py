"""All that is known of one feature, drawn for a paper: how strongly it fires, on what, what it does to the logits."""

from __future__ import annotations

from collections.abc import Sequence

from saewidgets.results.feature_stats import Example, FeatureStats, Interval, TokenEffect
from saewidgets.results.steering_vector import Number
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, number, signed, visible
from saewidgets.views.drawing import ADVANCE, INK, LINE, SOFT, box, columns, fixed, line, shown, svg, words
from saewidgets.views.feature_stats import HOW, _cells, _facts, _words
from saewidgets.views.steering_svg import _lines

MARGIN, ROW, GAP, HEIGHT = 16, 22, 40, 130
TOP, EFFECTS, AROUND = 10, 8, 40
FILL, UP, DOWN = "#fd8d3c", "#c8641b", "#2f6fb5"
SMALL = ADVANCE * 11 / 13


def feature_stats_svg(stats: FeatureStats, *, note: str = "", width: int = 900) -> str:
    """How often it fires in ten intervals of activation, what it does to the logits, its ten strongest contexts.

    Args:
        stats: The feature.
        note: What people say of it.
        width: Of the drawing, in px.

    Returns:
        SVG, light, with every text escaped.

    Example:
        >>> import saewidgets as sw
        >>> feature_stats_svg(sw.demo().feature(7))[:4]  # doctest: +SKIP
        '<svg'
    """
    inner = width - 2 * MARGIN
    most, few = int(inner / ADVANCE), int(inner / SMALL)
    title = f"Feature {_words(str(stats.feature))}"
    name = clipped(f"{title} {_words(stats.label)}".strip(), most)
    parts, y = [words(MARGIN, 24, name, more=' font-weight="bold"')], 44.0
    for text in [*_facts(stats), *([f"Note: {one_line(note)}"] if note else [])]:
        parts.append(words(MARGIN, y, clipped(text, few), size=11, fill=SOFT))
        y += 16
    half = (inner - GAP) / 2
    right = MARGIN + half + GAP
    lows = [y]
    if stats.count:
        more, low = _histogram(stats.intervals, MARGIN, y + 22, half if stats.logits else inner)
        parts, lows = [*parts, *more], [*lows, low]
    if stats.logits is not None:
        left, room = (right, half) if stats.count else (float(MARGIN), inner)
        more, low = _effects(stats.logits.top, stats.logits.bottom, stats.logits.how, left, y + 22, room)
        parts, lows = [*parts, *more], [*lows, low]
    more, y = _examples(stats.top[:TOP], max(lows), inner)
    return svg(width, y + MARGIN, title, [*parts, *more])


# ---- firings ---------------------------------------------------------------------------------------------------------


def _histogram(intervals: Sequence[Interval], left: Number, y: Number, width: Number) -> tuple[list[str], float]:
    """A bar an interval; a line in each at the interval's share of all activation."""
    parts = [_head("Share of firings by activation", left, y, width)]
    if not intervals:
        return parts, y + ROW
    largest = max(max(each.share, each.mass_share) for each in intervals) or 1.0
    step, floor = width / len(intervals), y + 24 + HEIGHT
    for n, each in enumerate(intervals):
        x = left + n * step
        tall, mass = (HEIGHT * share / largest for share in (each.share, each.mass_share))
        parts.append(box(x + 2, floor - tall, step - 4, tall, FILL, 0.6, 0))
        high = floor - mass
        parts.append(line(x + 2, high, x + step - 2, high, f'stroke="{INK}" stroke-width="1.5"'))
        told = f"{'' if each.exact else '~'}{_short(each.count)}"
        if columns(told) * SMALL <= step:
            parts.append(_middle(x + step / 2, floor - max(tall, mass) - 4, told))
    parts.append(line(left, floor, left + width, floor, f'stroke="{SOFT}"'))
    for n in (0, len(intervals) // 2, len(intervals)):
        edge = intervals[n - 1].high if n else intervals[0].low
        size = columns(number(edge)) * SMALL
        x = min(max(left + n * step - size / 2, left), left + width - size)
        parts.append(words(x, floor + 14, number(edge), size=11, fill=SOFT))
    told = f"bars: share of firings, with their number; top = {largest:.0%}", "lines: share of all activation"
    for n, text in enumerate(told):
        parts.append(words(left, floor + 31 + 15 * n, clipped(text, int(width / SMALL)), size=11, fill=SOFT))
    return parts, floor + 46


def _short(count: Number) -> str:
    return f"{count:,.0f}" if count < 10_000 else f"{count:.2g}".replace("e+0", "e").replace("e+", "e")


def _middle(x: Number, y: Number, text: str) -> str:
    return words(x - columns(text) * SMALL / 2, y, text, size=11, fill=SOFT)


def _head(text: str, left: Number, y: Number, width: Number) -> str:
    rule = line(left, y + 6, left + width, y + 6, f'stroke="{LINE}"')
    return words(left, y, text, more=' font-weight="bold"') + rule


# ---- logits ----------------------------------------------------------------------------------------------------------


def _effects(
    raised: Sequence[TokenEffect], lowered: Sequence[TokenEffect], how: str, left: Number, y: Number, width: Number
) -> tuple[list[str], float]:
    """Tokens that the direction raises and lowers; all bars share a scale."""
    parts = [_head(HOW[0].upper() + HOW[1:], left, y, width)]
    shown_ = [*raised[:EFFECTS], *lowered[:EFFECTS]]
    largest = max((abs(each.effect) for each in shown_), default=0.0) or 1.0
    one, floor = (width - 16) / 2, y + 12
    for side, colour, x in ((raised, UP, left), (lowered, DOWN, left + one + 16)):
        for n, each in enumerate(side[:EFFECTS]):
            top = y + 12 + n * ROW
            parts.append(_effect(each, colour, x, top, one, abs(each.effect) / largest))
            floor = max(floor, top + ROW)
    told = f"orange, +: raises; blue, -: lowers · {one_line(how)}"
    more, low = _lines([told], left, floor + 12, width, soft=True)
    return [*parts, *more], low - 15


def _effect(each: TokenEffect, colour: str, x: Number, y: Number, width: Number, share: Number) -> str:
    told = signed(each.effect)
    size = columns(told) * ADVANCE
    room = max(4, int((width - size) / ADVANCE) - 1)
    return (
        box(x, y, width * share, ROW - 4, colour, 0.25)
        + words(x + 4, y + 13.5, _fitting(shown(visible(each.token)), room))
        + words(x + width - size - 4, y + 13.5, told)
    )


def _fitting(text: str, most: int) -> str:
    """A text of at most so many columns."""
    while columns(text) > most:
        text = f"{text[:-2]}…"
    return text


# ---- contexts --------------------------------------------------------------------------------------------------------


def _examples(top: Sequence[Example], y: Number, width: Number) -> tuple[list[str], float]:
    """The strongest contexts, a line each, with the token on which it fires in the middle as far as there is room."""
    if not top:
        return [], float(y)
    y += 36
    parts = [_head("Strongest contexts", MARGIN, y, width)]
    largest = max(each.activation for each in top) or 1.0
    y += 12
    for each in top:
        told = number(each.activation)
        bar = 60 * max(0.0, each.activation / largest)
        parts.append(box(MARGIN, y + 3, bar, ROW - 10, FILL, 0.6, 0))
        parts.append(words(MARGIN + 68, y + 13.5, told))
        parts += _context(each, MARGIN + 136, y, width - 136)
        y += ROW
    end = "bars: activation · boxed, bold: the token on which it fires"
    parts.append(words(MARGIN, y + 14, clipped(end, int(width / SMALL)), size=11, fill=SOFT))
    return parts, y + 14


def _context(example: Example, left: Number, y: Number, width: Number) -> list[str]:
    cells, _, _ = _cells(example, AROUND)
    texts = [shown(text) for text, *_ in cells]
    peak = next((n for n, (*_, here) in enumerate(cells) if here), 0)
    most = int(width / ADVANCE)
    texts[peak] = _fitting(texts[peak], most - 4)
    start, stop = _window([columns(text) for text in texts], peak, most - 4)
    parts, x = [], float(left)
    if start or example.around(AROUND, AROUND)[0]:
        parts.append(words(x, y + 13.5, "…", fill=SOFT))
    x += 2 * ADVANCE
    for n in range(start, stop):
        size = columns(texts[n]) * ADVANCE
        if n == peak:
            where = f'x="{fixed(x)}" y="{fixed(y)}" width="{fixed(size)}" height="{ROW - 4}"'
            parts.append(f'<rect {where} fill="{FILL}" fill-opacity="0.6" stroke="{INK}" stroke-width="0.7"/>')
        inner = texts[n].strip(" ")
        before = (len(texts[n]) - len(texts[n].lstrip(" "))) * ADVANCE
        bold = ' font-weight="bold"' if n == peak else ""
        parts.append(words(x + before, y + 13.5, inner, fill=SOFT if cells[n][1] else INK, more=bold) if inner else "")
        x += size
    if stop < len(cells) or example.around(AROUND, AROUND)[1] < len(example):
        parts.append(words(x + ADVANCE / 2, y + 13.5, "…", fill=SOFT))
    return parts


def _window(sizes: Sequence[int], peak: int, most: int) -> tuple[int, int]:
    """As many neighbours of a cell on either side as there is room for."""
    start, stop, left = peak, peak + 1, most - sizes[peak]
    while True:
        before = start > 0 and sizes[start - 1] <= left
        after = stop < len(sizes) and sizes[stop] <= left
        if before and (not after or peak - start <= stop - peak - 1):
            start -= 1
            left -= sizes[start]
        elif after:
            left -= sizes[stop]
            stop += 1
        else:
            return start, stop
