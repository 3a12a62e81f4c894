"""One feature's column gives what a whole encoding gives, and says the scale of its direction."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from saewidgets.saes import load_sae

KINDS = ["standard", "topk", "gated", "jumprelu"]
X = torch.randn(3, 5, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("normalization", ["none", "layer_norm", "constant_norm_rescale", "expected_average_only_in"])
@pytest.mark.parametrize("bias_first", [True, False])
@pytest.mark.parametrize("kind", [*KINDS, "rescaled"])
def test_column_equals_the_whole_encoding(make_tensors, kind, bias_first, normalization):
    sae: Any = load_sae(make_tensors("topk" if kind == "rescaled" else kind), "hook")
    sae.normalization, sae.apply_b_dec_to_input = normalization, bias_first
    if kind == "rescaled":
        sae.rescale_by_decoder_norm = True
    acts, state = sae.encode(X)
    decoded = sae.decode(acts, state)
    for j in (0, 7, 33, 63):
        one, scale = sae.activation_of(X, j)
        assert one.shape == (3, 5)
        torch.testing.assert_close(one, acts[..., j], rtol=1e-4, atol=1e-5)
        assert (one[acts[..., j] == 0] == 0).all()
        more = acts.clone()
        more[..., j] += 1
        added = sae.decode(more, state) - decoded
        row = sae.directions[j].expand_as(X)
        torch.testing.assert_close(added, row if scale is None else row * scale, rtol=1e-4, atol=1e-4)
        assert (scale is None) is (normalization in {"none", "expected_average_only_in"})


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_given_is_not_written_to(make_tensors, kind):
    sae, x = load_sae(make_tensors(kind), "hook"), X.clone()
    before = [tensor.clone() for tensor in sae.tensors()]
    sae.activation_of(x, 7)
    assert torch.equal(x, X)
    assert all(torch.equal(one, other) for one, other in zip(sae.tensors(), before, strict=True))


def test_other_formats_are_encoded_in_that_of_the_sae(make_tensors):
    sae = load_sae(make_tensors(), "hook")
    acts, _ = sae.activation_of(X.bfloat16(), 7)
    assert acts.dtype == torch.float32
    assert torch.equal(acts, sae.activation_of(X.bfloat16().float(), 7)[0])
