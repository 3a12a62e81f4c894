"""Drawings of drawings: each part is where it belongs, in its own size, and nothing leaves the whole."""

from __future__ import annotations

import pytest

from saewidgets.errors import MismatchError
from saewidgets.views.drawing import svg, words
from saewidgets.views.side_by_side_svg import WIDTH, side_by_side_svg, titled_svg, words_svg
from tests.views.test_drawings import NASTY, SPACE, parsed, size, texts

PARTS = [svg(100, 40.5, "a", [words(4, 9, "one")]), svg(300, 20, "b", [words(4, 9, "two")]), svg(50, 60, "c", [])]


def places(drawing):
    """x, y, width and height of the parts."""
    names = ("x", "y", "width", "height")
    return [tuple(size(node, name) for name in names) for node in parsed(drawing).findall(f"{SPACE}svg")]


def whole(drawing):
    return size(parsed(drawing), "width"), size(parsed(drawing), "height")


def test_beside_each_other():
    drawing = side_by_side_svg(PARTS, "all")
    assert places(drawing) == [(0, 0, 100, 40.5), (100, 0, 300, 20), (400, 0, 50, 60)]
    assert whole(drawing) == (450, 60)
    assert texts(drawing) == ["one", "two"]


def test_below_each_other():
    drawing = side_by_side_svg(PARTS, "all", beside=False)
    assert places(drawing) == [(0, 0, 100, 40.5), (0, 40.5, 300, 20), (0, 60.5, 50, 60)]
    assert whole(drawing) == (300, 120.5)


def test_a_whole_can_be_a_part():
    inner = side_by_side_svg(PARTS[:2], "both", beside=False)
    drawing = side_by_side_svg([PARTS[2], inner], "all")
    assert places(drawing) == [(0, 0, 50, 60), (50, 0, 300, 60.5)]
    assert whole(drawing) == (350, 60.5)
    assert texts(drawing) == ["one", "two"]


def test_a_part_is_the_drawing_as_it_is():
    parts = parsed(side_by_side_svg(PARTS, "all")).findall(f"{SPACE}svg")
    for part, drawing in zip(parts, PARTS, strict=True):
        former = parsed(drawing)
        assert part.attrib == {**former.attrib, "x": part.get("x"), "y": "0"}
        assert [node.attrib for node in part.iter()][1:] == [node.attrib for node in former.iter()][1:]


def test_a_title_stands_above_its_drawing():
    drawing = titled_svg("the <title>", PARTS[0])
    (_, y, width, _), (_, below, *_) = places(drawing)
    assert (y, width) == (0, 100)
    assert 0 < below == whole(drawing)[1] - 40.5
    assert texts(drawing) == ["the <title>", "one"]


@pytest.mark.parametrize("text", NASTY)
def test_words_in_place_of_a_drawing_are_text(text):
    drawing = side_by_side_svg([titled_svg(text, words_svg(f"a{text}b"))], text)
    assert {node.tag.removeprefix(SPACE) for node in parsed(drawing).iter()} == {"svg", "title", "rect", "text"}
    assert "\u202e" not in drawing
    drawing.encode()


def test_many_words_take_several_lines_within_the_drawing():
    drawing = words_svg("what went wrong " * 30)
    lines = list(parsed(drawing).iter(f"{SPACE}text"))
    assert " ".join(texts(drawing)) == "what went wrong " * 30
    for line in lines:
        assert size(line, "x") + size(line, "textLength") <= WIDTH
        assert size(line, "y") < whole(drawing)[1]


def test_what_is_no_drawing_of_ours_is_refused():
    with pytest.raises(MismatchError, match="beside others"):
        side_by_side_svg([PARTS[0], "<svg/>"], "all")
    with pytest.raises(MismatchError, match="beside others"):
        titled_svg("a title", '<?xml version="1.0"?>' + PARTS[0])
