"""What a steering panel has on its screen, and what has to leave it when other things change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import traitlets

from saewidgets.results import FeatureId, Reach, SteeringComparison
from saewidgets.steering import Edit
from saewidgets.views.remarks import NOTHING, Remark
from saewidgets.widgets.labelled import Labelled, notes_on_features, said_of_features
from saewidgets.widgets.steering_runs import Question, Runs
from saewidgets.widgets.steering_wire import clean, edit_json, texts_json


class SteeringScreen(Labelled):
    """The traits that the browser draws; but for the edits and the names of presets only the worker sets them."""

    _presets = traitlets.List(help="Names of the presets that the lab keeps.").tag(sync=True)

    prompt: Any
    edits: Any
    samples: Any
    temperature: Any
    k: Any
    live: Any
    code: Any
    vectors: dict[str, Any]
    _fresh: Iterator[str]
    _bars: Any
    _texts: Any
    _side: Any
    _sweep: Any
    _edits: Any
    _code: Any
    _vectors: Any

    def _prepare(self, neutral_texts: Any) -> None:
        self._ready = False
        self._turn = 0  # grows with what people say
        self._asked: list[set[str]] | None = None
        given = neutral_texts if neutral_texts is None or isinstance(neutral_texts, str) else tuple(neutral_texts)
        self._runs = Runs(self.lab, given)
        self._held: tuple[tuple[str, Edit], ...] = ()
        self._reaches: list[tuple[Edit, Reach]] = []
        self._shown: dict[str, Any] = {}
        self._answered: Question | None = None  # what the bars on the screen answer
        self._written: Question | None = None  # what the texts on the screen answer
        self._whole = False  # and whether they were written to their end
        self._swept: Any = None  # what the sweep on the screen depends on

    def _show_edits(self, reaches: Iterable[tuple[Edit, Reach]] | None = None) -> None:
        """The cards; said again where another thread has changed the edits meanwhile."""
        if reaches is not None:
            self._reaches = list(reaches)
        shown = turn = None
        while shown is not self._held or turn != self._turn:
            shown, turn = self._held, self._turn
            known = [next((r for edit, r in self._reaches if edit is one), None) for _, one in shown]
            self._edits = [edit_json(*pair, r, self.lab) for pair, r in zip(shown, known, strict=True)]
            self._notes = notes_on_features(self.lab, filter(None, feature_names(edit for _, edit in shown)))

    # ---- what people say -----------------------------------------------------------------------------------------

    def _hear(self) -> None:
        super()._hear()
        self._show_presets()

    def _said(self, targets: Any) -> None:
        kinds = {target.kind for target in targets}
        self._turn += 1
        if "feature" in kinds:
            self._show_edits()
        if "preset" in kinds:
            self._show_presets()

    def _show_presets(self) -> None:
        """The names of presets; again where somebody has kept another one meanwhile."""
        turn = None
        while turn != self._turn:
            turn = self._turn
            self._presets = [clean(name) for name in getattr(self.lab, "presets", ())]

    def _remarks(self) -> list[Remark]:
        """What people say of the feature of each of the edits on the screen."""
        edits = self._answered.edits if self._answered is not None else ()
        names = feature_names(edits)
        said = said_of_features(self.lab, filter(None, names))
        return [said.get(name, NOTHING) for name in names]

    # ---- results -------------------------------------------------------------------------------------------------

    def _show_code(self) -> None:
        self._code = clean(self.code)
        self._vectors = list(self.vectors)

    def _keep_texts(self, question: Question, base: Any, steered: Any, *, whole: bool) -> None:
        """Both texts as they stay. What the side effect on the screen was measured with is not known to be theirs."""
        self._texts = texts_json(base, steered)
        same = self._written is not None and self._written.edits == question.edits
        self._written, self._whole = question, whole
        self._keep(base=base, steered=steered, **({} if same else {"side_effect": None}))
        if steered and len(steered[0]) and steered[0].reach:
            self._show_edits(zip(question.edits, steered[0].reach, strict=False))

    def _let_go(self, question: Question) -> None:
        """Take off the screen what belongs to another prompt, or to other edits, and is not about to be replaced.

        Where the bars are not of this question either, all of the screen is of a former one and stays.
        """
        written, answered = self._written, self._answered
        if answered is None or answered[:2] != question[:2]:
            return
        if written is not None and written.prompt != question.prompt:
            self._texts, self._written = {}, None
            self._keep(base=(), steered=(), side_effect=None)
        if self._shown.get("side_effect") is None or (written is not None and written.edits != question.edits):
            self._side = {}
            self._keep(side_effect=None)

    def _drop_sweep(self, question: Question) -> None:
        """A sweep goes where more than the strength that it sweeps has changed."""
        if not self._sweep:
            return
        keys = [key for key, _ in self._held]
        which = keys.index(self._sweep["key"]) if self._sweep["key"] in keys else None
        if which is None or which >= len(question.edits) or self._swept != swept_of(question, which):
            self._swept, self._sweep = None, {}
            self._keep(sweep=(), values=())

    def _keep(self, **parts: Any) -> None:
        """A new result with other parts; there is none before the first next token."""
        self._shown |= parts
        if "next_token" in self._shown:
            known: dict[str, Any] = {"base": (), "steered": ()} | self._shown
            self.set_trait("result", SteeringComparison(**known))


def feature_names(edits: Iterable[Edit]) -> list[str]:
    """The feature of each edit; "" where it is none."""
    return [str(edit.target) if isinstance(edit.target, FeatureId) else "" for edit in edits]


def swept_of(question: Question, which: int) -> tuple[Any, ...]:
    """All that a sweep depends on: everything but the strength that it sweeps."""
    edits = question.edits
    rest = replace(edits[which], value=0.0)
    return question._replace(edits=(*edits[:which], rest, *edits[which + 1 :])), which
