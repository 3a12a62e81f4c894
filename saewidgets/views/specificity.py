"""What a feature fires on by its activation: tables that survive sanitisers, and the chart of leaky features."""

from __future__ import annotations

import math
from html import escape
from typing import Any

from saewidgets.errors import SpecificityError
from saewidgets.results import Specificity
from saewidgets.results.specificity import IntervalScore
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, number, signed, table_html
from saewidgets.views.steering_bench import SCHEMA, Chart

WIDTH = 20
BLOCKS = {2: "░█", 4: "░▒▓█"}
"""How the scores are drawn in text, the lowest first."""

COLOURS = {2: ("#D9D9D9", "#0072B2"), 4: ("#D9D9D9", "#A6BDDB", "#5A9BC9", "#0B4F8A")}
LINE, MASS, FIRINGS = "#D55E00", "#E69F00", "#7F7F7F"
STEPS = tuple(n / 10 for n in range(10))
"""The thresholds of the table."""

HEAD = ("activation", "firings", "mass", "scored", "what they are", "precision", "95 % interval", "log ratio")
CURVE = ("threshold", "activation", "precision", "95 % interval", "firings kept", "mass kept", "recall", "F1")


def specificity_html(found: Specificity) -> str:
    """What was asked, a row an interval and a row a threshold.

    Example:
        >>> specificity_html(lab.specificity("sae/7", "London"))  # doctest: +SKIP
    """
    parts = [f"<p>{'<br>'.join(escape(line) for line in _about(found))}</p>"]
    parts.append(table_html(HEAD, [_row(found, each) for each in found.intervals]))
    parts.append("<p><b>What a threshold leaves</b>: activations up to it count as 0</p>")
    parts.append(table_html(_curve_head(found), _curve(found)))
    return "".join(parts) + f"<p>{'<br>'.join(map(escape, _limits(found)))}</p>"


def specificity_text(found: Specificity) -> str:
    """The same in plain text."""
    lines = [*_about(found), *_aligned([HEAD, *(_row(found, each) for each in found.intervals)])]
    lines += [
        "What a threshold leaves: activations up to it count as 0",
        *_aligned([_curve_head(found), *_curve(found)]),
    ]
    return "\n".join([*lines, *_limits(found)])


def specificity_chart(found: Specificity, kind: str = "specificity", threshold: Any = None) -> Chart:
    """Shares of the scores in each interval with precision and its interval, over the share of firings and of mass.

    Args:
        found: What was found.
        kind: "specificity".
        threshold: Share of the maximum at which a line is drawn; None: no line.

    Raises:
        SpecificityError: There is no such chart, or no such threshold.

    Example:
        >>> specificity_chart(found, threshold=0.3).spec["$schema"]  # doctest: +SKIP
    """
    import altair as alt

    if kind != "specificity":
        raise SpecificityError("There is no such chart.", got=repr(kind)[:80], expected="'specificity'")
    at = None if threshold is None else found.at(threshold)
    line = [] if at is None else [{"t": at.t}]
    subtitle = [_counted(found), *([] if at is None else [_kept(found, at.t)])]
    subtitle.append("Dots: precision with its 95 % interval; above each interval how many firings were scored.")
    title = alt.Title(clipped(_question(found), 120), anchor="start", subtitle=subtitle)
    charts = alt.vconcat(_scores(found, line), _histogram(found, line), spacing=8, title=title)
    spec = charts.resolve_scale(color="independent").to_dict()
    spec["$schema"] = SCHEMA
    return Chart(spec, specificity_text(found))


# ---- words -----------------------------------------------------------------------------------------------------------


def _question(found: Specificity) -> str:
    what = one_line(found.what)
    if found.kind == "rating":
        return f"Ratings of {one_line(str(found.feature))} by {one_line(found.rater)}, {what}"
    return f"{one_line(str(found.feature))} against {what}"


def _counted(found: Specificity) -> str:
    low, high = _number(float(found.precision_low[0])), _number(float(found.precision_high[0]))
    scored = f"{found.n_scored:,} of {found.count:,} firings scored"
    return f"Precision of all firings {_number(found.overall_precision)} ({low} to {high}); {scored}"


def _about(found: Specificity) -> list[str]:
    lines = [clipped(_question(found), 200), _counted(found)]
    if not math.isnan(found.base_rate):
        marked, recall = f"{found.base_rate:.3%} are marked", _number(float(found.recall[0]))
        lines.append(f"Of all {found.n_tokens:,} tokens {marked}; recall {recall}")
    from_what = f", from {one_line(found.max_from)}" if found.max_from else ""
    return [*lines, clipped(f"Thresholds are shares of the maximum {number(found.max)}{from_what}", 200)]


def _kept(found: Specificity, t: float) -> str:
    at = found.at(t)
    low, high = _number(at.precision_low), _number(at.precision_high)
    return (
        f"Above {at.t:g} of the maximum: precision {_number(at.precision)} ({low} to {high}); "
        f"{at.share:.1%} of the firings and {at.mass:.1%} of the mass are kept"
    )


def _limits(found: Specificity) -> list[str]:
    lines = [clipped(one_line(note), 300) for note in found.notes]
    if not found.exact and found.kind == "predicate":
        lines.append(
            "A sample of each interval was looked at; how often the feature is silent on marked tokens is unknown."
        )
    key = ", ".join(f"{block} {label}" for block, label in zip(BLOCKS[len(found.labels)], found.labels, strict=True))
    return [*lines, f"Bars: {key}. Intervals are Wilson's; firings of one text are not independent."]


def _number(value: float) -> str:
    return "—" if math.isnan(value) else number(value)


def _row(found: Specificity, each: IntervalScore) -> tuple[str, ...]:
    ratio = "-∞" if each.llr == -math.inf else signed(each.llr)
    known = "" if each.exact or found.kind == "rating" or not each.n else " of a sample"
    return (
        f"{number(each.low)} to {number(each.high)}", f"{each.share:.1%}", f"{each.mass_share:.1%}",
        f"{each.n:,}{known}", _bar(each.shares), _number(each.precision),
        f"{_number(each.precision_low)} to {_number(each.precision_high)}" if each.n else "—", ratio,
    )  # fmt: skip


def _bar(shares: tuple[float, ...]) -> str:
    """Blocks, the best score first; as many of each as its share, rounded so that there are always as many."""
    if any(map(math.isnan, shares)):
        return "not scored"
    bar, total = "", 0.0
    for block, share in reversed(list(zip(BLOCKS[len(shares)], shares, strict=True))):
        total += share
        bar += block * (round(total * WIDTH) - len(bar))
    return bar


def _curve_head(found: Specificity) -> tuple[str, ...]:
    return (*CURVE[:6], "marked firings kept") if math.isnan(found.base_rate) else CURVE


def _curve(found: Specificity) -> list[tuple[str, ...]]:
    rows = []
    for t in STEPS:
        at = found.at(t)
        interval = "—" if math.isnan(at.precision) else f"{number(at.precision_low)} to {number(at.precision_high)}"
        known = (at.recall_of_firings,) if math.isnan(found.base_rate) else (at.recall, at.f1)
        kept = (f"{at.share:.1%}", f"{at.mass:.1%}", *map(_number, known))
        rows.append((f"{t:g}", number(at.activation), _number(at.precision), interval, *kept))
    return rows


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(row[n]) for row in rows) for n in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


# ---- the chart -------------------------------------------------------------------------------------------------------


def _scores(found: Specificity, line: list[dict[str, float]]) -> Any:
    """Stacked shares of the scores, the best at the bottom, so that precision is the height of those that suffice."""
    import altair as alt

    data, marks = [], []
    for n, each in enumerate(found.intervals):
        if not each.n:
            continue
        place = {
            "from": n / 10,
            "to": (n + 1) / 10,
            "scored": each.n,
            "activation": f"{each.low:.3g} to {each.high:.3g}",
        }
        top = 0.0
        for label, share in reversed(list(zip(found.labels, each.shares, strict=True))):
            data.append(place | {"score": label, "share": share, "bottom": top, "top": top + share})
            top += share
        marks.append(place | {"middle": (n + 0.5) / 10, "precision": each.precision, "low": each.precision_low,
                              "high": each.precision_high})  # fmt: skip
    names = list(reversed(found.labels))
    scale = alt.Scale(domain=names, range=list(reversed(COLOURS[len(names)])))
    legend = alt.Legend(title="score" if found.kind == "rating" else "marked")
    tips = [alt.Tooltip("activation:N"), alt.Tooltip("score:N"), alt.Tooltip("share:Q", format=".1%"),
            alt.Tooltip("scored:Q")]  # fmt: skip
    bars = alt.Chart(alt.Data(values=data)).mark_rect(stroke="white").encode(
        x=_axis("from", None), x2="to:Q", y=alt.Y("bottom:Q", title="share of the firings", scale=_one()), y2="top:Q",
        color=alt.Color("score:N", scale=scale, legend=legend), tooltip=tips,
    )  # fmt: skip
    base = alt.Chart(alt.Data(values=marks)).encode(x=alt.X("middle:Q"))
    seen = [alt.Tooltip(f"{name}:Q", format=".3g") for name in ("precision", "low", "high", "scored")]
    layers = [
        bars,
        base.mark_rule(color=LINE, strokeWidth=2).encode(y=alt.Y("low:Q"), y2="high:Q", tooltip=seen),
        base.mark_point(color=LINE, filled=True, opacity=1, size=45).encode(y=alt.Y("precision:Q"), tooltip=seen),
        base.mark_text(dy=-6, baseline="bottom").encode(y=alt.datum(1), text=alt.Text("scored:Q", format=",")),
        *_threshold(line),
    ]
    return alt.layer(*layers, width=460, height=200)


def _histogram(found: Specificity, line: list[dict[str, float]]) -> Any:
    import altair as alt

    data = []
    for n, each in enumerate(found.intervals):
        for half, (of, share) in enumerate((("firings", each.share), ("activation mass", each.mass_share))):
            start = n / 10 + half * 0.045 + 0.005
            data.append({"from": start, "to": start + 0.045, "of": of, "share": share})
    scale = alt.Scale(domain=["firings", "activation mass"], range=[FIRINGS, MASS])
    bars = alt.Chart(alt.Data(values=data)).mark_rect().encode(
        x=_axis("from", f"activation, as a share of the maximum {number(found.max)}"), x2="to:Q",
        y=alt.Y("share:Q", title="share of all", axis=alt.Axis(format="%"), scale=alt.Scale(domainMin=0)),
        y2=alt.datum(0),
        color=alt.Color("of:N", scale=scale, legend=alt.Legend(title="share of all")),
        tooltip=[alt.Tooltip("of:N"), alt.Tooltip("share:Q", format=".1%")],
    )  # fmt: skip
    return alt.layer(bars, *_threshold(line), width=460, height=110)


def _threshold(line: list[dict[str, float]]) -> list[Any]:
    import altair as alt

    if not line:
        return []
    rule = alt.Chart(alt.Data(values=line)).mark_rule(color="black", strokeWidth=2, strokeDash=[6, 3])
    return [rule.encode(x=alt.X("t:Q"), tooltip=[alt.Tooltip("t:Q", title="threshold")])]


def _axis(field: str, title: str | None) -> Any:
    import altair as alt

    return alt.X(f"{field}:Q", scale=_one(), title=title, axis=alt.Axis(values=[n / 10 for n in range(11)]))


def _one() -> Any:
    import altair as alt

    return alt.Scale(domain=[0, 1])
