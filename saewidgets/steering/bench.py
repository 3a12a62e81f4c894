"""Comparing ways to steer fairly: at the same length of what they add, and at the same side effect.

Each way is swept over lengths of what it adds, one list for all: a strength of 2 means nothing beside a strength of 2
of another way, a mean length of 0.4 activations does. Then, for each KL that is asked for, the strength is looked for
at which a way has that side effect on the neutral texts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from saewidgets.errors import EditError
from saewidgets.models import LanguageModel
from saewidgets.results import FeatureChoice, SteeringBench, Tokens
from saewidgets.steering.bench_arms import Arm, Row, strengths_for
from saewidgets.steering.bench_runs import Neutral, Reading, next_log_odds, write
from saewidgets.steering.cost import AmortisedCost
from saewidgets.steering.scores import concept_rating, fluency_rating, harmonic_means

NORMS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
KLS = (0.03, 0.1, 0.3)
KL_TOLERANCE = 0.01
KL_STEPS = 12

Progress = Callable[[str, int, int], object]


@dataclass(frozen=True)
class BenchTexts:
    """What a comparison is made on.

    Args:
        target: Ids of the target's tokens.
        prompts: Where its next token is looked at, and which are continued.
        neutral: Texts on which side effects are measured.
        n_texts: How many positive and negative texts there are.
        text_length: Their mean number of tokens.
        feature: Name of the feature, or "".
        choice: How it was chosen.
    """

    target: tuple[int, ...]
    prompts: tuple[Tokens, ...]
    neutral: tuple[Tokens, ...]
    n_texts: tuple[int, int] = (0, 0)
    text_length: float = float("nan")
    feature: str = ""
    choice: FeatureChoice | None = None


def steering_bench(
    model: LanguageModel, hook: str, arms: Sequence[Arm], texts: BenchTexts, *, norms: Sequence[float] = NORMS,
    kls: Sequence[float] = KLS, max_new_tokens: int = 12, on_progress: Progress | None = None,
) -> SteeringBench:  # fmt: skip
    """Compare ways to steer.

    Args:
        model: The model.
        hook: Hook point that all arms edit.
        arms: The ways.
        texts: What they are compared on.
        norms: Mean lengths of what is added to a token of the prompts, in mean lengths of their activations, ascending.
        kls: KL on the neutral texts in nats per token, ascending; () for none.
        max_new_tokens: Of the continuations; 0: none are written, and there is no score.
        on_progress: Called with what is done, how many steps of it and of how many; returning False ends it.

    Raises:
        EditError: Ended by ``on_progress``.

    Returns:
        One row a way and budget.
    """
    return _Bench(model, hook, arms, texts, max_new_tokens, on_progress).run(norms, kls)


def cost_of(bench: SteeringBench, sae_tokens: float, n_pairs: int | None = None) -> AmortisedCost:
    """What vectors and features cost with the numbers of a comparison; see :class:`AmortisedCost`.

    Args:
        bench: The comparison.
        sae_tokens: Tokens that the SAE was trained on.
        n_pairs: Pairs of a vector; by default the most of the comparison.
    """
    most = max([n for _, n in bench.ways if n], default=1)
    examples = bench.choice.n_texts if bench.choice is not None else 0
    length = bench.text_length if bench.text_length > 0 else 1.0
    return AmortisedCost(sae_tokens, most if n_pairs is None else n_pairs, examples, length)


def effects_at(
    model: LanguageModel, hook: str, arms: Sequence[Arm], prompts: Sequence[Tokens], target: Sequence[int], norm: float
) -> np.ndarray:
    """Gain of the target's log-odds at the next token, mean over prompts, float64 [arm]; -inf where not reached.

    Args:
        model: The model.
        hook: Hook point that all arms edit.
        arms: The ways.
        prompts: The prompts.
        target: Ids of the target's tokens.
        norm: Mean length of what is added, in mean lengths of the prompts' activations.
    """
    readings = [Reading(model, hook, tokens) for tokens in prompts]
    x = torch.cat([reading.x[reading.plain] for reading in readings])
    length = norm * float(x.double().norm(dim=-1).mean()) if len(x) else 0.0
    rows, there = _rows(np.array([strengths_for(arm.ready, x, np.array([length])) for arm in arms]))
    base, steered = next_log_odds(readings, arms, rows, target, lambda: None)
    effects = np.full(len(arms), -np.inf)
    effects[there[:, 0]] = (steered - base).mean(1)
    return effects


class _Bench:
    def __init__(
        self, model: LanguageModel, hook: str, arms: Sequence[Arm], texts: BenchTexts, n_new: int,
        on_progress: Progress | None,
    ) -> None:  # fmt: skip
        self.started = time.perf_counter()
        self.model, self.hook, self.arms, self.texts, self.n_new = model, hook, arms, texts, n_new
        self._on_progress, self._stage = on_progress, ("", 0, 0)
        self.prompts = [Reading(model, hook, tokens) for tokens in texts.prompts]
        self.neutral = Neutral([Reading(model, hook, tokens) for tokens in texts.neutral])
        self.x = torch.cat([reading.x[reading.plain] for reading in self.prompts])
        if not len(self.x):
            raise EditError("The prompts have only special tokens.", got="nothing to steer", expected="prompts of text")
        model.check_finite(self.x, hook)
        self.mean_norm = float(self.x.double().norm(dim=-1).mean())

    def run(self, norms: Sequence[float], kls: Sequence[float]) -> SteeringBench:
        by_norm = np.array([self._strengths(arm, np.array(norms)) for arm in range(len(self.arms))])
        kl, ce = self._measure(by_norm, "neutral texts")
        found = [self._at_kl(norms, kl, budget) for budget in kls]
        strengths = np.concatenate([by_norm, *(each[0][:, None] for each in found)], 1)
        lengths = np.concatenate([np.tile(norms, (len(self.arms), 1)), *(each[1][:, None] for each in found)], 1)
        kl = np.concatenate([kl, *(each[2][:, None] for each in found)], 1)
        ce = np.concatenate([ce, *(each[3][:, None] for each in found)], 1)
        lengths[np.isnan(strengths)] = np.nan
        flat = strengths.ravel()
        matched = ("norm",) * len(norms) + ("kl",) * len(kls)
        of = np.repeat(np.arange(len(self.arms)), strengths.shape[1])
        rows = [self.arms[int(arm)] for arm in of]
        return SteeringBench(
            target=tuple(map(self.model.token_text, self.texts.target)), model=self.model.name, hook=self.hook,
            feature=self.texts.feature, choice=self.texts.choice,
            prompts=tuple(tokens.text for tokens in self.texts.prompts),
            picking=np.arange(len(self.prompts)) % 2 == 0, n_neutral_tokens=self.neutral.n_tokens,
            n_texts=self.texts.n_texts, text_length=self.texts.text_length, mean_norm=self.mean_norm,
            matched=matched * len(self.arms), budget=np.tile([*norms, *kls], len(self.arms)),
            method=tuple(arm.method for arm in rows), n_pairs=np.array([arm.n_pairs for arm in rows]),
            draw=np.array([arm.resample for arm in rows]), strength=flat, norm=lengths.ravel(), kl=kl.ravel(),
            ce_increase=ce.ravel(), **self._on_prompts(of, flat), seconds=time.perf_counter() - self.started,
        )  # fmt: skip

    # ---- strengths -----------------------------------------------------------------------------------------------

    def _strengths(self, arm: int, norms: np.ndarray) -> np.ndarray:
        return strengths_for(self.arms[arm].ready, self.x, norms * self.mean_norm)

    def _at_kl(self, norms: Sequence[float], kl: np.ndarray, budget: float) -> tuple[np.ndarray, ...]:
        """Strength, length, KL and CE increase of each arm at a KL, NaN where none of its strengths has it.

        The first length of the list at which the KL is above the budget and the one before it hold it between them;
        false position in logarithms narrows them down. Below the first length the KL grows as its square.
        """
        norm, low, high = _brackets(np.log(norms), kl, budget)
        strength, kls, ces = (np.full(len(self.arms), np.nan) for _ in range(3))
        left = ~np.isnan(norm)
        for step in range(KL_STEPS):
            tried = np.full((len(self.arms), 1), np.nan)
            for arm in np.flatnonzero(left):
                tried[arm] = self._strengths(int(arm), np.exp(norm[arm : arm + 1]))
            measured, ce = self._measure(tried, f"KL {budget:g}, step {step + 1}")
            for arm in np.flatnonzero(left):
                strength[arm], kls[arm], ces[arm] = tried[arm, 0], measured[arm, 0], ce[arm, 0]
                off = np.log(max(kls[arm], 1e-30) / budget) if not np.isnan(kls[arm]) else np.nan
                left[arm] = abs(off) > KL_TOLERANCE
                if left[arm]:
                    (low if off < 0 else high)[arm] = norm[arm], off
                    middle = (low[arm, 0] + high[arm, 0]) / 2
                    norm[arm] = middle if step % 3 == 2 else _between(low[arm], high[arm])
            if not left.any():
                break
        strength[left | (np.abs(np.log(np.maximum(kls, 1e-30) / budget)) > KL_TOLERANCE)] = np.nan
        gone = np.isnan(strength)
        return strength, np.where(gone, np.nan, np.exp(norm)), np.where(gone, np.nan, kls), np.where(gone, np.nan, ces)

    # ---- measuring -----------------------------------------------------------------------------------------------

    def _measure(self, strengths: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray]:
        """KL and CE increase on the neutral texts of strengths [arm, n], NaN where a strength is."""
        rows, there = _rows(strengths)
        result = np.full((2, *strengths.shape), np.nan)
        if rows:
            self._begin(what, len(self.texts.neutral))
            result[:, there] = self.neutral.measure(self.arms, rows, self._tick)
        return result[0], result[1]

    def _on_prompts(self, of: np.ndarray, strength: np.ndarray) -> dict[str, np.ndarray]:
        """What depends on the prompts, each [row, prompt]."""
        shape = len(of), len(self.prompts)
        known = ~np.isnan(strength)
        rows = [Row(int(a), float(v)) for a, v in zip(of[known], strength[known], strict=True)]
        self._begin("prompts", len(self.prompts))
        base, steered = next_log_odds(self.prompts, self.arms, rows, self.texts.target, self._tick)
        names = ("effect", "text_effect", "written", "concept", "fluency", "repetition", "score")
        result = {name: np.full(shape, np.nan) for name in names}
        result["effect"][known] = steered - base
        result |= {"base_log_odds": base, "base_written": np.full(len(self.prompts), np.nan)}
        first = known & np.array([self.arms[a].resample == 0 for a in of.tolist()])
        if self.n_new and first.any():
            self._write(result, of, strength, first)
        result["concept"][known] = concept_rating(base, steered)
        ratings = (result[name] for name in ("concept", "fluency", "repetition"))
        result["score"] = harmonic_means(*ratings)
        return result

    def _write(self, result: dict[str, np.ndarray], of: np.ndarray, strength: np.ndarray, first: np.ndarray) -> None:
        rows = [Row(int(a), float(v)) for a, v in zip(of[first], strength[first], strict=True)]
        prompts, target = self.texts.prompts, self.texts.target
        self._begin("continuations", 0)
        base = write(self.model, self.hook, prompts, self.arms, [], self.n_new, target, self._tick)
        new = write(self.model, self.hook, prompts, self.arms, rows, self.n_new, target, self._tick)
        result["base_written"] = base.named[0]
        result["text_effect"][first] = new.log_odds - base.log_odds
        result["written"][first] = new.named
        result["fluency"][first] = fluency_rating(base.ce[0], new.ce, self.model.d_vocab)
        result["repetition"][first] = 2 * new.distinct

    # ---- progress ------------------------------------------------------------------------------------------------

    def _begin(self, what: str, steps: int) -> None:
        self._stage = (what, 0, steps)

    def _tick(self) -> None:
        what, done, steps = self._stage
        self._stage = (what, done + 1, max(steps, done + 1))
        if self._on_progress is not None and self._on_progress(*self._stage) is False:
            raise EditError("The comparison was stopped.", got="on_progress returned False", do="run it again")


def _rows(strengths: np.ndarray) -> tuple[list[Row], np.ndarray]:
    """The known strengths [arm, n] as rows, and where they are."""
    there = ~np.isnan(strengths)
    return [Row(int(arm), float(strengths[arm, n])) for arm, n in np.argwhere(there)], there


def _brackets(log_norms: np.ndarray, kl: np.ndarray, budget: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where to look for a KL first, and a point (log length, log KL / budget) on either side; NaN: not reached.

    Args:
        log_norms: Lengths that were tried, ascending [n].
        kl: What each arm had there [arm, n].
        budget: The KL.

    Returns:
        Log lengths [arm], points below [arm, 2], points above [arm, 2].
    """
    norm = np.full(len(kl), np.nan)
    low, high = np.full((len(kl), 2), np.nan), np.full((len(kl), 2), np.nan)
    for arm, found in enumerate(kl):
        above = np.flatnonzero(found >= budget)
        if not len(above):
            continue
        n = int(above[0])
        over = np.log(found[n] / budget)
        high[arm] = log_norms[n], over
        if n and found[n - 1] > 0:
            low[arm] = log_norms[n - 1], np.log(found[n - 1] / budget)
        else:
            low[arm] = log_norms[n] - over, -over
        norm[arm] = _between(low[arm], high[arm])
    return norm, low, high


def _between(low: Any, high: Any) -> float:
    """Where a straight line between two points (position, value below 0) and (position, value above 0) is 0."""
    span = high[1] - low[1]
    return float(low[0] - low[1] * (high[0] - low[0]) / span) if span > 0 else float(high[0])
