from html.parser import HTMLParser

import numpy as np
import pytest

from saewidgets.views import first_feature, html, text, token_strip_html, token_strip_text
from tests.widgets.fake_lab import FakeLab, activations_of, random_activations
from tests.widgets.nasty import nasty_activations

# What GitHub keeps of a notebook's HTML (html-pipeline): these elements, of their attributes only the title.
KEPT = {"p", "br", "b", "i", "mark", "code", "span", "table", "thead", "tbody", "tr", "th", "td"}


class GitHubLike(HTMLParser):
    """Drops styles and unknown elements; collects text, highlighted runs and tooltips."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.marked, self.bold, self.titles, self.unknown = "", [], [], [], []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in KEPT:
            self.unknown.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]
        self.unknown += [name for name, _ in attrs if name not in ("title", "style")]
        if tag == "br":
            self.text += "\n"
        else:
            self.open.append(tag)
        if tag == "mark":
            self.marked.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "mark" in self.open:
            self.marked[-1] += data
            if "b" in self.open:
                self.bold.append(data)


@pytest.fixture
def result():
    pieces = [b"The", b" Golden", b" Gate", b" Bridge", b" opens"]
    rows = [{}, {3: 10.0}, {3: 5.0, 7: 1.0}, {3: 2.0}, {3: 7.0, 7: 9.0}]
    return activations_of(rows, pieces)


def test_levels_survive_without_styles(result):
    seen = GitHubLike(token_strip_html(result, 3))
    assert seen.marked == [" Golden", " Gate", " opens"]
    assert seen.bold == [" Golden", " opens"]
    assert seen.titles == ["10", "5", "2", "7"]
    assert seen.unknown == []
    assert seen.open == []


def test_the_caption_says_what_is_shown(result):
    first = GitHubLike(token_strip_html(result, 3, label="bridges <b>")).text.split("\n")[0]
    assert first == "Feature mid/3 bridges <b> · max 10 · model toy · 6 tokens · 1 of 6 positions masked"


def test_the_text_is_the_prompt(result):
    assert GitHubLike(token_strip_html(result, 3, top=0)).text.split("\n")[1] == "<|bos|>The Golden Gate Bridge opens"


def test_colours_are_comma_rgba_below_the_legible_limit(result):
    page = token_strip_html(result, 3)
    alphas = [float(part.split(")")[0]) for part in page.split("rgba(253,141,60,")[1:]]
    assert alphas == [0.6, 0.34, 0.18, 0.44]


def test_the_table_lists_the_strongest(result):
    page = token_strip_html(result, 3, top=1)
    assert "<td>3</td><td>10</td><td>6</td><td>4</td><td>·Golden</td>" in page
    assert page.count("<tr>") == 2


def test_a_silent_feature_says_so(result):
    seen = GitHubLike(token_strip_html(result, 9))
    assert "does not fire here" in seen.text
    assert seen.marked == []


def test_no_feature_no_marks(result):
    assert GitHubLike(token_strip_html(result)).marked == []


def test_text(result):
    assert token_strip_text(result, 3, top=1).splitlines() == [
        "mid/3 · model toy · 6 tokens, 1 of 6 positions masked",
        "The Golden Gate Bridge opens",
        "fires on ' Golden' 10, ' opens' 7, ' Gate' 5, ' Bridge' 2",
        "mid/3: max 10 on 4 tokens, largest at 2 ' Golden'",
    ]


def test_what_was_cut_or_set_aside_is_told():
    lab = FakeLab(context=2)
    result = lab.activations("one two three four")
    assert "showing 3 of 5 tokens" in html(result)
    odd = activations_of([{3: 1.0}], [b"x"], n_nonfinite=4)
    assert "4 activations are not finite and are left out" in html(odd)
    assert "4 activations are not finite" in text(odd)


def test_nothing_fires():
    silent = activations_of([{}, {}], [b"a", b"b"])
    assert first_feature(silent) is None
    assert "<table>" not in html(silent)
    assert "ab" in text(silent)


def test_the_first_feature_is_telling():
    rows = [{1: 9.0, 2: 5.0}, {1: 8.0}, {1: 8.0}, {1: 8.0}]
    assert first_feature(activations_of(rows, [b"a"] * 4)) == 2
    later = [{1: 9.0}, {2: 3.0}, {2: 1.0, 3: 2.0}, {}, {}, {}]
    assert first_feature(activations_of(later, [b"a"] * 6)) == 2
    assert first_feature(activations_of([{1: 9.0}] * 4, [b"a"] * 4)) == 1


def test_nasty_tokens_stay_text():
    result = nasty_activations()
    seen = GitHubLike(token_strip_html(result, 1, top=50, label="</table><script>x</script>"))
    assert seen.unknown == []
    assert "<img src=x onerror=" in seen.text
    assert "</script><script>" in seen.text
    assert "👨‍👩‍👧‍👦" in seen.text
    assert "café" in seen.text
    assert "\x00" not in seen.text


@pytest.mark.parametrize("dense", [True, False])
def test_500_tokens_stay_below_20_kb(dense):
    result = random_activations()
    rows = result.top(10**6, by="count")
    feature = rows[0].feature if dense else rows[len(rows) // 4].feature
    page = token_strip_html(result, feature)
    assert len(page.encode()) <= 20_000
    if dense:
        assert "the 200 strongest of 50" in page.replace("500", "50")


def test_the_strongest_are_marked_where_not_all_can_be():
    values = np.linspace(1, 2, 300)
    result = activations_of([{1: float(v)} for v in values], [b"x"] * 300)
    titles = [float(title) for title in GitHubLike(token_strip_html(result, 1)).titles]
    assert len(titles) == 200
    assert min(titles) == pytest.approx(values[100], abs=0.01)
