"""``saewidgets doctor``: hosts, notebooks, SAEs and models; what it says, and its exit status."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbformat.sign import NotebookNotary
from safetensors.torch import load_file, save_file

from saewidgets.cli import doctor_hosts, main
from saewidgets.cli.finding import Finding

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"


def said(capsys, *words: str) -> tuple[int, dict[str, Finding]]:
    """Exit status and findings of a run; of several of one name the last."""
    status = main(["doctor", "--json", *words])
    printed = json.loads(capsys.readouterr().out)
    assert printed["works"] is (status == 0)
    return status, {one["what"]: Finding(**one) for one in printed["findings"]}


# ---- the command -----------------------------------------------------------------------------------------------------


def test_json_is_one_object_and_holds_what_the_lines_say(capsys):
    status, found = said(capsys, "--quick")
    assert status == 0
    assert found["torch"] == Finding("ok", "torch", metadata.version("torch"))
    assert main(["doctor", "--quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert str(found["bundled files"]) in lines
    assert lines[-1] == "everything that is needed works"


def test_a_hook_without_an_sae_is_refused(capsys):
    assert main(["doctor", "--hook", "x"]) == 1
    assert "name the SAE with --sae" in capsys.readouterr().err


def test_a_line_stays_one_line():
    assert str(Finding("ok", "a", "b\n\x1b[31m")).count("\n") == 0
    assert "\x1b" not in str(Finding("ok", "a", "b\n\x1b[31m"))


# ---- hosts -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def jupyter(tmp_path, monkeypatch):
    """A folder that Jupyter searches first, and nothing else."""
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [str(tmp_path.joinpath("share", *parts))])
    monkeypatch.setattr("jupyter_core.paths.jupyter_config_path", lambda: [str(tmp_path / "etc")])
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path / "settings"))
    return tmp_path


def put(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def hosts() -> dict[str, Finding]:
    return {finding.what: finding for finding in doctor_hosts.host_findings()}


def installed(monkeypatch, **versions: str | None) -> None:
    """Have these versions installed; None: not at all."""
    real = metadata.version

    def version(name: str) -> str:
        found = versions.get(name.replace("-", "_"), "real")
        if found is None:
            raise metadata.PackageNotFoundError(name)
        return real(name) if found == "real" else found

    monkeypatch.setattr(doctor_hosts.metadata, "version", version)


MANAGER = Path("share/labextensions/@jupyter-widgets/jupyterlab-manager/package.json")
SCRIPT = Path("share/labextensions/anywidget/package.json")


def test_the_widget_manager_of_jupyterlab(jupyter, monkeypatch):
    installed(monkeypatch, anywidget="0.11.0")
    found = hosts()
    assert found["widget manager"].state == found["lab extension"].state == "FAILS"
    assert "pip install jupyterlab_widgets" in found["widget manager"].detail
    put(jupyter / MANAGER, {"version": "4.9.0"})
    put(jupyter / SCRIPT, {"version": "0.9.0"})
    found = hosts()
    assert found["widget manager"].state == "FAILS"
    assert "5.x for ipywidgets" in found["widget manager"].detail
    assert found["lab extension"].state == "note"
    assert "does not match anywidget 0.11.0" in found["lab extension"].detail
    put(jupyter / MANAGER, {"version": "5.0.16"})
    put(jupyter / SCRIPT, {"version": "0.11.0"})
    assert {hosts()[what].state for what in ("widget manager", "lab extension")} == {"ok"}


NAME = "@jupyter-widgets/jupyterlab-manager"


@pytest.mark.parametrize("disabled", [{NAME: True}, [NAME]])
def test_a_widget_manager_that_is_switched_off(jupyter, disabled):
    put(jupyter / MANAGER, {"version": "5.0.16"})
    put(jupyter / SCRIPT, "not json")
    put(jupyter / "etc/labconfig/page_config.json", {"disabledExtensions": {"another": True}})
    assert hosts()["widget manager"].state == "ok"
    put(jupyter / "etc/labconfig/page_config.json", {"disabledExtensions": disabled})
    found = hosts()["widget manager"]
    assert (found.state, "switched off" in found.detail) == ("FAILS", True)


def test_without_jupyterlab_nothing_fails(jupyter, monkeypatch):
    installed(monkeypatch, jupyterlab=None, ipykernel=None, notebook=None)
    found = hosts()
    assert found["widget manager"].state == found["subshells"].state == "missing"
    assert "FAILS" not in {one.state for one in found.values()}


SCHEMA = {"properties": {"commsOverSubshells": {"default": "perCommTarget"}}}
KERNELS = "@jupyterlab/apputils-extension/kernels-settings"


def test_whether_views_are_answered_while_a_cell_runs(jupyter, monkeypatch):
    installed(monkeypatch, ipykernel="6.29.5")
    assert "ipykernel 6.29.5 has none" in hosts()["subshells"].detail
    installed(monkeypatch, ipykernel="7.3.0")
    assert hosts()["subshells"].state == "note"
    put(jupyter / f"share/lab/schemas/{KERNELS}.json", SCHEMA)
    assert hosts()["subshells"] == Finding(
        "ok", "subshells", "on (perCommTarget): live views are answered while a cell runs"
    )
    own = jupyter / f"settings/{KERNELS}.jupyterlab-settings"
    put(own, '{\n  // "commsOverSubshells": "disabled",\n}')
    assert hosts()["subshells"].state == "ok"
    put(own, '{\n  "commsOverSubshells": "disabled"\n}')
    found = hosts()["subshells"]
    assert (found.state, "waits for its end" in found.detail) == ("note", True)


@pytest.mark.parametrize(
    ("versions", "state", "words"),
    [
        ({"ipykernel": "7.4.1"}, "note", "ipykernel 7.4.1: a view that is used"),
        ({"ipykernel": "7.3.0", "sae_lens": "6.54.12", "transformer_lens": "4.3.0"}, "missing", "cannot be imported"),
        ({"ipykernel": "7.6.0", "notebook": "6.5.7"}, "note", "Notebook 6.5.7 is not supported"),
    ],
)
def test_versions_that_are_known_for_something(monkeypatch, versions, state, words):
    plain = {"ipykernel": "7.3.0", "sae_lens": None, "transformer_lens": "3.9.0", "notebook": None}
    for kernel in ("7.3.0", "7.5.0"):
        installed(monkeypatch, **{**plain, "ipykernel": kernel})
        assert "known" not in hosts()
    installed(monkeypatch, **{**plain, **versions})
    found = hosts()["known"]
    assert (found.state, words in found.detail) == (state, True)


# ---- notebooks -------------------------------------------------------------------------------------------------------


@pytest.fixture
def data_dir(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def notebook(path: Path, *outputs: dict[str, Any], **metadata_: object) -> str:
    made = [nbformat.v4.new_output("display_data", each) for each in outputs]
    found = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("lab", outputs=made, id="one")])
    found.metadata.update(metadata_)
    nbformat.write(found, path)
    return str(path)


TWIN, LIVE = {"text/html": "<p>a</p>"}, {VIEW: {"model_id": "m"}, "text/plain": "live"}


def test_whether_a_notebook_is_trusted_here(tmp_path, data_dir, capsys):
    path = notebook(tmp_path / "nb.ipynb", TWIN, LIVE)
    status, found = said(capsys, path)
    assert (status, found["trust"].state) == (0, "note")
    assert "until the reader runs the cells or chooses Trust Notebook" in found["trust"].detail
    assert not data_dir.exists()
    data_dir.mkdir()
    with NotebookNotary(data_dir=str(data_dir)) as notary:
        notary.sign(nbformat.read(path, as_version=4))
    before = (data_dir / "nbsignatures.db").read_bytes()
    status, found = said(capsys, path)
    assert found["trust"].state == "ok"
    assert found["trust"].detail.startswith("trusted by this user on this computer")
    assert (data_dir / "nbsignatures.db").read_bytes() == before
    assert said(capsys, notebook(tmp_path / "other.ipynb", TWIN, TWIN))[1]["trust"].state == "note"
    (data_dir / "nbsignatures.db").write_bytes(b"no database")
    assert said(capsys, path)[1]["trust"].state == "note"
    assert (data_dir / "nbsignatures.db").read_bytes() == b"no database"
    (data_dir / "notebook_secret").unlink()
    assert said(capsys, path)[1]["trust"].state == "note"
    assert [each.name for each in data_dir.iterdir()] == ["nbsignatures.db"]


def test_what_a_reader_sees(tmp_path, data_dir, capsys):
    _, found = said(capsys, notebook(tmp_path / "nb.ipynb", TWIN, LIVE, LIVE))
    assert found["live views"] == Finding(
        "note", "live views",
        "2 live views, 1 with a static twin that shows on GitHub and without a kernel; 1 show one line of text",
    )  # fmt: skip
    _, found = said(capsys, notebook(tmp_path / "nb.ipynb", TWIN, LIVE))
    assert found["live views"].state == "ok"
    _, found = said(capsys, notebook(tmp_path / "nb.ipynb"))
    assert (found["outputs"].state, found["trust"].state) == ("note", "ok")
    assert "code only" in found["outputs"].detail


@pytest.mark.parametrize(
    ("widgets", "state", "status", "words"),
    [
        ({STATE: {"state": {}, "version_major": 2}}, "note", 0, "bytes: GitHub then shows no static twins"),
        ({STATE: {"m": {}}}, "FAILS", 1, "GitHub refuses it"),
        ([1], "FAILS", 1, "GitHub refuses it"),
        ("x", "FAILS", 1, "GitHub refuses it"),
    ],
)
def test_saved_widget_state(tmp_path, data_dir, capsys, widgets, state, status, words):
    ended, found = said(capsys, notebook(tmp_path / "nb.ipynb", TWIN, widgets=widgets))
    assert (ended, found["widget state"].state) == (status, state)
    assert words in found["widget state"].detail


@pytest.mark.parametrize(
    "text", [None, "", "[]", "{}", '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [5]}', "[" * 100_000,
             '{"nbformat": 99, "nbformat_minor": 5, "metadata": {}, "cells": []}',
             '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code", "outputs": 5}]}',
             '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"source": "x"}]}'],
)  # fmt: skip
def test_what_is_no_notebook_fails_and_the_next_is_still_looked_at(tmp_path, data_dir, capsys, text):
    bad, good = tmp_path / "bad.ipynb", notebook(tmp_path / "good.ipynb", TWIN)
    if text is not None:
        bad.write_text(text)
    assert main(["doctor", str(bad), good]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("FAILS    notebook")
    assert good in lines[1]
    assert lines[-1] == "1 of these must be mended"


# ---- SAEs and models -------------------------------------------------------------------------------------------------


def changed(folder: Path, **tensors: torch.Tensor) -> str:
    """Put other weights into an SAE's folder."""
    file = folder / "sae_weights.safetensors"
    save_file({**load_file(file), **tensors}, file)
    return str(folder)


def unit_rows(folder: Path) -> torch.Tensor:
    rows = load_file(folder / "sae_weights.safetensors")["W_dec"]
    return rows / rows.norm(dim=1, keepdim=True)


def test_an_sae_that_fits_its_model(make_sae_folder, make_hf_folder, capsys):
    folder = make_sae_folder("topk")
    path = changed(folder, W_dec=unit_rows(folder))
    status, found = said(capsys, "--sae", path, "--model", str(make_hf_folder("gpt2")))
    assert status == 0
    assert found["SAE"].detail.startswith("topk, d_in 32, 64 features, hook blocks.1.hook_resid_post, k ")
    assert found["decoder norms"].detail == "1"
    assert found["dead decoder rows"].detail == "none"
    assert found["model"].state == found["fits"].state == "ok"
    assert "features fire on a token" in found["reads"].detail
    assert "torch" not in found  # only what was asked for


def test_norms_dead_rows_and_the_number_format(make_sae_folder, capsys):
    folder = make_sae_folder(dtype="bfloat16")
    rows = unit_rows(folder) * 2
    rows[[3, 5]] = 0
    columns = load_file(folder / "sae_weights.safetensors")["W_enc"]
    columns[:, 7] = 0
    status, found = said(capsys, "--sae", changed(folder, W_dec=rows, W_enc=columns))
    assert status == 0
    assert found["SAE dtype"].state == "note"
    assert found["decoder norms"].state == "note"
    assert found["decoder norms"].detail.startswith("2 to 2, median 2")
    assert found["dead decoder rows"] == Finding("note", "dead decoder rows", "2 of 64, first 3, 5")
    assert found["dead encoder columns"] == Finding("note", "dead encoder columns", "1 of 64, first 7")
    assert found["largest activation"].state == "note"
    status, found = said(capsys, "--sae", changed(folder, W_dec=rows * 0))
    assert (status, found["decoder"].state) == (1, "FAILS")


def test_an_sae_that_cannot_be_used(make_sae_folder, tmp_path, capsys):
    folder = make_sae_folder()
    bad = load_file(folder / "sae_weights.safetensors")["W_dec"].clone()
    bad[2, 0] = float("nan")
    for path, words in ((changed(folder, W_dec=bad), "W_dec"), (str(tmp_path / "none"), "no such folder")):
        status, found = said(capsys, "--sae", path)
        assert (status, found["SAE"].state) == (1, "FAILS")
        assert words in found["SAE"].detail


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("blocks.1.mlp.hook_post", "SAE d_in 32, hook width 64"),
        ("blocks.7.hook_resid_post", "blocks.7.hook_resid_post"),
    ],
)
def test_an_sae_that_does_not_fit_its_model(make_sae_folder, make_hf_folder, capsys, hook, words):
    sae, model = str(make_sae_folder()), str(make_hf_folder("gpt2"))
    status, found = said(capsys, "--sae", sae, "--model", model, "--hook", hook)
    assert (status, found["fits"].state) == (1, "FAILS")
    assert words in found["fits"].detail


def test_an_sae_that_reads_something_else_is_noted(make_sae_folder, make_hf_folder, capsys):
    folder = make_sae_folder()
    path = changed(folder, W_dec=unit_rows(folder) * 1000)
    status, found = said(capsys, "--sae", path, "--model", str(make_hf_folder("gpt2")))
    assert (status, found["reads"].state) == (0, "note")
    assert "the mean alone misses 100%" in found["reads"].detail


def test_a_model_that_is_broken_or_not_there(make_hf_folder, tmp_path, capsys):
    status, found = said(capsys, "--model", "gpt2")
    assert (status, found["model"].state) == (1, "FAILS")
    assert "nothing is fetched" in found["model"].detail
    folder = tmp_path / "model"
    shutil.copytree(make_hf_folder("gpt2"), folder)
    weights = load_file(folder / "model.safetensors")
    weights[next(iter(weights))].flatten()[0] = float("inf")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    status, found = said(capsys, "--model", str(folder))
    assert (status, found["model weights"].state) == (1, "FAILS")
