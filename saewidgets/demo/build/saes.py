"""Trains the bundled SAEs with sae_lens on cached activations, and saves them in its format with float16 weights."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from saewidgets.demo.build.settings import MODEL_NAME, SAESpec, Settings
from saewidgets.demo.build.sites import Site

os.environ.setdefault("WANDB_MODE", "disabled")

from sae_lens.config import SAETrainerConfig
from sae_lens.saes.gated_sae import GatedTrainingSAE, GatedTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig
from sae_lens.saes.matryoshka_batchtopk_sae import (
    MatryoshkaBatchTopKTrainingSAE,
    MatryoshkaBatchTopKTrainingSAEConfig,
)
from sae_lens.saes.sae import SAE, SAEMetadata, TrainingSAE
from sae_lens.saes.standard_sae import StandardTrainingSAE, StandardTrainingSAEConfig
from sae_lens.saes.topk_sae import TopKTrainingSAE, TopKTrainingSAEConfig
from sae_lens.training.sae_trainer import SAETrainer

CANDIDATES = 12
START_NORM = 0.8

_KINDS: dict[str, tuple[type[TrainingSAE[Any]], type[Any]]] = {
    "standard": (StandardTrainingSAE, StandardTrainingSAEConfig),
    "gated": (GatedTrainingSAE, GatedTrainingSAEConfig),
    "jumprelu": (JumpReLUTrainingSAE, JumpReLUTrainingSAEConfig),
    "topk": (TopKTrainingSAE, TopKTrainingSAEConfig),
    "matryoshka_batchtopk": (MatryoshkaBatchTopKTrainingSAE, MatryoshkaBatchTopKTrainingSAEConfig),
}


def shuffled(activations: np.ndarray, size: int, seed: int) -> Iterator[Tensor]:
    """Batches of rows in float32, each row once an epoch, in a new order every epoch, for ever."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(activations))
        for start in range(0, len(order) - size + 1, size):
            yield torch.from_numpy(activations[order[start : start + size]].astype(np.float32))


def _new_sae(spec: SAESpec, site: Site, d_in: int, settings: Settings) -> TrainingSAE[Any]:
    sae_class, config_class = _KINDS[spec.kind]
    metadata = SAEMetadata(
        model_name=MODEL_NAME,
        hook_name=site.hook,
        context_size=settings.context,
        prepend_bos=True,
        dataset="saewidgets.demo.world",
        exclude_special_tokens=True,
    )
    config = config_class(
        d_in=d_in,
        d_sae=spec.width,
        dtype="float32",
        device="cpu",
        # Scaled to a mean norm of sqrt(d_in) in training; the factor is folded into the weights at the end.
        normalize_activations="expected_average_only_in",
        reshape_activations="none",
        decoder_init_norm=START_NORM,
        metadata=metadata,
        **spec.options,
    )
    return sae_class(config)


def distinct_directions(rows: np.ndarray, width: int, seed: int) -> Tensor:
    """Unit vectors [width, d] along centred rows that point in different directions.

    Rows are taken in random order, first only those with a cosine below 0.7 to all taken before, then below 0.8, and so
    on. So rare directions are among them, and a latent that starts on one does not die before it is ever active.
    """
    rng = np.random.default_rng(seed)
    chosen = rows[rng.permutation(len(rows))[: CANDIDATES * width]].astype(np.float32)
    unit = torch.nn.functional.normalize(torch.from_numpy(chosen - rows[:100_000].mean(0, dtype=np.float32)), dim=1)
    taken = unit[:0]
    for limit in (0.7, 0.8, 0.9, 0.95, 1.1):
        for part in unit.split(512):
            fresh = part[(part @ taken.t()).amax(1) < limit] if len(taken) else part
            close = (fresh @ fresh.t()).tril(-1) >= limit
            keep = torch.ones(len(fresh), dtype=torch.bool)
            for row in range(len(fresh)):
                keep[row] = not bool((close[row] & keep).any())
            taken = torch.cat([taken, fresh[keep]])[:width]
            if len(taken) == width:
                return taken
    return taken


def _start(sae: TrainingSAE[Any], activations: np.ndarray, seed: int) -> None:
    """Start every latent on a direction that occurs, with decoder rows of length ``START_NORM``."""
    directions = distinct_directions(activations, sae.cfg.d_sae, seed)
    order = torch.randperm(len(directions))
    with torch.no_grad():
        sae.W_dec.copy_(START_NORM * directions[order])
        sae.W_enc.copy_(sae.W_dec.t())


def train_sae(spec: SAESpec, site: Site, activations: np.ndarray, settings: Settings) -> TrainingSAE[Any]:
    """Train one SAE.

    Args:
        spec: What to train.
        site: Where the activations come from.
        activations: [token, d_in] float16, no special tokens.
        settings: Batch size and seed.

    Returns:
        The trained sae_lens SAE, with the scale of the activations folded into its weights.
    """
    torch.manual_seed(settings.seed + spec.width)
    sae = _new_sae(spec, site, activations.shape[1], settings)
    _start(sae, activations, settings.seed)
    steps = spec.samples // settings.sae_batch
    config = SAETrainerConfig(
        total_training_samples=steps * settings.sae_batch,
        train_batch_size_samples=settings.sae_batch,
        lr=spec.learning_rate,
        lr_end=spec.learning_rate / 10,
        lr_warm_up_steps=min(100, steps // 10 + 1),
        lr_decay_steps=max(1, steps // 4),
        autocast=True,
        dead_feature_window=min(400, max(10, steps // 8)),
        n_batches_for_norm_estimate=20,
    )
    return SAETrainer(config, sae, shuffled(activations, settings.sae_batch, settings.seed)).fit()


def save_sae(sae: TrainingSAE[Any], folder: Path, site: Site) -> None:
    """Write ``cfg.json`` and ``sae_weights.safetensors`` as sae_lens does, then turn the weights to float16."""
    weights_path, config_path = sae.save_inference_model(folder)
    weights = {name: tensor.to(torch.float16).contiguous() for name, tensor in load_file(weights_path).items()}
    save_file(weights, weights_path)
    weights_path.chmod(0o644)
    config = json.loads(config_path.read_text())
    if site.kind == "z":
        config["reshape_activations"] = "hook_z"
    if config.get("rescale_acts_by_decoder_norm"):
        # Saving has folded the norms into the weights: the rows of W_dec have length 1.
        config["rescale_acts_by_decoder_norm"] = False
    for measured_in_training in ("l0", "num_dead_features"):
        config["metadata"].pop(measured_in_training, None)
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def load_flat(folder: Path) -> SAE[Any]:
    """Load a saved SAE in float32 for flat activations [token, d_in], whatever its hook's shape."""
    sae = SAE.load_from_disk(folder)
    if sae.cfg.reshape_activations == "hook_z":
        sae.turn_off_forward_pass_hook_z_reshaping()
    return sae.eval().requires_grad_(False)
