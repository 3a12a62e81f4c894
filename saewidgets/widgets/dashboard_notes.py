"""What people say of the feature on the screen, and how a view hears of it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from saewidgets.annotations.polling import THREAD
from saewidgets.errors import AnnotationError
from saewidgets.results import Annotation, FeatureId
from saewidgets.results.feature_stats import FeatureStats
from saewidgets.views.remarks import people_say
from saewidgets.widgets.dashboard_pins import pinned
from saewidgets.widgets.dashboard_wire import Said
from saewidgets.widgets.wire import labels_in, labels_of
from saewidgets.widgets.worker import _forget_the_cell


def said_of(lab: Any, stats: FeatureStats) -> Said:
    """What stands now; no SAE is hashed where nothing has been said of anything.

    Args:
        lab: Keeps the annotations; one that keeps none has labels only.
        stats: The feature.
    """
    held = lab.saes.get(stats.feature.sae)
    shown = labels_of(labels_in(lab, stats.feature.sae))(stats.feature.index) or stats.label
    store = getattr(lab, "annotations", None)
    if store is None or held is None or not len(store):
        return Said(shown)
    found = lab.annotation(str(stats.feature))
    mine = store.author in found.stars
    label = found.shown_label or shown
    pins = pinned(lab, stats.feature.sae, found.pins)
    own = (found.label or "", found.note or "", found.tags, len(found.stars), mine)
    return Said(label, *own, tuple(people_say(found)), pins)


def annotate(lab: Any, feature: FeatureId, message: Mapping[str, Any]) -> None:
    """Keep what the browser says: ``label``, ``note``, ``star`` (yes or no), ``tags`` (all that there shall be).

    Raises:
        AnnotationError: Something in it cannot be kept; nothing was changed.
        StoreError: It was not saved; it is kept in memory.
    """
    name, said = str(feature), {}
    for part in ("label", "note"):
        if part in message:
            said[part] = _of_type(message[part], str, part)
    if "star" in message:
        said["stars"] = _of_type(message["star"], bool, "star")
    if "tags" in message:
        wanted = [_of_type(tag, str, "tag") for tag in _of_type(message["tags"], list, "tags")]
        kept: Annotation = lab.annotation(name)
        said |= {"tags": [tag for tag in wanted if tag not in kept.tags]}
        said |= {"untag": [tag for tag in kept.tags if tag not in wanted]}
    if not any(value not in ([], None) for value in said.values()):
        return
    lab.annotate(name, **said)


def _of_type(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise AnnotationError(f"This is no {what}.", got=repr(value)[:80], expected=kind.__name__)
    return value


class Watch:
    """Hears of changes in a lab's annotations for a view that it does not keep alive.

    Args:
        view: Whose method is called.
        told: The method, as a function of the view and the targets that changed.
    """

    def __init__(self, view: Any, told: Callable[[Any, Any], None]) -> None:
        self._view, self._told = weakref.ref(view), told
        self._store: Any = None
        self._end: Any = None
        self._end_of_lab: Any = None

    def on(self, lab: Any) -> None:
        """Listen from now on to the annotations that the lab has, and to those that it is given later."""
        self._listen(getattr(lab, "annotations", None))
        if self._end_of_lab is None and hasattr(lab, "on_annotations"):
            watch = weakref.ref(self)

            def moved(store: Any, targets: Any) -> None:
                alive = watch()
                if alive is not None:
                    alive._move(store, targets)

            self._end_of_lab = self._while_alive(lab.on_annotations, moved)

    def _move(self, store: Any, targets: Any) -> None:
        """The lab has other annotations."""
        view = self._view()
        if view is not None:
            self._listen(store)
            self._told(view, targets)

    def _listen(self, store: Any) -> None:
        """Listen to this store from now on, and to no other."""
        if store is self._store or not hasattr(store, "observe"):
            return
        if self._end is not None:
            self._end()
        view, told = self._view, self._told

        def changed(targets: Any) -> None:
            if threading.current_thread().name == THREAD:
                _forget_the_cell()
            alive = view()
            if alive is not None:
                told(alive, targets)

        self._store, self._end = store, self._while_alive(store.observe, changed)

    def _while_alive(self, begin: Callable[[Any], Any], callback: Any) -> Any:
        """Have a function called until the view is gone; what is returned ends it before."""
        view = self._view()
        if view is None:
            return None
        end = weakref.finalize(view, begin(callback))
        end.atexit = False
        return end

    def end(self) -> None:
        """Listen no more."""
        for end in (self._end, self._end_of_lab):
            if end is not None:
                end()
        self._store = self._end = self._end_of_lab = None
