"""Every architecture gives the numbers of sae_lens on the same weights, as an object and as a folder."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import pytest
import torch
from sae_lens.saes.batchtopk_sae import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
from sae_lens.saes.gated_sae import GatedSAE, GatedSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUSAE, JumpReLUSAEConfig
from sae_lens.saes.matryoshka_batchtopk_sae import MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig
from sae_lens.saes.sae import SAEMetadata
from sae_lens.saes.standard_sae import StandardSAE, StandardSAEConfig
from sae_lens.saes.topk_sae import TopKSAE, TopKSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.saes.transcoder import Transcoder, TranscoderConfig

from saewidgets.errors import LoadError
from saewidgets.saes import load_sae

ARCHITECTURES = {
    "standard": (StandardSAE, StandardSAEConfig, {}),
    "topk": (TopKSAE, TopKSAEConfig, {"k": 8}),
    "topk rescaled": (TopKSAE, TopKSAEConfig, {"k": 8, "rescale_acts_by_decoder_norm": True}),
    "gated": (GatedSAE, GatedSAEConfig, {}),
    "jumprelu": (JumpReLUSAE, JumpReLUSAEConfig, {}),
}
NORMALIZATIONS = ["none", "constant_norm_rescale", "layer_norm", "expected_average_only_in"]
UNFOLDED = "ignore:.*expected_average_only_in:UserWarning"


def randomised(cls, config_cls, hook="blocks.1.hook_resid_post", **options):
    torch.manual_seed(0)
    sae = cls(config_cls(d_in=32, d_sae=64, metadata=SAEMetadata(hook_name=hook, prepend_bos=True), **options))
    with torch.no_grad():
        for name, parameter in sae.named_parameters():
            parameter.normal_().mul_(1.0 if name.startswith("W") else 0.3)
            if name == "threshold":
                parameter.abs_()
    return sae


def hashes(module) -> dict[str, str]:
    return {n: hashlib.sha256(p.detach().numpy().tobytes()).hexdigest() for n, p in module.state_dict().items()}


@pytest.fixture
def x() -> torch.Tensor:
    return 3 * torch.randn(5, 7, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.filterwarnings(UNFOLDED)
@pytest.mark.parametrize("subtract", [True, False], ids=["minus b_dec", "as it is"])
@pytest.mark.parametrize("normalization", NORMALIZATIONS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_object_and_folder_encode_and_decode_alike(architecture, normalization, subtract, x, tmp_path):
    cls, config_cls, options = ARCHITECTURES[architecture]
    theirs = randomised(cls, config_cls, normalize_activations=normalization, apply_b_dec_to_input=subtract, **options)
    before = hashes(theirs)
    theirs.save_model(tmp_path)
    expected = theirs.encode(x).detach()
    expected_x = theirs.decode(expected).detach()
    assert (expected > 0).any()
    for ours in (load_sae(theirs), load_sae(tmp_path)):
        acts, state = ours.encode(x)
        assert torch.allclose(acts, expected, atol=1e-5, rtol=1e-5)
        assert torch.allclose(ours.decode(acts, state), expected_x, atol=1e-4, rtol=1e-5)
    assert hashes(theirs) == before
    assert all(parameter.requires_grad for parameter in theirs.parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_heads_are_flattened_as_sae_lens_does(architecture):
    cls, config_cls, options = ARCHITECTURES[architecture]
    theirs = randomised(cls, config_cls, "blocks.0.attn.hook_z", reshape_activations="hook_z", **options)
    z = torch.randn(2, 3, 4, 8, generator=torch.Generator().manual_seed(1))
    ours = load_sae(theirs)
    acts, state = ours.encode(z)
    expected = theirs.encode(z).detach()
    assert torch.allclose(acts, expected, atol=1e-5)
    assert torch.allclose(ours.decode(acts, state), theirs.decode(expected).detach(), atol=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_other_number_formats(architecture, dtype, x):
    cls, config_cls, options = ARCHITECTURES[architecture]
    theirs = randomised(cls, config_cls, dtype=dtype, **options)
    ours = load_sae(theirs)
    acts, expected = ours.encode(x)[0].double(), theirs.encode(x).detach().double()
    assert ours.dtype == theirs.dtype
    # One rounding more or less: a gate or a threshold next to a pre-activation may go the other way.
    close = torch.isclose(acts, expected, atol=1e-5 if dtype == "float64" else 0.2, rtol=0.02)
    assert close.float().mean() > 0.99


@pytest.mark.parametrize(
    ("cls", "config_cls"),
    [
        (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig),
        (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig),
    ],
)
def test_batch_topk_is_read_as_saved_and_refused_while_training(cls, config_cls, x, tmp_path):
    options: dict[str, Any] = {"matryoshka_widths": [16, 64]} if "Matryoshka" in cls.__name__ else {}
    training = randomised(cls, config_cls, k=8, **options)
    training.topk_threshold.fill_(1.5)
    with pytest.raises(LoadError, match="save_inference_model"):
        load_sae(training)
    training.save_inference_model(tmp_path)
    ours = load_sae(tmp_path)
    assert ours.kind == "jumprelu"
    theirs = JumpReLUSAE.load_from_disk(tmp_path)
    assert torch.allclose(ours.encode(x)[0], theirs.encode(x).detach(), atol=1e-5)


def test_sae_that_is_still_trained(x):
    theirs = randomised(TopKTrainingSAE, TopKTrainingSAEConfig, k=8)
    assert torch.allclose(load_sae(theirs).encode(x)[0], theirs.encode(x).detach(), atol=1e-5)


def test_transcoder_is_refused():
    with pytest.raises(LoadError, match=r"'transcoder' cannot be used here: it predicts a layer's output"):
        load_sae(randomised(Transcoder, TranscoderConfig, d_out=32, apply_b_dec_to_input=False))


def test_folded_factor_makes_no_warning(x):
    theirs = randomised(StandardSAE, StandardSAEConfig, normalize_activations="expected_average_only_in")
    theirs.fold_activation_norm_scaling_factor(0.5)
    ours = load_sae(theirs)
    assert torch.allclose(ours.encode(x)[0], theirs.encode(x).detach(), atol=1e-5)


def test_sae_lens_is_not_imported_for_a_folder(tmp_path):
    import subprocess

    randomised(StandardSAE, StandardSAEConfig).save_model(tmp_path)
    program = (
        "import sys; from saewidgets.saes import load_sae; load_sae(sys.argv[1]); "
        "sys.exit(any(name in sys.modules for name in ('sae_lens', 'transformer_lens', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == 0
