"""Who wants to hear of changes."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from saewidgets.results.annotation import Target

Observer = Callable[[frozenset[Target]], object]


class Observers:
    """Functions that are called with the targets that changed."""

    def __init__(self) -> None:
        self._callbacks: dict[object, Observer] = {}

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
