"""Who wants to hear of changes."""

from __future__ import annotations

import numbers
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from saewidgets.annotations.polling import Poll
from saewidgets.errors import AnnotationError
from saewidgets.results.annotation import Target
from saewidgets.results.steering_vector import Number

Observer = Callable[[frozenset[Target]], object]

LONGEST = 4_000_000
"""Seconds between two looks at most: what every system can wait."""


class Observers:
    """Functions that are called with the targets that changed."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Observer] = {}

    def __len__(self) -> int:
        return len(self._callbacks)

    def add(self, callback: Observer) -> Callable[[], None]:
        """Call a function from now on; what is returned ends it."""
        token = object()
        self._callbacks[token] = callback

        def end() -> None:
            self._callbacks.pop(token, None)

        return end

    def tell(self, targets: frozenset[Target]) -> None:
        """Call each with what changed; nobody is called for nothing."""
        for callback in list(self._callbacks.values()) if targets else ():
            try:
                callback(targets)
            except Exception as error:  # noqa: BLE001 - one view's fault is neither the writer's nor another view's
                warnings.warn(f"an observer of annotations failed: {error!r}", RuntimeWarning, stacklevel=3)


class Observed:
    """Base of a store that others listen to."""

    def __init__(self) -> None:
        self._observers = Observers()
        self._poll = Poll(self.poll)
        self._version = 0

    @property
    def refresh_every(self) -> Number | None:
        """Seconds after which the folder is looked at again; None: only ``refresh`` does. May be set."""
        return self._refresh_every

    @refresh_every.setter
    def refresh_every(self, seconds: Any) -> None:
        number = float(seconds) if isinstance(seconds, numbers.Real) and not isinstance(seconds, bool) else -1.0
        if seconds is not None and not 0 <= number <= LONGEST:
            expected = f"seconds from 0 to {LONGEST:,}, or None"
            raise AnnotationError("This is no time between two looks.", got=repr(seconds)[:80], expected=expected)
        self._refresh_every = None if seconds is None else number

    def poll(self) -> None:
        """Look for what others have changed; it raises nothing."""
        raise NotImplementedError

    def observe(self, callback: Observer) -> Callable[[], None]:
        """Have a function called with the targets that changed, by whomever; in the thread that found out.

        While anybody observes, one thread of this store looks at the folder, twice in ``refresh_every`` seconds.

        Returns:
            Ends it.
        """
        forget = self._observers.add(callback)
        if self.refresh_every is not None:
            self._poll.begin(self.refresh_every / 2)

        def end() -> None:
            forget()
            if not len(self._observers):
                self._poll.end()

        return end

    def _tell(self, changed: Iterable[Target]) -> None:
        targets = frozenset(changed)
        self._version += bool(targets)
        self._observers.tell(targets)
