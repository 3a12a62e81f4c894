"""Which features fire on which tokens, as HTML that survives sanitisers, and as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from saewidgets.results import Activations, FeatureId
from saewidgets.views.cells import mark, number, table_of, visible
from saewidgets.views.remarks import NOTHING, OfTokens, Remark, token_remarks, token_remarks_html

MARKED_TOKENS = 200
HUE = "253,141,60"
Remarks = Mapping[int, Remark] | None


def token_strip_html(
    result: Activations, feature: int | None = None, *, top: int = 10, label: str = "", said: Remarks = None,
    of_tokens: OfTokens = None,
) -> str:  # fmt: skip
    """A caption, the tokens with one feature marked, and a table of the strongest features.

    ``<mark>`` above 25 % of the largest activation, ``<b>`` above 60 %, the value as tooltip. At most 200 tokens are
    marked, the strongest; the caption says so.

    Args:
        result: What fires where.
        feature: The feature to mark; none by default.
        top: How many rows the table has.
        label: Name of the feature for people.
        said: What people say of the features, by index; by default the labels of the result.
        of_tokens: What people say of the tokens, by position; as tooltips and, up to 50, as a list below.

    Example:
        >>> import numpy as np
        >>> from saewidgets.results import Tokens
        >>> no = np.array([False])
        >>> tokens = Tokens(np.array([3]), (b"<Hi>",), no)
        >>> one = Activations(tokens, np.array([0, 1]), np.array([7]), np.array([2.0]), no, 8, "s", "m", "h")
        >>> token_strip_html(one, 7).split("<br>")[1][:75]
        '<mark title=2 style=background:rgba(253,141,60,.60)><b>&lt;Hi&gt;</b></mark'
    """
    values = np.zeros(len(result), np.float32) if feature is None else result.feature(feature)
    strongest = np.argsort(-values, kind="stable")[:MARKED_TOKENS]
    marked = np.zeros(len(result), bool)
    marked[strongest[values[strongest] > 0]] = True
    largest = float(values.max(initial=0.0))
    said = _known(result, said)
    remark = said.get(-1 if feature is None else feature, NOTHING)
    caption = [_what(result, feature, largest, remark.name or label), *_notes(result)]
    fires = int((values > 0).sum())
    if fires > MARKED_TOKENS:
        caption.append(f"the {MARKED_TOKENS} strongest of {fires} marked")
    cells = "".join(
        _cell(
            text, float(values[start:stop].max()), largest, bool(marked[start:stop].any()), special,
            _told(of_tokens, start, stop),
        )
        for start, stop, text, special in _groups(result)
    )  # fmt: skip
    head = "<br>".join(filter(None, (" · ".join(caption), remark.note_html)))
    listed = token_remarks_html(result, of_tokens)
    return f"<p>{head}<br>{cells}</p>{top_features_html(result, top, said)}{listed}"


def token_strip_text(
    result: Activations, feature: int | None = None, *, top: int = 5, label: str = "", said: Remarks = None,
    of_tokens: OfTokens = None,
) -> str:  # fmt: skip
    """The same in plain text: the caption, the text, and a line for each of the strongest features.

    Args:
        result: What fires where.
        feature: The feature to name first, with the tokens on which it fires.
        top: How many features are listed.
        label: Name of the feature for people.
        said: What people say of the features, by index; by default the labels of the result.
        of_tokens: What people say of the tokens, by position.
    """
    told = _known(result, said)
    remark = told.get(-1 if feature is None else feature, NOTHING)
    label = remark.name or label
    name = f"{result.sae}/{feature}" if feature is not None else result.sae
    lines = [f"{name}{f' ({label})' if label else ''} · model {result.model} · {', '.join(_plain_notes(result))}"]
    lines += [f"note: {' / '.join(remark.lines)}"] * bool(remark.note)
    lines.append(repr(result.prompt_tokens.text)[1:-1])
    if feature is not None:
        values = result.feature(feature).tolist()
        order = sorted(range(len(result)), key=lambda p: -values[p])[:8]
        fires = [f"{result.tokens[p]!r} {number(values[p])}" for p in order if values[p] > 0]
        lines.append(f"fires on {', '.join(fires)}" if fires else "does not fire here")
    for row in result.top(top):
        where = f"largest at {row.position} {result.tokens[row.position]!r}"
        own = told.get(row.feature, NOTHING)
        named = f" ({own.name})" if own.name else ""
        lines.append(f"{result.sae}/{row.feature}{named}: max {number(row.max)} on {row.count} tokens, {where}")
        lines += [f"  note: {' / '.join(own.lines)}"] * bool(own.note and row.feature != feature)
    return "\n".join([*lines, *token_remarks(result, of_tokens)])


def top_features_html(result: Activations, top: int = 10, said: Remarks = None) -> str:
    """The strongest features of a prompt as a plain table, with what people say of them."""
    found, told = result.top(top), _known(result, said)
    some = any(row.feature in told for row in found)
    rows = []
    for row in found:
        numbers = (number(row.max), number(row.mean), str(row.count), visible(result.tokens[row.position]))
        remark = [told.get(row.feature, NOTHING).html] * some
        rows.append([str(row.feature), *remark, *map(escape, numbers)])
    return table_of(("feature", *(["label"] * some), "max", "mean", "tokens", "largest at"), rows, ("label",))


def _known(result: Activations, said: Remarks) -> Mapping[int, Remark]:
    """What people say of the features: what is given, else the labels of the result."""
    return {feature: Remark(label) for feature, label in result.labels.items()} if said is None else said


def _told(of_tokens: OfTokens, start: int, stop: int) -> str:
    """What people say of the tokens of one cell, on one line."""
    if not of_tokens:
        return ""
    return "; ".join(of_tokens[p].text for p in range(start, stop) if p in of_tokens)


def _groups(result: Activations) -> list[tuple[int, int, str, bool]]:
    special = result.special_mask
    return [(start, stop, text, bool(special[start])) for start, stop, text in result.prompt_tokens.groups]


def _cell(text: str, value: float, largest: float, marked: bool, special: bool, told: str = "") -> str:
    """One whole-character run of tokens."""
    shown = "".join("↵\n" if c == "\n" else c if c == " " else mark(c) for c in text)
    body = f"<code>{escape(shown)}</code>" if special else escape(shown).replace("\n", "<br>")
    if not marked or value <= 0:
        return f'<span title="{escape(told)}">{body}</span>' if told else body
    level = value / largest
    title = f'"{number(value)}; {escape(told)}"' if told else number(value)
    style = f"title={title} style=background:rgba({HUE},{_alpha(level)})"
    if level > 0.6:
        return f"<mark {style}><b>{body}</b></mark>"
    return f"<mark {style}>{body}</mark>" if level > 0.25 else f"<span {style}>{body}</span>"


def _alpha(level: float) -> str:
    return f"{0.08 + 0.52 * level:.2f}"[1:]


def _what(result: Activations, feature: int | None, largest: float, label: str) -> str:
    if feature is None:
        return f"SAE <b>{escape(result.sae)}</b>"
    name = f"Feature <b>{escape(str(FeatureId(result.sae, feature)))}</b>"
    name += f" <i>{escape(label)}</i>" if label else ""
    return f"{name} · {f'max {number(largest)}' if largest > 0 else 'does not fire here'}"


def _notes(result: Activations) -> list[str]:
    return [f"model {escape(result.model)}", *(escape(note) for note in _plain_notes(result))]


def _plain_notes(result: Activations) -> list[str]:
    """What a reader must know about this picture: length, cut, masked, set aside."""
    tokens, masked = result.prompt_tokens, int(result.masked.sum())
    whole = len(tokens) + tokens.n_dropped
    notes = [f"showing {len(tokens)} of {whole} tokens" if tokens.n_dropped else f"{len(tokens)} tokens"]
    if masked:
        notes.append(f"{masked} of {len(tokens)} positions masked")
    if result.n_nonfinite:
        notes.append(f"{result.n_nonfinite} activations are not finite and are left out")
    return notes
