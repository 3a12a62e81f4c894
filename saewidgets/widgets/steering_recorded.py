"""What a saved steering panel still shows without a kernel: a grid of strengths, recorded when it is saved.

The page answers the panel's sliders from it and knows nothing of steering (js/src/page.js). As JSON::

    {"traits": [names of all that is patched],
     "at": {key of an edit: {"now": its strength, "values": [[strength, {trait: patch}], ...]}},
     "off": a CSS selector of the controls that need a kernel}

A patch is laid over the trait as it was saved: over a dict by name, over a list of dicts by their "key". Strengths are
multiples of the feature's reference maximum (of a vector's length), numbers have five digits.
"""

from __future__ import annotations

import base64
import json
import math
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from saewidgets.errors import EditError, SaewidgetsError
from saewidgets.export.page import SavedView
from saewidgets.export.views import RECORDED, recording
from saewidgets.results import Generation, NextToken
from saewidgets.results.text import one_line
from saewidgets.steering import Edit
from saewidgets.steering.serialize import WITH_VALUE
from saewidgets.views.cells import number
from saewidgets.widgets.base import describe, write_page
from saewidgets.widgets.steering_preset import code_of
from saewidgets.widgets.steering_requests import SteeringRequests
from saewidgets.widgets.steering_runs import SWEPT, Question, Runs, let_in
from saewidgets.widgets.steering_wire import IN_MAXIMA, bars_json, clean, finite, texts_json
from saewidgets.widgets.steering_work import stop_job
from saewidgets.widgets.worker import Job, Worker

MOST_BYTES = 40_000
"""Of a recording in a page: compressed, as base64. Texts are left out first, then the last edits."""
MOST_EDITS = 8
MOST_VALUES = 41
DIGITS = 5

ALONE = "no kernel answers: sliders show recorded strengths, other changes need one"
TRAITS = ("_edits", "_bars", "_texts", "_sweep", "_code", "status")
NEEDS_KERNEL = "fieldset :is(button, select, textarea, input):not(.saew-slide, .saew-entry .saew-number, .saew-card)"

Check = Callable[[], object]


class SteeringRecorded(SteeringRequests):
    """The part of a steering panel that saves it with a grid of strengths."""

    _vector_name: Any

    def _prepare(self, neutral_texts: Any) -> None:
        super()._prepare(neutral_texts)
        self._recording: set[Job] = set()

    def to_html(self, path: str | Path, recorded: Any = True) -> Path:
        """Write the panel as one HTML file that works without a kernel, a network and, as its static twin, scripts.

        Its sliders go on moving: for each edit that has a strength, up to eight of them, the next token, its KL and one
        text are recorded at each of a few strengths, while the other edits keep theirs. The file shows the strength
        nearest to the slider and says which. This takes about as long as nine next tokens and a sweep for each edit;
        :meth:`stop` ends it, and what was recorded until then is in the file. The panel itself stays as it is.

        Args:
            path: Where to write it; an existing file is replaced.
            recorded: True for nine strengths from -10 to 10, the strengths themselves, at most 41, or False for none.
                They are multiples of the feature's reference maximum, of a vector's length, or of f for ``scale``; the
                absolute value is shown beside.

        Returns:
            The path.

        Raises:
            EditError: These are no strengths.

        Example:
            >>> panel.to_html("panel.html", recorded=[0, 1, 2, 4, 8])  # doctest: +SKIP
        """
        saved = self._saved(strengths_of(recorded))
        title = f"{type(self).__name__} · {saved.state.get('prompt', '')}"[:80]
        return write_page(saved, self._marked_html(), title, path)

    def _saved(self, values: Sequence[float] | None = None) -> SavedView:
        """The panel as it stands, with its recording where one can be made."""
        self._wait()
        question = self._question()
        saved = super()._saved()
        if values is None:
            values = SWEPT if recording.get() else ()
        known = self._answered is not None and self._answered[:2] == question[:2] == self._question()[:2]
        if not values or not known:
            return saved
        written = self._whole and self._written == question
        grid = Grid(self.lab, self._runs, question, saved.state, self._shown["base"][:1] if written else ())
        self._record(grid, question, values)
        return replace(saved, state={**saved.state, **grid.state(self._code_of)})

    def _record(self, grid: Grid, question: Question, values: Sequence[float]) -> None:
        """Fill the grid on the model's worker; nothing of the panel changes."""
        try:
            worker = self._worker(question)
        except SaewidgetsError:  # the SAE has left the lab
            return
        job = Job(object(), "record", lambda job: grid.fill(values, lambda: _check(job, worker)))
        self._recording.add(job)
        try:
            if worker.is_current():
                worker.run(job)
            else:
                worker.post(job)
                job.wait()
        except BaseException:  # a keyboard interrupt
            stop_job(job)
            raise
        finally:
            self._recording.discard(job)
        if job.error is not None:
            warnings.warn(f"Not all strengths could be recorded. {describe(job.error)}", RuntimeWarning, stacklevel=4)

    def stop(self) -> None:
        """Ask all work of this view to stop; what was written or recorded stays."""
        super().stop()
        for job in list(self._recording):
            stop_job(job)

    def _code_of(self, question: Question, edits: tuple[Edit, ...], k: int) -> str:
        return clean(code_of(edits, question.prompt, question.sampling._asdict(), k, self._vector_name))


def _check(job: Job, worker: Worker) -> None:
    """Between two questions: bars that wait are run, and a stop is heard."""
    let_in(worker, "bars")
    job.check()


def strengths_of(recorded: Any) -> tuple[float, ...]:
    """The strengths that are recorded.

    Raises:
        EditError: Neither True or False nor finite numbers.

    Example:
        >>> strengths_of([2, 0, 2]), strengths_of(False)
        ((0.0, 2.0), ())
    """
    if isinstance(recorded, bool):
        return SWEPT if recorded else ()
    try:
        listed = () if isinstance(recorded, (str, bytes, Mapping)) else tuple(recorded)
        found = sorted({float(value) for value in listed}) or [math.nan]
    except (TypeError, ValueError, OverflowError):
        found = [math.nan]
    if len(found) > MOST_VALUES or not all(map(math.isfinite, found)):
        expected = f"True, False or up to {MOST_VALUES} finite numbers"
        raise EditError("These are no strengths.", got=repr(recorded)[:80], expected=expected)
    return tuple(found)


class Grid:
    """What the model says at each strength of each edit.

    Args:
        lab: The lab.
        runs: What the panel asks its model.
        question: What is on the screen.
        state: The panel as it was saved; strengths are recorded as changes of it.
        base: The text without edits, one or none; where there is none, no texts are recorded.
    """

    def __init__(
        self, lab: Any, runs: Runs, question: Question, state: Mapping[str, Any], base: tuple[Generation, ...]
    ) -> None:
        self.lab, self.runs, self.question, self.saved, self.base = lab, runs, question, state, base
        self.cards: list[dict[str, Any]] = list(state["_edits"])
        self.found: dict[int, dict[float, NextToken]] = {}
        self.texts: dict[int, dict[float, Generation]] = {}
        self.whole = False

    def fill(self, values: Sequence[float], check: Check) -> None:
        """Ask for next tokens, then for texts; only the worker calls it."""
        edits = self.question.edits
        sliding = [n for n, edit in enumerate(edits) if edit.operation in WITH_VALUE][:MOST_EDITS]
        for n in sliding:
            found = self.found[n] = {}
            for value in values:
                check()
                if value != edits[n].value:
                    with suppress(SaewidgetsError):  # a strength that cannot be used is left out
                        found[value] = self.runs.next_token(self._at(n, value), self.saved["k"])[0]
        for n in sliding if self.base else ():
            self.texts[n] = self._write(n, list(self.found[n]), check)
        self.whole = True

    def _at(self, n: int, value: float) -> Question:
        edits = self.question.edits
        return self.question._replace(edits=(*edits[:n], replace(edits[n], value=value), *edits[n + 1 :]))

    def _write(self, n: int, values: list[float], check: Check) -> dict[float, Generation]:
        """One text a strength, as one batch."""
        if not values:
            return {}
        question, model = self.question, self.runs.plan(self.question).model.name
        options = {**question.sampling.options, "values": values, "which": n, "model": model}
        writing = self.lab.writing(question.prompt, question.edits, **options)
        try:
            while not writing.finished:
                check()
                writing.step()
        except BaseException:
            writing.cancel()
            raise
        return dict(zip(values, writing.results(), strict=True))

    # ---- what of it is kept ----------------------------------------------------------------------------------------

    def state(self, code: Callable[[Question, tuple[Edit, ...], int], str]) -> dict[str, Any]:
        """What the saved panel gets beside its state: nothing, or the recording and what the panel says at first."""
        recorded = [n for n, found in self.found.items() if found]
        with_texts = self.whole and bool(self.base)
        while recorded:
            data = self._bytes(recorded, with_texts, code)
            if len(base64.b64encode(zlib.compress(data, 9))) <= MOST_BYTES:
                # Texts that are not recorded do not follow, and the view says so.
                live = bool(self.saved["live"]) and with_texts
                return {RECORDED: data, "live": live, "status": {"state": ALONE, "message": ""}}
            recorded = recorded if with_texts else recorded[:-1]
            with_texts = False
        return {}

    def _bytes(self, recorded: list[int], with_texts: bool, code: Callable[..., str]) -> bytes:
        at = {}
        for n in recorded:
            now = self.question.edits[n].value
            values = [(value, self._patch(n, value, with_texts, code)) for value in self.found[n]]
            pairs = sorted([(now, {}), *values], key=lambda pair: pair[0])
            at[self.cards[n]["key"]] = {"now": now, "values": [(value, rounded(patch)) for value, patch in pairs]}
        others = ", ".join(f'[data-key="{self.cards[n]["key"]}"]' for n in recorded)
        off = f"{NEEDS_KERNEL}, .saew-edit:not({others}) input"
        whole = {"traits": TRAITS, "at": at, "off": off}
        return json.dumps(whole, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "replace")

    def _patch(self, n: int, value: float, with_texts: bool, code: Callable[..., str]) -> dict[str, Any]:
        """What is other than it was saved."""
        found, question = self.found[n][value], self._at(n, value)
        text = self.texts[n][value] if with_texts else None
        reaches = found.reach if text is None else text.reach
        cards = [_card(*each) for each in zip(self.cards, question.edits, _padded(reaches), strict=False)]
        patch: dict[str, Any] = {
            "_edits": {mine["key"]: _changed(former, mine) for former, mine in zip(self.cards, cards, strict=True)},
            "_bars": _changed(self.saved["_bars"], bars_json(found)),
            "_code": code(question, question.edits, self.saved["k"]),
            "status": {"state": told(cards[n], len(cards))},
        }
        if text is not None:
            patch["_texts"] = _changed(self.saved["_texts"], texts_json(self.base, (text,)))
        if self.saved["_sweep"].get("key") not in (None, cards[n]["key"]):
            patch["_sweep"] = {"texts": []}  # it was made with the saved strength of this edit
        return patch


def _card(card: Mapping[str, Any], edit: Edit, reach: Any) -> dict[str, Any]:
    """The card of an edit at another strength."""
    maximum: Any = card["maximum"] if edit.operation in IN_MAXIMA else None
    return {
        **card, "value": finite(edit.value), "formula": edit.formula,
        "absolute": None if maximum is None else finite(edit.value * maximum),
        "reach": None if reach is None else [int(reach.moved), int(reach.of)],
    }  # fmt: skip


def _padded(reaches: Sequence[Any]) -> Iterable[Any]:
    yield from reaches
    while True:
        yield None


def told(card: Mapping[str, Any], n_edits: int) -> str:
    """Which strength is shown, in words."""
    unit = "\u00d7 f" if card["operation"] == "scale" else card["unit"]
    absolute = "" if card["absolute"] is None else f" = {number(card['absolute'])}"
    others = ", the other edits as saved" if n_edits > 1 else ""
    strength = f"{card['value']:g} {unit}{absolute}"
    return f"recorded: {one_line(card['name'])[:80]} at {strength}{others}; other changes need a kernel"


def _changed(former: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Of what there is now, what is other than before."""
    return {name: value for name, value in now.items() if name not in former or former[name] != value}


def rounded(value: Any) -> Any:
    """JSON with its numbers in five digits.

    Example:
        >>> rounded({"a": [1 / 3, 2, None]})
        {'a': [0.33333, 2, None]}
    """
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, Mapping):
        return {name: rounded(one) for name, one in value.items()}
    return [rounded(one) for one in value] if isinstance(value, (list, tuple)) else value
