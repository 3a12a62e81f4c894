"""A forward pass that is ended in its middle: the model is as it was, and the text goes on as if nothing had been."""

from __future__ import annotations

import copy
import pickle
import threading
from typing import Any

import numpy as np
import pytest
import torch

from saewidgets.models.hooks import Guarded, hooks_around_blocks, stoppable
from saewidgets.models.lazy import ModelSlot
from saewidgets.widgets.worker import Job, Stopped, worker_of
from tests.conftest import MODEL_KINDS
from tests.models.test_language_model import hooks_left
from tests.steering.test_faults import EDITS, IDS, PROMPT, Tiny, ids_of


class Countdown:
    """A check that raises once, when it is called for the n-th time."""

    def __init__(self, n: int | None = None) -> None:
        self.n, self.calls = n, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == self.n:
            raise Stopped


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_text_whose_pass_was_ended_anywhere_goes_on(make_model, make_tensors, kind):
    tiny = Tiny(make_model(kind), make_tensors)
    whole, all_checks = tiny.lab.generate(PROMPT, EDITS, 4), Countdown()
    with stoppable(tiny.model, all_checks):
        assert ids_of(tiny.lab.generate(PROMPT, EDITS, 4, measure=False)) == ids_of(whole)
    assert all_checks.calls >= 4 * 3 * len(tiny.model.blocks)
    for n in range(1, all_checks.calls + 1):
        writing, check = tiny.lab.writing(PROMPT, EDITS, max_new_tokens=4), Countdown(n)
        with stoppable(tiny.model, check):
            while not writing.finished:
                try:
                    writing.step()
                except Stopped:
                    assert hooks_left(tiny.model) == 3 * len(tiny.model.blocks)  # those that look
        (found,) = writing.results()
        assert check.calls > n
        assert (ids_of(found), found.stopped) == (ids_of(whole), whole.stopped)
        np.testing.assert_allclose(found.logprobs, whole.logprobs, atol=1e-5)
        np.testing.assert_array_equal(found.steered, whole.steered)
    assert tiny.is_clean()


def test_only_passes_of_the_thread_that_may_be_stopped_look(make_model, make_tensors):
    tiny, check = Tiny(make_model("native"), make_tensors), Countdown(1)
    with stoppable(tiny.model, check):
        other = threading.Thread(target=tiny.logits)
        other.start()
        other.join(60)
        assert check.calls == 0
        with pytest.raises(Stopped):
            tiny.logits()
    assert tiny.is_clean()


def test_the_innermost_is_asked(make_model, make_tensors):
    tiny, outer, inner = Tiny(make_model("native"), make_tensors), Countdown(), Countdown()
    with stoppable(tiny.model, outer):
        with stoppable(tiny.model, inner):
            tiny.logits()
        assert (outer.calls, inner.calls > 0) == (0, True)
        tiny.logits()
    assert outer.calls == inner.calls
    assert tiny.is_clean()


def test_a_copy_made_meanwhile_cannot_be_stopped(make_model, make_tensors):
    tiny = Tiny(make_model("native"), make_tensors)
    with stoppable(tiny.model, Countdown(1)):
        assert torch.equal(tiny.logits(copy.deepcopy(tiny.model)), tiny.base)
        hooks = [hook for hook in tiny.model.blocks[0]._forward_pre_hooks.values() if isinstance(hook, Guarded)]
        assert [pickle.loads(pickle.dumps(hook))() for hook in hooks] == [None]


def test_others_do_not_take_it_for_a_change_of_the_model(make_model):
    model = make_model("native")
    known = hooks_around_blocks(model)
    with stoppable(model, Countdown()):
        assert hooks_around_blocks(model) == known
    handle = model.blocks[0].register_forward_hook(lambda *_: None)
    assert hooks_around_blocks(model) != known
    handle.remove()


class HeldPass:
    """The work of a job: one forward pass that waits in its middle until the job is asked to stop."""

    def __init__(self, tiny: Tiny) -> None:
        self.tiny, self.reached = tiny, threading.Event()
        self.done: list[torch.Tensor] = []

    def __call__(self, job: Job) -> None:
        def hold(*_: Any) -> None:
            self.reached.set()
            while not job.stopping:
                pass

        handle = self.tiny.model.blocks[0].hook_resid_pre.register_forward_hook(hold)
        try:
            self.done.append(self.tiny.logits())
        finally:
            handle.remove()
        job.check()


def test_a_stop_ends_the_pass_that_a_job_is_in(make_model, make_tensors):
    tiny, left = Tiny(make_model("native"), make_tensors), []
    work = HeldPass(tiny)
    job = Job("view", "run", work, lambda job: left.append(tiny.count()) if job.finished else None)
    worker_of(tiny.model).post(job)
    assert work.reached.wait(60)
    job.stop()
    job.wait()
    assert (job.state, job.error, work.done, left) == ("stopped", None, [], [tiny.hooks])
    assert tiny.is_clean()


def test_a_newer_job_lets_the_pass_end(make_model, make_tensors):
    """While a slider moves, each new place replaces the job of the last; what it had begun is still shown."""
    tiny = Tiny(make_model("native"), make_tensors)
    work, worker = HeldPass(tiny), worker_of(tiny.model)
    job = worker.post(Job("view", "run", work))
    assert work.reached.wait(60)
    newer = worker.post(Job("view", "run", lambda job: "newer"))
    newer.wait()
    assert (job.state, newer.result) == ("stopped", "newer")
    assert [torch.equal(logits, tiny.base) for logits in work.done] == [True]


def test_model_that_is_built_later(make_model):
    """The first job builds it; passes of the next look."""
    model = make_model("native")
    slot = ModelSlot("later", lambda: model)
    worker, hooks = worker_of(slot), []

    def work(job: Job) -> None:
        hooks.append(len(model.blocks[1]._forward_pre_hooks))
        slot.get()
        model(IDS)

    worker.call(work)
    worker.call(work)
    assert hooks == [0, 1]
    assert hooks_left(model) == 0
