"""What people say stands beside numbers in the pictures: as text, short enough, and kept by sanitisers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saewidgets.results import Annotation, Rating, Target
from saewidgets.views import ranking_html, ranking_text, steering_comparison_html, steering_comparison_text
from saewidgets.views import token_strip_html as strip
from saewidgets.views import token_strip_text as strip_text
from saewidgets.views.remarks import NOTHING, Remark, people_say, remark_of, tagged
from tests.results.rankings import ranking_of
from tests.views.test_token_strip import GitHubLike
from tests.widgets.fake_lab import activations_of
from tests.widgets.fake_steering_lab import FakeSteeringLab

EVIL = Remark("<script>x</script>", "a & <b>\n\u202eevil")


@pytest.fixture
def result():
    pieces = [b"The", b" Golden", b" Gate", b" Bridge", b" opens"]
    return activations_of([{}, {3: 10.0}, {3: 5.0, 7: 1.0}, {3: 2.0}, {3: 7.0, 7: 9.0}], pieces)


def test_a_remark_is_one_line_and_its_note_a_few():
    assert (EVIL.name, EVIL.lines) == ("<script>x</script>", ["a & <b>", "\\u202eevil"])
    assert EVIL.text == "<script>x</script>: a & <b> / \\u202eevil"
    assert EVIL.html == "&lt;script&gt;x&lt;/script&gt;<br>a &amp; &lt;b&gt;<br>\\u202eevil"
    assert (Remark("only").text, Remark("", "only").html, NOTHING.html, NOTHING.text) == ("only", "only", "", "")


def test_a_long_one_is_cut():
    long = Remark("n" * 10**7, "m" * 10**7)
    assert (long.name, long.note_html) == (f"{'n' * 59}…", f"{'m' * 299}…")
    assert Remark("n" * 60, "m" * 300) == (Remark("n" * 60, "m" * 300).name, Remark("", "m" * 300).note_html)


class TestPeople:
    def test_a_line_each_of_what_there_is(self):
        target = Target("feature", "toy", "hook", "3f2a", 7)
        assert (people_say(Annotation(target)), tagged(()), remark_of(Annotation(target))) == ([], [], "")
        some = Annotation(target, "name", "a\nnote", ("x", "y"), ("ann", "bob"), (Rating("ann", 3), Rating("bob", 0)))
        assert people_say(some) == ["Stars: 2 (ann, bob)", "Specificity, 0 to 3: 3 by ann, 0 by bob"]
        assert tagged(some.tags) == ["Tags: x, y"]
        people = "Stars: 2 (ann, bob) · Specificity, 0 to 3: 3 by ann, 0 by bob"
        assert remark_of(some) == f"name: a / note · Tags: x, y · {people}"

    def test_names_stay_on_their_line_and_of_many_twenty_are_told(self):
        assert tagged(["a\n\u202e", "b" * 100]) == [f"Tags: a\\n\\u202e, {'b' * 59}…"]
        many = tagged([str(n) for n in range(25)])
        assert many == [f"Tags: {', '.join(map(str, range(20)))}, and 5 more"]


class TestTokens:
    def test_the_focus_has_its_label_and_below_it_its_note(self, result):
        seen = GitHubLike(strip(result, 3, top=0, said={3: EVIL}))
        lines = seen.text.split("\n")
        assert lines[0].startswith("Feature mid/3 <script>x</script> · max 10")
        assert lines[1:] == ["a & <b>", "\\u202eevil", "<|bos|>The Golden Gate Bridge opens"]
        assert (seen.unknown, seen.open) == ([], [])

    def test_the_table_has_them_too_where_there_are_any(self, result):
        page = strip(result, 3, said={7: Remark("gate", "a note")})
        assert "<th>feature</th><th style=text-align:left>label</th><th>max</th>" in page
        assert "<td>7</td><td style=text-align:left>gate<br>a note</td><td>9</td>" in page
        assert "<td>3</td><td style=text-align:left></td><td>10</td>" in page
        assert strip(result, 3, said={99: EVIL}) == strip(result, 3)

    def test_tokens_have_theirs_as_tooltip_and_below(self, result):
        said = {2: Remark("name", 'a "note"'), 1: EVIL, 99: EVIL}
        seen = GitHubLike(strip(result, 3, top=0, of_tokens=said))
        assert seen.titles == [EVIL.text, '10; name: a "note"', "5", "2", "7"]
        assert seen.marked == [" Golden", " Gate", " opens"]
        assert "<|bos|>The Golden Gate Bridge opens" in seen.text
        listed = seen.text.split("Notes on tokens:\n")[1].split("\n")
        assert listed == [f"1 The — {EVIL.text}", '2 ·Golden — name: a "note"']
        assert (seen.unknown, seen.open) == ([], [])

    def test_of_many_tokens_fifty_are_listed(self):
        many = activations_of([{3: 1.0}] * 60, [b" a"] * 60)
        page = strip(many, 3, of_tokens={p: Remark("x") for p in range(1, 61)})
        assert page.count(" — x") == 50
        assert "and 10 more</p>" in page

    def test_labels_of_the_result_stand_where_nothing_else_is_given(self, result):
        named = replace(result, labels={3: "<b>", 7: "gate"})
        assert "Feature <b>mid/3</b> <i>&lt;b&gt;</i> · max 10" in strip(named, 3)
        assert "<td>7</td><td style=text-align:left>gate</td><td>9</td>" in strip(named, 3)
        assert strip_text(named, 3).startswith("mid/3 (<b>) · ")
        assert "mid/7 (gate): max 9" in strip_text(named, 3)
        for twin in (strip, strip_text):
            assert twin(named, 3, said={}) == twin(result, 3)
        assert "gate" in named._repr_html_()

    def test_the_text_says_the_same(self, result):
        lines = strip_text(result, 3, said={3: EVIL, 7: Remark("gate", "n")}, of_tokens={2: Remark("name")}).split("\n")
        assert lines[0].startswith("mid/3 (<script>x</script>) · model toy")
        assert lines[1] == "note: a & <b> / \\u202eevil"
        assert "mid/7 (gate): max 9 on 2 tokens, largest at 5 ' opens'" in lines
        assert lines[lines.index("mid/7 (gate): max 9 on 2 tokens, largest at 5 ' opens'") + 1] == "  note: n"
        assert lines[-2:] == ["Notes on tokens:", "2 ·Golden — name"]
        assert strip_text(result, 3, said={}, of_tokens={}) == strip_text(result, 3)


class TestRanking:
    def test_labels_in_the_columns_and_notes_below(self):
        ranking = ranking_of([(3.0, 1.0, 0.5), (2.0, -1.0, 0.25), (1.0, 4.0, 2.0)])
        first = ranking.top(1, "activation")[0]
        name = f"{first.sae}/{first.feature}"
        page = ranking_html(ranking, 3, said={name: EVIL, "nope/1": EVIL}, remark=Remark("a first try"))
        seen = GitHubLike(page)
        assert "<br><i>&lt;script&gt;x&lt;/script&gt;</i></td>" in page
        cell = "<td style=text-align:left>"
        assert f"{cell}{name}</td>{cell}&lt;script&gt;x&lt;/script&gt;</td>{cell}a &amp; &lt;b&gt;<br>" in page
        assert page.count(">note</th>") == 1
        assert "\na first try" in seen.text
        assert seen.unknown == []
        text = ranking_text(ranking, 3, said={name: EVIL}, remark=Remark("a first try"))
        assert " (<script>x</script>) " in text
        assert f"note on {name}: a & <b> / \\u202eevil" in text
        assert "\na first try\n" in text
        assert ranking_html(ranking, 3, said={}) == ranking_html(ranking, 3)
        assert ranking_text(ranking, 3, said={}) == ranking_text(ranking, 3)

    def test_its_own_labels_stand_where_nothing_else_is_given(self):
        ranking = ranking_of([(3.0, 1.0, 0.5), (2.0, -1.0, 0.25)], labels={"mid/10": "<b>", "other/11": "another"})
        assert "<td style=text-align:left><b>10</b><br><i>&lt;b&gt;</i></td>" in ranking_html(ranking, 2)
        assert "1. 10* (<b>) 3" in ranking_text(ranking, 2)
        for twin in (ranking_html, ranking_text):
            assert "another" not in twin(ranking, 2)
            assert twin(ranking, 2, said={}) == twin(ranking_of([(3.0, 1.0, 0.5), (2.0, -1.0, 0.25)]), 2)


class TestSteering:
    def test_each_edit_has_its_label_and_note(self):
        from saewidgets import steering
        from saewidgets.widgets import SteeringPanel

        panel = SteeringPanel(FakeSteeringLab(), "the Golden Gate", [steering.set(7, 4), steering.ablate(8)])
        found = panel.result
        page = steering_comparison_html(found, said=[EVIL, NOTHING])
        assert " · &lt;script&gt;x&lt;/script&gt; · " in page
        assert "<br>note on 1: a &amp; &lt;b&gt; / \\u202eevil<br>2. mid/8" in page
        text = steering_comparison_text(found, said=[NOTHING, Remark("eight")])
        assert "\n2. mid/8: " in text
        assert " · eight · " in text
        assert steering_comparison_html(found, said=[]) == steering_comparison_html(found)
