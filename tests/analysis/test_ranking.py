"""One prompt, asked about any number of targets: scopes, positions, order of ablation, progress and what stays."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets.analysis.ranking import Ranker
from saewidgets.demo.world import capital_prompts, ioi_prompts
from saewidgets.errors import TargetError, TokenError
from saewidgets.results import RankingBatch
from tests.analysis.by_hand import BASELINE, IDS, TARGET, ByHand, close
from tests.models.test_language_model import hooks_left

N = len(IDS)


@pytest.fixture
def ranker(lab):
    return lab.ranker(IDS)


def same(one, other):
    """Two rankings are equal but for the last digits."""
    close(one.activation, other.activation, 1e-6)
    close(one.attribution, other.attribution, 1e-6)
    assert np.array_equal(np.isnan(one.ablation), np.isnan(other.ablation))
    close(np.nan_to_num(one.ablation), np.nan_to_num(other.ablation), 1e-5)
    for name in ("metric", "target", "baseline", "method", "scope", "position", "saes", "hooks", "stopped"):
        assert getattr(one, name) == getattr(other, name), name
    assert np.array_equal(one.prompt_tokens.ids, other.prompt_tokens.ids)
    assert [row[:2] for row in one.predictions] == [row[:2] for row in other.predictions]


# ---- scope and position ------------------------------------------------------------------------------------------


def test_scope_goes_by_whether_a_position_is_given(ranker):
    assert ranker.rank(TARGET, max_ablations=0).scope == "all_positions"
    assert ranker.rank(TARGET, position=2, max_ablations=0).scope == "position"
    assert ranker.rank(TARGET, max_ablations=0).position is None
    assert ranker.rank(TARGET, position=2, scope="all_positions", max_ablations=0).scope == "all_positions"
    assert ranker.rank(TARGET, scope="position", max_ablations=0).scope == "position"


def test_position_lists_its_own_pairs(middle):
    whole = middle.rank(IDS, TARGET, BASELINE, scope="position")
    at = middle.rank(IDS, TARGET, BASELINE, position=2)
    own = whole.positions == 2
    assert at.positions.tolist() == [2] * len(at)
    assert at.features.tolist() == whole.features[own].tolist()
    close(at.attribution, whole.attribution[own])
    close(at.ablation, whole.ablation[own])
    hand = ByHand(middle.model_of().model, middle.saes["sae"])
    _, gradient = hand.gradient()
    close(at.total_attribution, float((gradient[2] * hand.x[2]).sum()), 1e-5)
    nodes = {one.name: one for one in at.nodes}
    assert {one.position for one in at.nodes} == {2}
    assert list(nodes) == ["error", "bias"]
    for name, vector in (("error", hand.error), ("bias", hand.bias)):
        change = torch.zeros_like(hand.x)
        change[2] = -vector[2]
        close(nodes[name].attribution, float((gradient[2] * vector[2]).sum()))
        close(nodes[name].ablation, hand.effect(change))


def test_position_counts_from_the_end_below_zero(ranker):
    same(ranker.rank(TARGET, position=-1), ranker.rank(TARGET, position=N - 1))
    assert ranker.rank(TARGET, position=-2, max_ablations=0).position == N - 2


def test_position_with_all_positions_lists_features_that_fire_there(middle):
    whole = middle.rank(IDS, TARGET, BASELINE)
    there = set(middle.rank(IDS, TARGET, BASELINE, position=2, max_ablations=0).features.tolist())
    found = middle.rank(IDS, TARGET, BASELINE, position=2, scope="all_positions")
    kept = np.isin(whole.features, list(there))
    assert 0 < kept.sum() < len(whole)
    assert found.features.tolist() == whole.features[kept].tolist()
    close(found.activation, whole.activation[kept])
    close(found.attribution, whole.attribution[kept])
    close(found.ablation, whole.ablation[kept])
    assert found.position == 2
    assert set(found.positions.tolist()) == {-1}


@pytest.mark.parametrize("position", [N, -N - 1, 99, True])
def test_position_that_is_not_there(ranker, position):
    with pytest.raises(TokenError, match=rf"no such position[\s\S]*-{N}\.\.{N - 1}"):
        ranker.rank(TARGET, position=position)


@pytest.mark.parametrize("position", [0, -N])
def test_position_that_is_masked(lab, position):
    with pytest.raises(TokenError, match=r"masked[\s\S]*<\|bos\|>[\s\S]*mask_special=False"):
        lab.ranker(IDS).rank(TARGET, position=position)
    found = lab.ranker(IDS, mask_special=False).rank(TARGET, position=position, max_ablations=0)
    assert found.position == 0
    assert len(found)


def test_only_masked_tokens_have_no_rows(lab):
    found = lab.rank([0], TARGET)
    assert len(found) == 0
    assert [one.name for one in found.nodes] == ["error", "bias", "masked"]
    hand = ByHand(lab.model_of().model, lab.saes["sae"], [0])
    _, gradient = hand.gradient(lambda logits: logits[:, -1, TARGET] - logits[:, -1].mean(-1))
    close(found.total_attribution, float((gradient * hand.x).sum()), 1e-5)


def test_one_token_of_a_prompt(lab):
    assert len(lab.rank([5], TARGET, BASELINE, position=0)) == len(lab.rank([5], TARGET, BASELINE)) > 0


# ---- targets -----------------------------------------------------------------------------------------------------


def test_several_targets_are_teacher_forced(middle):
    target = [TARGET, 30, 31]
    found = middle.rank(IDS, target)

    def metric(logits):
        log = logits.log_softmax(-1)
        return sum(log[:, N - 1 + n, token] for n, token in enumerate(target))

    hand = ByHand(middle.model_of().model, middle.saes["sae"], [*IDS, *target[:-1]])
    value, gradient = hand.gradient(metric)
    assert found.metric_value == pytest.approx(value, abs=1e-5)
    assert found.prompt_tokens.ids.tolist() == [*IDS, *target[:-1]]
    assert found.target == tuple(target)
    close(found.attribution.sum(), hand.attributions(gradient).sum())
    sets = [[p for p in hand.pairs if p.feature == feature] for feature in found.features[:4].tolist()]
    close(found.ablation[:4], hand.without(sets, metric), atol=3e-5)
    alone = middle.rank(IDS, TARGET, max_ablations=0)
    assert found.predictions[0].id == alone.predictions[0].id
    assert found.predictions[0].probability == pytest.approx(alone.predictions[0].probability, abs=1e-5)


def test_no_target_is_the_likeliest_token(ranker, bridge):
    logits = bridge(torch.tensor([IDS]))[0, -1].detach()
    found = ranker.rank(max_ablations=0)
    assert found.target == (int(logits.argmax()),)
    assert found.metric_value == pytest.approx(float(logits.max() - logits.mean()), abs=1e-5)


def test_predictions_are_the_ten_likeliest(ranker, bridge, lab):
    with torch.no_grad():
        logits = bridge(torch.tensor([IDS]))[0, -1]
    top = logits.softmax(-1).topk(10)
    for found in (ranker.rank(TARGET, max_ablations=0), ranker.rank(None, metric=last_logit, max_ablations=0)):
        assert [row.id for row in found.predictions] == top.indices.tolist()
        assert [row.probability for row in found.predictions] == pytest.approx(top.values.tolist(), rel=1e-4)
        assert [row.logit for row in found.predictions] == pytest.approx(logits[top.indices].tolist(), abs=1e-4)
        assert [row.token for row in found.predictions] == [lab.model_of().token_text(i) for i in top.indices.tolist()]


def last_logit(logits):
    return logits[0, -1, TARGET]


def test_own_metric_reads_every_position(middle):
    def mine(logits):
        return logits[0, -1, TARGET] * logits[0, 1, 5] + logits[0].std()

    hand = ByHand(middle.model_of().model, middle.saes["sae"])

    def by_hand(logits):
        return torch.stack([mine(one[None]) for one in logits])

    found = middle.rank(IDS, metric=mine, scope="position")
    value, gradient = hand.gradient(by_hand)
    assert found.metric_value == pytest.approx(value, abs=1e-5)
    close(found.attribution, hand.attributions(gradient))
    close(found.ablation, hand.ablations(by_hand))
    assert (found.metric, found.target, found.baseline) == ("mine(logits)", (), None)


@pytest.mark.parametrize("metric", ["logit_difference", "log_prob"])
@pytest.mark.parametrize("baseline", [None, BASELINE])
def test_metric_value_is_that_of_a_plain_pass(ranker, bridge, metric, baseline):
    with torch.no_grad():
        last = bridge(torch.tensor([IDS]))[0, -1]
    last = last.log_softmax(-1) if metric == "log_prob" else last
    other = last[BASELINE] if baseline else 0 if metric == "log_prob" else last.mean()
    found = ranker.rank(TARGET, baseline, metric=metric, max_ablations=0)
    assert found.metric_value == pytest.approx(float(last[TARGET] - other), abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"max_ablations": -1}, "max_ablations[\\s\\S]*-1"),
        ({"max_ablations": True}, "max_ablations"),
        ({"memory": 0}, "memory[\\s\\S]*from 1"),
        ({"metric": "loss"}, "no such metric"),
    ],
)
def test_what_cannot_be_used(ranker, arguments, shown):
    with pytest.raises(TargetError, match=shown):
        ranker.rank(TARGET, **arguments)


# ---- order, progress, stop ---------------------------------------------------------------------------------------


def test_most_attributed_are_ablated_first(middle):
    whole = middle.rank(IDS, TARGET, BASELINE, scope="position")
    order = np.argsort(-np.abs(whole.attribution), kind="stable")
    for most in (1, 3, len(whole), 10**6):
        found = middle.rank(IDS, TARGET, BASELINE, scope="position", max_ablations=most)
        known = order[:most]
        assert np.flatnonzero(~np.isnan(found.ablation)).tolist() == sorted(known.tolist())
        close(found.ablation[known], whole.ablation[known], 1e-5)
        assert not found.stopped


def test_no_ablation_leaves_nodes_unknown_too(ranker):
    seen = []
    found = ranker.rank(TARGET, max_ablations=0, on_progress=seen.append)
    assert found.n_ablated == 0
    assert all(np.isnan(one.ablation) for one in found.nodes)
    assert len(seen) == 1
    assert not found.stopped


def test_progress_after_attribution_and_after_each_batch(middle):
    seen = []
    found = middle.ranker(IDS).rank(TARGET, BASELINE, position=2, memory=1, on_progress=seen.append)
    assert [one.n_ablated for one in seen] == list(range(len(found) + 1))
    order = np.argsort(-np.abs(found.attribution), kind="stable")
    for n, one in enumerate(seen):
        assert np.flatnonzero(~np.isnan(one.ablation)).tolist() == sorted(order[:n].tolist())
    close(seen[-1].ablation, found.ablation)
    assert [one.stopped for one in seen] == [False] * len(seen)


@pytest.mark.parametrize("after", [0, 2])
def test_false_stops_and_what_was_computed_stays(middle, after):
    whole = middle.rank(IDS, TARGET, BASELINE, position=2)
    found = middle.rank(
        IDS, TARGET, BASELINE, position=2, memory=1, on_progress=lambda r: False if r.n_ablated == after else None
    )
    assert found.stopped
    assert found.n_ablated == after
    known = ~np.isnan(found.ablation)
    close(found.ablation[known], whole.ablation[known])
    assert "stopped" in repr(found)


@pytest.mark.parametrize("answer", [None, 0, "", True])
def test_only_false_itself_stops(middle, answer):
    found = middle.rank(IDS, TARGET, BASELINE, position=2, memory=1, on_progress=lambda _: answer)
    assert found.n_ablated == len(found)
    assert not found.stopped


def test_interrupt_keeps_what_was_computed_and_warns(middle):
    def interrupt(ranking):
        if ranking.n_ablated == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match=r"Interrupted after 3 of 8 ablations"):
        found = middle.rank(IDS, TARGET, BASELINE, position=2, memory=1, on_progress=interrupt)
    assert found.stopped
    assert found.n_ablated == 3
    assert hooks_left(middle.model_of().model) == 0


def test_interrupt_inside_a_forward_pass_leaves_no_hook(bridge, make_tensors):
    lab = Lab(bridge)
    lab.add_sae(make_tensors("topk"), hook="blocks.0.hook_mlp_out")
    passes: list[int] = []
    armed = False

    def interrupt(*_):
        passes.append(1)
        if armed and len(passes) == 6:
            raise KeyboardInterrupt

    handle = bridge.blocks[1].register_forward_hook(interrupt)
    lab.rank(IDS, TARGET, max_ablations=0, position=2)
    passes.clear()
    armed = True
    with pytest.warns(UserWarning, match="Interrupted after"):
        found = lab.rank(IDS, TARGET, BASELINE, position=2, memory=1)
    handle.remove()
    assert 0 < found.n_ablated < len(found)
    assert hooks_left(bridge) == 0


def test_error_of_the_callback_comes_out_and_leaves_no_hook(middle):
    def fails(ranking):
        if ranking.n_ablated:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        middle.rank(IDS, TARGET, BASELINE, memory=1, on_progress=fails)
    assert hooks_left(middle.model_of().model) == 0
    assert middle.rank(IDS, TARGET, BASELINE).n_ablated


def test_callback_cannot_change_what_comes_out(middle):
    def spoil(ranking):
        ranking.ablation.flags.writeable = True
        ranking.ablation[:] = 99.0

    expected = middle.rank(IDS, TARGET, BASELINE, position=2)
    close(middle.rank(IDS, TARGET, BASELINE, position=2, memory=1, on_progress=spoil).ablation, expected.ablation)


# ---- asked again -------------------------------------------------------------------------------------------------


def test_next_target_equals_a_fresh_ranking(middle):
    ranker = middle.ranker(IDS)
    ranker.rank(TARGET, BASELINE)
    questions = [
        {"target": 9},
        {"target": [9, 30]},
        {"target": 9, "baseline": 3, "metric": "log_prob"},
        {"target": None, "metric": last_logit},
        {"target": 9, "method": "integrated_gradients"},
        {"target": [9, 31]},
        {"target": TARGET, "baseline": BASELINE, "position": -1},
    ]
    for question in questions:
        same(ranker.rank(**question), middle.ranker(IDS).rank(**question))


def test_forward_pass_is_reused(middle):
    ranker = middle.ranker(IDS)
    ran = []
    model = middle.model_of().model
    handles = [block.register_forward_hook(lambda *_, n=n: ran.append(n)) for n, block in enumerate(model.blocks)]
    ranker.rank(TARGET, max_ablations=0)
    assert 0 in ran
    ran.clear()
    ranker.rank(9, BASELINE, max_ablations=0)
    ranker.rank(None, max_ablations=0)
    ranker.rank(9, position=2, max_ablations=0)
    for handle in handles:
        handle.remove()
    assert ran == []


def test_ranker_is_made_without_a_forward_pass_of_wrong_questions(middle):
    ranker = middle.ranker(IDS)
    assert isinstance(ranker, Ranker)
    with pytest.raises(TargetError):
        ranker.rank(-1)
    same(ranker.rank(TARGET, BASELINE), middle.rank(IDS, TARGET, BASELINE))


def test_another_thread_asks_the_model_meanwhile(middle):
    model, ids = middle.model_of().model, torch.tensor([IDS])
    with torch.no_grad():
        expected = model(ids)
    quiet = middle.rank(IDS, TARGET, BASELINE, position=2)
    seen, me = [], threading.get_ident()

    def another(*_):
        if threading.get_ident() == me:
            thread = threading.Thread(target=lambda: seen.append(model(ids).detach()))
            thread.start()
            thread.join()

    handle = model.blocks[1].register_forward_hook(another)
    found = middle.rank(IDS, TARGET, BASELINE, position=2)
    handle.remove()
    assert len(seen) > 2
    assert all(torch.equal(one, expected) for one in seen)
    close(found.ablation, quiet.ablation)


# ---- the effect that this is for ---------------------------------------------------------------------------------


def test_attribution_finds_what_matters_and_activation_does_not(demo):
    """METHODS 1.3: over 200 prompts of the bundled world, features at all positions, logit against the mean logit."""
    model = demo.model_of()
    facts = [pair for pair in capital_prompts() if len(model.vocabulary.encode(pair[1])[0]) == 1]
    asked = [(one.prompt, one.answer, f" {one.s}") for one in ioi_prompts(seed=3, n=200 - len(facts))]
    asked += [(prompt, answer, None) for prompt, answer in facts]
    batch = demo.rank(*map(list, zip(*asked, strict=True)))
    assert isinstance(batch, RankingBatch)
    assert len(batch) == 200
    overlap, correlation = batch.overlap(10), batch.correlation()
    print(f"\noverlap@10 with ablation, 200 prompts: {overlap}\nPearson: {correlation}")
    assert overlap.attribution.mean >= 6.5
    assert overlap.difference.mean >= 2
    assert overlap.difference.low > 0
    assert correlation.attribution.pearson.mean > correlation.activation.pearson.mean + 0.2
