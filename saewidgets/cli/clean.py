"""``saewidgets clean``: notebooks without saved widget state, everything else byte for byte.

GitHub and nbviewer prefer saved widget state to the static picture beside it, cannot draw it, and refuse a notebook
whose state they do not know. It also holds scripts, which JupyterLab runs when a stranger's notebook is opened.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from json.decoder import JSONDecoder
from pathlib import Path
from typing import Any, NamedTuple

from saewidgets.annotations.exchange import write_file
from saewidgets.cli import in_words
from saewidgets.errors import LoadError, SaewidgetsError

BYTES_LIMIT = 2**30
STATE = "application/vnd.jupyter.widget-state+json"
_SPACE = " \t\r\n"

# Where a notebook may hold widget state: what goes is True; a list stands for each of its entries.
_METADATA = {"widgets": True, STATE: True}
_OUTPUT = {"data": {STATE: True}, "metadata": {STATE: True}, STATE: True}
_SHEET = {"metadata": _METADATA, "cells": [{"metadata": _METADATA, "outputs": [_OUTPUT]}]}
_NOTEBOOK = {**_SHEET, "worksheets": [_SHEET]}  # worksheets: nbformat 3


class _Member(NamedTuple):
    """A member of a JSON object: its key, and where key, value and the member end."""

    key: str
    start: int
    value: int
    end: int


def clean_notebooks(paths: Sequence[str], only_check: bool) -> int:
    """Clean notebooks in place; 1 where one could not be, or where ``only_check`` and there is something to clean."""
    dirty = failed = 0
    for each in paths:
        path = Path(each)
        try:
            before = read_notebook(path)
            after = cleaned(before, str(path))
            if after != before and not only_check:
                write_file(path, after)
        except SaewidgetsError as error:
            failed += 1
            print(in_words(error), file=sys.stderr)
            continue
        dirty += after != before
        if after == before:
            print(f"{path}: no widget state")
        else:
            removed = "" if only_check else "removed "
            print(f"{path}: {removed}{len(before) - len(after):,} bytes of widget state")
    return 1 if failed or (only_check and dirty) else 0


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
    """A notebook's bytes without widget state; the same bytes where it has none.

    State is ``metadata.widgets`` of the notebook, of a worksheet (nbformat 3) or of a cell, and what has the MIME type
    of widget state in metadata or in an output.

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
    kept, end = [], 0
    for start, stop in _state(body, _skip(body, 0), _NOTEBOOK):
        kept.append(body[end:start])
        end = stop
    body = "".join([*kept, body[end:]])
    if json.loads(body, parse_constant=str) != _without(parsed, _NOTEBOOK):
        raise LoadError("This notebook cannot be cleaned safely; it was left as it is.", got=name)
    return (text[: len(text) - len(text.removeprefix("\ufeff"))] + body).encode()


def _without(value: Any, where: Any) -> Any:
    """A JSON value without the state in it."""
    if isinstance(value, dict) and isinstance(where, dict):
        return {key: _without(each, where.get(key)) for key, each in value.items() if where.get(key) is not True}
    if isinstance(value, list) and isinstance(where, list):
        return [_without(each, where[0]) for each in value]
    return value


def _state(text: str, start: int, where: Any) -> Iterator[tuple[int, int]]:
    """Where the text of the state begins and ends, in order; one comma goes with each member."""
    if text[start] == "[" and isinstance(where, list):
        for at in _entries(text, start):
            yield from _state(text, at, where[0])
    if text[start] != "{" or not isinstance(where, dict):
        return
    members = list(_members(text, start))
    goes = [where.get(member.key) is True for member in members]
    if members and all(goes):
        yield start + 1, _skip(text, members[-1].end)
        return
    for n, member in enumerate(members):
        if not goes[n]:
            yield from _state(text, member.value, where.get(member.key))
        elif all(goes[:n]):
            yield member.start, members[n + 1].start
        else:
            yield members[n - 1].end, member.end


def _entries(text: str, start: int) -> Iterator[int]:
    """Where the entries of the JSON list that begins at ``start`` begin; the text is known to be valid JSON."""
    decoder = JSONDecoder()
    at = _skip(text, start + 1)
    while text[at] != "]":
        yield at
        at = _skip(text, decoder.raw_decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)


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
