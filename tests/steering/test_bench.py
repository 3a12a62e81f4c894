"""Ways to steer at matched lengths and matched side effects, against the plain functions of the lab."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.errors import EditError
from saewidgets.results import FeatureId
from saewidgets.steering.bench import BenchTexts, cost_of, steering_bench
from saewidgets.steering.bench_arms import (
    Arm,
    Row,
    _solve,
    check_methods,
    check_pairs,
    make_arms,
    nested_subsets,
    strengths_for,
)
from saewidgets.steering.bench_runs import write
from saewidgets.steering.plan import Plan
from saewidgets.steering.scores import log_odds
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import (
    HOOK,
    IDS,
    PLAIN,
    VARIANTS,
    activation,
    add_variant,
    fires,
    make_lab,
    never,
    sometimes,
)

TARGET = (40, 41)
PROMPTS = ([0, 5, 9, 40, 41], [0, 7, 100, 33, 12], [0, 8, 60])
NEUTRAL = ([0, 30, 31, 32, 33, 34], [0, 90, 12, 44], [0, 200, 201, 202, 203])
NORMS = (0.1, 0.4, 1.6)


@pytest.fixture
def steer_lab(bridge, make_tensors):
    return make_lab(bridge, make_tensors)


def mild(lab):
    """A feature that fires on some tokens of the prompts, the one with the smallest activations."""
    ids = torch.tensor(PROMPTS[:2])
    f = fires(lab.model_of().model, lab.saes["sae"], ids)[ids != 0]
    share = (f > 0).float().mean(0)
    return int(torch.where((share > 0.1) & (share < 0.9), f.sum(0), torch.inf).argmin())


def ready(lab, edit):
    return Plan(lab.model_of(), lab.saes, [edit], "sae").ready[0]


def arms_of(lab, feature, methods=("set", "set_if_active", "add", "difference_in_means", "random"), **options):
    random = np.random.default_rng(1)
    sides = random.normal(size=(8, 32)) + 1, random.normal(size=(8, 32))
    given = {"pairs": (2, 8), "resamples": 2, "seed": 0, "width": 32} | options
    return make_arms(lambda edit: ready(lab, edit), HOOK, methods, FeatureId("sae", feature), sides, **given)


def bench_of(lab, feature=None, methods=("set", "add", "difference_in_means", "random"), kls=(0.01,), **options):
    model = lab.model_of()
    feature = mild(lab) if feature is None else feature
    texts = BenchTexts(
        TARGET, tuple(map(model.tokenize, PROMPTS)), tuple(map(model.tokenize, NEUTRAL)), feature=f"sae/{feature}"
    )
    arms = arms_of(lab, feature, methods)
    return steering_bench(model, HOOK, arms, texts, norms=NORMS, kls=kls, max_new_tokens=6, **options), arms


# ---- lengths ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", [name for name in VARIANTS if name != "hook_z"])
def test_all_ways_add_the_same_mean_length(make_model, make_tensors, variant):
    model = make_model("native")
    lab = make_lab(model, make_tensors, variant)
    feature = sometimes(model, lab.saes["sae"])
    x = activation(model, HOOK)[PLAIN[None]]
    length = 20 * float(x.norm(dim=-1).mean())
    lengths = []
    for arm in arms_of(lab, feature, ("set", "set_if_active", "add", "difference_in_means", "probe", "pca", "random")):
        (value,) = strengths_for(arm.ready, x, np.array([length]))
        given = replace(arm.ready, value=torch.tensor([value], dtype=torch.float64))
        added = given.added(activation(model, HOOK), PLAIN[None])[0]
        assert (added[~PLAIN] == 0).all()
        lengths.append(float(added[PLAIN].double().norm(dim=-1).mean()))
    assert np.std(lengths) / np.mean(lengths) <= 1e-5
    assert np.mean(lengths) == pytest.approx(length, rel=1e-5)


def test_the_length_that_passes_through_the_model_is_the_matched_one(steer_lab):
    bench, arms = bench_of(steer_lab)
    model = steer_lab.model_of()
    for row in np.flatnonzero(~np.isnan(bench.strength)):
        arm = next(a for a in arms if (a.method, a.n_pairs, a.resample) == (
            bench.method[row], bench.n_pairs[row], bench.draw[row]))  # fmt: skip
        edit = replace(arm.ready.edit, value=float(bench.strength[row]))
        seen = []
        for ids in PROMPTS:
            base = activation(model.model, HOOK, torch.tensor([ids]))
            with steer_lab.steering(edit), torch.no_grad():
                moved = model.model.run_with_cache(torch.tensor([ids]))[1][HOOK]
            seen.append((moved - base)[0, 1:].norm(dim=-1))
        assert float(torch.cat(seen).mean()) / bench.mean_norm == pytest.approx(bench.norm[row], rel=1e-4)


def test_strengths_of_set_by_hand():
    a, b = np.array([2.0, 2.0, 2.0]), np.array([0.0, 0.0, 3.0])  # sizes |2v|, |2v|, |2v - 3|
    assert _solve(a, b, 3.0) == pytest.approx(2.0)  # 4, 4, 1
    assert _solve(a, b, 5 / 3) == pytest.approx(1.0)  # 2, 2, 1
    assert _solve(a, b, 1.0) == pytest.approx(0.0)  # the least: 0, 0, 3
    assert math.isnan(_solve(a, b, 0.99))
    assert math.isnan(_solve(0 * a, 0 * b, 1.0))


def test_a_silent_feature_cannot_be_brought_to_any_length(steer_lab, bridge):
    silent = never(bridge, steer_lab.saes["sae"])
    x = activation(bridge, HOOK)[PLAIN[None]]
    edit = st.set_if_active(FeatureId("sae", silent), 1)
    assert np.isnan(strengths_for(ready(steer_lab, edit), x, np.array([0.1, 10.0]))).all()


# ---- the same numbers as the plain functions -------------------------------------------------------------------------


def test_effects_and_side_effects_are_those_of_the_lab(steer_lab, bridge):
    with torch.no_grad():
        before = bridge(IDS)
    bench, arms = bench_of(steer_lab)
    by_way = {(arm.method, arm.n_pairs, arm.resample): arm for arm in arms}
    base = np.array([float(log_odds(torch.tensor(full(steer_lab, ids, ())), TARGET)) for ids in PROMPTS])
    np.testing.assert_allclose(bench.base_log_odds, base, atol=1e-4)
    known = np.flatnonzero(~np.isnan(bench.strength))
    assert {bench.method[row] for row in known} == {"set", "add", "difference_in_means", "random"}
    for row in known:
        arm = by_way[bench.method[row], int(bench.n_pairs[row]), int(bench.draw[row])]
        edit = replace(arm.ready.edit, value=float(bench.strength[row]))
        effect = steer_lab.side_effect(edit, NEUTRAL)
        assert bench.kl[row] == pytest.approx(effect.kl, rel=1e-3, abs=2e-6)
        assert bench.ce_increase[row] == pytest.approx(effect.ce_increase, rel=1e-3, abs=1e-5)
        steered = [float(log_odds(torch.tensor(full(steer_lab, ids, edit)), TARGET)) for ids in PROMPTS]
        np.testing.assert_allclose(bench.effect[row], np.array(steered) - base, atol=1e-3)
    with torch.no_grad():
        assert torch.equal(bridge(IDS), before)
    assert hooks_left(bridge) == 0


def full(lab, ids, edits):
    """Log-probabilities of the next token, in the order of the ids."""
    found = lab.next_token(ids, edits, k=10**6)
    result = np.zeros(len(found.ids))
    result[found.ids] = np.log(found.edited)
    return result


def test_continuations_are_those_of_generate(steer_lab):
    bench, arms = bench_of(steer_lab)
    row = next(r for r in range(len(bench)) if bench.method[r] == "set" and bench.budget[r] == NORMS[-1])
    arm = next(a for a in arms if a.method == "set")
    edit = replace(arm.ready.edit, value=float(bench.strength[row]))
    even = math.log(steer_lab.model_of().d_vocab)
    for n, ids in enumerate(PROMPTS):
        own, steered = steer_lab.generate(ids, (), 6), steer_lab.generate(ids, edit, 6)
        written = steered.new_tokens.ids.tolist()
        assert bench.repetition[row, n] == pytest.approx(2 * (1 - steered.repetition))
        assert bench.written[row, n] == bool(set(written) & set(TARGET))
        assert bench.base_written[n] == bool(set(own.new_tokens.ids.tolist()) & set(TARGET))
        gap, base = even - -steered.base_logprobs.mean(), even - -own.base_logprobs.mean()
        assert bench.fluency[row, n] == pytest.approx(2 * min(max(gap / base, 0), 1), abs=1e-3)
    assert np.isnan(bench.score[bench.draw > 0]).all()
    assert not np.isnan(bench.score[(bench.draw == 0) & ~np.isnan(bench.strength)]).any()


def test_a_continuation_ends_with_a_special_token(steer_lab, bridge):
    model, hook = steer_lab.model_of(), "blocks.1.hook_resid_post"
    towards = st.add(bridge.W_U[:, 0].detach() - bridge.W_U.detach().mean(1), 1, hook=hook)
    arm, prompt = Arm("random", 0, 0, ready(steer_lab, towards)), model.tokenize(PROMPTS[0])
    found = write(model, hook, [prompt], [arm], [Row(0, 100.0)], 6, TARGET, lambda: None)
    edit = replace(towards, value=100.0)
    steered = steer_lab.generate(PROMPTS[0], edit, 6)
    assert (steered.stopped, len(steered)) == ("eos", 1)
    assert found.ce[0, 0] == pytest.approx(-steered.base_logprobs[0], rel=1e-4)
    odds = float(log_odds(torch.tensor(full(steer_lab, PROMPTS[0], edit)), TARGET))
    assert found.log_odds[0, 0] == pytest.approx(odds, rel=1e-4)
    assert found.distinct[0, 0] == 1


def test_a_way_that_moves_nothing_has_exactly_no_effect(steer_lab, bridge):
    silent = never(bridge, steer_lab.saes["sae"])
    arm = Arm("set_if_active", 0, 0, ready(steer_lab, st.set_if_active(FeatureId("sae", silent), 5)))
    ids = torch.tensor(PROMPTS[:2])
    f = steer_lab.saes["sae"].encode(activation(bridge, HOOK, ids))[0][..., silent]
    assert not f.any()
    model = steer_lab.model_of()
    texts = BenchTexts(TARGET, tuple(map(model.tokenize, PROMPTS[:2])), (model.tokenize(NEUTRAL[0]),))
    bench = steering_bench(model, HOOK, [arm], texts, norms=(0.5,), kls=(0.1,), max_new_tokens=4)
    assert np.isnan(bench.strength).all()
    assert np.isnan(bench.effect).all()
    assert bench.at_kl(0.1).reached.tolist() == [0]


# ---- matched side effect ---------------------------------------------------------------------------------------------


def test_the_side_effect_is_matched_within_one_percent(steer_lab):
    bench, _ = bench_of(steer_lab, kls=(0.003, 0.02))
    for budget in (0.003, 0.02):
        at = np.array([m == "kl" for m in bench.matched]) & (bench.budget == budget)
        known = at & ~np.isnan(bench.strength)
        never_reached = {bench.method[row] for row in np.flatnonzero(at & ~known)}
        assert never_reached <= {"set"}  # which changes a firing feature even at its least
        np.testing.assert_allclose(bench.kl[known], budget, rtol=0.0101)
        assert np.isnan(bench.kl[at & ~known]).all()
    at = np.array([m == "norm" for m in bench.matched])
    at &= ~np.isnan(bench.strength)
    assert (bench.norm[at] == bench.budget[at]).all()


def test_a_side_effect_below_the_first_length_and_one_that_is_out_of_reach(steer_lab):
    bench, _ = bench_of(steer_lab, methods=("difference_in_means",), kls=(1e-4, 1e3))
    low = np.array([m == "kl" for m in bench.matched]) & (bench.budget == 1e-4)
    np.testing.assert_allclose(bench.kl[low], 1e-4, rtol=0.011)
    assert (bench.norm[low] < NORMS[0]).all()
    high = bench.budget == 1e3
    assert np.isnan(bench.strength[high]).all()
    assert np.isnan(bench.norm[high]).all()


# ---- draws, checks, progress -----------------------------------------------------------------------------------------


def test_smaller_draws_lie_in_larger_ones_and_all_texts_are_taken_once():
    drawn = list(nested_subsets((8, 8), (1, 4, 8), 3, seed=0))
    assert [(n, r) for n, r, _, _ in drawn] == [(1, 0), (4, 0), (8, 0), (1, 1), (4, 1), (1, 2), (4, 2)]
    by_way = {(n, r): set(first.tolist()) for n, r, first, _ in drawn}
    assert all(by_way[1, r] < by_way[4, r] and len(by_way[4, r]) == 4 for r in range(3))
    assert len({frozenset(by_way[4, r]) for r in range(3)}) > 1
    assert all(np.array_equal(first, second) for _, _, first, second in drawn)
    uneven = list(nested_subsets((8, 9), (8,), 2, seed=0))
    assert len(uneven) == 2
    assert all(len(set(second.tolist())) == 8 for _, _, _, second in uneven)


def test_arms_are_the_ways_asked_for(steer_lab):
    ways = [(a.method, a.n_pairs, a.resample) for a in arms_of(steer_lab, 3, ("add", "probe", "pca", "random"))]
    assert ways == [("add", 0, 0), ("probe", 8, 0), ("pca", 8, 0), ("random", 0, 0), ("random", 0, 1)]
    first, second = (a.ready.direction for a in arms_of(steer_lab, 3, ("random",)))
    assert not torch.equal(first, second)
    mean = next(a for a in arms_of(steer_lab, 3, ("difference_in_means",), pairs=(8,)))
    random = np.random.default_rng(1)
    p, n = random.normal(size=(8, 32)) + 1, random.normal(size=(8, 32))
    np.testing.assert_allclose(mean.ready.direction.numpy(), p.mean(0) - n.mean(0))


def test_numbers_of_pairs():
    assert check_pairs(None, 40) == (1, 2, 4, 8, 16, 32, 40)
    assert check_pairs(None, 1000)[-1] == 256
    assert check_pairs([4, 2, 4], 4) == (2, 4)
    for wrong in ([0], [5], [], [1.5], [True]):
        with pytest.raises(EditError, match="not so many pairs"):
            check_pairs(wrong, 4)


def test_methods_come_in_one_order():
    assert check_methods(["random", "set", "random"]) == ("set", "random")
    for wrong in ([], ["sets"], "caa"):
        with pytest.raises(EditError, match="no such method"):
            check_methods(wrong)


def test_progress_is_told_and_can_end_it(steer_lab, bridge):
    told = []
    bench_of(steer_lab, on_progress=lambda *step: told.append(step))
    stages = list(dict.fromkeys(what for what, _, _ in told))
    assert stages[0] == "neutral texts"
    assert stages[-2:] == ["prompts", "continuations"]
    assert all(1 <= done <= n for _, done, n in told)
    with pytest.raises(EditError, match="was stopped"):
        bench_of(steer_lab, on_progress=lambda *_: False)
    assert hooks_left(bridge) == 0


def test_the_same_seed_gives_the_same_numbers(steer_lab):
    first, second = bench_of(steer_lab)[0], bench_of(steer_lab)[0]
    for name in ("strength", "kl", "effect", "score"):
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)


def test_prompts_of_special_tokens_only(steer_lab):
    model = steer_lab.model_of()
    texts = BenchTexts(TARGET, (model.tokenize([0]),), (model.tokenize(NEUTRAL[0]),))
    with pytest.raises(EditError, match="only special tokens"):
        steering_bench(model, HOOK, arms_of(steer_lab, 3), texts)


def test_heads_are_flattened(make_model, make_tensors):
    model = make_model("native")
    lab = make_lab(model, make_tensors)
    add_variant(lab, make_tensors, "hook_z", name="z")
    read = lab.model_of("z")
    arm = Arm("add", 0, 0, Plan(read, lab.saes, [st.add(FeatureId("z", 3), 1)], None).ready[0])
    texts = BenchTexts(TARGET, (read.tokenize(PROMPTS[0]),), (read.tokenize(NEUTRAL[0]),))
    bench = steering_bench(read, "blocks.0.attn.hook_z", [arm], texts, norms=(0.5,), kls=(), max_new_tokens=0)
    edit = st.add("z/3", float(bench.strength[0]))
    assert bench.kl[0] == pytest.approx(lab.side_effect(edit, NEUTRAL[:1]).kl, rel=1e-3)
    assert np.isnan(bench.score).all()


def test_costs_take_the_numbers_of_the_comparison(steer_lab):
    bench, _ = bench_of(steer_lab)
    cost = cost_of(replace(bench, text_length=10.0), 1e6)
    assert (cost.n_pairs, cost.n_examples, cost.length) == (8, 0, 10.0)
    assert cost.break_even == pytest.approx(1e6 / (2 * 8 * 10))
    assert cost_of(bench, 1e6, n_pairs=1).n_pairs == 1
