"""The sparse autoencoder that all kinds share: what goes in, what comes out, and the state between."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saewidgets.saes.normalization import Normalization, NormState, denormalize, normalize


class EncodeState(NamedTuple):
    """What :meth:`SAE.decode` needs of the activation that was encoded."""

    norm: NormState
    heads: tuple[int, ...] | None


@dataclass(eq=False, repr=False, kw_only=True)
class SAE(ABC):
    """A sparse autoencoder. It shares the tensors it was given and never writes to them.

    Encoding returns the features and the state of the normalisation, and decoding takes that state, so that two
    batches cannot be mixed up.

    Args:
        hook: Hook point that it reads.
        W_dec: Decoder rows [d_sae, d_in].
        b_dec: Decoder bias [d_in].
        W_enc: Encoder columns [d_in, d_sae].
        apply_b_dec_to_input: Whether ``b_dec`` is subtracted before encoding.
        normalization: What is done to the activation first.
        reshape_heads: Whether the activation is [heads, d_head] and is flattened first (``hook_z``).
        prepend_bos: Whether the prompts that it was trained on began with BOS; None where not known.
        density: Fraction of tokens of the reference sample on which each feature fires, float32 [d_sae].
        reference_max: Largest activation of each feature on that sample, float32 [d_sae].
        n_reference_tokens: Size of that sample.
        reference_sample: What that sample is, in words.

    Example:
        >>> acts, state = sae.encode(x)  # doctest: +SKIP
        >>> x_hat = sae.decode(acts, state)  # doctest: +SKIP
    """

    kind: ClassVar[str]

    hook: str
    W_dec: Float[Tensor, "d_sae d_in"]
    b_dec: Float[Tensor, " d_in"]
    W_enc: Float[Tensor, "d_in d_sae"]
    apply_b_dec_to_input: bool = True
    normalization: Normalization = "none"
    reshape_heads: bool = False
    prepend_bos: bool | None = None
    density: np.ndarray | None = None
    reference_max: np.ndarray | None = None
    n_reference_tokens: int | None = None
    reference_sample: str | None = field(default=None)

    @property
    def d_in(self) -> int:
        """Width of the activation, heads flattened."""
        return self.W_dec.shape[1]

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.W_dec.shape[0]

    @property
    def dtype(self) -> torch.dtype:
        """Number format that it computes in."""
        return self.W_enc.dtype

    @property
    def device(self) -> torch.device:
        """Where its tensors are."""
        return self.W_enc.device

    def __repr__(self) -> str:
        return f"{type(self).__name__}(d_in={self.d_in}, d_sae={self.d_sae}, hook={self.hook!r})"

    @property
    def directions(self) -> Float[Tensor, "d_sae d_in"]:
        """What one unit of each feature adds to the activation, in the model's units.

        For a normalised activation: in units of that token's scale, which is in the state of its encoding.
        """
        return self.W_dec

    def directions_of(self, features: Int[Tensor, " n"]) -> Float[Tensor, "n d_in"]:
        """The rows of :attr:`directions` of some features."""
        return self.W_dec[features]

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor that it holds."""
        return (value for value in vars(self).values() if isinstance(value, Tensor))

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the kind, the settings of the encoder and the bytes of every tensor, as hexadecimal digits.

        It is the same for the same SAE in another process, on another device or under another name.
        """
        how = (self.kind, self.apply_b_dec_to_input, self.normalization, self.reshape_heads)
        digest = hashlib.sha256(repr(how).encode())
        for name, value in sorted(vars(self).items()):
            if name.startswith("_"):
                continue
            if isinstance(value, Tensor):
                digest.update(f"{name} {value.dtype} {list(value.shape)}".encode())
                digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
            elif name in {"k", "rescale_by_decoder_norm"}:
                digest.update(f"{name}={value}".encode())
        return digest.hexdigest()

    @torch.no_grad()
    def encode(self, x: Float[Tensor, "*batch"]) -> tuple[Float[Tensor, "*rows d_sae"], EncodeState]:
        """The features of activations.

        Args:
            x: Activations [..., d_in], or [..., heads, d_head] where ``reshape_heads``; any device and format.

        Returns:
            Features [..., d_sae] in the SAE's format and on its device, and the state that decoding needs.
        """
        heads = tuple(x.shape[-2:]) if self.reshape_heads else None
        flat = (x.flatten(-2) if heads else x).to(device=self.device, dtype=self.dtype)
        normalized, norm = normalize(flat, self.normalization)
        if self.apply_b_dec_to_input:
            normalized = normalized - self.b_dec
        acts = self._features(normalized.reshape(-1, self.d_in))
        return acts.reshape(*flat.shape[:-1], self.d_sae), EncodeState(norm, heads)

    @torch.no_grad()
    def activation_of(
        self, x: Float[Tensor, "batch pos d_in"], feature: int
    ) -> tuple[Float[Tensor, "batch pos"], Tensor | None]:
        """One feature's activations; where features do not compete, only its column is encoded.

        Args:
            x: Activations, heads flattened; any device and format.
            feature: The feature.

        Returns:
            Its activations as :meth:`encode` gives them, and the scale of each token [batch, pos, 1] by which its
            direction is multiplied in the model's units, or None for 1.
        """
        flat = x.to(device=self.device, dtype=self.dtype)
        normalized, norm = normalize(flat, self.normalization)
        if self.apply_b_dec_to_input:
            normalized = normalized - self.b_dec
        rows = normalized.reshape(-1, self.d_in)
        return self._feature(rows, feature).reshape(x.shape[:-1]), norm.scale

    @torch.no_grad()
    def decode(self, acts: Float[Tensor, "*rows d_sae"], state: EncodeState) -> Float[Tensor, "*batch"]:
        """The activations that features stand for.

        Args:
            acts: Features [..., d_sae].
            state: What :meth:`encode` returned with them.

        Returns:
            Activations in the shape that was encoded.
        """
        x_hat = denormalize(self._decoded(acts) + self.b_dec, state.norm)
        return x_hat if state.heads is None else x_hat.unflatten(-1, state.heads)

    @torch.no_grad()
    def bias(self, state: EncodeState) -> Float[Tensor, "*batch"]:
        """What :meth:`decode` gives when no feature fires, heads flattened; one row where nothing is normalised.

        Args:
            state: What :meth:`encode` returned.
        """
        return denormalize(self.b_dec, state.norm)

    @abstractmethod
    def _features(self, x: Float[Tensor, "rows d_in"]) -> Float[Tensor, "rows d_sae"]:
        """Features of prepared activations."""

    def _feature(self, x: Float[Tensor, "rows d_in"], feature: int) -> Float[Tensor, " rows"]:
        """One feature of prepared activations; all are computed where they compete."""
        return self._features(x)[:, feature]

    def _decoded(self, acts: Float[Tensor, "*rows d_sae"]) -> Float[Tensor, "*rows d_in"]:
        return acts @ self.W_dec
