"""Attribution is f (g . d) with g = dM/dx, exactly, for every kind of SAE; with error and bias it sums to <g, x>."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets.analysis.attribution import decompose
from saewidgets.analysis.metrics import make_metric
from saewidgets.errors import NonFiniteError
from tests.analysis.by_hand import BASELINE, IDS, TARGET, ByHand, close, logit_difference, node
from tests.analysis.conftest import LAST

RANK = {"scope": "position", "max_ablations": 0}


def ranked(lab, **more):
    return lab.rank(IDS, TARGET, BASELINE, **RANK, **more)


def assert_exact(found, hand, rtol=1e-5, atol=1e-6):
    """Rows, nodes and their sum are those found by hand."""
    value, gradient = hand.gradient()
    assert [*zip(found.positions.tolist(), found.features.tolist(), strict=True)] == [p[:2] for p in hand.pairs]
    assert len(found) > 8
    close(found.activation, [pair.value for pair in hand.pairs], rtol, atol)
    close(found.attribution, hand.attributions(gradient), rtol, atol)
    masked = list(hand.masked)
    nodes = [node(found, name).attribution for name in ("error", "bias", "masked")]
    expected = [gradient * hand.error, gradient * hand.bias, (gradient * hand.x)[masked]]
    close(nodes, [float(part.sum()) for part in expected], rtol, atol)
    close(found.total_attribution, float((gradient * hand.x).sum()), rtol, atol)
    close(found.metric_value, value, rtol, atol)
    assert np.isnan(found.ablation).all()


def test_every_kind_of_sae_is_exact(any_sae_lab):
    hand = ByHand(any_sae_lab.model_of().model, any_sae_lab.saes["saved"])
    assert_exact(ranked(any_sae_lab), hand, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("hook", ["blocks.0.hook_resid_pre", "blocks.1.attn.hook_z", "blocks.1.hook_mlp_out", LAST])
def test_every_class_of_model_is_exact(any_model, make_tensors, hook):
    lab = Lab(any_model)
    lab.add_sae(make_tensors("jumprelu"), hook=hook)
    assert_exact(ranked(lab), ByHand(any_model, lab.saes["sae"]), rtol=2e-5, atol=1e-5)


def test_double_precision_is_exact_to_its_last_digits(double_lab):
    hand = ByHand(double_lab.model_of().model, double_lab.saes["sae"])
    assert_exact(ranked(double_lab), hand, rtol=1e-12, atol=1e-12)


def test_single_precision_sae_on_a_half_precision_model(make_model, make_tensors):
    lab = Lab(make_model("native").to(torch.bfloat16))
    lab.add_sae(make_tensors(), hook="blocks.0.hook_resid_post")
    hand = ByHand(lab.model_of().model, lab.saes["sae"])
    found, (_, gradient) = ranked(lab), hand.gradient()
    close(found.attribution, hand.attributions(gradient), rtol=0.03)
    rounded = (gradient * hand.x).sum()
    close(found.total_attribution, float(rounded), rtol=0.03, atol=0.03 * float(gradient.norm() * hand.x.norm()) ** 0.5)


def test_factor_folded_into_the_weights_is_in_the_directions(bridge, make_tensors):
    factor, tensors = 0.25, make_tensors()
    folded = {**tensors, "W_enc": factor * tensors["W_enc"], "W_dec": tensors["W_dec"] / factor}
    lab = Lab(bridge)
    lab.add_sae({**folded, "b_dec": tensors["b_dec"] / factor}, hook=LAST)
    hand = ByHand(bridge, lab.saes["sae"])
    _, gradient = hand.gradient()
    prepared = factor * hand.x - tensors["b_dec"]
    acts = torch.relu(prepared @ tensors["W_enc"] + tensors["b_enc"])[1:]
    expected = acts * (gradient[1:] @ (tensors["W_dec"] / factor).T)
    found = ranked(lab)
    close(found.activation, acts[acts > 0])
    close(found.attribution, expected[acts > 0])
    assert_exact(found, hand, rtol=2e-5, atol=1e-5)


def test_residual_between_attention_and_mlp_is_the_whole_residual_stream(any_model, make_tensors):
    """Redone by hand from the modules of the last block: TransformerLens's own edit there misses the residual."""
    hook = "blocks.1.hook_resid_mid"
    lab = Lab(any_model)
    lab.add_sae(make_tensors(), hook=hook)
    block, ids = any_model.blocks[1], torch.tensor([IDS])
    with torch.no_grad():
        mid = any_model.run_with_cache(ids)[1][hook]
    change = torch.zeros_like(mid).requires_grad_()
    x = mid + change
    logits = any_model.unembed(any_model.ln_final(x + block.mlp(block.ln2(x))))
    close(logits.detach(), any_model(ids).detach())
    (gradient,) = torch.autograd.grad(logit_difference(logits)[0], change)
    found = ranked(lab)
    acts = lab.saes["sae"].encode(mid)[0][0, 1:]
    expected = acts * (gradient[0, 1:] @ lab.saes["sae"].W_dec.T)
    close(found.attribution, expected[acts > 0], rtol=2e-5)
    close(found.total_attribution, float((gradient * mid).sum()), rtol=2e-5)
    assert found.blocks_above_only


def test_directional_finite_difference(double_lab):
    model, sae = double_lab.model_of(), double_lab.saes["sae"]
    hand = ByHand(model.model, sae)
    tokens = model.tokenize(IDS)
    part = decompose(model, sae, tokens, torch.from_numpy(tokens.special))
    _, gradient, _ = part.gradient(make_metric(model, TARGET, BASELINE))
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        way = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        step = 1e-4 * way / way.norm() * hand.x.norm()
        difference = (hand.effect(-step) - hand.effect(step)) / 2
        expected = float((gradient * step).sum())
        assert difference == pytest.approx(expected, rel=1e-6, abs=1e-8 * float(gradient.norm() * step.norm()))


def test_gradient_by_a_feature_with_the_error_detached(bridge, lab):
    """What feature-circuits does: x = decode(f) + (x - decode(f)).detach(), and the gradient of M by f."""
    sae, tensors = lab.saes["sae"], torch.tensor([IDS])
    kept = {}

    def splice(x, hook):
        kept["f"] = torch.relu((x - sae.b_dec) @ sae.W_enc + sae.b_enc).detach().requires_grad_()
        x_hat = kept["f"] @ sae.W_dec + sae.b_dec
        return x_hat + (x - x_hat).detach()

    logits = bridge.run_with_hooks(tensors, fwd_hooks=[(LAST, splice)])
    (by_feature,) = torch.autograd.grad(logit_difference(logits)[0], kept["f"])
    f = kept["f"].detach()[0, 1:]
    close(ranked(lab).attribution, (f * by_feature[0, 1:])[f > 0], rtol=1e-5, atol=1e-6)


def test_linear_readout_attribution_is_ablation(linear_lab):
    found = linear_lab.rank(IDS, TARGET, BASELINE, scope="position")
    single = linear_lab.model_of().dtype == torch.float32
    last = found.positions == len(IDS) - 1
    worst = np.abs(found.attribution - found.ablation).max() / np.abs(found.ablation).max()
    assert worst <= (1e-4 if single else 1e-10)
    assert (found.attribution[~last] == 0).all()
    assert np.abs(found.attribution[last]).min() > 0
    assert found.overlap(10).attribution == 10
    together = linear_lab.rank(IDS, TARGET, BASELINE)
    close(together.attribution, together.ablation, rtol=1e-4 if single else 1e-10, atol=1e-5 if single else 1e-12)


def test_last_layer_is_not_enough_where_a_norm_follows(lab):
    found = lab.rank(IDS, TARGET, BASELINE, scope="position", position=-1)
    assert np.abs(found.attribution - found.ablation).max() / np.abs(found.ablation).max() > 0.05


@pytest.mark.parametrize("sign", [1, -1])
def test_sign_of_a_planted_feature(bridge, make_tensors, sign):
    """A feature whose direction is along the gradient of the target's logit raises it: + in both columns."""
    tensors = make_tensors()
    readout = bridge.unembed.W_U if hasattr(bridge.unembed, "W_U") else bridge.W_U
    along = (readout[:, TARGET] - readout[:, BASELINE]).detach()
    tensors["W_dec"] = tensors["W_dec"].clone()
    tensors["W_dec"][3] = sign * (along - along.mean()) / along.norm()
    tensors["b_enc"] = tensors["b_enc"].clone()
    tensors["b_enc"][3] = 100.0
    lab = Lab(bridge)
    lab.add_sae({**tensors, "b_dec": torch.zeros(32)}, hook=LAST)
    found = lab.rank(IDS, TARGET, BASELINE, position=-1)
    row = found.features.tolist().index(3)
    assert sign * found.attribution[row] > 0
    assert sign * found.ablation[row] > 0


def test_feature_that_never_fires_has_no_row_and_no_effect(bridge, make_tensors):
    tensors = make_tensors()
    tensors["b_enc"] = tensors["b_enc"].clone()
    tensors["b_enc"][3] = -1e6
    lab = Lab(bridge)
    lab.add_sae(tensors, hook=LAST)
    found = lab.rank(IDS, TARGET, BASELINE)
    assert 3 not in found.features
    assert len(found.features) == len(set(found.features.tolist())) > 30
    assert (found.activation > 0).all()


def test_prompt_on_which_nothing_fires(bridge, make_tensors):
    tensors = make_tensors()
    lab = Lab(bridge)
    lab.add_sae({**tensors, "b_enc": torch.full((64,), -1e6)}, hook=LAST)
    for method in ("attribution", "integrated_gradients"):
        found = lab.rank(IDS, TARGET, BASELINE, method=method)
        assert len(found) == found.n_ablated == 0
        hand = ByHand(bridge, lab.saes["sae"])
        close(node(found, "error").attribution, float((hand.gradient()[1] * hand.error).sum()))
        assert found.overlap(10).k == 0
        assert "nothing ablated" in repr(found)


def test_bos_is_never_in_the_rows_and_the_flag_is_shown(demo):
    prompt = "The capital of France is"
    found = demo.rank(prompt, " Paris", scope="position", max_ablations=0)
    assert found.masked.tolist() == [True] + [False] * 5
    assert 0 not in found.positions
    assert "1 of 6 positions masked" in repr(found)
    whole = demo.rank(prompt, " Paris", scope="position", max_ablations=0, mask_special=False)
    assert 0 in whole.positions
    assert not whole.masked.any()
    assert "0 of 6 positions masked" in repr(whole)
    assert [one.name for one in whole.nodes] == ["error", "bias"]
    assert whole.total_attribution == pytest.approx(found.total_attribution, rel=1e-5)


def test_many_pairs_are_taken_in_parts(lab, monkeypatch):
    expected = ranked(lab)
    monkeypatch.setattr("saewidgets.analysis.attribution._PAIRS", 7)
    monkeypatch.setattr("saewidgets.analysis.attribution._DENSE_NUMBERS", 100)
    found = ranked(lab)
    assert np.array_equal(found.features, expected.features)
    assert np.array_equal(found.positions, expected.positions)
    close(found.attribution, expected.attribution, rtol=1e-6)
    close(node(found, "error").attribution, node(expected, "error").attribution, rtol=1e-5)


def test_activation_that_is_not_finite_is_refused(make_model, make_tensors):
    model = make_model("native")
    lab = Lab(model)
    lab.add_sae(make_tensors(), hook=LAST)
    handle = model.blocks[0].register_forward_hook(lambda _, __, output: _with_nan(output, 2))
    with pytest.raises(NonFiniteError, match=LAST):
        ranked(lab)
    handle.remove()
    assert len(ranked(lab))


def _with_nan(output, position):
    value = (output[0] if isinstance(output, tuple) else output).clone()
    value[:, position] = float("nan")
    return (value, *output[1:]) if isinstance(output, tuple) else value


def test_feature_that_overflows_is_left_to_the_error(bridge, make_tensors):
    tensors = make_tensors()
    tensors["W_enc"] = tensors["W_enc"].clone()
    tensors["W_enc"][:, 3] = 3e38
    lab = Lab(bridge)
    lab.add_sae({**tensors, "b_enc": torch.full((64,), 1.0)}, hook=LAST)
    found = ranked(lab)
    assert 3 not in found.features
    assert np.isfinite(found.total_attribution)
