"""One worker thread for each model: callbacks post jobs, and only this thread runs them.

Widget callbacks run on whatever thread the Jupyter version picks, also while a cell runs. So they never touch a model:
they post a :class:`Job`, and the worker of that model runs one job after the other. A newer job of the same owner and
kind replaces an older one that waits and stops one that runs (latest wins). Exceptions come back as data. Nothing here
prints.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from queue import Empty, SimpleQueue
from typing import Any, Literal

from saewidgets.widgets.hurry import hurry

State = Literal["queued", "running", "done", "stopped", "failed"]
FINAL = ("done", "stopped", "failed")


class Stopped(Exception):  # noqa: N818 - a request that was honoured, not an error
    """Raised inside a job that was asked to stop."""


class Job:
    """One piece of work for the worker of a model.

    Args:
        owner: Who asks, such as a widget.
        kind: What for; a newer job of the same owner and kind replaces this one.
        work: Called with the job on the worker thread; long work calls ``job.check()`` now and then.
        on_change: Called with the job after each change of ``state``; never raises into the worker.
    """

    def __init__(
        self,
        owner: object,
        kind: str,
        work: Callable[[Job], Any],
        on_change: Callable[[Job], object] | None = None,
    ) -> None:
        self.key = (owner, kind)
        self.state: State = "queued"
        self.result: Any = None
        self.error: BaseException | None = None
        self.stopping = self.told = self._ends_passes = False
        self._work: Callable[[Job], Any] | None = work
        self._on_change = on_change
        # A SimpleQueue, because a keyboard interrupt inside threading.Event would leave its lock held.
        self._bell: SimpleQueue[None] = SimpleQueue()

    @property
    def finished(self) -> bool:
        """True once the job is done, stopped or failed."""
        return self.state in FINAL

    def stop(self, in_a_pass: bool = True) -> None:
        """Ask the job to stop; a queued one never starts, a running one stops at its next ``check``.

        Args:
            in_a_pass: Also in the middle of a forward pass. Not where a newer job takes its place: while a slider
                moves, no job would ever come to its end.
        """
        self._ends_passes |= in_a_pass
        self.stopping = True
        if self.state == "running":
            hurry.begin(self)
        if self.finished:  # between the two lines above
            hurry.end(self)

    def check(self) -> None:
        """Raise :class:`Stopped` if the job was asked to stop."""
        if self.stopping:
            raise Stopped

    def check_in_a_pass(self) -> None:
        """Raise :class:`Stopped` if a forward pass that is under way is to end too."""
        if self._ends_passes:
            raise Stopped

    def wait(self) -> None:
        """Block until the job is finished and its owner knows; a keyboard interrupt gets through."""
        while not self.told:
            with contextlib.suppress(Empty):
                self._bell.get(timeout=0.1)
        self._bell.put(None)

    def run(self, model: Any = None) -> None:
        """Run the work and keep what came of it; called by the worker.

        Args:
            model: The model that it is about: a stop ends also a forward pass that is under way.
        """
        work, self._work = self._work, None
        try:
            self.check()
            self.become("running")
            with _without_gradients(), _stoppable(model, self.check_in_a_pass):
                self.result = work(self) if work else None
            self.become("done")
        except Stopped:
            self.become("stopped")
        except BaseException as error:  # noqa: BLE001 - an exception is data here, SystemExit too
            self.error = error.with_traceback(None)
            self.become("failed")

    def become(self, state: State) -> None:
        """Change the state, tell the owner, wake who waits."""
        self.state = state
        try:
            if self._on_change is not None:
                with contextlib.suppress(Exception):
                    self._on_change(self)
        finally:
            if self.finished:
                hurry.end(self)
                self._work = self._on_change = None
                self.told = True
                self._bell.put(None)


class Worker:
    """The one thread that runs the jobs of one model; see :func:`worker_of`.

    Args:
        model: The model, which is not kept alive.
    """

    def __init__(self, model: Any = None) -> None:
        self._model: Callable[[], Any] = weakref.ref(model) if model is not None else lambda: None
        self._inbox: SimpleQueue[tuple[object, str] | None] = SimpleQueue()
        self._mailbox: dict[tuple[object, str], Job] = {}
        self._running: Job | None = None
        self.thread: threading.Thread | None = None

    def post(self, job: Job) -> Job:
        """Queue a job and return at once; an older job of the same owner and kind is stopped."""
        waiting, running = self._mailbox.get(job.key), self._running
        self._mailbox[job.key] = job
        self._inbox.put(job.key)
        if waiting is not None and waiting is not running and waiting.state == "queued":
            waiting.stop()
            waiting.become("stopped")
        if running is not None and running.key == job.key:
            running.stop(in_a_pass=False)
        return job

    def call(self, work: Callable[[Job], Any]) -> Any:
        """Run ``work`` on the worker thread, wait for it, and return what it returns or raise what it raises.

        Raises:
            KeyboardInterrupt: The kernel was interrupted; the work is asked to stop and the worker stays usable.
            Stopped: The work was stopped by someone else.
        """
        job = Job(object(), "call", work)
        if self.is_current():
            self.run(job)
        else:
            self.post(job)
            try:
                job.wait()
            except BaseException:
                job.stop()
                raise
        if job.error is not None:
            raise job.error
        if job.state == "stopped":
            raise Stopped
        return job.result

    def is_current(self) -> bool:
        """True on the worker's own thread."""
        return threading.current_thread() is self.thread

    def start(self) -> None:
        """Start the thread."""
        self.thread = threading.Thread(
            target=_serve, args=(weakref.ref(self), self._inbox), name="saewidgets-worker", daemon=True
        )
        self.thread.start()

    def end(self) -> None:
        """End the thread after the job that it runs."""
        self._inbox.put(None)

    def leave(self, seconds: float) -> None:
        """Stop all jobs and wait for the thread, so that it does not run on into the end of the interpreter."""
        for job in [*self._mailbox.values(), *([self._running] if self._running else [])]:
            job.stop()
        self.end()
        if self.thread is not None and not self.is_current():
            self.thread.join(seconds)

    def take(self, key: tuple[object, str]) -> None:
        """Run the newest job under ``key``, if it has not been run; called by the thread."""
        job = self._mailbox.pop(key, None)
        if job is None or job.finished:
            return
        self._running = job
        if key in self._mailbox:  # a newer one came between the two lines above
            job.stop(in_a_pass=False)
        try:
            self.run(job)
        finally:
            self._running = None

    def run(self, job: Job) -> None:
        """Run a job now; on the worker's own thread."""
        job.run(self._model())


_workers: weakref.WeakKeyDictionary[Any, Worker] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def worker_of(model: Any) -> Worker:
    """The worker of a model, made on first use; it ends when the model is gone.

    Args:
        model: Any object that can be weakly referenced; a wrapper with the real model as ``.model`` stands for that
            model, so two labs on one model share one worker.

    Example:
        >>> class Model: ...
        >>> model = Model()
        >>> worker_of(model).call(lambda job: 1 + 1)
        2
    """
    inner = getattr(model, "model", None)
    key = model if inner is None or isinstance(inner, str) else inner
    worker = _workers.get(key)
    if worker is None:
        with _making:
            worker = _workers.get(key)
            if worker is None:
                worker = Worker(key)
                worker.start()
                _workers[key] = worker
                weakref.finalize(key, worker.end).atexit = False
    return worker


@atexit.register
def _leave() -> None:
    """A thread inside torch while the interpreter ends would abort the process."""
    for worker in list(_workers.values()):
        worker.leave(1.0)


def _serve(worker: weakref.ref[Worker], inbox: SimpleQueue[tuple[object, str] | None]) -> None:
    """The life of a worker thread."""
    _forget_the_cell()
    while (key := inbox.get()) is not None:
        alive = worker()
        if alive is None:
            return
        alive.take(key)
        del alive, key


def _forget_the_cell() -> None:
    """Let messages that this thread sends belong to no cell.

    ipykernel 7.4 sends replies of the browser to the shell of the cell that a message belongs to; a worker that
    inherits a running cell would make Stop wait for the end of that cell.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    parent = getattr(getattr(shell, "kernel", None), "_shell_parent", None)
    if isinstance(parent, ContextVar):
        parent.set({})


def _stoppable(model: Any, check: Callable[[], object]) -> contextlib.AbstractContextManager[None]:
    """Forward passes of the model look before each block whether they are to stop.

    A model that this very job builds does so from the next job on.
    """
    for name in ("built", "model"):
        if not hasattr(model, "blocks"):
            model = getattr(model, name, None) or model
    if not hasattr(model, "blocks"):
        return contextlib.nullcontext()
    from saewidgets.models.hooks import stoppable

    return stoppable(model, check)


@contextlib.contextmanager
def _without_gradients() -> Iterator[None]:
    """Gradients off, for this thread only.

    Not ``inference_mode``: what a job builds on first use (a model, an SAE) must serve later attributions.
    """
    torch = sys.modules.get("torch")
    with torch.no_grad() if torch is not None else contextlib.nullcontext():
        yield
