"""Threads of Python take turns more often while work that was asked to stop still runs.

A thread that computes in Python gives way every 5 ms only, and a forward pass on another waits for it at each of its
hundreds of small operations: a second may go by before the next place where it can end.
"""

from __future__ import annotations

import sys
import threading

TURN = 0.0005
"""Seconds."""


class Hurry:
    """Work that is waited for; while there is any, turns are short."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._works: set[object] = set()
        self._usual = 0.0

    def begin(self, work: object) -> None:
        """Hurry until ``end(work)``."""
        with self._lock:
            if not self._works:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual, TURN))
            self._works.add(work)

    def end(self, work: object) -> None:
        """Hurry no more for this work; as usual once it was the last."""
        with self._lock:
            if work in self._works:
                self._works.remove(work)
                if not self._works:
                    sys.setswitchinterval(self._usual)


hurry = Hurry()
