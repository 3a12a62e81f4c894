"""Annotations as tables and as one JSON text, for people, spreadsheets and other programs."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from saewidgets.annotations.dividing import Operation, divided
from saewidgets.annotations.records import changes_of
from saewidgets.errors import AnnotationError
from saewidgets.results.annotation import Annotation, Pin, Target, TargetKind

if TYPE_CHECKING:
    import pandas as pd

FORMAT = "saewidgets annotations"
VERSION = 1
ROWS_LIMIT = 1_000_000
FIELD_LIMIT = 2**28
"""Characters of a cell: pins have no bound of their own, and no file is larger."""

TARGET_COLUMNS = ("kind", "model", "hook", "sae", "feature", "prompt", "position", "name")
COLUMNS = (
    *TARGET_COLUMNS,
    *("label", "note", "tags", "stars", "ratings", "pins", "explanations", "edits", "author", "time"),
)
# What wrong data make Python say; each becomes an error that names the place.
_WRONG = (AnnotationError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
_NUMBER = re.compile(r"([0-9]{1,16})(\.0+)?")  # 7.0: as a spreadsheet writes a column with gaps
_CSV = threading.Lock()  # the limit of a cell is the process's

# A spreadsheet runs a cell that begins so; one quote before it makes it text, and more quotes stay what they are.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def annotations_frame(annotations: Sequence[Annotation]) -> pd.DataFrame:
    """One row a target, its columns those of :func:`to_csv`; lists as Python tuples, unknown numbers as <NA>."""
    import pandas as pd

    rows = [[getattr(each.target, name) for name in TARGET_COLUMNS] for each in annotations]
    rest = [[getattr(each, name) for name in COLUMNS[len(TARGET_COLUMNS) :]] for each in annotations]
    frame = pd.DataFrame([a + b for a, b in zip(rows, rest, strict=True)], columns=list(COLUMNS))
    return frame.astype({"feature": "Int64", "position": "Int64"})


def to_csv(annotations: Sequence[Annotation]) -> str:
    """One row a target; tags and stars joined by "; ", ratings as "ann=3; bob=2", pins as JSON.

    A cell that a spreadsheet would run as a formula gets a quote in front, which :func:`from_csv` takes away.

    Example:
        >>> to_csv([Annotation(Target("preset", "gpt2", name="calm"), note="=1+1")]).splitlines()[1]
        "preset,gpt2,,,,,,calm,,'=1+1,,,,,,,,"
    """
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")  # with another end a cell with \r would not be quoted
    writer.writerow(COLUMNS)
    for each in annotations:
        cells: dict[str, Any] = {name: getattr(each.target, name) for name in TARGET_COLUMNS}
        cells |= {"label": each.label, "note": each.note, "edits": each.edits, "author": each.author}
        cells |= {"time": each.time, "tags": "; ".join(each.tags), "stars": "; ".join(each.stars)}
        cells["ratings"] = "; ".join(f"{rating.rater}={rating.score}" for rating in each.ratings)
        cells["pins"] = json.dumps([pin._asdict() for pin in each.pins]) if each.pins else ""
        known = {one.source: one.text for one in each.explanations}
        cells["explanations"] = json.dumps(known, ensure_ascii=False) if known else ""
        writer.writerow([_guarded(cells[name]) for name in COLUMNS])
    return out.getvalue()


def _guarded(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv(text: str, base: Target | None = None, d_sae: int | None = None) -> list[Operation]:
    """The operations that make what a CSV says; unknown columns are left out.

    Args:
        text: The file; its first row names the columns, at least ``feature`` and ``label``, or those of :func:`to_csv`.
        base: What a row without ``sae`` belongs to: a target whose model, hook and SAE are taken.
        d_sae: Number of features of the SAE, where known.

    Raises:
        AnnotationError: Not such a table; names the line.
    """
    reader = csv.DictReader(io.StringIO(text), strict=True)
    with _CSV:
        former = csv.field_size_limit(FIELD_LIMIT)
        try:
            return _rows(reader, base, d_sae)
        except (csv.Error, *_WRONG) as error:
            raise _located(error, f"line {reader.line_num}") from error
        finally:
            csv.field_size_limit(former)


def _rows(reader: csv.DictReader[str], base: Target | None, d_sae: int | None) -> list[Operation]:
    if not {"label", "note", "tags", "stars", "ratings", "pins", "explanations", "edits"} & set(
        reader.fieldnames or ()
    ):
        got = ", ".join(map(str, reader.fieldnames or ()))[:120] or "an empty file"
        raise AnnotationError("This table has no annotations.", got=got, expected="a column such as label or note")
    operations: list[Operation] = []
    for row in reader:
        if len(operations) >= ROWS_LIMIT:
            raise AnnotationError("This table is too long.", expected=f"{ROWS_LIMIT:,} rows at most")
        cells = {name: _plain(value) for name, value in row.items() if isinstance(name, str) and value}
        if op := _operation(_of_cells(cells)):
            operations += _checked(_target(cells, base), op, d_sae)
    return operations


def _checked(target: Target, op: dict[str, Any], d_sae: int | None) -> Iterator[Operation]:
    """The operation in as many parts as records need; an error where it cannot be kept."""
    if d_sae is not None and target.feature is not None and target.feature >= d_sae:
        raise AnnotationError("The file is about another SAE.", got=f"feature {target.feature}", expected=f"< {d_sae}")
    for part in divided(target, op):
        changes_of(part[1])
        yield part


def _plain(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _of_cells(cells: Mapping[str, str]) -> dict[str, Any]:
    """The cells as the values of :func:`to_json`."""
    said: dict[str, Any] = {name: cells[name] for name in ("label", "note", "edits") if name in cells}
    said |= {name: found for name in ("tags", "stars") if (found := _parts(cells.get(name, "")))}
    pairs = [each.rpartition("=") for each in _parts(cells.get("ratings", ""))]
    for rater, sign, score in pairs:
        if not sign or not _NUMBER.fullmatch(score.strip()):
            got = repr(f"{rater}{sign}{score}")[:80]
            raise AnnotationError("A rating is a name, '=' and a score.", got=got, expected="such as ann=3; bob=2")
    said["ratings"] = {rater: _whole(score) for rater, _, score in pairs}
    said |= {name: json.loads(cells[name]) for name in ("pins", "explanations") if name in cells}
    return said


def _parts(cell: str) -> list[str]:
    """What stands between semicolons; one at the end is none."""
    return [part for each in cell.split(";") if (part := each.strip())]


def _whole(cell: str) -> int | str:
    """A whole number; what is none as it stands."""
    found = _NUMBER.fullmatch(cell.strip())
    return int(found[1]) if found else cell


def _target(cells: Mapping[str, str], base: Target | None) -> Target:
    parts: dict[str, Any] = {name: cells[name] for name in TARGET_COLUMNS if name in cells}
    parts |= {name: _whole(parts[name]) for name in ("feature", "position") if name in parts}
    parts.setdefault("kind", "feature")
    if parts["kind"] in {"token", "example", "ranking"}:
        parts.setdefault("prompt", "")
    return target_from(parts, base)


def target_from(parts: Mapping[str, Any], base: Target | None) -> Target:
    """A target from its parts; without an SAE it belongs to that of ``base``.

    Raises:
        AnnotationError: Not a target.
    """
    own = {"model": base.model, "hook": base.hook, "sae": base.sae} if base is not None else {}
    wanted = own if parts.get("kind") in {"feature", "example"} and not parts.get("sae") else {}
    return Target.from_json({**wanted, **parts})


def to_json(annotations: Sequence[Annotation]) -> str:
    """All of it as one JSON text, in ASCII.

    Example:
        >>> text = to_json([Annotation(Target("preset", "gpt2", name="calm"), tags=("mood",))])
        >>> from_json(text)[0][1]
        {'add': {'tags': ['mood']}}
    """
    said = []
    for each in annotations:
        one: dict[str, Any] = {"target": each.target.to_json(), "author": each.author, "time": each.time}
        one |= {name: getattr(each, name) for name in ("label", "note", "edits") if getattr(each, name)}
        one |= {name: list(getattr(each, name)) for name in ("tags", "stars") if getattr(each, name)}
        one |= {"ratings": dict(each.ratings)} if each.ratings else {}
        one |= {"pins": [pin._asdict() for pin in each.pins]} if each.pins else {}
        one |= {"explanations": {source: text for text, source in each.explanations}} if each.explanations else {}
        said.append(one)
    return json.dumps({"format": FORMAT, "version": VERSION, "annotations": said}, indent=1, sort_keys=True) + "\n"


def from_json(text: str, base: Target | None = None, d_sae: int | None = None) -> list[Operation]:
    """The operations that make what :func:`to_json` wrote; it may come from a stranger.

    Raises:
        AnnotationError: Not such a text; names the annotation.
    """
    place = "the file"
    operations: list[Operation] = []
    try:
        for n, one in enumerate(_entries(json.loads(text))):
            place = f"annotation {n + 1}"
            if op := _operation({name: value for name, value in one.items() if value}):
                operations += _checked(target_from(one["target"], base), op, d_sae)
    except _WRONG as error:
        raise _located(error, place) from error
    return operations


def check_kind(kind: object) -> None:
    """Refuse what is no kind of target; None stands for all kinds.

    Raises:
        AnnotationError: There is no such kind; names those that there are.

    Example:
        >>> check_kind("feature")
    """
    kinds = get_args(TargetKind)
    if kind is not None and kind not in kinds:
        raise AnnotationError("There is no such kind.", got=repr(kind)[:80], expected=", ".join(kinds))


def _entries(data: Any) -> Sequence[Any]:
    if data["format"] != FORMAT or data["version"] != VERSION:
        got = f"{data['format']!r}, version {data['version']!r}"[:120]
        raise AnnotationError("These are no annotations of this version.", got=got, expected=f"version {VERSION}")
    return data["annotations"]


def _operation(said: Mapping[str, Any]) -> dict[str, Any]:
    """The operation that says all this of a target about which nothing has been said."""
    op: dict[str, Any] = {"set": {name: said[name] for name in ("label", "note", "edits") if name in said}}
    op["add"] = {name: said[name] for name in ("tags", "stars") if name in said}
    op["add"] |= {"pins": [Pin(**pin)._asdict() for pin in said["pins"]]} if "pins" in said else {}
    op["rate"] = dict(said.get("ratings", {}))
    op["explain"] = dict(said.get("explanations", {}))
    return {verb: fields for verb, fields in op.items() if fields}


def _located(error: Exception, place: str) -> AnnotationError:
    if isinstance(error, AnnotationError):
        return AnnotationError(f"{place}: {error.what}", got=error.got, expected=error.expected, do=error.do)
    got = "nested too deeply" if isinstance(error, RecursionError) else f"{type(error).__name__}: {error}"[:200]
    return AnnotationError(f"{place}: this is no annotation.", got=got)
