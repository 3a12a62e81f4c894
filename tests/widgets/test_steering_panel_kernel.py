"""The panel in a real kernel, spoken to as a browser does: custom messages of its comm."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
START = """
import threading
import saewidgets as sw
from saewidgets.steering.generation import Writing

lab = sw.demo()
hold, steps, finished, step = threading.Event(), [], [], Writing.step
hold.set()

def held(self):
    hold.wait(60)
    steps.append(self.plan.formulas)
    return step(self)

Writing.step = held
panel = sw.SteeringPanel(lab, "The Golden Gate Bridge is in", sw.steering.set(7, 1), max_new_tokens=24)
assert panel.result is not None

def note(change):
    if not change["new"]["running"]:
        finished.append(len(change["new"]["steered"][0]["ids"]))

panel.observe(note, "_texts")
print(panel.comm.comm_id)
"""


class Kernel:
    """A kernel with a panel, and its messages."""

    def __init__(self, client) -> None:
        self.client = client
        self.comm = self.run(START).strip()

    def run(self, code: str) -> str:
        """Run a cell; what it printed. An error in it is one here."""
        printed: list[str] = []
        reply = self.client.execute_interactive(
            code, timeout=SECONDS, output_hook=lambda m: printed.append(m["content"].get("text", ""))
        )
        assert reply["content"]["status"] == "ok", reply["content"]
        return "".join(printed)

    def tell(self, **content: Any) -> None:
        """What a browser sends."""
        data = {"method": "custom", "content": {"view": "v", **content}}
        self.client.shell_channel.send(self.client.session.msg("comm_msg", {"comm_id": self.comm, "data": data}))

    def wait_for(self, state: str) -> None:
        """Read messages until the panel's status is ``state``."""
        while True:
            message = self.client.get_iopub_msg(timeout=SECONDS)
            if message["msg_type"] == "comm_msg" and message["content"]["comm_id"] == self.comm:
                change = message["content"]["data"].get("state", {})
                if change.get("status", {}).get("state") == state:
                    return


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {"PYTHONPATH": search, "HF_HUB_OFFLINE": "1", "IPYTHONDIR": str(tmp_path_factory.mktemp("ipython"))}
    manager, client = start_new_kernel(kernel_name="python3", env=os.environ | own)
    yield Kernel(client)
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_fifty_moves_while_text_streams_write_one_text_and_a_cell_runs_meanwhile(kernel):
    key = kernel.run("hold.clear(); finished.clear(); print(panel._edits[0]['key'])").strip()
    for value in range(51):
        kernel.tell(op="edit", key=key, value=value / 10, seq=value)
    answer, state = kernel.run("print(1 + 1, panel.status['state'])").split()
    assert answer == "2"
    assert state in {"queued", "running"}
    kernel.run("steps.clear(); hold.set()")
    assert kernel.run("print(panel.result.steered[0].edits[0])").split(": ")[1].strip() == "x + (5 m - f) d"
    assert json.loads(kernel.run("print(finished)")) == [24]
    others = json.loads(kernel.run("print(len({edits for edits in steps if edits}), end='')"))
    assert others <= 2  # the text that a move found under way, and the last


def test_stop_while_the_kernel_is_idle(kernel):
    key = kernel.run("hold.clear(); print(panel._edits[0]['key'])").strip()
    kernel.tell(op="edit", key=key, value=7, seq=100)
    kernel.wait_for("running")
    kernel.tell(op="stop", seq=101)
    kernel.run("before = len(steps); hold.set()")
    assert kernel.run("_ = panel.result; print(panel.status['state'])").strip() == "stopped"
    assert int(kernel.run("print(len(steps) - before)")) <= 2


WAITING = """
heard = threading.Event()
panel.stop = lambda: type(panel).stop(panel) or heard.set()
hold.clear()
panel.generate()
print("begun", flush=True)
print(heard.wait(30))
hold.set()
_ = panel.result
del panel.stop
print(panel.status["state"])
"""


def test_stop_is_heard_while_a_cell_runs_that_has_just_asked_for_text(kernel):
    """On the thread that JupyterLab opens for messages of views; kernels before 7 have none."""
    client = kernel.client
    client.control_channel.send(client.session.msg("create_subshell_request"))
    answer = client.get_control_msg(timeout=SECONDS)
    if answer["msg_type"] != "create_subshell_reply":
        pytest.skip("this kernel has no subshells")
    printed: list[str] = []

    def hear(message: Any) -> None:
        printed.append(message["content"].get("text", ""))
        if "begun" in printed[-1]:
            stop = {"comm_id": kernel.comm, "data": {"method": "custom", "content": {"view": "v", "op": "stop"}}}
            message = client.session.msg("comm_msg", stop)
            message["header"]["subshell_id"] = answer["content"]["subshell_id"]
            client.shell_channel.send(message)

    client.execute_interactive(WAITING, timeout=SECONDS, output_hook=hear)
    assert "".join(printed).split() == ["begun", "True", "stopped"]


def test_a_panel_that_is_displayed_waits_for_its_text(kernel):
    """So that a notebook that is run without a browser keeps the whole text."""
    code = "new = sw.SteeringPanel(lab, 'I walked to the', sw.steering.ablate(7), max_new_tokens=24)\nnew"
    shown: list[Any] = []
    kernel.client.execute_interactive(
        code, timeout=SECONDS, output_hook=lambda m: shown.append(m["content"].get("data", {}).get("text/html", ""))
    )
    assert "24 new tokens" in "".join(shown)
    assert json.loads(kernel.run("import json; print(json.dumps(new._texts['running']))")) is False


def test_nothing_is_printed_and_a_fault_is_data(kernel):
    key = kernel.run("print(panel._edits[0]['key'])").strip()
    kernel.tell(op="edit", key=key, where="nowhere", seq=200)
    kernel.tell(op="add", name="99999999", seq=201)
    assert kernel.run("_ = panel.result; print(len(panel.edits))").strip() == "1"
