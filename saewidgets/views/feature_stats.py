"""All that is known of one feature, as HTML that survives sanitisers, and as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import zip_longest

from saewidgets.results.feature_stats import Example, FeatureStats, Interval, TokenEffect
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, mark, number, signed, table_html, table_of, visible
from saewidgets.views.remarks import Pinned

STYLE = "background:rgba(253,141,60,.60);color:inherit"
TOP, AROUND_TOP, PER_INTERVAL, AROUND, OTHERS = 10, 16, 2, 5, 10
TEXT_TOP, TEXT_AROUND = 5, 8
HOW = "effects on the logits"
OfExamples = Mapping[Example, str]


def feature_stats_html(
    stats: FeatureStats, *, note: str = "", people: Sequence[str] = (), pins: Sequence[Pinned] = (),
    of_examples: OfExamples | None = None,
) -> str:  # fmt: skip
    """How often it fires, its strongest contexts, ten intervals with examples, effects on the logits, its relations.

    The token on which it fires is marked, its activation the tooltip.

    Args:
        stats: The feature.
        note: What people say of it.
        people: More that they say: tags, stars and ratings, a line each.
        pins: Examples that they pinned to it.
        of_examples: What they say of its examples.

    Example:
        >>> feature_stats_html(lab.feature("sae/123"))  # doctest: +SKIP
    """
    label = f" <i>{escape(_words(stats.label))}</i>" if stats.label else ""
    lines = [f"Feature <b>{escape(_words(str(stats.feature)))}</b>{label}", *map(escape, _facts(stats))]
    if note:
        lines.append(f"Note: {escape(_note(note))}")
    lines += map(escape, people)
    lines += [f"Pinned: {_seen(before)}{_marked(_seen(token))}{_seen(after)}" for before, token, after in pins]
    parts = [f"<p>{'<br>'.join(lines)}</p>"]
    said = of_examples or {}
    rows = [[escape(number(each.activation)), _told(each, AROUND_TOP, said)] for each in stats.top[:TOP]]
    parts.append(table_of(("activation", "strongest contexts"), rows, ("strongest contexts",)))
    if stats.count:
        head = ("interval", "firings", "of firings", "of mass", "examples drawn at random")
        parts.append(table_of(head, [_interval(each, said) for each in reversed(stats.intervals)], head[-1:]))
    return "".join(parts) + _weights_html(stats) + _relations_html(stats)


def feature_stats_text(
    stats: FeatureStats, *, note: str = "", people: Sequence[str] = (), pins: Sequence[Pinned] = (),
    of_examples: OfExamples | None = None,
) -> str:  # fmt: skip
    """The same in plain text; the token on which it fires stands between stars."""
    label = f" ({_words(stats.label)})" if stats.label else ""
    lines = [f"{_words(str(stats.feature))}{label}", *_facts(stats)]
    if note:
        lines.append(f"note: {one_line(note)}")
    lines += people
    pinned = [(one_line(before), token and f"*{one_line(token)}*", one_line(after)) for before, token, after in pins]
    lines += [f"Pinned: {''.join(parts)}" for parts in pinned]
    said = of_examples or {}
    for each in stats.top[:TEXT_TOP]:
        lines.append(f"  {number(each.activation)}  {_plain(each, TEXT_AROUND)}")
        lines += [f"    {said[each]}"] if each in said else []
    for each in stats.intervals if stats.count else ():
        shares = f"{each.share:.1%} of firings, {each.mass_share:.1%} of mass"
        lines.append(f"{number(each.low)} to {number(each.high)}: {_count(each)} firings, {shares}")
    if stats.logits is not None:
        lines += [
            f"{name}: {', '.join(f'{_quoted(one.token)} {signed(one.effect)}' for one in side)}"
            for name, side in (("raises", stats.logits.top), ("lowers", stats.logits.bottom))
        ]
    lines += [f"{name}: {', '.join(found)}" for name, found in _relations(stats) if found]
    return "\n".join(lines)


def _facts(stats: FeatureStats) -> list[str]:
    """How often and how strongly, and on which sample."""
    where = [f"model {_words(stats.model)}", _words(stats.hook), _words(stats.sample)]
    sample = " · ".join(part for part in where if part and part != "model ")
    tokens = f"{stats.n_tokens:,} tokens"
    if stats.dead:
        return [f"dead: it fires on none of {tokens}", sample]
    often = f"fires on {stats.count:,} of {tokens} ({100 * stats.density:.3g} %)"
    strength = f"max {number(stats.max)}, mean {number(stats.mean)}, standard deviation {number(stats.std)}"
    facts = [f"{'dense: it ' if stats.dense else ''}{often} · {strength} where it fires"]
    if stats.quantiles:
        facts.append("quantiles " + ", ".join(f"{each.level:g}: {number(each.value)}" for each in stats.quantiles))
    return [*facts, sample]


def _interval(interval: Interval, said: OfExamples) -> list[str]:
    edges = f"{number(interval.low)} to {number(interval.high)}"
    shares = (f"{interval.share:.1%}", f"{interval.mass_share:.1%}")
    strips = "<br>".join(_told(each, AROUND, said) for each in interval.examples[:PER_INTERVAL])
    return [*map(escape, (edges, _count(interval), *shares)), strips]


def _count(interval: Interval) -> str:
    return f"{interval.count:,.0f}" if interval.exact else f"about {interval.count:,.0f}"


# ---- tokens ----------------------------------------------------------------------------------------------------------


def _cells(example: Example, around: int) -> tuple[list[tuple[str, bool, bool]], bool, bool]:
    """Whole characters near the token: text, whether special, whether it is the token; whether each end is cut."""
    start, stop = example.around(around, around)
    tokens = example.tokens
    groups = [group for group in tokens.groups if group[1] > start and group[0] < stop]
    cells = [(text, bool(tokens.special[a]), a <= example.position < b) for a, b, text in groups]
    return cells, start > 0, stop < len(example)


def _told(example: Example, around: int, said: OfExamples) -> str:
    """The tokens near, and below them what people say of the example."""
    remark = f"<br><i>{escape(said[example])}</i>" if example in said else ""
    return _strip(example, around) + remark


def _strip(example: Example, around: int) -> str:
    cells, left, right = _cells(example, around)
    title = f' title="{escape(number(example.activation))}"'
    parts = ["… "] if left else []
    for text, special, peak in cells:
        shown = _seen(clipped(text, 64))
        body = f"<code>{shown}</code>" if special else shown
        parts.append(_marked(body, title) if peak else body)
    return "".join(parts) + (" …" if right else "")


def _seen(text: str) -> str:
    """Words as HTML, with what cannot be seen to be seen; spaces stay."""
    return escape("".join(c if c == " " else one_line(mark(c)) for c in text))


def _marked(body: str, title: str = "") -> str:
    return f'<mark{title} style="{STYLE}"><b>{body}</b></mark>' if body else ""


def _plain(example: Example, around: int) -> str:
    cells, left, right = _cells(example, around)
    parts = [f"*{one_line(text)}*" if peak else one_line(clipped(text, 64)) for text, _, peak in cells]
    return f"{'... ' if left else ''}{''.join(parts)}{' ...' if right else ''}"


def _quoted(token: str) -> str:
    return f"'{one_line(clipped(token))}'"


def _words(text: str) -> str:
    return one_line(clipped(text, 200))


def _note(text: str) -> str:
    return " ".join(one_line(line) for line in text.splitlines())


# ---- what its weights say, and what it goes together with ------------------------------------------------------------


def _weights_html(stats: FeatureStats) -> str:
    if stats.logits is None:
        return ""
    raised, lowered = (_effects(side) for side in (stats.logits.top, stats.logits.bottom))
    rows = [[*one, *other] for one, other in zip_longest(raised, lowered, fillvalue=("", ""))]
    how = escape(one_line(clipped(stats.logits.how, 400)))
    return f"<p>{HOW}: {how}</p>" + table_html(("raises", "by", "lowers", "by"), rows)


def _effects(side: Iterable[TokenEffect]) -> list[tuple[str, str]]:
    return [(one_line(visible(clipped(one.token))), signed(one.effect)) for one in side]


def _relations_html(stats: FeatureStats) -> str:
    rows = [(name, ", ".join(found)) for name, found in _relations(stats) if found]
    return table_html(("related", ""), rows, ("related", ""))


def _relations(stats: FeatureStats) -> Sequence[tuple[str, list[str]]]:
    """What it goes together with, each kind as words."""
    neighbours = [(each.feature, each.cosine) for each in stats.neighbours[:OTHERS]]
    cofiring = [(each.feature, each.jaccard) for each in stats.cofiring[:OTHERS]]
    near, together = ([f"{_words(str(f))} {value:.2f}" for f, value in each] for each in (neighbours, cofiring))
    told = [f"{_words(c.words)} {c.precision:.2f}, {c.recall:.2f}, {c.f1:.2f}" for c in stats.concepts]
    return (
        ("decoder neighbours (cosine)", near),
        ("fires together with (Jaccard)", together),
        ("encoder and decoder (cosine)", [] if stats.encoder_cosine is None else [number(stats.encoder_cosine)]),
        ("neurons (weight)", [f"{n.neuron} {signed(n.value)}" for n in stats.neurons]),
        ("concepts (precision, recall, F1)", told),
    )
