"""Ablation is one naive forward pass a feature, only cheaper: M(x) - M(x - f d), the error kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets.analysis.ablation import ablate, batch_size
from saewidgets.analysis.attribution import decompose
from saewidgets.analysis.metrics import make_metric
from saewidgets.models import Continuation, load_model
from tests.analysis.by_hand import BASELINE, IDS, TARGET, ByHand, close, logit_difference, node
from tests.analysis.conftest import LAST, MIDDLE
from tests.conftest import ARCHITECTURES


def ranked(lab, scope="position", **more):
    return lab.rank(IDS, TARGET, BASELINE, scope=scope, **more)


def of_each_feature(hand):
    """The pairs of each feature, at all its positions."""
    return [[p for p in hand.pairs if p.feature == n] for n in sorted({p.feature for p in hand.pairs})]


def assert_exact(lab, hand, rtol=1e-4, atol=1e-5):
    """Each pair, each feature at all positions, and the nodes: one naive forward pass each."""
    found = ranked(lab)
    close(found.ablation, hand.ablations(), rtol, atol)
    close(node(found, "error").ablation, hand.effect(-hand.error), rtol, atol)
    close(node(found, "bias").ablation, hand.effect(-hand.bias), rtol, atol)
    assert np.isnan(node(found, "masked").ablation)
    together = ranked(lab, "all_positions")
    sets = of_each_feature(hand)
    assert together.features.tolist() == [pairs[0].feature for pairs in sets]
    assert (together.positions == -1).all()
    close(together.ablation, hand.without(sets), rtol, atol)
    close(together.activation, [sum(p.value for p in pairs) for pairs in sets], rtol, atol)
    _, gradient = hand.gradient()
    parts = [sum(float((gradient[p.position] * p.part).sum()) for p in pairs) for pairs in sets]
    close(together.attribution, parts, rtol, atol)
    assert not found.stopped
    assert found.n_ablated == len(found) == len(hand.pairs)
    return found, together


def test_every_kind_of_sae_is_exact(any_sae_lab):
    assert_exact(any_sae_lab, ByHand(any_sae_lab.model_of().model, any_sae_lab.saes["saved"]))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_is_exact(make_hf_folder, make_tensors, architecture):
    lab = Lab(load_model(make_hf_folder(architecture)).model)
    lab.add_sae(make_tensors("topk"), hook=MIDDLE)
    found, _ = assert_exact(lab, ByHand(lab.model_of().model, lab.saes["sae"]))
    assert found.blocks_above_only


@pytest.mark.parametrize("hook", ["blocks.1.hook_resid_mid", "blocks.1.attn.hook_z", "blocks.1.hook_mlp_out", LAST])
def test_every_class_of_model_is_exact(any_model, make_tensors, hook):
    lab = Lab(any_model)
    lab.add_sae(make_tensors("topk"), hook=hook)
    has_own = "hook_resid_mid" in dict(any_model.blocks[0].named_children())
    edit_at = "blocks.1.hook_attn_out" if hook.endswith("resid_mid") and not has_own else None
    assert_exact(lab, ByHand(any_model, lab.saes["sae"], edit_at=edit_at))


def test_residual_between_attention_and_mlp_by_the_modules_of_the_block(any_model, make_tensors):
    lab = Lab(any_model)
    lab.add_sae(make_tensors("topk"), hook="blocks.1.hook_resid_mid")
    block, ids, sae = any_model.blocks[1], torch.tensor([IDS]), lab.saes["sae"]
    with torch.no_grad():
        mid = any_model.run_with_cache(ids)[1]["blocks.1.hook_resid_mid"]
        acts = sae.encode(mid)[0][0]

        def metric(x):
            return float(logit_difference(any_model.unembed(any_model.ln_final(x + block.mlp(block.ln2(x)))))[0])

        expected = []
        for position in range(1, len(IDS)):
            for feature in acts[position].nonzero().flatten():
                x = mid.clone()
                x[0, position] -= acts[position, feature] * sae.W_dec[feature]
                expected.append(metric(mid) - metric(x))
    close(ranked(lab).ablation, expected)


def test_double_precision(double_lab):
    assert_exact(double_lab, ByHand(double_lab.model_of().model, double_lab.saes["sae"]), rtol=1e-11, atol=1e-12)


def test_single_precision_sae_on_a_half_precision_model(make_model, make_tensors):
    lab = Lab(make_model("native").to(torch.bfloat16))
    lab.add_sae(make_tensors("topk"), hook=MIDDLE)
    hand = ByHand(lab.model_of().model, lab.saes["sae"])
    found = ranked(lab)
    close(found.ablation, hand.ablations(), rtol=0.05, atol=0.01)
    assert found.ablation.dtype == np.float64


def test_several_saes_at_once_are_each_exact(bridge, make_tensors):
    lab = Lab(bridge)
    hooks = {"mid": MIDDLE, "z": "blocks.1.attn.hook_z", "last": LAST}
    for seed, (name, hook) in enumerate(hooks.items()):
        lab.add_sae(make_tensors("topk", seed=seed), name=name, hook=hook)
    found = ranked(lab, sae=["mid", "z", "last"])
    assert found.saes == ("mid", "z", "last")
    assert found.hooks == tuple(hooks.values())
    total = 0.0
    for n, name in enumerate(hooks):
        hand = ByHand(bridge, lab.saes[name])
        own = found.sae_index == n
        _, gradient = hand.gradient()
        assert found.features[own].tolist() == [pair.feature for pair in hand.pairs]
        close(found.attribution[own], hand.attributions(gradient))
        close(found.ablation[own], hand.ablations())
        close(node(found, "error", name).ablation, hand.effect(-hand.error))
        rows_and_nodes = found.attribution[own].sum() + sum(one.attribution for one in found.nodes if one.sae == name)
        close(rows_and_nodes, float((gradient * hand.x).sum()))
        total += float((gradient * hand.x).sum())
    close(found.total_attribution, total)


def test_feature_that_does_not_fire_changes_nothing(lab):
    model = lab.model_of()
    tokens = model.tokenize(IDS)
    part = decompose(model, lab.saes["sae"], tokens, torch.from_numpy(tokens.special))
    metric = make_metric(model, TARGET, BASELINE)
    none = np.zeros(0, np.int64)
    assert ablate(part, metric, [none]).tolist() == [0.0]


def test_no_effect_is_exactly_none(lab):
    """Above the last residual nothing reaches the last token from another: not even rounding is left of it."""
    found = lab.rank(IDS, TARGET, BASELINE, position=2)
    assert len(found)
    assert not found.ablation.any()
    assert found.overlap(3) == (0, 0, 0)


def test_effects_add_up_where_all_above_is_linear(linear_lab):
    single = linear_lab.model_of().dtype == torch.float32
    rtol, atol = (1e-4, 1e-5) if single else (1e-11, 1e-12)
    apart, together = ranked(linear_lab), ranked(linear_lab, "all_positions")
    sums = [apart.ablation[apart.features == feature].sum() for feature in together.features]
    close(together.ablation, sums, rtol, atol)
    hand = ByHand(linear_lab.model_of().model, linear_lab.saes["sae"])
    close(apart.ablation.sum(), hand.without([hand.pairs])[0], rtol, atol)
    everything = apart.ablation.sum() + node(apart, "error").ablation + node(apart, "bias").ablation
    close(everything, hand.effect(-(hand.error + hand.bias + hand.sum_of(hand.pairs))), rtol, atol)


def test_effects_do_not_add_up_through_a_block(middle):
    apart, together = ranked(middle), ranked(middle, "all_positions")
    sums = np.array([apart.ablation[apart.features == feature].sum() for feature in together.features])
    assert np.abs(sums - together.ablation).max() > 1e-3


@pytest.mark.parametrize("scope", ["position", "all_positions"])
@pytest.mark.parametrize("memory", [1, 300_000, 2**40])
def test_numbers_do_not_depend_on_the_budget_of_memory(lab, memory, scope):
    expected, found = ranked(lab, scope), ranked(lab, scope, memory=memory)
    close(found.ablation, expected.ablation, rtol=1e-5)
    assert [one[:4] for one in found.nodes] == [one[:4] for one in expected.nodes]


def test_budget_sets_how_many_run_at_once(lab):
    model = lab.model_of()
    tokens = model.tokenize(IDS)
    part = decompose(model, lab.saes["sae"], tokens, torch.from_numpy(tokens.special))
    metric = make_metric(model, TARGET, BASELINE)
    one = part.run.bytes_of_one(1)
    assert batch_size(part, metric, 1) == 1
    assert batch_size(part, metric, one * 7) == 6  # and the unchanged activation
    assert batch_size(part, metric, one * 8 - 1) == 6
    assert batch_size(part, metric, 2**60) == 1024 // len(IDS) - 1
    assert part.run.bytes_of_one(3) - one == 2 * 4 * 4 * model.d_vocab


def sizes_of_batches(lab, **more):
    """How many changes went through the last norm at once."""
    seen = []
    handle = lab.model_of().model.ln_final.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    found = ranked(lab, **more)
    handle.remove()
    return found, seen


def test_budget_is_kept_and_pairs_run_in_batches(lab):
    found, one_by_one = sizes_of_batches(lab, memory=1)
    assert set(one_by_one) == {1, 2}  # one change, and the unchanged activation
    _, at_once = sizes_of_batches(lab)
    assert max(at_once) == min(len(found) + 1, 1024 // len(IDS))
    assert len(at_once) < 12


def test_whole_passes_give_the_same_numbers(bridge, make_tensors, monkeypatch):
    def rankings():
        lab = Lab(bridge)
        lab.add_sae(make_tensors("topk"), hook=MIDDLE)
        return ranked(lab), ranked(lab, "all_positions"), ranked(lab, method="integrated_gradients")

    expected = rankings()
    monkeypatch.setattr(Continuation, "_agrees", lambda _: False)
    for one, other in zip(rankings(), expected, strict=True):
        assert (one.blocks_above_only, other.blocks_above_only) == (False, True)
        close(one.ablation, other.ablation)
        close(one.attribution, other.attribution)


def test_one_whole_forward_pass_for_each_feature(middle):
    hand = ByHand(middle.model_of().model, middle.saes["sae"])
    close(ranked(middle).ablation, hand.naive_ablations())


def test_blocks_above_run_and_the_blocks_below_do_not(lab):
    ranked(lab)
    ran = []
    model = lab.model_of().model
    handles = [
        block.register_forward_hook(lambda *_, n=n: ran.append(n)) for n, block in enumerate([*model.blocks, model])
    ]
    ranked(lab)  # blocks and hook point are tried out
    ran.clear()
    ranked(lab)
    for handle in handles:
        handle.remove()
    assert ran == [0, 1]  # the clean pass; above the last residual there is no block


def test_model_that_was_changed_is_run_anew(make_model, make_tensors):
    lab = Lab(make_model("native"))
    lab.add_sae(make_tensors("topk"), hook=MIDDLE)
    before = ranked(lab)
    with torch.no_grad():
        for parameter in lab.model_of().model.parameters():
            parameter.mul_(1.1)
    found, _ = assert_exact(lab, ByHand(lab.model_of().model, lab.saes["sae"]))
    assert found.metric_value != before.metric_value
