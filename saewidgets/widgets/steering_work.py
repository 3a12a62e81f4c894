"""The work of a steering panel: which jobs a change posts, in which order they run, and what each shows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import traitlets

from saewidgets.errors import SaewidgetsError
from saewidgets.results import FeatureId, Generation
from saewidgets.results.steering_vector import Number
from saewidgets.widgets.base import describe
from saewidgets.widgets.lab_view import anchor_of
from saewidgets.widgets.steering_edits import keyed
from saewidgets.widgets.steering_preset import SAMPLING
from saewidgets.widgets.steering_runs import SWEPT, Pair, Question, Sampling, let_in
from saewidgets.widgets.steering_screen import SteeringScreen, swept_of
from saewidgets.widgets.steering_wire import bars_json, clean, side_json, sweep_json, texts_json
from saewidgets.widgets.worker import Job, Stopped, Worker, worker_of

PAUSE = 0.05
ONE_SAMPLE = "At temperature 0 all samples are the same: one is written."


class SteeringWork(SteeringScreen):
    """Base of the steering panel.

    A change posts "bars", then "texts" to the worker of the model. The texts of the former change end at their next
    token, because the newer job has their kind; between two tokens bars that wait are run first, those of other panels
    too. A "sweep" is a kind of its own and ends with the next change.
    """

    # ---- what a change does --------------------------------------------------------------------------------------

    @traitlets.observe("edits")
    def _edits_changed(self, _: Any) -> None:
        self._held = keyed(self.edits, self._held, self._fresh)
        self._show_edits()
        self._ask("bars", "texts")

    @traitlets.observe("prompt", "sae")
    def _prompt_changed(self, _: Any) -> None:
        self._ask("bars", "texts")

    @traitlets.observe(*SAMPLING)
    def _sampling_changed(self, _: Any) -> None:
        self._ask("texts")

    @traitlets.observe("k")
    def _k_changed(self, _: Any) -> None:
        self._ask("bars")

    @traitlets.observe("live")
    def _live_changed(self, _: Any) -> None:
        if self.live and (self._written != self._question() or not self._whole):
            self._ask("texts")

    def _assign(self, values: dict[str, Any]) -> None:
        """Assign traits together: all or, where one is refused, none; what follows is computed once."""
        former: dict[str, Any] = {}
        outer, asked = self._asked, []
        self._asked = asked
        try:
            for name, value in values.items():
                before = getattr(self, name)
                setattr(self, name, value)
                former[name] = before
        except BaseException:
            for name, value in former.items():
                setattr(self, name, value)
            raise
        finally:
            self._asked = outer
        if asked:
            self._ask(*sorted(set().union(*asked)))

    def _question(self) -> Question:
        return Question(self.prompt, self.edits, self._sampling(), str(self.sae))

    def _sampling(self) -> Sampling:
        return Sampling(*(getattr(self, name) for name in SAMPLING))

    def _ask(self, *kinds: str) -> None:
        """Compute what has changed; long work that has been overtaken ends."""
        if self._asked is not None:
            self._asked.append(set(kinds))
        elif self._ready:
            self._show_code()
            if "texts" in kinds:
                self._end_long()
            if "bars" in kinds:
                self._submit("bars", self._do_bars)
            if "texts" in kinds and self.live:
                self._submit("texts", self._do_texts)

    def _generate(self) -> None:
        again = self._whole and self._written == self._question() and self._idle()
        if again:
            self._submit("bars", self._do_all_anew)
        elif "next_token" not in self._shown:
            self._submit("bars", self._do_bars)
        self._submit("texts", self._do_texts)

    def _post_sweep(self, key: str, which: int) -> None:
        if "next_token" not in self._shown:
            self._submit("bars", self._do_bars)
        self._submit("sweep", lambda job, worker, question: self._do_sweep(job, worker, question, key, which))

    def _end_long(self) -> None:
        """Texts and sweeps that run end. Texts that newer ones are about to follow are left to these."""
        for kind in ("sweep",) if self.live else ("sweep", "texts"):
            job = self._jobs.pop(kind, None)
            if job is not None:
                stop_job(job)

    def _submit(self, kind: str, do: Callable[[Job, Worker, Question], None]) -> None:
        question = self._question()
        try:
            worker = self._worker(question)
        except SaewidgetsError as error:  # the SAE has left the lab
            self._say("failed", describe(error))
            return
        for other, job in list(self._jobs.items()):  # what has ended says no more of the status
            if other != kind and job.finished:
                self._jobs.pop(other, None)
        self._post(worker, kind, lambda job: do(job, worker, question))

    def _worker(self, question: Question) -> Worker:
        features = [edit.target for edit in question.edits if isinstance(edit.target, FeatureId)]
        sae = features[0].sae if features else question.sae
        return worker_of(anchor_of(self.lab, sae) if sae else next(iter(self.lab.models.values()), self.lab))

    def stop(self) -> None:
        """Ask all work of this view to stop; what was written stays."""
        for job in list(self._jobs.values()):
            stop_job(job)

    def _on_job(self, job: Job) -> None:
        """The status is that of all the jobs together; it ends with the last of them."""
        jobs = list(self._jobs.values())
        if job not in jobs:
            return
        going = [one.state for one in jobs if not one.finished]
        failed = next((one for one in jobs if one.state == "failed" and one.error is not None), None)
        message = describe(failed.error) if failed is not None and failed.error is not None else ""
        if going:
            if message:
                self.set_trait("error", clean(message))
            self.set_trait("status", {"state": "running" if "running" in going else "queued", "message": ""})
        elif message:
            self._say("failed", message)
        else:
            stopped = any(one.state == "stopped" for one in jobs)
            alone = self.samples > 1 and self.temperature == 0
            self._say("stopped" if stopped else "done", ONE_SAMPLE if alone else "")

    # ---- on the worker -------------------------------------------------------------------------------------------

    def _do_all_anew(self, job: Job, worker: Worker, question: Question) -> None:
        self._runs.forget()
        self._do_bars(job, worker, question)

    def _do_bars(self, job: Job, _: Worker, question: Question) -> None:
        found, plan = self._runs.next_token(question, self.k)
        if self._jobs.get("bars") is not job:
            raise Stopped
        self._bars = bars_json(found)
        self._answered = question
        self._keep(next_token=found, strengths=plan.strengths)
        self._show_edits(zip(question.edits, found.reach, strict=False))
        self._drop_sweep(question)
        if not self.live:
            self._let_go(question)

    def _do_texts(self, job: Job, worker: Worker, question: Question) -> None:
        former, latest = self._texts, []

        def check() -> None:
            let_in(worker, "bars")
            job.check()

        def show(so_far: Callable[[], Pair]) -> None:
            latest[:] = [so_far]
            stream(lambda: self.set_trait("_texts", texts_json(*so_far(), running=True)))

        stream = at_most_every(PAUSE)
        try:
            check()
            self._drop_sweep(question)
            base, steered = self._runs.write(question, show, check)
            latest.clear()
            self._keep_texts(question, base, steered, whole=True)
            side = self._runs.side_effect(question, check)
        except Stopped:
            if self._jobs.get("texts") in (None, job):
                if latest:
                    self._keep_texts(question, *latest[0](), whole=False)
                self._let_go(question)
            raise
        except Exception:
            if self._texts.get("running"):
                self._texts = former
            self._let_go(question)
            raise
        self._side = side_json(side)
        self._keep(side_effect=side)

    def _do_sweep(self, job: Job, worker: Worker, question: Question, key: str, which: int) -> None:
        edit, former, so_far = question.edits[which], self._sweep, []

        def check() -> None:
            let_in(worker, "bars")
            job.check()

        def draw(texts: tuple[Generation, ...], running: bool) -> None:
            self._sweep = sweep_json(key, edit, SWEPT, texts, self.lab.saes, running)

        def show(texts: tuple[Generation, ...]) -> None:
            so_far[:] = texts
            stream(lambda: draw(texts, running=True))

        stream = at_most_every(PAUSE)
        try:
            so_far = list(self._runs.sweep(question, which, show, check))
        except Stopped:
            if not so_far:
                raise
        except Exception:
            self._sweep = former
            raise
        self._swept = swept_of(question, which)
        draw(tuple(so_far), running=False)
        self._keep(sweep=tuple(so_far), values=SWEPT)
        job.check()


def stop_job(job: Job) -> None:
    """Stop a job; one that waits says so at once, however long the worker is busy with others."""
    job.stop()
    if job.state == "queued":
        job.become("stopped")


def at_most_every(seconds: Number) -> Callable[[Callable[[], object]], None]:
    """Calls what it is given, but not so often."""
    due = 0.0

    def call(show: Callable[[], object]) -> None:
        nonlocal due
        if time.monotonic() >= due:
            show()
            due = time.monotonic() + seconds

    return call
