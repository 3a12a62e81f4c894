"""Static pictures of attention patterns survive sanitisers and hold every token as text."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pytest

from saewidgets.errors import MismatchError
from saewidgets.views import attention_html, attention_svg, attention_text
from saewidgets.views.attention_svg import COLOUR, MOST
from tests.results.attentions import attention_of, looking_back, random_attention
from tests.views.test_drawings import parsed, size, texts
from tests.widgets.nasty import LETTERS, MARKUP, PARTS

KEPT = {"p", "br", "b", "i", "mark", "code", "span", "table", "thead", "tbody", "tr", "th", "td", "pre"}
SPACE = "{http://www.w3.org/2000/svg}"
PIECES = [b"<|bos|>", b"The", b" cat", b" sat"]


class Seen(HTMLParser):
    """What GitHub keeps: these elements, of their attributes the title."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.marked, self.bold, self.titles, self.unknown = "", [], [], [], []
        self.cells: list[list[str]] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.unknown += [tag] * (tag not in KEPT) + [name for name, _ in attrs if name not in ("title", "style")]
        self.titles += [value for name, value in attrs if name == "title"]
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.cells.append([])
        if tag in {"td", "th"}:
            self.cells[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "mark" in self.open:
            self.marked.append(data)
        if "b" in self.open:
            self.bold.append(data)
        if self.open and {"td", "th"} & set(self.open):
            self.cells[-1][-1] += data


@pytest.fixture
def result():
    half = np.array([[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0, 0.1, 0.9, 0], [0.7, 0, 0.3, 0]])
    return attention_of([looking_back(4, 1), half], PIECES)


def test_the_last_token_looks_by_default(result):
    seen = Seen(attention_html(result, head=1))
    assert seen.marked == ["<|bos|>", " cat"]
    assert seen.titles == ["0.7", "0.3"]
    assert "<|bos|>" in seen.bold
    assert "▸ sat" in seen.text
    assert (seen.unknown, seen.open) == ([], [])


def test_the_chosen_token_looks(result):
    seen = Seen(attention_html(result, head=0, token=2))
    assert seen.marked == ["The"]
    assert "what token 2 ·cat (▸) looks at" in seen.text


def test_without_a_head_the_largest_weights_are_marked(result):
    seen = Seen(attention_html(result, token=2))
    assert seen.titles == ["1", "0.9"]
    assert "all heads, the largest weight of each pair" in seen.text


def test_the_table_of_the_heads(result):
    head, first, second = Seen(attention_html(result)).cells[:3]
    assert head == ["head", "entropy", "BOS", "previous", "own", "duplicate", "induction", "token 3 looks at"]
    assert first == ["0", "0", "33%", "100%", "0%", "—", "—", "·cat 1"]
    assert second == ["1", "0.543", "40%", "30%", "47%", "—", "—", "<|bos|> 0.7, ·cat 0.3"]


def test_words_and_patterns_are_aligned_to_the_left(result):
    page = attention_html(result)
    assert page.count("<td style=text-align:left>·cat 1</td>") == 1
    assert page.count("<td style=text-align:left><b>head ") == 2
    assert page.count("style=text-align:left") == 1 + 2 + 2


def test_patterns_in_shades(result):
    seen = Seen(attention_html(result))
    assert seen.cells[3] == [
        "head 0██\n██··\n··██··\n····██··",
        "head 1██\n▒▒▒▒\n··░░██\n▓▓··▒▒··",
    ]
    assert "█ over ¾ of the weight" in seen.text


def test_the_pattern_of_one_head_has_its_tokens(result):
    text = Seen(attention_html(result, head=0)).text
    lines = text[text.index("<|bos|> ██") :].split("\n")
    assert lines == ["<|bos|> ██", "    The ██··", "   ·cat ··██··", "   ·sat ····██··"]


def test_a_long_prompt_says_that_no_pattern_is_drawn():
    text = Seen(attention_html(random_attention(n=60))).text
    assert "at most 48 tokens" in text
    assert "██" not in text
    assert len(attention_html(random_attention(n=1000, n_heads=12))) < 60_000


def test_at_most_200_tokens_are_marked():
    one = attention_of(np.tril(np.full((1, 300, 300), 0.02)), [b" a"] * 300)
    assert attention_html(one).count("title=") == 200


def test_many_heads_are_cut_and_counted():
    seen = Seen(attention_html(random_attention(n=4, n_heads=40)))
    assert "the first 32 of 40 heads" in seen.text
    assert "head 31" in seen.text
    assert "head 32" not in seen.text


def test_a_cut_prompt_says_so():
    assert "showing 12 of 17 tokens" in attention_html(random_attention(n_dropped=5))
    assert "showing 12 of 17 tokens" in attention_text(random_attention(n_dropped=5))


def nasty():
    pieces = [*(text.encode() for text in (*MARKUP, *LETTERS)), *PARTS]
    return attention_of([looking_back(len(pieces), 1), looking_back(len(pieces), 3)], pieces)


@pytest.mark.parametrize("head", [None, 1])
def test_tokens_stay_text(head):
    found = nasty()
    for token in range(len(found)):
        source = attention_html(found, head=head, token=token)
        assert (Seen(source).unknown, Seen(source).open) == ([], [])
        assert "<script" not in source
        assert "<img" not in source


def test_text_has_a_line_a_head(result):
    lines = attention_text(result, token=2).split("\n")
    assert lines[0].startswith("Attention of layer 1 · model toy, 2 heads, 4 tokens, 1 special")
    assert lines[1:3] == ["The cat sat", "token 2 ' cat' looks at The 1, ·cat 0.9"]
    assert lines[3].startswith(
        "head 0: entropy 0 nats, 33% on special tokens, 100% on the token before; looks at The 1"
    )
    assert len(lines) == 5
    assert len(attention_text(result, head=1).split("\n")) == 4
    assert all("\n" not in line and "\u202e" not in line for line in attention_text(nasty()).split("\n"))


def test_a_result_shows_itself(result):
    assert result._repr_html_() == attention_html(result)


def squares(drawing):
    return [box for box in parsed(drawing).iter(f"{SPACE}rect") if box.get("fill") == COLOUR]


def test_the_drawing_of_all_heads(result):
    drawing = attention_svg(result)
    assert len(squares(drawing)) == 4 + 7
    assert sorted({float(box.get("fill-opacity") or 1) for box in squares(drawing)}) == [0.1, 0.3, 0.5, 0.7, 0.9, 1.0]
    assert "head 1 · 0.543 nats · BOS 40%" in texts(drawing)
    assert "Attention of layer 1" in texts(drawing)


def test_the_drawing_of_one_head_names_its_tokens_twice(result):
    drawing = attention_svg(result, head=1)
    assert len(squares(drawing)) == 7
    assert [texts(drawing).count(name) for name in ("<|bos|>", "The", "·cat", "·sat")] == [2, 2, 2, 2]
    low = [box for box in squares(drawing) if box.get("fill-opacity") == "0.9"]
    first = next(box for box in squares(drawing) if box.get("fill-opacity") is None)
    cell = size(first, "width")
    assert size(low[0], "x") - size(first, "x") == pytest.approx(2 * cell, abs=0.02)
    assert size(low[0], "y") - size(first, "y") == pytest.approx(2 * cell, abs=0.02)


def test_drawings_stay_inside_their_width():
    for head in (None, 0):
        drawing = attention_svg(random_attention(n=40, n_heads=9), head=head)
        assert max(size(box, "x") + size(box, "width") for box in squares(drawing)) <= 720 - 15


def test_the_drawing_of_a_long_prompt_is_cut():
    drawing = attention_svg(random_attention(n=MOST + 20, n_heads=2), head=0)
    assert any(f"the first {MOST} drawn" in text for text in texts(drawing))


@pytest.mark.parametrize("head", [None, 0])
def test_drawings_of_nasty_tokens_are_whole(head):
    assert parsed(attention_svg(nasty(), head=head)) is not None


def test_no_such_head(result):
    for draw in (attention_html, attention_text, attention_svg):
        with pytest.raises(MismatchError):
            draw(result, head=2)
