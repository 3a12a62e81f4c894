"""A look at the folder now and then, for as long as anybody wants to hear of changes."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Callable
from queue import Empty, SimpleQueue

from saewidgets.results.steering_vector import Number

THREAD = "saewidgets-annotations"
"""Name of the threads that look."""

SHARE = 20
"""A look that takes long is followed by a pause of so many times its length."""


class Poll:
    """Calls a method every so often, on a thread of its own, between :meth:`begin` and :meth:`end`.

    The thread does not keep the method's object alive, ends with it, and tells nobody what the method raises.

    Args:
        look: A method.

    Example:
        >>> class Clock:
        ...     def tick(self): ...
        >>> clock = Clock()
        >>> poll = Poll(clock.tick)
        >>> poll.begin(0.5)
        >>> poll.end()
    """

    def __init__(self, look: Callable[[], object]) -> None:
        self._look = weakref.WeakMethod(look)
        # A SimpleQueue, because :meth:`end` is called by finalizers too, in the middle of anything.
        self._bell: SimpleQueue[None] | None = None
        self.thread: threading.Thread | None = None

    def begin(self, every: Number) -> None:
        """Call it from now on, with pauses of so many seconds; nothing where that is so already."""
        if self._bell is not None and self.thread is not None and self.thread.is_alive():
            return
        bell: SimpleQueue[None] = SimpleQueue()
        self._bell = bell
        self.thread = threading.Thread(target=_serve, args=(weakref.ref(self), bell, every), name=THREAD, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Call it no more."""
        bell, self._bell, self.thread = self._bell, None, None
        if bell is not None:
            bell.put(None)

    def turn(self, bell: SimpleQueue[None]) -> Number | None:
        """Call it once; the seconds that it took, None where a thread of this bell has nothing more to do."""
        call = self._look() if self._bell is bell else None
        if call is None:
            return None
        begun = time.monotonic()
        with contextlib.suppress(Exception):
            call()
        return time.monotonic() - begun


def _serve(poll: weakref.ref[Poll], bell: SimpleQueue[None], every: Number) -> None:
    """The life of the thread."""
    pause = every
    while not _rung(bell, pause):
        mine = poll()
        took = None if mine is None else mine.turn(bell)
        if took is None:
            return
        del mine
        pause = max(every, SHARE * took)


def _rung(bell: SimpleQueue[None], seconds: Number) -> bool:
    try:
        bell.get(timeout=seconds)
    except Empty:
        return False
    return True
