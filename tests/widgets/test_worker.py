import gc
import threading
import weakref
from queue import SimpleQueue

import pytest

from saewidgets.widgets.worker import Job, Stopped, Worker, worker_of


class Model:
    """Something that can be weakly referenced."""

    def __init__(self, model: object = None) -> None:
        self.model = model


class Gate:
    """Work that tells when it has begun and goes on when it may."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self, job: Job) -> str:
        self.begun.set()
        self.open.wait(30)
        job.check()
        return "through"


@pytest.fixture
def worker():
    worker = Worker()
    worker.start()
    yield worker
    worker.end()
    assert worker.thread is not None
    worker.thread.join(30)


def test_call_runs_on_the_worker_thread_and_returns(worker):
    assert worker.call(lambda job: threading.current_thread()) is worker.thread


def test_call_from_the_worker_itself_does_not_wait_for_itself(worker):
    assert worker.call(lambda job: worker.call(lambda inner: 3)) == 3


def test_exceptions_come_back_as_data_and_the_worker_goes_on(worker):
    for fault in (ValueError("no"), SystemExit(2), KeyboardInterrupt(), StopIteration(), RecursionError()):

        def work(job, fault=fault):
            raise fault

        job = worker.post(Job("owner", "kind", work))
        job.wait()
        assert (job.state, job.error) == ("failed", fault)
    assert worker.call(lambda job: "alive") == "alive"


def test_call_raises_what_the_work_raised(worker):
    with pytest.raises(ZeroDivisionError):
        worker.call(lambda job: 1 / 0)


def test_the_newest_of_a_kind_wins_and_the_others_never_run(worker):
    gate, ran = Gate(), []
    worker.post(Job("blocker", "kind", gate))
    gate.begun.wait(30)
    jobs = [worker.post(Job("slider", "steer", lambda job, i=i: ran.append(i))) for i in range(50)]
    gate.open.set()
    jobs[-1].wait()
    assert ran == [49]
    assert [job.state for job in jobs] == ["stopped"] * 49 + ["done"]


def test_a_newer_job_stops_the_one_that_runs(worker):
    gate = Gate()
    first = worker.post(Job("view", "run", gate))
    gate.begun.wait(30)
    second = worker.post(Job("view", "run", lambda job: "newer"))
    gate.open.set()
    second.wait()
    assert (first.state, second.result) == ("stopped", "newer")


def test_other_owners_and_kinds_are_left_alone(worker):
    gate = Gate()
    first = worker.post(Job("view", "run", gate))
    gate.begun.wait(30)
    others = [worker.post(Job(*key, lambda job: "ran")) for key in (("view", "look"), ("other", "run"))]
    gate.open.set()
    for job in others:
        job.wait()
    assert [first.state, *(job.result for job in others)] == ["done", "ran", "ran"]


def test_states_are_told_in_order(worker):
    states = []
    job = Job("view", "run", lambda job: None, on_change=lambda job: states.append(job.state))
    worker.post(job).wait()
    assert states == ["running", "done"]


def test_who_waits_goes_on_when_the_owner_knows(worker):
    waiting = []

    def tell(job: Job) -> None:
        if job.finished:
            thread = threading.Thread(target=job.wait)
            thread.start()
            thread.join(0.3)
            waiting.append(thread.is_alive())

    worker.post(Job("view", "run", lambda job: None, on_change=tell)).wait()
    assert waiting == [True]


def test_an_owner_that_raises_does_not_end_the_worker(worker):
    job = worker.post(Job("view", "run", lambda job: None, on_change=lambda job: 1 / 0))
    job.wait()
    assert worker.call(lambda job: "alive") == "alive"


def test_a_stopped_job_that_waits_never_starts(worker):
    gate, ran = Gate(), []
    worker.post(Job("blocker", "kind", gate))
    gate.begun.wait(30)
    job = worker.post(Job("view", "run", lambda job: ran.append(1)))
    job.stop()
    gate.open.set()
    job.wait()
    assert (job.state, ran) == ("stopped", [])


def test_keyboard_interrupt_in_call_leaves_the_worker_usable(worker, monkeypatch):
    gate = Gate()
    seen = SimpleQueue()

    def interrupted(job):
        seen.put(job)
        raise KeyboardInterrupt

    monkeypatch.setattr(Job, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        worker.call(gate)
    monkeypatch.undo()
    gate.open.set()
    job = seen.get(timeout=30)
    job.wait()
    assert job.state == "stopped"
    assert worker.call(lambda job: "alive") == "alive"


def test_a_stopped_call_raises_stopped(worker):
    with pytest.raises(Stopped):
        worker.call(lambda job: (job.stop(), job.check()))


def test_gradients_are_off_on_the_worker_only(worker):
    import torch

    inside = worker.call(lambda job: torch.is_grad_enabled())
    assert (inside, torch.is_grad_enabled()) == (False, True)


def test_what_a_job_builds_can_be_differentiated_later(worker):
    import torch

    weight = worker.call(lambda job: torch.nn.Parameter(torch.ones(2)))
    (weight * weight).sum().backward()
    assert weight.grad.tolist() == [2.0, 2.0]


def test_one_worker_for_a_model_and_for_its_wrappers():
    model = Model()
    assert worker_of(model) is worker_of(Model(model))
    assert worker_of(model) is not worker_of(Model())


def test_the_thread_ends_when_the_model_is_gone():
    model = Model()
    worker = worker_of(model)
    assert worker.call(lambda job: 1) == 1
    thread, gone = worker.thread, weakref.ref(model)
    del model, worker
    gc.collect()
    assert thread is not None
    thread.join(30)
    assert gone() is None
    assert not thread.is_alive()


def test_the_work_is_forgotten_after_the_run(worker):
    model = Model()
    gone = weakref.ref(model)
    job = worker.post(Job("view", "run", lambda job, model=model: None))
    job.wait()
    del model
    gc.collect()
    assert gone() is None


def test_messages_of_the_worker_belong_to_no_cell(monkeypatch):
    from contextvars import ContextVar
    from types import SimpleNamespace

    import IPython

    parent = ContextVar("parent")
    parent.set({"header": {"msg_id": "a cell"}})
    shell = SimpleNamespace(kernel=SimpleNamespace(_shell_parent=parent))
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    worker = Worker()
    worker.start()
    assert worker.call(lambda job: parent.get()) == {}
    assert parent.get() == {"header": {"msg_id": "a cell"}}
    worker.end()
