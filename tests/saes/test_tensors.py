"""SAEs from a dict of tensors or arrays, and what is no SAE at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import saes
from saewidgets.errors import LoadError, NonFiniteError

HOOK = "blocks.1.hook_resid_post"


def load_sae(source: Any, hook: str | None = None) -> Any:
    return saes.load_sae(source, hook)


@pytest.mark.parametrize("kind", ["standard", "topk", "gated", "jumprelu"])
def test_kind_is_told_by_the_tensors(make_tensors, kind):
    assert load_sae(make_tensors(kind), HOOK).kind == kind


def test_numpy_arrays_are_taken_too(make_tensors):
    tensors = make_tensors()
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    arrays["b_dec"] = arrays["b_dec"].copy()
    arrays["b_dec"].flags.writeable = False
    x = torch.ones(1, 32)
    assert torch.equal(load_sae(arrays, HOOK).encode(x)[0], load_sae(tensors, HOOK).encode(x)[0])


@pytest.mark.parametrize("k", [4, torch.tensor(4), np.int64(4)], ids=["int", "tensor", "numpy"])
def test_k_in_any_form(make_tensors, k):
    assert load_sae({**make_tensors("topk"), "k": k}, HOOK).k == 4


@pytest.mark.parametrize("k", [0, 65, True, 2.5, "4", torch.ones(2)], ids=repr)
def test_wrong_k(make_tensors, k):
    with pytest.raises(LoadError, match=r"'k' is wrong[\s\S]*1\.\.64"):
        load_sae({**make_tensors("topk"), "k": k}, HOOK)


def test_whether_the_decoder_bias_is_subtracted(make_tensors):
    assert load_sae(make_tensors(), HOOK).apply_b_dec_to_input
    assert not load_sae({**make_tensors(), "apply_b_dec_to_input": False}, HOOK).apply_b_dec_to_input
    with pytest.raises(LoadError, match="True or False"):
        load_sae({**make_tensors(), "apply_b_dec_to_input": 1}, HOOK)


def test_tensors_of_another_format_follow_the_encoder(make_tensors):
    tensors = make_tensors()
    tensors["W_dec"] = tensors["W_dec"].double()
    sae = load_sae(tensors, HOOK)
    assert {tensor.dtype for tensor in sae.tensors()} == {torch.float32}


@pytest.mark.parametrize("hook", [None, ""])
def test_hook_is_needed(make_tensors, hook):
    with pytest.raises(LoadError, match=r"does not say what it reads[\s\S]*pass hook="):
        load_sae(make_tensors(), hook)


@pytest.mark.parametrize("missing", ["W_enc", "W_dec", "b_enc", "b_dec"])
def test_missing_tensor(make_tensors, missing):
    tensors = make_tensors()
    del tensors[missing]
    with pytest.raises(LoadError, match=f"no '{missing}'"):
        load_sae(tensors, HOOK)


def test_part_of_a_gated_sae(make_tensors):
    tensors = make_tensors("gated")
    del tensors["r_mag"]
    with pytest.raises(LoadError, match=r"of a gated SAE[\s\S]*no 'r_mag'"):
        load_sae(tensors, HOOK)


@pytest.mark.parametrize("W_dec", [torch.zeros(0, 32), torch.zeros(64), torch.zeros(2, 64, 32), torch.zeros(64, 0)])
def test_decoder_that_is_no_matrix(make_tensors, W_dec):
    with pytest.raises(LoadError, match="'W_dec' has the wrong shape"):
        load_sae({**make_tensors(), "W_dec": W_dec}, HOOK)


def test_transposed_encoder(make_tensors):
    tensors = make_tensors()
    with pytest.raises(LoadError, match=r"'W_enc'[\s\S]*\[64, 32\][\s\S]*\[32, 64\]"):
        load_sae({**tensors, "W_enc": tensors["W_enc"].T}, HOOK)


@pytest.mark.parametrize("value", [[[1.0]], None, "W", np.array(["a"])], ids=["list", "None", "text", "words"])
def test_what_is_no_tensor(make_tensors, value):
    with pytest.raises(LoadError, match="'W_enc' is no tensor"):
        load_sae({**make_tensors(), "W_enc": value}, HOOK)


def test_not_finite(make_tensors):
    tensors = make_tensors()
    tensors["b_enc"][3] = float("nan")
    with pytest.raises(NonFiniteError, match="'b_enc'"):
        load_sae(tensors, HOOK)


@pytest.mark.parametrize("source", [None, 3, [1, 2], torch.ones(3), torch.nn.Linear(2, 2)], ids=repr)
def test_what_is_no_sae(source):
    with pytest.raises(LoadError, match="not an SAE"):
        load_sae(source, HOOK)


def test_an_sae_is_passed_through(make_tensors):
    sae = load_sae(make_tensors(), HOOK)
    assert load_sae(sae) is sae


def test_numpy_arrays_of_any_order_are_taken(make_tensors):
    tensors = make_tensors()
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    arrays["W_enc"] = arrays["W_enc"][::-1].copy()[::-1]
    arrays["b_enc"] = arrays["b_enc"].astype(">f4")
    sae = load_sae(arrays, HOOK)
    assert torch.equal(sae.W_enc, tensors["W_enc"])
    assert torch.equal(sae.b_enc, tensors["b_enc"])


@pytest.mark.parametrize("make", [lambda t: t.to_sparse(), lambda t: t.to("meta")])
def test_tensors_without_plain_memory_are_refused(make_tensors, make):
    tensors = make_tensors()
    with pytest.raises(LoadError, match="dense torch tensor"):
        load_sae({**tensors, "W_enc": make(tensors["W_enc"])}, HOOK)
