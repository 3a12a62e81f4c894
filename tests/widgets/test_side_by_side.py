import struct
import zlib

import ipywidgets
import numpy as np
import pytest

import saewidgets as sw
from saewidgets.errors import MismatchError, PromptError
from saewidgets.widgets import FeatureRanking, TokenActivations, column, row
from saewidgets.widgets.base import WIDGET_VIEW, LiveView
from tests.export.pages import saved, scripts
from tests.views.test_drawings import SPACE, parsed, size, texts
from tests.widgets.fake_lab import FakeLab
from tests.widgets.fake_ranking_lab import FakeRankingLab


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


# ---- drawings --------------------------------------------------------------------------------------------------------


def whole(drawing):
    return size(parsed(drawing), "width"), size(parsed(drawing), "height")


def places(drawing):
    return [(size(node, "x"), size(node, "y")) for node in parsed(drawing).findall(f"{SPACE}svg")]


@pytest.fixture
def two():
    return TokenActivations(FakeLab(), "the Golden Gate"), FeatureRanking(FakeRankingLab(), "the Golden Gate")


def test_the_drawing_of_a_row_has_its_views_beside_each_other(two):
    sizes = [whole(view.static_svg()) for view in two]
    drawing = row(*two).static_svg()
    assert places(drawing) == [(0, 0), (sizes[0][0], 0)]
    assert whole(drawing) == (sizes[0][0] + sizes[1][0], max(sizes[0][1], sizes[1][1]))
    assert texts(drawing) == [text for view in two for text in texts(view.static_svg())]
    assert parsed(drawing)[0].text == "TokenActivations, FeatureRanking"


def test_the_drawing_of_a_column_has_its_views_below_each_other(two):
    sizes = [whole(view.static_svg()) for view in two]
    drawing = column(*two).static_svg()
    assert places(drawing) == [(0, 0), (0, sizes[0][1])]
    assert whole(drawing) == (max(sizes[0][0], sizes[1][0]), sizes[0][1] + sizes[1][1])


def test_a_column_in_a_row_is_drawn_there(two, pair):
    drawing = row(column(*two), pair[0]).static_svg()
    width, height = whole(column(*two).static_svg())
    assert places(drawing) == [(0, 0), (width, 0)]
    assert whole(drawing) == (width + whole(pair[0].static_svg())[0], height)


def test_a_view_that_has_nothing_to_draw_is_named_with_the_reason(pair):
    empty = TokenActivations(FakeLab(), "")
    found = texts(column(empty, pair[0]).static_svg())
    assert found == ["TokenActivations: The prompt has no tokens.", *texts(pair[0].static_svg())]
    assert "Column: The prompt has no tokens." in texts(row(pair[0], column(empty)).static_svg())


def test_where_no_view_has_anything_to_draw_no_file_is_written(tmp_path):
    both = row(TokenActivations(FakeLab(), ""), column(TokenActivations(FakeLab(), "")))
    with pytest.raises(PromptError, match="nothing to draw"):
        both.to_svg(tmp_path / "a.svg")
    assert list(tmp_path.iterdir()) == []


def test_a_view_of_a_kind_without_a_drawing_is_an_error(pair):
    class Plain(LiveView, stem="explorer"):
        pass

    with pytest.raises(MismatchError, match=r"(?s)no drawing.*Plain.*static_svg"):
        row(pair[0], Plain({})).static_svg()


@pytest.mark.parametrize("name", [name for name in vars(sw.widgets)["__all__"] if name not in {"row", "column"}])
def test_every_view_has_a_drawing(name):
    assert getattr(sw, name).static_svg is not LiveView.static_svg


def test_both_files_are_as_large_as_the_drawing(two, tmp_path):
    both = row(*two)
    drawing = both.to_svg(tmp_path / "a.svg").read_text("utf-8")
    assert drawing == both.static_svg()
    pytest.importorskip("vl_convert")
    width, height = struct.unpack(">II", both.to_png(tmp_path / "a.png", scale=1).read_bytes()[16:24])
    assert (width, height) == whole(drawing)


def pixels(path):
    """A PNG of 8 bits a channel as an array of rows, columns and channels."""
    data, at, packed = path.read_bytes(), 8, b""
    width, height, depth, colours = struct.unpack(">IIBB", data[16:26])
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at : at + 8])
        packed += data[at + 8 : at + 8 + length] if kind == b"IDAT" else b""
        at += length + 12
    channels = {2: 3, 6: 4}[colours]
    assert depth == 8
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    found = np.zeros((height + 1, width + 1, channels), np.uint8)  # a row above and a column to the left are 0
    for n, line in enumerate(lines):
        given, above, row_ = line[1:].reshape(width, channels), found[n], found[n + 1]
        for x in range(width):
            a, b, c = (one.astype(int) for one in (row_[x], above[x + 1], above[x]))
            nearest = np.argmin(np.abs([b - c, a - c, a + b - 2 * c]), axis=0)
            guess = (0 * a, a, b, (a + b) // 2, np.choose(nearest, (a, b, c)))[line[0]]
            row_[x + 1] = (given[x] + guess) % 256
    return found[1:, 1:]


def test_the_parts_of_a_png_look_as_the_views_by_themselves(tmp_path):
    pytest.importorskip("vl_convert")
    views = [TokenActivations(FakeLab(), prompt) for prompt in ("the Golden Gate", "a\nb\nc")]
    both = pixels(column(*views).to_png(tmp_path / "both.png", scale=0.5))
    alone = [pixels(view.to_png(tmp_path / "one.png", scale=0.5)) for view in views]
    assert min(int((one < 128).sum()) for one in alone) > 100
    np.testing.assert_array_equal(both, np.concatenate(alone))
