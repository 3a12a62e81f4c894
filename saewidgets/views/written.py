"""A text with its steered tokens marked and those that differ bold, as HTML and as plain text."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby

import numpy as np

from saewidgets.results import Generation, Tokens
from saewidgets.results.text import one_line
from saewidgets.views.cells import mark, number, signed

STYLE = "background:rgba(253,141,60,.25);color:inherit"
MUCH = 0.2
ENDS = {
    "length": "ended at its length limit",
    "stop": "ended at a stop string",
    "eos": "ended by the model",
    "cancelled": "stopped",
}


def text_html(
    tokens: Tokens, steered: np.ndarray, differs: np.ndarray | None, written: Generation | None = None
) -> str:
    """Tokens as HTML.

    Args:
        tokens: The tokens.
        steered: True where an edit moved the activation, bool [pos or fewer].
        differs: True where another text has other tokens, bool [pos]; None: nothing is bold.
        written: Whose log-probabilities are the tooltips of what differs.

    Example:
        >>> tokens = Tokens(np.array([1, 2]), (b"a", b"<b>"), np.array([False, False]))
        >>> text_html(tokens, np.array([False, False]), np.array([False, True]))
        'a<b>&lt;b&gt;</b>'
    """
    cells = []
    for start, stop, text in tokens.groups:
        other = differs is not None and bool(differs[start:stop].any())
        title = _title(written, start) if other and written is not None else ""
        cells.append((bool(steered[start:stop].any()), other, title, _body(text, bool(tokens.special[start]))))
    parts = []
    for touched, marked in groupby(cells, key=lambda cell: cell[0]):
        runs = groupby(marked, key=lambda cell: (cell[1], cell[2]))
        inside = "".join(_bold(other, title, [body for *_, body in run]) for (other, title), run in runs)
        parts.append(f'<mark title="steered" style="{STYLE}">{inside}</mark>' if touched else inside)
    return "".join(parts)


def _bold(other: bool, title: str, bodies: Sequence[str]) -> str:
    told = f' title="{escape(title)}"' if title else ""
    return f"<b{told}>{''.join(bodies)}</b>" if other else "".join(bodies)


def plain_text(tokens: Tokens | str, differs: np.ndarray | None = None) -> str:
    """A text on one line; what differs between stars.

    Example:
        >>> plain_text("a\\nb")
        'a\\\\nb'
    """
    if isinstance(tokens, str) or differs is None:
        return one_line(tokens if isinstance(tokens, str) else tokens.text)
    cells = [(bool(differs[start:stop].any()), text) for start, stop, text in tokens.groups]
    runs = [(other, one_line("".join(text for _, text in run))) for other, run in groupby(cells, key=lambda c: c[0])]
    return "".join(f"*{text}*" if other else text for other, text in runs)


def facts(text: Generation) -> list[str]:
    """How a text was drawn, how it ended, how much the edits changed it and whether it repeats itself."""
    drawn = f", temperature {text.temperature:g}, seed {text.seed}" if text.temperature else ""
    found = [f"{len(text)} new tokens{drawn}, {ENDS.get(text.stopped, one_line(text.stopped))}"]
    kl = text.mean_kl
    if kl == kl:  # noqa: PLR0124 - NaN
        found.append(f"mean KL(base‖steered) {number(max(kl, 0.0))} nats per token")
    if text.repetition > MUCH:
        found.append(f"repeats itself: {number(100 * text.repetition)} %")
    return found


def no_marks(text: Generation) -> np.ndarray:
    """No token of what was written."""
    return np.zeros(len(text), bool)


def _body(text: str, special: bool) -> str:
    shown = "".join("↵\n" if c == "\n" else c if c == " " else mark(c) for c in text)
    return f"<code>{escape(shown)}</code>" if special else escape(shown).replace("\n", "<br>")


def _title(text: Generation, n: int) -> str:
    own, base, kl = text.logprobs[n], text.base_logprobs[n], text.kl[n]
    told = f"log-probability {signed(float(own))}"
    if base == base:  # noqa: PLR0124 - NaN
        told += f", {signed(float(base))} under base, KL {number(max(float(kl), 0.0))}"
    return told
