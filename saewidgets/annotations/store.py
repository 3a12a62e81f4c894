"""Annotations in a folder of plain files, which several kernels and notebooks may write at once."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saewidgets.annotations.agreement import agreement_of
from saewidgets.annotations.exchange import operations_of, write_annotations
from saewidgets.annotations.fold import Fold
from saewidgets.annotations.journal import Journal, own_name, whole_path
from saewidgets.annotations.observers import Observed
from saewidgets.annotations.records import Event, checked_name, make_event, microseconds_of, operation_of, time_of
from saewidgets.annotations.tables import annotations_frame, check_kind
from saewidgets.errors import StoreError
from saewidgets.results.agreement import Agreement
from saewidgets.results.annotation import Annotation, Problem, Target
from saewidgets.results.steering_vector import Number

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_FOLDER = "saewidgets_annotations"


class AnnotationStore(Observed):
    """A folder of annotations: one file for each session, to which only that session appends.

    Nothing is made on disk before the first write. A call that returns has its record on disk (written and fsynced);
    one that raises :class:`~saewidgets.errors.StoreError` keeps it in memory until :meth:`save` succeeds. What others
    write into the folder is seen by :meth:`refresh`, by any read that comes ``refresh_every`` seconds after the last
    look, and within that time by all who :meth:`observe`. It may be used from several threads.

    Args:
        folder: Where the files are; made at the first write.
        author: Who writes; by default the environment's ``SAEWIDGETS_AUTHOR``, else the name of the user.
        refresh_every: Seconds after which the folder is looked at again; None: only :meth:`refresh` does.

    Raises:
        AnnotationError: The author is no name.

    Example:
        >>> store = AnnotationStore("my_notes", author="ann")  # doctest: +SKIP
        >>> target = Target("feature", "gpt2", "blocks.8.hook_resid_pre", sae.content_hash, 7)  # doctest: +SKIP
        >>> store.annotate(target, label="London", tags=["place"]).label  # doctest: +SKIP
        'London'
    """

    def __init__(
        self, folder: str | os.PathLike[str] = DEFAULT_FOLDER, author: Any = None, *,
        refresh_every: Number | None = 1.0,
    ) -> None:  # fmt: skip
        self.author = own_name() if author is None else author
        self.refresh_every = refresh_every
        super().__init__()
        self._lock = threading.RLock()
        self._fold = Fold()
        self._looked = -float("inf")
        self._begin_session(whole_path(folder))

    def __repr__(self) -> str:
        return f"AnnotationStore({str(self.folder)!r}, author={self.author!r})"

    def _begin_session(self, folder: Path) -> None:
        self._journal = Journal(folder)
        self._process = os.getpid()
        self._number = 0
        self._mine: list[str] = []

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._journal.folder

    @property
    def session(self) -> str:
        """Twelve hexadecimal digits that stand in this session's records and in the names of its files."""
        return self._journal.session

    @property
    def author(self) -> str:
        """Who writes, and rates and stars where nobody else is named; may be set."""
        return self._author

    @author.setter
    def author(self, author: Any) -> None:
        self._author = checked_name(author, "The author")

    # ---- reading -------------------------------------------------------------------------------------------------

    def annotation(self, target: Target) -> Annotation:
        """What has been said about a target; an empty one where nothing has."""
        self._look()
        with self._lock:
            return self._fold.annotation(target)

    def label(self, target: Target) -> str | None:
        """What a view shows in place of the target's number, on one line; None where nobody gave it a label."""
        return self.annotation(target).shown_label

    def labels(self, hook: str, sae: str) -> dict[int, str]:
        """What views show for the features of one SAE, given its hook and content hash."""
        self._look()
        with self._lock:
            return self._fold.labels(hook, sae)

    @property
    def version(self) -> int:
        """A number that grows with every change, so that what was made from it can be kept until then."""
        self._look()
        return self._version

    def annotations(self, kind: str | None = None) -> tuple[Annotation, ...]:
        """Everything that has been said, target by target; of one kind only where it is named."""
        check_kind(kind)
        self._look()
        with self._lock:
            return tuple(one for one in self._fold.values() if kind is None or one.target.kind == kind)

    def to_frame(self) -> pd.DataFrame:
        """One row a target: kind, model, hook, sae, feature, prompt, position, name, label, note, tags, ..."""
        return annotations_frame(self.annotations())

    def agreement(self, first: str, second: str, kind: str | None = None) -> Agreement:
        """How far two raters agree over all that both have rated, or over targets of one kind: weighted kappa."""
        return agreement_of(self.annotations(kind), first, second)

    def export(self, path: str | os.PathLike[str], kind: str | None = None) -> None:
        """Write what stands to one ``.csv`` or ``.json`` file; its history stays in the folder.

        Raises:
            AnnotationError: Another ending.
            StoreError: It cannot be written.
        """
        write_annotations(self.annotations(kind), path)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Lines and files that were not read, and why; they stay on disk as they are."""
        self._look()
        with self._lock:
            return tuple(self._journal.problems)

    @property
    def events(self) -> tuple[Event, ...]:
        """Every record in order."""
        self._look()
        with self._lock:
            return tuple(self._fold.events)

    def __len__(self) -> int:
        self._look()
        return len(self._fold)

    def __bool__(self) -> bool:
        return True

    def refresh(self) -> frozenset[Target]:
        """Read what has changed in the folder.

        Returns:
            The targets that may have changed.

        Raises:
            StoreError: The folder cannot be read.
        """
        with self._lock:
            changed = self._read()
        self._tell(changed)
        return frozenset(changed)

    def _read(self) -> set[Target]:
        """Take in what has changed in the folder; observers are told later, without the lock."""
        self._looked = time.monotonic()
        came, anew = self._journal.look()
        changed = {target for event in came if (target := self._fold.add(event))}
        return changed | self._rebuild() if anew else changed

    def _rebuild(self) -> set[Target]:
        """Fold everything anew, where files have been changed in other ways than by adding to them."""
        former = {one.target: one for one in self._fold.values()}
        self._fold = Fold(self._journal.events)
        now = {one.target: one for one in self._fold.values()}
        return {target for target in former.keys() | now.keys() if former.get(target) != now.get(target)}

    def _look(self) -> None:
        """Refresh where the last look is long ago; a folder that cannot be read is a problem, not an error, here."""
        first = self._looked == -float("inf")
        if not first and (self.refresh_every is None or time.monotonic() < self._looked + self.refresh_every):
            return
        self.poll()

    def poll(self) -> None:
        """Refresh as reads do, and as a thread does for those who observe: it raises nothing, and writes nothing."""
        try:
            self.refresh()
        except StoreError as error:
            self._journal.left_out = [Problem(str(self.folder), 0, str(error.got))]

    # ---- writing -------------------------------------------------------------------------------------------------

    def annotate(
        self, target: Target, label: Any = None, note: Any = None, tags: Any = (), stars: bool | None = None, *,
        untag: Any = (), pin: Any = None, unpin: Any = None, edits: Any = None,
    ) -> Annotation:  # fmt: skip
        """Say something about a target; what is not given stays as it is, and all of it is one record.

        Args:
            target: What it is about.
            label: A short name, one line; "" takes it away.
            note: Plain text; "" takes it away.
            tags: Tags to add.
            stars: True: the author stars it; False: no longer.
            untag: Tags to remove.
            pin: An example to pin: its text, and the token meant.
            unpin: A pinned example to let go of.
            edits: Of a steering preset: its edits as JSON.

        Returns:
            What stands now.

        Raises:
            AnnotationError: Something in it cannot be kept; nothing was changed.
            StoreError: It was not saved; it is kept in memory.
        """
        told = {"label": label, "note": note, "edits": edits}
        add = {"tags": tags, "stars": self.author if stars else (), "pins": pin}
        remove = {"tags": untag, "stars": self.author if stars is False else (), "pins": unpin}
        self.write([(target, operation_of(told, add, remove))])
        return self.annotation(target)

    def rate(self, target: Target, score: Any, rater: Any = None) -> Annotation:
        """Rate how specific a feature, or one example of it, is: a :class:`Rating`; None takes the rating away.

        Args:
            target: What is rated.
            score: 0, 1, 2 or 3.
            rater: Who rates; by default the author.

        Raises:
            AnnotationError: Not such a score, or no name.
            StoreError: It was not saved; it is kept in memory.
        """
        name = self.author if rater is None else checked_name(rater, "A rater")
        self.write([(target, {"rate": {name: score}})])
        return self.annotation(target)

    def undo(self) -> Target | None:
        """Take back this session's last change that stands, by one more record; None where there is none.

        Raises:
            StoreError: It was not saved; it is kept in memory.
        """
        with self._lock:
            self._check_process()
            standing = (each for each in reversed(self._mine) if each in self._fold and not self._fold.undone(each))
            last = next(standing, None)
            target = None if last is None else self._fold.target_of(last)
        if last is not None:
            self.write([(None, {"undo": last})])
        return target

    def import_file(
        self, path: str | os.PathLike[str], base: Target | None = None, source: str | None = None,
        d_sae: int | None = None,
    ) -> int:  # fmt: skip
        """Take in a file, as :func:`saewidgets.annotations.exchange.operations_of` reads it; all of it or nothing.

        Returns how many records it made.

        Raises:
            AnnotationError: The file cannot be read, or is something else.
            StoreError: It was not saved; it is kept in memory.
        """
        return len(self.write(operations_of(path, base, source, d_sae)))

    def write(self, operations: Iterable[tuple[Target | None, dict[str, Any]]]) -> tuple[Event, ...]:
        """Write one record for each operation; they reach the disk together.

        Args:
            operations: Targets, and what is done, as in :mod:`saewidgets.annotations.records`.

        Raises:
            AnnotationError: Something in it cannot be kept; nothing was changed.
            StoreError: They were not saved; they are kept in memory.
        """
        self._look()
        failed = None
        with self._lock:
            self._check_process()
            moment, events = self._now(), []
            for n, (target, op) in enumerate(operations):
                number = self._number + n + 1
                events.append(make_event(self.session, number, time_of(moment + n), self.author, target, op))
            self._number += len(events)
            changed = {target for event in events if (target := self._fold.add(event))}
            self._mine += [event.id for event in events if event.undo is None]
            self._journal.pending += events
            try:
                self._journal.flush()
            except StoreError as error:
                failed = error
        self._tell(changed)
        if failed is not None:
            raise failed
        return tuple(events)

    @property
    def unsaved(self) -> int:
        """How many records are in memory only, because the disk refused them."""
        return len(self._journal.pending)

    def save(self) -> None:
        """Write what could not be written before; nothing where all is on disk.

        Raises:
            StoreError: It still cannot.
        """
        with self._lock:
            self._journal.flush()

    def move(self, folder: str | os.PathLike[str]) -> None:
        """Write to, and read from, another folder from now on; what was not saved is saved there.

        Raises:
            StoreError: It cannot be read or written to; the store stays where it was.
        """
        with self._lock:
            journal = self._journal.moved(whole_path(folder))
            journal.look()
            journal.flush()
            self._journal, self._looked = journal, time.monotonic()
            changed = self._rebuild()
        self._tell(changed)

    def _check_process(self) -> None:
        """A forked process is a session of its own."""
        if os.getpid() != self._process:
            self._begin_session(self.folder)

    def _now(self) -> int:
        """Microseconds since 1970, later than all that has been seen, whatever the clocks say."""
        seen = microseconds_of(self._fold.latest) + 1 if self._fold.latest else 0
        return max(time.time_ns() // 1000, seen)
