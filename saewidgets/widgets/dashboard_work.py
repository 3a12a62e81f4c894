"""The work of a feature dashboard: which jobs a change posts, and what each shows."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import traitlets

from saewidgets.errors import SaewidgetsError, UnknownNameError
from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import Example, FeatureStats
from saewidgets.widgets.base import describe
from saewidgets.widgets.dashboard_screen import DashboardScreen
from saewidgets.widgets.dashboard_specificity import Scoring, specificity_json
from saewidgets.widgets.dashboard_wire import pack_examples, pack_table
from saewidgets.widgets.lab_view import anchor_of, sae_named
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.wire import labels_in, labels_of, pack
from saewidgets.widgets.worker import Job, worker_of


class DashboardWork(DashboardScreen):
    """Kinds of work: "feature", "examples", "live", "table", "specificity"; of each the latest wins.

    What runs the model, or might build it, is posted to the model's worker. A look-up in an index that has been opened,
    and that keeps what the weights say, reads files and weights alone: it is done at once on the thread that asks, so
    that paging does not wait for a run.
    """

    prompt: Any
    predicate: Any

    def _prepare(self) -> None:
        super()._prepare()
        self._opened: dict[str, weakref.ref[Any]] = {}
        self._chosen = ""
        self._typing = False

    # ---- keeping the traits together ---------------------------------------------------------------------------------

    @traitlets.observe("feature")
    def _feature_changed(self, change: Any) -> None:
        new, chosen, self._chosen = change["new"], self._chosen, ""
        if sae_named(new) != self.sae:
            self.sae = sae_named(new)
        if new != chosen:
            self._leave()
            self._look_up()

    @traitlets.observe("sae")
    def _sae_changed(self, change: Any) -> None:
        if not self._ready:
            return
        self._drop("table")
        self._table = self._live = b""
        self._heard = None
        new = change["new"]
        if not self.feature:
            self._look_up()
        elif sae_named(self.feature) != new:
            index = FeatureId.parse(self.feature).index
            self.feature = f"{new}/{index if index < int(self.lab.saes[new].d_sae) else 0}"
        self._run_live()

    @traitlets.observe("prompt")
    def _prompt_changed(self, _: Any) -> None:
        self._run_live()

    @traitlets.observe("tab")
    def _tab_changed(self, _: Any) -> None:
        if self._ready and self.tab == "table" and self._old_table:
            self._renew_table()

    @traitlets.observe("predicate")
    def _predicate_changed(self, _: Any) -> None:
        if not self._typing:
            self._scoring = None if self.predicate is None else Scoring(self.predicate)
            self._score()

    # ---- how jobs are run --------------------------------------------------------------------------------------------

    def _submit(self, kind: str, work: Callable[[Job], None]) -> None:
        """Post work to the worker of the SAE's model."""
        try:
            worker = worker_of(anchor_of(self.lab, str(self.sae)))
        except SaewidgetsError as error:  # the SAE has left the lab
            self._drop(kind)
            self._faults[kind] = clean(describe(error))
            self._tell("failed")
        else:
            self._post(worker, kind, work)

    def _at_once(self, kind: str, work: Callable[[Job], None]) -> None:
        """Do work on this thread; one of its kind that waits or runs elsewhere is overtaken."""
        former = self._jobs.get(kind)
        job = Job(self, kind, work, lambda job: self._on_job(job) if job.finished else None)
        self._jobs[kind] = job
        if former is not None:
            former.stop()
        outer, self._inside.job = getattr(self._inside, "job", False), True
        try:
            job.run()
        finally:
            self._inside.job = outer

    def _at_hand(self, sae: str) -> bool:
        """Whether a look-up needs nothing but an index that is open; ``lab.indexes`` might wait for one being built."""
        index = self._opened[sae]() if sae in self._opened else None
        return index is not None and "weights" in index.manifest

    def _index(self, sae: str) -> Any:
        """The index of an SAE; the lab's own error where there is none."""
        found = self.lab.indexes.get(sae)
        if found is None:
            self.lab.feature(f"{sae}/0")
            found = self.lab.indexes[sae]
        return found

    # ---- the feature -------------------------------------------------------------------------------------------------

    def _look_up(self) -> None:
        if not self._ready:
            return
        name, sae = self.feature, str(self.sae)
        do = self._at_once if name and self._at_hand(sae) else self._submit
        do("feature", lambda job: self._do_feature(job, sae, name))
        self._score()

    def _do_feature(self, job: Job, sae: str, name: str) -> None:
        if not name:
            name = f"{sae}/{self._liveliest(sae)}"
            self._newest(job)
            self._chosen = self.feature = name
        try:
            stats = self.lab.feature(name)
        except Exception:
            self._show(job, None)
            raise
        if not self._at_hand(sae) and (index := self.lab.indexes.get(sae)) is not None:
            self._opened[sae] = weakref.ref(index)
        self._show(job, stats)

    def _liveliest(self, sae: str) -> int:
        """The feature with the largest maximum, by the index, else by the SAE's reference maxima; else the first."""
        try:
            largest = self._index(sae).max
        except SaewidgetsError:
            largest = getattr(self.lab.saes[sae], "reference_max", None)
        return 0 if largest is None else int(np.asarray(largest).argmax())

    # ---- the live box ------------------------------------------------------------------------------------------------

    def _run_live(self) -> None:
        if not self._ready:
            return
        prompt, sae = self.prompt, str(self.sae)
        if prompt:
            self._submit("live", lambda job: self._do_live(job, prompt, sae))
        else:
            self._drop("live")
            self._live, self._heard = b"", None

    def _do_live(self, job: Job, prompt: str, sae: str) -> None:
        result = self.lab.activations(prompt, sae=sae)
        self._newest(job)
        held = self.lab.saes[sae]
        label = labels_of(labels_in(self.lab, sae))
        self._heard = result
        self._live = pack(result, prompt=prompt, density=getattr(held, "density", None), label=label)

    # ---- whole windows -----------------------------------------------------------------------------------------------

    def _read_list(self, name: Any) -> None:
        """Have the model read the windows of a list, once for each feature."""
        stats = self._stats
        if stats is None:
            raise UnknownNameError("No feature is on the screen.", do="choose one")
        examples = examples_of(stats, name)
        key = (str(stats.feature), name)
        if key in self._read:
            self._drop("examples")
            self._examples = self._read[key]
        else:
            self._submit("examples", lambda job: self._do_examples(job, stats, key, examples))

    def _do_examples(self, job: Job, stats: FeatureStats, key: Any, examples: tuple[Example, ...]) -> None:
        sae, n = stats.feature.sae, stats.feature.index
        index = self.lab.indexes.get(sae)
        masked = bool(index.manifest["settings"]["mask_special"]) if index is not None else True
        ids = [each.ids.tolist() for each in examples]
        found = self.lab.activations(ids, sae=sae, mask_special=masked) if ids else []
        data = pack_examples(stats.feature, key[1], examples, [each.feature(n) for each in found])
        self._newest(job)
        self._read[key] = self._examples = data

    # ---- all features ------------------------------------------------------------------------------------------------

    def _renew_table(self) -> None:
        sae = str(self.sae)
        self._submit("table", lambda job: self._do_table(job, sae))

    def _do_table(self, job: Job, sae: str) -> None:
        index = self._index(sae)
        self._old_table = False
        own = labels_in(self.lab, sae)
        given = dict(own) if isinstance(own, Mapping) else dict(enumerate(own)) if isinstance(own, list | tuple) else {}
        labels = dict(getattr(index, "labels", {})) | given
        data = pack_table(sae, index.n_tokens, index.count, index.max, index.mean, labels)
        self._newest(job)
        self._table = data

    # ---- specificity -------------------------------------------------------------------------------------------------

    def _score(self, anew: bool = True) -> None:
        """Score the feature; ``anew``: what is on the screen goes at once."""
        if not self._ready:
            return
        if anew:
            self._specificity = {}
            self.set_trait("specificity", None)
        scoring = self._scoring
        if scoring is None:
            self._drop("specificity")
        else:
            self._submit("specificity", lambda job: self._do_score(job, scoring))

    def _do_score(self, job: Job, scoring: Scoring) -> None:
        name = self.feature
        if scoring.value is None:
            result = self.lab.specificity_of_ratings(name, scoring.rater)
        else:
            result = self.lab.specificity(name, scoring.value, within=scoring.within)
        self._newest(job)
        self._specificity = specificity_json(result)
        self.set_trait("specificity", result)


def examples_of(stats: FeatureStats, name: Any) -> tuple[Example, ...]:
    """One list of examples: "top", or an interval by its number from 1.

    Raises:
        UnknownNameError: There is no such list.
    """
    whole = isinstance(name, int) and not isinstance(name, bool)
    if name == "top":
        return stats.top
    if not whole or not 1 <= name <= len(stats.intervals):
        raise UnknownNameError(
            "There is no such list of examples.", got=repr(name)[:80], expected=f"'top', or 1 to {len(stats.intervals)}"
        )
    return stats.intervals[name - 1].examples
