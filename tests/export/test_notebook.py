"""A notebook as a page: what lives, what is a picture, what goes; with state, without, and cleaned."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path

import nbformat
import pytest

import saewidgets as sw
from saewidgets.cli.clean import cleaned
from saewidgets.errors import LoadError, MissingPackageError, StoreError
from saewidgets.export import notebook as notebook_module
from saewidgets.export import views as views_module
from saewidgets.export.notebook import exported
from saewidgets.export.views import MOST, STATE
from saewidgets.lab import Lab
from saewidgets.widgets import TokenActivations, column, row
from saewidgets.widgets.base import WIDGET_VIEW
from tests.export.pages import body, code, html, model_of, notebook, outputs_of, saved, scripts
from tests.widgets.fake_lab import FakeLab

HEADER = b"SAEW" + (1).to_bytes(4, "little")
BROKEN = (
    b"", b"\0" * 7, b"\xff" * 4000, HEADER + b"\4\0\0\0\0\0\0\0null", HEADER + b"\4\0\0\0\0\0\0\0{}",
    HEADER + b"\2\0\0\0\2\0\0\0{}abc", b"SAEW\2\0\0\0\2\0\0\0\0\0\0\0{}", b"RIFF" + HEADER[4:] + b"\2\0\0\0\0\0\0\0{}",
)  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
SVG = "<svg xmlns='http://www.w3.org/2000/svg'><script>x()</script></svg>"


@pytest.fixture
def elsewhere(monkeypatch):
    """As if the views were those of a kernel that has ended."""
    monkeypatch.setattr(views_module, "held", {})


# ---- our views -------------------------------------------------------------------------------------------------------


def test_a_view_of_this_kernel_lives_as_it_stands_now(every_view):
    made = exported(notebook(code("view", *outputs_of(every_view))))
    (one,) = saved(made.html)
    now = every_view._saved().state
    assert one["state"] == {name: list(value) if isinstance(value, tuple) else value for name, value in now.items()}
    assert one["state"]["prompt"] == every_view.prompt
    assert (made.n_live, made.n_static) == (1, 0)
    assert every_view._marked_html() in made.html


def test_a_view_that_has_changed_since_is_shown_as_it_is_now():
    view = TokenActivations(FakeLab(), "the Golden Gate")
    found = notebook(code("view", *outputs_of(view)))
    view.prompt = "another text"
    assert view.result is not None
    made = exported(found).html
    assert saved(made)[0]["state"]["prompt"] == "another text"
    assert "Golden" not in body(made)


def test_saved_state_lives_where_the_kernel_has_ended(every_view, elsewhere):
    made = exported(notebook(code("view", *outputs_of(every_view)), views=[every_view]))
    (one,) = saved(made.html)
    assert one["state"] == {name: value for name, value in one["state"].items() if name in every_view.get_state()}
    assert one["state"]["_twin"] == every_view._twin
    assert every_view._twin in body(made.html)
    if "_data" in one["state"]:
        assert one["state"]["_data"] == every_view._data
    assert (made.n_live, made.n_static) == (1, 0)


def test_without_state_its_twin_is_shown_and_nothing_else(every_view, elsewhere):
    made = exported(notebook(code("view", *outputs_of(every_view))))
    assert (made.n_live, made.n_static) == (0, 1)
    assert scripts(made.html) == []
    assert every_view.static_html()[:60] in body(made.html)
    assert "needs a running kernel" not in body(made.html)


def test_before_and_after_clean(every_view, elsewhere, tmp_path):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook("# Hi", code("view", *outputs_of(every_view)), views=[every_view]), path)
    before = exported(path)
    path.write_bytes(cleaned(path.read_bytes()))
    after = exported(path)
    assert (before.n_live, after.n_live) == (1, 0)
    place = '<div class="output"><div data-saew="0"></div></div>'
    assert place in before.html
    read = [body(one.html).split("<body>")[1].split("</footer>")[0] for one in (before, after)]
    assert read[0].replace(place, "") == read[1]


def test_the_script_is_kept_once_and_is_never_the_notebooks(elsewhere):
    views = [TokenActivations(FakeLab(), f"prompt {n}") for n in range(3)]
    found = notebook(*[code("view", *outputs_of(view)) for view in views], views=views)
    made = exported(found)
    assert made.n_live == 3
    assert len(scripts(made.html)) == 2
    state = found.metadata["widgets"][STATE]["state"]
    state[views[1].model_id]["state"]["_esm"] = "export default { render() { document.title = 'owned' } }"
    state[views[2].model_id]["state"]["_css"] = "body { display: none }"
    made = exported(found)
    assert (made.n_live, made.n_static) == (2, 1)
    assert "owned" not in made.html
    assert "display: none }" not in made.html


@pytest.mark.parametrize(
    "change",
    [
        {"state": {"_anywidget_id": "saewidgets.widgets.nothing.X"}},
        {"state": {"_anywidget_id": "saewidgets.widgets.page.Page"}},
        {"state": {"_anywidget_id": "../../page.X"}},
        {"state": {"_anywidget_id": 3}},
        {"state": {"number": float("nan")}},
        {"model_module": "other"},
        {"buffers": [{"path": ["_data"], "data": "!"}]},
        {"buffers": [{"path": ["a", "b"], "data": ""}]},
        {"buffers": [{"path": ["_data"], "data": "00", "encoding": "hex"}]},
        {"buffers": [3]},
        {"buffers": []},
        *({"buffers": [{"path": ["_data"], "data": b64encode(data).decode()}]} for data in BROKEN),
        {"buffers": [{"path": ["_live"], "data": b64encode(BROKEN[1]).decode()}]},
        {"buffers": [], "state": {"status": 3}},
        {"buffers": 3},
        {"state": 3},
    ],
)
def test_state_that_is_not_ours_or_broken_is_not_used(elsewhere, change):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    found = notebook(code("view", *outputs_of(view)), views=[view])
    model = found.metadata["widgets"][STATE]["state"][view.model_id]
    for name, value in change.items():
        model[name] = {**model[name], **value} if isinstance(value, dict) else value
    made = exported(found)
    assert (made.n_live, made.n_static) == (0, 1)
    assert scripts(made.html) == []
    assert "Golden" in body(made.html)


def test_a_view_that_has_nothing_to_show_yet_lives_without_data(elsewhere):
    view = TokenActivations(FakeLab(), "")
    assert view.status["state"] == "failed"
    assert exported(notebook(code("view", *outputs_of(view)), views=[view])).n_live == 1


def test_what_begins_as_our_buffers_lives(elsewhere):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    found = notebook(code("view", *outputs_of(view)), views=[view])
    least = b64encode(HEADER + b"\2\0\0\0\1\0\0\0{}ab").decode()
    found.metadata["widgets"][STATE]["state"][view.model_id]["buffers"] = [{"path": ["_data"], "data": least}]
    assert exported(found).n_live == 1


@pytest.mark.parametrize("widgets", [3, {STATE: 3}, {STATE: {"state": 3}}, {STATE: {}}, {"x": {}}])
def test_broken_state_as_a_whole(elsewhere, widgets):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    found = notebook(code("view", *outputs_of(view)))
    found.metadata["widgets"] = widgets
    assert exported(found).n_static == 1


@pytest.mark.parametrize("held", [True, False])
@pytest.mark.parametrize("box", [row, column])
def test_views_in_a_row_live_with_or_without_the_kernel(monkeypatch, box, held):
    views = [TokenActivations(FakeLab(), "the Golden Gate"), TokenActivations(FakeLab(), "of San Francisco")]
    both = box(*views)
    if not held:
        monkeypatch.setattr(views_module, "held", {})
    made = exported(notebook(code("both", *outputs_of(both)), views=[*views, both]))
    assert f'<div class="views-{box.__name__}"><div data-saew="0"></div><div data-saew="1"></div></div>' in made.html
    assert [one["state"]["prompt"] for one in saved(made.html)] == [view.prompt for view in views]
    assert all(view._twin in body(made.html) for view in views)


def test_a_box_with_widgets_of_others_is_not_drawn_and_one_in_itself_ends(elsewhere):
    view = TokenActivations(FakeLab(), "the Golden Gate")
    both = row(view)
    found = notebook(code("both", *outputs_of(both)), views=[view, both])
    children = found.metadata["widgets"][STATE]["state"][both.model_id]["state"]["children"]
    children.append("IPY_MODEL_slider")
    assert exported(found).n_static == 1
    children[:] = [f"IPY_MODEL_{both.model_id}"] * 32
    assert exported(found).n_static == 1
    assert MOST < 32**2 * 8


def test_a_widget_of_others_leaves_a_note_and_is_not_counted(elsewhere):
    other = {WIDGET_VIEW: {"model_id": "x"}, "text/plain": "IntSlider(<b>)"}
    made = exported(notebook(code("w", other)))
    assert "IntSlider(&lt;b&gt;)" in made.html
    assert "needs a running kernel" in made.html
    assert made.n_static == 0
    view = TokenActivations(FakeLab(), "the Golden Gate")
    twin, live = outputs_of(view)
    assert exported(notebook(code("both", twin, live, other))).n_static == 1
    assert exported(notebook(code("one output", {**live.data, **twin.data}))).n_static == 1
    found = notebook(code("no twin", live), views=[view])
    found.metadata["widgets"][STATE]["state"][view.model_id]["state"]["_esm"] = "of another version"
    assert exported(found).n_static == 1


# ---- the rest of a notebook ------------------------------------------------------------------------------------------


def test_markdown_code_and_outputs_in_their_order():
    new = nbformat.v4
    stream = new.new_output("stream", name="stdout", text="10%\r100%\n\x1b[31mred\x1b[0m <b>")
    error = new.new_output("error", ename="E", evalue="v", traceback=["\x1b[0;31mE\x1b[0m: v"])
    found = notebook("# Title & more", code("1 + 1", stream, {"text/plain": "two"}), code("x", error), "the end")
    made = body(exported(found).html)
    order = ["Title &amp; more", "[1]", "100%\nred &lt;b&gt;", "two", "E: v", "the end"]
    assert [made.index(part) for part in order] == sorted(made.index(part) for part in order)
    assert "10%\n" not in made.replace("100%\n", "")
    assert "<title>Title &amp; more</title>" in made


def test_the_richest_form_that_shows_something():
    rich = {"text/html": "<b>rich</b>", "image/png": "aaaa", "text/plain": "plain"}
    empty = {"text/html": "<div id='vis'></div><script>draw()</script>", "image/png": "aaaa", "text/plain": "plain"}
    other = {"text/html": "<script>x()</script>", "text/plain": "plain"}
    image = {"image/svg+xml": SVG, "text/plain": "plain"}
    shown = [body(exported(notebook(code("x", one))).html) for one in (rich, empty, other, image)]
    assert "<b>rich</b>" in shown[0]
    assert 'src="data:image/png;base64,aaaa" alt="plain"' in shown[1]
    assert ">plain</pre>" in shown[2]
    assert 'src="data:image/svg+xml;base64,' in shown[3]
    assert not any("draw()" in one or "x()" in one for one in shown)


def test_hidden_parts_are_folded_and_raw_cells_are_text():
    cell = code("secret", {"text/plain": "out"})
    cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    made = body(exported(notebook(cell, nbformat.v4.new_raw_cell("<raw>"))).html)
    assert made.count("<details>") == 2
    assert "&lt;raw&gt;" in made


def test_a_stranger_cannot_stand_in_for_our_state_or_a_view():
    nasty = '<p id="saew-state">x</p><div data-saew="0" class="saew">x</div>'
    nasty += '<script type="application/json" id="saew-state">{}</script>'
    made = exported(notebook(nasty, html(nasty), f"# {nasty}")).html
    assert made.count("saew-state") == 1
    assert "data-saew" not in made


@pytest.mark.parametrize(
    "cells",
    [
        [3, None, {}, {"cell_type": "code"}, {"cell_type": "markdown", "source": 3, "attachments": 3}],
        [{"cell_type": "code", "source": ["a", 3], "outputs": [3, {}, {"output_type": "stream", "text": 3}]}],
        [{"cell_type": "code", "source": "a", "outputs": [{"output_type": "error", "traceback": 3}], "metadata": 3}],
        [
            {
                "cell_type": "code",
                "source": "a",
                "outputs": [{"data": {"text/html": 3, "image/png": [3], WIDGET_VIEW: 3}}],
            }
        ],
        [{"cell_type": "code", "source": "a", "execution_count": "<b>", "metadata": {"jupyter": 3}, "outputs": 3}],
        [{"cell_type": "code", "source": "\ud800\0", "outputs": [{"output_type": "stream", "text": "\ud800\0"}]}],
    ],
)
def test_wrong_types_are_left_out(cells, tmp_path):
    assert sw.export_notebook({"cells": cells, "nbformat": 4}, tmp_path / "x.html").stat().st_size > 1000


# ---- files -----------------------------------------------------------------------------------------------------------


def test_three_ways_in_write_the_same(tmp_path):
    path = tmp_path / "nb.ipynb"
    nbformat.write(notebook("# Hi", code("1")), path)
    one = sw.export_notebook(path, tmp_path / "one.html")
    two = Lab.export_notebook(Lab.__new__(Lab), str(path), str(tmp_path / "two.html"))
    three = sw.export_notebook(nbformat.read(path, as_version=4), tmp_path / "three.html")
    assert one == tmp_path / "one.html"
    assert one.read_bytes() == two.read_bytes()
    assert three.read_text().replace("a notebook", "<code>nb.ipynb</code>") == one.read_text()


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b"\xff", b"[" * 10**6, b'{"cells": 3, "nbformat": 4}', b'{"worksheets": [], "nbformat": 3}',
     b'{"cells": [], "nbformat": 3}', b'{"cells": [], "nbformat": "4"}'],
)  # fmt: skip
def test_what_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "nb.ipynb"
    path.write_bytes(text)
    with pytest.raises(LoadError, match="not a notebook"):
        sw.export_notebook(path, tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_files_that_cannot_be_read_or_written(tmp_path, monkeypatch):
    path = tmp_path / "nb.ipynb"
    with pytest.raises(LoadError, match="cannot be read"):
        sw.export_notebook(path, tmp_path / "x.html")
    nbformat.write(notebook("a"), path)
    with pytest.raises(StoreError, match="would replace the notebook"):
        sw.export_notebook(path, tmp_path / "." / "nb.ipynb")
    with pytest.raises(StoreError, match="not written"):
        sw.export_notebook(path, tmp_path)
    with pytest.raises(StoreError, match="no name of a file"):
        sw.export_notebook(path, "a\0.html")
    with pytest.raises(LoadError, match="no name of a file"):
        sw.export_notebook("a\0.ipynb", tmp_path / "x.html")
    monkeypatch.setattr(notebook_module, "BYTES_LIMIT", 10)
    with pytest.raises(LoadError, match="too large"):
        sw.export_notebook(path, tmp_path / "x.html")


def test_without_nbconvert_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(notebook_module, "find_spec", lambda name: None if name == "nbconvert" else object())
    with pytest.raises(MissingPackageError, match=r"pip install \"saewidgets\[export\]\""):
        sw.export_notebook(notebook("a"), tmp_path / "x.html")


def test_the_bundled_notebooks_are_exported():
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        made = exported(path)
        cells = json.loads(path.read_text("utf-8"))["cells"]
        assert made.html.count('class="code"') == sum(cell["cell_type"] == "code" for cell in cells)
        assert body(made.html).count('class="prose') == sum(cell["cell_type"] == "markdown" for cell in cells)


def test_a_notebook_that_was_run_from_the_command_line_keeps_its_state(tmp_path):
    from nbclient import NotebookClient

    source = "from tests.widgets.fake_lab import FakeLab\nimport saewidgets as sw\n"
    source += "sw.column(sw.TokenActivations(FakeLab(), 'the Golden Gate'), sw.TokenActivations(FakeLab(), 'at dawn'))"
    found = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(found, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    assert STATE in found.metadata["widgets"]
    made = exported(found)
    assert (made.n_live, made.n_static) == (1, 0)
    assert [one["state"]["prompt"] for one in saved(made.html)] == ["the Golden Gate", "at dawn"]
    nbformat.write(found, tmp_path / "nb.ipynb")
    assert exported(tmp_path / "nb.ipynb").n_live == 1


def test_models_are_as_nbclient_writes_them():
    model = model_of(TokenActivations(FakeLab(), "x"))
    assert {"model_name", "model_module", "model_module_version", "state", "buffers"} == set(model)
    assert model["state"]["_anywidget_id"] == "saewidgets.widgets.token_activations.TokenActivations"
