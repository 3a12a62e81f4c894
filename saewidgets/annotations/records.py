"""One change, as one line of a file.

A line is a JSON object with sorted keys, in ASCII, so that a control character or a mark that turns text round is seen
as its escape in a diff::

    {"author": "ann", "id": "5f0c2a9b41de-3", "op": {"set": {"label": "London"}}, "session": "5f0c2a9b41de",
     "target": {"feature": 7, "hook": "...", "kind": "feature", "model": "gpt2", "sae": "3f2a..."},
     "time": "2026-01-31T12:00:00.000000Z", "version": 1}

``op`` has one or more of ``set`` (label, note, edits; null clears), ``add`` and ``remove`` (tags, stars, pins: lists),
``rate`` (rater: score or null), ``explain`` (source: text or null); or ``undo`` alone, the id of an earlier record of
the same session, and then there is no target.
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from time import time_ns
from typing import Any, NamedTuple, NoReturn

from saewidgets.errors import AnnotationError
from saewidgets.results.annotation import NAME_LIMIT, TEXT_LIMIT, Target, checked_text
from saewidgets.results.numbers import whole_number

VERSION = 1
LINE_LIMIT = 1_000_000
"""Bytes of a line, its end included."""

ITEMS_LIMIT = 1_000
"""Tags, stars, pins, ratings or explanations in one record."""

LIMITS = {"label": NAME_LIMIT, "note": TEXT_LIMIT, "edits": 800_000}
SETS = ("tags", "stars", "pins")
SCORES = (0, 1, 2, 3)

_TIME = re.compile(r"2[01]\d\d-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){2}\.\d{6}Z", re.ASCII)
_SESSION = re.compile(r"[0-9a-f]{12}", re.ASCII)
_ID = re.compile(r"([0-9a-f]{12})-([1-9]\d{0,11})", re.ASCII)
_KEYS = {"author", "id", "op", "session", "target", "time", "version"}


class Change(NamedTuple):
    """One register and its new value: ``element`` tells the members of a set apart, ``None`` clears or removes."""

    field: str
    element: str
    value: Any


@dataclass(frozen=True)
class Event:
    """One record: who changed what, when; ``undo`` is the id of the record that it takes back."""

    id: str
    time: str
    author: str
    session: str
    target: Target | None
    changes: tuple[Change, ...]
    undo: str | None
    line: bytes

    @property
    def rank(self) -> tuple[str, int, str, bytes]:
        """Of two events the later, and never neither: time, then number in the session, then session."""
        return (self.time, int(self.id.rpartition("-")[2]), self.session, self.line)


class BadLineError(ValueError):
    """A line that is not read; its text says why."""


def make_event(session: str, number: int, time: str, author: str, target: Target | None, op: dict[str, Any]) -> Event:
    """A new record, checked as if it were read.

    Raises:
        AnnotationError: Something in it cannot be kept.
    """
    data: dict[str, Any] = {
        "author": author, "id": f"{session}-{number}", "op": op, "session": session, "time": time, "version": VERSION,
    }  # fmt: skip
    if target is not None:
        data["target"] = target.to_json()
    event = _event(data, b"")  # whole numbers of numpy and torch are checked, and then written, as what they are
    line = (json.dumps(data, sort_keys=True, default=operator.index) + "\n").encode("ascii")
    if len(line) > LINE_LIMIT:
        raise AnnotationError(
            "This is too much for one record.", got=f"{len(line):,} bytes", expected=f"{LINE_LIMIT:,} at most"
        )
    return replace(event, line=line)


def read_line(line: bytes) -> Event:
    """The record of one line, which may come from a stranger.

    Raises:
        BadLineError: Not a record of this version; its text says why.
    """
    if len(line) > LINE_LIMIT:
        raise BadLineError(f"longer than {LINE_LIMIT:,} bytes")
    try:
        data = json.loads(line.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"not a record: {_short(error)}") from None
    if not isinstance(data, dict):
        raise BadLineError(f"not a record: a JSON {type(data).__name__}")
    version = data.get("version")
    if isinstance(version, int) and not isinstance(version, bool) and version > VERSION:
        raise BadLineError(f"written by a newer version ({str(version)[:20]}) of this format")
    if isinstance(version, bool) or version != VERSION:
        raise BadLineError("no version of this format")
    try:
        event = _event(data, line.rstrip(b"\r\n") + b"\n")
        _check_clock(event.time)
    except AnnotationError as error:
        got = "" if error.got is None else f" (got {error.got})"
        raise BadLineError(f"{error.what}{got}"[:300]) from None
    except RecursionError:
        raise BadLineError("nested too deeply") from None
    return event


def _short(error: BaseException) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)[:120]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"the number {name}")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands twice")
    return data


def _event(data: dict[str, Any], line: bytes) -> Event:
    unknown = data.keys() - _KEYS
    if unknown:
        raise AnnotationError("A record has an unknown part.", got=repr(sorted(unknown))[:80])
    id_, session, time = (_matched(data.get(name), name, pattern) for name, pattern in _PATTERNS)
    if not id_.startswith(f"{session}-"):
        raise AnnotationError("The id of a record begins with its session.", got=id_)
    _check_date(time)
    author = checked_text(data.get("author"), "The author", NAME_LIMIT)
    op = data.get("op")
    if not isinstance(op, dict) or not op:
        raise AnnotationError("A record says what was done.", got=repr(op)[:80])
    if "undo" in op:
        if len(op) > 1 or data.get("target") is not None:
            raise AnnotationError("A record that takes another back does nothing else.")
        undo = _matched(op["undo"], "undo", _ID)
        if not undo.startswith(f"{session}-"):
            raise AnnotationError("Only its own session takes a record back.", got=undo)
        return Event(id_, time, author, session, None, (), undo, line)
    target = Target.from_json(data.get("target"))
    return Event(id_, time, author, session, target, tuple(changes_of(op)), None, line)


def _check_date(time: str) -> None:
    try:
        datetime.fromisoformat(time)
    except ValueError:
        raise AnnotationError("There is no such day.", got=time) from None


def _check_clock(time: str) -> None:
    """What is read leaves room above it: the next change has to be later, and still a time of this format."""
    if time > _SURE and time > time_of(time_ns() // 1000 + _AHEAD):
        raise AnnotationError("The time of a record is more than 50 years ahead.", got=time)


_PATTERNS = (("id", _ID), ("session", _SESSION), ("time", _TIME))


def _matched(value: object, name: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise AnnotationError(f"This is no {name} of a record.", got=repr(value)[:80])
    return value


def changes_of(op: dict[str, Any]) -> list[Change]:
    """The registers that an operation writes.

    Raises:
        AnnotationError: Unknown operations or fields, wrong types, or values out of range.

    Example:
        >>> changes_of({"set": {"label": "London"}, "add": {"tags": ["place"]}})
        [Change(field='label', element='', value='London'), Change(field='tags', element='place', value=True)]
    """
    changes: list[Change] = []
    for verb, fields in op.items():
        if verb not in _READERS:
            raise AnnotationError("There is no such operation.", got=repr(verb)[:80], expected=", ".join(_READERS))
        if not isinstance(fields, dict) or not 0 < len(fields) <= ITEMS_LIMIT:
            raise AnnotationError(f"'{verb}' names what it changes.", got=type(fields).__name__)
        for name, value in fields.items():
            changes += _READERS[verb](name, value)
    if len(changes) > ITEMS_LIMIT:
        raise AnnotationError("This is too much for one record.", got=f"{len(changes)} changes", expected=ITEMS_LIMIT)
    return changes


def _set(name: object, value: object) -> list[Change]:
    if not isinstance(name, str) or name not in LIMITS:
        raise AnnotationError("There is no such field.", got=repr(name)[:80], expected=", ".join(LIMITS))
    if value is not None:
        checked_text(value, f"A {name}", LIMITS[name])
        if name == "label" and "\n" in str(value):
            raise AnnotationError("A label is one line.", got=repr(value)[:80], do="put the rest into the note")
    return [Change(name, "", value or None)]


def _members(name: object, value: object) -> list[str]:
    if not isinstance(name, str) or name not in SETS:
        raise AnnotationError("There is no such set.", got=repr(name)[:80], expected=", ".join(SETS))
    if not isinstance(value, list) or not value:
        raise AnnotationError(f"'{name}' is a list.", got=repr(value)[:80])
    return [_pin(each) if name == "pins" else checked_name(each, f"One of the {name}") for each in value]


def checked_name(value: object, what: str) -> str:
    """A tag, a rater or a source: one line of text that is not empty, without ``;`` and ``=``, which join them in CSV.

    Raises:
        AnnotationError: It is not.
    """
    text = checked_text(value, what, NAME_LIMIT)
    if not text.strip() or text != text.strip() or any(sign in text for sign in ";=\n\r"):
        raise AnnotationError(f"{what} is one line without ';' and '='.", got=repr(text)[:80])
    return text


def _pin(value: object) -> str:
    """The canonical text of a pinned example."""
    if not isinstance(value, dict) or value.keys() != {"text", "position"}:
        raise AnnotationError("A pinned example is a text and a position.", got=repr(value)[:80])
    text, position = checked_text(value["text"], "A pinned text", TEXT_LIMIT), whole_number(value["position"])
    if position is None or not 0 <= position < 2**53:
        raise AnnotationError("This is no position.", got=repr(value["position"])[:80], expected="a whole number >= 0")
    return json.dumps({"position": position, "text": text}, sort_keys=True)


def _rate(rater: object, score: object) -> list[Change]:
    rater = checked_name(rater, "A rater")
    number = whole_number(score)
    if score is not None and number not in SCORES:
        raise AnnotationError("This is no specificity rating.", got=repr(score)[:80], expected="0, 1, 2 or 3")
    return [Change("ratings", rater, number)]


def _explain(source: object, value: object) -> list[Change]:
    source = checked_name(source, "A source")
    if value is not None:
        checked_text(value, "An explanation", TEXT_LIMIT)
    return [Change("explanations", source, value or None)]


_READERS = {
    "set": _set,
    "add": lambda name, value: [Change(name, each, True) for each in _members(name, value)],
    "remove": lambda name, value: [Change(name, each, None) for each in _members(name, value)],
    "rate": _rate,
    "explain": _explain,
}


def operation_of(texts: dict[str, Any], add: dict[str, Any], remove: dict[str, Any]) -> dict[str, Any]:
    """The operation that writes what is given; a text of "" is cleared, None and () are left as they are.

    Raises:
        AnnotationError: Nothing is given.

    Example:
        >>> operation_of({"label": " a "}, {"tags": "b", "pins": None}, {})
        {'set': {'label': 'a'}, 'add': {'tags': ['b']}}
    """
    stripped = {
        name: text.strip() if isinstance(text, str) and name == "label" else text for name, text in texts.items()
    }
    op: dict[str, Any] = {"set": {name: _text(text) for name, text in stripped.items() if text is not None}}
    for verb, fields in (("add", add), ("remove", remove)):
        lists = {name: _as_list(name, value) for name, value in fields.items()}
        op[verb] = {name: each for name, each in lists.items() if each}
    op = {verb: fields for verb, fields in op.items() if fields}
    if not op:
        raise AnnotationError("Nothing was said.", expected="a label, a note, tags, stars, a pin or edits")
    return op


def _text(text: Any) -> Any:
    return None if isinstance(text, str) and not text else text


def _as_list(name: str, value: Any) -> list[Any]:
    if value is None:
        return []
    if name == "pins":
        text, position = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
        return [{"text": text, "position": position}]
    return [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = "2199-12-31T23:59:59.999999Z"
_AHEAD = 50 * 8_766 * 3_600 * 10**6  # microseconds
_SURE = "2076"  # times before are read even where the clock stands in 1970


def time_of(microseconds: int) -> str:
    """The time of a record, from microseconds since 1970.

    Example:
        >>> time_of(1_000_000)
        '1970-01-01T00:00:01.000000Z'
    """
    moment = (_EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None)
    return min(f"{moment.isoformat(timespec='microseconds')}Z", _LATEST)


def microseconds_of(time: str) -> int:
    """The other way round."""
    return (datetime.fromisoformat(time) - _EPOCH) // timedelta(microseconds=1)
