"""What people say of what a picture shows: labels stand beside numbers, notes below them; all of it is plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from saewidgets.results import Activations, Annotation, Attention, Ranking, SteeringComparison
from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped, visible

LABEL = 60
"""Characters of a label."""

NOTE = 300
"""Characters of a note."""

TOKENS = 50
"""Tokens with notes that are listed."""

SOME = 20
"""Tags, names or ratings in one line."""


class Remark(NamedTuple):
    """A label and a note, as people have written them; "" where there is none.

    Example:
        >>> Remark("London", "fires on <b>names</b>").note_html
        'fires on &lt;b&gt;names&lt;/b&gt;'
    """

    label: str = ""
    note: str = ""

    @property
    def name(self) -> str:
        """The label on one line, cut where it is long."""
        return clipped(one_line(self.label[: LABEL + 1]), LABEL)

    @property
    def lines(self) -> list[str]:
        """The note line by line, cut where it is long."""
        cut = clipped(self.note.strip()[: NOTE + 1], NOTE)
        return [one_line(line) for line in cut.splitlines()]

    @property
    def note_text(self) -> str:
        """The note as plain text."""
        return "\n".join(self.lines)

    @property
    def note_html(self) -> str:
        """The note as HTML."""
        return "<br>".join(map(escape, self.lines))

    @property
    def text(self) -> str:
        """Both on one line."""
        return ": ".join(filter(None, (self.name, " / ".join(self.lines))))

    @property
    def html(self) -> str:
        """The label, and the note below it, as HTML."""
        return "<br>".join(filter(None, (escape(self.name), self.note_html)))


NOTHING = Remark()
OfTokens = Mapping[int, Remark] | None
OfPrompt = Activations | Attention | Ranking | SteeringComparison


def token_remarks(result: OfPrompt, of_tokens: OfTokens) -> list[str]:
    """A line for each token of the prompt of which people say something, after a heading; up to 50."""
    tokens = result.prompt_tokens
    there = sorted(p for p in of_tokens or () if 0 <= p < len(tokens))
    if not of_tokens or not there:
        return []
    lines = [f"{p} {one_line(visible(tokens.strings[p]))} — {of_tokens[p].text}" for p in there[:TOKENS]]
    more = len(there) - TOKENS
    return ["Notes on tokens:", *lines, *([f"and {more} more"] if more > 0 else [])]


def token_remarks_html(result: OfPrompt, of_tokens: OfTokens) -> str:
    """The same as HTML."""
    listed = "<br>".join(map(escape, token_remarks(result, of_tokens)))
    return f"<p>{listed}</p>" if listed else ""


# ---- tags, stars, ratings, pinned examples ---------------------------------------------------------------------------


class Pinned(NamedTuple):
    """A pinned example: the token that is meant, and the text on both sides of it."""

    before: str
    token: str
    after: str


def people_say(one: Annotation) -> list[str]:
    """Who starred it, and how specific each rater finds it, a line each where there is any.

    Example:
        >>> from saewidgets.results import Rating, Target
        >>> target = Target("feature", "gpt2", "blocks.8.hook_resid_pre", "3f2a", 7)
        >>> people_say(Annotation(target, stars=("ann",), ratings=(Rating("ann", 3), Rating("bob", 2))))
        ['Stars: 1 (ann)', 'Specificity, 0 to 3: 3 by ann, 2 by bob']
    """
    lines = [f"Stars: {len(one.stars)} ({_some(one.stars)})"] if one.stars else []
    if one.ratings:
        lines.append(f"Specificity, 0 to 3: {_some([f'{score} by {rater}' for rater, score in one.ratings])}")
    return lines


def tagged(tags: Sequence[str]) -> list[str]:
    """The tags on one line, where there are any."""
    return [f"Tags: {_some(tags)}"] if tags else []


def remark_of(one: Annotation) -> str:
    """All that people say of something, on one line."""
    said = Remark(one.label or "", one.note or "").text
    return " · ".join(filter(None, [said, *tagged(one.tags), *people_say(one)]))


def _some(words: Sequence[str]) -> str:
    shown = [clipped(one_line(word), LABEL) for word in words[:SOME]]
    return ", ".join([*shown, *([f"and {len(words) - SOME} more"] if len(words) > SOME else [])])
