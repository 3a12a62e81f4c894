"""An SAE from what the user has: an object, a folder, or tensors."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saewidgets.errors import LoadError
from saewidgets.saes.core import SAE
from saewidgets.saes.sae_lens_folder import load_folder
from saewidgets.saes.sae_lens_object import is_sae_lens_object, load_object
from saewidgets.saes.tensors import load_tensors


def load_sae(source: Any, hook: str | None = None) -> SAE:
    """An SAE, sharing the user's tensors where it can and changing none.

    Args:
        source: A sae_lens object, a sae_lens folder on disk, or a dict of tensors.
        hook: Hook point that it reads; needed for a dict, else what the SAE itself says.

    Raises:
        LoadError: There is no SAE there, or one that cannot be used here.
        NonFiniteError: A weight is NaN or infinite.

    Example:
        >>> load_sae("my_saes/layer_8")  # doctest: +SKIP
        JumpReLUSAE(d_in=768, d_sae=24576, hook='blocks.8.hook_resid_pre')
    """
    if isinstance(source, SAE):
        return source if hook in {None, source.hook} else dataclasses.replace(source, hook=hook)
    if isinstance(source, str | os.PathLike):
        folder = Path(source).expanduser()
        if not folder.is_dir():
            raise LoadError(
                "There is no such folder.",
                got=str(source),
                expected="a folder with cfg.json and sae_weights.safetensors",
                do="load an SAE of a hub release with SAE.from_pretrained of sae_lens and pass the object",
            )
        return load_folder(folder, hook)
    if is_sae_lens_object(source):
        return load_object(source, hook)
    if isinstance(source, Mapping):
        return load_tensors(source, hook)
    raise LoadError(
        "This is not an SAE.",
        got=type(source).__name__,
        expected="a sae_lens SAE, a sae_lens folder, or a dict of tensors",
    )
