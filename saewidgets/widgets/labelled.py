"""Labels and notes in a live view: as they stand, whoever changes them; labels are edited in place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import traitlets

from saewidgets.errors import SaewidgetsError, TokenError
from saewidgets.results import Activations, FeatureId
from saewidgets.views.remarks import Remark
from saewidgets.widgets.base import describe
from saewidgets.widgets.dashboard_notes import Watch, annotate
from saewidgets.widgets.lab_view import ANY_LENGTH, LabView, anchor_of
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.wire import labels_in, labels_of
from saewidgets.widgets.worker import Job, worker_of


class Labelled(LabView):
    """Base of the views that show features by their labels and hear of it when somebody changes one."""

    _notes = traitlets.List(help="Notes on what is chosen, a text each.").tag(sync=True)

    def __init__(self, unknown: dict[str, Any], **traits: Any) -> None:
        self._watch = Watch(self, type(self)._said)
        super().__init__(unknown, **traits)
        self._hear()

    def _hear(self) -> None:
        """Listen to the annotations that the lab has."""
        self._watch.on(self.lab)

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
    """Base of the views of a prompt whose result is packed with its labels.

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

    def _post_about(self, sae: str, kind: str, work: Callable[[Job], Any]) -> None:
        """Post work to the worker of an SAE's model."""
        try:
            worker = worker_of(anchor_of(self.lab, sae))
        except SaewidgetsError as error:  # the SAE has left the lab
            self._say("failed", describe(error))
        else:
            self._post(worker, kind, work)

    def _known_position(self, position: Any) -> int | None:
        if position is None:
            return None
        # While nothing has been run, or a run is under way, the length is not known; the run then says so.
        shown = self._trait_values.get("result") if self._idle() else None
        length = len(shown.prompt_tokens) if shown is not None else ANY_LENGTH
        whole = hasattr(position, "__index__") and not isinstance(position, bool)
        if not whole or not 0 <= int(position) < length:
            expected = f"a whole number in 0..{length - 1}" if length != ANY_LENGTH else "a whole number >= 0"
            raise TokenError("The prompt has no such position.", got=repr(position), expected=expected)
        return int(position)

    def _said(self, targets: Any) -> None:
        if any(target.kind in {"feature", "token", "ranking"} for target in targets):
            self._relabel()

    def _labels_of(self, pictured: Any) -> dict[str, str]:
        """Labels of the features of a result, by their names."""
        raise NotImplementedError

    def _chosen(self) -> Iterable[str]:
        """Features that the view names although they may not be in the result."""
        raise NotImplementedError

    def _notes_on(self, pictured: Any) -> list[str]:
        """Notes on a result as a whole, or on parts of it that are no features."""
        raise NotImplementedError

    def _put(self, data: bytes, labels: Mapping[str, str], pictured: Any) -> None:
        """Put a result on the screen, packed with these labels; it may be an old one."""
        with self._screen:
            self._turn += 1
            self._data, self._packed_labels, self._pictured = data, labels, pictured
        self._relabel()

    def _relabel(self) -> None:
        """Tell the browser which labels differ now from those that it has, and the notes."""
        with self._screen:
            self._turn += 1
        done = False
        while not done:
            turn = self._turn
            # Outside of the lock, for these ask the annotations, which may be telling of a change.
            now, notes = self._now(), self._notes_now()
            with self._screen:
                done = turn == self._turn
                if done:
                    known = self._packed_labels
                    names = [name for name in {**known, **now} if known.get(name) != now.get(name)]
                    self._labels = {name: now.get(name, "") for name in names}
                    self._notes = notes

    def _now(self) -> dict[str, str]:
        """Labels as they stand of all that is on the screen."""
        pictured = self._pictured
        named = {name: label for name in self._chosen() if (label := label_of(self.lab, name))}
        return named | (self._labels_of(pictured) if pictured is not None else {})

    def _notes_now(self) -> list[str]:
        pictured = self._pictured
        return notes_on_features(self.lab, self._chosen()) + ([] if pictured is None else self._notes_on(pictured))


def label_of(lab: Any, name: str) -> str:
    """The label of a feature, "" where it has none."""
    feature = FeatureId.parse(name)
    return labels_of(labels_in(lab, feature.sae))(feature.index) or ""


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


def notes_on_features(lab: Any, names: Iterable[str]) -> list[str]:
    """A text for each of the features that has a note: its name, then the note line by line."""
    said = said_of_features(lab, names)
    return [f"{clean(name)}: {lines}" for name, remark in said.items() if (lines := remark.note_text)]


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
    texts = dict.fromkeys((result.prompt_tokens.text, prompt))
    noted = {(one.target.prompt, one.target.position) for one in store.annotations("token")}
    said = {
        (text, position): said_of(lab, None, prompt=text, position=position, sae=result.sae)
        for text in texts
        for position in range(len(result))
        if (text, position) in noted
    }
    return {position: remark for (_, position), remark in said.items() if any(remark)}
