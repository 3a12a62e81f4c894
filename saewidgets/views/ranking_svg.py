"""Three rankings of the same features side by side, drawn for a paper."""

from __future__ import annotations

from collections.abc import Sequence

from saewidgets.results import Order, RankedFeature, Ranking
from saewidgets.results.steering_vector import Number
from saewidgets.views.cells import clipped
from saewidgets.views.drawing import ADVANCE, INK, LINE, SOFT, box, columns, line, shown, svg, words
from saewidgets.views.ranking import COLUMNS, _cells, _findings, _key, _metric

ROW, MARGIN, TOP, GAP = 24, 16, 100, 56
LEGEND = "orange, +: raises the metric; blue, -: lowers it; attribution and ablation share a scale; thick lines rise"
UP, DOWN, PLAIN = "#c8641b", "#2f6fb5", "#8a8f96"


def ranking_svg(ranking: Ranking, k: int = 10, order: Order = "absolute", *, width: int = 900) -> str:
    """The first k features by activation, by attribution and by ablation, with bars, and lines between the same ones.

    Bars of attribution and ablation share a scale; orange raises the metric, blue lowers it.

    Args:
        ranking: The three rankings.
        k: How many rows each column has.
        order: "absolute" or "signed".
        width: Of the drawing, in px.

    Returns:
        SVG, light, with every text escaped.

    Raises:
        TargetError: k is not a whole number from 1.

    Example:
        >>> import saewidgets as sw
        >>> ranking_svg(sw.demo().rank("The capital of France is", " Paris"))[:4]  # doctest: +SKIP
        '<svg'
    """
    tops = [ranking.top(k, by, order) for by in COLUMNS]
    most = int((width - 2 * MARGIN) / ADVANCE)
    one = (width - 2 * MARGIN - 2 * GAP) / 3
    left = [MARGIN + c * (one + GAP) for c in range(3)]
    parts = [
        words(MARGIN, 24, clipped(shown(ranking.prompt_tokens.text), most), more=' font-weight="bold"'),
        words(MARGIN, 44, clipped(_metric(ranking), most)),
        words(MARGIN, 62, clipped(_findings(ranking, k, order)[0], int(most * 13 / 11)), size=11, fill=SOFT),
    ]
    for c, by in enumerate(COLUMNS):
        parts.append(words(left[c], TOP - 12, f"by {by}", more=' font-weight="bold"'))
        parts.append(line(left[c], TOP - 5, left[c] + one, TOP - 5, f'stroke="{LINE}"'))
    for c in range(2):
        parts += _joints(tops[c], tops[c + 1], left[c] + one, left[c + 1])
    scales = [_largest(tops[0], 0), *[max(_largest(tops[1], 1), _largest(tops[2], 2))] * 2]
    for c, top in enumerate(tops):
        parts += [_entry(ranking, row, c, i, left[c], one, scales[c]) for i, row in enumerate(top)]
    height = TOP + ROW * max(1, *map(len, tops)) + 20 + MARGIN
    parts.append(words(MARGIN, height - MARGIN, clipped(LEGEND, int(most * 13 / 11)), size=11, fill=SOFT))
    return svg(width, height, f"{_metric(ranking)}: features by activation, attribution and ablation", parts)


def _largest(rows: Sequence[RankedFeature], column: int) -> float:
    return max((abs(getattr(row, COLUMNS[column])) for row in rows), default=0.0)


def _entry(
    ranking: Ranking, row: RankedFeature, column: int, place: int, left: Number, width: Number, scale: Number
) -> str:
    """One row of one column: its bar, rank, name and value."""
    name, text = _cells(ranking, row, COLUMNS[column])
    value: float = getattr(row, COLUMNS[column])
    y = TOP + ROW * place
    size = abs(value) / scale * width if scale and value == value else 0.0  # noqa: PLR0124 - NaN
    colour = PLAIN if column == 0 else UP if value > 0 else DOWN
    room = int(width / ADVANCE) - columns(text) - 4
    return (
        box(left, y, size, ROW - 4, colour, 0.25)
        + words(left + 4, y + 14.5, f"{place + 1}", size=11, fill=SOFT)
        + words(left + 26, y + 14.5, clipped(name, max(4, room)))
        + words(left + width - 4 - columns(text) * ADVANCE, y + 14.5, text)
    )


def _joints(here: Sequence[RankedFeature], there: Sequence[RankedFeature], x0: Number, x1: Number) -> list[str]:
    """Lines from the rows of one column to the same rows of the next; thick where a row rises."""
    places = {_key(row): place for place, row in enumerate(there)}
    parts = []
    for place, row in enumerate(here):
        other = places.get(_key(row))
        if other is None:
            continue
        thick = 2 if other < place else 1
        y = [TOP + ROW * at + ROW / 2 - 2 for at in (place, other)]
        parts.append(line(x0 + 3, y[0], x1 - 3, y[1], f'stroke="{INK}" stroke-opacity=".55" stroke-width="{thick}"'))
    return parts
