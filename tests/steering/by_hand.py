"""Edits made by TransformerLens's own hooks, from whole encodings: what ours are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saewidgets import Lab
from saewidgets.saes import SAE

IDS = torch.tensor([[0, 5, 9, 40, 41, 7, 100, 33]])
PLAIN = IDS[0] != 0
HOOK = "blocks.0.hook_resid_post"
MAXIMUM = 3.0
VARIANTS = [
    "standard", "gated", "jumprelu", "topk", "rescaled topk", "layer_norm", "constant_norm_rescale", "hook_z",
]  # fmt: skip


def add_variant(lab: Lab, make_tensors: Any, variant: str, hook: str = HOOK, name: str = "sae") -> SAE:
    """Hold an SAE of a kind; every feature's reference maximum is 3."""
    kind = variant if variant in {"gated", "jumprelu", "topk"} else "topk" if "topk" in variant else "standard"
    hook = "blocks.0.attn.hook_z" if variant == "hook_z" else hook
    tensors = make_tensors(kind)
    if kind == "jumprelu":
        tensors["threshold"] = tensors["threshold"] * 0.5
    lab.add_sae(tensors, name=name, hook=hook)
    sae: Any = lab.saes[name]
    if variant in {"layer_norm", "constant_norm_rescale"}:
        sae.normalization = variant
    if variant == "rescaled topk":
        sae.rescale_by_decoder_norm = True
    sae.reference_max = np.full(sae.d_sae, MAXIMUM, np.float32)
    return sae


def make_lab(model: Any, make_tensors: Any, variant: str = "standard", hook: str = HOOK) -> Lab:
    """A lab of a model and one SAE, "sae"."""
    lab = Lab(model, name="tiny")
    add_variant(lab, make_tensors, variant, hook)
    return lab


def activation(model: Any, hook: str, ids: Tensor = IDS) -> Tensor:
    """What TransformerLens reads at a hook point, heads flattened [batch, pos, d]."""
    with torch.no_grad():
        return model.run_with_cache(ids)[1][hook].flatten(2)


def fires(model: Any, sae: SAE, ids: Tensor = IDS) -> Tensor:
    """Features of each token [batch, pos, d_sae]."""
    x = activation(model, sae.hook, ids)
    return sae.encode(x.unflatten(-1, (4, 8)) if sae.reshape_heads else x)[0]


def sometimes(model: Any, sae: SAE, ids: Tensor = IDS) -> int:
    """A feature that fires on some of the plain tokens and not on all, the one with the largest activation."""
    f = fires(model, sae, ids)[ids != 0]
    share = (f > 0).float().mean(0)
    chosen = (share > 0.2) & (share < 0.8)
    assert chosen.any()
    return int((f.sum(0) * chosen).argmax())


def never(model: Any, sae: SAE, ids: Tensor = IDS) -> int:
    """A feature that is silent on every token; its bias is lowered where there is none."""
    silent = (fires(model, sae, ids).flatten(0, 1) > 0).sum(0) == 0
    if not silent.any():
        any_sae: Any = sae
        bias = any_sae.b_gate if sae.kind == "gated" else any_sae.b_enc
        bias[0] -= 1000
        return 0
    return int(silent.float().argmax())


def decoded_with(sae: SAE, x: Tensor, feature: int, new: Tensor) -> Tensor:
    """decode(f with f_j = new) + error [batch, pos, d]."""
    shaped = x.unflatten(-1, (4, 8)) if sae.reshape_heads else x
    acts, state = sae.encode(shaped)
    error = shaped - sae.decode(acts, state)
    changed = acts.clone()
    changed[..., feature] = new
    return (sae.decode(changed, state) + error).flatten(2) if sae.reshape_heads else sae.decode(changed, state) + error


def edited_at(model: Any, hook: str) -> str:
    """Where TransformerLens must be hooked so that the activation at ``hook`` changes."""
    bridged = hook.endswith("hook_resid_mid") and "hook_resid_mid" not in dict(model.blocks[0].named_children())
    return hook.replace("hook_resid_mid", "hook_attn_out") if bridged else hook


def logits_with(model: Any, added: Mapping[str, Tensor], ids: Tensor = IDS) -> Tensor:
    """Logits with numbers [batch, pos, d] added at hook points, by TransformerLens's own hooks."""

    def adding(delta: Tensor) -> Any:
        return lambda x, hook: x + delta.reshape(x.shape).to(x.dtype)

    hooks = [(edited_at(model, hook), adding(delta)) for hook, delta in added.items()]
    with torch.no_grad():
        return model.run_with_hooks(ids, fwd_hooks=hooks)


def steered_logits(lab: Lab, edits: Any, ids: Tensor = IDS) -> Tensor:
    """Logits of the user's own forward pass inside ``lab.steering``."""
    model: Any = next(iter(lab.models.values())).model
    with lab.steering(edits), torch.no_grad():
        return model(ids)


def kl(base: Tensor, edited: Tensor) -> Tensor:
    """KL(base || edited) of logits, float64."""
    p, q = base.double().log_softmax(-1), edited.double().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)
