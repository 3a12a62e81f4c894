"""Lets several threads run one TransformerBridge at the same time.

A bridge keeps the batch size of the pass that is under way as an attribute of its positional embedding, where the pass
of another thread, such as a view's worker beside a running cell, overwrites it: the wrong number of rows comes out, or
an error. Here the attribute belongs to the thread. No weight and no hook is touched.
"""

from __future__ import annotations

import threading
import weakref
from typing import Any

NAME = "_current_batch_size"


class _Held(threading.local):
    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()


class PerThread:
    """An attribute whose value each thread has for itself; None where it has set none."""

    def __init__(self) -> None:
        self._held = _Held()

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        return self if owner is None else self._held.of.get(owner)

    def __set__(self, owner: Any, value: Any) -> None:
        self._held.of[owner] = value


def separate_threads(model: Any) -> None:
    """Give the batch size of a bridge's pass to the thread that makes it; other models are left as they are."""
    kinds = type(getattr(model, "pos_embed", None)).__mro__
    kind = next((each for each in kinds if each.__name__ == "PosEmbedBridge"), None)
    if kind is not None and not isinstance(vars(kind).get(NAME), PerThread):
        setattr(kind, NAME, PerThread())
