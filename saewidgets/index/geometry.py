"""What the weights alone say of a feature: logit effects, neighbours, alignment. Nothing here runs the model."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saewidgets.models import LanguageModel
from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import Histogram, LogitEffects, Neighbour, NeuronAlignment, TokenEffect
from saewidgets.saes import SAE

N_LOGITS, N_LOGIT_BINS, N_NEIGHBOURS, N_NEURONS = 10, 50, 10, 3


class Directions:
    """Decoder rows of one SAE, and their lengths.

    Args:
        name: Name of the SAE.
        sae: The SAE.
    """

    def __init__(self, name: str, sae: SAE) -> None:
        self.name, self.sae = name, sae

    @cached_property
    def norms(self) -> Tensor:
        """Lengths of the decoder rows [d_sae]; 1 for a row of zeros, which has no direction."""
        norms = self.sae.W_dec.detach().norm(dim=1)
        return torch.where(norms > 0, norms, torch.ones_like(norms))

    @torch.no_grad()
    def cosines(self, direction: Float[Tensor, " d_in"]) -> Tensor:
        """Cosine of a direction with every decoder row [d_sae]."""
        unit = direction / direction.norm().clamp_min(torch.finfo(direction.dtype).tiny)
        rows = self.sae.W_dec.detach()
        return (rows @ unit.to(rows.device, rows.dtype)) / self.norms

    def nearest(self, direction: Float[Tensor, " d_in"], k: int, without: int | None = None) -> tuple[Neighbour, ...]:
        """The k features with the largest cosine, largest first.

        Args:
            direction: The direction.
            k: How many.
            without: A feature to leave out: the one whose direction it is.
        """
        cosines = self.cosines(direction)
        if without is not None:
            cosines[without] = -2
        found = cosines.topk(min(k, len(cosines) - (without is not None)))
        pairs = zip(found.indices.tolist(), found.values.tolist(), strict=True)
        return tuple(Neighbour(FeatureId(self.name, index), float(cosine)) for index, cosine in pairs)


class Geometry:
    """The weights around one SAE's features.

    Args:
        model: The model it reads.
        name: Name of the SAE.
        sae: The SAE.
        others: Other SAEs of the model whose decoder rows may be compared with, by name; those of another width are
            left out.
    """

    def __init__(self, model: LanguageModel, name: str, sae: SAE, others: Mapping[str, SAE]) -> None:
        self._model, self._sae = model, sae
        self._own = Directions(name, sae)
        same = {n: each for n, each in others.items() if n != name and each.d_in == sae.d_in and each.hook == sae.hook}
        self._others = [Directions(n, each) for n, each in same.items()]

    def direction(self, feature: int) -> Float[Tensor, " d_in"]:
        """What one unit of a feature adds to the activation."""
        return self._sae.directions_of(torch.tensor([feature], device=self._sae.device))[0].detach()

    def neighbours(self, feature: int, k: int = N_NEIGHBOURS) -> tuple[Neighbour, ...]:
        """The nearest in each SAE, most alike first."""
        direction = self.direction(feature)
        found = [*self._own.nearest(direction, k, without=feature)]
        for other in self._others:
            found += other.nearest(direction, k)
        return tuple(sorted(found, key=lambda each: (-each.cosine, each.feature)))

    def encoder_cosine(self, feature: int) -> float:
        """Cosine between encoder column and decoder row; 0 where one is all zeros."""
        column, row = self._sae.W_enc[:, feature].detach().double(), self._sae.W_dec[feature].detach().double()
        length = float(column.norm() * row.norm())
        return float(column @ row) / length if length else 0.0

    def neurons(self, feature: int, k: int = N_NEURONS) -> tuple[NeuronAlignment, ...]:
        """The largest entries of the decoder row by magnitude, with their share of its absolute sum."""
        row = self.direction(feature).float()
        total = float(row.abs().sum()) or 1.0
        found = row.abs().topk(min(k, len(row))).indices.tolist()
        return tuple(NeuronAlignment(n, float(row[n]), abs(float(row[n])) / total) for n in found)

    # ---- logits ----------------------------------------------------------------------------------------------------

    @cached_property
    def unembedding(self) -> Float[Tensor, "d_model d_vocab"] | None:
        """The model's output matrix; None where it has none."""
        found = getattr(self._model.model, "W_U", None)
        return found.detach() if isinstance(found, Tensor) and found.ndim == 2 else None

    @cached_property
    def _norm(self) -> tuple[Tensor | None, bool, str]:
        """Weight of the final norm, whether it takes the mean out, and what is done about it."""
        norm: Any = getattr(self._model.model, "ln_final", None)
        weight = next((w for w in (getattr(norm, n, None) for n in ("w", "weight")) if isinstance(w, Tensor)), None)
        kind = str(getattr(getattr(self._model.model, "cfg", None), "normalization_type", None) or "")
        centred = "RMS" not in kind.upper() and kind != ""
        if norm is None or not kind:
            return None, False, "decoder row times the unembedding; the model has no final norm"
        done = ["its mean taken out"] * centred + ["times the final norm's weight"] * (weight is not None)
        folded = "" if weight is not None else "; the norm's weight is folded into the unembedding"
        row = f"decoder row{' with ' if done else ''}{', '.join(done)}, times the unembedding"
        how = f"{row}; the final norm's scale (1 / length of the residual) is left out{folded}"
        return None if weight is None else weight.detach(), centred, how

    @torch.no_grad()
    def to_residual(self, rows: Float[Tensor, "n d_in"]) -> Float[Tensor, "n d_model"] | None:
        """Directions as they enter the residual stream; None where the hook point has no linear way there."""
        hook, block = self._sae.hook, self._model.site(self._sae.hook).block
        if hook.endswith("hook_z") and block is not None:
            W_O = getattr(self._model.model, "W_O", None)
            return rows @ W_O[block].detach().flatten(0, 1).to(rows) if isinstance(W_O, Tensor) else None
        at_residual = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
        return rows if rows.shape[1] == self._model.d_model and hook.endswith(at_residual) else None

    @torch.no_grad()
    def on_logits(self, features: Tensor) -> Float[Tensor, "n d_vocab"] | None:
        """What one unit of each feature adds to the logits; None where the hook point has no direct path."""
        if self.unembedding is None:
            return None
        rows = self.to_residual(self._sae.directions_of(features.to(self._sae.device)).detach())
        if rows is None:
            return None
        weight, centred, _ = self._norm
        rows = rows.to(self.unembedding.device, torch.float32)
        rows = rows - rows.mean(1, keepdim=True) if centred else rows
        rows = rows if weight is None else rows * weight.to(rows)
        return rows @ self.unembedding.float()

    def logits(self, feature: int, k: int = N_LOGITS) -> LogitEffects | None:
        """The tokens that a feature's direction raises and lowers most."""
        found = self.on_logits(torch.tensor([feature]))
        if found is None:
            return None
        effects = found[0].cpu()
        known = self._known(effects)
        counts, edges = np.histogram(known.numpy(), N_LOGIT_BINS)
        k = min(k, len(known))
        return LogitEffects(
            self._named(known.topk(k)), self._named(known.topk(k, largest=False)),
            Histogram(counts.astype(np.int64), edges.astype(np.float64)), self._norm[2],
        )  # fmt: skip

    def _known(self, effects: Tensor) -> Tensor:
        """Without the columns of a padded unembedding that stand for no token."""
        return effects[: self._model.d_vocab]

    def _named(self, found: Any) -> tuple[TokenEffect, ...]:
        ids = [int(i) for i in found.indices]
        texts = [piece.decode("utf-8", "backslashreplace") for piece in self._model.vocabulary.pieces(ids)]
        effects = (float(value) for value in found.values)
        return tuple(TokenEffect(*row) for row in zip(ids, texts, effects, strict=True))
