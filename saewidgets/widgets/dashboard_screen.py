"""What a feature dashboard has on the screen, and how it is kept up to date from several threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import traitlets

from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import Example, FeatureStats
from saewidgets.widgets.base import describe
from saewidgets.widgets.dashboard_notes import Watch, said_of
from saewidgets.widgets.dashboard_specificity import Scoring, rating_json
from saewidgets.widgets.dashboard_tokens import Pieces
from saewidgets.widgets.dashboard_wire import pack_feature
from saewidgets.widgets.lab_view import LabView
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.wire import labels_in, labels_of
from saewidgets.widgets.worker import Job, Stopped


class DashboardScreen(LabView):
    """Base of the feature dashboard.

    Look-ups and annotations come from any thread. Each change packs the feature anew and takes a ticket first; what was
    begun last is what stays on the screen.
    """

    _data = traitlets.Bytes(b"", help="The feature (dashboard_wire.py).").tag(sync=True)
    _table = traitlets.Bytes(b"", help="All features (dashboard_wire.py).").tag(sync=True)
    _examples = traitlets.Bytes(b"", help="One list of examples, whole (dashboard_wire.py).").tag(sync=True)
    _live = traitlets.Bytes(b"", help="The text of the live box (wire.py).").tag(sync=True)
    _specificity = traitlets.Dict(help="The specificity (dashboard_specificity.py).").tag(sync=True)
    _rating = traitlets.Dict(help="Examples to rate (dashboard_specificity.py).").tag(sync=True)
    _concepts = traitlets.List(help="Names of concepts that may be a predicate.").tag(sync=True)
    _saes = traitlets.List(help="Names of the lab's SAEs.").tag(sync=True)

    feature: Any
    tab: Any

    def _prepare(self) -> None:
        """What is there before the traits are."""
        self._ready = False
        self._screen = threading.RLock()
        self._ticket = self._sent = 0
        self._stats: FeatureStats | None = None
        self._heard: Any = None  # the activations of the live box
        self._read: dict[Any, bytes] = {}  # lists of the feature that the model has read
        self._pieces = Pieces()
        self._old_table = False
        self._scoring: Scoring | None = None
        self._rater = ""
        self._items: dict[str, Example] = {}
        self._faults: dict[str, str] = {}
        self._inside = threading.local()
        self._watch = Watch(self, DashboardScreen._said)

    # ---- the feature -----------------------------------------------------------------------------------------------

    def _show(self, job: Job, stats: FeatureStats | None) -> None:
        """Put a feature on the screen, if its job is still the newest."""
        with self._screen:
            if self._jobs.get("feature") is not job:
                raise Stopped
            self._stats = stats
        self._watch.on(self.lab)
        self._renew()
        while self._trait_values.get("result") is not self._stats:
            self.set_trait("result", self._stats)

    def _renew(self) -> None:
        """Pack the feature on the screen with what people say of it now."""
        with self._screen:
            self._ticket += 1
            ticket, stats = self._ticket, self._stats
        data = b"" if stats is None else self._packed(stats)
        with self._screen:
            if ticket > self._sent:
                self._sent, self._data = ticket, data

    def _packed(self, stats: FeatureStats) -> bytes:
        saes: Mapping[str, Any] = self.lab.saes
        self._saes = [clean(name) for name in saes]

        def label(other: FeatureId) -> str | None:
            return labels_of(labels_in(self.lab, other.sae))(other.index)

        size = int(getattr(saes.get(stats.feature.sae), "d_sae", 0))
        return pack_feature(stats, said_of(self.lab, stats), d_sae=size, label=label, pieces=self._pieces)

    def _leave(self) -> None:
        """Let go of what belongs to the former feature."""
        self._drop("examples")
        self._read, self._items = {}, {}
        self._examples, self._rating = b"", {}

    # ---- what people say ---------------------------------------------------------------------------------------------

    def _said(self, targets: Any) -> None:
        """Somebody has changed annotations; on the thread that found out."""
        kinds = {target.kind for target in targets}
        if "feature" in kinds:
            self._relabel()
            self._renew()
            self._old_table = bool(self._table)
            if self._old_table and self.tab == "table":
                self._renew_table()
        if "example" in kinds:
            self._show_rating()
            if self._scoring is not None and self._scoring.value is None:
                self._score(anew=False)

    def _relabel(self) -> None:
        """Put the label that stands now into the result."""
        stats = self._stats
        names = None if stats is None else labels_in(self.lab, stats.feature.sae)
        if stats is None or names is None:
            return
        label = labels_of(names)(stats.feature.index) or ""
        with self._screen:
            if label == stats.label or self._stats is not stats:
                return
            self._stats = replace(stats, label=label)
        while self._trait_values.get("result") is not self._stats:
            self.set_trait("result", self._stats)

    def _renew_table(self) -> None:
        raise NotImplementedError

    def _score(self, anew: bool = True) -> None:
        raise NotImplementedError

    def _show_rating(self) -> None:
        """The examples to rate, with the scores that stand."""
        stats, rater, items = self._stats, self._rater, self._items
        if stats is None or not items:
            return

        def score(example: Example) -> int | None:
            found = self.lab.annotation(self.lab.example_target(str(stats.feature), example))
            return next((each.score for each in found.ratings if each.rater == rater), None)

        self._rating = rating_json(stats.feature, rater, items, score)

    # ---- jobs --------------------------------------------------------------------------------------------------------

    def _drop(self, kind: str) -> None:
        """Stop work of a kind; nobody hears of its end."""
        job = self._jobs.pop(kind, None)
        if job is not None:
            job.stop()
        if self._faults.pop(kind, None) is not None or (job is not None and not job.finished):
            self._tell("done")

    def _newest(self, job: Job) -> None:
        """End the job where a newer one of its kind has come."""
        job.check()
        if self._jobs.get(job.key[1]) is not job:
            raise Stopped

    def _on_job(self, job: Job) -> None:
        """The status is that of all kinds of work together; each kind has its own fault."""
        kind = job.key[1]
        if self._jobs.get(kind) is not job:
            return
        if job.error is not None:
            self._faults[kind] = clean(describe(job.error))
        elif job.state == "done":
            self._faults.pop(kind, None)
        self._tell(job.state)

    def _tell(self, last: str) -> None:
        """Set ``status`` and ``error`` from the work that goes on, else from how the last ended."""
        # Again where another thread has told meanwhile what was so before.
        while (now := self._state(last)) != (self.error, self.status):
            self.set_trait("error", now[0])
            self.set_trait("status", now[1])

    def _state(self, last: str) -> tuple[str, dict[str, str]]:
        going = [job.state for job in list(self._jobs.values()) if not job.finished]
        error = "\n".join(dict.fromkeys(self._faults.copy().values()))
        ended = "failed" if error else last
        state = ended if not going else "running" if "running" in going else "queued"
        return error, {"state": state, "message": error}

    def _wait(self) -> None:
        """Wait for the newest jobs, unless one of them runs on this very thread."""
        if not getattr(self._inside, "job", False):
            super()._wait()

    def close(self) -> None:
        """Close the view; its work stops, and it hears of no more changes."""
        if hasattr(self, "_watch"):
            self._watch.end()
        super().close()
