"""What a lab says a feature fires on: by a rule over texts, over the samples of an index, and by people's ratings."""

from __future__ import annotations

import numpy as np
import pytest

import saewidgets as sw
from saewidgets.analysis.predicates import as_predicate
from saewidgets.errors import (
    FeatureIndexError,
    PromptError,
    SpecificityError,
    UnknownNameError,
)
from saewidgets.results import Example, Specificity, Tokens
from tests.index.test_build import HOOK, corpus

EVEN = sw.Predicate("even ids", lambda tokens: tokens.ids % 2 == 0)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test works beside a notebook of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    return corpus(120, seed=3)


@pytest.fixture
def index(lab, texts):
    return lab.build_index(texts, context=32, on_progress=False)


def fired(lab, texts, feature: int) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Activations and marks of all firings by ``lab.activations``; tokens, and how many are marked."""
    prompts = lab.activations(texts)
    values = np.concatenate([each.feature(feature)[~each.special_mask] for each in prompts])
    marks = np.concatenate([(each.token_ids % 2 == 0)[~each.special_mask] for each in prompts])
    return values[values > 0], marks[values > 0], len(values), int(marks.sum())


class TestTexts:
    @pytest.mark.parametrize("feature", [3, 7])
    def test_exact_over_all_tokens(self, lab, texts, feature):
        found = lab.specificity(f"sae/{feature}", EVEN, texts)
        values, marks, n_tokens, n_marked = fired(lab, texts, feature)
        assert isinstance(found, Specificity)
        assert found.exact
        assert (found.kind, found.what, str(found.feature)) == ("predicate", "even ids", f"sae/{feature}")
        assert (found.count, found.n_scored, found.n_tokens) == (len(values), len(values), n_tokens)
        assert found.max == pytest.approx(values.max(), rel=1e-5)
        assert found.max_from == "these texts"
        assert found.overall_precision == pytest.approx(marks.mean(), abs=1e-9)
        assert found.base_rate == pytest.approx(n_marked / n_tokens, abs=1e-9)
        assert found.recall[0] == found.recall.max() == pytest.approx(marks.sum() / n_marked, abs=1e-9)
        kept = values > 0.305 * found.max  # away from where a firing may lie to the last digit
        assert found.at(0.3).mass >= values[kept].sum() / values.sum() - 1e-6

    def test_the_maximum_is_the_larger_of_the_index_and_the_texts(self, lab, texts, index):
        feature = int(index.count.argmax())
        some = [texts[n] for n in range(3)]
        found = lab.specificity(feature, EVEN, some)
        assert found.max == pytest.approx(index.max[feature], rel=1e-5)
        assert found.max_from == index.sample
        lab.build_index(some, context=32, on_progress=False)
        again = lab.specificity(feature, EVEN, texts)
        assert again.max > lab.indexes["sae"].max[feature]
        assert again.max_from == "these texts"

    def test_without_an_index_the_reference_maximum_is_the_unit(self, lab, texts):
        sae = lab.saes["sae"]
        sae.reference_max, sae.reference_sample = np.full(64, 1000, np.float32), "a reference"
        found = lab.specificity(7, EVEN, texts)
        assert (found.max, found.max_from) == (1000, "a reference")
        assert found.intervals[0].share == 1

    def test_texts_as_text(self, lab):
        found = lab.specificity(7, "cat|dog", ["the cat sat", "the dog ran", "hello"])
        assert found.what == "/cat|dog/"
        assert 0 < found.base_rate < 1
        assert found.n_tokens == sum(
            int((~each.special_mask).sum()) for each in lab.activations(["the cat sat", "the dog ran", "hello"])
        )

    def test_within(self, lab, texts):
        late = lab.specificity(7, EVEN, texts, within=1)
        prompts = lab.activations(texts)
        marks = []
        for each in prompts:
            own = each.token_ids % 2 == 0
            own[1:] |= own[:-1].copy()
            marks.append(own[each.feature(7) > 0])
        assert late.overall_precision == pytest.approx(np.concatenate(marks).mean(), abs=1e-9)
        assert late.what == "even ids, or up to 1 tokens after it"


def test_ratings_by_a_rule_are_the_rule_where_windows_repeat(lab):
    texts = ["the cat sat on the mat and the dog ran to the park", "a cat and a dog"] * 4 + ["hello world, the end"]
    lab.build_index(texts, context=32, on_progress=False)
    feature = int(lab.indexes["sae"].count.argmax())
    rule = as_predicate("the|a")
    for interval in lab.feature(feature).intervals:
        for example in interval.examples:
            right = rule.marks(example.tokens)[example.position]
            lab.rate(lab.example_target(feature, example), 3 if right else 0)
    ruled, rated = lab.specificity(feature, rule), lab.specificity_of_ratings(feature)
    assert rated.overall_precision == pytest.approx(ruled.overall_precision, abs=1e-9)
    assert [each.n for each in rated.intervals] == [each.n for each in ruled.intervals]


class TestIndex:
    def test_samples_count_for_the_firings_of_their_interval(self, lab, texts, index):
        stats = lab.feature(7)
        found = lab.specificity(7, EVEN)
        assert (found.count, found.max, found.n_tokens) == (stats.count, stats.max, stats.n_tokens)
        for each, known in zip(found.intervals, stats.intervals, strict=True):
            yes = [int(e.ids[e.position] % 2 == 0) for e in known.examples]
            assert each.counts == (len(yes) - sum(yes), sum(yes))
            assert (each.low, each.high, each.share, each.mass_share) == (
                known.low, known.high, pytest.approx(known.share), pytest.approx(known.mass_share))  # fmt: skip
            assert each.exact == (known.exact and len(yes) == known.count)
        weighted = sum(each.share * each.precision for each in found.intervals if each.n)
        assert abs(weighted - found.overall_precision) <= 1e-6
        assert found.n_scored == sum(len(each.examples) for each in stats.intervals)

    def test_recall_is_not_pretended(self, lab, index):
        found = lab.specificity(7, EVEN)
        assert np.isnan(found.recall).all()
        assert np.isnan(found.f1).all()
        assert np.isnan(found.base_rate)
        assert found.recall_of_firings[0] == 1

    def test_estimates_lie_near_what_is_exact(self, lab, texts, index):
        """Of 95 % intervals of 30 features, most hold the exact precision of the corpus."""
        held = []
        for feature in range(30):
            found, exact = lab.specificity(feature, EVEN), lab.specificity(feature, EVEN, texts)
            assert found.max == pytest.approx(exact.max, rel=1e-5)
            assert np.allclose(found.share[::10], exact.share[::10], atol=0.01)
            assert np.allclose(found.mass[::10], exact.mass[::10], atol=0.01)
            assert np.allclose(found.share, exact.share, atol=0.03)
            held.append(found.precision_low[0] <= exact.overall_precision <= found.precision_high[0])
        assert sum(held) >= 27

    def test_each_window_is_marked_once(self, lab, index):
        seen = []

        def rule(tokens: Tokens) -> np.ndarray:
            seen.append(tokens.ids.tobytes())
            return np.zeros(len(tokens), bool)

        lab.specificity(7, rule)
        assert len(seen) == len({(e.text, e.offset) for each in lab.feature(7).intervals for e in each.examples})

    def test_no_index_and_no_feature(self, lab):
        with pytest.raises(UnknownNameError, match="no index of SAE 'sae'"):
            lab.specificity(7, EVEN)
        with pytest.raises(FeatureIndexError):
            lab.specificity("sae/64", EVEN)


@pytest.mark.parametrize(
    ("predicate", "message"),
    [("(", "no regular expression"), (None, "no predicate"), (lambda tokens: [1], "does not mark tokens"),
     (lambda tokens: tokens.nothing, "raised an error")],
)  # fmt: skip
def test_no_predicate(lab, index, predicate, message):
    for texts in (None, ["the cat"]):
        with pytest.raises(SpecificityError, match=message):
            lab.specificity(7, predicate, texts)


def test_one_text_is_no_list(lab):
    with pytest.raises(PromptError, match=r"This is not a corpus(.|\n)*pass \[text\]"):
        lab.specificity(7, EVEN, "the cat")


class TestRatings:
    def test_stored_and_reloaded_with_rater_text_latent_and_interval(self, lab, index):
        stats, said = lab.feature(7), {}
        for n, interval in enumerate(stats.intervals):
            for k, example in enumerate(interval.examples[:3]):
                for rater, score in (("ann", (n + k) % 4), ("bob", min(n // 2, 3))):
                    target = lab.example_target("sae/7", example)
                    lab.rate(target, score, rater)
                    said.setdefault((target.prompt, target.position), {})[rater] = score
        lab.annotations = sw.annotations.AnnotationStore("saewidgets_annotations")  # read anew from the files
        kept = lab.annotations.annotations("example")
        assert {(a.target.prompt, a.target.position): {r.rater: r.score for r in a.ratings} for a in kept} == said
        assert {(a.target.hook, a.target.sae, a.target.feature) for a in kept} == {
            (HOOK, lab.saes["sae"].content_hash, 7)}  # fmt: skip
        for rater in ("ann", "bob"):
            found = lab.specificity_of_ratings(7, rater)
            for n, each in enumerate(found.intervals):
                first = stats.intervals[n].examples[:3]
                scores = {lab.example_target(7, e): said[e.tokens.text, e.position][rater] for e in first}
                assert each.counts == tuple(list(scores.values()).count(s) for s in range(4))
            assert (found.kind, found.what, found.rater) == ("rating", "rated >= 3", rater)
            assert found.n_scored == len(said)

    def test_precision_is_the_share_that_suffices(self, lab, index):
        strong = lab.feature(7).intervals[2].examples
        for n, example in enumerate(strong):
            lab.rate(lab.example_target(7, example), 3 if n % 2 else 2)
        found = {least: lab.specificity_of_ratings(7, at_least=least).intervals[2].precision for least in (1, 2, 3)}
        assert found == {1: 1, 2: 1, 3: pytest.approx((len(strong) // 2) / len(strong))}
        notes = lab.specificity_of_ratings(7).notes
        assert len(notes) == 1
        assert "No firing was scored in interval 1, 2, 4" in notes[0]

    def test_all_raters_are_pooled_and_it_is_said(self, lab, index):
        example = lab.feature(7).intervals[0].examples[0]
        lab.rate(lab.example_target(7, example), 3, "ann")
        lab.rate(lab.example_target(7, example), 0, "bob")
        found = lab.specificity_of_ratings(7)
        assert found.intervals[0].counts == (1, 0, 0, 1)
        assert found.intervals[0].n == 1
        assert found.rater == "ann, bob"
        assert "The ratings of 2 raters are pooled." in found.notes
        assert lab.annotations.agreement("ann", "bob", "example").n == 1

    def test_examples_that_this_index_does_not_hold_are_counted(self, lab, index):
        lab.rate(lab.example_target(7, lab.feature(7).intervals[0].examples[0]), 3)
        lab.rate("sae/7", 0, prompt="never seen", position=1)
        lab.rate("sae/8", 0, prompt="another feature", position=1)
        lab.rate("sae/7", 0)  # the feature, not an example of it
        found = lab.specificity_of_ratings(7)
        assert found.n_scored == 1
        assert "1 rated examples are not in this index and are left out." in found.notes

    def test_top_examples_count_and_it_is_said(self, lab, index):
        stats = lab.feature(7)
        sampled = {(e.text, e.offset, e.position) for each in stats.intervals for e in each.examples}
        only = [e for e in stats.top if (e.text, e.offset, e.position) not in sampled]
        if not only:
            pytest.fail("every top example is in a sample; take another feature")
        lab.rate(lab.example_target(7, only[0]), 3)
        found = lab.specificity_of_ratings(7)
        place = next(n for n, each in enumerate(stats.intervals) if each.low < only[0].activation <= each.high)
        assert found.intervals[place].n == 1
        assert "1 rated examples are top examples, not of the uniform samples." in found.notes

    def test_nobody_has_rated(self, lab, index):
        with pytest.raises(SpecificityError, match="Nobody has rated examples of sae/7"):
            lab.specificity_of_ratings(7)
        lab.rate("sae/7", 3, prompt="never seen", position=1)
        with pytest.raises(SpecificityError) as error:
            lab.specificity_of_ratings(7)
        assert "1 rated examples that this index does not hold" in str(error.value)
        lab.rate(lab.example_target(7, lab.feature(7).top[0]), 3)
        with pytest.raises(SpecificityError, match="Rater 'zoe' has rated") as error:
            lab.specificity_of_ratings(7, "zoe")
        assert error.value.expected == "ann"

    @pytest.mark.parametrize("least", [0, 4, "3", None, 2.5, True])
    def test_no_score_that_suffices(self, lab, least):
        with pytest.raises(SpecificityError, match="no score that suffices"):
            lab.specificity_of_ratings(7, at_least=least)

    def test_an_example_is_a_window_and_a_token(self, lab, index):
        example = lab.feature(7).top[0]
        target = lab.example_target("sae/7", example)
        assert (target.kind, target.prompt, target.position) == ("example", example.tokens.text, example.position)
        assert lab.example_target(7, example) == target
        with pytest.raises(SpecificityError, match="no example"):
            lab.example_target(7, "the cat")
        with pytest.raises(FeatureIndexError):
            lab.example_target("sae/64", example)

    def test_ratings_follow_the_sae_to_another_lab(self, lab, index, bridge, make_tensors, texts):
        example = lab.feature(7).top[0]
        lab.rate(lab.example_target(7, example), 2)
        other = sw.Lab(bridge, name="tiny")
        other.add_sae(make_tensors(), "renamed", hook=HOOK)
        other.load_index(index.path)
        assert other.specificity_of_ratings("renamed/7", at_least=2).overall_precision == 1


def test_the_lab_is_left_as_it_was(lab, texts, index):
    before = lab.activations("the cat").values.copy()
    lab.specificity(7, EVEN, texts)
    lab.specificity(7, EVEN)
    assert np.array_equal(before, lab.activations("the cat").values)
    assert isinstance(lab.feature(7).top[0], Example)
