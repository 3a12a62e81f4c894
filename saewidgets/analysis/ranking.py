"""The features of a prompt ranked by activation, by attribution and by true ablation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saewidgets.analysis.ablation import MEMORY, effects, with_ablations
from saewidgets.analysis.attribution import STEPS, Decomposition, decompose
from saewidgets.analysis.metrics import Metric, make_metric
from saewidgets.analysis.ranking_rows import Rows, make_rows
from saewidgets.errors import TargetError, TokenError
from saewidgets.models import LanguageModel
from saewidgets.results import Node, Prediction, Ranking, Tokens
from saewidgets.results.numbers import whole_number
from saewidgets.results.ranking import RankMethod, Scope, chosen
from saewidgets.saes import SAE

PREDICTIONS = 10

Progress = Callable[[Ranking], object]


class Ranker:
    """One prompt, run once and then asked about any number of targets.

    It holds the activations of its prompt and the model as it was: after a change of the model make a new one.

    Args:
        model: The model.
        saes: SAEs that read its hook points, by name.
        tokens: The prompt.
        mask_special: Whether BOS, EOS and pad are left out.

    Example:
        >>> ranker = lab.ranker("The capital of France is")  # doctest: +SKIP
        >>> ranker.rank(" Paris", " Rome").overlap(10)  # doctest: +SKIP
    """

    def __init__(
        self, model: LanguageModel, saes: Mapping[str, SAE], tokens: Tokens, mask_special: bool = True
    ) -> None:
        self.model, self.saes, self.tokens, self.mask_special = model, dict(saes), tokens, mask_special
        self._appended: tuple[int, ...] | None = None
        self._run: _Run

    def rank(
        self,
        target: Any = None,
        baseline: Any = None,
        *,
        position: Any = None,
        method: Any = "attribution",
        scope: Any = None,
        metric: Any = None,
        steps: Any = STEPS,
        max_ablations: Any = None,
        memory: Any = MEMORY,
        on_progress: Progress | None = None,
    ) -> Ranking:
        """Rank the features of the prompt; arguments and errors as those of :meth:`saewidgets.Lab.rank`."""
        chosen("method", method, ("attribution", "integrated_gradients"))
        scope = ("all_positions" if position is None else "position") if scope is None else scope
        chosen("scope", scope, ("position", "all_positions"))
        _check_counts(steps=(steps, 1), memory=(memory, 1))
        if max_ablations is not None:
            _check_counts(max_ablations=(max_ablations, 0))
        with torch.inference_mode(False), torch.no_grad():  # what is read here must serve gradients
            if target is None and not callable(metric):
                target = self._likeliest()
            measured = make_metric(self.model, target, baseline, metric)
            run = self._run_of(measured.appended)
            place = _position(run, position, len(self.tokens))
            rows, values = _attribute(run, measured, method, scope, place, steps)
            ranking = _result(self, run, measured, method, scope, place, rows, values)
            return with_ablations(run.parts, measured, ranking, rows, max_ablations, memory, on_progress)

    def _likeliest(self) -> int:
        return _predictions(self.model, self._run_of(()).first.gradient(_LIKELIEST)[2][-1])[0].id

    def _with(self, appended: tuple[int, ...]) -> Tokens:
        """The prompt with tokens behind it; a text that was cut to the context is cut a little more for them."""
        room = self.model.n_ctx - len(appended)
        ids, dropped = self.tokens.ids.tolist(), self.tokens.n_dropped
        kept = ids[: max(room, 1)] if dropped else ids
        longer = self.model.tokenize([*kept, *appended])
        return replace(longer, n_dropped=dropped + len(ids) - len(kept) if dropped else 0)

    def _run_of(self, appended: tuple[int, ...]) -> _Run:
        """The prompt with the first tokens of a longer target behind it."""
        if appended != self._appended:
            tokens = self._with(appended) if appended else self.tokens
            masked = tokens.special if self.mask_special else np.zeros(len(tokens), bool)
            mask = torch.from_numpy(masked)
            parts = {name: decompose(self.model, sae, tokens, mask) for name, sae in self.saes.items()}
            self._run, self._appended = _Run(tokens, masked, parts), appended
        return self._run


_LIKELIEST = Metric("the largest logit", lambda logits: logits[:, -1].amax(-1))


@dataclass(frozen=True)
class _Run:
    tokens: Tokens
    masked: np.ndarray
    parts: dict[str, Decomposition]

    @property
    def first(self) -> Decomposition:
        return next(iter(self.parts.values()))


@dataclass(frozen=True)
class _Values:
    """What belongs to no row: M(x), the logits, and how far integrated gradients miss."""

    metric_value: float
    logits: Tensor
    completeness_error: float | None


def _check_counts(**counts: tuple[Any, int]) -> None:
    """Each is a value and the least that it may be."""
    for name, (value, least) in counts.items():
        whole = whole_number(value)
        if whole is None or whole < least:
            raise TargetError(
                f"This is no number for {name}.", got=repr(value), expected=f"a whole number from {least}"
            )


def _position(run: _Run, position: Any, n_prompt: int) -> int | None:
    """A position from the start or, below 0, from the end of the prompt."""
    if position is None:
        return None
    n = len(run.tokens)
    whole = whole_number(position)
    if whole is None or not -n_prompt <= whole < n:
        expected = f"a whole number in {-n_prompt}..{n - 1}"
        raise TokenError("The prompt has no such position.", got=repr(position), expected=expected)
    place = whole if whole >= 0 else n_prompt + whole
    if run.masked[place]:
        raise TokenError(
            "This position is masked.",
            got=f"{place}, the special token {run.tokens.strings[place]}",
            expected="a position that is not masked",
            do="take another one, or mask_special=False",
        )
    return place


def _attribute(
    run: _Run, metric: Metric, method: RankMethod, scope: Scope, position: int | None, steps: int
) -> tuple[dict[str, Rows], _Values]:
    rows, missed = {}, []
    value, logits = 0.0, torch.zeros(0)
    for name, part in run.parts.items():
        value, gradient, logits = part.gradient(metric)
        if method == "integrated_gradients":
            gradient = part.mean_gradient(metric, steps)
        attribution = part.attribute(gradient).double().cpu().numpy()
        if method == "integrated_gradients":
            missed.append(_missed(part, metric, attribution))
        rows[name] = make_rows(part, gradient, attribution, scope, position)
    return rows, _Values(value, logits, max(missed) if missed else None)


def _missed(part: Decomposition, metric: Metric, attribution: np.ndarray) -> float:
    """How far the attributions are from the effect of turning all features off, as a fraction of it."""
    effect = float(effects(part, metric, -part.reconstruction[None])[0])
    gap = abs(float(attribution.sum()) - effect)
    return gap / abs(effect) if effect else gap


def _result(
    ranker: Ranker,
    run: _Run,
    metric: Metric,
    method: RankMethod,
    scope: Scope,
    position: int | None,
    rows: dict[str, Rows],
    values: _Values,
) -> Ranking:
    """The ranking before any ablation."""
    names = tuple(rows)
    parts = list(rows.values())
    nodes = [node for name in names for node in _nodes(name, run, rows[name].gradient, position)]
    counts = [len(part.features) for part in parts]
    after_prompt = -1 - len(metric.appended)
    return Ranking(
        prompt_tokens=run.tokens,
        masked=run.masked,
        metric=metric.text,
        metric_value=values.metric_value,
        target=metric.target,
        baseline=metric.baseline,
        method=method,
        scope=scope,
        position=position,
        sae_index=np.repeat(np.arange(len(parts), dtype=np.int32), counts),
        positions=np.concatenate([part.positions for part in parts]).astype(np.int64),
        features=np.concatenate([part.features for part in parts]).astype(np.int32),
        activation=np.concatenate([part.activation for part in parts]),
        attribution=np.concatenate([part.attribution for part in parts]),
        ablation=np.full(sum(counts), np.nan),
        nodes=tuple(nodes),
        saes=names,
        hooks=tuple(part.sae.hook for part in run.parts.values()),
        model=ranker.model.name,
        predictions=_predictions(ranker.model, values.logits[after_prompt]),
        completeness_error=values.completeness_error,
        blocks_above_only=all(part.run.blocks_above_only for part in run.parts.values()),
    )


def _nodes(name: str, run: _Run, gradient: Tensor, position: int | None) -> Iterator[Node]:
    part = run.parts[name]
    at = slice(None) if position is None else slice(position, position + 1)
    for node, vector in (("error", part.error), ("bias", part.bias)):
        yield Node(node, name, -1 if position is None else position, _dot(gradient[at], vector[at]), np.nan)
    if position is None and run.masked.any():
        yield Node("masked", name, -1, _dot(gradient[part.masked], part.x[part.masked]), np.nan)


def _dot(a: Tensor, b: Tensor) -> float:
    return float((a.double() * b.double()).sum())


def _predictions(model: LanguageModel, logits: Tensor) -> tuple[Prediction, ...]:
    """The most likely next tokens."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    probabilities = logits.softmax(-1)
    top = probabilities.topk(min(PREDICTIONS, len(logits)))
    pairs = zip(top.indices.tolist(), top.values.tolist(), strict=True)
    return tuple(Prediction(i, model.token_text(i), p, float(logits[i])) for i, p in pairs)
