"""A real kernel that is interrupted while a text is written: it goes on, and the model is what it was."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

ROOT = Path(__file__).resolve().parents[2]
WAIT = 60.0

SETUP = """
import numpy as np, torch
from transformer_lens.model_bridge import TransformerBridge
from saewidgets import Lab, steering as st
from saewidgets.results import SteeringVector
from saewidgets.widgets.worker import Job, worker_of
from tests import conftest
from tests.models.test_language_model import hooks_left

tokenizer = conftest._byte_level_tokenizer()
shape = dict(n_layers=2, d_model=32, n_ctx=4096, d_head=8, n_heads=4, d_mlp=64, d_vocab=len(tokenizer),
             act_fn="gelu_new", normalization_type="LN", seed=0)
model = TransformerBridge.boot_native(shape, tokenizer=tokenizer).eval()
lab = Lab(model, name="tiny")
vector = SteeringVector(np.linspace(-1, 1, 32), "blocks.0.hook_resid_post", "given")
prompt, edits = [0, 5, 9, 40, 41], [st.add(vector, 4)]

def count():
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())

def logits():
    with torch.no_grad():
        return model(torch.tensor([prompt]))

expected = lab.generate(prompt, edits, 4)
base, hooks = logits(), count()

def begun(new):
    if (new.row, new.position) == (0, len(prompt)):
        print("begun", flush=True)

def clean():
    found = lab.generate(prompt, edits, 4)
    same = np.array_equal(found.logprobs, expected.logprobs)
    return torch.equal(logits(), base), count() == hooks, hooks_left(model), same
"""
CLEAN = "(True, True, 0, True)"


class Kernel:
    """A kernel and what it says."""

    def __init__(self, client: Any, manager: Any) -> None:
        self.client, self.manager = client, manager

    def start(self, code: str) -> str:
        """Begin a cell."""
        return self.client.execute(code, allow_stdin=False, stop_on_error=False)

    def wait_for(self, text: str) -> None:
        """Until a cell has printed this."""
        while True:
            message = self.client.get_iopub_msg(timeout=WAIT)
            if message["msg_type"] == "stream" and text in message["content"]["text"]:
                return

    def reply(self, cell: str) -> dict[str, Any]:
        """What became of a cell."""
        while True:
            message = self.client.get_shell_msg(timeout=WAIT)
            if message["parent_header"].get("msg_id") == cell:
                return message["content"]

    def value(self, expression: str) -> str:
        """What an expression is, as Python writes it."""
        cell = self.client.execute("", user_expressions={"value": expression}, allow_stdin=False, silent=False)
        found = self.reply(cell)["user_expressions"]["value"]
        return found["data"]["text/plain"] if found["status"] == "ok" else str(found)

    def interrupted(self, code: str) -> tuple[str, str]:
        """Interrupt a cell once it has printed "begun"; how it ended, and with which error."""
        cell = self.start(code)
        self.wait_for("begun")
        self.manager.interrupt_kernel()
        found = self.reply(cell)
        return found["status"], found.get("ename", "")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory) -> Iterator[Kernel]:
    home = tmp_path_factory.mktemp("kernel")
    names = {name: str(home / name.lower()) for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR")}
    manager = KernelManager(connection_file=str(home / "kernel.json"))
    manager._kernel_spec = KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"])
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    environment = os.environ | names | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    manager.start_kernel(env=environment, cwd=str(home))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=WAIT)
        kernel = Kernel(client, manager)
        done = kernel.reply(kernel.start(SETUP))
        assert done["status"] == "ok", "\n".join(done.get("traceback", []))
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


CELLS = {
    "generate": "lab.generate(prompt, edits, 4000, on_token=begun)",
    "sweep": "lab.sweep(prompt, edits, [0, 4], 4000, on_token=begun)",
    "steering": """
with lab.steering(edits):
    assert not torch.equal(logits(), base)
    print("begun", flush=True)
    while True:
        logits()
""",
    "worker": """
jobs = []
def write(job):
    jobs.append(job)
    writing = lab.writing(prompt, edits, max_new_tokens=4000)
    while not writing.finished:
        job.check()
        for new in writing.step():
            begun(new)
worker_of(model).call(write)
""",
}


@pytest.mark.parametrize("name", CELLS)
def test_interrupt_of_a_cell_raises_there_and_the_model_is_what_it_was(kernel, name):
    for _ in range(3):
        assert kernel.interrupted(CELLS[name]) == ("error", "KeyboardInterrupt")
        assert kernel.value("clean()") == CLEAN
    assert kernel.manager.is_alive()


def test_worker_takes_the_next_job_after_the_interrupt_and_its_text_is_right(kernel):
    assert kernel.interrupted(CELLS["worker"]) == ("error", "KeyboardInterrupt")
    again = "worker_of(model).call(lambda job: lab.generate(prompt, edits, 4)).logprobs.tolist()"
    assert kernel.value(f"{again} == expected.logprobs.tolist()") == "True"
    assert kernel.value("(jobs[-1].wait(), jobs[-1].state)[1]") == "'stopped'"
    assert kernel.value("clean()") == CLEAN


def test_interrupt_of_a_cell_leaves_the_text_of_the_worker_alone(kernel):
    """A text that a view asked for goes on: only its own Stop ends it."""
    post = """
from queue import SimpleQueue
go = SimpleQueue()
def write(job):
    writing = lab.writing(prompt, edits, max_new_tokens=4)
    while not writing.finished:
        go.get(timeout=100)
        writing.step()
    return writing.results()[0].logprobs.tolist() == expected.logprobs.tolist()
job = worker_of(model).post(Job("view", "write", write))
go.put(None)
print("begun", flush=True)
while True:
    assert torch.equal(logits(), base)
"""
    assert kernel.interrupted(post) == ("error", "KeyboardInterrupt")
    finish = "([go.put(None) for _ in range(3)], job.wait(), job.state, job.result)[2:]"
    assert kernel.value(finish) == "('done', True)"
    assert kernel.value("clean()") == CLEAN
