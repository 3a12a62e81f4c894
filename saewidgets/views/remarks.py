"""What people say of what a picture shows: labels stand beside numbers, notes below them; all of it is plain text."""

from __future__ import annotations

from html import escape
from typing import NamedTuple

from saewidgets.results.text import one_line
from saewidgets.views.cells import clipped

LABEL = 60
"""Characters of a label."""

NOTE = 300
"""Characters of a note."""


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
