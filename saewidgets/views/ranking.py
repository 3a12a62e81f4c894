"""Three rankings of the same features side by side, as HTML that survives sanitisers, and as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from saewidgets.results import Estimate, Node, Order, RankedFeature, Ranking, RankingBatch, RankKey
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, number, signed, table_html, table_of, visible
from saewidgets.views.remarks import NOTHING, OfTokens, Remark, token_remarks, token_remarks_html

COLUMNS: tuple[RankKey, ...] = ("activation", "attribution", "ablation")
ORDERS = {"absolute": "ranked by magnitude", "signed": "ranked from largest to smallest"}
NODES_SHOWN = 12
PROMPTS_SHOWN = 10
Remarks = Mapping[str, Remark] | None


def ranking_html(
    ranking: Ranking, k: int = 10, order: Order = "absolute", said: Remarks = None, remark: Remark = NOTHING,
    of_tokens: OfTokens = None,
) -> str:  # fmt: skip
    """The prompt, what was measured, the overlaps, the three columns as one table, and the nodes that are no features.

    A feature that is among the first k by ablation is bold in the other columns.

    Args:
        ranking: The three rankings.
        k: How many rows each column has.
        order: "absolute" or "signed".
        said: What people say of the features, by their name, such as "mid/7"; by default the labels of the ranking.
        remark: What people say of the ranking.
        of_tokens: What people say of the tokens, by position; up to 50 are listed below.

    Raises:
        TargetError: k is not a whole number from 1.

    Example:
        >>> import saewidgets as sw
        >>> ranking_html(sw.demo().rank("The capital of France is", " Paris"), k=5)  # doctest: +SKIP
    """
    caption = " · ".join(map(escape, _notes(ranking, order)))
    prompt = escape(_prompt(ranking))
    lines = [prompt, f"<b>{escape(_metric(ranking))}</b> · {caption}", *map(escape, _findings(ranking, k, order))]
    lines += [remark.html] * any(remark)
    tops = [ranking.top(k, by, order) for by in COLUMNS]
    columns = [[_cells(ranking, row, by) for row in top] for top, by in zip(tops, COLUMNS, strict=True)]
    said = _known(ranking, said)
    labels = [[escape(_remark(said, row).name) for row in top] for top in tops]
    matters = {_key(row) for row in ranking.top(k, "ablation", order)}
    if matters:
        lines.append(f"<b>bold</b>: also among the first {len(matters)} by ablation")
    bold = [[_key(row) in matters for row in top] for top in tops[:2]]
    rows = []
    for i in range(min(k, len(ranking))):
        cells = [str(i + 1)]
        for c, column in enumerate(columns):
            name, value = map(escape, column[i] if i < len(column) else ("", ""))
            label = f"<br><i>{labels[c][i]}</i>" if i < len(column) and labels[c][i] else ""
            cells += [(f"<b>{name}</b>" if c < 2 and bold[c][i] else name) + label, value]
        rows.append(cells)
    head = ["rank", *(name for by in COLUMNS for name in (f"by {by}", by))]
    notes = [[escape(name), escape(remark.name), remark.note_html] for name, remark in _noted(tops, said)]
    named = ("feature", "label", "note")
    noted = table_of(named, notes, named)
    below = f"{noted}{_nodes_html(ranking)}{token_remarks_html(ranking, of_tokens)}"
    return f"<p>{'<br>'.join(lines)}</p>{table_of(head, rows, head[1::2])}{below}"


def ranking_text(
    ranking: Ranking, k: int = 10, order: Order = "absolute", said: Remarks = None, remark: Remark = NOTHING,
    of_tokens: OfTokens = None,
) -> str:  # fmt: skip
    """The same in plain text; a star marks what is also among the first k by ablation."""
    lines = [
        _prompt(ranking),
        f"{_metric(ranking)} · {' · '.join(_notes(ranking, order))}",
        *_findings(ranking, k, order),
        *([remark.text] * any(remark)),
    ]
    matters = {_key(row) for row in ranking.top(k, "ablation", order)}
    if matters:
        lines.append(f"*: also among the first {len(matters)} by ablation")
    tops, said = [ranking.top(k, by, order) for by in COLUMNS], _known(ranking, said)
    for by, rows in zip(COLUMNS, tops, strict=True):
        lines += [f"by {by}:"] if rows else []
        for i, row in enumerate(rows):
            name, value = _cells(ranking, row, by)
            star = "*" if by != "ablation" and _key(row) in matters else ""
            label = _remark(said, row).name
            lines.append(f"  {i + 1}. {name}{star}{f' ({label})' if label else ''} {value}")
    lines += [f"note on {name}: {' / '.join(remark.lines)}" for name, remark in _noted(tops, said)]
    lines += [f"{', '.join(filter(None, cells[:3]))}: {cells[3]}, ablation {cells[4]}" for cells in _nodes(ranking)]
    return "\n".join([*lines, *token_remarks(ranking, of_tokens)])


def _known(ranking: Ranking, said: Remarks) -> Mapping[str, Remark]:
    """What people say of the features: what is given, else the labels of the ranking."""
    return {name: Remark(label) for name, label in ranking.labels.items()} if said is None else said


def _remark(said: Mapping[str, Remark], row: RankedFeature) -> Remark:
    """What people say of the feature of a row."""
    return said.get(f"{row.sae}/{row.feature}", NOTHING)


def _noted(tops: Sequence[Sequence[RankedFeature]], said: Mapping[str, Remark]) -> list[tuple[str, Remark]]:
    """The features on the screen that have a note, in their order, with their name on one line."""
    rows = {f"{row.sae}/{row.feature}": row for top in tops for row in top}
    found = [(clipped(one_line(name), 80), _remark(said, row)) for name, row in rows.items()]
    return [(name, remark) for name, remark in found if remark.note]


def _prompt(ranking: Ranking) -> str:
    return clipped(one_line(ranking.prompt_tokens.text), 1000)


def ranking_batch_html(batch: RankingBatch, k: int = 10, order: Order = "absolute") -> str:
    """Mean overlap and correlations with 95 % intervals, and the first ten prompts.

    Args:
        batch: The rankings of several prompts.
        k: How many rows of each column are compared.
        order: "absolute" or "signed".

    Raises:
        TargetError: k is not a whole number from 1.
    """
    comparisons = batch.comparisons(k, order)
    caption = f"<b>{len(batch)} prompts</b> · {ORDERS[order]} · mean [95 % bootstrap interval over prompts]"
    used = comparisons[0].activation.n
    if used < len(batch):
        those = f"those of which every feature is ablated, {k} or more with an effect"
        caption += f"<br>overlap@{k} is over {used} of {len(batch)} prompts: {those}"
    head = ("measure", "activation vs ablation", "attribution vs ablation", "difference", "prompts")
    rows = []
    for name, *estimates in comparisons:
        counts = [str(one.n) for one in estimates]
        rows.append((name, *map(_interval, estimates), counts[0] if len(set(counts)) == 1 else " / ".join(counts)))
    more = f"<p>and {len(batch) - PROMPTS_SHOWN} more prompts</p>" if len(batch) > PROMPTS_SHOWN else ""
    return f"<p>{caption}</p>{table_html(head, rows)}{_prompts_html(batch[:PROMPTS_SHOWN], k, order)}{more}"


def _prompts_html(batch: RankingBatch, k: int, order: Order) -> str:
    head = ("prompt", "metric", "value", "activation", "attribution", "r activation", "r attribution", "ablated")
    rows = []
    for one in batch:
        found, r = one.overlap(k, order), one.correlation()
        texts = (clipped(one_line(one.prompt_tokens.text), 120), clipped(one_line(one.metric), 80))
        overlaps = (f"{found.activation}/{found.k}", f"{found.attribution}/{found.k}")
        coefficients = (_coefficient(r.activation.pearson), _coefficient(r.attribution.pearson))
        ablated = f"{one.n_ablated} of {len(one)}"
        rows.append((*texts, signed(one.metric_value), *overlaps, *coefficients, ablated))
    return table_html(head, rows, ("prompt", "metric"))


def _metric(ranking: Ranking) -> str:
    return f"{clipped(one_line(ranking.metric), 200)} = {signed(ranking.metric_value)}"


def _notes(ranking: Ranking, order: Order) -> list[str]:
    """What a reader must know about these numbers, without the metric."""
    names = ", ".join(clipped(one_line(name)) for name in ranking.saes)
    method = {"attribution": "attribution", "integrated_gradients": "attribution by integrated gradients"}
    notes = [
        f"model {clipped(one_line(ranking.model))}",
        f"{'SAE' if len(ranking.saes) == 1 else 'SAEs'} {names}",
        method[ranking.method],
        _where(ranking),
        ORDERS[order],
        "+ raises the metric, - lowers it",
        f"{int(ranking.masked.sum())} of {len(ranking.masked)} positions masked",
        f"{ranking.n_ablated} of {len(ranking)} ablated{', stopped' if ranking.stopped else ''}",
    ]
    if ranking.completeness_error is not None:
        notes.append(f"completeness error {number(100 * ranking.completeness_error)} %")
    if not ranking.blocks_above_only:
        notes.append("ablated by full forward passes")
    return notes


def _where(ranking: Ranking) -> str:
    at = "" if ranking.position is None else f"at position {ranking.position} {_token(ranking, ranking.position)}"
    if ranking.scope == "position":
        return at or "each feature at its own position"
    return f"features that fire {at}, at all positions at once" if at else "at all positions at once"


def _findings(ranking: Ranking, k: int, order: Order) -> list[str]:
    """The overlaps and the correlations, in words."""
    found, r = ranking.overlap(k, order), ranking.correlation()
    if not len(ranking):
        return ["every position is masked" if ranking.masked.all() else "no feature fires here"]
    if not ranking.n_ablated:
        return ["no feature is ablated yet"]
    if not found.k:
        return ["no feature matters here: every effect of ablation is 0"]
    matter = "matter most when ablated" if order == "absolute" else "raise the metric most, by ablation"
    overlap = (
        f"{found.activation}/{found.k} of the most active and {found.attribution}/{found.k} of the most attributed "
        f"features are among the {found.k} that {matter}"
    )
    if ranking.n_ablated < len(ranking):
        overlap += f" (so far: {ranking.n_ablated} of {len(ranking)} were ablated, the most attributed first)"
    pairs = (("activation", r.activation), ("attribution", r.attribution))
    return [
        overlap,
        "correlation with ablation: "
        + "; ".join(f"{by} r = {_coefficient(c.pearson)}, rank r = {_coefficient(c.spearman)}" for by, c in pairs),
    ]


def _key(row: RankedFeature) -> tuple[str, int, int]:
    return row.sae, row.position, row.feature


def _cells(ranking: Ranking, row: RankedFeature, by: RankKey) -> tuple[str, str]:
    """Name and value of one row in one column."""
    name = str(row.feature) if len(ranking.saes) == 1 else f"{clipped(one_line(row.sae))}/{row.feature}"
    if row.position >= 0 and ranking.position is None:
        name += f" at {row.position} {_token(ranking, row.position)}"
    value: float = getattr(row, by)
    return name, number(value) if by == "activation" else signed(value)


def _token(ranking: Ranking, position: int) -> str:
    return clipped(one_line(visible(ranking.tokens[position])))


def _nodes_html(ranking: Ranking) -> str:
    head = ("not a feature", "SAE", "position", "attribution", "ablation")
    more = len(ranking.nodes) - NODES_SHOWN
    return table_html(head, _nodes(ranking)) + (f"<p>and {more} more nodes</p>" if more > 0 else "")


def _nodes(ranking: Ranking) -> list[tuple[str, ...]]:
    """The nodes with the largest attribution in their order, and the sum of all that carries the metric."""
    words = {"error": "error of the reconstruction", "bias": "bias of the SAE", "masked": "masked positions"}
    largest = sorted(ranking.nodes, key=lambda node: -abs(node.attribution))[:NODES_SHOWN]
    shown: Sequence[Node] = ranking.nodes if len(ranking.nodes) <= NODES_SHOWN else largest
    rows = []
    for node in shown:
        where = "all" if node.position < 0 else f"{node.position} {_token(ranking, node.position)}"
        texts = (clipped(words.get(node.name, one_line(node.name))), clipped(one_line(node.sae)))
        rows.append((*texts, where, signed(node.attribution), signed(node.ablation)))
    one_sum = len(ranking.saes) == 1 and (ranking.position is None or ranking.scope == "position")
    if rows and one_sum:
        rows.append(("all features and nodes together", "", "", signed(ranking.total_attribution), "—"))
    return rows


def _interval(estimate: Estimate) -> str:
    mean, low, high, n = estimate
    return f"{mean:.2f} [{low:.2f}, {high:.2f}]" if n else "—"


def _coefficient(value: float) -> str:
    return signed(value) if value != value else f"{value:.2f}"  # noqa: PLR0124 - NaN
