"""Several drawings as one: beside or below each other, with titles, and words in place of one that is missing."""

from __future__ import annotations

import re
from collections.abc import Sequence

from saewidgets.errors import MismatchError
from saewidgets.views.drawing import fixed, svg, words
from saewidgets.views.steering_svg import _lines

MARGIN, TITLE, WIDTH = 16, 32, 720
_SIZE = re.compile(r'<svg [^>]*?\bwidth="([\d.]+)" height="([\d.]+)"')


def side_by_side_svg(drawings: Sequence[str], title: str, *, beside: bool = True) -> str:
    """Drawings in one, each in its own size, with the upper or left edges in line.

    Each drawing becomes an ``svg`` element within the whole as it is. Ids would have to be unique in the whole: the
    drawings of this package have none.

    Args:
        drawings: One or more, as :func:`saewidgets.views.drawing.svg` makes them; wholes may be parts of a whole.
        title: What a screen reader says of the whole.
        beside: Beside each other; otherwise below each other.

    Returns:
        SVG, light; as wide and high as its parts together.

    Raises:
        MismatchError: A text is none of these drawings.

    Example:
        >>> both = side_by_side_svg([svg(10, 20, "a", []), svg(30, 5, "b", [])], "both")
        >>> 'width="40" height="20"' in both, '<svg x="10" y="0"' in both
        (True, True)
    """
    parts, (x, y), (width, height) = [], (0.0, 0.0), (0.0, 0.0)
    for drawing in drawings:
        wide, high = _size(drawing)
        parts.append(f'<svg x="{fixed(x)}" y="{fixed(y)}" {drawing.removeprefix("<svg ")}')
        width, height = max(width, x + wide), max(height, y + high)
        x, y = (width, 0.0) if beside else (0.0, height)
    return svg(width, height, title, parts)


def titled_svg(title: str, drawing: str) -> str:
    """A drawing below its title.

    Raises:
        MismatchError: The text is none of our drawings.
    """
    wide, _ = _size(drawing)
    head = words(MARGIN, TITLE - 8, title, size=16, more=' font-weight="bold"')
    return side_by_side_svg([svg(wide, TITLE, title, [head]), drawing], title, beside=False)


def words_svg(text: str) -> str:
    """Words in place of a drawing, in as many lines as they need.

    Example:
        >>> "&lt;b&gt; is missing</text>" in words_svg("<b> is missing")
        True
    """
    parts, y = _lines([text], MARGIN, 24.0, WIDTH - 2 * MARGIN, soft=True)
    return svg(WIDTH, y, text, parts)


def _size(drawing: str) -> tuple[float, float]:
    """Width and height in px."""
    found = _SIZE.match(drawing)
    if found is None:
        expected = "<svg ... width=... height=...>, as saewidgets.views.drawing.svg makes it"
        raise MismatchError("This drawing cannot stand beside others.", got=repr(drawing)[:80], expected=expected)
    wide, high = found.groups()
    return float(wide), float(high)
