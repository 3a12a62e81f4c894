"""An SAE from a folder in the format of sae_lens, read without sae_lens: json and safetensors only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from torch import Tensor

from saewidgets.errors import LoadError
from saewidgets.saes.build import build_sae, check_names, check_shape
from saewidgets.saes.config import SAEConfig, read_config
from saewidgets.saes.core import SAE

CONFIG, WEIGHTS, STATISTICS = "cfg.json", "sae_weights.safetensors", "feature_statistics.safetensors"
_MAX_CONFIG_BYTES = 1_000_000


def load_folder(folder: Path, hook: str | None = None) -> SAE:
    """The SAE in a folder: ``cfg.json``, ``sae_weights.safetensors`` and, where there is one, its statistics.

    Args:
        folder: The folder.
        hook: Hook point to read instead of the one described.

    Raises:
        LoadError: A file is missing or wrong; names the file, the field and what is allowed.
        NonFiniteError: A weight is NaN or infinite.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise LoadError(
                "This folder holds no SAE.",
                got=f"{folder} without {name}",
                expected=f"{CONFIG} and {WEIGHTS}",
                do="save one there with sae.save_inference_model(folder) of sae_lens",
            )
    config = read_config(str(folder / CONFIG), _read_json(folder / CONFIG), hook)
    sae = build_sae(str(folder / WEIGHTS), config, _read_weights(folder / WEIGHTS, config))
    if (folder / STATISTICS).is_file():
        _read_statistics(folder / STATISTICS, sae)
    return sae


def _read_json(path: Path) -> Mapping[str, Any]:
    if path.stat().st_size > _MAX_CONFIG_BYTES:
        raise LoadError(f"{path} is too large.", got=f"{path.stat().st_size} bytes", expected="a description, in json")
    try:
        raw = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise LoadError(f"{path} is not json.", got=str(error)[:200] or type(error).__name__) from error
    if not isinstance(raw, dict):
        raise LoadError(f"{path} does not describe an SAE.", got=type(raw).__name__, expected="an object with fields")
    return raw


def _read_weights(path: Path, config: SAEConfig) -> dict[str, Tensor]:
    d_in, d_sae = config.widths
    try:
        with safe_open(path, framework="pt") as file:
            stored: dict[str, str] = {_RENAMED.get(name, name): name for name in map(str, file.keys())}
            check_names(str(path), config.kind, list(stored))
            for name, stored_name in stored.items():
                check_shape(str(path), name, file.get_slice(stored_name).get_shape(), d_in, d_sae)
            tensors = {name: file.get_tensor(stored_name) for name, stored_name in stored.items()}
    except (SafetensorError, OSError) as error:
        raise _not_safetensors(path, error) from error
    return {n: t.exp() if stored[n] == "log_threshold" else t for n, t in tensors.items()}


_RENAMED = {"log_threshold": "threshold"}


def _read_statistics(path: Path, sae: SAE) -> None:
    try:
        with safe_open(path, framework="numpy") as file:
            names = set(file.keys())
            arrays = {name: file.get_tensor(name) for name in ("density", "reference_max") if name in names}
            header = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise _not_safetensors(path, error) from error
    for name, array in arrays.items():
        if array.shape != (sae.d_sae,) or array.dtype.kind != "f" or not np.isfinite(array).all() or (array < 0).any():
            raise LoadError(
                f"{path}: tensor '{name}' is wrong.",
                got=f"{array.dtype} of shape {list(array.shape)}",
                expected=f"one finite number >= 0 for each of {sae.d_sae} features",
            )
    sae.density, sae.reference_max = (
        arrays[name].astype(np.float32) if name in arrays else None for name in ("density", "reference_max")
    )
    n_tokens = header.get("n_tokens", "")
    sae.n_reference_tokens = int(n_tokens) if n_tokens.isdecimal() and len(n_tokens) < 19 else None
    sae.reference_sample = header.get("sample")


def _not_safetensors(path: Path, error: Exception) -> LoadError:
    return LoadError(f"{path} is not a readable safetensors file.", got=str(error)[:200], do="copy or save it again")
