"""A stranger's HTML without all that could run, fetch, or pass itself off as a view.

A list of what is allowed, applied by a real HTML parser (bleach); everything else goes. The policy of the page
(page.py) is a second wall behind this one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html import escape
from typing import Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = _words(
    "a abbr b blockquote br caption center code col colgroup dd del details div dl dt em figcaption figure h1 h2 h3 h4 "
    "h5 h6 hr i img ins kbd li mark ol p pre q s samp small span strike strong sub summary sup table tbody td tfoot th "
    "thead tr tt u ul var"
)
ATTRIBUTES = _words("align alt class colspan dir height href id lang rowspan scope src start style title valign width")
PROPERTIES = _words(
    "background background-color border border-bottom border-collapse border-color border-left border-radius "
    "border-right border-style border-top border-width color font-family font-size font-style font-weight height "
    "line-height max-width min-width padding padding-bottom padding-left padding-right padding-top text-align "
    "text-decoration vertical-align white-space width"
)
COLOURS = frozenset({"rgb", "rgba", "hsl", "hsla"})
IMAGE = re.compile(r"data:image/(png|jpe?g|gif|webp|bmp|svg\+xml);base64,[A-Za-z0-9+/\s]++={0,2}+\s*+", re.IGNORECASE)
LARGEST = 1_000_000
"""Characters of one piece of HTML; a longer one is cut, and shown as text."""
DEEPEST = 500
"""Elements inside each other. The parser's time grows with the square of this, and of the parts of one tag."""
MOST_PARTS = 4000

_LINK = re.compile(r"\s*(https?://|mailto:|#)", re.IGNORECASE)
_RELATIVE = re.compile(r"[\w.][\w./%~ -]*(#[\w.%-]*)?")
_CLASSES = re.compile(r"dataframe|saew-twin( saew-twin-[0-9a-f]{12})?|[a-z]{1,2}[0-9a-z]?")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})

_ANY_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)[^>]*")
_VOID = _words("br hr img input col wbr p li td th tr dd dt")  # or closed by the next one
_PARTS = str.maketrans("", "", "\"'= \t\n")

# Elements whose content is no text for people. An element that does not end takes the rest with it, as in a browser.
_UNREAD = re.compile(
    r"<(script|style|template|noscript|iframe|object|svg|math|textarea|xmp|noembed|noframes|title|head|select)(?=[\s/>])",
    re.IGNORECASE,
)


def cleaned_html(source: str) -> str:
    """HTML of which nothing runs and nothing is fetched.

    Args:
        source: HTML of anybody.

    Returns:
        What is allowed of it; its plain text, escaped, where it cannot be read.

    Example:
        >>> cleaned_html('<p onclick="x()">Hi<script>x()</script> <a href="javascript:x()">you</a></p>')
        '<p>Hi <a>you</a></p>'
    """
    if len(source) > LARGEST:
        return f"<pre>{escape(source[:LARGEST])}</pre><p>cut: {len(source):,} characters</p>"
    if _takes_long(source):
        return f"<pre>{escape(source)}</pre>"
    try:
        return _cleaner().clean(_without_unread(source))
    except Exception:  # noqa: BLE001 - nested too deeply, or what a parser could not foresee
        return f"<pre>{escape(source)}</pre>"


def is_image(address: str) -> bool:
    """True for an image that is part of the page."""
    return IMAGE.fullmatch(address) is not None


@lru_cache(maxsize=1)
def _cleaner() -> Any:
    from bleach.css_sanitizer import CSSSanitizer
    from bleach.sanitizer import Cleaner

    class Declarations(CSSSanitizer):
        """The declarations of a style attribute that say a colour, a size or the like, and name no address."""

        def sanitize_css(self, style: str) -> str:
            return ";".join(_declarations(style))

    filters: Any = [_images]
    return Cleaner(
        tags=TAGS,
        attributes=_attribute,
        protocols={"http", "https", "mailto", "data"},  # data: in images alone, see _attribute
        strip=True,
        strip_comments=True,
        filters=filters,
        css_sanitizer=Declarations(),
    )


def _images(source: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Images that have lost their address go; one that nobody has described says nothing."""
    for token in source:
        if token.get("name") == "img":
            if (None, "src") not in token["data"]:
                continue
            token["data"].setdefault((None, "alt"), "")
        yield token


def _attribute(tag: str, name: str, value: str) -> bool:
    """Whether an attribute stays."""
    if name not in ATTRIBUTES:
        return False
    if name == "src":
        return tag == "img" and is_image(value)
    if name == "href":
        return tag == "a" and bool(_LINK.match(value) or _RELATIVE.fullmatch(value))
    if name == "id":
        return tag in _HEADINGS and not value.lower().startswith("saew")
    if name == "class":
        return _CLASSES.fullmatch(value) is not None
    return True


def _declarations(style: str) -> list[str]:
    import tinycss2

    found = tinycss2.parse_declaration_list(style, skip_comments=True, skip_whitespace=True)
    kept = [one for one in found if one.type == "declaration" and one.lower_name in PROPERTIES]
    return [f"{one.lower_name}:{tinycss2.serialize(one.value).strip()}" for one in kept if _plain(one.value)]


def _plain(tokens: list[Any]) -> bool:
    """Whether a value is made of words, numbers and colours."""
    for token in tokens:
        if token.type == "function":
            if token.lower_name not in COLOURS or not _plain(token.arguments):
                return False
        elif token.type == "literal":
            if token.value not in {",", "/"}:
                return False
        elif token.type not in {"ident", "number", "percentage", "dimension", "hash", "whitespace"}:
            return False
    return True


def _takes_long(source: str) -> bool:
    """Whether the parser would take minutes: too deep, or a tag of too many parts."""
    depth, open_tags, stray = 0, Counter[str](), 0
    for found in _ANY_TAG.finditer(source):
        tag, closes, name = found[0], bool(found[1]), found[2].lower()
        if len(tag) > MOST_PARTS and len(tag) - len(tag.translate(_PARTS)) > MOST_PARTS:
            return True
        if name in _VOID:
            continue
        step = -1 if closes and open_tags[name] else 0 if closes else 1
        open_tags[name] += step
        depth += step
        stray += closes and not step
        if depth > DEEPEST or stray > DEEPEST:
            return True
    return False


def _without_unread(source: str) -> str:
    """The source without scripts, styles and the like; only for the eye: the cleaner removes their elements."""
    parts, at = [], 0
    while found := _UNREAD.search(source, at):
        parts.append(source[at : found.start()])
        end = re.compile(rf"</{found[1]}(?=[\s/>])[^>]*>", re.IGNORECASE).search(source, found.end())
        if end is None:
            return "".join(parts)
        at = end.end()
    return "".join([*parts, source[at:]])
