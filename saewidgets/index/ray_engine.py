"""Rounds of a build read by the workers of a Ray cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch

from saewidgets.errors import IndexBuildError, MismatchError, SaewidgetsError
from saewidgets.index.engines import Engine, Round
from saewidgets.index.reading import Placed
from saewidgets.index.settings import Settings
from saewidgets.index.shard import Kept, Shard
from saewidgets.index.versions import versions
from saewidgets.models import LanguageModel
from saewidgets.saes import SAE

_ROUNDS_A_WORKER = 2  # one that it reads, one that waits
_GO_ON = "the same call goes on from the last state that was saved"


class Worker:
    """What runs in each worker: a shard of the build. Ray makes an actor of it."""

    def __init__(self) -> None:
        self._shard: Any = None

    def begin(self, model: Any, name: str, saes: list[SAE], settings: Settings, threads: int) -> dict[str, str]:
        """Take what is needed to read, and say which versions of the libraries are there.

        Args:
            model: The model, as the user has it.
            name: What it is called.
            saes: The SAEs.
            settings: What shapes the index.
            threads: How many threads compute.
        """
        torch.set_num_threads(threads)
        self._shard = Shard(LanguageModel(model, name), saes, settings)
        return versions()

    def read(self, windows: list[Placed], sink_norms: list[float | None]) -> list[float | None]:
        """Read a round; the lengths above which a token is a sink."""
        self._shard.sink_norms = sink_norms
        self._shard.read(windows)
        return self._shard.sink_norms

    def hand_over(self) -> Kept:
        """What was kept of all rounds since the last call."""
        return self._shard.hand_over()

    def merged(self, *kept: Kept) -> Kept:
        """What workers have handed over, as one."""
        for each in kept:
            self._shard.merge(each)
        return self._shard.hand_over()


class RayEngine(Engine):
    """Rounds go to actors of a Ray cluster; one that runs is used, else one is started on this machine, for a while.

    Args:
        shard: Where all ends up; it reads nothing itself.
        model: The model; each worker gets a copy.
        saes: The SAEs.
        settings: What shapes the index.
        workers: How many; None: as many as the cluster has room for.

    Raises:
        IndexBuildError: The cluster has no GPU for a model that is on one, or the model cannot be sent.
    """

    def __init__(
        self, shard: Shard, model: LanguageModel, saes: Sequence[SAE], settings: Settings, workers: int | None
    ) -> None:
        import ray

        self._ray: Any = ray
        self._shard, self._find_sinks = shard, settings.mask_sinks
        self._running: dict[Any, tuple[Any, Round | None]] = {}
        self._load: dict[Any, int] = {}
        self._ready: list[Any] = []
        self._dirty: list[Any] = []
        self._own = not ray.is_initialized()
        try:
            if self._own:
                _start(ray)
            self._begin(model, saes, settings, workers)
        except BaseException:
            self.close()
            raise

    def _begin(self, model: LanguageModel, saes: Sequence[SAE], settings: Settings, workers: int | None) -> None:
        n, threads, gpus = _shape(self._ray, model.device.type, workers)
        sent = self._sent(model), self._ray.put(list(saes))
        actor = self._ray.remote(num_cpus=threads, num_gpus=gpus, max_restarts=0)(Worker)
        for _ in range(n):
            worker = actor.remote()
            self._load[worker] = 0
            self._running[worker.begin.remote(sent[0], model.name, sent[1], settings, threads)] = worker, None

    def _sent(self, model: LanguageModel) -> Any:
        """The model as Ray holds it for all workers."""
        util: Any = self._ray.util
        # transformers leaves hooks on its models that read context variables, which cannot be pickled.
        util.register_serializer(ContextVar, serializer=_as_seen, deserializer=_again)
        try:
            return self._ray.put(model.model)
        except Exception as error:
            reason = error.__cause__ or error.__context__ or error
            raise IndexBuildError(
                f"Model '{model.name}' cannot be sent to the workers.",
                got=f"{type(reason).__name__}: {reason}"[:300],
                do="take off hooks of your own that cannot be pickled, or build without engine='ray'",
            ) from error
        finally:
            util.deregister_serializer(ContextVar)

    def read(self, round_: Round) -> list[Round]:
        """Send a round to the worker that has least to do, once there is one."""
        done = self._poll()
        while not (free := [each for each in self._ready if self._load[each] < _ROUNDS_A_WORKER]):
            done += self._wait(1)
        worker = min(free, key=lambda each: self._load[each])
        self._running[worker.read.remote(round_.windows, self._shard.sink_norms)] = worker, round_
        self._load[worker] += 1
        if worker not in self._dirty:
            self._dirty.append(worker)
        if self._find_sinks and None in self._shard.sink_norms:
            done += self._drain()  # what the first batch gives holds for all
        return done

    def collect(self) -> list[Round]:
        """Wait for all rounds; workers merge in pairs, so that this process has one state to take in."""
        done = self._drain()
        kept = [worker.hand_over.remote() for worker in self._dirty]
        while len(kept) > 1:
            pairs = zip(self._dirty, kept[::2], kept[1::2], strict=False)
            kept = [worker.merged.remote(*pair) for worker, *pair in pairs] + kept[len(kept) - len(kept) % 2 :]
        for each in kept:
            self._shard.merge(self._get(each))
        self._dirty.clear()
        return done

    def close(self) -> None:
        """End the workers, and the cluster where it was started here."""
        for worker in self._load:
            self._ray.kill(worker)
        self._load.clear()
        self._running.clear()
        if self._own:
            self._ray.shutdown()

    def _drain(self) -> list[Round]:
        """Wait for all rounds; a worker that has not started yet is not waited for."""
        done = []
        while any(round_ for _, round_ in self._running.values()):
            done += self._wait(1)
        return done

    def _poll(self) -> list[Round]:
        return self._wait(len(self._running), timeout=0.0) if self._running else []

    def _wait(self, n: int, timeout: float | None = None) -> list[Round]:
        """The rounds that have been read, once ``n`` answers are there or the time is over."""
        answers, _ = self._ray.wait(list(self._running), num_returns=n, timeout=timeout)
        done = []
        for answer in answers:
            worker, round_ = self._running.pop(answer)
            value = self._get(answer)
            if round_ is None:
                _check_versions(value)
                self._ready.append(worker)
            else:
                self._load[worker] -= 1
                self._shard.sink_norms = value
                done.append(round_)
        return done

    def _get(self, reference: Any) -> Any:
        try:
            return self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, SaewidgetsError):
                raise cause from None
            raise IndexBuildError(
                "A worker failed.", got=f"{type(cause).__name__}: {cause}"[:300], do=_GO_ON
            ) from error  # fmt: skip
        except self._ray.exceptions.RayError as error:
            got = str(error).strip().splitlines() or [type(error).__name__]
            raise IndexBuildError(
                "A worker was lost.", got=got[0][:300], do=f"look at the memory of its machine; {_GO_ON}"
            ) from error  # fmt: skip


def _as_seen(variable: ContextVar[Any]) -> tuple[str, Any]:
    """Name and value of a context variable, None where it has none."""
    return variable.name, variable.get(None)


def _again(seen: tuple[str, Any]) -> ContextVar[Any]:
    return ContextVar(seen[0], default=seen[1])


def _start(ray: Any) -> None:
    """Start Ray on this machine, or join the cluster that RAY_ADDRESS names."""
    with _environment(RAY_USAGE_STATS_ENABLED="0"):
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)


@contextmanager
def _environment(**values: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: value for name, value in values.items() if before[name] is None})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)


def _shape(ray: Any, device: str, workers: int | None) -> tuple[int, int, int]:
    """How many workers, and how many threads and GPUs each.

    Without a number of workers each has as many threads as this process, so that it computes the same.
    """
    every, free = ray.cluster_resources(), ray.available_resources()
    if device == "cuda":
        if not every.get("GPU"):
            raise IndexBuildError(
                "The model is on a GPU, and the Ray cluster has none.", got=f"{every.get('CPU', 0):.0f} CPUs",
                do="start Ray with num_gpus, or move the model to the CPU",
            )  # fmt: skip
        return workers or max(1, int(free.get("GPU", 0))), 1, 1
    largest = max(int(node["Resources"].get("CPU", 0)) for node in ray.nodes() if node["Alive"])
    threads = min(torch.get_num_threads(), largest)
    if workers is not None:
        threads = min(threads, int(every.get("CPU", 0)) // workers)
    threads = max(1, threads)
    return workers or max(1, int(free.get("CPU", 0)) // threads), threads, 0


def _check_versions(found: dict[str, str]) -> None:
    own = versions()
    other = [f"{name} {found.get(name)}" for name in own if found.get(name) != own[name]]
    if other:
        raise MismatchError(
            "A worker has other versions of the libraries that the numbers depend on.", got=", ".join(other),
            expected=", ".join(f"{name} {version}" for name, version in own.items()),
        )  # fmt: skip
