"""The algebra of each kind of SAE, with answers worked out by hand."""

from __future__ import annotations

import copy

import pytest
import torch

from saewidgets.saes import GatedSAE, JumpReLUSAE, StandardSAE, TopKSAE, load_sae
from saewidgets.saes.normalization import denormalize, normalize

KINDS = ["standard", "topk", "gated", "jumprelu"]
HOOK = "blocks.0.hook_resid_post"
EYE = torch.eye(3)
ZERO = torch.zeros(3)


def plain(**changes):
    return {"hook": HOOK, "W_enc": EYE, "W_dec": EYE, "b_dec": ZERO, "apply_b_dec_to_input": False, **changes}


def acts_of(sae, *x: float) -> list[float]:
    return [round(value, 5) for value in sae.encode(torch.tensor([x]))[0][0].tolist()]


def test_standard_is_relu_of_the_pre_activation():
    sae = StandardSAE(**plain(b_enc=torch.tensor([0.5, 0.0, -1.0])))
    assert acts_of(sae, 1.0, -2.0, 3.0) == [1.5, 0.0, 2.0]


def test_decoder_bias_is_subtracted_from_the_input_where_asked_for():
    bias = torch.tensor([1.0, 1.0, 0.0])
    assert acts_of(StandardSAE(**plain(b_enc=ZERO, b_dec=bias)), 3.0, 0.5, 1.0) == [3.0, 0.5, 1.0]
    subtracts = StandardSAE(**plain(b_enc=ZERO, b_dec=bias, apply_b_dec_to_input=True))
    assert acts_of(subtracts, 3.0, 0.5, 1.0) == [2.0, 0.0, 1.0]


def test_decode_adds_rows_and_bias():
    sae = StandardSAE(**plain(b_enc=ZERO, b_dec=torch.tensor([1.0, 0.0, 0.0]), W_dec=2 * EYE))
    acts, state = sae.encode(torch.tensor([[1.0, 0.0, 3.0]]))
    assert sae.decode(acts, state).tolist() == [[3.0, 0.0, 6.0]]


def test_topk_keeps_the_k_largest_and_only_positive_ones():
    sae = TopKSAE(**plain(b_enc=ZERO, k=2))
    assert acts_of(sae, 1.0, 2.0, 3.0) == [0.0, 2.0, 3.0]
    assert acts_of(sae, -1.0, -2.0, 3.0) == [0.0, 0.0, 3.0]


def test_topk_rescaled_multiplies_by_the_length_and_decodes_at_length_one():
    sae = TopKSAE(
        **plain(b_enc=ZERO, k=1, W_dec=torch.diag(torch.tensor([4.0, 1.0, 1.0])), rescale_by_decoder_norm=True)
    )
    acts, state = sae.encode(torch.tensor([[1.0, 3.0, 0.0]]))
    assert acts.tolist() == [[4.0, 0.0, 0.0]]
    assert sae.decode(acts, state).tolist() == [[4.0, 0.0, 0.0]]
    assert sae.directions.tolist() == EYE.tolist()


def test_topk_rescaled_row_of_length_zero_has_no_direction_and_no_nan():
    sae = TopKSAE(
        **plain(b_enc=ZERO, k=3, W_dec=torch.diag(torch.tensor([0.0, 1.0, 1.0])), rescale_by_decoder_norm=True)
    )
    acts, state = sae.encode(torch.ones(1, 3))
    assert sae.directions[0].tolist() == [0.0, 0.0, 0.0]
    assert sae.decode(acts, state).tolist() == [[0.0, 1.0, 1.0]]


def test_jumprelu_is_above_both_its_threshold_and_zero():
    sae = JumpReLUSAE(**plain(b_enc=ZERO, threshold=torch.tensor([1.0, 2.0, -3.0])))
    assert acts_of(sae, 1.0, 2.5, -1.0) == [0.0, 2.5, 0.0]


def test_gated_magnitude_where_the_gate_is_open():
    b_gate, b_mag = torch.tensor([0.0, -5.0, 0.0]), torch.tensor([1.0, 1.0, -9.0])
    sae = GatedSAE(**plain(b_gate=b_gate, b_mag=b_mag, r_mag=torch.tensor([0.0, 0.0, 0.0])))
    assert acts_of(sae, 2.0, 2.0, 2.0) == [3.0, 0.0, 0.0]
    scaled = GatedSAE(**plain(b_gate=ZERO, b_mag=ZERO, r_mag=torch.log(torch.tensor([2.0, 3.0, 4.0]))))
    assert acts_of(scaled, 1.0, 1.0, 1.0) == [2.0, 3.0, 4.0]


@pytest.mark.parametrize("kind", KINDS)
def test_directions_are_what_one_unit_adds(make_tensors, kind):
    sae = load_sae(make_tensors(kind), HOOK)
    acts, state = sae.encode(torch.randn(2, 32, generator=torch.Generator().manual_seed(1)))
    more = acts.clone()
    more[:, 7] += 1
    assert torch.allclose(sae.decode(more, state) - sae.decode(acts, state), sae.directions[7].expand(2, -1), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_leading_dimensions_are_kept(make_tensors, kind):
    sae = load_sae(make_tensors(kind), HOOK)
    x = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(1))
    acts, state = sae.encode(x)
    assert acts.shape == (2, 3, 64)
    assert sae.decode(acts, state).shape == (2, 3, 32)
    assert torch.allclose(acts[1, 2], sae.encode(x[1, 2])[0], atol=1e-5)
    assert sae.encode(x[:0])[0].shape == (0, 3, 64)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_the_tensors_nor_the_activation_are_written_to(make_tensors, kind):
    tensors = make_tensors(kind)
    before, x = copy.deepcopy(tensors), torch.randn(5, 32)
    x_before = x.clone()
    sae = load_sae(tensors, HOOK)
    sae.decode(*sae.encode(x))
    sae.directions.clone()
    assert torch.equal(x, x_before)
    assert all(torch.equal(torch.as_tensor(tensors[name]), torch.as_tensor(before[name])) for name in tensors)


def test_tensors_are_shared_and_keep_their_gradient_flags(make_tensors):
    tensors = make_tensors("standard")
    tensors["W_enc"].requires_grad_()
    sae = load_sae(tensors, HOOK)
    assert sae.W_enc.data_ptr() == tensors["W_enc"].data_ptr()
    assert tensors["W_enc"].requires_grad
    assert not sae.encode(torch.ones(1, 32))[0].requires_grad


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_activation_of_another_format_is_encoded_in_that_of_the_sae(make_tensors, dtype):
    sae = load_sae(make_tensors("standard"), HOOK)
    x = torch.randn(4, 32, generator=torch.Generator().manual_seed(1)).to(dtype)
    acts, _ = sae.encode(x)
    assert acts.dtype == torch.float32
    assert torch.equal(acts, sae.encode(x.float())[0])


def test_heads_are_flattened_and_come_back(make_tensors):
    sae = load_sae(make_tensors("standard"), "blocks.0.attn.hook_z")
    x = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(1))
    acts, state = sae.encode(x)
    flat = load_sae(make_tensors("standard"), HOOK)
    assert torch.equal(acts, flat.encode(x.reshape(2, 3, 32))[0])
    assert sae.decode(acts, state).shape == (2, 3, 4, 8)


def test_constant_norm_rescale_makes_every_token_equally_long():
    x = torch.tensor([[3.0, 4.0, 0.0, 0.0], [30.0, 40.0, 0.0, 0.0]])
    normalized, state = normalize(x, "constant_norm_rescale")
    assert torch.allclose(normalized.norm(dim=-1), torch.tensor([2.0, 2.0]))
    assert torch.allclose(denormalize(normalized, state), x)


def test_layer_norm_has_mean_zero_and_unbiased_deviation_one():
    x = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    normalized, state = normalize(x, "layer_norm")
    assert torch.allclose(normalized.mean(), torch.tensor(0.0), atol=1e-6)
    assert torch.allclose(normalized.std(), torch.tensor(1.0), atol=1e-4)
    assert torch.allclose(denormalize(normalized, state), x, atol=1e-4)


def test_expected_average_only_in_changes_nothing():
    x = torch.ones(2, 3)
    normalized, state = normalize(x, "expected_average_only_in")
    assert torch.equal(denormalize(normalized, state), x)


@pytest.mark.parametrize("how", ["layer_norm", "constant_norm_rescale"])
def test_each_batch_is_decoded_with_its_own_state(make_tensors, how):
    sae = load_sae(make_tensors("standard"), HOOK)
    sae.normalization = how
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randn(3, 32, generator=generator), 50 * torch.randn(3, 32, generator=generator)
    alone = sae.decode(*sae.encode(first))
    encoded = sae.encode(first)
    sae.decode(*sae.encode(second))
    assert torch.equal(sae.decode(*encoded), alone)
    assert torch.equal(sae.decode(*encoded), alone)


def test_what_it_says_of_itself(make_tensors):
    sae = load_sae(make_tensors("jumprelu"), HOOK)
    assert repr(sae) == f"JumpReLUSAE(d_in=32, d_sae=64, hook='{HOOK}')"
    assert (sae.kind, sae.d_in, sae.d_sae, sae.dtype) == ("jumprelu", 32, 64, torch.float32)
    assert len(list(sae.tensors())) == 5
