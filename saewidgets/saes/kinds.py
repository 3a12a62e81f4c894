"""The kinds of sparse autoencoder, by how a pre-activation becomes a feature.

BatchTopK and Matryoshka-BatchTopK are trained as such and saved as JumpReLU; they need no kind of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from saewidgets.saes.core import SAE


@dataclass(eq=False, repr=False, kw_only=True)
class StandardSAE(SAE):
    """relu(x W_enc + b_enc).

    Args:
        b_enc: Encoder bias [d_sae].
    """

    kind: ClassVar[str] = "standard"
    b_enc: Float[Tensor, " d_sae"]

    def _features(self, x: Float[Tensor, "rows d_in"]) -> Float[Tensor, "rows d_sae"]:
        return torch.addmm(self.b_enc, x, self.W_enc).relu_()

    def _feature(self, x: Float[Tensor, "rows d_in"], feature: int) -> Float[Tensor, " rows"]:
        return (x @ self.W_enc[:, feature] + self.b_enc[feature]).relu_()


@dataclass(eq=False, repr=False, kw_only=True)
class TopKSAE(SAE):
    """The k largest pre-activations of each token, where positive.

    Args:
        b_enc: Encoder bias [d_sae].
        k: How many.
        rescale_by_decoder_norm: Whether pre-activations are multiplied by the length of their decoder row, and the
            decoder is taken at length 1.
    """

    kind: ClassVar[str] = "topk"
    b_enc: Float[Tensor, " d_sae"]
    k: int
    rescale_by_decoder_norm: bool = False

    @cached_property
    def _norms(self) -> Float[Tensor, " d_sae"]:
        return self.W_dec.norm(dim=-1)

    @cached_property
    def _inverse_norms(self) -> Float[Tensor, " d_sae"]:
        # A row of length 0 has no direction: 0, not infinity.
        return torch.where(self._norms > 0, 1 / self._norms, torch.zeros_like(self._norms))

    @property
    def directions(self) -> Float[Tensor, "d_sae d_in"]:
        """What one unit of each feature adds to the activation; rows of length 1, or 0, where rescaled."""
        return self.W_dec * self._inverse_norms[:, None] if self.rescale_by_decoder_norm else self.W_dec

    def directions_of(self, features: Int[Tensor, " n"]) -> Float[Tensor, "n d_in"]:
        """The rows of :attr:`directions` of some features."""
        rows = self.W_dec[features]
        return rows * self._inverse_norms[features, None] if self.rescale_by_decoder_norm else rows

    def _features(self, x: Float[Tensor, "rows d_in"]) -> Float[Tensor, "rows d_sae"]:
        pre = torch.addmm(self.b_enc, x, self.W_enc)
        if self.rescale_by_decoder_norm:
            pre *= self._norms
        values, indices = pre.topk(self.k, dim=-1, sorted=False)
        return torch.zeros_like(pre).scatter_(-1, indices, values.relu_())

    def _decoded(self, acts: Float[Tensor, "*rows d_sae"]) -> Float[Tensor, "*rows d_in"]:
        return (acts * self._inverse_norms if self.rescale_by_decoder_norm else acts) @ self.W_dec


@dataclass(eq=False, repr=False, kw_only=True)
class JumpReLUSAE(SAE):
    """The pre-activation where it is above both 0 and its threshold.

    Args:
        b_enc: Encoder bias [d_sae].
        threshold: Threshold of each feature [d_sae].
    """

    kind: ClassVar[str] = "jumprelu"
    b_enc: Float[Tensor, " d_sae"]
    threshold: Float[Tensor, " d_sae"]

    def _features(self, x: Float[Tensor, "rows d_in"]) -> Float[Tensor, "rows d_sae"]:
        pre = torch.addmm(self.b_enc, x, self.W_enc)
        return pre.masked_fill_(pre <= self.threshold, 0).relu_()

    def _feature(self, x: Float[Tensor, "rows d_in"], feature: int) -> Float[Tensor, " rows"]:
        pre = x @ self.W_enc[:, feature] + self.b_enc[feature]
        return pre.masked_fill_(pre <= self.threshold[feature], 0).relu_()


@dataclass(eq=False, repr=False, kw_only=True)
class GatedSAE(SAE):
    """relu(magnitude) where the gate is open; gate and magnitude share the encoder's columns.

    Args:
        b_gate: Bias of the gate [d_sae].
        b_mag: Bias of the magnitude [d_sae].
        r_mag: Logarithm of the magnitude's scale [d_sae].
    """

    kind: ClassVar[str] = "gated"
    b_gate: Float[Tensor, " d_sae"]
    b_mag: Float[Tensor, " d_sae"]
    r_mag: Float[Tensor, " d_sae"]

    def _features(self, x: Float[Tensor, "rows d_in"]) -> Float[Tensor, "rows d_sae"]:
        pre = x @ self.W_enc
        closed = pre + self.b_gate <= 0
        return pre.mul_(self.r_mag.exp()).add_(self.b_mag).relu_().masked_fill_(closed, 0)

    def _feature(self, x: Float[Tensor, "rows d_in"], feature: int) -> Float[Tensor, " rows"]:
        pre = x @ self.W_enc[:, feature]
        closed = pre + self.b_gate[feature] <= 0
        magnitude = (pre * self.r_mag[feature].exp() + self.b_mag[feature]).relu_()
        return magnitude.masked_fill_(closed, 0)
