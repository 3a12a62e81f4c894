"""Who wants to hear of changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable

from saewidgets.annotations.polling import Poll
from saewidgets.results.annotation import Target
from saewidgets.results.steering_vector import Number

Observer = Callable[[frozenset[Target]], object]


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

    refresh_every: Number | None

    def __init__(self) -> None:
        self._observers = Observers()
        self._poll = Poll(self.poll)
        self._version = 0

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
