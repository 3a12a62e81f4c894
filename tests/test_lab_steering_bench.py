"""lab.steering_bench, as a user asks it: what is compared by default, how a feature is chosen, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.errors import EditError, MismatchError, TargetError, UnknownNameError
from saewidgets.lab import comparing
from saewidgets.steering.bench import effects_at
from tests.models.test_language_model import hooks_left

TARGET = " Par"
HOOK = "blocks.1.hook_resid_post"
POSITIVE = ["the cat sat", "the cat ran", "a cat on the mat", "cat and dog", "the cat and", "cat sat on"]
NEGATIVE = ["hello world", "small text about", "text about London", "this is a", "and Paris", "London and"]
PROMPTS = ["the dog ran to", "hello", "about Paris and"]
QUICK = {"strengths": (0.2, 0.8), "kl": (0.01,), "resamples": 2, "max_new_tokens": 3}


@pytest.fixture
def bench_lab(lab):
    lab.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    lab.neutral_texts = ["the cat sat on the mat", "hello world, this is a small text"]
    return lab


@torch.no_grad()
def test_all_methods_that_there_are_parts_for(bench_lab, bridge):
    ids = torch.tensor([[0, 5, 9, 40]])
    before = bridge(ids)
    bench = bench_lab.steering_bench(TARGET, None, PROMPTS, positive=POSITIVE, negative=NEGATIVE, **QUICK)
    assert list(dict.fromkeys(bench.method)) == [
        "set", "set_if_active", "add", "difference_in_means", "probe", "pca", "random"]  # fmt: skip
    assert [n for method, n in bench.ways if method == "difference_in_means"] == [1, 2, 4, 6]
    assert (bench.norms, bench.kls) == ((0.2, 0.8), (0.01,))
    assert bench.n_texts == (6, 6)
    assert bench.target == (TARGET,)
    assert bench.prompts[0].endswith("the dog ran to")
    assert torch.equal(bridge(ids), before)
    assert hooks_left(bridge) == 0


def test_the_feature_is_the_best_detector_on_every_second_text(bench_lab):
    bench = bench_lab.steering_bench(
        TARGET, ["add"], PROMPTS, positive=POSITIVE, negative=NEGATIVE, neutral_length=None, **QUICK
    )
    name, _, index = bench.feature.rpartition("/")
    assert name == "sae"

    def largest(texts):
        found = [bench_lab.activations(text) for text in texts]
        return np.array([max([r.max for r in each.top(64) if r.feature == int(index)], default=0) for each in found])

    p, n = largest(POSITIVE), largest(NEGATIVE)
    auroc = [np.mean([(a > b) + 0.5 * (a == b) for a in p[k::2] for b in n[k::2]]) for k in (0, 1)]
    assert [bench.choice.chosen_auroc, bench.choice.auroc] == pytest.approx(auroc)
    assert bench.choice.recall == np.mean(p[1::2] > 0)
    assert bench.choice.n_texts == 6


def test_candidates_are_tried_on_every_second_prompt_and_compared_on_the_others(bench_lab, monkeypatch):
    looked_at = []

    def spied(model, hook, arms, prompts, *rest):
        looked_at.extend(tokens.text for tokens in prompts)
        return effects_at(model, hook, arms, prompts, *rest)

    monkeypatch.setattr(comparing, "effects_at", spied)
    given = {"positive": POSITIVE, "negative": NEGATIVE, "prompts": PROMPTS, **QUICK}
    bench = bench_lab.steering_bench(TARGET, "add", candidates=4, **given)
    assert looked_at == [bench.prompts[0], bench.prompts[2]]
    assert bench.choice.candidates == 4
    assert bench.compared.tolist() == [False, True, False]
    row = [n for n in range(len(bench)) if bench.matched[n] == "norm"][1]
    assert bench.at_norm(0.8).effect[0] == pytest.approx(bench.effect[row, 1])
    first = bench_lab.steering_bench(TARGET, "add", **given)
    assert first.choice.candidates == 1
    assert first.compared.all()
    model = bench_lab.model_of()
    tried = [str(feature) for feature, _ in bench_lab._detectors("sae", model, (POSITIVE, NEGATIVE), 4)]

    def best_on(prompts):
        found = [bench_lab.steering_bench(TARGET, "add", prompts, feature=name, **QUICK) for name in tried]
        return tried[int(np.argmax([one.at_norm(0.8).effect[0] for one in found]))]

    assert first.feature == tried[0]
    assert bench.feature == best_on(PROMPTS[::2])
    with pytest.raises(EditError, match="half of the prompts"):
        bench_lab.steering_bench(TARGET, "add", candidates=4, **given | {"prompts": PROMPTS[:1]})


def test_the_side_effect_is_that_of_the_lab_where_texts_are_not_cut(bench_lab):
    bench = bench_lab.steering_bench(TARGET, "add", PROMPTS, feature=7, neutral_length=None, **QUICK)
    assert bench.choice is None
    effect = bench_lab.side_effect(st.add("sae/7", float(bench.strength[1])))
    assert bench.kl[1] == pytest.approx(effect.kl, rel=1e-3)
    cut = bench_lab.steering_bench(TARGET, "add", PROMPTS, feature=7, neutral_length=4, **QUICK)
    assert cut.n_neutral_tokens == 6 < bench.n_neutral_tokens


def test_without_texts_and_without_a_feature_only_random_directions_are_left(bench_lab):
    bench = bench_lab.steering_bench(TARGET, prompts=PROMPTS, **QUICK)
    assert bench.ways == (("random", 0),)
    assert bench.feature == ""
    assert bench.hook == HOOK


@pytest.mark.filterwarnings("ignore:A vector from")
def test_another_hook_point_without_an_sae(bench_lab):
    bench = bench_lab.steering_bench(
        [TARGET, 40], None, PROMPTS, positive=POSITIVE, negative=NEGATIVE, hook="blocks.0.hook_resid_post", pairs=[6],
        position="mean", **QUICK,
    )  # fmt: skip
    assert [method for method, _ in bench.ways] == ["difference_in_means", "probe", "pca", "random"]
    assert bench.hook == "blocks.0.hook_resid_post"
    assert len(bench.target) == 2
    direction = bench_lab.steering_vector(POSITIVE[:6], NEGATIVE[:6], bench.hook, position="mean", n_bootstrap=0)
    row = next(n for n in range(len(bench)) if bench.method[n] == "difference_in_means")
    effect = bench_lab.next_token(PROMPTS[0], st.add(direction, float(bench.strength[row])), k=10**6)
    base, edited = effect.base, effect.edited
    target = np.isin(effect.ids, [bench_lab.model_of().token_id(TARGET), 40])
    gain = [np.log(p[target].sum() / p[~target].sum()) for p in (edited, base)]
    assert bench.effect[row, 0] == pytest.approx(gain[0] - gain[1], abs=1e-3)


def test_it_works_on_a_lab_that_someone_steers(bench_lab):
    plain = bench_lab.steering_bench(TARGET, "random", PROMPTS, **QUICK)
    with bench_lab.steering(st.add("sae/3", 0)):
        steered = bench_lab.steering_bench(TARGET, "random", PROMPTS, **QUICK)
    np.testing.assert_allclose(plain.effect, steered.effect, atol=1e-4)


@pytest.mark.filterwarnings("ignore:A vector from")
@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"methods": "caa"}, EditError, "no such method"),
        ({"prompts": []}, EditError, "no texts in 'prompts'"),
        ({"prompts": "one text"}, EditError, "no texts in 'prompts'"),
        ({"neutral_texts": []}, EditError, "no texts in 'neutral_texts'"),
        ({"neutral_texts": [[5]]}, EditError, "predict nothing"),
        ({"positive": []}, EditError, "no texts in 'positive'"),
        ({"methods": "difference_in_means", "positive": None, "negative": None}, EditError, "no texts in 'positive'"),
        ({"pairs": [7]}, EditError, "not so many pairs"),
        ({"strengths": [0]}, EditError, "no numbers for 'strengths'"),
        ({"kl": [-1]}, EditError, "no numbers for 'kl'"),
        ({"target": []}, TargetError, "no target"),
        ({"target": "two words"}, TargetError, "not one token"),
        ({"sae": "other"}, UnknownNameError, "no SAE of that name"),
        ({"feature": 7, "hook": "blocks.0.hook_resid_post"}, MismatchError, "another hook point"),
        ({"methods": "set", "hook": "blocks.0.hook_resid_post"}, EditError, "No SAE reads this hook point"),
        ({"resamples": 0}, EditError, "no number for resamples"),
        ({"neutral_length": 1}, EditError, "no number for neutral_length"),
    ],
)
def test_bad_input_is_named(bench_lab, options, error, words):
    given = {"target": TARGET, "prompts": PROMPTS, "positive": POSITIVE, "negative": NEGATIVE} | QUICK | options
    with pytest.raises(error, match=words):
        bench_lab.steering_bench(**given)


def test_a_feature_whose_maximum_is_not_known(lab):
    with pytest.raises(EditError, match="reference maximum"):
        lab.steering_bench(TARGET, "set", PROMPTS, ["the cat sat"], feature=3, **QUICK)
