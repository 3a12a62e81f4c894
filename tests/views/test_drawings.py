"""Drawings are whole XML, hold every token as text, and colour what fires."""

from __future__ import annotations

import struct
from xml.etree import ElementTree

import pytest

from saewidgets.errors import MismatchError, MissingPackageError, PromptError
from saewidgets.views import files as files_module
from saewidgets.views import token_strip_svg
from saewidgets.views.drawing import chunks, columns
from saewidgets.widgets import FeatureRanking, TokenActivations
from saewidgets.widgets.pictures import Pictured
from tests.widgets.fake_lab import FakeLab, activations_of
from tests.widgets.fake_ranking_lab import FakeRankingLab

SPACE = "{http://www.w3.org/2000/svg}"
NASTY = [
    "<script>x()</script>",
    "]]>&amp;",
    '"onload="x',
    "\x00\x1b[31m",
    "\u202egnp",
    "\ufffe\uffff",
    "日本語",
    "é😀",
    "\n",
]


def parsed(drawing):
    return ElementTree.fromstring(drawing)


def texts(drawing):
    return [node.text or "" for node in parsed(drawing).iter(f"{SPACE}text")]


def size(node, name):
    return float(node.get(name) or 0)


def boxes(drawing):
    """Tokens' boxes: below the legend."""
    return [node for node in parsed(drawing).iter(f"{SPACE}rect") if size(node, "y") > 55]


def test_tokens_tints_and_lines():
    result = activations_of([{7: 4.0}, {7: 3.0}, {7: 1.0}, {}], [b"one", b" two", b" three", b" four"])
    drawing = token_strip_svg(result, 7, label="a <label>")
    assert [text for text in texts(drawing) if text in {"one", "two", "three", "four"}] == [
        "one",
        "two",
        "three",
        "four",
    ]
    assert [box.get("fill-opacity", "1") for box in boxes(drawing)] == ["0.6", "0.47", "0.21"]
    dashes = [line.get("stroke-dasharray") for line in parsed(drawing).iter(f"{SPACE}line")][1:]
    assert dashes == [None, "2 2"]  # 4 of 4: solid, 3 of 4: dotted
    assert texts(drawing)[0] == "Feature mid/7 a <label>"
    assert "4   ┄ over ½  ─ over ¾ of it" in texts(drawing)


def test_no_feature_no_tint():
    drawing = token_strip_svg(activations_of([{7: 4.0}], [b"one"]))
    assert boxes(drawing) == []
    assert texts(drawing)[0] == "SAE mid"


def test_nasty_tokens_are_text():
    result = activations_of([{7: 1.0}] * len(NASTY), [token.encode("utf-8", "surrogatepass") for token in NASTY])
    drawing = token_strip_svg(result, 7, label="\ud800\x00</svg>")
    allowed = {"svg", "title", "rect", "text", "line"}
    assert {node.tag.removeprefix(SPACE) for node in parsed(drawing).iter()} <= allowed
    assert not any("on" in name for node in parsed(drawing).iter() for name in node.attrib if name.startswith("on"))
    assert {"<script>x()</script>", "]]>&amp;", '"onload="x', "日本語", "é😀", "↵"} <= set(texts(drawing))
    assert "\u202e" not in drawing
    drawing.encode()


@pytest.mark.parametrize("width", [200, 720])
def test_nothing_leaves_the_drawing(width):
    result = activations_of([{7: 1.0}] * 40, [b" word", "日".encode() * 60] * 20)
    drawing = token_strip_svg(result, 7, width=width)
    root = parsed(drawing)
    for box in boxes(drawing):
        assert size(box, "x") + size(box, "width") <= width - 10
        assert size(box, "y") + size(box, "height") <= size(root, "height")


def test_columns_and_chunks():
    assert [columns(text) for text in ("ab", "日本", "e\u0301", "")] == [2, 4, 1, 1]
    assert list(chunks("abcdef", 4)) == ["abcd", "ef"]
    assert list(chunks("", 4)) == [""]


def test_views_write_both(tmp_path):
    for view in (TokenActivations(FakeLab(), "the Golden <b>"), FeatureRanking(FakeRankingLab(), "the Golden <b>")):
        drawing = view.to_svg(tmp_path / "a.svg").read_text()
        assert parsed(drawing).tag == f"{SPACE}svg"
        assert any("<b>" in text for text in texts(drawing))
        pytest.importorskip("vl_convert")
        data = view.to_png(tmp_path / "a.png", scale=3).read_bytes()
        width, height = struct.unpack(">II", data[16:24])
        assert data[:8] == b"\x89PNG\r\n\x1a\n"
        assert abs(width - 3 * size(parsed(drawing), "width")) <= 3
        assert abs(height - 3 * size(parsed(drawing), "height")) <= 3


def test_the_label_of_the_feature_is_drawn():
    view = TokenActivations(FakeLab(), "the Golden Gate")
    label = "Golden Gate <b>Bridge</b>"
    (named,) = (index for index, text in view.lab.saes["mid"].labels.items() if text == label)
    view.feature = named
    assert texts(view.static_svg())[0] == f"Feature mid/{named} {label}"


def test_ranking_in_three_columns():
    ranking = FeatureRanking(FakeRankingLab(), "the Golden Gate")
    assert ranking.result is not None
    found = texts(ranking.static_svg())
    assert [text for text in found if text.startswith("by ")] == ["by activation", "by attribution", "by ablation"]
    names = {str(row.feature) for by in ("activation", "attribution", "ablation") for row in ranking.result.top(10, by)}
    assert all(any(name in text for text in found) for name in names)


def test_what_cannot_be_drawn_says_so(tmp_path, monkeypatch):
    with pytest.raises(MismatchError, match="no drawing"):
        Pictured().to_svg(tmp_path / "x.svg")
    with pytest.raises(PromptError, match="nothing to draw"):
        TokenActivations(FakeLab(), "").to_svg(tmp_path / "x.svg")
    monkeypatch.setattr(files_module, "find_spec", lambda _: None)
    with pytest.raises(MissingPackageError, match=r"saewidgets\[figures\]"):
        TokenActivations(FakeLab(), "x").to_png(tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []
