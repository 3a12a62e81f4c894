"""Brute force: what a ranking says, from plain forward passes with TransformerLens's own hooks, a change in each.

Of the code under test only the SAE's ``encode`` and ``decode`` are used, which have tests of their own: what a feature
adds at a token is what decoding it alone gives, minus what decoding nothing gives.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saewidgets.results import Ranking
from saewidgets.saes import SAE

IDS = [0, 5, 9, 40, 41]
TARGET, BASELINE = 7, 100


class Pair(NamedTuple):
    """A feature that fires, and what it adds to the activation there, in the model's units."""

    position: int
    feature: int
    value: float
    part: Tensor


def logit_difference(logits: Tensor) -> Tensor:
    """logit(TARGET) - logit(BASELINE) at the last token of each forward pass."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits[:, -1, TARGET] - logits[:, -1, BASELINE]


class ByHand:
    """One prompt at one SAE, taken apart by hand.

    Args:
        model: The user's model.
        sae: The SAE.
        ids: The prompt.
        masked: Positions that are left out.
        edit_at: Hook point whose change is a change of the residual stream, where that is another one.
    """

    def __init__(
        self, model: Any, sae: SAE, ids: list[int] = IDS, masked: tuple[int, ...] = (0,), edit_at: str | None = None
    ) -> None:
        self.model, self.sae, self.ids, self.masked = model, sae, torch.tensor([ids]), masked
        self.edit_at = edit_at or sae.hook
        with torch.no_grad():
            x = model.run_with_cache(self.ids)[1][sae.hook][0]
        wide = torch.promote_types(x.dtype, torch.promote_types(sae.dtype, torch.float32))
        self.x = x.flatten(1).to(wide)
        self.bias, self.error = torch.zeros_like(self.x), torch.zeros_like(self.x)
        self.pairs: list[Pair] = []
        for position in sorted(set(range(len(ids))) - set(masked)):
            acts, state = sae.encode(x[position][None])
            nothing = sae.decode(torch.zeros_like(acts), state).reshape(-1)
            self.bias[position] = nothing
            self.error[position] = self.x[position] - sae.decode(acts, state).reshape(-1)
            for feature in acts[0].nonzero().flatten().tolist():
                alone = torch.zeros_like(acts)
                alone[0, feature] = acts[0, feature]
                part = (sae.decode(alone, state).reshape(-1) - nothing).to(wide)
                self.pairs.append(Pair(position, feature, float(acts[0, feature]), part))

    def logits(self, change: Tensor) -> Tensor:
        """Logits [batch, pos, d_vocab] of whole forward passes with changes [batch, pos, d_in] added."""

        def add(value: Tensor, hook: Any) -> Tensor:
            wide = torch.promote_types(value.dtype, torch.float32)
            return (value.to(wide) + change.reshape(len(change), *value.shape[1:]).to(wide)).to(value.dtype)

        return self.model.run_with_hooks(self.ids.expand(len(change), -1), fwd_hooks=[(self.edit_at, add)])

    def gradient(self, metric: Any = logit_difference) -> tuple[float, Tensor]:
        """M(x) and dM/dx [pos, d_in], by autograd through a whole pass."""
        values, gradients = self.gradients(torch.zeros_like(self.x)[None], metric)
        return float(values[0]), gradients[0]

    def gradients(self, changes: Tensor, metric: Any = logit_difference) -> tuple[Tensor, Tensor]:
        """M and its gradient [batch, pos, d_in] at x + each change, from one whole pass."""
        changes = changes.detach().clone().requires_grad_()
        values = metric(self.logits(changes))
        return values.detach(), torch.autograd.grad(values.sum(), changes)[0]

    @torch.no_grad()
    def effects(self, changes: list[Tensor], metric: Any = logit_difference) -> np.ndarray:
        """M(x) - M(x + change) of each, from one batch of whole passes."""
        values = metric(self.logits(torch.stack([torch.zeros_like(self.x), *changes])))
        return (values[0] - values[1:]).double().numpy()

    def effect(self, change: Tensor, metric: Any = logit_difference) -> float:
        """M(x) - M(x + change)."""
        return float(self.effects([change], metric)[0])

    def without(self, sets: list[list[Pair]], metric: Any = logit_difference) -> np.ndarray:
        """M(x) - M(x without the pairs of a set), for each set."""
        return self.effects([-self.sum_of(pairs) for pairs in sets], metric)

    def sum_of(self, pairs: list[Pair]) -> Tensor:
        """What some pairs add to the activation together [pos, d_in]."""
        total = torch.zeros_like(self.x)
        for pair in pairs:
            total[pair.position] += pair.part
        return total

    def attributions(self, gradient: Tensor) -> np.ndarray:
        """<g, part> of each pair."""
        return np.array([float((gradient[pair.position] * pair.part).sum()) for pair in self.pairs])

    def ablations(self, metric: Any = logit_difference) -> np.ndarray:
        """The effect of each pair."""
        return self.without([[pair] for pair in self.pairs], metric)

    def naive_ablations(self) -> np.ndarray:
        """The effect of each pair, one whole forward pass each."""
        return np.array([self.without([[pair]])[0] for pair in self.pairs])


def close(found: Any, expected: Any, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Pass if the numbers are equal but for rounding, which grows with the largest of them."""
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    assert found.shape == expected.shape
    scale = np.abs(expected).max(initial=0)
    assert np.abs(found - expected).max(initial=0) <= atol + rtol * scale


def node(ranking: Ranking, name: str, sae: str | None = None) -> Any:
    """The node of that name."""
    return next(one for one in ranking.nodes if one.name == name and sae in (None, one.sae))
