"""An SAE from an object of sae_lens, without importing sae_lens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from saewidgets.errors import LoadError
from saewidgets.saes.build import build_sae
from saewidgets.saes.config import read_config
from saewidgets.saes.core import SAE


def is_sae_lens_object(source: Any) -> bool:
    """Whether this looks like an SAE of sae_lens: a module with a ``cfg`` that says its widths."""
    return isinstance(source, nn.Module) and hasattr(getattr(source, "cfg", None), "d_sae")


def load_object(source: Any, hook: str | None = None) -> SAE:
    """An SAE that shares the parameters of a sae_lens object; nothing of the object is changed.

    Args:
        source: The object.
        hook: Hook point to read instead of the one in its metadata.

    Raises:
        LoadError: Its architecture cannot be used here.
        NonFiniteError: A weight is NaN or infinite.
    """
    where = f"The {type(source).__name__}"
    raw: Any = source.cfg.to_dict() if hasattr(source.cfg, "to_dict") else vars(source.cfg)
    if not isinstance(raw, Mapping):
        raise LoadError(f"{where} has no readable cfg.", got=type(raw).__name__, expected="a dict of fields")
    config = replace(read_config(where, raw, hook), dtype=None)
    tensors: dict[str, Tensor] = {name: p.detach() for name, p in source.named_parameters()}
    if "log_threshold" in tensors:
        tensors["threshold"] = tensors.pop("log_threshold").exp()
    return build_sae(where, config, tensors)
