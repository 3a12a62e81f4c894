"""What steering does, as HTML that survives sanitisers, and as text: texts, next token, side effect, vectors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from saewidgets.results import (
    Generation,
    NextToken,
    Reach,
    SideEffect,
    SteeringComparison,
    SteeringVector,
    Strength,
)
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, number, signed, table_html, table_of, visible
from saewidgets.views.remarks import OfTokens, Remark, token_remarks, token_remarks_html
from saewidgets.views.written import facts, no_marks, plain_text, text_html

ROWS = 20
TEXTS_SHOWN = 8
CONDITIONAL = "where f > 0"
LEGEND = "<mark>marked</mark>: a token whose activation an edit changed · <b>bold</b>: the texts differ"


def next_token_html(result: NextToken, k: int = 10) -> str:
    """The prompt with its steered tokens marked, the edits, and the likeliest next tokens as a table.

    Args:
        result: The distributions.
        k: How many tokens are listed.

    Example:
        >>> import saewidgets as sw
        >>> next_token_html(sw.demo().next_token("I walked to the"), k=5)  # doctest: +SKIP
    """
    head = f"<b>Next token</b> · model {escape(_name(result.model))} · {escape(_kl(result.kl))}"
    lines = _edit_lines(result.edits, (), result.reach, ())
    prompt = text_html(result.prompt_tokens, result.steered, None)
    return f"<p>{_lines(head, lines)}<br>{prompt}</p>{_bars(result, k)}"


def next_token_text(result: NextToken, k: int = 10) -> str:
    """The same as plain text."""
    lines = [f"Next token · model {_name(result.model)} · {_kl(result.kl)}"]
    lines += _edit_lines(result.edits, (), result.reach, ())
    lines.append(plain_text(result.prompt_tokens.text))
    return "\n".join(lines + _bar_lines(result, k))


def generation_html(result: Generation) -> str:
    """The prompt and what was written, steered tokens marked, and how much the edits changed.

    Args:
        result: The text.
    """
    n = len(result.prompt_tokens)
    head = f"<b>{'Steered' if result.edits else 'Written'} text</b> · model {escape(_name(result.model))}"
    lines = [*_edit_lines(result.edits, (), result.reach, ()), *facts(result)]
    prompt = text_html(result.prompt_tokens, result.steered[:n], None)
    new = text_html(result.new_tokens, result.steered[n:], None)
    return f"<p>{_lines(head, lines)}<br>{prompt}<i>{new}</i></p>"


def generation_text(result: Generation) -> str:
    """The same as plain text; a line each for the prompt and what was written."""
    lines = [f"{'Steered' if result.edits else 'Written'} text · model {_name(result.model)}"]
    lines += [*_edit_lines(result.edits, (), result.reach, ()), *facts(result)]
    lines += [f"prompt: {plain_text(result.prompt_tokens.text)}", f"new: {plain_text(result.text)}"]
    return "\n".join(lines)


def steering_comparison_html(
    result: SteeringComparison, k: int = 10, where: Sequence[str] = (), said: Sequence[Remark] = (),
    of_tokens: OfTokens = None,
) -> str:  # fmt: skip
    """The edits with their absolute strengths, both texts, the next token, the side effect and the sweep.

    Steered tokens are marked, tokens that differ are bold, with their log-probabilities as tooltip.

    Args:
        result: What the model says without and with the edits.
        k: How many next tokens are listed.
        where: For each edit where it acts; nothing is said of an empty text.
        said: For each edit what people say of its feature.
        of_tokens: What people say of the tokens of the prompt, by position; up to 50 are listed below.

    Example:
        >>> import saewidgets as sw
        >>> lab = sw.demo()  # doctest: +SKIP
        >>> steering_comparison_html(lab.compare_steering("I walked to the", sw.steering.set(7, 4)))  # doctest: +SKIP
    """
    after = result.next_token
    head = f"<b>Steering</b> · model {escape(_name(after.model))} · {escape(_kl(after.kl))}"
    lines = _edit_lines(result.edits, result.strengths, _reach(result), where, said)
    prompt = text_html(result.prompt_tokens, after.steered, None)
    parts = [f"<p>{_lines(head, lines)}<br>{prompt}<br>{LEGEND}</p>", _texts_html(result), _bars(after, k)]
    if result.side_effect is not None:
        parts.append(f"<p>{escape(_side(result.side_effect))}</p>")
    return "".join([*parts, table_html(*_sweep(result), ("text",)), token_remarks_html(result, of_tokens)])


def steering_comparison_text(
    result: SteeringComparison, k: int = 10, where: Sequence[str] = (), said: Sequence[Remark] = (),
    of_tokens: OfTokens = None,
) -> str:  # fmt: skip
    """The same as plain text; what differs stands between stars."""
    after = result.next_token
    lines = [f"Steering · model {_name(after.model)} · {_kl(after.kl)}"]
    lines += _edit_lines(result.edits, result.strengths, _reach(result), where, said)
    lines.append(f"prompt: {plain_text(result.prompt_tokens.text)}")
    for n, (base, steered) in enumerate(zip(result.base, result.steered, strict=False)):
        if n == TEXTS_SHOWN:
            lines.append(f"and {len(result.base) - n} more pairs")
            break
        one, other = result.differs(n)
        seed = f" (seed {base.seed})" if len(result.base) > 1 else ""
        lines.append(f"base{seed}: {plain_text(base.text)}")
        lines.append(f"steered{seed}: {plain_text(steered.new_tokens, other if one.any() or other.any() else None)}")
        lines.append(f"  {' · '.join([*facts(steered), *_former(result, steered)])}")
    lines += _bar_lines(after, k)
    if result.side_effect is not None:
        lines.append(_side(result.side_effect))
    head, rows = _sweep(result)
    lines += [", ".join(f"{h} {c}" for h, c in zip(head, row, strict=True)) for row in rows]
    return "\n".join([*lines, *token_remarks(result, of_tokens)])


def side_effect_html(result: SideEffect) -> str:
    """KL and cross-entropy on neutral texts, and a row for each text.

    Args:
        result: The side effect.
    """
    told = _lines(escape(f"{_side(result)} · model {_name(result.model)}"), _edit_lines(result.edits, (), (), ()))
    head = ("text", "tokens", "KL", "cross-entropy", "steered")
    rows = [
        (clipped(one_line(text), 80), str(n), number(max(kl, 0.0)), number(base), number(steered))
        for text, n, kl, base, steered in _side_rows(result)
    ]
    more = f"<p>and {len(result.texts) - ROWS} more texts</p>" if len(result.texts) > ROWS else ""
    return f"<p>{told}</p>{table_html(head, rows, ('text',))}{more}"


def side_effect_text(result: SideEffect) -> str:
    """The same as plain text, without the rows."""
    return "\n".join([f"{_side(result)} · model {_name(result.model)}", *_edit_lines(result.edits, (), (), ())])


def steering_vector_html(vector: SteeringVector) -> str:
    """How a vector was made, how long it is and how much its texts agree.

    Args:
        vector: The vector.
    """
    return f"<p><b>{escape(_name(vector.name))}</b></p>{table_html(('steering vector', ''), _vector(vector))}"


def steering_vector_text(vector: SteeringVector) -> str:
    """The same as plain text."""
    return "\n".join([f"steering vector {_name(vector.name)}", *(f"{name}: {what}" for name, what in _vector(vector))])


# ---- the parts ------------------------------------------------------------------------------------------------------


def _lines(head: str, lines: Sequence[str]) -> str:
    """A first line that is HTML already, and lines that are not."""
    return "<br>".join([head, *map(escape, lines)])


def _name(text: str) -> str:
    return clipped(one_line(text), 80)


def _kl(kl: float) -> str:
    return f"KL(base‖steered) of the next token {number(max(kl, 0.0))} nats"


def _edit_lines(
    edits: Sequence[str], strengths: Sequence[Strength], reach: Sequence[Reach], where: Sequence[str],
    said: Sequence[Remark] = (),
) -> list[str]:  # fmt: skip
    """Each edit: formula, label, where, absolute strength and where its unit comes from, how far it reached, note."""
    lines = []
    for n, edit in enumerate(edits):
        parts = [f"{n + 1}. {clipped(one_line(edit), 200)}"]
        parts += [said[n].name] if n < len(said) and said[n].name else []
        parts += [clipped(one_line(where[n]), 80)] if n < len(where) and where[n] else []
        parts += [one_line(str(strengths[n]))] if n < len(strengths) and str(strengths[n]) else []
        if n < len(reach):
            conditional = CONDITIONAL in edit or (n < len(where) and where[n].startswith("while "))
            parts.append(_reached(reach[n], conditional))
        lines.append(" · ".join(parts))
        lines += [f"note on {n + 1}: {' / '.join(said[n].lines)}"] if n < len(said) and said[n].note else []
    return lines or ["no edits: the model as it is"]


def _reached(reach: Reach, conditional: bool) -> str:
    if not conditional:
        return f"moved {reach.moved} of {reach.of} tokens"
    if not reach.moved:
        return f"fired on none of {reach.of} tokens: a no-op"
    return f"fired on {reach.moved} of {reach.of} tokens, no-op elsewhere"


def _reach(result: SteeringComparison) -> tuple[Reach, ...]:
    """Over the first steered text where it was written with these edits, else over the prompt."""
    written = result.steered[0] if result.steered else None
    return (
        written.reach
        if written is not None and len(written) and written.edits == result.edits
        else result.next_token.reach
    )


def _former(result: SteeringComparison, text: Generation) -> list[str]:
    """What to say of a text that was written before the edits changed."""
    if text.edits == result.edits:
        return []
    return [f"written with {one_line('; '.join(text.edits)) or 'no edits'}"]


def _texts_html(result: SteeringComparison) -> str:
    rows = []
    for n, (base, steered) in enumerate(zip(result.base, result.steered, strict=False)):
        if n == TEXTS_SHOWN:
            break
        one, other = result.differs(n)
        seed = f" (seed {base.seed})" if len(result.base) > 1 else ""
        notes = "<br>".join(escape(line) for line in [*facts(steered), *_former(result, steered)])
        left = text_html(base.new_tokens, no_marks(base), one)
        right = text_html(steered.new_tokens, steered.steered[len(steered.prompt_tokens) :], other, steered)
        rows += [(left, right), (escape(seed.strip()), notes)]
    left_out = max(0, min(len(result.base), len(result.steered)) - TEXTS_SHOWN)
    more = f"<p>and {left_out} more pairs</p>" if left_out else ""
    return table_of(("base", "steered"), rows, ("base", "steered")) + more


def _percent(p: float) -> str:
    return f"{number(100 * p)} %"


def _bars(result: NextToken, k: int) -> str:
    rows = [
        (clipped(visible(row.token)), _percent(row.base), _percent(row.edited), signed(100 * (row.edited - row.base)))
        for row in result.top(k)
    ]
    return table_html(("next token", "base", "steered", "change, points"), rows)


def _bar_lines(result: NextToken, k: int) -> list[str]:
    rows = result.top(k)
    return ["next token, base -> steered:"] * bool(rows) + [
        f"  {clipped(one_line(visible(row.token)))} {_percent(row.base)} -> {_percent(row.edited)}" for row in rows
    ]


def _side(side: SideEffect) -> str:
    return (
        f"side effect on neutral text: KL {number(max(side.kl, 0.0))} nats per token, cross-entropy "
        f"{number(side.base_ce)} -> {number(side.steered_ce)} ({side.n_tokens} tokens of {side.n_texts} texts)"
    )


def _side_rows(side: SideEffect) -> list[tuple[str, int, float, float, float]]:
    columns = (side.n_predicted, side.kls, side.base_ces, side.steered_ces)
    return list(zip(side.texts, *(column.tolist() for column in columns), strict=True))[:ROWS]


def _sweep(result: SteeringComparison) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    rows = []
    for value, text in zip(result.values, result.sweep, strict=True):
        kl = text.mean_kl
        mean = "—" if kl != kl else number(max(kl, 0.0))  # noqa: PLR0124 - NaN
        rows.append((f"{value:g}", clipped(plain_text(text.text), 200), mean, _percent(text.repetition)))
    return ("strength", "text", "mean KL, nats", "repetition"), rows


def _vector(vector: SteeringVector) -> list[tuple[str, str]]:
    rows = [
        ("hook point", _name(vector.hook)),
        ("made by", _name(vector.method.replace("_", " "))),
        ("length", f"{number(vector.norm)} in {len(vector)} dimensions"),
    ]
    if vector.n_positive or vector.n_negative:
        rows.append(("texts", f"{vector.n_positive} positive, {vector.n_negative} negative"))
    if vector.cosine_interval is not None:
        low, high = vector.cosine_interval
        rows.append(("cosine between resamples and this, 95 %", f"{low:.2f} to {high:.2f}"))
    if vector.expected_cosine is not None:
        rows.append(("expected cosine with that of very many texts", f"{vector.expected_cosine:.2f}"))
    return rows + ([("model", _name(vector.model))] if vector.model else [])
