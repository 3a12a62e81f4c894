"""Labs with known answers, for the tests of rankings."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import saewidgets
from saewidgets import Lab
from tests.conftest import TL_MAJOR

LAST = "blocks.1.hook_resid_post"
MIDDLE = "blocks.0.hook_resid_post"


@pytest.fixture(scope="session")
def demo():
    """The bundled lab, its model built once."""
    return saewidgets.demo()


@pytest.fixture(params=["native"] + ["hooked"] * (TL_MAJOR == 3))
def linear_model(request, tokenizer):
    """A random model without normalisation: from the last residual on it is linear."""
    shape: dict[str, Any] = {
        "n_layers": 2,
        "d_model": 32,
        "n_ctx": 32,
        "d_head": 8,
        "n_heads": 4,
        "d_mlp": 64,
        "d_vocab": len(tokenizer),
        "act_fn": "gelu_new",
        "normalization_type": None,
        "seed": 0,
    }
    if request.param == "hooked":
        from transformer_lens import HookedTransformer, HookedTransformerConfig

        return HookedTransformer(HookedTransformerConfig(**shape), tokenizer=tokenizer).eval()
    from transformer_lens.model_bridge import TransformerBridge

    return TransformerBridge.boot_native(shape, tokenizer=tokenizer).eval()


@pytest.fixture(params=[torch.float32, torch.float64], ids=["fp32", "fp64"])
def linear_lab(request, linear_model, make_tensors):
    """T-LIN: the linear model with an SAE at its last residual, in one number format."""
    lab = Lab(linear_model.to(request.param))
    tensors = {name: value.to(request.param) for name, value in make_tensors().items()}
    lab.add_sae(tensors, hook=LAST)
    return lab


@pytest.fixture
def double_lab(make_model, make_tensors):
    """A model with layer norms and an SAE in its middle, all in float64."""
    lab = Lab(make_model("native").double())
    lab.add_sae({name: value.double() for name, value in make_tensors().items()}, hook=MIDDLE)
    return lab


@pytest.fixture
def middle(bridge, make_tensors):
    """A lab whose SAE has a block above it."""
    lab = Lab(bridge)
    lab.add_sae(make_tensors("topk"), hook=MIDDLE)
    return lab


# What an SAE's description says of it; every one must be exact.
EVERY_SAE: dict[str, dict[str, Any]] = {
    "standard": {},
    "gated": {"kind": "gated"},
    "jumprelu": {"kind": "jumprelu"},
    "topk": {"kind": "topk"},
    "topk rescaled": {"kind": "topk", "rescale_acts_by_decoder_norm": True},
    "layer_norm": {"normalize_activations": "layer_norm"},
    "constant_norm_rescale": {"normalize_activations": "constant_norm_rescale"},
    "topk rescaled, layer_norm": {
        "kind": "topk",
        "rescale_acts_by_decoder_norm": True,
        "normalize_activations": "layer_norm",
    },
    "b_dec not subtracted": {"apply_b_dec_to_input": False},
    "heads": {"reshape_activations": "hook_z", "metadata": {"hook_name": "blocks.1.attn.hook_z"}},
    "heads, layer_norm": {
        "reshape_activations": "hook_z",
        "metadata": {"hook_name": "blocks.0.attn.hook_z"},
        "normalize_activations": "layer_norm",
    },
    "mlp_out": {"metadata": {"hook_name": "blocks.0.hook_mlp_out"}},
    "resid_pre": {"metadata": {"hook_name": "blocks.1.hook_resid_pre"}},
    "float64 SAE": {"dtype": "float64"},
}


@pytest.fixture(params=EVERY_SAE)
def any_sae_lab(request, bridge, make_sae_folder):
    """The shared model with an SAE of each kind, "saved"."""
    lab = Lab(bridge)
    lab.add_sae(make_sae_folder(**EVERY_SAE[request.param]))
    return lab
