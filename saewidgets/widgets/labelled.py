"""Labels in a live view: as they stand, whoever changes them, edited in place; notes in its static twin."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import traitlets

from saewidgets.errors import SaewidgetsError
from saewidgets.results import Activations, FeatureId
from saewidgets.results.annotation import TEXT_LIMIT
from saewidgets.views.remarks import Remark
from saewidgets.widgets.dashboard_notes import Watch, annotate
from saewidgets.widgets.lab_view import LabView
from saewidgets.widgets.wire import labels_of


class Labelled(LabView):
    """Base of the views that show features by their labels and hear of it when somebody changes one."""

    def __init__(self, unknown: dict[str, Any], **traits: Any) -> None:
        self._watch = Watch(self, type(self)._said)
        super().__init__(unknown, **traits)
        self._hear()

    def _hear(self) -> None:
        """Listen to the annotations that the lab has now."""
        self._watch.on(getattr(self.lab, "annotations", None))

    def _said(self, targets: Any) -> None:
        """Somebody has changed annotations; on the thread that found out."""
        raise NotImplementedError

    def _op_hello(self, _: dict[str, Any]) -> None:
        """A view opened; what others have written meanwhile is looked for."""
        self._hear()
        store: Any = getattr(self.lab, "annotations", None)
        if store is not None:
            store.poll()

    def _op_annotate(self, message: dict[str, Any]) -> None:
        """Keep the label of a feature; "" takes it away."""
        self._hear()
        annotate(self.lab, self._known_feature(message.get("feature")), {"label": message.get("label")})

    def close(self) -> None:
        """Close the view; its work stops, and it hears of no more changes."""
        if hasattr(self, "_watch"):
            self._watch.end()
        super().close()


class Relabelled(Labelled):
    """Base of the views whose result is packed with its labels.

    When one changes, nothing is computed or packed again: ``_labels`` tells the browser those that differ.
    """

    _labels = traitlets.Dict(help="Labels by feature that differ from those in _data; '' where one has gone.").tag(
        sync=True
    )
    _data: Any

    def __init__(self, unknown: dict[str, Any], **traits: Any) -> None:
        self._screen = threading.RLock()
        self._turn = 0  # grows with all that may make labels other than they were
        self._packed_labels: Mapping[str, str] = {}
        self._pictured: Any = None
        super().__init__(unknown, **traits)

    def _said(self, targets: Any) -> None:
        if any(target.kind == "feature" for target in targets):
            self._relabel()

    def _labels_of(self, pictured: Any) -> dict[str, str]:
        """Labels of the features of a result, by their names."""
        raise NotImplementedError

    def _chosen(self) -> Iterable[str]:
        """Features that the view names although they may not be in the result."""
        raise NotImplementedError

    def _put(self, data: bytes, labels: Mapping[str, str], pictured: Any) -> None:
        """Put a result on the screen, packed with these labels; it may be an old one."""
        with self._screen:
            self._turn += 1
            self._data, self._packed_labels, self._pictured = data, labels, pictured
        self._relabel()

    def _relabel(self) -> None:
        """Tell the browser which labels differ now from those that it has."""
        with self._screen:
            self._turn += 1
        done = False
        while not done:
            turn = self._turn
            now = self._now()  # outside of the lock, for it asks the annotations, which may be telling of a change
            with self._screen:
                done = turn == self._turn
                if done:
                    known = self._packed_labels
                    names = [name for name in {**known, **now} if known.get(name) != now.get(name)]
                    self._labels = {name: now.get(name, "") for name in names}

    def _now(self) -> dict[str, str]:
        """Labels as they stand of all that is on the screen."""
        pictured = self._pictured
        named = {name: label for name in self._chosen() if (label := label_of(self.lab, name))}
        return named | (self._labels_of(pictured) if pictured is not None else {})


def label_of(lab: Any, name: str) -> str:
    """The label of a feature, "" where it has none."""
    feature = FeatureId.parse(name)
    return labels_of(getattr(lab.saes.get(feature.sae), "labels", None))(feature.index) or ""


def said_of_features(lab: Any, names: Iterable[str]) -> dict[str, Remark]:
    """What people say of features, by name; of those of which nobody says anything there is none.

    Args:
        lab: Keeps the annotations; one that keeps none has labels only.
        names: The features, such as "mid/7".
    """
    store = getattr(lab, "annotations", None)
    noted = store is not None and len(store)
    found = {}
    for name in dict.fromkeys(names):
        held = FeatureId.parse(name).sae in lab.saes
        note = (lab.annotation(name).note or "") if noted and held else ""
        remark = Remark(label_of(lab, name), note)
        if any(remark):
            found[name] = remark
    return found


def said_of(lab: Any, what: Any, **which: Any) -> Remark:
    """What people say of anything else, as :meth:`saewidgets.Lab.annotation` takes it."""
    store = getattr(lab, "annotations", None)
    try:
        found = lab.annotation(what, **which) if store is not None and len(store) else None
    except SaewidgetsError:  # what it is about has left the lab, or cannot be annotated
        found = None
    return Remark() if found is None else Remark(found.label or "", found.note or "")


def said_of_tokens(lab: Any, result: Activations, prompt: str) -> dict[int, Remark]:
    """What people say of the tokens of a prompt, by position.

    Args:
        lab: Keeps the annotations.
        result: The tokens.
        prompt: The text as typed.
    """
    store = getattr(lab, "annotations", None)
    if store is None or not len(store):
        return {}
    texts = [text for text in dict.fromkeys((result.prompt_tokens.text, prompt)) if len(text) <= TEXT_LIMIT]
    said = {
        (text, position): said_of(lab, None, prompt=text, position=position, sae=result.sae)
        for text in texts
        for position in range(len(result))
    }
    return {position: remark for (_, position), remark in said.items() if any(remark)}
