"""The static twins of steering: what is said, what is marked; nothing in it can be markup."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from saewidgets.results import (
    Generation,
    NextToken,
    Reach,
    SideEffect,
    SteeringComparison,
    SteeringVector,
    Strength,
    Tokens,
)
from saewidgets.views import (
    generation_html,
    generation_text,
    next_token_html,
    next_token_text,
    side_effect_html,
    side_effect_text,
    steering_comparison_html,
    steering_comparison_text,
    steering_vector_html,
    steering_vector_text,
)
from tests.widgets.fake_lab import tokens_of
from tests.widgets.nasty import MARKUP, nasty_activations

KEPT = {"p", "br", "b", "i", "mark", "table", "thead", "tbody", "tr", "th", "td", "code"}
EDITS = ("mid/7: x + (4 m - f) d",)
STRENGTH = Strength(4.0, 8.3, 33.2, "largest activation on 1,000 tokens")
NAN = float("nan")


class Plain(HTMLParser):
    """Cells of the tables, what is marked, what is bold and its titles; an unknown element or attribute is an error."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.rows: list[list[str]] = []
        self.text = ""
        self.marked: list[str] = []
        self.bold: list[str] = []
        self.titles: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in KEPT
        allowed = {"mark": {"title", "style"}, "b": {"title"}, "td": {"style"}, "th": {"style"}}
        assert {name for name, _ in attrs} <= allowed.get(tag, set())
        self.titles += [value or "" for name, value in attrs if name == "title"]
        if tag == "br":
            self.text += "\n"
            return
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.rows[-1].append("")
        elif tag == "mark":
            self.marked.append("")
        elif tag == "b":
            self.bold.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if "td" in self.open or "th" in self.open:
            self.rows[-1][-1] += data
        if "mark" in self.open:
            self.marked[-1] += data
        if "b" in self.open:
            self.bold[-1] += data


def words(*texts) -> Tokens:
    pieces = tuple(text.encode() for text in texts)
    return Tokens(np.arange(len(texts)) + sum(map(len, texts)), pieces, np.zeros(len(texts), bool))


def next_token(tokens=None, edits=EDITS, **more) -> NextToken:
    tokens = tokens_of([b" the", b" cat"]) if tokens is None else tokens
    options = {
        "ids": np.array([5, 6]),
        "tokens": (" Paris", "\n"),
        "base": np.array([0.5, 0.001]),
        "edited": np.array([0.25, 0.4]),
        "kl": 0.125,
        "steered": ~tokens.special if edits else np.zeros(len(tokens), bool),
        "model": "toy",
        "reach": (Reach(2, 2),) if edits else (),
    }
    return NextToken(tokens, edits=edits, **(options | more))


def written(new: Tokens, edits=EDITS, kl=0.25, **more) -> Generation:
    prompt = tokens_of([b" the", b" cat"])
    n = len(new)
    options = {
        "prompt_tokens": prompt,
        "new_tokens": new,
        "logprobs": np.full(n, -0.5),
        "base_logprobs": np.full(n, -3.0),
        "kl": np.full(n, kl),
        "steered": np.append(~prompt.special, np.ones(max(n - 1, 0), bool)) & bool(edits),
        "edits": edits,
        "model": "toy",
        "reach": (Reach(4, 5),) if edits else (),
    }
    return Generation(**(options | more))


@pytest.fixture
def comparison() -> SteeringComparison:
    base = Tokens(np.array([1, 2, 3]), (b" sat", b" on", b" it"), np.zeros(3, bool))
    steered = Tokens(np.array([1, 9, 3]), (b" sat", b" in", b" it"), np.zeros(3, bool))
    side = SideEffect(
        ("a", "b"), np.array([1, 3]), np.array([0.5, 0.1]), np.array([1.0, 2]), np.array([2.0, 3]), EDITS, "toy"
    )
    sweep = (written(steered, ("mid/7: x + (-1 m - f) d",)), written(base, ("mid/7: x + (2 m - f) d",), kl=NAN))
    return SteeringComparison(
        next_token(), (written(base, (), 0.0),), (written(steered),), (STRENGTH,), side, (-1.0, 2.0), sweep
    )  # fmt: skip


class TestComparison:
    def test_edits_with_their_strength_and_reach(self, comparison):
        line = (
            "1. mid/7: x + (4 m - f) d · while mid/9 > 0 · 4 m = 33.2, m = 8.3 (largest activation on 1,000 tokens) · "
            "fired on 4 of 5 tokens, no-op elsewhere"
        )
        assert line in Plain(steering_comparison_html(comparison, where=["while mid/9 > 0"])).text.split("\n")
        assert line in steering_comparison_text(comparison, where=["while mid/9 > 0"]).split("\n")
        assert "moved 4 of 5 tokens" in steering_comparison_text(comparison)

    def test_a_conditional_edit_that_did_nothing(self, comparison):
        formula = ("mid/7: x + (4 m - f) d where f > 0, else x",)
        silent = replace(comparison.next_token, edits=formula, reach=(Reach(0, 2),))
        found = replace(comparison, next_token=silent, base=(), steered=())
        assert "fired on none of 2 tokens: a no-op" in steering_comparison_text(found)

    def test_steered_tokens_are_marked_and_differing_ones_bold(self, comparison):
        seen = Plain(steering_comparison_html(comparison))
        assert seen.marked == [" the cat", "marked", " sat in"]
        assert [text for text in seen.bold if text in {" on", " in"}] == [" on", " in"]
        assert "log-probability -0.5, -3 under base, KL 0.25" in seen.titles
        assert steering_comparison_text(comparison).count("steered:  sat* in* it") == 1

    def test_bars_side_effect_and_sweep(self, comparison):
        seen = Plain(steering_comparison_html(comparison))
        assert ["·Paris", "50 %", "25 %", "-25"] in seen.rows
        assert ["↵", "0.1 %", "40 %", "+39.9"] in seen.rows
        assert ["-1", " sat in it", "0.25", "0 %"] in seen.rows
        assert ["2", " sat on it", "—", "0 %"] in seen.rows
        side = "side effect on neutral text: KL 0.2 nats per token, cross-entropy 1.75 -> 2.75 (4 tokens of 2 texts)"
        text = steering_comparison_text(comparison)
        for part in (side, "  ·Paris 50 % -> 25 %", "strength -1, text  sat in it, mean KL, nats 0.25, repetition 0 %"):
            assert part in text
        assert side in seen.text

    def test_texts_are_aligned_to_the_left(self, comparison):
        page = steering_comparison_html(comparison)
        assert re.findall("<th style=text-align:left>(.*?)</th>", page) == ["base", "steered", "text"]
        assert page.count("<td style=text-align:left>") == 2 * 2 + len(comparison.values)
        assert "<td style=text-align:left>b</td><td>3</td>" in side_effect_html(comparison.side_effect)

    def test_k_rows(self, comparison):
        assert "·Paris" in steering_comparison_html(comparison, 1)
        assert "↵" not in steering_comparison_html(comparison, 1)

    def test_without_edits_texts_and_side_effect(self):
        bare = SteeringComparison(next_token(edits=()), (), ())
        text = steering_comparison_text(bare)
        assert "no edits: the model as it is" in text
        assert "side effect" not in text
        assert Plain(steering_comparison_html(bare)).marked == ["marked"]

    def test_several_samples_name_their_seeds_and_some_are_shown(self, comparison):
        many = replace(
            comparison,
            base=tuple(replace(comparison.base[0], seed=n) for n in range(10)),
            steered=tuple(replace(comparison.steered[0], seed=n, temperature=1.0) for n in range(10)),
        )
        text, html = steering_comparison_text(many), steering_comparison_html(many)
        for shown in (text, html):
            assert "(seed 7)" in shown
            assert "(seed 8)" not in shown
            assert "and 2 more pairs" in shown
        assert "temperature 1, seed 7" in text

    def test_a_text_of_former_edits_says_so(self, comparison):
        moved = replace(comparison, next_token=next_token(edits=("mid/7: x + (9 m - f) d",)))
        for shown in (steering_comparison_text(moved), steering_comparison_html(moved)):
            assert "written with mid/7: x + (4 m - f) d" in shown
        assert "moved 2 of 2 tokens" in steering_comparison_text(moved)
        assert "written with" not in steering_comparison_text(comparison)

    def test_a_text_that_was_stopped_or_repeats_itself_says_so(self, comparison):
        again = Tokens(np.full(8, 5), (b" no",) * 8, np.zeros(8, bool))
        found = replace(comparison, steered=(written(again, kl=NAN, stopped="cancelled"),))
        text = steering_comparison_text(found)
        assert "8 new tokens, stopped · repeats itself: 83.3 %" in text


class TestOthers:
    def test_next_token(self):
        seen, text = Plain(next_token_html(next_token())), next_token_text(next_token())
        assert seen.marked == [" the cat"]
        assert seen.rows[1] == ["·Paris", "50 %", "25 %", "-25"]
        assert "KL(base‖steered) of the next token 0.125 nats" in text
        assert "·Paris 50 % -> 25 %" in text

    def test_generation(self):
        one = written(words(" sat", " on", " it"))
        seen, text = Plain(generation_html(one)), generation_text(one)
        assert seen.marked == [" the cat", " sat on"]
        assert "3 new tokens, ended at its length limit" in text
        assert text.endswith("prompt:  the cat\nnew:  sat on it")
        assert "Written text" in generation_text(written(words(" a"), ()))

    def test_side_effect(self, comparison):
        seen = Plain(side_effect_html(comparison.side_effect))
        assert seen.rows[1:] == [["a", "1", "0.5", "1", "2"], ["b", "3", "0.1", "2", "3"]]
        assert EDITS[0] in side_effect_text(comparison.side_effect)
        assert "KL 0.2 nats" in seen.text

    def test_vector(self):
        vector = SteeringVector(
            np.array([3.0, 4.0]), "hook", "difference_in_means", 3, 5, "toy", "joy", (0.5, 0.75), 0.875
        )  # fmt: skip
        seen = Plain(steering_vector_html(vector))
        assert ["length", "5 in 2 dimensions"] in seen.rows
        assert ["texts", "3 positive, 5 negative"] in seen.rows
        assert ["cosine between resamples and this, 95 %", "0.50 to 0.75"] in seen.rows
        assert "made by: difference in means" in steering_vector_text(vector)
        bare = steering_vector_text(SteeringVector(np.ones(2), "hook", "given"))
        assert "texts" not in bare
        assert "cosine" not in bare

    def test_results_show_themselves(self, comparison):
        import saewidgets.views  # noqa: F401 - registers the pictures

        one = comparison.steered[0]
        for result, html in (
            (comparison, steering_comparison_html(comparison)),
            (comparison.next_token, next_token_html(comparison.next_token)),
            (one, generation_html(one)),
            (comparison.side_effect, side_effect_html(comparison.side_effect)),
        ):
            assert result._repr_html_() == html


@pytest.fixture
def hostile(comparison) -> SteeringComparison:
    tokens = nasty_activations().prompt_tokens
    bad = "; ".join((*MARKUP, "\u202e", "\n", "\x1b[31m"))
    n = len(tokens)
    text = Generation(
        tokens, tokens, np.full(n, NAN), np.full(n, NAN), np.full(n, NAN), np.ones(2 * n - 1, bool), (bad,), bad,
        stopped=bad, reach=(Reach(1, 2),),
    )  # fmt: skip
    other = replace(text, new_tokens=words(*MARKUP))
    after = NextToken(
        tokens, tokens.ids, tokens.strings, np.zeros(n), np.ones(n), NAN, (bad,), np.ones(n, bool), bad, (Reach(1, 2),)
    )
    strength = Strength(1.0, 2.0, 2.0, bad)
    side = replace(comparison.side_effect, texts=(bad, "b"), edits=(bad,), model=bad)
    return SteeringComparison(after, (other,), (text,), (strength,), side, (1.0,), (text,))


def test_hostile_texts_are_text_in_html(hostile):
    """The parser fails on any element or attribute that is not ours."""
    vector = SteeringVector(np.ones(2), MARKUP[0], MARKUP[1], 1, 1, MARKUP[2], MARKUP[3])
    for html in (
        steering_comparison_html(hostile, 50, [MARKUP[0]]),
        next_token_html(hostile.next_token, 50),
        generation_html(hostile.steered[0]),
        side_effect_html(hostile.side_effect),
        steering_vector_html(vector),
    ):
        shown = Plain(html).text
        assert any(one[:30] in shown for one in MARKUP)
        assert "\x1b" not in shown
        html.encode("utf-8")


def test_hostile_texts_stay_on_their_lines(hostile):
    vector = SteeringVector(np.ones(2), "a\nb", "c\u202e", label="\x1b[31m")
    for text in (
        steering_comparison_text(hostile, 3, ["a\nb"]),
        next_token_text(hostile.next_token, 3),
        generation_text(hostile.steered[0]),
        side_effect_text(hostile.side_effect),
        steering_vector_text(vector),
    ):
        assert not any(ord(c) < 32 and c != "\n" for c in text)
        assert "\u202e" not in text
        assert "\u2028" not in text
    assert len(steering_vector_text(vector).split("\n")) == 4
