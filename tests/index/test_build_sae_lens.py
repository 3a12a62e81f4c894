"""An index of a sae_lens SAE counts what sae_lens encodes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig

from saewidgets import Lab
from tests.index.test_build import HOOK, corpus

KINDS = {
    "standard": (StandardSAE, StandardSAEConfig, {}),
    "topk": (TopKSAE, TopKSAEConfig, {"k": 8}),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_counts_maxima_and_means(bridge, kind):
    sae_class, config, own = KINDS[kind]
    theirs = sae_class(config(d_in=32, d_sae=64, metadata=SAEMetadata(hook_name=HOOK, prepend_bos=True), **own))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    lab, texts = Lab(bridge), corpus()
    lab.add_sae(theirs, "theirs")
    index = lab.build_index(texts, context=32, on_progress=False)
    with torch.no_grad():
        runs = [bridge.run_with_cache(torch.tensor([text]))[1][HOOK][0, 1:] for text in texts]
        acts = theirs.encode(torch.cat(runs)).numpy()
    assert np.array_equal(index.count, (acts > 0).sum(0))
    assert np.allclose(index.max, acts.max(0), rtol=1e-4)
    assert np.allclose(index.mean * index.count, acts.sum(0, dtype=np.float64), rtol=1e-4)
