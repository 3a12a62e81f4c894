"""The static twin of a feature: tables and marked tokens that sanitisers keep; nothing in it can be markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from saewidgets.results import FeatureId, Tokens
from saewidgets.results.feature_stats import Example
from saewidgets.views import feature_stats_html, feature_stats_text
from saewidgets.views.remarks import Pinned
from tests.widgets.dashboard_cases import nasty_stats
from tests.widgets.fake_dashboard_lab import FakeDashboardLab

KEPT = {"p", "br", "b", "i", "mark", "table", "thead", "tbody", "tr", "th", "td", "code"}


class Plain(HTMLParser):
    """Rows of the tables, all text, and the marks with their titles; an unknown element or attribute is an error."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.marks: list[tuple[str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in KEPT
        allowed = {"mark": {"title", "style"}, "td": {"style"}, "th": {"style"}}
        assert {name for name, _ in attrs} <= allowed.get(tag, set())
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag == "mark":
            self.marks.append((dict(attrs).get("title") or "", ""))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "tr" in self.open:
            self.rows[-1][-1] += data
        if "mark" in self.open:
            title, text = self.marks[-1]
            self.marks[-1] = (title, text + data)


@pytest.fixture(scope="module")
def index():
    return FakeDashboardLab().indexes["mid"]


@pytest.fixture(scope="module")
def stats(index):
    """A feature that fires often."""
    return index.feature(int(index.count.argsort()[-2]))


def test_the_heading_names_it_and_says_how_often(stats):
    found = Plain(feature_stats_html(replace(stats, label="gates <b>"), note="a note\nof two lines"))
    for part in (
        str(stats.feature),
        "gates <b>",
        f"{stats.count:,} of {stats.n_tokens:,} tokens",
        "Note: a note of two",
    ):
        assert part in found.text
    assert "dense: it fires" in found.text
    assert f"max {stats.max:.3g}" in found.text
    assert f"0.5: {stats.quantiles[2].value:.3g}" in found.text


def test_strongest_contexts_with_the_token_marked(stats):
    found = Plain(feature_stats_html(stats))
    for row, mark, example in zip(found.rows[1:11], found.marks, stats.top, strict=False):
        assert row[0] == f"{example.activation:.3g}"
        assert mark == (row[0], "".join("↵" if c == "\n" else c for c in example.tokens.strings[example.position]))
        near = example.tokens.strings[max(0, example.position - 3) : example.position]
        assert "".join(near).replace("\n", "↵") in row[1]


def test_a_row_an_interval_from_the_strongest(stats):
    found = Plain(feature_stats_html(stats))
    first = next(n for n, row in enumerate(found.rows) if row[0] == "interval")
    rows = found.rows[first + 1 : first + 11]
    for row, interval in zip(rows, reversed(stats.intervals), strict=True):
        assert row[1] == f"{interval.count:,}"
        assert row[2:4] == [f"{interval.share:.1%}", f"{interval.mass_share:.1%}"]
        assert bool(row[4]) is bool(interval.examples)


def test_an_estimated_count_says_so(stats):
    some = replace(stats.intervals[0], count=1234.5, count_low=1, count_high=2000)
    for twin in (feature_stats_html, feature_stats_text):
        assert "about 1,234" in twin(replace(stats, intervals=(some,)))


def test_weights_and_relations(stats):
    rows = {row[0]: row[1:] for row in Plain(feature_stats_html(stats)).rows}
    assert rows["·Bridge"] == ["+1.5", "·sea", "-2"]
    assert rows["·<i>"] == ["+1", "", ""]
    n = stats.feature.index
    assert rows["decoder neighbours (cosine)"] == [f"mid/{(n + 2) % 512} 0.75"]
    assert rows["fires together with (Jaccard)"] == [f"mid/{(n + 1) % 512} 0.50"]
    assert rows["neurons (weight)"] == ["3 -0.25"]
    none = replace(stats, logits=None, neighbours=(), cofiring=(), neurons=(), encoder_cosine=None, concepts=())
    assert "related" not in Plain(feature_stats_html(none)).text


def test_words_are_aligned_to_the_left_and_numbers_not(stats):
    page = feature_stats_html(stats)
    left = ["strongest contexts", "examples drawn at random", "related", ""]
    assert re.findall("<th style=text-align:left>(.*?)</th>", page) == left
    assert f"<td>{stats.max:.3g}</td><td style=text-align:left>" in page
    assert "<td style=text-align:left>neurons (weight)</td><td style=text-align:left>3 -0.25</td>" in page


def test_a_dead_feature_is_told_as_such(index):
    dead = index.feature(int(index.count.argmin()))
    for twin in (feature_stats_html(dead), feature_stats_text(dead)):
        assert "dead: it fires on none of" in twin
        assert "interval" not in twin


def test_text_has_the_token_between_stars(stats):
    lines = feature_stats_text(replace(stats, label="gates"), note="one\ntwo").split("\n")
    assert lines[0] == f"{stats.feature} (gates)"
    assert "note: one\\ntwo" in lines
    assert sum("*" in line for line in lines) == 5
    assert any(line.startswith("raises: ' Bridge' +1.5") for line in lines)


def test_what_people_say_stands_below_the_note_and_below_the_examples(stats):
    pins = (Pinned("on the", " Golden", " Gate"), Pinned("a text", "", " (token 900)"))
    drawn = next(each for interval in stats.intervals for each in interval.examples)
    said = {"people": ["Tags: <b>", "Stars: 1 (ann)"], "pins": pins}
    of_examples = {stats.top[0]: "clean <b>", drawn: "by chance"}
    found = Plain(feature_stats_html(stats, note="a note", **said, of_examples=of_examples))
    assert found.marks[0] == ("", " Golden")
    assert "Note: a noteTags: <b>Stars: 1 (ann)Pinned: on the Golden GatePinned: a text (token 900)" in found.text
    assert found.rows[1][1].endswith("clean <b>")
    assert ["by chance" in row[-1] for row in found.rows].count(True) == 1
    lines = feature_stats_text(stats, note="a note", **said, of_examples=of_examples).split("\n")
    start = lines.index("note: a note") + 1
    told = ["Tags: <b>", "Stars: 1 (ann)", "Pinned: on the* Golden* Gate", "Pinned: a text (token 900)"]
    assert lines[start : start + 4] == told
    assert lines[start + 5] == "    clean <b>"


def test_hostile_text_stays_text():
    stats = nasty_stats()
    html, text = feature_stats_html(replace(stats, label="<script>\n"), note="<script>\x00"), feature_stats_text(stats)
    found = Plain(html)
    assert "<script>\\n" in found.text
    for twin in (html, text):
        assert "\u202e" not in twin
        assert "\x00" not in twin
        twin.encode()


def test_a_character_of_several_tokens_is_whole(stats):
    def decode(ids):
        pieces = (b"a", b"\xf0\x9f", b"\x98\x80", b"b")
        return Tokens(np.asarray(ids), tuple(pieces[i] for i in ids), np.zeros(len(ids), bool))

    one = Example(1.5, 2, np.arange(4), 0, 0, decode)
    assert Plain(feature_stats_html(replace(stats, top=(one,)))).marks[0] == ("1.5", "😀")
    assert "a*😀*b" in feature_stats_text(replace(stats, top=(one,)))


def test_a_typical_feature_is_small(stats):
    def decode(ids):
        return Tokens(np.asarray(ids), tuple(f" word{i}".encode() for i in ids), np.zeros(len(ids), bool))

    random = np.random.default_rng(0)
    top = tuple(Example(3.25, 64, random.integers(0, 50_000, 128), 1, 0, decode) for _ in range(20))
    intervals = tuple(replace(each, examples=top[:10]) for each in stats.intervals)
    assert len(feature_stats_html(replace(stats, top=top, intervals=intervals)).encode()) <= 20_000


def test_it_is_what_a_notebook_shows(stats):
    assert stats._repr_html_() == feature_stats_html(stats)
    assert str(FeatureId("mid", 7)) not in feature_stats_html(replace(stats, feature=FeatureId("a/<b>", 7)))
