"""``saewidgets export --execute``: a real kernel runs the notebook and makes its page."""

from __future__ import annotations

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

from saewidgets.cli import execute as execute_module
from saewidgets.cli import main
from tests.export.pages import body, code, notebook, saved

ROOT = Path(__file__).resolve().parents[2]
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
PANEL = "sw.SteeringPanel(lab, 'The capital of France is', sw.steering.set(1815, 1), max_new_tokens=2)"
TOLD = "import os\nprint('pid', os.getpid(), 'in', os.getcwd())"


def export(path: Path, *more: str) -> int:
    """The command's exit status; in a thread of its own, for where browser tests ran before, this one has a loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(main, ["export", "--execute", str(path), *more]).result()


@dataclass(frozen=True)
class Run:
    """One run: the folder of the notebook, what was said, and what it left in the folder of temporary files."""

    folder: Path
    status: int
    out: str
    left: list[Path]

    @property
    def page(self) -> str:
        return (self.folder / "mine.html").read_text("utf-8")


@pytest.fixture(scope="module", autouse=True)
def own_home(tmp_path_factory) -> Iterator[None]:
    """Nothing of the user's: no kernels, no profile."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    """A small notebook with an image beside it, a panel, and outputs of a former run."""
    folder, temporary = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("temporary")
    (folder / "dot.png").write_bytes(base64.b64decode(DOT))
    found = notebook("![a dot](dot.png)", code("import saewidgets as sw\nlab = sw.demo()"), code(PANEL),
                     code(TOLD, {"text/plain": "of a former run"}))  # fmt: skip
    nbformat.write(found, folder / "mine.ipynb")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(StringIO()) as out:
        patch.setattr(tempfile, "tempdir", str(temporary))
        status = export(folder / "mine.ipynb")
    return Run(folder, status, out.getvalue(), list(temporary.iterdir()))


def test_the_page_is_of_this_run_and_its_views_live(run):
    (view,) = saved(run.page)
    assert view["state"]["_recorded"]
    assert "of a former run" not in run.page
    assert (run.status, run.out.splitlines()[1:]) == (
        0, [f"{run.folder / 'mine.html'}: {len(run.page.encode()):,} bytes, 1 live views"],
    )  # fmt: skip


def test_the_kernel_ran_in_the_notebooks_folder_and_has_ended(run):
    told = re.search(r">pid (\d+) in ([^<\n]+)", body(run.page))
    assert told is not None
    assert Path(told[2]) == run.folder.resolve()
    with pytest.raises(ProcessLookupError):
        os.kill(int(told[1]), 0)


def test_images_title_and_footer_are_of_the_notebooks_file(run):
    assert f"data:image/png;base64,{DOT}" in run.page
    assert "<title>mine</title>" in run.page
    assert "Made of <code>mine.ipynb</code> with saewidgets" in run.page


def test_nothing_but_the_page_is_left(run):
    assert sorted(path.name for path in run.folder.iterdir()) == ["dot.png", "mine.html", "mine.ipynb"]
    assert "of a former run" in (run.folder / "mine.ipynb").read_text("utf-8")
    assert run.left == []


# ---- errors ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def fails(tmp_path, capfd):
    """Run cells, with a kernel where one is named: what is said of the failure; no page is written."""

    def run(*cells, kernel="python3"):
        path = tmp_path / "nb.ipynb"
        found = notebook(*cells)
        found.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
        nbformat.write(found, path)
        assert export(path) == 1
        assert not path.with_suffix(".html").exists()
        said = capfd.readouterr().err
        assert str(ROOT) not in said
        assert "\x1b" not in said
        return said

    return run


def test_a_cell_that_raises_is_named_with_the_last_lines(fails):
    said = fails("text", code("a = 0"), code("def half():\n    return 1 / a\nhalf()"), code("never"))
    assert "Cell 3 of nb.ipynb failed; no page was written." in said
    assert "----> 2     return 1 / a" in said
    assert "ZeroDivisionError: division by zero" in said


def test_cells_that_may_fail_or_are_not_to_run_are_as_jupyter_has_them(tmp_path, capfd):
    fails, skipped = code("1 / 0"), code("import time; time.sleep(1e9)")
    fails.metadata["tags"], skipped.metadata["tags"] = ["raises-exception"], ["skip-execution"]
    nbformat.write(notebook(fails, skipped, code("import ipywidgets\nipywidgets.IntSlider()")), tmp_path / "nb.ipynb")
    assert export(tmp_path / "nb.ipynb") == 0
    assert "division by zero" in body((tmp_path / "nb.html").read_text("utf-8"))
    said = capfd.readouterr().out
    assert "0 live views" in said
    assert "static pictures" not in said


def test_a_kernel_that_dies(fails):
    said = fails("text", code("import os; os.kill(os.getpid(), 9)"))
    assert "Cell 2 of nb.ipynb ended the kernel; no page was written." in said


def test_a_kernel_that_cannot_make_the_page(fails):
    said = fails(code("import sys; sys.modules['saewidgets'] = sys.modules['saewidgets.cli'] = None"))
    assert "Making the page in the kernel failed; no page was written." in said
    assert "install this version of saewidgets, and nbconvert, for the kernel python3" in said


def install(name, language, *argv):
    folder = Path(os.environ["JUPYTER_DATA_DIR"]) / "kernels" / name
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": language}))


def test_a_kernel_that_is_not_there_does_not_start_or_speaks_another_language(fails):
    install("other", "R", "nowhere")
    install("none", "python", "/no/such/python")
    install("ends", "python", sys.executable, "-c", "")
    said = fails(code("1"), kernel="gone")
    assert "not installed" in said
    assert "gone" in said
    assert "ends, none, other, python3" in said
    assert "other: R" in fails(code("1"), kernel="other")
    for kernel in ("none", "ends"):
        assert f"The kernel did not start.\n  got:      {kernel}: " in fails(code("1"), kernel=kernel)


@pytest.mark.parametrize(("package", "do"), [("nbclient", 'pip install "saewidgets[export]"'),
                                             ("ipykernel", "pip install ipykernel")])  # fmt: skip
def test_what_is_missing_is_named_with_what_to_install(fails, monkeypatch, package, do):
    def none(_, name):
        raise NoSuchKernel(name)

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", none)
    monkeypatch.setattr(execute_module, "find_spec", lambda name: None if name == package else object())
    assert f"do this:  {do}\n" in fails(code("1"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}',
     '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [3]}', '{"cells": []}', '{"nbformat": 4}'],
)  # fmt: skip
def test_what_is_no_notebook_is_not_run(tmp_path, capsys, text):
    (tmp_path / "nb.ipynb").write_text(text)
    assert export(tmp_path / "nb.ipynb") == 1
    assert "not a notebook" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_said_before_the_run(tmp_path, capsys):
    nbformat.write(notebook(code("open('ran', 'w')")), tmp_path / "nb.ipynb")
    assert export(tmp_path / "nb.ipynb", "-o", str(tmp_path / "no" / "x.html")) == 1
    assert "no folder" in capsys.readouterr().err
    assert not (tmp_path / "ran").exists()


def test_an_interrupt_ends_the_kernel(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(100)
        call = f"import socket\nline = socket.create_connection({server.getsockname()!r})\n"
        nbformat.write(notebook(code(call + "line.recv(1)")), tmp_path / "nb.ipynb")
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        command = [sys.executable, "-m", "saewidgets.cli", "export", "--execute", str(tmp_path / "nb.ipynb")]
        search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        environment = os.environ | {"PYTHONPATH": search, "TMPDIR": str(temporary)}
        with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
            line, _ = server.accept()
            process.send_signal(signal.SIGINT)
            line.settimeout(100)
            assert line.recv(1) == b""  # the kernel's end of the line is closed
            line.close()
            said = process.communicate(timeout=100)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    assert not (tmp_path / "nb.html").exists()
    assert list(temporary.iterdir()) == []
