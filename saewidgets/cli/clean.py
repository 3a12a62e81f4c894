"""``saewidgets clean``: notebooks without saved widget state, everything else byte for byte.

GitHub and nbviewer prefer saved widget state to the static picture beside it, cannot draw it, and refuse a notebook
whose state they do not know. It also holds scripts, which JupyterLab runs when a stranger's notebook is opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from json.decoder import JSONDecoder
from pathlib import Path
from typing import NamedTuple

from saewidgets.annotations.exchange import write_file
from saewidgets.errors import LoadError

BYTES_LIMIT = 2**30
_SPACE = " \t\r\n"


class _Member(NamedTuple):
    """A member of a JSON object: its key, and where key, value and the member end."""

    key: str
    start: int
    value: int
    end: int


def clean_notebooks(paths: Sequence[str], only_check: bool) -> int:
    """Clean notebooks in place; 1 where ``only_check`` and there is something to clean."""
    dirty = 0
    for each in paths:
        path = Path(each)
        before = read_notebook(path)
        after = cleaned(before, path.name)
        dirty += after != before
        if after == before:
            print(f"{path}: no widget state")
        elif only_check:
            print(f"{path}: {len(before) - len(after):,} bytes of widget state")
        else:
            write_file(path, after)
            print(f"{path}: removed {len(before) - len(after):,} bytes of widget state")
    return 1 if only_check and dirty else 0


def read_notebook(path: Path) -> bytes:
    """A notebook's bytes.

    Raises:
        LoadError: It cannot be read, or is too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_LIMIT + 1)
    except OSError as error:
        raise LoadError("The notebook cannot be read.", got=f"{path}: {error.strerror or error}") from error
    if len(data) > BYTES_LIMIT:
        raise LoadError("The notebook is too large.", got=str(path), expected=f"{BYTES_LIMIT // 2**20} MiB at most")
    return data


def cleaned(data: bytes, name: str = "the file") -> bytes:
    """A notebook's bytes without ``metadata.widgets``; the same bytes where it has none.

    Raises:
        LoadError: Not a notebook; nothing of it is guessed.

    Example:
        >>> cleaned(b'{"cells": [], "metadata": {"a": 1, "widgets": {}}, "nbformat": 4, "nbformat_minor": 5}')
        b'{"cells": [], "metadata": {"a": 1}, "nbformat": 4, "nbformat_minor": 5}'
    """
    try:
        text = data.decode("utf-8")
        body = text.removeprefix("\ufeff")
        parsed = json.loads(body, parse_constant=str)
    except (ValueError, RecursionError) as error:
        got = f"{name}: {'nested too deeply' if isinstance(error, RecursionError) else error}"[:200]
        raise LoadError("This is not a notebook.", got=got, expected="JSON") from error
    whole = isinstance(parsed, dict) and isinstance(parsed.get("nbformat"), int)
    if not whole or not isinstance(parsed.get("cells", parsed.get("worksheets")), list):
        raise LoadError("This is not a notebook.", got=name, expected="a JSON object with 'nbformat' and 'cells'")
    if not isinstance(parsed.get("metadata", {}), dict):
        raise LoadError("This is not a notebook.", got=f"{name}: its metadata is no object")
    for member in reversed([each for each in _members(body, _skip(body, 0)) if each.key == "metadata"]):
        if body[member.value] == "{":
            body = _without(body, member.value, "widgets")
    expected = {**parsed, "metadata": {k: v for k, v in parsed["metadata"].items() if k != "widgets"}} if (
        "metadata" in parsed
    ) else parsed  # fmt: skip
    if json.loads(body, parse_constant=str) != expected:
        raise LoadError("This notebook cannot be cleaned safely; it was left as it is.", got=name)
    return (text[: len(text) - len(text.removeprefix("\ufeff"))] + body).encode()


def _without(text: str, start: int, key: str) -> str:
    """The text without the members of that name of the object that begins at ``start``; one comma goes with each."""
    while True:
        members = list(_members(text, start))
        n = next((n for n, member in enumerate(members) if member.key == key), None)
        if n is None:
            return text
        if n > 0:
            text = text[: members[n - 1].end] + text[members[n].end :]
        elif len(members) > 1:
            text = text[: members[0].start] + text[members[1].start :]
        else:
            text = text[: start + 1] + text[_skip(text, members[0].end) :]


def _members(text: str, start: int) -> Iterator[_Member]:
    """The members of the JSON object that begins at ``start``; the text is known to be valid JSON."""
    decoder = JSONDecoder()
    at = _skip(text, start + 1)
    while text[at] != "}":
        begin = at
        key, at = decoder.raw_decode(text, at)
        value = _skip(text, _skip(text, at) + 1)
        _, end = decoder.raw_decode(text, value)
        yield _Member(key, begin, value, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at
