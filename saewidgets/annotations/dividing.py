"""What is said of one target, in as many records as it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from saewidgets.annotations.records import ITEMS_LIMIT, LINE_LIMIT
from saewidgets.results.annotation import NAME_LIMIT, Target

Operation = tuple[Target, dict[str, Any]]
"""A target, and what is done, as in :mod:`saewidgets.annotations.records`."""

ENVELOPE = 12 * NAME_LIMIT + 1_000
"""Bytes of a record besides its target and its operation at most: a character of the author takes 12."""


def divided(target: Target, op: dict[str, Any]) -> Iterator[Operation]:
    """An operation in parts that each fit into one record; one part where it fits as it is.

    What is no operation, or too large by itself, is left as it is, for the record to refuse.

    Example:
        >>> tags = [f"t{n}" for n in range(1500)]
        >>> [len(op["add"]["tags"]) for _, op in divided(Target("preset", name="p"), {"add": {"tags": tags}})]
        [1000, 500]
    """
    room = LINE_LIMIT - ENVELOPE - _size(target.to_json())
    part: dict[str, Any] = {}
    count = size = 0
    for verb, name, value in _changes(op):
        more = _size([verb, name, value])
        if part and (count == ITEMS_LIMIT or size + more > room):
            yield target, part
            part, count, size = {}, 0, 0
        if verb == "add" and isinstance(value, list):
            part.setdefault(verb, {}).setdefault(name, []).extend(value)
        else:
            part.setdefault(verb, {})[name] = value
        count, size = count + 1, size + more
    yield target, part


def _changes(op: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    for verb, fields in op.items():
        for name, value in fields.items():
            if verb == "add" and isinstance(value, list):
                yield from ((verb, name, [each]) for each in value)
            else:
                yield verb, name, value


def _size(value: object) -> int:
    return len(json.dumps(value))
