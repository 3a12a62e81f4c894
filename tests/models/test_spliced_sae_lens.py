"""Models of sae_lens, with and without SAEs spliced in: the activation is read as it was before the SAE."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sae_lens import HookedSAETransformer
from sae_lens.analysis.sae_transformer_bridge import SAETransformerBridge
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from transformer_lens import HookedTransformerConfig

from saewidgets import Lab
from saewidgets.models import LanguageModel

HOOK = "blocks.1.hook_resid_post"
IDS = torch.tensor([[0, 5, 9, 40]])


@pytest.fixture(params=["hooked", "bridge"])
def model(request, make_hf_folder, tokenizer):
    if request.param == "bridge":
        return SAETransformerBridge.boot_transformers(str(make_hf_folder("gpt2")), device="cpu")
    config = HookedTransformerConfig(
        n_layers=2, d_model=32, n_ctx=32, d_head=8, n_heads=4, d_vocab=len(tokenizer), act_fn="gelu", seed=0
    )
    return HookedSAETransformer(config, tokenizer=tokenizer).eval()


@pytest.fixture
def sae():
    torch.manual_seed(0)
    return StandardSAE(StandardSAEConfig(d_in=32, d_sae=64, metadata=SAEMetadata(hook_name=HOOK)))


def test_reads_through_splicing_in_and_out(model, sae):
    reader = LanguageModel(model)
    logits = model(IDS)
    expected = reader.read(IDS, [HOOK])[HOOK]
    assert expected.abs().sum() > 0

    model.add_sae(sae)
    spliced = model(IDS)
    assert not torch.allclose(spliced, logits)
    assert torch.allclose(reader.read(IDS, [HOOK])[HOOK], expected, atol=1e-6)
    assert torch.equal(model(IDS), spliced)

    model.reset_saes()
    assert torch.equal(reader.read(IDS, [HOOK])[HOOK], expected)
    assert torch.equal(model(IDS), logits)


def test_reads_after_a_run_with_saes(model, sae):
    reader = LanguageModel(model)
    expected = reader.read(IDS, [HOOK])[HOOK]
    model.run_with_saes(IDS, saes=[sae])
    assert torch.equal(reader.read(IDS, [HOOK])[HOOK], expected)
    assert torch.equal(LanguageModel(model).read(IDS, [HOOK])[HOOK], expected)


def test_lab_of_such_a_model_and_its_sae(model, sae):
    lab = Lab(model)
    assert lab.add_sae(sae) == "sae"
    found = lab.activations(IDS[0], mask_special=False)
    expected = sae.encode(LanguageModel(model).read(IDS, [HOOK])[HOOK])[0].detach().numpy()
    dense = np.stack([found.feature(n) for n in range(64)], axis=1)
    assert abs(dense - expected).max() < 1e-5
