"""The attention patterns of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saewidgets.errors import HookPointError, MismatchError
from saewidgets.models import LanguageModel
from saewidgets.results import Attention, Tokens
from saewidgets.results.attention import known_layer


def attention(model: LanguageModel, tokens: Tokens, layer: Any) -> Attention:
    """Which tokens each head of a layer looks at, from one forward pass that ends at that layer.

    Args:
        model: The model.
        tokens: The prompt.
        layer: Number of the layer, from 0 or, below 0, from the last.

    Returns:
        The patterns, float32 [head, query, key]; heads that share keys and values have a pattern each.

    Raises:
        HookPointError: There is no such layer, or the model computes no patterns.
        MismatchError: Tokens look at later tokens: the model is no decoder.
        NonFiniteError: A weight is NaN or infinite.

    Example:
        >>> attention(model, model.tokenize("The capital of France is"), 0).pattern.shape  # doctest: +SKIP
        (4, 6, 6)
    """
    number = known_layer(layer, n_layers_of(model))
    hook = f"blocks.{number}.attn.hook_pattern"
    pattern = _read(model, tokens, hook)
    model.check_finite(pattern, hook)
    found = _float32(pattern[0])
    if np.triu(found, k=1).any():
        raise MismatchError(
            f"Tokens of model '{model.name}' look at later tokens.",
            got=f"weights above the diagonal at '{hook}'",
            expected="a causal model, in which a token looks at itself and at earlier ones",
        )
    return Attention(tokens, found, number, n_layers_of(model), model.name, hook)


def n_layers_of(model: LanguageModel) -> int:
    """How many layers a model has."""
    return len(getattr(model.model, "blocks", ()))


def _read(model: LanguageModel, tokens: Tokens, hook: str) -> Float[Tensor, "1 head query key"]:
    """The patterns at a hook point."""
    try:
        pattern = model.read(torch.from_numpy(tokens.ids)[None], [hook])[hook]
    except HookPointError as error:
        raise HookPointError(
            f"Model '{model.name}' shows no attention patterns.",
            got=f"{error.what} {error.got}",
            expected=f"weights at '{hook}'",
            do="fast attention (sdpa, flash) never makes them: load the model with attn_implementation='eager'; "
            "other layers may have them where only some are attention",
        ) from error
    return pattern


def _float32(x: Float[Tensor, "head query key"]) -> np.ndarray:
    return x.detach().to("cpu", torch.float32).contiguous().numpy()
