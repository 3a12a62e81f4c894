"""Attribution is what sae_lens gives: the SAE spliced in with its error term, and a backward pass."""

from __future__ import annotations

import pytest
import torch
from sae_lens import HookedSAETransformer
from sae_lens.analysis.sae_transformer_bridge import SAETransformerBridge
from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig
from transformer_lens import HookedTransformerConfig

from saewidgets import Lab
from tests.analysis.by_hand import BASELINE, IDS, TARGET, close, logit_difference

HOOK = "blocks.0.hook_resid_post"
ARCHITECTURES = {
    "standard": (StandardSAE, StandardSAEConfig, {}),
    "topk": (TopKSAE, TopKSAEConfig, {"k": 8}),
    "topk rescaled": (TopKSAE, TopKSAEConfig, {"k": 8, "rescale_acts_by_decoder_norm": True}),
    "gated": (GatedSAE, GatedSAEConfig, {}),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
    "layer_norm": (StandardSAE, StandardSAEConfig, {"normalize_activations": "layer_norm"}),
}


@pytest.fixture(params=["hooked", "bridge"])
def model(request, make_hf_folder, tokenizer):
    if request.param == "bridge":
        return SAETransformerBridge.boot_transformers(str(make_hf_folder("gpt2")), device="cpu")
    config = HookedTransformerConfig(
        n_layers=2, d_model=32, n_ctx=32, d_head=8, n_heads=4, d_vocab=len(tokenizer), act_fn="gelu", seed=0
    )
    return HookedSAETransformer(config, tokenizer=tokenizer).eval()


def randomised(architecture):
    cls, config, options = ARCHITECTURES[architecture]
    torch.manual_seed(0)
    sae = cls(config(d_in=32, d_sae=64, metadata=SAEMetadata(hook_name=HOOK, prepend_bos=True), **options))
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.normal_().mul_(1.0 if name.startswith("W") else 0.3)
            if name == "threshold":
                parameter.abs_()
    return sae


def by_sae_lens(model, sae):
    """f * dM/df at the spliced SAE's own hook point, its error term detached."""
    kept = {}

    def keep(acts, hook):
        acts.retain_grad()
        kept["f"] = acts
        return acts

    with model.saes(saes=[sae], use_error_term=True):
        sae.hook_sae_acts_post.add_hook(keep)
        logits = model(torch.tensor([IDS]))
        logit_difference(logits)[0].backward()
        sae.hook_sae_acts_post.remove_hooks()
    return kept["f"].detach()[0], kept["f"].grad[0], logits.detach()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_agrees_with_sae_lens(model, architecture):
    theirs = randomised(architecture)
    lab = Lab(model)
    lab.add_sae(theirs)
    found = lab.rank(IDS, TARGET, BASELINE, scope="position", max_ablations=0)
    acts, gradient, logits = by_sae_lens(model, theirs)
    close(logits, model(torch.tensor([IDS])).detach(), 1e-5)
    fires = acts[1:] > 0
    close(found.activation, acts[1:][fires], 1e-5, 1e-6)
    close(found.attribution, (acts * gradient)[1:][fires], 1e-5, 1e-6)
    assert len(found) > 8
