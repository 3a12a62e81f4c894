"""A build on a local Ray cluster of two workers, against the same in this process: the same files, byte for byte."""

from __future__ import annotations

import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import ray
import torch
from ray.exceptions import RayActorError

import saewidgets as sw
from saewidgets.errors import IndexBuildError, MismatchError, NonFiniteError
from saewidgets.index import ray_engine
from saewidgets.index.ray_engine import RayEngine
from saewidgets.index.versions import versions
from tests.index.test_build import HOOK, corpus, files

ROOT = Path(__file__).resolve().parents[2]
SMALL: dict[str, Any] = {"context": 32, "batch_size": 1, "on_progress": False}
"""Ten rounds for 300 texts."""

pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")  # Ray does not wait


@pytest.fixture(scope="module")
def ray_environment():
    """No usage statistics; a machine that is busy has two minutes to start. What Ray leaves behind is ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_raylet_start_wait_time_s", "120")
        yield patch
    for process in [each for each in gc.get_objects() if issubclass(type(each), subprocess.Popen)]:
        process.wait(60)


@pytest.fixture(scope="module")
def cluster(ray_environment):
    """Two CPUs."""
    ray_environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, object_store_memory=2**28
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def engines(cluster, monkeypatch):
    """Every engine that is made; each waits for all of its workers, and notes how many handed something over."""
    made = []
    begin, collect = RayEngine._begin, RayEngine.collect

    def all_ready(self, *args):
        begin(self, *args)
        self.handed_over, self.workers = [], list(self._load)
        made.append(self)
        self._wait(len(self._running))

    def noted(self):
        done = self._drain()
        self.handed_over.append(len(self._dirty))
        return done + collect(self)

    monkeypatch.setattr(RayEngine, "_begin", all_ready)
    monkeypatch.setattr(RayEngine, "collect", noted)
    return made


def assert_nothing_runs(engine: Any) -> None:
    for worker in engine.workers:
        with pytest.raises(RayActorError):
            ray.get(worker.hand_over.remote())


def test_ray_is_started_where_it_does_not_run_and_ended(lab, ray_environment, monkeypatch, tmp_path):
    assert not ray.is_initialized(), "this test comes before those that share a cluster"
    seen = []

    def begin(*_):
        seen.append(ray.is_initialized())
        raise IndexBuildError("as if it had begun")

    monkeypatch.setattr(RayEngine, "_begin", begin)
    with pytest.raises(IndexBuildError, match="as if"):
        lab.build_index(corpus(1), path=tmp_path, engine="ray", **SMALL)
    assert (seen, ray.is_initialized()) == ([True], False)
    assert "RAY_USAGE_STATS_ENABLED" not in os.environ


def test_two_workers_write_the_files_of_one_process(lab, make_tensors, engines, tmp_path):
    model = lab.model_of().model
    lab.add_sae(make_tensors("topk", seed=5), "other", hook="blocks.0.hook_resid_post")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    texts, names, seen = [[0], *corpus(300)], ["sae", "other"], []
    options = SMALL | {"mask_sinks": True}
    lab.build_index(texts, names, path=tmp_path / "here", **options)
    options |= {"on_progress": seen.append}
    lab.build_index(texts, names, path=tmp_path / "ray", engine="ray", **options)
    assert files(tmp_path / "ray") == files(tmp_path / "here")
    assert engines[0].handed_over == [2]
    assert (seen[-1].texts, seen[-1].seconds_left) == (301, 0)
    assert sum(map(len, texts)) == seen[-1].tokens
    assert ray.is_initialized()
    assert_nothing_runs(engines[0])
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())


def test_begun_with_one_engine_and_gone_on_with_the_other(make_model, make_tensors, engines, tmp_path):
    lab = sw.Lab(make_model("hooked"))
    lab.add_sae(make_tensors("jumprelu"), hook=HOOK)
    texts, path, seen = corpus(300), tmp_path / "parts", []
    lab.build_index(texts, path=tmp_path / "whole", **SMALL)

    def stop(progress):
        seen.append(progress.tokens)
        return len(seen) % 3 != 0

    options = SMALL | {"path": path, "on_progress": stop}
    calls = [lab.build_index(iter(texts), engine=engine, **options) for engine in (None, "ray")]
    assert calls == [None, None]
    lab.build_index(iter(texts), **SMALL | {"path": path})
    assert files(path) == files(tmp_path / "whole")
    assert_nothing_runs(engines[0])


def test_bundled_model_with_the_state_saved_while_workers_read(engines, tmp_path):
    lab, texts = sw.demo(), [document.text for document in sw.demo.world.sample(3, 60)]
    lab.build_index(texts, path=tmp_path / "here", **SMALL)
    lab.build_index(texts, path=tmp_path / "ray", engine="ray", workers=1, checkpoint_seconds=0, **SMALL)
    assert len(engines[0].handed_over) > 3
    assert files(tmp_path / "ray") == files(tmp_path / "here")


def test_error_of_a_worker_is_the_error_of_the_call(make_model, make_tensors, engines, tmp_path):
    model = make_model("native")
    lab = sw.Lab(model)
    lab.add_sae(make_tensors(), hook=HOOK)
    texts = corpus(100)
    with torch.no_grad():
        model.W_E[319] = float("nan")
    with pytest.raises(NonFiniteError, match=HOOK) as caught:
        lab.build_index([*texts[:90], [0, 319], *texts], path=tmp_path, engine="ray", workers=1, **SMALL)
    assert "already in the weight" in str(caught.value.got)
    assert_nothing_runs(engines[0])
    assert ray.is_initialized()


def test_worker_that_fails_or_is_lost_says_what_to_do(cluster):
    engine = RayEngine.__new__(RayEngine)
    engine._ray = ray

    def fail():
        raise ValueError("one window")

    def die():
        os._exit(1)

    for what, match in ((fail, "A worker failed(.|\n)*ValueError: one window"), (die, "A worker was lost")):
        with pytest.raises(IndexBuildError, match=match + "(.|\n)*goes on"):
            engine._get(ray.remote(max_retries=0)(what).remote())


def test_model_that_cannot_be_sent(make_model, make_tensors, cluster, tmp_path):
    model, lock = make_model("native"), threading.Lock()
    lab = sw.Lab(model)
    lab.add_sae(make_tensors(), hook=HOOK)
    model.register_forward_hook(lambda *_: lock.locked() and None)
    with pytest.raises(IndexBuildError, match=r"cannot be sent(.|\n)*lock(.|\n)*hooks of your own"):
        lab.build_index(corpus(3), path=tmp_path, engine="ray", **SMALL)


def test_worker_with_another_version():
    ray_engine._check_versions(versions())
    with pytest.raises(MismatchError, match=r"torch 1\.0"):
        ray_engine._check_versions(versions() | {"torch": "1.0"})


@pytest.mark.parametrize(
    ("workers", "threads", "found"),
    [(None, 1, (2, 1, 0)), (None, 2, (1, 2, 0)), (2, 2, (2, 1, 0)), (5, 1, (5, 1, 0)), (None, 64, (1, 2, 0))],
)
def test_workers_do_not_take_more_threads_than_there_are(cluster, monkeypatch, workers, threads, found):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 2.0})
    assert ray_engine._shape(ray, "cpu", workers) == found


def test_model_on_a_gpu_needs_a_cluster_with_one(cluster, monkeypatch):
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0})
    with pytest.raises(IndexBuildError, match="num_gpus"):
        ray_engine._shape(ray, "cuda", None)
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0, "GPU": 4.0})
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 8.0, "GPU": 3.0})
    assert ray_engine._shape(ray, "cuda", None) == (3, 1, 1)


PROGRAM = """
import os, signal, sys, torch, saewidgets as sw
torch.set_num_threads(1)
texts = [document.text for document in sw.demo.world.sample(3, 80)]
rounds = []
def progress(found):
    rounds.append(found)
    if len(rounds) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
options = {"context": 32, "batch_size": 2, "checkpoint_seconds": 0, "on_progress": progress}
sw.demo().build_index(texts, path=sys.argv[1], engine="ray", workers=1, **options)
"""


def test_killed_and_gone_on_gives_the_same_files(cluster, tmp_path):
    address = ray.get_runtime_context().gcs_address  # another process joins the cluster
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "parts")]
    assert subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == -signal.SIGKILL
    texts = [document.text for document in sw.demo.world.sample(3, 80)]
    options: dict[str, Any] = {"context": 32, "batch_size": 2}
    seen = []
    sw.demo().build_index(texts, path=tmp_path / "parts", on_progress=seen.append, **options)
    sw.demo().build_index(texts, path=tmp_path / "whole", on_progress=False, **options)
    assert seen[0].resumed_tokens > 0
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
