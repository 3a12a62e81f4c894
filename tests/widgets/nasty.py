"""Tokens that have broken other tools: markup, broken bytes, marks of direction, characters that cannot be seen."""

from __future__ import annotations

from saewidgets.results import Activations
from tests.widgets.fake_lab import activations_of

MARKUP = (
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<img/src=x/onerror=document.title='owned'>",
    '"><svg/onload=document.title="owned">',
    "javascript:document.title='owned'",
    "{{constructor.constructor('document.title=1')()}}",
    "&lt;b&gt; &amp; <!-- --> ]]>",
    "<bos>",
    "<|endoftext|>",
)
LETTERS = (
    "👨‍👩‍👧‍👦",
    "🏳️‍🌈",
    "שָׁלוֹם עולם",
    "\u202egnirts desrever\u202c",
    "e\u0301\u0323\u0300",
    "\u0000NUL",
    "\r\n",
    "\n\n",
    "\t",
    "    ",
    " \u00a0\u200b\ufeff",
    "\u2028line\u2029",
    "\x1b[31m",
    "x" * 300,
    "你好世界",
    "constructor",
    "__proto__",
)
PARTS = (b" caf\xc3", b"\xa9", b"\xff", b"\xf0\x9f\x98", b"\x80", b"\xe4\xbd", b" x")


def nasty_activations() -> Activations:
    """Every nasty token, each with a feature; feature 1 fires on all."""
    pieces = [*(text.encode() for text in (*MARKUP, *LETTERS)), *PARTS]
    return activations_of([{1: 1.0 + i, 2 + i: 2.0} for i in range(len(pieces))], pieces)
