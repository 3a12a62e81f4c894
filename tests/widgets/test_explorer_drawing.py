"""The drawing of an explorer: the views that are seen, where the live box has them, each under its title."""

from __future__ import annotations

import re
import struct
from xml.etree.ElementTree import Element

import pytest

from saewidgets.errors import PromptError
from saewidgets.widgets import AttentionPatterns, row
from saewidgets.widgets.explorer import Explorer
from tests.views.test_drawings import SPACE, parsed, size, texts
from tests.widgets.fake_attention_lab import FakeAttentionLab
from tests.widgets.fake_explorer_lab import FakeExplorerLab

PROMPT = "the Golden Gate Bridge"


@pytest.fixture(scope="module")
def explorer():
    explorer = Explorer(FakeExplorerLab(), PROMPT)
    yield explorer
    explorer.close()


@pytest.fixture(autouse=True)
def all_seen(explorer):
    explorer.shown = list(explorer._panes)
    yield
    explorer.shown = list(explorer._panes)


def placed(drawing, titles=("Tokens", "Ranking", "Feature", "Steering")):
    """Where the title of each pane starts, x and y."""
    found = {}

    def look(node: Element, x: float, y: float) -> None:
        if node.tag == f"{SPACE}svg":
            x, y = x + size(node, "x"), y + size(node, "y")
        if node.tag == f"{SPACE}text" and node.get("font-size") == "16" and node.text in titles:
            found[node.text] = (x, y)
        for child in node:
            look(child, x, y)

    look(parsed(drawing), 0, 0)
    return found


def whole(drawing):
    return size(parsed(drawing), "width"), size(parsed(drawing), "height")


def test_tokens_over_the_ranking_the_feature_beside_them_steering_below(explorer):
    tokens, ranking, feature, steering = (whole(view.static_svg()) for view in explorer._views.values())
    drawing = explorer.static_svg()
    title = whole(drawing)[1] - max(tokens[1] + ranking[1], feature[1]) - steering[1]
    one = title / 2  # one title is above the higher column, one above steering; the left column has two
    column = max(tokens[1] + ranking[1] + one, feature[1])
    assert placed(drawing) == {
        "Tokens": (0, 0),
        "Ranking": (0, pytest.approx(32 + tokens[1])),
        "Feature": (max(tokens[0], ranking[0]), 0),
        "Steering": (0, pytest.approx(column + one)),
    }
    assert one == 32
    assert whole(drawing)[0] == max(tokens[0], ranking[0]) + feature[0]
    assert parsed(drawing)[0].text == f"Explorer · {PROMPT}"


def test_each_view_is_drawn_as_it_draws_itself(explorer):
    found = texts(explorer.static_svg())
    titles = ("Tokens", "Ranking", "Feature", "Steering")
    expected = []
    for title, view in zip(titles, explorer._views.values(), strict=True):
        expected += [title, *texts(view.static_svg())]
    assert found == expected


@pytest.mark.parametrize(
    ("seen", "beside", "below"),
    [
        (("tokens", "ranking"), ("Tokens", "Ranking"), ()),
        (("tokens", "dashboard"), ("Tokens", "Feature"), ()),
        (("ranking", "dashboard", "steering"), ("Ranking", "Feature"), ("Steering",)),
        (("dashboard", "steering"), ("Feature",), ("Steering",)),
        (("tokens", "steering"), ("Tokens",), ("Steering",)),
        (("steering",), ("Steering",), ()),
    ],
)
def test_only_what_is_seen_is_drawn_and_fills_the_columns_as_in_the_live_box(explorer, seen, beside, below):
    explorer.shown = seen
    found = placed(explorer.static_svg())
    assert list(found) == [*beside, *below]
    assert [y for _, y in (found[title] for title in beside)] == [0] * len(beside)
    assert len({x for x, _ in (found[title] for title in beside)}) == len(beside)
    assert all(found[title][0] == 0 < found[title][1] for title in below)


def test_where_no_view_is_seen_there_is_nothing_to_draw(explorer):
    explorer.shown = ()
    with pytest.raises(PromptError, match=r"(?s)nothing to draw.*no view is seen"):
        explorer.static_svg()


def test_a_view_that_has_nothing_to_draw_has_its_title_and_the_reason():
    explorer = Explorer(FakeExplorerLab(), "")
    found = texts(explorer.static_svg())
    assert found[found.index("Tokens") + 1] == "TokenActivations: The prompt has no tokens."
    assert found[found.index("Feature") + 1].startswith("Feature mid/")
    explorer.shown = ("tokens", "ranking")
    with pytest.raises(PromptError, match="nothing to draw"):
        explorer.static_svg()
    explorer.close()


def test_a_prompt_of_a_stranger_is_text():
    explorer = Explorer(FakeExplorerLab(), "</svg><script>x()</script> \u202e ]]>&amp;")
    drawing = explorer.static_svg()
    allowed = {"svg", "title", "rect", "text", "line"}
    assert {node.tag.removeprefix(SPACE) for node in parsed(drawing).iter()} == allowed
    assert "<script" not in drawing
    assert "\u202e" not in drawing
    assert any("<script>x()</script>" in text for text in texts(drawing))
    explorer.close()


def test_no_drawing_has_an_id_for_its_neighbours_could_have_the_same(explorer):
    patterns = AttentionPatterns(FakeAttentionLab(), PROMPT, 1)
    drawing = row(explorer, patterns).static_svg()
    assert "Attention of layer 1" in texts(drawing)
    assert re.findall(r'\s(?:xml:)?id="|url\(|href=', drawing) == []
    patterns.close()


def test_both_files_are_as_large_as_the_drawing(explorer, tmp_path):
    drawing = explorer.to_svg(tmp_path / "a.svg").read_text("utf-8")
    assert drawing == explorer.static_svg()
    pytest.importorskip("vl_convert")
    width, height = struct.unpack(">II", explorer.to_png(tmp_path / "a.png", scale=1).read_bytes()[16:24])
    assert (width, height) == tuple(map(round, whole(drawing)))
