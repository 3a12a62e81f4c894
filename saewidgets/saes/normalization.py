"""What is done to an activation before it is encoded, and undone after it is decoded."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import torch
from jaxtyping import Float
from torch import Tensor

Normalization = Literal["none", "expected_average_only_in", "constant_norm_rescale", "layer_norm"]
NORMALIZATIONS: tuple[str, ...] = get_args(Normalization)
_EPS = 1e-5


class NormState(NamedTuple):
    """How to undo a normalisation: x = normalised * scale + shift; None where nothing was done."""

    scale: Tensor | None = None
    shift: Tensor | None = None


def normalize(x: Float[Tensor, "*batch d_in"], how: Normalization) -> tuple[Float[Tensor, "*batch d_in"], NormState]:
    """The activation as the SAE was trained to see it, and how to come back.

    ``expected_average_only_in`` is a factor that belongs into the weights; without it nothing can be done here.
    """
    if how == "constant_norm_rescale":
        scale = x.norm(dim=-1, keepdim=True) / x.shape[-1] ** 0.5
        return x / scale, NormState(scale)
    if how == "layer_norm":
        shift = x.mean(dim=-1, keepdim=True)
        centred = x - shift
        scale = centred.std(dim=-1, keepdim=True)
        return centred / (scale + _EPS), NormState(scale, shift)
    return x, NormState()


def denormalize(x: Float[Tensor, "*batch d_in"], state: NormState) -> Float[Tensor, "*rows d_in"]:
    """Back to the units of the model; one row, such as a bias, with the state of each of several."""
    if state.scale is not None:
        x = x * state.scale
    return x if state.shift is None else torch.add(x, state.shift)
