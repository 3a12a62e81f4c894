"""The whole build in small: every stage runs, the folders hold what they must, and sae_lens loads every SAE."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from saewidgets.demo.build.pipeline import STAGES, Run, build
from saewidgets.demo.build.saes import load_flat, shuffled
from saewidgets.demo.build.settings import MID_HOOK, TINY, Paths

NAMES = [spec.name for spec in TINY.saes]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("demo")
    run = Run(TINY, Paths(folder / "out", folder / "work"))
    assert list(build(run)) == list(STAGES)
    return run


def test_the_model_folder_has_what_transformers_needs(built):
    files = {path.name for path in built.paths.model.iterdir()}
    assert files >= {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"}
    config = json.loads((built.paths.model / "config.json").read_text())
    assert (config["activation_function"], config["dtype"]) == ("gelu_new", "float32")
    assert (config["bos_token_id"], config["pad_token_id"]) == (0, 1)


@pytest.mark.parametrize("name", NAMES)
def test_sae_lens_loads_each_sae_in_float32(built, name):
    from sae_lens import SAE

    folder = built.paths.sae(name)
    assert {tensor.dtype for tensor in load_file(folder / "sae_weights.safetensors").values()} == {torch.float16}
    sae = SAE.load_from_disk(folder)
    spec = next(spec for spec in TINY.saes if spec.name == name)
    assert (sae.dtype, sae.cfg.d_sae, sae.cfg.d_in) == (torch.float32, spec.width, TINY.d_model)
    assert sae.cfg.normalize_activations == "none"
    assert sae.cfg.metadata.model_name == "saewidgets-demo"
    assert sae.cfg.metadata.prepend_bos is True
    assert (sae.cfg.metadata.hook_name == MID_HOOK) == (spec.site == "mid")


def test_the_name_mover_sae_takes_heads_and_gives_heads(built):
    from sae_lens import SAE

    sae = SAE.load_from_disk(built.paths.sae("name-mover-z"))
    z = torch.randn(2, 3, TINY.n_heads, TINY.d_model // TINY.n_heads)
    assert sae(z).shape == z.shape
    flat = load_flat(built.paths.sae("name-mover-z"))
    assert torch.allclose(flat(z.flatten(-2)), sae(z).flatten(-2), atol=1e-6)


def test_topk_is_saved_with_directions_of_length_one(built):
    weights = load_file(built.paths.sae("mid-topk-512") / "sae_weights.safetensors")
    assert torch.allclose(weights["W_dec"].float().norm(dim=1), torch.ones(32), atol=2e-3)
    config = json.loads((built.paths.sae("mid-topk-512") / "cfg.json").read_text())
    assert config["rescale_acts_by_decoder_norm"] is False


@pytest.mark.parametrize("name", NAMES)
def test_the_statistics_are_those_of_the_saved_sae(built, name):
    folder = built.paths.sae(name)
    spec = next(spec for spec in TINY.saes if spec.name == name)
    rows = np.load(built.paths.work / f"statistics-{spec.site}.npy")
    with torch.no_grad():
        acts = load_flat(folder).encode(torch.from_numpy(rows.astype(np.float32)))
    with safe_open(folder / "feature_statistics.safetensors", "pt") as held:
        assert held.metadata()["n_tokens"] == str(len(rows))
        assert torch.allclose(held.get_tensor("density"), (acts > 0).float().mean(0), atol=1e-4)
        assert torch.allclose(held.get_tensor("reference_max"), acts.amax(0), atol=1e-4)


def test_no_machine_path_or_time_gets_into_the_assets(built):
    for path in built.paths.out.rglob("*"):
        if path.suffix in {".json", ".md"}:
            text = path.read_text(encoding="utf-8")
            assert str(built.paths.out.parent) not in text


def test_the_card_names_every_sae_and_the_command(built):
    text = (built.paths.out / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "python -m saewidgets.demo.build --out saewidgets/demo/assets" in text
    assert all(f"| {name} |" in text for name in NAMES)
    figures = json.loads((built.paths.out / "figures.json").read_text())
    assert list(figures["saes"]) == NAMES
    assert set(figures["concepts"]["scores"]) == set(NAMES)


def test_a_build_resumed_at_a_stage_repeats_it_bit_for_bit(built):
    path = built.paths.sae("mid-topk-512") / "sae_weights.safetensors"
    card, before = (built.paths.out / "MODEL_CARD.md").read_text(), path.read_bytes()
    path.unlink()
    took = build(Run(TINY, built.paths, ("mid-topk-512",)), "saes", "card")
    assert list(took) == ["saes", "measure-saes", "card"]
    assert path.read_bytes() == before
    assert (built.paths.out / "MODEL_CARD.md").read_text() == card


def test_an_unknown_sae_is_refused_before_anything_is_written(tmp_path):
    run = Run(TINY, Paths(tmp_path / "out", tmp_path / "work"), ("mid-topk-99",))
    with pytest.raises(ValueError, match="mid-topk-99"):
        build(run)
    assert not (tmp_path / "out").exists()


def test_batches_visit_every_row_once_an_epoch():
    rows = np.arange(12, dtype=np.float16)[:, None]
    batches = shuffled(rows, 4, seed=0)
    epochs = [sorted(torch.cat([next(batches) for _ in range(3)])[:, 0].tolist()) for _ in range(2)]
    assert epochs == [list(range(12))] * 2


def test_the_command_lists_its_stages():
    shown = subprocess.run(
        [sys.executable, "-m", "saewidgets.demo.build", "--help"], capture_output=True, text=True, check=True
    )
    assert all(stage in shown.stdout for stage in STAGES)
