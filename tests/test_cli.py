"""The command line: what it says, what it writes, and its exit status."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import saewidgets
from saewidgets.annotations import AnnotationStore, Target
from saewidgets.cli import doctor as doctor_module
from saewidgets.cli import doctor_hosts, main
from saewidgets.cli import lab as lab_module
from saewidgets.cli.clean import cleaned
from saewidgets.errors import LoadError

ROOT = Path(__file__).resolve().parents[1]
SEVEN = Target("feature", "gpt2", "h", "s", 7)
WIDGET = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
TWIN = '<div class="saew-twin saew-twin-0123456789ab"><p>The <mark>capital</mark> of France</p></div>'


def test_the_script_is_declared():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    assert scripts == {"saewidgets": "saewidgets.cli:main"}


def test_version_and_help_load_nothing_heavy():
    code = (
        "import sys\nfrom saewidgets.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n    print(*sys.modules)"
    )
    for words, expected in ((["--version"], f"saewidgets {saewidgets.__version__}"), (["clean", "--help"], "NOTEBOOK"),
                            (["export", "--help"], "NOTEBOOK")):  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert expected in done.stdout
        assert not {"torch", "pandas", "transformer_lens", "ipywidgets"} & set(done.stdout.split())


@pytest.mark.parametrize("words", [[], ["fly"], ["annotations"], ["clean"], ["export"], ["annotations", "merge", "a"]])
def test_what_is_not_understood_is_status_2(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage: saewidgets" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["lab"], "--folder FOLDER"),
        (["export"], "--out FILE"),
        (["export"], "run the notebook's code"),
        (["clean"], "--check"),
        (["annotations"], "merge"),
        (["annotations", "merge"], "--out FOLDER"),
        (["annotations", "export"], "--csv FILE"),
        (["annotations", "check"], "saewidgets_annotations"),
        (["doctor"], "--sae FOLDER"),
    ],
)
def test_every_command_has_help(words, shown, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert shown in said
    assert f"usage: saewidgets {' '.join(words)}" in said


LONG = "x" * 5000


@pytest.mark.parametrize(
    "words",
    [["annotations", "check", LONG], ["annotations", "merge", LONG, "--out", "a"], ["clean", LONG], ["export", LONG],
     ["lab", "--folder", LONG], ["doctor", "--sae", LONG], ["doctor", "--model", LONG]],
)  # fmt: skip
def test_a_name_that_the_disk_refuses_is_said_in_a_line(words, capsys):
    assert main(words) == 1
    printed = capsys.readouterr()
    assert "too long" in printed.err + printed.out
    assert "Traceback" not in printed.err


def test_an_interrupt_is_status_130(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("saewidgets.cli.clean.clean_notebooks", interrupted)
    assert main(["clean", "x.ipynb"]) == 130


# ---- annotations -----------------------------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    AnnotationStore("a", "ann").annotate(SEVEN, "London", tags=["a"])
    AnnotationStore("b", "bob").annotate(SEVEN, "Paris", tags=["b"])
    return tmp_path


def test_merge(two, capsys):
    assert main(["annotations", "merge", "a", "b", "--out", "c"]) == 0
    assert "c: 2 files, 2 records, 1 annotations (1 of kind feature)" in capsys.readouterr().out
    assert AnnotationStore("c").annotation(SEVEN).tags == ("a", "b")
    assert main(["annotations", "merge", "a", "b", "--out", "c"]) == 1
    assert "an empty folder" in capsys.readouterr().err


def test_export(two, capsys):
    assert main(["annotations", "export", "a", "--csv", "x.txt", "--json", "x.json"]) == 0
    assert "London" in Path("x.txt").read_text()
    assert json.loads(Path("x.json").read_text())["annotations"][0]["label"] == "London"
    assert main(["annotations", "export", "a"]) == 1
    assert main(["annotations", "export", "nowhere", "--csv", "x.csv"]) == 1
    assert "no annotations here" in capsys.readouterr().err


def test_check_names_file_and_line_and_is_status_1(two, capsys):
    assert main(["annotations", "check", "a"]) == 0
    (path,) = Path("a").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"version": 2}\n\x1b[31m\n')
    before = path.read_bytes()
    capsys.readouterr()
    assert main(["annotations", "check", "a"]) == 1
    said = capsys.readouterr().out
    assert f"{path.name}, line 2: written by a newer version" in said
    assert f"{path.name}, line 3: " in said
    assert "\x1b" not in said
    assert path.read_bytes() == before


def test_the_default_folder(two, capsys):
    assert main(["annotations", "check"]) == 1
    assert "saewidgets_annotations" in capsys.readouterr().err
    Path("a").rename("saewidgets_annotations")
    assert main(["annotations", "check"]) == 0


def test_a_message_with_a_strangers_name_stays_on_its_line(two, capsys):
    assert main(["annotations", "check", "\x1b[31m\nnowhere"]) == 1
    assert "\x1b" not in capsys.readouterr().err


# ---- clean -----------------------------------------------------------------------------------------------------------


def notebook(state: object = None, **metadata_: object) -> nbformat.NotebookNode:
    """A notebook with a static twin, a live view beside it, and saved widget state."""
    new = nbformat.v4
    outputs = [
        new.new_output("display_data", {"text/html": TWIN, "text/plain": "The capital"}),
        new.new_output("display_data", {WIDGET: {"model_id": "m"}, "text/plain": "live"}),
    ]
    found = new.new_notebook(cells=[new.new_code_cell("lab  # ü \U0001f600", outputs=outputs, id="one")])
    found.metadata.update(metadata_ or {"kernelspec": {"name": "python3", "display_name": "x"}, "zz": 1})
    if state is not None:
        found.metadata["widgets"] = {STATE: state}
    return found


HOSTILE = {"state": {"m": {"state": {"_esm": "export default { initialize() { document.title = 'x' } }"}}}}


@pytest.mark.parametrize("state", [HOSTILE, {}, {"m": {"no": "state key"}}])
def test_state_goes_and_every_other_byte_stays(tmp_path, capsys, state):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook(state), path)
    clean = tmp_path / "clean.ipynb"
    nbformat.write(notebook(), clean)
    path.chmod(0o640)
    assert main(["clean", str(path)]) == 0
    assert path.read_bytes() == clean.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o640
    assert b"_esm" not in path.read_bytes()
    found = nbformat.read(path, as_version=4)
    nbformat.validate(found)
    assert found.cells[0].outputs[0].data["text/html"] == TWIN
    assert "removed" in capsys.readouterr().out
    assert sorted(each.name for each in tmp_path.iterdir()) == ["clean.ipynb", "nb.ipynb"]


def test_a_notebook_without_state_is_not_touched(tmp_path, capsys):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook(), path)
    before = path.stat()
    assert main(["clean", str(path)]) == 0
    assert "no widget state" in capsys.readouterr().out
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_check_changes_nothing(tmp_path, capsys):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook(HOSTILE), path)
    before = path.read_bytes()
    assert main(["clean", "--check", str(path)]) == 1
    assert path.read_bytes() == before
    main(["clean", str(path)])
    assert main(["clean", "--check", str(path)]) == 0


def test_state_in_cells_and_outputs_goes_too(tmp_path, capsys):
    path, clean = tmp_path / "nb.ipynb", tmp_path / "clean.ipynb"
    nbformat.write(notebook(), clean)
    found = notebook()
    found.cells[0].metadata["widgets"] = {STATE: HOSTILE}
    found.cells[0].outputs[0].data[STATE] = HOSTILE
    found.cells[0].outputs[1].metadata[STATE] = HOSTILE
    nbformat.write(found, path)
    assert main(["clean", "--check", str(path)]) == 1
    assert "bytes of widget state" in capsys.readouterr().out
    assert main(["clean", str(path)]) == 0
    assert json.loads(path.read_bytes()) == json.loads(clean.read_bytes())
    assert main(["clean", "--check", str(path)]) == 0


@pytest.mark.parametrize("check", [[], ["--check"]])
def test_a_bad_file_does_not_keep_others_from_being_cleaned(tmp_path, capsys, check):
    bad, path, gone = tmp_path / "bad.ipynb", tmp_path / "nb.ipynb", tmp_path / "gone.ipynb"
    bad.write_text("{")
    nbformat.write(notebook(HOSTILE), path)
    assert main(["clean", *check, str(bad), str(path), str(gone)]) == 1
    said = capsys.readouterr()
    assert f"{path}: " in said.out
    assert [said.err.count(str(each)) for each in (bad, path, gone)] == [1, 0, 1]
    assert (b"_esm" in path.read_bytes()) == bool(check)


def test_a_link_stays_a_link(tmp_path):
    path, link = tmp_path / "nb.ipynb", tmp_path / "link.ipynb"
    nbformat.write(notebook(HOSTILE), path)
    link.symlink_to(path)
    assert main(["clean", str(link)]) == 0
    assert link.is_symlink()
    assert b"_esm" not in path.read_bytes()


HEAD = b'{"cells": [], "nbformat": 4, "nbformat_minor": 5, '


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"metadata": {"widgets": {}}}', b'"metadata": {}}'),
        (b'"metadata":{\n "widgets" : [ 1 ] ,\n "a": 1 }}\n', b'"metadata":{\n "a": 1 }}\n'),
        (b'"metadata": {"a": 1,\n  "widgets": {"}": "]"}\n }}', b'"metadata": {"a": 1\n }}'),
        (b'"metadata": {"a": 1, "widgets": {}, "b": NaN}}', b'"metadata": {"a": 1, "b": NaN}}'),
        (b'"metadata": {"\\u0077idgets": {"x": "\\"widgets\\""}}}', b'"metadata": {}}'),
        (b'"metadata": {"widgets": 1, "widgets": 2, "a": 3, "widgets": 4}}', b'"metadata": {"a": 3}}'),
        (b'"metadata": {"widgets": 1}, "metadata": {"widgets": 2}}', b'"metadata": {}, "metadata": {}}'),
        (b'"metadata": {"a": {"widgets": {}}}}', b'"metadata": {"a": {"widgets": {}}}}'),
        (b'"widgets": {}}', b'"widgets": {}}'),
        (b'"metadata": {"a": 1, "%s": {}}}' % STATE.encode(), b'"metadata": {"a": 1}}'),
        (b'"worksheets": [ {"cells": [], "metadata": {"widgets": 1}} ]}',
         b'"worksheets": [ {"cells": [], "metadata": {}} ]}'),
        (b'"worksheets": [3, [], {"cells": [{"metadata": {"widgets": {}, "a": 1} }]}]}',
         b'"worksheets": [3, [], {"cells": [{"metadata": {"a": 1} }]}]}'),
    ],
)  # fmt: skip
def test_bytes_around_the_state(before, after):
    assert cleaned(HEAD + before) == HEAD + after
    assert cleaned(b"\xef\xbb\xbf" + HEAD + before) == b"\xef\xbb\xbf" + HEAD + after


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.sampled_from(["a", "widgets", STATE, 'x"', "\u00fc"]), VALUES),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
    st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", " : ")]),
)
def test_any_metadata_in_any_layout(found, ascii_, indent, separators):
    outputs = [{"data": dict(found)}, {"metadata": dict(found)}]
    whole = {"metadata": found, "cells": [{"metadata": dict(found), "outputs": outputs}, dict(found)], "nbformat": 4}
    text = json.dumps(whole, ensure_ascii=ascii_, indent=indent, separators=separators).encode("utf-8", "replace")
    after = cleaned(text)
    for own in (found, whole["cells"][0]["metadata"]):
        own.pop("widgets", None)
        own.pop(STATE, None)
    for output in outputs:
        next(iter(output.values())).pop(STATE, None)
    assert json.loads(after) == json.loads(json.dumps(whole).encode())
    assert cleaned(after) == after


@pytest.mark.parametrize(
    "text",
    [b"", b"not json", b"[]", b"{}", b'{"nbformat": 4}', b'{"nbformat": "4", "cells": []}', b"\xff", b"[" * 100_000,
     b'{"nbformat": 4, "cells": [], "metadata": []}', b'{"nbformat": 4, "cells": {}}'],
)  # fmt: skip
def test_what_is_no_notebook_is_refused_and_left(tmp_path, capsys, text):
    path = tmp_path / "nb.ipynb"
    path.write_bytes(text)
    assert main(["clean", str(path)]) == 1
    assert "not a notebook" in capsys.readouterr().err
    assert path.read_bytes() == text
    with pytest.raises(LoadError):
        cleaned(text)


def test_a_file_that_is_not_there(tmp_path, capsys):
    assert main(["clean", str(tmp_path / "no.ipynb")]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_a_full_disk_leaves_the_notebook(tmp_path, monkeypatch, capsys):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook(HOSTILE), path)
    before = path.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("saewidgets.annotations.exchange.os.fsync", full)
    assert main(["clean", str(path)]) == 1
    assert "No space left" in capsys.readouterr().err
    assert path.read_bytes() == before


# ---- export ----------------------------------------------------------------------------------------------------------


def test_export_writes_beside_the_notebook_or_where_it_is_told(tmp_path, capsys):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook(HOSTILE), path)
    assert main(["export", str(path)]) == 0
    said = capsys.readouterr().out
    text = (tmp_path / "nb.html").read_text("utf-8")
    assert TWIN in text
    assert "_esm" not in text
    assert f"nb.html: {len(text.encode()):,} bytes, 0 live views" in said
    assert "1 more are static pictures" in said
    assert main(["export", str(path), "--out", str(tmp_path / "other.html")]) == 0
    assert (tmp_path / "other.html").read_text("utf-8") == text


def test_export_says_what_is_wrong(tmp_path, capsys):
    path = tmp_path / "nb.html"
    path.write_text("no notebook")
    assert main(["export", str(path)]) == 1
    assert "would replace" in capsys.readouterr().err
    assert main(["export", str(path), "-o", str(tmp_path / "x.html")]) == 1
    assert "not a notebook" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "no.ipynb")]) == 1
    assert "cannot be read" in capsys.readouterr().err
    assert path.read_text() == "no notebook"


# ---- lab -------------------------------------------------------------------------------------------------------------

BUNDLED = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def started(monkeypatch):
    """What would be started, in which folder."""
    calls = []
    monkeypatch.setattr(lab_module.subprocess, "call", lambda command, cwd: calls.append((command, cwd)) or 3)
    monkeypatch.setattr(lab_module, "find_spec", lambda _: object())
    return calls


def test_lab_copies_the_notebooks_and_opens_the_first(tmp_path, monkeypatch, started, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["lab", "--", "--no-browser", "--port=1"]) == 3
    folder = tmp_path / "saewidgets-notebooks"
    assert sorted(path.name for path in folder.iterdir()) == BUNDLED
    assert (folder / BUNDLED[0]).read_bytes() == (ROOT / "notebooks" / BUNDLED[0]).read_bytes()
    ((command, cwd),) = started
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert command[-3:] == ["--no-browser", "--port=1", BUNDLED[0]]
    assert cwd.resolve() == folder
    assert "4 notebooks" in capsys.readouterr().out.replace(str(len(BUNDLED)), "4")


def test_lab_keeps_what_the_user_has_changed(tmp_path, started, capsys):
    assert main(["lab", "--folder", str(tmp_path / "mine")]) == 3
    changed, gone = tmp_path / "mine" / BUNDLED[0], tmp_path / "mine" / BUNDLED[1]
    changed.write_text("my own")
    gone.unlink()
    capsys.readouterr()
    assert main(["lab", "--folder", str(tmp_path / "mine")]) == 3
    assert changed.read_text() == "my own"
    assert gone.exists()
    assert capsys.readouterr().out.count("is yours and stays") == 1


def test_lab_says_what_is_missing(tmp_path, monkeypatch, started, capsys):
    (tmp_path / "file").write_text("x")
    assert main(["lab", "--folder", str(tmp_path / "file")]) == 1
    assert "could not be copied" in capsys.readouterr().err
    monkeypatch.setattr(lab_module, "find_spec", lambda _: None)
    assert main(["lab", "--folder", str(tmp_path / "mine")]) == 1
    assert 'pip install "saewidgets[lab]"' in capsys.readouterr().err
    monkeypatch.setattr(lab_module, "find_spec", lambda _: object())
    monkeypatch.setattr(lab_module, "PACKAGE", tmp_path / "a" / "b")
    assert main(["lab", "--folder", str(tmp_path / "mine")]) == 1
    assert "holds no notebooks" in capsys.readouterr().err
    assert started == []
    assert not (tmp_path / "mine").exists()


# ---- doctor ----------------------------------------------------------------------------------------------------------


def test_doctor_says_versions_and_that_all_is_well(capsys):
    assert main(["doctor", "--quick"]) == 0
    said = capsys.readouterr().out
    for name in ("torch", "transformer-lens", "anywidget", "ipykernel"):
        assert metadata.version(name) in next(line for line in said.splitlines() if f" {name} " in line)
    assert "TokenActivations" in said
    assert "a model and 8 SAEs" in said
    assert "everything that is needed works" in said


@pytest.mark.slow
def test_doctor_runs_the_bundled_model_without_the_network(tmp_path):
    blocked = "import socket\n\ndef no(*_):\n    raise OSError('network')\n\nsocket.socket.connect = no\n"
    code = f"{blocked}import sys\nfrom saewidgets.cli import main\nsys.exit(main(['doctor']))"
    own = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "features fire" in next(line for line in done.stdout.splitlines() if "bundled model" in line)


def test_doctor_finds_what_is_missing_broken_or_too_old(monkeypatch, capsys):
    real = metadata.version
    old = {"torch": "2.1.0", "transformer-lens": "5.0.0"}

    def version(name: str) -> str:
        if name in {"sae-lens", "anywidget"}:
            raise metadata.PackageNotFoundError(name)
        return old.get(name) or real(name)

    monkeypatch.setattr(doctor_module.metadata, "version", version)
    wanted = ["torch>=2.6", "transformer-lens<5,>=3.9", "numpy>=1.26", 'ipykernel>=6.29; extra == "test"']
    monkeypatch.setattr(doctor_module.metadata, "requires", lambda _: wanted)
    monkeypatch.setattr(doctor_module, "PACKAGE", Path("nowhere"))
    assert main(["doctor", "--quick"]) == 1
    lines = {line.split()[1]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["sae-lens"].startswith("missing ")
    for name in ("anywidget", "torch", "transformer-lens", "scripts"):
        assert lines[name].startswith("FAILS "), name
    assert "2.1.0, >=2.6 is needed" in lines["torch"]
    assert lines["numpy"].startswith("ok ")
    assert lines["ipykernel"].startswith("ok ")


@pytest.mark.parametrize(
    ("version", "inside"), [("3.9.0", True), ("4.3", True), ("3.8.9", False), ("5.0.0", False), ("3.10.1+cpu", True)]
)
def test_ranges_of_versions(version, inside):
    assert doctor_module._within(version, "<5,>=3.9") is inside


def test_the_host_is_told_by_its_environment(monkeypatch):
    for variable, _ in doctor_hosts.HOSTS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("TERM_PROGRAM", raising=False)
    assert doctor_hosts.host() == "a terminal"
    monkeypatch.setenv("COLAB_RELEASE_TAG", "x")
    assert doctor_hosts.host() == "Google Colab"
