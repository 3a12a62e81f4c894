"""Reading and appending to the files of a folder of annotations; nothing here knows what a record means.

Limits on what is read: 10,000 files of 64 MiB, lines of a million bytes. Links and whatever is no plain file are left
out, so that a stranger's folder can neither point elsewhere nor make reading wait.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from saewidgets.annotations.records import LINE_LIMIT, BadLineError, Event, read_line
from saewidgets.errors import StoreError
from saewidgets.results.annotation import Problem

FILE_LIMIT = 64 * 2**20
FILES_LIMIT = 10_000
SUFFIX = ".jsonl"
BOM = b"\xef\xbb\xbf"  # editors of Windows put it before the first line
END = 256  # bytes by which a file that grew is told from one that was written anew


@dataclass
class ReadFile:
    """How far one file has been read, and what was found in it.

    ``others`` are the lines that are no records of this version, as they stand; ``tail`` is the problem of a last line
    without its end, which may still be being written; ``end`` are the last bytes before ``offset``.
    """

    inode: int = 0
    size: int = 0
    modified: int = 0
    offset: int = 0
    lines: int = 0
    events: list[Event] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    tail: Problem | None = None
    end: bytes = b""


def listed(folder: Path) -> tuple[dict[str, os.stat_result], list[Problem]]:
    """The files of a folder by name, and what was left out; a file that goes meanwhile is none of them.

    Raises:
        FileNotFoundError: There is no such folder.
        StoreError: It cannot be read, or is no folder.
    """
    found: dict[str, os.stat_result] = {}
    problems: list[Problem] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not entry.name.endswith(SUFFIX):
                    continue
                try:
                    state = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if not stat.S_ISREG(state.st_mode):
                    problems.append(Problem(entry.name, 0, "a link or no plain file; it was not read"))
                elif len(found) >= FILES_LIMIT:
                    problems.append(Problem(entry.name, 0, f"more than {FILES_LIMIT:,} files; it was not read"))
                else:
                    found[entry.name] = state
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError("The annotations cannot be read.", got=f"{folder}: {error.strerror or error}") from error
    return found, problems


def unchanged(known: ReadFile | None, state: os.stat_result) -> bool:
    """Whether a file is as it was when it was read."""
    return known is not None and (known.inode, known.size, known.modified) == _seen(state)


def _seen(state: os.stat_result) -> tuple[int, int, int]:
    return (state.st_ino, state.st_size, state.st_mtime_ns)


def room(lines: Iterable[bytes], size: int = 0) -> int:
    """How many of these lines a file of this size has room for, so that all of it is read."""
    return bisect_right(list(accumulate(map(len, lines))), FILE_LIMIT - size)


def grown(known: ReadFile, events: list[Event], state: os.stat_result) -> None:
    """Note what this process itself has appended, so that it need not be read."""
    lines = b"".join(event.line for event in events)
    known.events += events
    known.inode, known.size, known.modified = _seen(state)
    known.offset, known.lines, known.end = state.st_size, known.lines + len(events), (known.end + lines)[-END:]


def read_file(path: Path, state: os.stat_result, known: ReadFile | None = None) -> ReadFile:
    """Read a file, or what was appended to it since it was read.

    Args:
        path: The file.
        state: What the system says of it now.
        known: What has been read of it; a file that was replaced or shortened is read anew.
    """
    result = ReadFile() if known is None or known.inode != state.st_ino or state.st_size <= known.size else known
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        result = ReadFile(*_seen(state))
        result.tail = Problem(path.name, 0, f"it cannot be read: {error.strerror or error}")
        return result
    with os.fdopen(descriptor, "rb") as file:
        file.seek(result.offset - len(result.end))
        if file.read(len(result.end)) != result.end:
            result = ReadFile()
            file.seek(0)
        result.inode, result.size, result.modified = _seen(state)
        result.tail = None
        while _read_one(file, path.name, result):
            pass
    return result


def _read_one(file: BinaryIO, name: str, result: ReadFile) -> bool:
    """Read the next line of a file; False at its end."""
    start = result.offset
    line = file.readline(LINE_LIMIT + 1)
    if not line:
        return False
    if start + len(line) > FILE_LIMIT:
        result.tail = Problem(name, result.lines + 1, f"beyond {FILE_LIMIT // 2**20} MiB; the rest was not read")
        return False
    number, length = result.lines + 1, len(line)
    if not start:
        line = line.removeprefix(BOM)
    too_long = len(line) > LINE_LIMIT
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = file.readline(LINE_LIMIT)
        length += len(rest)
    whole = rest.endswith(b"\n")
    blank = not too_long and not line.strip()
    try:
        event = None if blank else read_line(line + b"\n" if not whole and not too_long else line)
    except BadLineError as error:
        if not whole:
            result.tail = Problem(name, number, f"the last line has no end; {error}")
            return False
        result.problems.append(Problem(name, number, str(error)))
        if not too_long:
            result.others.append(line)
    else:
        result.events += [] if event is None else [event]
        if not whole:
            return False  # read again when more has come; the same record twice is once
    result.offset, result.lines, result.end = start + length, number, (result.end + rest)[-END:]
    return True


def append(path: Path, lines: bytes, expected: tuple[int, int] | None) -> os.stat_result:
    """Add whole lines to the end of a file and wait until they are on disk.

    Args:
        path: The file; made, with its folder, where there is none.
        lines: The lines, with their ends.
        expected: Inode and size that it must have; None: it must not exist yet.

    Returns:
        What the system says of it now.

    Raises:
        FileChangedError: It is not as expected; nothing was written.
        OSError: Not all could be written; what was written of it has been cut off again where that was possible.
    """
    flags = os.O_WRONLY | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    if expected is None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags |= os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, 0o666)
    except (FileExistsError, FileNotFoundError) as error:
        raise FileChangedError(str(error)) from error
    try:
        state = os.fstat(descriptor)
        if expected is not None and (state.st_ino, state.st_size) != expected:
            raise FileChangedError(f"{path} was changed by somebody else")
        _write_whole(descriptor, lines, state.st_size)
        state = os.fstat(descriptor)
    except OSError:
        if expected is None:
            with suppress(OSError):
                path.unlink()
        raise
    finally:
        os.close(descriptor)
    if expected is None:
        _sync_folder(path.parent)
    return state


def _write_whole(descriptor: int, lines: bytes, size: int) -> None:
    """Write all, to the disk and not only to the system's memory, or leave the file as it was."""
    written = 0
    try:
        while written < len(lines):
            written += os.write(descriptor, lines[written:])
        os.fsync(descriptor)
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power cut; a system that cannot (Windows) is let be."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    with suppress(OSError):
        os.fsync(descriptor)
    os.close(descriptor)


class FileChangedError(Exception):
    """A file that was to be appended to is not as it was left."""
