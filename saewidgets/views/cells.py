"""Cells of plain tables: numbers, visible spaces, escaped text; only elements that sanitisers keep."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from html import escape

LEFT = " style=text-align:left"
"""Of cells of words, which JupyterLab would align to the right as it does numbers."""


def table_html(head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str] = ()) -> str:
    """A plain table; every cell is escaped, those below the heads ``left`` are aligned to the left.

    Example:
        >>> table_html(("a",), (("<1>",),))
        '<table><thead><tr><th>a</th></tr></thead><tbody><tr><td>&lt;1&gt;</td></tr></tbody></table>'
    """
    return table_of(head, [[escape(cell) for cell in row] for row in rows], left)


def table_of(head: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[str] = ()) -> str:
    """A plain table of cells that are HTML already; nothing where there are no rows."""
    if not rows:
        return ""
    styles = [LEFT if name in left else "" for name in head]
    top = "".join(f"<th{style}>{escape(name)}</th>" for name, style in zip(head, styles, strict=True))
    cells = ("".join(f"<td{style}>{cell}</td>" for cell, style in zip(row, styles, strict=True)) for row in rows)
    body = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def number(value: float) -> str:
    """Three significant digits.

    Example:
        >>> number(8.3125), number(0.00123), number(1234.5), number(2.0)
        ('8.31', '0.00123', '1234', '2')
    """
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def signed(value: float) -> str:
    """Three significant digits with their sign; a dash for NaN.

    Example:
        >>> signed(2.0), signed(-0.5), signed(0.0), signed(float("nan"))
        ('+2', '-0.5', '0', '—')
    """
    if value != value:  # noqa: PLR0124 - NaN
        return "—"
    return f"{'+' if value > 0 else ''}{number(value + 0.0)}"


def visible(text: str) -> str:
    """Text with its spaces, line ends, tabs and control characters to be seen.

    Example:
        >>> visible(" a\\n"), visible("\\x00")
        ('·a↵', '␀')
    """
    return "".join(mark(character) for character in text)


def mark(character: str) -> str:
    """What stands for a character that cannot be seen."""
    code = ord(character)
    known = {" ": "·", "\n": "↵", "\t": "⇥", "\x7f": "␡"}
    return known.get(character) or (chr(0x2400 + code) if code < 32 else character)


def clipped(text: str, length: int = 40) -> str:
    """The text, cut with an ellipsis where it is longer than ``length`` characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
