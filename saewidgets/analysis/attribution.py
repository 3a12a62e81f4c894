"""What each feature adds to a metric, to first order: f * (dM/dx . d), with the rest in an error and a bias node.

At one hook point the activation is x = sum of f_j d_j + bias + error, where d_j is the feature's direction in the
model's units (for a normalised activation: times that token's scale), the bias is what the SAE gives when no feature
fires, and the error is what it misses. With g = dM/dx the attributions of features, bias and error sum to <g, x>. The
error is held fixed, so that the gradient with respect to a feature is g . d exactly.

Integrated gradients take the mean of g over the path on which all features of the SAE shrink to 0 together, by the
midpoint rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saewidgets.analysis.metrics import Metric, check_finite_metric
from saewidgets.errors import NonFiniteError, TargetError
from saewidgets.models import Continuation, LanguageModel
from saewidgets.results import Tokens
from saewidgets.saes import SAE

STEPS = 16
_PAIRS = 8192
_DENSE_NUMBERS = 2**24


@dataclass(frozen=True, eq=False)
class Decomposition:
    """The activation of one prompt at an SAE's hook point, as features, bias and error.

    Attributes:
        sae: The SAE.
        run: What follows the hook point.
        positions: Token of each pair that fires [pair], ascending.
        features: Feature of each pair [pair].
        values: Its activation [pair].
        strength: Activation times the token's scale, what its direction is multiplied with in the model's units [pair].
        x: The activation [pos, d_in], heads flattened.
        bias: What the SAE gives when no feature fires [pos, d_in]; 0 at masked positions.
        error: What is missing then [pos, d_in]; 0 at masked positions.
        masked: True where a position is left out [pos].
    """

    sae: SAE
    run: Continuation
    positions: Int[Tensor, " pair"]
    features: Int[Tensor, " pair"]
    values: Float[Tensor, " pair"]
    strength: Float[Tensor, " pair"]
    x: Float[Tensor, "pos d_in"]
    bias: Float[Tensor, "pos d_in"]
    error: Float[Tensor, "pos d_in"]
    masked: Bool[Tensor, " pos"]
    _graph: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @property
    def reconstruction(self) -> Float[Tensor, "pos d_in"]:
        """The features' part of the activation; 0 at masked positions, which stay as they are."""
        return (self.x - self.bias - self.error).masked_fill(self.masked[:, None], 0)

    def gradient(self, metric: Metric) -> tuple[float, Float[Tensor, "pos d_in"], Float[Tensor, "n_last d_vocab"]]:
        """The metric, its gradient with respect to the activation, and the logits that it was computed from.

        The forward pass of the blocks above is kept for the next metric.
        """
        n_last = metric.n_last or self.run.n_pos
        with torch.inference_mode(False), torch.enable_grad():
            if n_last not in self._graph:
                self._graph.clear()
                change = torch.zeros_like(self.x)[None].requires_grad_()
                self._graph[n_last] = change, self.run.logits(change, n_last)
            change, logits = self._graph[n_last]
            value = metric(logits)[0]
            check_finite_metric(value.detach().double().cpu().numpy()[None], metric)
            gradient = _gradient(value, change, retain_graph=True)
        return float(value.detach()), gradient[0], logits[0].detach()

    def mean_gradient(self, metric: Metric, steps: int = STEPS) -> Float[Tensor, "pos d_in"]:
        """Mean gradient on the way from this activation to the one with every feature off, by the midpoint rule."""
        n_last = metric.n_last or self.run.n_pos
        total = torch.zeros_like(self.x)
        for step in range(steps):
            with torch.inference_mode(False), torch.enable_grad():
                off = -(step + 0.5) / steps * self.reconstruction
                change = off[None].clone().requires_grad_()
                value = metric(self.run.logits(change, n_last))[0]
                total += _gradient(value, change)[0]
        return total / steps

    def attribute(self, gradient: Float[Tensor, "pos d_in"]) -> Float[Tensor, " pair"]:
        """Attribution of each pair: activation times <gradient at its token, direction>, in the model's units."""
        parts = []
        for pairs in torch.arange(len(self.values), device=self.values.device).split(_PAIRS):
            along = (gradient[self.positions[pairs]] * self.sae.directions_of(self.features[pairs])).sum(-1)
            parts.append(self.strength[pairs] * along)
        return torch.cat(parts) if parts else self.strength.to(gradient.dtype)


def _gradient(value: Tensor, change: Tensor, retain_graph: bool = False) -> Tensor:
    if not value.requires_grad:
        raise TargetError(
            "The metric does not follow from the logits by steps that have a gradient.",
            got=f"{float(value):g}, a number without a gradient",
            expected="a differentiable function of the logits",
            do="compute it with torch, without .item(), .detach() or argmax",
        )
    (gradient,) = torch.autograd.grad(value, change, retain_graph=retain_graph, allow_unused=True)
    gradient = torch.zeros_like(change) if gradient is None else gradient
    if not bool(torch.isfinite(gradient).all()):
        raise NonFiniteError(
            "The metric's gradient is not finite.",
            got="NaN or infinity",
            expected="a metric that is smooth at the model's logits",
            do="check the metric, or use a wider number format than " + str(change.dtype),
        )
    return gradient


@torch.no_grad()
def decompose(model: LanguageModel, sae: SAE, tokens: Tokens, masked: Bool[Tensor, " pos"]) -> Decomposition:
    """Run one prompt and take its activation apart.

    Args:
        model: The model.
        sae: An SAE that reads one of its hook points.
        tokens: The prompt.
        masked: True where a position is left out [pos].

    Raises:
        HookPointError: The hook point does not exist, does not fire or cannot be changed.
        NonFiniteError: An activation of the model is NaN or infinite.
    """
    run = model.continuation(tokens, sae.hook)
    wanted = (~masked).nonzero().squeeze(1).to(run.x.device)
    model.check_finite(run.x[wanted], sae.hook)
    wide = torch.promote_types(run.x.dtype, torch.promote_types(sae.dtype, torch.float32))
    x = run.x.flatten(1).to(device=sae.device, dtype=wide)
    bias, error = torch.zeros_like(x), torch.zeros_like(x)
    chunks = wanted.split(max(1, _DENSE_NUMBERS // sae.d_sae))
    pairs = [_pairs(sae, run.x[rows], bias, rows.to(sae.device)) for rows in chunks]
    positions, features, values, strength = (torch.cat(column) for column in zip(_no_pairs(sae), *pairs, strict=True))
    found = Decomposition(sae, run, positions, features, values, strength, x, bias, error, masked.to(sae.device))
    at = wanted.to(sae.device)
    error[at] = x[at] - bias[at] - _sum_of_features(found)[at]
    return found


Pairs = tuple[Tensor, Tensor, Tensor, Tensor]


def _no_pairs(sae: SAE) -> Pairs:
    none = torch.zeros(0, dtype=torch.long, device=sae.device)
    return none, none, none.to(sae.dtype), none.to(sae.dtype)


def _pairs(sae: SAE, x: Tensor, bias: Tensor, rows: Tensor) -> Pairs:
    """The pairs that fire on some tokens; fills in their rows of ``bias``."""
    acts, state = sae.encode(x)
    bias[rows] = sae.bias(state).expand(len(rows), -1).to(bias.dtype)
    row, feature = torch.where(acts.isfinite() & (acts != 0))
    value = acts[row, feature]
    scale = state.norm.scale
    return rows[row], feature, value, value if scale is None else value * scale[row, 0]


def _sum_of_features(found: Decomposition) -> Tensor:
    total = torch.zeros_like(found.x)
    for pairs in torch.arange(len(found.values), device=found.values.device).split(_PAIRS):
        part = found.strength[pairs, None] * found.sae.directions_of(found.features[pairs])
        total.index_add_(0, found.positions[pairs], part.to(total.dtype))
    return total
