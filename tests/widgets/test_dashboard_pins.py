"""Pinned examples, stars, ratings and what is said of examples, in the feature dashboard and in its twin."""

from __future__ import annotations

import json
from html import unescape
from types import SimpleNamespace

import numpy as np
import pytest

from saewidgets.errors import PromptError
from saewidgets.results import Pin, Tokens
from saewidgets.views.remarks import Pinned
from saewidgets.widgets import FeatureDashboard
from saewidgets.widgets.dashboard_pins import near, pinned
from tests.index.test_build import corpus
from tests.widgets.dashboards import header

EVIL = "<script>x</script>\u202e"


def tokens_of(*pieces: bytes) -> Tokens:
    return Tokens(np.arange(len(pieces)), pieces, np.array([piece == b"<bos>" for piece in pieces], bool))


def split(text: str, prepend_bos: bool) -> Tokens:
    """A word a token; BOS is one."""
    words = text.replace(" ", "| ").split("|")
    return tokens_of(*[b"<bos>"] * prepend_bos, *(word.encode() for word in words))


def toy(tokenize=split):
    return SimpleNamespace(
        saes={"mid": SimpleNamespace(prepend_bos=True)}, model_of=lambda sae: SimpleNamespace(tokenize=tokenize)
    )


class TestNear:
    def test_the_token_stands_apart_and_bos_is_left_out(self):
        tokens = tokens_of(b"<bos>", b"in", b" Paris", b" now")
        assert near(tokens, 2) == ("in", " Paris", " now")
        assert near(tokens, 1) == ("", "in", " Paris now")
        assert near(tokens, 0) == ("", "<bos>", "in Paris now")

    def test_sixteen_tokens_on_each_side(self):
        tokens = tokens_of(*(b" %d" % n for n in range(40)))
        before, token, after = near(tokens, 20)
        assert before == "\u2026 " + "".join(f" {n}" for n in range(4, 20))
        assert (token, after) == (" 20", "".join(f" {n}" for n in range(21, 37)) + " \u2026")
        assert near(tokens, 16)[0].startswith(" 0")
        assert near(tokens, 23)[2].endswith(" 39")

    def test_a_character_of_several_tokens_is_whole(self):
        tokens = tokens_of(b"a", b"\xf0\x9f", b"\x98\x80", b"b")
        assert near(tokens, 1) == near(tokens, 2) == ("a", "😀", "b")


class TestPinned:
    def test_positions_count_bos(self):
        assert pinned(toy(), "mid", [Pin("the Golden Gate", 2)]) == (Pinned("the", " Golden", " Gate"),)

    def test_what_the_text_does_not_have_is_told(self):
        assert pinned(toy(), "mid", [Pin("the Gate", 900)]) == (Pinned("the Gate", "", " (token 900)"),)

    def test_a_text_that_cannot_be_split_is_shown(self):
        def fail(*_):
            raise PromptError("The model has no tokenizer.")

        found = pinned(toy(fail), "mid", [Pin("x" * 1000, 1)])
        assert found == (Pinned("x" * 399 + "\u2026", "", " (token 1)"),)

    def test_of_many_twenty_are_shown(self):
        found = pinned(toy(), "mid", [Pin(f"the {n}", 1) for n in range(25)])
        assert len(found) == 21
        assert found[19:] == (("", "the", " 19"), ("and 5 more", "", ""))


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")


@pytest.fixture
def real(lab):
    """A lab with an index."""
    lab.build_index(corpus(60, seed=3), context=32, on_progress=False)
    return lab


@pytest.fixture
def feature(real) -> str:
    """The name of the feature that fires most often."""
    return f"sae/{int(real.indexes['sae'].count.argmax())}"


class TestDashboard:
    def test_all_is_seen_live_and_in_both_twins(self, real, feature):
        real.annotate(feature, "cats", "a note", tags=["animal", "pet"], stars=True, pin=("the cat sat", 2))
        real.rate(feature, 3, "ann")
        real.rate(feature, 2, "bob")
        view = FeatureDashboard(real, feature)
        head = header(view)
        before, token, after = head["pins"][0]
        text = real.models[next(iter(real.models))].tokenize("the cat sat").strings[2]
        assert (before + token + after, token) == ("the cat sat", text)
        people = ["Stars: 1 (ann)", "Specificity, 0 to 3: 3 by ann, 2 by bob"]
        assert (head["people"], head["tags"]) == (people, ["animal", "pet"])
        page, plain = view.static_html(), view.static_text().split("\n")
        told = ["Tags: animal, pet", *people]
        assert f"Note: a note<br>{'<br>'.join(told)}<br>Pinned: {before}<mark style=" in page
        assert f"<b>{token}</b></mark>{after}</p>" in page
        start = plain.index("note: a note") + 1
        assert plain[start : start + 4] == [*told, f"Pinned: {before}*{token}*{after}"]

    def test_at_once_and_taken_back(self, real, feature):
        view = FeatureDashboard(real, feature)
        assert (header(view)["people"], header(view)["pins"]) == ([], [])
        real.annotate(feature, pin=("the cat sat", 2))
        assert len(header(view)["pins"]) == 1
        real.annotations.undo()
        assert header(view)["pins"] == []

    def test_the_live_box_has_no_label_of_the_time_when_it_was_run(self, real, feature):
        real.annotate(feature, "former")
        view = FeatureDashboard(real, feature, prompt="the cat sat")
        real.annotate(feature, "latter")
        twins = view.static_html(), view.static_text()
        assert all("max" in twin and "latter" in twin and "former" not in twin for twin in twins)

    def test_what_is_said_of_its_examples_stands_below_them(self, real, feature):
        stats = real.feature(feature)
        first, drawn = stats.top[0], next(each for i in reversed(stats.intervals) for each in i.examples)
        view = FeatureDashboard(real, feature)
        assert "<i>" not in view.static_html()
        real.annotate(real.example_target(feature, first), "clean", "fires on\nthis", tags=["good"], stars=True)
        real.rate(real.example_target(feature, first), 3, "bob")
        real.annotate(real.example_target("sae/0" if feature != "sae/0" else "sae/1", first), "of another feature")
        line = "clean: fires on / this · Tags: good · Stars: 1 (ann) · Specificity, 0 to 3: 3 by bob"
        page, plain = view.static_html(), view.static_text()
        assert f"<br><i>{line}</i></td>" in page
        assert f"\n    {line}\n" in plain
        assert "of another feature" not in page + plain
        real.annotate(real.example_target(feature, drawn), note="drawn")
        assert "drawn</i>" in view.static_html()

    def test_what_an_imported_file_pins_is_seen(self, real, feature, tmp_path):
        index = int(feature.split("/")[1])
        shown = {"tokens": ["the", " cat", " sat"], "values": [0.0, 2.5, 0.0]}
        data = {"features": [{"feature_index": index, "activations": [shown]}]}
        (tmp_path / "batch-0.json").write_text(json.dumps(data))
        real.import_annotations(tmp_path / "batch-0.json")
        view = FeatureDashboard(real, feature)
        assert "".join(header(view)["pins"][0]) == "the cat sat"
        for twin in (unescape(view.static_html()), view.static_text()):
            assert "Tags: SAEDashboard" in twin
            assert "Pinned: " in twin

    def test_nothing_in_it_is_markup(self, real, feature):
        real.annotate(feature, tags=[EVIL.strip("\u202e")], pin=(f"the {EVIL}", 3))
        real.rate(feature, 3, "<b>bob")
        real.annotate(real.example_target(feature, real.feature(feature).top[0]), note=EVIL)
        view = FeatureDashboard(real, feature)
        page = view.static_html()
        assert "<script" not in page
        assert "<b>bob" not in page
        assert "\u202e" not in page + view.static_text()
        assert "&lt;b&gt;bob" in page
