"""What the weights say, against the formulas written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import saewidgets as sw
from saewidgets.errors import HookPointError
from saewidgets.index.geometry import Geometry
from saewidgets.models import load_model
from saewidgets.results import FeatureId
from saewidgets.saes import load_sae
from tests.conftest import TL_MAJOR
from tests.index.test_build import HOOK, corpus

Z = "blocks.1.attn.hook_z"


@pytest.fixture
def geometry(lab):
    return Geometry(lab.model_of(), "sae", lab.saes["sae"], lab.saes)


def test_logit_effects_are_the_change_of_the_logits(make_model, make_tensors):
    """But for the final norm's scale, a small step along the row changes the logits by the effects."""
    model, sae = make_model(), load_sae(make_tensors(), HOOK)
    torch.manual_seed(0)
    with torch.no_grad():
        model.ln_final.weight.copy_(torch.rand(32))
    lab = sw.Lab(model)
    geometry = Geometry(lab.model_of(lab.add_sae(make_tensors(), hook=HOOK)), "sae", sae, {})
    x, step = torch.randn(1, 1, 32, dtype=torch.float64), 1e-6
    weight = model.ln_final.weight.double()
    row = sae.W_dec[5].double()

    def logits(residual):
        centred = residual - residual.mean(-1, keepdim=True)
        return (centred * weight) @ model.W_U.double()

    expected = (logits(x + step * row) - logits(x))[0, 0] / step
    found = geometry.effects(torch.tensor([5]))[0]
    assert torch.allclose(found.double(), expected, atol=1e-5)
    top = geometry.logits(5)
    assert top is not None
    assert [each.id for each in top.top] == expected.topk(10).indices.tolist()
    assert [each.id for each in top.bottom] == expected.topk(10, largest=False).indices.tolist()
    assert top.top[0].token == lab.model_of().token_text(top.top[0].id)
    assert "weight" in top.how
    assert "left out" in top.how


def test_norms_that_multiply_by_one_more_than_their_weight(make_hf_folder, make_tensors):
    """As Gemma's; what its norm does to a direction is read off the norm itself."""
    model = sw.Lab(str(make_hf_folder("gemma2")), name="gemma")
    model.add_sae(make_tensors(), name="sae", hook=HOOK)
    held: Any = model.model_of("sae")
    sae = model.saes["sae"]
    geometry = Geometry(held, "sae", sae, {})
    x = torch.randn(1, 1, 32)
    with torch.no_grad():
        scaled = held.model.ln_final(x) * (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() / x
    expected = (sae.W_dec[3].detach() * scaled[0, 0]) @ held.model.W_U
    assert torch.allclose(geometry.effects(torch.tensor([3]))[0], expected, atol=1e-4)


def test_logit_histogram_holds_the_whole_vocabulary(lab, geometry):
    found, effects = geometry.logits(5), geometry.effects(torch.tensor([5]))[0]
    assert found.histogram.counts.sum() == len(effects) == lab.model_of().d_vocab
    assert len(found.histogram.counts) == 50
    assert (found.histogram.edges[0], found.histogram.edges[-1]) == pytest.approx(
        (float(effects.min()), float(effects.max()))
    )
    by_hand = np.histogram(effects.double().numpy(), 50)[0]
    assert np.abs(by_hand - found.histogram.counts).sum() <= 4


if TL_MAJOR == 3:  # HookedTransformer is no more in 4

    def test_folded_norm_is_said(make_tensors):
        from transformer_lens import HookedTransformer, HookedTransformerConfig

        shape = {"n_layers": 1, "d_model": 32, "n_ctx": 8, "d_head": 8, "n_heads": 4, "d_vocab": 50, "act_fn": "gelu"}
        model = HookedTransformer(HookedTransformerConfig(**shape, normalization_type="LNPre"))
        lab = sw.Lab(model)
        lab.add_sae(make_tensors(), hook="blocks.0.hook_resid_post")
        found = Geometry(lab.model_of(), "sae", lab.saes["sae"], {}).logits(3)
        assert found is not None
        assert "folded into the unembedding" in found.how
        row = lab.saes["sae"].W_dec[3]
        assert found.top[0].effect == pytest.approx(float(((row - row.mean()) @ model.W_U.detach()).max()), rel=1e-4)


def test_heads_go_through_their_output_matrix(lab, make_tensors):
    model = lab.model_of()
    sae = load_sae(make_tensors(), Z)
    found = Geometry(model, "z", sae, {}).effects(torch.tensor([4]))[0]
    W_O, row = model.model.W_O[1], sae.W_dec[4].reshape(4, 8)
    residual = torch.stack([row[head] @ W_O[head] for head in range(4)]).sum(0)
    expected = ((residual - residual.mean()) * model.model.ln_final.weight) @ model.model.W_U
    assert torch.allclose(found, expected, atol=1e-5)


def test_no_logit_effects_where_there_is_no_direct_path(lab, make_tensors):
    sae = load_sae(make_tensors(d_in=64), "blocks.0.mlp.hook_out")
    assert Geometry(lab.model_of(), "x", sae, {}).logits(4) is None


PARTS = (
    "hook_resid_pre", "hook_in", "hook_resid_mid", "hook_resid_post", "hook_out", "hook_attn_out", "hook_mlp_out",
    "attn.hook_out", "attn.o.hook_out", "mlp.hook_out", "mlp.out.hook_out", "ln1.hook_out", "ln2.hook_in",
    "ln2.hook_out", "ln1_post.hook_in", "ln1_post.hook_out", "ln2_post.hook_in", "ln2_post.hook_out", "attn.hook_in",
    "mlp.hook_in",
)  # fmt: skip


def changes_the_stream(bridge: Any, hook: str, block: int) -> bool:
    """Whether what is added at a hook point is added to the residual stream too: behind attention, or the block."""
    ids, delta = torch.tensor([[5, 6, 7]]), torch.full((32,), 0.1)

    def read(at: str, *edits: Any) -> torch.Tensor:
        held = []
        with torch.no_grad():
            bridge.run_with_hooks(ids, fwd_hooks=[*edits, (at, lambda x, hook: held.append(x.clone()))])
        return held[0]

    edit = (hook, lambda x, hook: x + delta)
    places = [f"blocks.{block}.hook_resid_post"]
    places += [f"blocks.{block}.ln2.hook_in"] if hasattr(bridge.blocks[block], "ln2") else []
    return any(torch.allclose(read(at, edit) - read(at), delta, atol=1e-4) for at in places)


@pytest.mark.parametrize("architecture", ["gpt2", "gemma2", "neox", "llama"])
def test_hook_points_that_write_into_the_residual_stream_have_logit_effects(make_hf_folder, make_tensors, architecture):
    """Under all their names; gemma's attention and MLP pass a norm first, by their own names they have none."""
    model: Any = load_model(make_hf_folder(architecture))
    tried = set()
    for part in PARTS:
        hook = f"blocks.1.{part}"
        try:
            found = Geometry(model, "sae", load_sae(make_tensors(), hook), {}).logits(3) is not None
        except HookPointError:
            continue
        entering = part in {"hook_resid_pre", "hook_in"}  # the block adds more to these
        expected = entering or changes_the_stream(model.model, hook, 1)
        assert found == (expected and part != "ln2.hook_in"), hook  # edits there reach the MLP alone
        tried.add((part, found))
    assert ("mlp.hook_out", architecture != "gemma2") in tried
    assert ("attn.hook_out", architecture != "gemma2") in tried
    assert ("hook_mlp_out", True) in tried


def test_heads_behind_which_a_norm_lies_have_no_logit_effects(make_hf_folder, make_tensors):
    for architecture, expected in (("gemma2", False), ("llama", True)):
        model = load_model(make_hf_folder(architecture))
        sae = load_sae(make_tensors(), Z)
        assert Geometry(model, "z", sae, {}).has_logits is expected


def test_neighbours_within_and_across_saes(lab, make_tensors, geometry):
    tensors = make_tensors(seed=3)
    tensors["W_dec"][9] = 2 * lab.saes["sae"].W_dec[5]
    lab.add_sae(tensors, "other", hook=HOOK)
    lab.add_sae(make_tensors(seed=4), "elsewhere", hook="blocks.0.hook_resid_post")
    found = Geometry(lab.model_of(), "sae", lab.saes["sae"], lab.saes).neighbours(5)
    assert found[0].feature == FeatureId("other", 9)
    assert found[0].cosine == pytest.approx(1)
    assert {each.feature.sae for each in found} == {"sae", "other"}
    assert FeatureId("sae", 5) not in [each.feature for each in found]
    unit = torch.nn.functional.normalize(lab.saes["sae"].W_dec, dim=1)
    cosines = unit @ unit[5]
    own = [each for each in found if each.feature.sae == "sae"]
    assert [each.feature.index for each in own] == cosines.argsort(descending=True)[1:11].tolist()
    assert np.allclose([each.cosine for each in own], cosines.sort(descending=True).values[1:11], atol=1e-6)


def test_row_of_zeros_has_no_direction(lab, make_tensors):
    tensors = make_tensors()
    tensors["W_dec"][5] = 0
    sae = load_sae(tensors, HOOK)
    found = Geometry(lab.model_of(), "sae", sae, {})
    assert {each.cosine for each in found.neighbours(5)} == {0.0}
    assert found.encoder_cosine(5) == 0
    assert found.neurons(5)[0].share == 0


def test_encoder_cosine_and_neurons(lab, geometry):
    sae = lab.saes["sae"]
    expected = torch.nn.functional.cosine_similarity(sae.W_enc[:, 7], sae.W_dec[7], dim=0)
    assert geometry.encoder_cosine(7) == pytest.approx(float(expected), rel=1e-5)
    row = sae.W_dec[7]
    (neuron, value, share), *rest = geometry.neurons(7)
    assert neuron == int(row.abs().argmax())
    assert value == pytest.approx(float(row[neuron]))
    assert share == pytest.approx(float(row.abs().max() / row.abs().sum()))
    assert len(rest) == 2


@pytest.mark.parametrize("kind", ["standard", "topk"])
def test_kept_table_says_what_is_computed(lab, make_tensors, kind):
    lab.add_sae(make_tensors(kind, seed=2), "two", hook=HOOK)
    index = lab.build_index(corpus(20), "two", context=32, on_progress=False, weights=False)
    live = [lab.feature(f"two/{n}") for n in range(64)]
    assert index.keep_weights()
    for n in range(64):
        kept = lab.feature(f"two/{n}")
        assert [each.id for each in kept.logits.top] == [each.id for each in live[n].logits.top]
        assert np.allclose([e.effect for e in kept.logits.bottom], [e.effect for e in live[n].logits.bottom], atol=1e-5)
        assert np.abs(kept.logits.histogram.counts - live[n].logits.histogram.counts).sum() <= 4
        assert kept.logits.how == live[n].logits.how
        assert [each.feature for each in kept.neighbours] == [each.feature for each in live[n].neighbours]
        assert np.allclose([e.cosine for e in kept.neighbours], [e.cosine for e in live[n].neighbours], atol=1e-5)


def test_table_is_not_made_where_it_costs_too_much(lab):
    index = lab.build_index(corpus(20), context=32, on_progress=False, weights=False)
    assert not index.keep_weights(at_most=10)
    assert index.keep_weights(at_most=1e12)
