"""Folders of annotations as a whole: merging two people's, and looking whether all can be read."""

from __future__ import annotations

import io
import json
import os
import stat
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from saewidgets.annotations.exchange import write_file
from saewidgets.annotations.files import BOM, SUFFIX, listed, read_file, room
from saewidgets.annotations.fold import Fold
from saewidgets.errors import StoreError
from saewidgets.results.annotation import Annotation, Problem


class Report(NamedTuple):
    """What a folder, or one file of it, holds; ``problems`` are the lines and files that were not read."""

    files: int
    records: int
    annotations: tuple[Annotation, ...]
    problems: tuple[Problem, ...]


def check(folder: str | os.PathLike[str]) -> Report:
    """Read a folder of annotations, or one file of it, and say what cannot be read.

    Raises:
        StoreError: There is no such folder or file, or it cannot be read.
    """
    fold = Fold()
    paths, problems = _paths(Path(folder).expanduser())
    for path, state in paths.items():
        read = read_file(path, state)
        for event in read.events:
            fold.add(event)
        problems += read.problems + ([read.tail] if read.tail is not None else [])
    return Report(len(paths), len(fold), tuple(fold.values()), tuple(sorted(problems)))


def merge(sources: Sequence[str | os.PathLike[str]] | str | os.PathLike[str], out: str | os.PathLike[str]) -> Report:
    """Put several people's folders into a new one; their order makes no difference, nor how often one is named.

    Files that only one has, or that are the same, are copied as they are. Of a file that several have in different
    states every line is kept once, those that are no records of this version too; of a line that was cut the whole one
    is kept. What is too much for one file goes on in another. To merge into a folder that you use, copy the files of
    the other into it: that is all.

    Args:
        sources: Folders, or single files of them, whatever these are called; or one of these. They are only read.
        out: A folder that does not exist yet, or is empty.

    Returns:
        What ``out`` holds; ``problems`` names the links and the like in the sources too, which were not copied.

    Raises:
        StoreError: A source cannot be read, or ``out`` cannot be written or is not empty.
    """
    target = Path(out).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(
            "This is where the merged annotations would go.", got=target, expected="an empty folder, or none"
        )
    versions: dict[str, set[bytes]] = {}
    left_out: set[Problem] = set()
    for source in [sources] if isinstance(sources, str | os.PathLike) else sources:
        paths, problems = _paths(Path(source).expanduser())
        left_out |= {problem._replace(file=str(Path(source, problem.file))) for problem in problems}
        for path in paths:
            name = path.name if path.name.endswith(SUFFIX) else path.name + SUFFIX
            try:
                versions.setdefault(name, set()).add(path.read_bytes())
            except OSError as error:
                raise StoreError("A file cannot be read.", got=f"{path}: {error.strerror or error}") from error
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("The folder cannot be made.", got=f"{target}: {error.strerror or error}") from error
    while versions:
        name = min(versions)
        lines = io.BytesIO(_union(versions.pop(name))).readlines()
        count = max(room(lines), 1)
        write_file(target / name, b"".join(lines[:count]))
        if lines[count:]:
            versions.setdefault(_next(name), set()).add(b"".join(lines[count:]))
    report = check(target)
    return report._replace(problems=(*sorted(left_out), *report.problems))


def _paths(source: Path) -> tuple[dict[Path, os.stat_result], list[Problem]]:
    """The files of a source and what the system says of them, and what was left out."""
    try:
        state = source.stat()
        if stat.S_ISREG(state.st_mode):
            return {source.resolve(): state}, []
        found, problems = listed(source)
    except OSError as error:
        raise StoreError(
            "There are no annotations here.",
            got=f"{source}: {error.strerror or error}",
            expected=f"a folder of {SUFFIX} files, or one file",
        ) from error
    return {source / name: found[name] for name in sorted(found)}, problems


def _next(name: str) -> str:
    """Where a file goes on; it comes later in the order of names, and so is still to be written."""
    return f"{name.removesuffix(SUFFIX)}_more{SUFFIX}"


def _union(contents: set[bytes]) -> bytes:
    """Every line of several states of one file, once, in an order that does not depend on which came first.

    What a cut line begins is told by the next one in the order of bytes: lines that begin alike stand together.
    """
    if len(contents) == 1:
        return next(iter(contents))
    states = (data.removeprefix(BOM).split(b"\n") for data in contents)
    lines = sorted({line.rstrip(b"\r") for state in states for line in state if line.strip()})
    whole = [line for line, other in pairwise([*lines, b""]) if not _cut(line, other)]
    return b"".join(line + b"\n" for line in sorted(whole, key=_place))


def _cut(line: bytes, other: bytes) -> bool:
    """Whether a line is the beginning of another one, and nothing on its own."""
    if not other.startswith(line):
        return False
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return True
    return False


def _place(line: bytes) -> tuple[int, bytes]:
    """The number of a record in its session, as far as it can be told without trusting the line."""
    digits = line.partition(b'"id": "')[2][13:25].partition(b'"')[0]
    return (int(digits) if digits.isdigit() else 2**63, line)
