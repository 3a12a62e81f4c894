"""Attention patterns as HTML that survives sanitisers, and as text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from saewidgets.results import Attention, HeadSummary
from saewidgets.results.text import one_line
from saewidgets.views.cells import LEFT, clipped, mark, number, table_of, visible
from saewidgets.views.drawing import columns
from saewidgets.views.remarks import OfTokens, token_remarks, token_remarks_html

SHADES = ((0.75, "█"), (0.5, "▓"), (0.25, "▒"), (0.0625, "░"))
SHADES_TOLD = "█ over ¾ of the weight, ▓ over ½, ▒ over ¼, ░ over 1/16, · less"
MEANS = (
    "means over the tokens that are not special; entropy in nats; BOS: weight on special tokens; previous, own: on the "
    "token before and itself; duplicate: on earlier copies of the token; induction: on what followed those"
)
DRAWN_TOKENS = 48
DRAWN_HEADS = 32
A_ROW = 4
LABEL = 12
HUE = "253,141,60"
MARKED_TOKENS = 200


def attention_html(
    result: Attention, *, head: int | None = None, token: int | None = None, of_tokens: OfTokens = None
) -> str:
    """A caption, the tokens with those marked that one token looks at, a table of the heads, and their patterns.

    ``<mark>`` above a quarter of the weight, ``<b>`` above 0.6, the weight as tooltip. Patterns are drawn with shades
    of blocks for prompts of at most 48 tokens: all heads side by side, or the one in focus with its tokens.

    Args:
        result: The patterns.
        head: The head in focus; None: the largest weight over the heads.
        token: Position of the token that looks; by default the last.
        of_tokens: What people say of the tokens, by position; up to 50 are listed below.

    Example:
        >>> import numpy as np
        >>> from saewidgets.results import Tokens
        >>> tokens = Tokens(np.array([3]), (b"<Hi>",), np.array([False]))
        >>> one = Attention(tokens, np.ones((1, 1, 1), np.float32), 0, 4, "toy", "blocks.0.attn.hook_pattern")
        >>> "&lt;Hi&gt;" in attention_html(one)
        True
    """
    query = len(result) - 1 if token is None else token
    caption = " · ".join(escape(part) for part in _caption(result, head))
    asked = f"marked: what token {query} <b>{escape(clipped(visible(result.tokens[query])))}</b> (▸) looks at"
    heads = range(min(result.n_heads, DRAWN_HEADS))
    rows = [_head_row(result, summary, query, bold=summary.head == head) for summary in result.heads()[: len(heads)]]
    named = ("head", "entropy", "BOS", "previous", "own", "duplicate", "induction", f"token {query} looks at")
    more = _more(result.n_heads)
    return (
        f"<p><b>Attention of layer {result.layer}</b> · {caption}<br>{asked}<br>{_strip(result, head, query)}</p>"
        f"{table_of(named, rows, named[-1:])}<p><i>{escape(MEANS)}{more}</i></p>{_patterns(result, head, heads)}"
        f"{token_remarks_html(result, of_tokens)}"
    )


def attention_text(
    result: Attention, *, head: int | None = None, token: int | None = None, of_tokens: OfTokens = None
) -> str:
    """The same in plain text, without patterns: the caption, the text, and a line for each head.

    Args:
        result: The patterns.
        head: The head in focus; None: all.
        token: Position of the token that looks; by default the last.
        of_tokens: What people say of the tokens, by position.
    """
    query = len(result) - 1 if token is None else token
    lines = [f"Attention of layer {result.layer} · {', '.join(map(one_line, _caption(result, head)))}"]
    lines.append(repr(result.prompt_tokens.text)[1:-1])
    lines.append(f"token {query} {result.tokens[query]!r} looks at {_looked_at(result, head, query)}")
    shown = [summary for summary in result.heads()[:DRAWN_HEADS] if head is None or summary.head == head]
    for one in shown:
        told = f"entropy {_value(one.entropy)} nats, {_share(one.bos)} on special tokens, {_share(one.previous)}"
        lines.append(f"head {one.head}: {told} on the token before; looks at {_looked_at(result, one.head, query)}")
    lines[-1] += _more(result.n_heads) if head is None else ""
    return "\n".join([*lines, *token_remarks(result, of_tokens)])


def _caption(result: Attention, head: int | None) -> list[str]:
    """What a reader must know about this picture."""
    tokens, special = result.prompt_tokens, int(result.special_mask.sum())
    whole = len(tokens) + tokens.n_dropped
    return [
        f"model {result.model}",
        f"{result.n_heads} heads",
        f"showing {len(tokens)} of {whole} tokens" if tokens.n_dropped else f"{len(tokens)} tokens",
        *([f"{special} special"] if special else []),
        "all heads, the largest weight of each pair" if head is None else f"head {head}",
    ]


def _strip(result: Attention, head: int | None, query: int) -> str:
    """The tokens, with those marked that the query looks at."""
    weights = result.of(head)[query]
    marked = np.zeros(len(weights), bool)
    marked[np.argsort(-weights, kind="stable")[:MARKED_TOKENS]] = True
    parts = []
    for start, stop, text in result.prompt_tokens.groups:
        weight = float((weights * marked)[start:stop].max())
        body = _cell(text, weight, bool(result.special_mask[start]))
        parts.append(("<b>▸</b>" if start <= query < stop else "") + body)
    return "".join(parts)


def _cell(text: str, weight: float, special: bool) -> str:
    """One whole-character run of tokens."""
    shown = "".join("↵\n" if c == "\n" else c if c == " " else mark(c) for c in text)
    body = f"<code>{escape(shown)}</code>" if special else escape(shown).replace("\n", "<br>")
    if weight < 0.01:
        return body
    tint = f"{0.08 + 0.52 * weight:.2f}"[1:]
    style = f'title="{number(weight)}" style="background:rgba({HUE},{tint});color:inherit"'
    if weight > 0.6:
        return f"<mark {style}><b>{body}</b></mark>"
    return f"<mark {style}>{body}</mark>" if weight > 0.25 else f"<span {style}>{body}</span>"


def _head_row(result: Attention, one: HeadSummary, query: int, *, bold: bool) -> list[str]:
    """Cells of a head, as HTML."""
    shares = [_share(value) for value in one[2:]]
    cells = [str(one.head), _value(one.entropy), *shares, _looked_at(result, one.head, query)]
    return [f"<b>{escape(cell)}</b>" if bold else escape(cell) for cell in cells]


def _looked_at(result: Attention, head: int | None, query: int, k: int = 3) -> str:
    """The tokens that a query looks at most."""
    found = result.by_token(query, head, k)
    return ", ".join(f"{clipped(visible(result.tokens[one.position]), 20)} {number(one.weight)}" for one in found)


def _patterns(result: Attention, head: int | None, heads: Sequence[int]) -> str:
    """The patterns in shades: small ones of all heads, or the one in focus with its tokens."""
    if len(result) > DRAWN_TOKENS:
        return f"<p>Patterns are drawn for prompts of at most {DRAWN_TOKENS} tokens.</p>"
    told = f"<p>A row for each token that looks, a column for each that is looked at: {SHADES_TOLD}.</p>"
    if head is not None:
        return f"{told}<pre>{escape(_labelled(result, head))}</pre>"
    cells = [f"<td{LEFT}><b>head {one}</b><pre>{_shaded(result.of(one))}</pre></td>" for one in heads]
    rows = ["".join(cells[start : start + A_ROW]) for start in range(0, len(cells), A_ROW)]
    return f"{told}<table><tbody>{''.join(f'<tr>{row}</tr>' for row in rows)}</tbody></table>"


def _shaded(pattern: np.ndarray) -> str:
    """A pattern as lines of blocks; two a weight where there is room."""
    wide = 2 if len(pattern) <= DRAWN_TOKENS // 2 else 1
    return "\n".join("".join(_shade(w) * wide for w in row[: q + 1]) for q, row in enumerate(pattern.tolist()))


def _shade(weight: float) -> str:
    return next((block for least, block in SHADES if weight > least), "·")


def _labelled(result: Attention, head: int) -> str:
    """The pattern of a head with its tokens in front of the lines."""
    names = [clipped(visible(token), LABEL) for token in result.tokens]
    width = max(columns(name) for name in names)
    lines = _shaded(result.of(head)).split("\n")
    pairs = zip(names, lines, strict=True)
    return "\n".join(f"{' ' * (width - columns(name))}{one_line(name)} {line}" for name, line in pairs)


def _value(value: float) -> str:
    return "—" if value != value else number(value)  # noqa: PLR0124 - NaN


def _share(value: float) -> str:
    return "—" if value != value else f"{100 * value:.0f}%"  # noqa: PLR0124 - NaN


def _more(n_heads: int) -> str:
    return f"; the first {DRAWN_HEADS} of {n_heads} heads" if n_heads > DRAWN_HEADS else ""
