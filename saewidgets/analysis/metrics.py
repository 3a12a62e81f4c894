"""The number that a ranking explains: a function of the logits at the end of a prompt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saewidgets.errors import NonFiniteError, TargetError
from saewidgets.models import LanguageModel

MetricName = Literal["logit_difference", "log_prob"]
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True)
class Metric:
    """A number of the logits.

    Args:
        text: The formula in words.
        of: From logits [batch, n_last, d_vocab], float32 or wider, to numbers [batch]; differentiable.
        target: Ids of the target's tokens; () where the user's own function is the metric.
        baseline: Id of the baseline's token, or None.
        n_last: How many positions at the end it reads; None for all.
        per_prompt: Whether ``of`` takes one prompt at a time and gives one number.
    """

    text: str
    of: Callable[[Tensor], Any]
    target: tuple[int, ...] = ()
    baseline: int | None = None
    n_last: int | None = 1
    per_prompt: bool = False

    @property
    def appended(self) -> tuple[int, ...]:
        """Tokens put behind the prompt: all of several target tokens but the last."""
        return self.target[:-1]

    def __call__(self, logits: Float[Tensor, "batch pos d_vocab"]) -> Float[Tensor, " batch"]:
        """The metric of each of several forward passes."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if self.per_prompt:
            return torch.stack([_one_number(self.of(logits[n : n + 1]), logits) for n in range(len(logits))])
        return self.of(logits)


def make_metric(model: LanguageModel, target: Any, baseline: Any = None, metric: Any = None) -> Metric:
    """The metric that is meant.

    Args:
        model: Reads the tokens.
        target: Text or id of a token, or several in a list: then the sum of their log-probabilities, each behind the
            ones before it.
        baseline: Text or id of the token to compare with; None: the mean of all logits.
        metric: "logit_difference" (default), "log_prob", or a function from logits [1, pos, d_vocab] to one number.

    Raises:
        TargetError: Not one token, no such token, or parts that do not go together.
    """
    if callable(metric):
        ids = () if target is None else (model.token_id(target),)
        second = None if baseline is None else model.token_id(baseline)
        name = getattr(metric, "__name__", type(metric).__name__)
        return Metric(f"{name}(logits)", metric, ids, second, n_last=None, per_prompt=True)
    if metric not in (None, "logit_difference", "log_prob"):
        raise TargetError(
            "There is no such metric.",
            got=repr(metric)[:80],
            expected="'logit_difference', 'log_prob' or a function of the logits",
        )
    if getattr(target, "ndim", 0) == 1 or (isinstance(target, Sequence) and not isinstance(target, str | bytes)):
        return _several(model, list(target), baseline, metric)
    one = model.token_id(target)
    two = None if baseline is None else model.token_id(baseline)
    if one == two:
        both = repr(model.token_text(one))
        raise TargetError("Target and baseline are the same token.", got=both, expected="two tokens to compare")
    return _log_prob(model, one, two) if metric == "log_prob" else _logit_difference(model, one, two)


def _logit_difference(model: LanguageModel, target: int, baseline: int | None) -> Metric:
    def of(logits: Tensor) -> Tensor:
        last = logits[:, -1]
        return last[:, target] - (last.mean(-1) if baseline is None else last[:, baseline])

    against = "mean logit" if baseline is None else f"logit({model.token_text(baseline)!r})"
    return Metric(f"logit({model.token_text(target)!r}) {MINUS} {against}", of, (target,), baseline)


def _log_prob(model: LanguageModel, target: int, baseline: int | None) -> Metric:
    def of(logits: Tensor) -> Tensor:
        last = logits[:, -1].log_softmax(-1)
        return last[:, target] - (0 if baseline is None else last[:, baseline])

    against = "" if baseline is None else f" {MINUS} log p({model.token_text(baseline)!r})"
    return Metric(f"log p({model.token_text(target)!r}){against}", of, (target,), baseline)


def _several(model: LanguageModel, target: list[Any], baseline: Any, metric: Any) -> Metric:
    if not target:
        raise TargetError("There is no target.", got="an empty list", expected="at least one token")
    ids = tuple(map(model.token_id, target))
    if len(ids) == 1:
        return make_metric(model, ids[0], baseline, metric)
    if baseline is not None or metric == "logit_difference":
        raise TargetError(
            "Several target tokens are scored by the sum of their log-probabilities.",
            got="a baseline" if baseline is not None else "metric='logit_difference'",
            expected="neither, or one target token",
        )
    index = torch.tensor(ids)

    def of(logits: Tensor) -> Tensor:
        wanted = index.to(logits.device)[None, :, None].expand(len(logits), -1, -1)
        return logits.log_softmax(-1).gather(-1, wanted).sum((1, 2))

    text = " ".join(repr(model.token_text(i)) for i in ids)
    return Metric(f"log p({text}), summed", of, ids, None, len(ids))


def check_finite_metric(values: np.ndarray, metric: Metric, where: str = "on this prompt") -> None:
    """Pass if all values are finite.

    Raises:
        NonFiniteError: NaN or infinity.
    """
    if not np.isfinite(values).all():
        raise NonFiniteError(
            f"The metric is not a number {where}.",
            got=f"{metric.text} = {values[~np.isfinite(values)][0]}",
            expected="a finite number",
            do="check the weights that were loaded, or where your metric divides, takes a root or a logarithm",
        )


def _one_number(value: Any, logits: Tensor) -> Tensor:
    if not isinstance(value, Tensor) or value.numel() != 1 or value.is_complex():
        shape = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise TargetError(
            "The metric does not give one number.",
            got=shape,
            expected=f"a tensor with one real number, computed from logits {[1, *logits.shape[1:]]}",
        )
    return value.reshape(())
