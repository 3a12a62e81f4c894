"""What the weights alone say of a feature: logit effects, neighbours, alignment. Nothing here runs the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saewidgets.errors import HookPointError
from saewidgets.models import LanguageModel
from saewidgets.results import FeatureId
from saewidgets.results.feature_stats import Histogram, LogitEffects, Neighbour, NeuronAlignment, TokenEffect
from saewidgets.saes import SAE

N_LOGITS, N_LOGIT_BINS, N_NEIGHBOURS, N_NEURONS = 10, 50, 10, 3
_CHUNK = 128
_AT_RESIDUAL = ("resid_pre", "resid_mid", "resid_post", "attn_out", "mlp_out")
# Of a block: what is added to the residual stream, or is it. Other names may stand for the same hook point.
_ATTENTION, _MLP = "hook_attn_out", "hook_mlp_out"
_WRITES = ("hook_resid_pre", "hook_resid_post", _ATTENTION, _MLP)
# Names of the last sum of a part, which holds the same numbers where no norm lies between.
_LAST_SUM = {
    _ATTENTION: ("attn.hook_out", "attn.o.hook_out", "attn.hook_hidden_states"),
    _MLP: ("mlp.hook_out", "mlp.out.hook_out"),
}

Columns = dict[str, np.ndarray]


class Directions:
    """Decoder rows of one SAE, and their lengths.

    Args:
        name: Name of the SAE.
        sae: The SAE.
    """

    def __init__(self, name: str, sae: SAE) -> None:
        self.name, self.sae = name, sae

    @cached_property
    def _lengths(self) -> Tensor:
        """Lengths of the decoder rows [d_sae]; 1 for a row of zeros, which has no direction."""
        lengths = self.sae.W_dec.detach().norm(dim=1)
        return torch.where(lengths > 0, lengths, torch.ones_like(lengths))

    @torch.no_grad()
    def nearest(
        self, rows: Float[Tensor, "n d_in"], k: int, own: Int[Tensor, " n"] | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The features whose decoder rows have the largest cosines with some directions.

        Args:
            rows: The directions.
            k: How many of each; fewer where there are not so many.
            own: Of each direction the feature that it belongs to, which is left out.

        Returns:
            Features and cosines [n, k], largest first.
        """
        W_dec = self.sae.W_dec.detach()
        rows = rows.to(W_dec)
        rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        cosines = (rows @ W_dec.T) / self._lengths
        if own is not None:
            cosines.scatter_(1, own[:, None].to(cosines.device), -2.0)
        found = cosines.topk(min(k, cosines.shape[1] - (own is not None)))
        return found.indices.cpu().numpy(), found.values.float().cpu().numpy()

    def named(self, features: np.ndarray, cosines: np.ndarray) -> tuple[Neighbour, ...]:
        """Rows of :meth:`nearest` as neighbours."""
        pairs = zip(features.tolist(), cosines.tolist(), strict=True)
        return tuple(Neighbour(FeatureId(self.name, feature), cosine) for feature, cosine in pairs)


class Geometry:
    """The weights around one SAE's features.

    Args:
        model: The model it reads.
        name: Name of the SAE.
        sae: The SAE.
        others: Other SAEs of the model, by name; those of the same hook point are compared with.
    """

    def __init__(self, model: LanguageModel, name: str, sae: SAE, others: Mapping[str, SAE]) -> None:
        self._model, self._sae = model, sae
        self._own = Directions(name, sae)
        same = {n: each for n, each in others.items() if n != name and each.d_in == sae.d_in and each.hook == sae.hook}
        self._others = [Directions(n, each) for n, each in same.items()]

    def neighbours(self, feature: int, own: tuple[np.ndarray, np.ndarray] | None = None) -> tuple[Neighbour, ...]:
        """The ten nearest in each SAE, most alike first.

        Args:
            feature: The feature.
            own: Features and cosines of the nearest in its own SAE, where they are known already.
        """
        features = torch.tensor([feature])
        row = self._rows(features)
        if own is None:
            own = tuple(each[0] for each in self._own.nearest(row, N_NEIGHBOURS, features))
        found = list(self._own.named(*own))
        for other in self._others:
            indices, cosines = other.nearest(row, N_NEIGHBOURS)
            found += other.named(indices[0], cosines[0])
        return tuple(sorted(found, key=lambda each: (-each.cosine, each.feature)))

    def encoder_cosine(self, feature: int) -> float:
        """Cosine between encoder column and decoder row; 0 where one is all zeros."""
        column, row = self._sae.W_enc[:, feature].detach().double(), self._sae.W_dec[feature].detach().double()
        length = float(column.norm() * row.norm())
        return float(column @ row) / length if length else 0.0

    def neurons(self, feature: int, k: int = N_NEURONS) -> tuple[NeuronAlignment, ...]:
        """The largest entries of the decoder row by magnitude, with their share of its absolute sum."""
        row = self._rows(torch.tensor([feature]))[0].float()
        total = float(row.abs().sum()) or 1.0
        found = row.abs().topk(min(k, len(row))).indices.tolist()
        return tuple(NeuronAlignment(n, float(row[n]), abs(float(row[n])) / total) for n in found)

    def logits(self, feature: int) -> LogitEffects | None:
        """The tokens that a feature's direction raises and lowers most; None where it has no direct path to them."""
        if not self.has_logits:
            return None
        columns = self._logit_columns(torch.tensor([feature]))
        return logit_effects({n: column[0] for n, column in columns.items()}, self.how, self.pieces)

    def pieces(self, ids: list[int]) -> tuple[bytes, ...]:
        """The bytes of tokens."""
        return self._model.vocabulary.pieces(ids)

    # ---- all features at once --------------------------------------------------------------------------------------

    def table(self) -> Columns:
        """What is worth keeping of all features, column by column: logit effects, and neighbours in the same SAE."""
        parts: list[Columns] = []
        for features in torch.arange(self._sae.d_sae).split(_CHUNK):
            nearest, cosines = self._own.nearest(self._rows(features), N_NEIGHBOURS, features)
            columns = {"neighbour": nearest.astype(np.uint32), "cosine": cosines}
            parts.append(columns | (self._logit_columns(features) if self.has_logits else {}))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    @property
    def work(self) -> float:
        """About how many multiplications :meth:`table` takes."""
        vocabulary = self._model.d_vocab if self.has_logits else 0
        return float(self._sae.d_sae) * (self._model.d_model * vocabulary + self._sae.d_in * self._sae.d_sae)

    def _rows(self, features: Int[Tensor, " n"]) -> Float[Tensor, "n d_in"]:
        """What one unit of each feature adds to the activation."""
        return self._sae.directions_of(features.to(self._sae.device)).detach()

    # ---- logits ----------------------------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """What is done about the final norm, in words."""
        return self._norm[2]

    @cached_property
    def has_logits(self) -> bool:
        """Whether directions have a direct path to the logits."""
        return self._unembedding is not None and self._to_residual(self._rows(torch.tensor([0]))) is not None

    @cached_property
    def _unembedding(self) -> Float[Tensor, "d_model d_vocab"] | None:
        found = getattr(self._model.model, "W_U", None)
        if not isinstance(found, Tensor) or found.ndim != 2:
            return None
        return found.detach()[:, : self._model.d_vocab]

    @cached_property
    def _norm(self) -> tuple[Tensor | None, bool, str]:
        """Weight of the final norm, whether it takes the mean out, and both in words."""
        norm: Any = getattr(self._model.model, "ln_final", None)
        weight = next((w for w in (getattr(norm, n, None) for n in ("w", "weight")) if isinstance(w, Tensor)), None)
        kind = str(getattr(getattr(self._model.model, "cfg", None), "normalization_type", None) or "")
        if norm is None or not kind:
            return None, False, "decoder row times the unembedding; the model has no final norm"
        centred = "RMS" not in kind.upper()
        done = ["its mean taken out"] * centred + ["times the final norm's weight"] * (weight is not None)
        folded = "" if weight is not None else "; the norm's weight is folded into the unembedding"
        row = f"decoder row{' with ' if centred else ' ' if done else ''}{', '.join(done)}, times the unembedding"
        how = f"{row}; the final norm's scale (1 / length of the residual) is left out{folded}"
        # Gemma's norms, where their weights are as on the hub, multiply by 1 + weight.
        offset = bool(getattr(self._model.model.cfg, "rmsnorm_uses_offset", False))
        return None if weight is None else weight.detach() + float(offset), centred, how

    def _to_residual(self, rows: Float[Tensor, "n d_in"]) -> Float[Tensor, "n d_model"] | None:
        """Directions as they enter the residual stream; None where the hook point has no linear way there."""
        hook, block = self._sae.hook, self._block
        if hook.endswith("hook_z") and block is not None:
            W_O = getattr(self._model.model, "W_O", None)
            if not isinstance(W_O, Tensor) or not self._adds(_ATTENTION):
                return None
            return rows @ W_O[block].detach().flatten(0, 1).to(rows)
        return rows if rows.shape[1] == self._model.d_model and self._at_residual else None

    @cached_property
    def _block(self) -> int | None:
        return self._model.site(self._sae.hook).block

    @cached_property
    def _at_residual(self) -> bool:
        """Whether what the hook point holds is the residual stream, or is added to it as it is."""
        hook, point = self._sae.hook, self._model.site(self._sae.hook).read
        if hook.endswith(_AT_RESIDUAL):
            return True
        if self._block is None:
            return False
        own = hook.removeprefix(f"blocks.{self._block}.")
        if any(self._point(name) is point for name in _WRITES):
            return True
        return any(own in names and self._adds(part) for part, names in _LAST_SUM.items())

    def _adds(self, part: str) -> bool:
        """Whether the last sum of attention or MLP is added to the residual stream as it is: no norm lies between."""
        outermost = self._point(_LAST_SUM[part][0])
        if outermost is None:  # a HookedTransformer, which has no such name
            return not getattr(getattr(self._model.model, "cfg", None), "use_normalization_before_and_after", False)
        return outermost is self._point(part)

    def _point(self, name: str) -> Any:
        """A hook point of the SAE's block; None where it has none of that name."""
        try:
            return self._model.resolve(f"blocks.{self._block}.{name}")
        except HookPointError:
            return None

    @torch.no_grad()
    def effects(self, features: Int[Tensor, " n"]) -> Float[Tensor, "n d_vocab"]:
        """What one unit of each feature adds to the logits, but for the final norm's scale."""
        assert self._unembedding is not None
        rows = self._to_residual(self._rows(features))
        assert rows is not None
        weight, centred, _ = self._norm
        rows = rows.to(self._unembedding.device, torch.float32)
        rows = rows - rows.mean(1, keepdim=True) if centred else rows
        rows = rows if weight is None else rows * weight.to(rows)
        return rows @ self._unembedding.float()

    def _logit_columns(self, features: Int[Tensor, " n"]) -> Columns:
        effects = self.effects(features)
        k = min(N_LOGITS, effects.shape[1])
        top, bottom = effects.topk(k), effects.topk(k, largest=False)
        low, high = (each[:, None] for each in (bottom.values[:, 0], top.values[:, 0]))
        width = torch.where(high > low, high - low, torch.ones_like(high))
        column = effects.sub_(low).mul_(N_LOGIT_BINS / width).long().clamp_(0, N_LOGIT_BINS - 1)
        column += N_LOGIT_BINS * torch.arange(len(column), device=column.device)[:, None]
        counts = column.flatten().bincount(minlength=N_LOGIT_BINS * len(column)).reshape(len(column), N_LOGIT_BINS)
        columns = {
            "token": torch.cat([top.indices, bottom.indices], 1), "effect": torch.cat([top.values, bottom.values], 1),
            "logit_histogram": counts,
        }  # fmt: skip
        kinds = {"token": np.uint32, "effect": np.float32, "logit_histogram": np.uint32}
        return {name: column.cpu().numpy().astype(kinds[name]) for name, column in columns.items()}


def logit_effects(row: Columns, how: str, pieces: Callable[[list[int]], tuple[bytes, ...]]) -> LogitEffects:
    """Logit effects of one feature from its row of the table.

    Args:
        row: One row of each column.
        how: What was done about the final norm.
        pieces: From token ids to their bytes.
    """
    ids = [int(i) for i in row["token"]]
    texts = [piece.decode("utf-8", "backslashreplace") for piece in pieces(ids)]
    listed = tuple(TokenEffect(*each) for each in zip(ids, texts, row["effect"].tolist(), strict=True))
    half = len(listed) // 2
    edges = np.linspace(listed[half].effect, listed[0].effect, N_LOGIT_BINS + 1)
    return LogitEffects(listed[:half], listed[half:], Histogram(row["logit_histogram"].astype(np.int64), edges), how)
