"""Parts of SVG drawings: text of a known width, escaped, and the frame around it all."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from html import escape

from saewidgets.results.steering_vector import Number
from saewidgets.results.text import one_line
from saewidgets.views.cells import visible

ADVANCE = 7.8
"""Width of a character at 13 px."""
FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
INK, SOFT, LINE = "#1b1b1f", "#5c6066", "#d4d4d8"


def svg(width: Number, height: Number, title: str, parts: Iterator[str] | list[str]) -> str:
    """A drawing on white.

    Example:
        >>> svg(10, 20, "a < b", [])[-66:]
        '<title>a &lt; b</title><rect width="10" height="20" fill="#fff"/></svg>'
    """
    size = f'width="{fixed(width)}" height="{fixed(height)}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {fixed(width)} {fixed(height)}" role="img" '
        f'font-family="{FONT}" font-size="13"><title>{clean(title)}</title><rect {size} fill="#fff"/>'
        f"{''.join(parts)}</svg>"
    )


def fixed(value: Number) -> str:
    """A length with at most two decimals."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def clean(text: str) -> str:
    """Text that can stand in XML: marks for what cannot be seen, escapes for what could turn or break it."""
    return escape("".join(c if ord(c) not in {0xFFFE, 0xFFFF} else "\ufffd" for c in one_line(text)))


def shown(text: str) -> str:
    """The text of a token as it is drawn: its spaces stay, other invisible characters get marks."""
    return one_line(" ".join(visible(part) for part in text.split(" ")))


def columns(text: str) -> int:
    """Width of a text in characters of a fixed width; wide letters count twice, marks on letters nothing."""
    wide = sum(unicodedata.east_asian_width(c) in "WF" for c in text)
    nothing = sum(unicodedata.category(c) in {"Mn", "Me", "Cf"} for c in text)
    return max(1, len(text) + wide - nothing)


def chunks(text: str, most: int) -> Iterator[str]:
    """A text in pieces of at most so many columns."""
    piece = ""
    for character in text:
        if piece and columns(piece + character) > most:
            yield piece
            piece = ""
        piece += character
    yield piece


def words(x: Number, y: Number, text: str, *, size: Number = 13, fill: str = INK, more: str = "") -> str:
    """Text from (x, y) on, held to its width whatever font draws it."""
    length = columns(text) * ADVANCE * size / 13
    held = f' textLength="{fixed(length)}" lengthAdjust="spacingAndGlyphs"' if text.strip() else ""
    look = f' font-size="{fixed(size)}"' if size != 13 else ""
    colour = f' fill="{fill}"' if fill != INK else ""
    return f'<text x="{fixed(x)}" y="{fixed(y)}" xml:space="preserve"{look}{colour}{held}{more}>{clean(text)}</text>'


def box(x: Number, y: Number, width: Number, height: Number, fill: str, opacity: Number = 1.0, round_: int = 2) -> str:
    """A filled rectangle."""
    shade = f' fill-opacity="{fixed(opacity)}"' if opacity < 1 else ""
    where = f'x="{fixed(x)}" y="{fixed(y)}" width="{fixed(max(0.0, width))}" height="{fixed(height)}"'
    return f'<rect {where} rx="{round_}" fill="{fill}"{shade}/>'


def line(x0: Number, y0: Number, x1: Number, y1: Number, more: str) -> str:
    """A line."""
    if not all(map(math.isfinite, (x0, y0, x1, y1))):
        return ""
    return f'<line x1="{fixed(x0)}" y1="{fixed(y0)}" x2="{fixed(x1)}" y2="{fixed(y1)}" {more}/>'
