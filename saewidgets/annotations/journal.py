"""The files of a folder as one session sees them: what others wrote, and the file that it appends to."""

from __future__ import annotations

import getpass
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path

from saewidgets.annotations.files import (
    SUFFIX,
    FileChangedError,
    ReadFile,
    append,
    grown,
    listed,
    read_file,
    room,
    unchanged,
)
from saewidgets.annotations.records import Event
from saewidgets.errors import AnnotationError, StoreError
from saewidgets.results.annotation import Problem
from saewidgets.views.files import named


class Journal:
    """A folder, and the session that writes into it.

    A session appends to a file of its own, and begins another one as soon as somebody else has touched it (git, an
    editor), so that no file ever has two writers and two branches of git never hold one file with two ends; and as soon
    as it is full, so that all that is written is read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.session = uuid.uuid4().hex[:12]
        self.pending: list[Event] = []
        self.left_out: list[Problem] = []
        self._files: dict[str, ReadFile] = {}
        self._own: str | None = None
        self._part = 1

    @property
    def problems(self) -> list[Problem]:
        """What was not read, and why."""
        found = [problem for file in self._files.values() for problem in file.problems]
        tails = [file.tail for file in self._files.values() if file.tail is not None]
        return sorted([*self.left_out, *found, *tails])

    @property
    def events(self) -> list[Event]:
        """All that was read and written."""
        return [event for file in self._files.values() for event in file.events] + self.pending

    def look(self) -> tuple[list[Event], bool]:
        """Read what has changed.

        Returns:
            The events that came, and whether some have gone, so that all must be folded anew.

        Raises:
            StoreError: The folder cannot be read.
        """
        try:
            found, self.left_out = listed(self.folder)
        except FileNotFoundError:  # nothing has been written yet
            found, self.left_out = {}, []
        gone = self._files.keys() - found.keys()
        changed = sorted(name for name, state in found.items() if not unchanged(self._files.get(name), state))
        if self._own in {*changed, *gone}:
            self._leave_file()
        came: list[Event] = []
        anew = bool(gone)
        for name in changed:
            known = self._files.get(name)
            count = len(known.events) if known else 0
            read = self._files[name] = read_file(self.folder / name, found[name], known)
            if known is not None and read is not known:
                anew = True
            came += read.events[count:] if read is known else read.events
        for name in gone:
            del self._files[name]
        return came, anew

    def flush(self) -> None:
        """Put on disk what is pending.

        Raises:
            StoreError: Not all can be; what is not on disk stays pending.
        """
        try:
            while self.pending:
                self._append()
        except OSError as error:
            raise StoreError(
                "The annotation was not saved.",
                got=f"{self.folder}: {error.strerror or error}",
                expected="a folder that can be written to, on a disk with free space",
                do="it is kept in memory: call .save() when there is room, or .move(folder)",
            ) from error

    def _append(self) -> None:
        """Append as much of what is pending as the session's file has room for."""
        for _ in range(100):
            known = self._files.get(self._own) if self._own is not None else None
            if self._own is None:
                part = "" if self._part == 1 else f"-{self._part}"
                self._own = f"{datetime.now(UTC):%Y%m%d}-{self.session}{part}{SUFFIX}"
            count = room((event.line for event in self.pending), known.size if known else 0)
            lines, expected = self.pending[:count], (known.inode, known.size) if known else None
            if not lines:
                self._leave_file()
                continue
            try:
                state = append(self.folder / self._own, b"".join(event.line for event in lines), expected)
            except FileChangedError:
                self._leave_file()
            except OSError:
                if known is None:
                    self._own = None
                raise
            else:
                grown(self._files.setdefault(self._own, ReadFile()), lines, state)
                del self.pending[:count]
                return
        raise OSError("the session's files are changed by somebody else again and again")

    def _leave_file(self) -> None:
        self._own = None
        self._part += 1

    def moved(self, folder: Path) -> Journal:
        """The same session in another folder, with what is pending here; this one stays as it is."""
        other = Journal(folder)
        other.session, other.pending, other._part = self.session, self.pending[:], self._part + 1
        return other


def own_name() -> str:
    """Who writes where nobody is named: the environment's ``SAEWIDGETS_AUTHOR``, else the name of the user."""
    try:
        name = os.environ.get("SAEWIDGETS_AUTHOR") or getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container without names of users
        name = ""
    name = name.encode("utf-8", "ignore").decode()
    return "".join(c for c in name if c not in ";=\n\r").strip()[:100].strip() or "somebody"


def whole_path(folder: str | os.PathLike[str]) -> Path:
    """The one path of a folder, whether there is one or not."""
    return Path(os.path.realpath(named(folder, AnnotationError)))
