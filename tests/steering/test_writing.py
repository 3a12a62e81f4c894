"""Texts written in steps, in turns and several at once, against the same texts written alone; what edits reach."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.errors import EditError
from saewidgets.results import Reach, SteeringVector
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import HOOK, fires, make_lab

PROMPT = [0, 5, 9, 40, 41]
VECTOR = SteeringVector(np.random.default_rng(1).normal(size=32), HOOK, "given")


@pytest.fixture
def model(make_model):
    return make_model("gpt2")


@pytest.fixture
def tiny(model, make_tensors):
    return make_lab(model, make_tensors)


def ids_of(found):
    return found.new_tokens.ids.tolist()


def test_two_texts_written_in_turns_are_those_written_alone(tiny, model):
    base = model(torch.tensor([PROMPT]))
    edits = [(), st.add(VECTOR, 2)]
    alone = [tiny.generate(PROMPT, edit, 8) for edit in edits]
    both = [tiny.writing(PROMPT, edit, max_new_tokens=8) for edit in edits]
    while not all(writing.finished for writing in both):
        for writing in both:
            writing.step()
            assert hooks_left(model) == 0
            assert torch.equal(model(torch.tensor([PROMPT])), base)
    for found, expected in zip((writing.results()[0] for writing in both), alone, strict=True):
        assert ids_of(found) == ids_of(expected)
        np.testing.assert_array_equal(found.logprobs, expected.logprobs)
        np.testing.assert_array_equal(found.kl, expected.kl)
        np.testing.assert_array_equal(found.steered, expected.steered)
    assert both[0].step() == []


def test_results_at_any_time_hold_what_is_written(tiny):
    whole = tiny.generate(PROMPT, st.add(VECTOR, 2), 6)
    writing = tiny.writing(PROMPT, st.add(VECTOR, 2), max_new_tokens=6)
    assert len(writing.results()[0]) == 0
    seen = []
    for _ in range(3):
        seen += writing.step()
    (quick,), (measured,) = writing.results(measure=False), writing.results()
    assert ids_of(quick) == ids_of(measured) == [new.id for new in seen] == ids_of(whole)[:3]
    assert np.isnan(quick.kl).all()
    assert np.isnan(quick.mean_kl)
    np.testing.assert_allclose(measured.kl, whole.kl[:3], atol=1e-6)
    assert measured.mean_kl == pytest.approx(whole.kl[:3].mean(), abs=1e-6)
    writing.cancel()
    assert writing.finished
    assert writing.step() == []
    assert writing.results()[0].stopped == "cancelled"
    while writing.step():
        raise AssertionError


def test_samples_are_the_texts_of_the_seeds_that_follow(tiny):
    found = tiny.samples(PROMPT, st.add(VECTOR, 1), 4, 6, temperature=1.5, seed=7, top_p=0.9)
    alone = [tiny.generate(PROMPT, st.add(VECTOR, 1), 6, 1.5, 7 + n, top_p=0.9) for n in range(4)]
    assert [ids_of(one) for one in found] == [ids_of(one) for one in alone]
    assert [one.seed for one in found] == [7, 8, 9, 10]
    assert len({tuple(ids_of(one)) for one in found}) > 1
    with pytest.raises(EditError, match="n"):
        tiny.samples(PROMPT, n=0)


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_sweep_of_one_of_several_edits(tiny, which):
    edits = [st.add(VECTOR, 1), st.set("sae/3", 2)]
    place = which % 2
    found = tiny.sweep(PROMPT, edits, [-2, 3], 4, which=which)
    for one, value in zip(found, (-2, 3), strict=True):
        own = [st.add(VECTOR, value), edits[1]] if place == 0 else [edits[0], st.set("sae/3", value)]
        assert one.edits == tiny.plan(own).formulas
        assert ids_of(one) == ids_of(tiny.generate(PROMPT, own, 4))


def test_what_cannot_be_swept(tiny):
    for edits, which in (((), -1), ([st.add(VECTOR, 1)], 1), (st.add(VECTOR, 1), -2)):
        with pytest.raises(EditError, match="nothing to sweep"):
            tiny.sweep(PROMPT, edits, [1], 2, which=which)
    with pytest.raises(EditError, match="no strength"):
        tiny.sweep(PROMPT, [st.ablate("sae/3"), st.add(VECTOR, 1)], [1], 2, which=0)


class TestReach:
    def test_counts_the_tokens_that_were_moved_of_those_looked_at(self, tiny, model):
        active = fires(model, tiny.saes["sae"], torch.tensor([PROMPT]))[0] > 0
        feature = next(n for n in range(64) if 0 < int(active[1:, n].sum()) < 4)
        k = int(active[1:, feature].sum())
        edits = [st.set_if_active(f"sae/{feature}", 2), st.add(VECTOR, 1, where="generated"), st.ablate("sae/1")]
        found = tiny.next_token(PROMPT, edits[:1])
        assert found.reach == (Reach(k, 4),)
        assert tiny.next_token(PROMPT, edits).reach[1] == Reach(0, 0)
        assert tiny.next_token(PROMPT).reach == ()

    @pytest.mark.parametrize("use_cache", [True, False])
    def test_of_a_text_with_and_without_cache(self, tiny, use_cache):
        edits = [st.add(VECTOR, 1), st.add(VECTOR, 1, where="generated"), st.set("sae/3", 1, where=[2, 6])]
        found = tiny.generate(PROMPT, edits, 5, use_cache=use_cache)
        assert len(found) == 5
        assert found.reach == (Reach(8, 8), Reach(4, 4), Reach(2, 2))
        assert int(found.steered.sum()) == 8

    def test_a_condition_on_another_feature_is_not_part_of_where(self, tiny, model):
        active = fires(model, tiny.saes["sae"], torch.tensor([PROMPT]))[0] > 0
        feature = next(n for n in range(64) if 0 < int(active[1:, n].sum()) < 4)
        edit = st.add(VECTOR, 1, where=st.while_active(f"sae/{feature}"))
        assert tiny.next_token(PROMPT, edit).reach == (Reach(int(active[1:, feature].sum()), 4),)

    def test_edits_that_cancel_each_other_each_reach_and_steer_nothing(self, tiny):
        found = tiny.next_token(PROMPT, [st.add(VECTOR, 1), st.add(VECTOR, -1)])
        assert found.reach == (Reach(4, 4), Reach(4, 4))
        assert not found.steered.any()
        assert found.kl == 0

    def test_each_row_of_a_sweep_has_its_own(self, tiny):
        zero, one = tiny.sweep(PROMPT, st.add(VECTOR, 1), [0, 1], 3)
        assert (zero.reach[0].moved, one.reach[0].moved) == (0, 6)


class TestStrengths:
    def test_of_a_feature_in_maxima_with_their_source(self, tiny):
        sae = tiny.saes["sae"]
        sae.n_reference_tokens, sae.reference_sample = 1234, "12 texts"
        found = tiny.plan([st.set("sae/3", -2), st.add("sae/3", 2, maximum=5), st.scale("sae/3", 3)]).strengths
        assert (found[0].value, found[0].maximum, found[0].absolute) == (-2, 3, -6)
        assert found[0].source == "largest activation on 1,234 tokens of 12 texts"
        assert str(found[0]) == "-2 m = -6, m = 3 (largest activation on 1,234 tokens of 12 texts)"
        assert found[1][1:] == (5, 10, "given")
        assert found[2][1:] == (None, None, "")
        assert str(found[2]) == ""

    def test_of_a_vector_in_lengths(self, tiny):
        (found,) = tiny.plan(st.add(VECTOR, 3)).strengths
        assert found.absolute == pytest.approx(3 * VECTOR.norm)
        assert found.source == "length of the vector"
