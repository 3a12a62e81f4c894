"""Measures of a saved SAE that need no labels: sparsity, dead features, reconstruction, loss recovered, statistics."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import GPT2LMHeadModel

from saewidgets.demo.build.corpus import Corpus
from saewidgets.demo.build.evaluate import mean_loss
from saewidgets.demo.build.ground_truth import Codes
from saewidgets.demo.build.sites import Site


def write_statistics(codes: Codes, folder: Path, sample: str) -> None:
    """Write ``feature_statistics.safetensors``: how often each feature fires, and its largest activation.

    Args:
        codes: Codes of a sample of tokens, no special ones.
        folder: The SAE's.
        sample: What the sample is, in words.
    """
    tokens = len(codes.indptr) - 1
    density = np.bincount(codes.features, minlength=codes.width) / tokens
    tensors = {
        "density": torch.from_numpy(density.astype(np.float32)),
        "reference_max": torch.from_numpy(codes.maximum),
    }
    save_file(tensors, folder / "feature_statistics.safetensors", {"n_tokens": str(tokens), "sample": sample})


@torch.no_grad()
def explained_variance(reconstruct: Callable[[Tensor], Tensor], activations: np.ndarray, chunk: int = 4096) -> float:
    """1 - sum |x - xhat|^2 / sum |x - mean(x)|^2 over all rows, summed in float64."""
    total = residual = 0.0
    mean = torch.from_numpy(activations.mean(0, dtype=np.float64).astype(np.float32))
    for start in range(0, len(activations), chunk):
        x = torch.from_numpy(activations[start : start + chunk].astype(np.float32))
        residual += (x - reconstruct(x)).double().pow(2).sum().item()
        total += (x - mean).double().pow(2).sum().item()
    return 1 - residual / total


def baseline_losses(model: GPT2LMHeadModel, corpus: Corpus, site: Site, mean: Tensor) -> dict[str, float]:
    """Losses in nats with the activations of all tokens but BOS left alone, set to zero, set to their mean."""
    return {
        "clean": mean_loss(model, corpus),
        "zero": mean_loss(model, corpus, site, torch.zeros_like),
        "mean": mean_loss(model, corpus, site, mean.expand_as),
    }


def sae_figures(
    reconstruct: Callable[[Tensor], Tensor],
    codes: Codes,
    activations: np.ndarray,
    losses: dict[str, float],
    spliced: float,
) -> dict[str, float | int]:
    """The figures of one SAE.

    Args:
        reconstruct: The SAE, from flat activations [token, d_in] to as many.
        codes: Its codes of the statistics sample.
        activations: That sample's activations [token, d_in].
        losses: What ``baseline_losses`` gave for its site.
        spliced: Loss with the SAE's reconstruction in the place of the activation.
    """
    alive = np.bincount(codes.features, minlength=codes.width) > 0
    return {
        "l0": round(len(codes.features) / len(activations), 2),
        "dead_fraction": round(float(1 - alive.mean()), 4),
        "dead_over_tokens": len(activations),
        "explained_variance": round(explained_variance(reconstruct, activations), 4),
        "loss_clean": round(losses["clean"], 4),
        "loss_spliced": round(spliced, 4),
        "loss_zero": round(losses["zero"], 4),
        "loss_mean": round(losses["mean"], 4),
        "loss_recovered_zero": round((losses["zero"] - spliced) / (losses["zero"] - losses["clean"]), 4),
        "loss_recovered_mean": round((losses["mean"] - spliced) / (losses["mean"] - losses["clean"]), 4),
    }
