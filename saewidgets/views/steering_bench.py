"""A comparison of ways to steer: tables that survive sanitisers, and two charts that JupyterLab draws by itself."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from saewidgets.errors import EditError
from saewidgets.results import MatchedWay, SteeringBench
from saewidgets.results.steering_vector import Number
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, number, signed, table_html
from saewidgets.views.files import chart_svg, write_png, write_svg

MIME = "application/vnd.vegalite.v5+json"  # the newest that JupyterLab 4 knows by itself
SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"
LEAST_KL = 1e-5  # a logarithmic axis has no 0
USUAL_PAIRS = 32  # drawn beside the fewest and the most
NAMES = {
    "set": "feature, set",
    "set_if_active": "feature, set if active",
    "add": "feature, add",
    "difference_in_means": "difference in means",
    "probe": "probe",
    "pca": "principal component",
    "random": "random direction",
}
COLOURS = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#9C3D00", "#CC79A7", "#6A51A3", "#7F7F7F")
SHAPES = (
    "circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "triangle-left", "triangle-right", "wedge",
)  # fmt: skip
HEAD = ("way", "pairs", "gain, nats", "95 % interval", "score", "written", "KL", "CE increase", "length", "draws")


class Chart:
    """A chart that shows itself in JupyterLab and Notebook 7 without network; elsewhere its table as text.

    HTML would be preferred to the chart there, so that none is given along; the result itself has a table in HTML.

    Args:
        spec: Vega-Lite 5, a dict that is valid JSON.
        text: The same in words.
    """

    def __init__(self, spec: dict[str, Any], text: str) -> None:
        self.spec, self.text = spec, text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        del include, exclude
        return {MIME: self.spec, "text/plain": self.text}

    def to_svg(self, path: str | os.PathLike[str]) -> Path:
        """Write the chart as an SVG file.

        Raises:
            MissingPackageError: vl-convert-python is not installed.

        Example:
            >>> bench.chart().to_svg("figure.svg")  # doctest: +SKIP
        """
        return write_svg(chart_svg(self.spec), path)

    def to_png(self, path: str | os.PathLike[str], scale: Number = 2) -> Path:
        """Write the chart as a PNG file, ``scale`` pixels a px.

        Raises:
            MissingPackageError: vl-convert-python is not installed.

        Example:
            >>> bench.chart().to_png("figure.png", scale=3)  # doctest: +SKIP
        """
        return write_png(chart_svg(self.spec), path, scale)


class _Way(NamedTuple):
    """A way to steer, as people read it, and its place in colours and shapes."""

    method: str
    n_pairs: int

    @property
    def name(self) -> str:
        pairs = f", {self.n_pairs} pair{'s' if self.n_pairs > 1 else ''}" if self.n_pairs else ""
        return NAMES.get(self.method, self.method) + pairs


def steering_bench_html(bench: SteeringBench) -> str:
    """What was compared, all ways at one side effect, and each at its best on prompts that it was not picked on.

    Example:
        >>> steering_bench_html(lab.steering_bench(" Paris", prompts=["I live in"]))  # doctest: +SKIP
    """
    matched, budget = _budget(bench, None)
    parts = [f"<p>{'<br>'.join(escape(line) for line in _about(bench))}</p>"]
    parts.append(f"<p><b>{escape(_matched_at(matched, budget))}</b></p>")
    parts.append(table_html(HEAD, _cells(bench.comparisons(matched, budget))))  # pyright: ignore[reportArgumentType]
    best = _best(bench)
    if best:
        parts.append("<p><b>Each way at its best strength</b>: picked by score on one half of the prompts</p>")
        parts.append(table_html(("way", "score on the others", "95 % interval", "length", "KL"), best))
    return "".join(parts) + f"<p>{'<br>'.join(map(escape, _limits(bench)))}</p>"


def steering_bench_text(bench: SteeringBench, budget: float | None = None) -> str:
    """The same in plain text, without the best strengths."""
    matched, at = _budget(bench, budget)
    rows = [HEAD, *_cells(bench.comparisons(matched, at))]  # pyright: ignore[reportArgumentType]
    widths = [max(len(row[n]) for row in rows) for n in range(len(HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*_about(bench), _matched_at(matched, at), *table, *_limits(bench)])


def steering_bench_chart(bench: SteeringBench, kind: str = "tradeoff", budget: float | None = None) -> Chart:
    """Effect against side effect, or effect against the number of pairs.

    Args:
        bench: The comparison.
        kind: "tradeoff" or "pairs".
        budget: For "pairs" the KL, or the length where ways were matched by length alone; None: the middle one.

    Raises:
        EditError: There is no such kind, or no such budget.

    Example:
        >>> steering_bench_chart(bench, "pairs", 0.1).spec["$schema"]  # doctest: +SKIP
    """
    if kind not in {"tradeoff", "pairs"}:
        raise EditError("There is no such chart.", got=repr(kind)[:80], expected="'tradeoff' or 'pairs'")
    chart = _tradeoff(bench) if kind == "tradeoff" else _pairs(bench, *_budget(bench, budget))
    spec = chart.to_dict()
    spec["$schema"] = SCHEMA
    return Chart(spec, steering_bench_text(bench, budget if kind == "pairs" else None))


# ---- words -----------------------------------------------------------------------------------------------------------


def _budget(bench: SteeringBench, budget: float | None) -> tuple[str, float]:
    matched = "kl" if bench.kls else "norm"
    known = bench.kls or bench.norms
    return matched, known[len(known) // 2] if budget is None else float(budget)


def _matched_at(matched: str, budget: float) -> str:
    if matched == "kl":
        return f"All ways at KL {number(budget)} nats per token on the neutral texts"
    return f"All ways where what they add has a mean length of {number(budget)} activations"


def _target(bench: SteeringBench) -> str:
    return clipped(" or ".join(repr(one_line(token)) for token in bench.target), 120)


def _about(bench: SteeringBench) -> list[str]:
    start, n = signed(float(bench.base_log_odds[bench.compared].mean())), int(bench.compared.sum())
    lines = [
        f"Steering towards {_target(bench)} at {one_line(bench.hook)} of {one_line(bench.model)}",
        f"Gain: in its log-odds at the next token of {n} prompts, from {start} nats without edits",
    ]
    if bench.feature:
        lines.append(f"Feature {one_line(bench.feature)}, " + ("given" if bench.choice is None else _choice(bench)))
    return lines


def _choice(bench: SteeringBench) -> str:
    choice = bench.choice
    assert choice is not None
    best = "" if choice.candidates == 1 else f"the best to steer with on every second prompt of {choice.candidates} "
    return (
        f"{best}chosen on {choice.n_texts} texts for AUROC, which is {choice.auroc:.2f} on the others; "
        f"fires there with precision {choice.precision:.2f}, recall {choice.recall:.2f}"
    )


def _limits(bench: SteeringBench) -> list[str]:
    silent = [_Way(*way).name for way in bench.ways if not _moves(bench, way)]
    lines = ["Score: harmonic mean of concept, fluency and repetition, 0 to 2, without a judge; not AxBench's."]
    if silent:
        lines.append(f"Moves no token of the prompts, at any strength: {', '.join(silent)}")
    return lines


def _moves(bench: SteeringBench, way: tuple[str, int]) -> bool:
    return any(
        not math.isnan(strength)
        for method, n, strength in zip(bench.method, bench.n_pairs.tolist(), bench.strength.tolist(), strict=True)
        if (method, n) == way
    )


def _cells(rows: Sequence[MatchedWay]) -> list[tuple[str, ...]]:
    cells = []
    for row in rows:
        pairs = str(row.n_pairs) if row.n_pairs else "—"
        draws = f"{row.reached} of {row.draws}" if row.reached < row.draws else str(row.draws)
        if not row.reached:
            cells.append((NAMES.get(row.method, row.method), pairs, "not reached", *["—"] * 6, draws))
            continue
        interval = f"{signed(row.low)} to {signed(row.high)}"
        numbers = (row.score, row.written, row.kl, row.ce_increase, row.norm)
        shown = [_number(value) for value in numbers]
        cells.append((NAMES.get(row.method, row.method), pairs, signed(row.effect), interval, *shown, draws))
    return cells


def _number(value: float) -> str:
    return "—" if math.isnan(value) else number(value)


def _best(bench: SteeringBench) -> list[tuple[str, ...]]:
    if len(bench.prompts) < 2:
        return []
    rows = []
    for row in bench.best().itertuples():
        values: Any = row
        if not math.isnan(values.held_out):
            interval = f"{number(values.low)} to {number(values.high)}"
            name = _Way(values.method, int(values.n_pairs)).name
            rows.append((name, number(values.held_out), interval, number(values.norm), number(values.kl)))
    return rows


# ---- charts ----------------------------------------------------------------------------------------------------------


def _drawn(bench: SteeringBench) -> list[_Way]:
    """The ways of the first chart: of the differences in means the fewest pairs, about 32, and the most."""
    pairs = [n for method, n in bench.ways if method == "difference_in_means"]
    kept = {pairs[0], min(pairs, key=lambda n: abs(n - USUAL_PAIRS)), pairs[-1]} if pairs else set()
    return [_Way(*way) for way in bench.ways if way[0] != "difference_in_means" or way[1] in kept]


def _places(ways: Sequence[_Way]) -> dict[str, int]:
    """Each way's place in colours and shapes, which a method has in every chart; by name."""
    places: dict[str, int] = {}
    fewer = sum(way.method == "difference_in_means" for way in ways) - 1  # before the one from the most pairs
    for way in ways:
        place = list(NAMES).index(way.method)
        if way.method == "difference_in_means":
            place, fewer = place + 2 - fewer, fewer - 1
        elif place > list(NAMES).index("difference_in_means"):
            place += 2
        places[way.name] = place
    return places


def _scales(places: dict[str, int]) -> dict[str, Any]:
    """Colour and shape of each way, in one legend."""
    import altair as alt

    names = list(places)
    colours, shapes = ([choice[place] for place in places.values()] for choice in (COLOURS, SHAPES))
    legend = alt.Legend(title="way to steer", labelLimit=260, symbolOpacity=1)
    return {
        "color": alt.Color("way:N", scale=alt.Scale(domain=names, range=colours), legend=legend),
        "shape": alt.Shape("way:N", scale=alt.Scale(domain=names, range=shapes), legend=legend),
    }


def _tradeoff(bench: SteeringBench) -> Any:
    import altair as alt

    ways, data = _drawn(bench), []
    for norm in bench.norms:
        for row in bench.comparisons("norm", norm):
            way = _Way(row.method, row.n_pairs)
            if way in ways and row.reached and row.kl >= LEAST_KL:
                data.append({"way": way.name, "kl": row.kl, "gain": row.effect, "low": row.low, "high": row.high,
                             "length": row.norm, "strength": row.strength})  # fmt: skip
    shown = [way for way in ways if any(point["way"] == way.name for point in data)]
    title = alt.Title(
        f"Gain of {_target(bench)} against what happens to neutral texts",
        anchor="start",
        subtitle=[
            "One line a way to steer, one mark a strength; up and to the left is better.",
            f"Marks of one rank along the lines add the same mean length. KL below {LEAST_KL:g} is not drawn.",
        ],
    )
    scales = _scales(_places(shown))
    base = alt.Chart(alt.Data(values=data)).encode(
        x=alt.X("kl:Q", scale=alt.Scale(type="log"), title="side effect: KL on neutral texts, nats per token"),
        y=alt.Y("gain:Q", title="effect: gain in log-odds of the next token, nats"),
    )
    line = base.mark_line().encode(color=scales["color"], order=alt.Order("length:Q"))
    tips = [alt.Tooltip(f"{name}:{'N' if name == 'way' else 'Q'}") for name in ("way", "gain", "kl", "length")]
    points = base.mark_point(filled=True, size=60).encode(**scales, tooltip=tips)
    return alt.layer(line, points, title=title, width=460, height=320)


def _pairs(bench: SteeringBench, matched: str, budget: float) -> Any:
    import altair as alt

    rows = [row for row in bench.comparisons(matched, budget) if row.reached]  # pyright: ignore[reportArgumentType]
    data = [{"way": NAMES.get(row.method, row.method), "pairs": row.n_pairs, "gain": row.effect, "low": row.low,
             "high": row.high} for row in rows]  # fmt: skip
    title = alt.Title(
        f"Gain of {_target(bench)} by the number of contrast pairs",
        anchor="start",
        subtitle=[
            _matched_at(matched, budget) + ".",
            "Marks with bars: vectors and their 95 % intervals. Level lines with bands: ways that need no pairs.",
        ],
    )
    scales = _scales(_places([_Way(method, 0) for method in dict.fromkeys(row.method for row in rows)]))
    gain = alt.Y("gain:Q", title="effect: gain in log-odds of the next token, nats")
    known = sorted({point["pairs"] for point in data if point["pairs"]})
    axis = alt.Axis(values=known, format="d")
    pairs = alt.X("pairs:Q", scale=alt.Scale(type="log", base=2), axis=axis, title="contrast pairs (doubling)")
    tips = [alt.Tooltip(f"{name}:{'N' if name == 'way' else 'Q'}") for name in ("way", "pairs", "gain", "low", "high")]
    vectors = alt.Chart(alt.Data(values=[point for point in data if point["pairs"]]))
    level = alt.Chart(alt.Data(values=[point for point in data if not point["pairs"]]))
    colour = scales["color"]
    layers = [
        level.mark_rect(opacity=0.1).encode(y=alt.Y("low:Q"), y2="high:Q", color=colour),
        level.mark_rule(strokeWidth=2, strokeDash=[6, 3]).encode(y=gain, color=colour, tooltip=tips),
        vectors.mark_rule().encode(x=pairs, y=alt.Y("low:Q"), y2="high:Q", color=colour),
        vectors.mark_line().encode(x=pairs, y=gain, color=colour),
        vectors.mark_point(filled=True, size=60).encode(x=pairs, y=gain, **scales, tooltip=tips),
    ]
    return alt.layer(*layers, title=title, width=460, height=320)
