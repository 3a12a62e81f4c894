"""Folders of annotations as a whole: merging two people's, and looking whether all can be read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from saewidgets.annotations.exchange import write_file
from saewidgets.annotations.files import SUFFIX, listed, read_file
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
    fold, problems = Fold(), []
    paths, left_out = _paths(Path(folder).expanduser())
    problems += left_out
    for path in paths:
        read = read_file(path, path.stat())
        for event in read.events:
            fold.add(event)
        problems += read.problems + ([read.tail] if read.tail is not None else [])
    return Report(len(paths), len(fold), tuple(fold.values()), tuple(sorted(problems)))


def merge(sources: Sequence[str | os.PathLike[str]], out: str | os.PathLike[str]) -> Report:
    """Put several people's folders into a new one; their order makes no difference, nor how often one is named.

    Files that only one has, or that are the same, are copied as they are. Of a file that several have in different
    states every line is kept once, those that are no records of this version too. To merge into a folder that you use,
    copy the files of the other into it: that is all.

    Args:
        sources: Folders, or single files of them; they are only read.
        out: A folder that does not exist yet, or is empty.

    Raises:
        StoreError: A source cannot be read, or ``out`` cannot be written or is not empty.
    """
    target = Path(out).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(
            "This is where the merged annotations would go.", got=target, expected="an empty folder, or none"
        )
    versions: dict[str, set[bytes]] = {}
    for source in sources:
        for path in _paths(Path(source).expanduser())[0]:
            try:
                versions.setdefault(path.name, set()).add(path.read_bytes())
            except OSError as error:
                raise StoreError("A file cannot be read.", got=f"{path}: {error.strerror or error}") from error
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError("The folder cannot be made.", got=f"{target}: {error.strerror or error}") from error
    for name, contents in sorted(versions.items()):
        write_file(target / name, _union(contents))
    return check(target)


def _paths(source: Path) -> tuple[list[Path], list[Problem]]:
    if source.is_file():
        return [source], []
    if not source.is_dir():
        raise StoreError(
            "There are no annotations here.", got=source, expected=f"a folder of {SUFFIX} files, or one file"
        )
    found, problems = listed(source)
    return [source / name for name in sorted(found)], problems


def _union(contents: set[bytes]) -> bytes:
    """Every line of several states of one file, once, in an order that does not depend on which came first.

    Of files that only grew, the longest is the union, and stays as it is.
    """
    longest = max(contents, key=lambda data: (len(data), data))
    if all(longest.startswith(data) for data in contents):
        return longest
    lines = {line for data in contents for line in data.split(b"\n") if line.strip()}
    return b"".join(line + b"\n" for line in sorted(lines, key=_place))


def _place(line: bytes) -> tuple[int, bytes]:
    """The number of a record in its session, as far as it can be told without trusting the line."""
    digits = line.partition(b'"id": "')[2][13:25].partition(b'"')[0]
    return (int(digits) if digits.isdigit() else 2**63, line)
