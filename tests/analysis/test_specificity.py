"""Scores of firings against counting one by one, and what marks tokens."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from saewidgets.analysis.predicates import Predicate, as_predicate
from saewidgets.analysis.specificity import Firings, Scores, firings, interval_of, of_firings, of_sample
from saewidgets.errors import PromptError, SpecificityError, TokenError
from saewidgets.results import Tokens
from tests.results.specificities import FEATURE, exact_of, rated_of, sampled_of, stats_of


def tokens_of(*pieces: str | bytes, special: int = 0) -> Tokens:
    """Tokens; the first ``special`` of them are special."""
    data = tuple(piece.encode() if isinstance(piece, str) else piece for piece in pieces)
    return Tokens(np.arange(len(data)), data, np.arange(len(data)) < special)


def marked(predicate, *pieces: str | bytes, special: int = 0) -> list[int]:
    return np.flatnonzero(as_predicate(predicate).marks(tokens_of(*pieces, special=special))).tolist()


class TestPattern:
    def test_tokens_that_overlap_a_match(self):
        assert marked("London", "in", " Lon", "don", "ers", " here") == [1, 2]
        assert marked("don|here", "in", " Lon", "don", "ers", " here") == [2, 4]
        assert marked("n.don", "Lon", " don", " donor") == [0, 1]

    def test_a_match_ends_before_the_next_token(self):
        assert marked("ab", "ab", "c") == [0]
        assert marked("c", "ab", "c") == [1]

    def test_an_empty_match_marks_nothing(self):
        assert marked("x*", "ab", "xx", "c") == [1]
        assert marked("$", "ab", "c") == []

    def test_special_tokens_are_not_part_of_the_text(self):
        assert marked("^the", "<|bos|>", "the", " cat", special=1) == [1]
        assert marked("bos", "<|bos|>", "the", special=1) == []

    def test_a_character_split_over_tokens(self):
        emoji = "🌉".encode()
        split = ("a bridge ", emoji[:1], emoji[1:3], emoji[3:], " here")
        assert marked("🌉", *split) == [1, 2, 3]
        assert marked("here", *split) == [4]
        assert marked("dge 🌉 h", *split) == [0, 1, 2, 3, 4]

    def test_characters_of_several_bytes_before_a_match(self):
        assert marked("x", "éé", "日本", "x", "é") == [2]
        assert marked("本", "éé", "日", "本x", "é") == [2]

    def test_bytes_that_are_no_character_are_stepped_over(self):
        assert marked("cat", b"\xff\xfe", "cat", b"\x80", " dog") == [1]
        assert marked("dog", b"\xff\xfe", "cat", b"\x80", " dog") == [3]
        assert marked("cat.", "cat", b"\x80", " dog") == [0, 1]

    def test_compiled_with_its_flags(self):
        assert marked(re.compile("LONDON", re.IGNORECASE), "London", "!") == [0]
        assert as_predicate(re.compile("a+")).name == "/a+/"

    @pytest.mark.parametrize("pattern", ["(", "[a", "*", "a{99999999999}", "(?P<a>x)(?P<a>y)"])
    def test_no_pattern(self, pattern):
        with pytest.raises(SpecificityError, match="no regular expression") as error:
            as_predicate(pattern)
        assert repr(pattern) in str(error.value)

    @pytest.mark.parametrize("pattern", ["", re.compile(b"abc"), re.compile("")])
    def test_a_pattern_without_text(self, pattern):
        with pytest.raises(SpecificityError, match="marks nothing"):
            as_predicate(pattern)


class TestOthers:
    def test_tokens_that_read_exactly_so(self):
        assert marked({" Paris"}, "Paris", " Paris", " Pa", "ris") == [1]
        assert marked([" Paris", "ris"], "Paris", " Paris", " Pa", "ris") == [1, 3]
        assert as_predicate({"b", "a"}).name == "token 'a', 'b'"
        assert as_predicate(["b"] * 3 + list("cdefgh")).name.endswith("'f' and 2 more")

    def test_a_function_and_its_name(self):
        def late(tokens: Tokens) -> np.ndarray:
            return np.arange(len(tokens)) > 1

        assert marked(late, "a", "b", "c", "d") == [2, 3]
        assert as_predicate(late).name == "late"
        rule = Predicate("a rule", late)
        assert as_predicate(rule) is rule

    def test_what_has_a_name_of_its_own_keeps_it(self):
        class Concept:
            name = "capital\ncity"

            def __call__(self, tokens: Tokens) -> np.ndarray:
                return np.zeros(len(tokens), bool)

        assert as_predicate(Concept()).name == "capital\\ncity"

    @pytest.mark.parametrize("value", [None, 7, 2.5, b"abc", {"a": 1}, str])
    def test_no_predicate(self, value):
        with pytest.raises(SpecificityError, match="no predicate"):
            as_predicate(value)

    @pytest.mark.parametrize("value", [set(), [], [" a", 7], {1}])
    def test_no_set_of_tokens(self, value):
        with pytest.raises(SpecificityError, match="holds texts"):
            as_predicate(value)

    @pytest.mark.parametrize(
        ("found", "got"),
        [
            (np.zeros(3), r"float64 \[3\]"), (np.zeros(2, bool), r"bool \[2\]"), (np.zeros((3, 1), bool), "bool"),
            (None, "object"), ([0, 1, 0], r"int64 \[3\]"), (True, r"bool \[\]"),
        ],
    )  # fmt: skip
    def test_no_true_or_false_for_each_token(self, found, got):
        rule = Predicate("my rule", lambda tokens: found)
        with pytest.raises(SpecificityError, match="'my rule' does not mark tokens") as error:
            rule.marks(tokens_of("a", "b", "c"))
        assert re.search(got, str(error.value.got))
        assert error.value.expected == "bool [3]"

    def test_a_list_of_true_and_false_is_as_good(self):
        assert marked(lambda tokens: [True, False], "a", "b") == [0]

    def test_an_error_inside_names_the_predicate(self):
        rule = Predicate("my rule", lambda tokens: np.zeros(1, bool)[len(tokens)])
        with pytest.raises(SpecificityError, match="'my rule' raised an error") as error:
            rule.marks(tokens_of("a", "b"))
        assert "IndexError" in str(error.value.got)
        assert isinstance(error.value.__cause__, IndexError)

    def test_ctrl_c_goes_through(self):
        def stop(tokens: Tokens) -> np.ndarray:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            as_predicate(stop).marks(tokens_of("a"))


class TestWithin:
    def test_the_tokens_after_a_marked_one(self):
        late = as_predicate({"x"}).within(2)
        assert np.flatnonzero(late.marks(tokens_of(*"axbcdexx"))).tolist() == [1, 2, 3, 6, 7]
        assert np.flatnonzero(late.marks(tokens_of("x"))).tolist() == [0]
        assert late.name == "token 'x', or up to 2 tokens after it"

    def test_longer_than_the_text(self):
        assert as_predicate({"x"}).within(99).marks(tokens_of(*"axb")).tolist() == [False, True, True]

    def test_nothing_is_itself(self):
        rule = as_predicate({"x"})
        assert rule.within(0) is rule

    @pytest.mark.parametrize("w", [-1, 1.5, "2", None, True])
    def test_no_number_of_tokens(self, w):
        with pytest.raises(SpecificityError, match="no number of tokens"):
            as_predicate("x").within(w)


def random_firings(seed: int, n: int = 400) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Activations, some of them on edges; marks; tokens; marked tokens, of which some do not fire."""
    random = np.random.default_rng(seed)
    values = np.where(random.random(n) < 0.2, random.integers(1, 11, n), random.exponential(2.0, n).clip(1e-6, 10))
    marks = random.random(n) < values / 12
    return values, marks, n * 5, int(marks.sum()) + int(random.integers(0, 100))


@pytest.mark.parametrize("seed", range(5))
def test_curves_equal_counting_one_by_one(seed):
    values, marks, n_tokens, n_marked = random_firings(seed)
    found = exact_of(values, marks, n_tokens, n_marked)
    for i, t in enumerate(found.thresholds):
        kept = [(v, y) for v, y in zip(values, marks, strict=True) if v > t * 10.0]
        hits = sum(y for _, y in kept)
        assert found.share[i] == pytest.approx(len(kept) / len(values), abs=1e-9)
        assert found.mass[i] == pytest.approx(sum(v for v, _ in kept) / values.sum(), abs=1e-9)
        assert found.recall[i] == pytest.approx(hits / n_marked, abs=1e-9)
        assert found.recall_of_firings[i] == pytest.approx(hits / marks.sum(), abs=1e-9)
        precision = hits / len(kept) if kept else float("nan")
        assert found.precision[i] == pytest.approx(precision, abs=1e-9, nan_ok=True)
        both = precision + hits / n_marked if kept else 1
        f1 = 2 * precision * hits / n_marked / both if hits else 0.0
        assert found.f1[i] == pytest.approx(f1, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_intervals_equal_counting_one_by_one(seed):
    values, marks, *rest = random_firings(seed)
    for each in exact_of(values, marks, *rest).intervals:
        inside = (values > each.low) & (values <= each.high)
        assert (each.n, each.count) == (inside.sum(), inside.sum())
        assert each.counts == ((inside & ~marks).sum(), (inside & marks).sum())
        assert each.share == pytest.approx(inside.mean(), abs=1e-12)
        assert each.mass_share == pytest.approx(values[inside].sum() / values.sum(), abs=1e-12)
        assert each.exact


@pytest.mark.parametrize("seed", range(5))
def test_precision_is_that_of_the_intervals_weighted_by_their_shares(seed):
    values, marks, *rest = random_firings(seed)
    exact = exact_of(values, marks, *rest)
    scored = np.random.default_rng(seed).permutation(len(values))[:150]
    for found in (exact, sampled_of(values, scored, marks[scored])):
        weighted = sum(each.share * each.precision for each in found.intervals if each.n)
        assert abs(weighted - found.overall_precision) <= 1e-6
        assert found.recall_of_firings[0] == 1
        assert found.share[0] == found.mass[0] == 1


@pytest.mark.parametrize("seed", range(5))
def test_recall_is_largest_without_a_threshold_and_falls(seed):
    values, marks, *rest = random_firings(seed)
    scored = np.random.default_rng(seed).permutation(len(values))[:150]
    for found in (exact_of(values, marks, *rest), sampled_of(values, scored, marks[scored])):
        for curve in (found.recall_of_firings, found.share, found.mass):
            assert (np.diff(curve) <= 1e-12).all()
    assert (np.diff(exact_of(values, marks, *rest).recall) <= 0).all()


def test_planted_precision_rises_and_lies_in_its_intervals():
    """P(yes | activation a) = a / max: the truth of an interval is its mean activation as a share of the maximum."""
    random = np.random.default_rng(0)
    values = 10 * (1 - random.random(20_000))
    found = exact_of(values, random.random(len(values)) < values / 10, n_tokens=10**6)
    precision = [each.precision for each in found.intervals]
    assert precision == sorted(precision)
    truth = [values[(values > each.low) & (values <= each.high)].mean() / 10 for each in found.intervals]
    held = [each.precision_low <= p <= each.precision_high for each, p in zip(found.intervals, truth, strict=True)]
    assert sum(held) >= 9


def test_wilson_holds_the_truth_about_95_times_in_100():
    """Samples of 10 an interval, 300 times; the truth is known. Wilson's mean coverage is near 95 %."""
    random = np.random.default_rng(1)
    values = 10 * (1 - random.random(2_000))
    held = []
    for _ in range(300):
        yes = random.random(len(values)) < values / 10
        order = random.permutation(len(values))
        own = interval_of(values[order], np.arange(11.0))
        first = np.concatenate([order[own == i][:10] for i in range(10)])
        found = sampled_of(values, first, yes[first])
        for i, each in enumerate(found.intervals):
            truth = values[(values > i) & (values <= i + 1)].mean() / 10
            held.append(each.precision_low <= truth <= each.precision_high)
    assert 0.93 < np.mean(held) < 0.98


def test_a_sample_counts_as_many_as_it_stands_for():
    # 90 weak firings, of which 2 of 4 that were looked at are marked; 10 strong ones, all of 2 marked.
    values = np.concatenate([np.linspace(0.5, 1, 90), np.linspace(9.5, 10, 10)])
    found = sampled_of(values, [0, 30, 60, 89, 90, 99], [0, 1, 0, 1, 1, 1])
    assert found.overall_precision == pytest.approx(0.9 * 0.5 + 0.1 * 1)
    assert found.at(0.5).precision == 1
    assert found.at(0.5).share == pytest.approx(0.1)
    assert found.recall_of_firings[50] == pytest.approx(10 / 55)
    assert np.isnan(found.recall).all()
    assert np.isnan(found.f1).all()
    assert np.isnan(found.base_rate)
    assert (found.exact, found.n_scored) == (False, 6)
    # Kish's number for four weights of 22.5 and two of 5: 100² / (4 * 22.5² + 2 * 5²) = 4.82, not 6.
    width = found.precision_high[0] - found.precision_low[0]
    assert width == pytest.approx(0.664, abs=0.001)


def test_all_of_the_firings_as_a_sample_are_exact():
    values, marks, n_tokens, n_marked = random_firings(3)
    all_of_them, exact = sampled_of(values, range(len(values)), marks), exact_of(values, marks, n_tokens, n_marked)
    assert all_of_them.exact
    assert np.allclose(all_of_them.precision, exact.precision, equal_nan=True)
    assert np.allclose(all_of_them.precision_low, exact.precision_low, equal_nan=True)
    assert np.allclose(all_of_them.share[::10], exact.share[::10])
    assert np.allclose(all_of_them.mass[::10], exact.mass[::10])


def test_between_the_edges_shares_follow_the_histogram():
    """Nearly all firings of an interval lie at its lower end, where a straight line would be far off."""
    values = np.concatenate([np.full(90, 5.05), np.linspace(5.2, 10, 10)])
    found, exact = sampled_of(values, [0, 99], [True, True]), exact_of(values, np.ones(100, bool))
    assert exact.at(0.55).share == pytest.approx(0.09)
    assert np.allclose(found.share, exact.share, atol=0.02)
    assert np.allclose(found.mass, exact.mass, atol=0.02)


def test_an_interval_whose_number_is_an_estimate_is_not_exact():
    stats = stats_of([1.0, 10.0])
    weak = replace(stats.intervals[0], count_low=0, count_high=3)
    stats = replace(stats, intervals=(weak, *stats.intervals[1:]))
    counts = np.array([[0, 1], [0, 1]])
    found = of_sample(stats, Scores(np.array([1.0, 10.0]), counts), 1, kind="predicate", what="/cat/")
    assert [found.intervals[0].exact, found.intervals[9].exact, found.exact] == [False, True, False]


def test_an_interval_that_nobody_looked_at_is_told_and_left_out():
    values = np.array([1.0, 1.0, 1.0, 10.0])
    found = sampled_of(values, [3], [True])
    assert found.overall_precision == 1
    assert found.notes == ("No firing was scored in interval 1 (75.0% of the firings); precision leaves them out.",)
    assert np.isnan(found.intervals[0].precision)
    assert np.isnan(found.intervals[0].shares).all()


def test_ratings_of_several_people_are_pooled_and_count_as_one_example():
    found = rated_of([9.5, 9.9, 10.0], [[3, 3, 0], [2], [3]], least=2)
    top = found.intervals[9]
    assert (top.n, top.counts) == (3, (1, 0, 1, 3))
    assert top.shares == pytest.approx((0.2, 0, 0.2, 0.6))
    assert (top.precision, found.overall_precision) == pytest.approx((0.8, 0.8))
    low, high = 0.8 - top.precision_low, top.precision_high - 0.8
    # Worth 25 / 11 = 2.27 examples, not five.
    assert (low, high) == pytest.approx((0.557, 0.180), abs=0.001)
    assert rated_of([9.5, 9.9, 10.0], [[3, 3, 0], [2], [3]]).overall_precision == pytest.approx(0.6)


def test_top_thresholds_of_a_sample_without_firings_above():
    found = sampled_of([5.0, 9.5, 10.0], [0, 1], [True, False])
    assert found.at(0.94).precision == 0
    assert np.isnan(found.at(0.97).precision)
    assert found.at(0.97).share > 0


def test_the_same_numbers_go_out_as_came_in():
    found = Firings(np.array([1.0, 2.0]), np.array([True, False]), 10, 3)
    about = of_firings(found, 2.0, feature=FEATURE, what="/a/", max_from="these texts", notes=("One.",))
    assert (about.what, about.max_from, about.notes, about.max) == ("/a/", "these texts", ("One.",), 2)
    empty = Scores(np.zeros(0), np.zeros((0, 4), np.int64))
    assert of_sample(stats_of([1.0]), empty, 3, kind="rating", what="rated >= 3").n_scored == 0


class TestFirings:
    """Of texts that a model reads, against ``lab.activations``."""

    TEXTS = ("the cat sat on the mat", "hello world, this is London", "a café in Zürich", "the cat")

    def found(self, lab, texts, predicate: Any = "cat", feature=7, **more):
        return firings(lab.model_of(), lab.saes["sae"], feature, texts, as_predicate(predicate), **more)

    @pytest.mark.parametrize("feature", [3, 7, 40])
    def test_every_token_is_looked_at(self, lab, feature):
        found = self.found(lab, self.TEXTS, feature=feature)
        prompts = lab.activations(list(self.TEXTS))
        plain = [~prompt.special_mask for prompt in prompts]
        values = np.concatenate([each.feature(feature)[mask] for each, mask in zip(prompts, plain, strict=True)])
        assert np.allclose(np.sort(found.values), np.sort(values[values > 0]), rtol=1e-4)
        assert found.n_tokens == sum(int(mask.sum()) for mask in plain)
        rule = as_predicate("cat")
        marks = np.concatenate(
            [rule.marks(each.prompt_tokens)[mask] for each, mask in zip(prompts, plain, strict=True)]
        )
        assert found.n_marked == marks.sum() > 0
        assert sorted(found.values[found.marks]) == pytest.approx(sorted(values[(values > 0) & marks]), rel=1e-4)

    def test_special_tokens_are_left_out_even_where_they_are_marked(self, lab):
        everything = Predicate("all", lambda tokens: np.ones(len(tokens), bool))
        found = self.found(lab, ["the cat", "the mat"], everything)
        assert found.n_marked == found.n_tokens
        assert found.marks.all()

    def test_the_order_of_texts_does_not_matter(self, lab):
        forth, back = self.found(lab, self.TEXTS), self.found(lab, self.TEXTS[::-1])
        order, other = np.argsort(forth.values), np.argsort(back.values)
        assert np.allclose(forth.values[order], back.values[other], rtol=1e-5)
        assert np.array_equal(forth.marks[order], back.marks[other])

    def test_a_long_text_is_read_in_windows_and_marked_whole(self, lab):
        words = "the cat sat on the mat and the dog ran to the park " * 6
        seen = []

        def rule(tokens):
            seen.append(tokens)
            return np.arange(len(tokens)) >= len(tokens) - 2

        found = self.found(lab, [words], rule)
        (tokens,) = seen
        assert tokens.text == words
        assert len(tokens) > 2 * 32
        assert (found.n_tokens, found.n_marked) == (len(tokens) - 1, 2)
        pieces = [[0, *tokens.ids[start : start + 31].tolist()] for start in range(1, len(tokens), 31)]
        values = np.concatenate([each.feature(7)[1:] for each in lab.activations(pieces)])
        assert np.allclose(np.sort(found.values), np.sort(values[values > 0]), rtol=1e-4)

    def test_windows_of_an_index(self, lab):
        ids = [0, *range(1, 31)]
        found = self.found(lab, [ids], lambda tokens: np.ones(len(tokens), bool), context=11)
        pieces = [[0, *range(start, start + 10)] for start in (1, 11, 21)]
        values = np.concatenate([each.feature(7)[1:] for each in lab.activations(pieces)])
        assert found.n_tokens == 30
        assert np.allclose(np.sort(found.values), np.sort(values[values > 0]), rtol=1e-4)

    def test_ids_are_taken_as_they_are(self, lab):
        found = self.found(lab, [[5, 6, 7], {"input_ids": [8, 9]}, {"text": "the cat"}], {"zzz"})
        assert found.n_tokens == 3 + 2 + int((~lab.activations("the cat").special_mask).sum())

    def test_more_texts_than_run_together(self, lab):
        texts = [f"the cat {n}" for n in range(150)]
        found, alone = self.found(lab, texts), [self.found(lab, [text]) for text in texts]
        assert found.n_tokens == sum(each.n_tokens for each in alone)
        assert np.allclose(np.sort(found.values), np.sort(np.concatenate([e.values for e in alone])), rtol=1e-4)

    @pytest.mark.parametrize("texts", ["the cat", b"cat", {"text": "cat"}, 7])
    def test_no_list_of_texts(self, lab, texts):
        with pytest.raises(PromptError, match="This is not a corpus"):
            self.found(lab, texts)

    def test_no_text_names_its_number(self, lab):
        with pytest.raises(PromptError, match="Text 1 of the corpus has no text"):
            self.found(lab, ["a", {"title": "b"}])
        with pytest.raises(TokenError, match="Text 1 of the corpus: the model has no such token"):
            self.found(lab, ["a", [3, 99999]])
        with pytest.raises(PromptError, match="Text 0 of the corpus: .*flat list"):
            self.found(lab, [[[1, 2], [3, 4]]])

    def test_no_token(self, lab):
        for texts in ([], [""], [[0]]):
            with pytest.raises(SpecificityError, match="no token in the texts"):
                self.found(lab, texts)

    def test_the_rule_is_told_of_at_the_first_text(self, lab):
        with pytest.raises(SpecificityError, match="'bad' does not mark tokens"):
            self.found(lab, self.TEXTS, Predicate("bad", lambda tokens: np.zeros(3)))
