import ipywidgets
import pytest

import saewidgets as sw
from saewidgets.errors import MismatchError
from saewidgets.widgets import TokenActivations, column, row
from saewidgets.widgets.base import WIDGET_VIEW
from tests.export.pages import saved, scripts
from tests.widgets.fake_lab import FakeLab


@pytest.fixture
def pair():
    return [TokenActivations(FakeLab(), prompt) for prompt in ("the Golden Gate", "of San Francisco")]


@pytest.fixture
def displayed(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, metadata=None, raw=False: bundles.append(data))
    return bundles


@pytest.mark.parametrize("box", [row, column])
def test_one_bundle_holds_the_live_views_and_every_twin(pair, box):
    data, _ = box(*pair)._repr_mimebundle_(), None
    assert {"text/html", "text/plain", WIDGET_VIEW} <= set(data)
    places = [data["text/html"].index(view._marked_html()) for view in pair]
    assert places == sorted(places)
    assert data["text/plain"] == "\n\n".join(view.static_text() for view in pair)


def test_a_row_is_a_table_of_cells_and_a_column_is_none(pair):
    assert row(*pair).static_html().count("<td align") == 2
    assert "<td align" not in column(*pair).static_html()


def test_in_a_notebook_the_twins_come_first_and_the_live_views_second(pair, displayed, monkeypatch):
    kernel = type("Shell", (), {"kernel": object()})()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: kernel)
    both = row(*pair)
    both._ipython_display_()
    twin, live = displayed
    assert set(twin) == {"text/html", "text/plain"}
    assert live[WIDGET_VIEW]["model_id"] == both.model_id


def test_without_a_kernel_only_the_twins_are_shown(pair, displayed, monkeypatch):
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: None)
    column(*pair)._ipython_display_()
    assert [set(bundle) for bundle in displayed] == [{"text/html", "text/plain"}]


def test_rows_of_columns(pair, tmp_path):
    third = TokenActivations(FakeLab(), "opens at dawn")
    both = sw.row(sw.column(*pair), third)
    assert all(view._marked_html() in both._marked_html() for view in (*pair, third))
    text = both.to_html(tmp_path / "x.html").read_text()
    assert [one["state"]["prompt"] for one in saved(text)] == ["the Golden Gate", "of San Francisco", "opens at dawn"]
    assert len(scripts(text)) == 2
    assert both._marked_html() in text


def test_the_views_are_not_changed(pair):
    before = [view.layout for view in pair]
    row(*pair)
    assert [view.layout for view in pair] == before


@pytest.mark.parametrize("wrong", [(), ("text",), (None,), (ipywidgets.Label,)])
def test_only_views_stand_there(pair, wrong):
    with pytest.raises(MismatchError):
        row(*wrong)
    with pytest.raises(MismatchError, match="HBox"):
        column(*pair, ipywidgets.IntSlider())
