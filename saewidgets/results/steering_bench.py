"""Ways to steer, compared at the same length of what they add and at the same side effect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from saewidgets.errors import EditError
from saewidgets.results.matched_ways import FeatureChoice, MatchedWay, interval_of
from saewidgets.results.snapshot import Snapshot, chart_of
from saewidgets.results.steering_vector import Number

if TYPE_CHECKING:
    import pandas as pd

Matched = Literal["norm", "kl"]


@dataclass(frozen=True, eq=False, repr=False)
class SteeringBench(Snapshot):
    """Ways to steer towards a target, each at several strengths.

    A row is one way (method, pairs, draw) at one budget: a mean length of what is added (``matched`` "norm"), or a KL
    on the neutral texts ("kl"). Where no strength has it, ``strength`` and all that follows are NaN.

    Not comparable: KL and effect between models, hook points, targets, prompts or neutral texts; scores with those of
    AxBench; a length between two hook points. The interval tells of other prompts of the kind and other draws from
    these texts. It tells nothing of other concepts, other SAEs, or texts of another sort, and where the pairs of a draw
    are most of the texts, draws are alike and the interval is too narrow.

    Args:
        target: The tokens.
        model: Name of the model in the lab.
        hook: Hook point.
        feature: The feature, or "" where no method needs one.
        choice: How it was chosen; None where it was given.
        prompts: The prompts.
        picking: The prompts on which :meth:`best` picks strengths, and candidates for the feature are tried, bool
            [prompt].
        n_neutral_tokens: Tokens of the neutral texts that are predicted.
        n_texts: Positive and negative texts, two numbers.
        text_length: Mean tokens of such a text.
        mean_norm: Mean length of the activation of a token of the prompts, in the model's units.
        base_log_odds: Of the target at the next token, without edits [prompt].
        base_written: Whether the unedited model writes the target, 0 or 1; NaN where no texts are written [prompt].
        matched: What each row is matched by [row].
        budget: At how much [row].
        method: Name of the way [row].
        n_pairs: Pairs of texts [row].
        draw: Number of the draw of these texts [row].
        strength: In multiples of the reference maximum or of the vector [row].
        norm: Mean length of what is added, in ``mean_norm`` [row].
        kl: KL(base || edited) on the neutral texts, nats per token [row].
        ce_increase: Of the neutral texts, nats per token [row].
        effect: Gain in the target's log-odds at the next token, nats [row, prompt].
        text_effect: Gain in its log-odds, mean over the tokens of the continuations, nats [row, prompt]; like all that
            follow NaN but for the first draw, as texts are written for that alone.
        written: Whether the target was written, 0 or 1 [row, prompt].
        concept: Rating from 0 to 2 [row, prompt].
        fluency: Rating from 0 to 2 [row, prompt].
        repetition: Rating from 0 to 2, 2 for none [row, prompt].
        score: Harmonic mean of the three [row, prompt].
        seconds: How long the comparison took.
    """

    target: tuple[str, ...]
    model: str
    hook: str
    feature: str
    choice: FeatureChoice | None
    prompts: tuple[str, ...]
    picking: np.ndarray
    n_neutral_tokens: int
    n_texts: tuple[int, int]
    text_length: float
    mean_norm: float
    base_log_odds: np.ndarray
    base_written: np.ndarray
    matched: tuple[str, ...]
    budget: np.ndarray
    method: tuple[str, ...]
    n_pairs: np.ndarray
    draw: np.ndarray
    strength: np.ndarray
    norm: np.ndarray
    kl: np.ndarray
    ce_increase: np.ndarray
    effect: np.ndarray
    text_effect: np.ndarray
    written: np.ndarray
    concept: np.ndarray
    fluency: np.ndarray
    repetition: np.ndarray
    score: np.ndarray
    seconds: float = float("nan")

    def __len__(self) -> int:
        return len(self.method)

    def __repr__(self) -> str:
        ways = len({(m, n) for m, n in zip(self.method, self.n_pairs.tolist(), strict=True)})
        return (
            f"SteeringBench(target {', '.join(map(repr, self.target))}; {ways} ways, {len(self)} rows, "
            f"{len(self.prompts)} prompts, KL on {self.n_neutral_tokens} neutral tokens; {self.seconds:.0f} s)"
        )

    @property
    def norms(self) -> tuple[float, ...]:
        """The lengths at which all ways are compared, in ``mean_norm``."""
        return self._budgets("norm")

    @property
    def kls(self) -> tuple[float, ...]:
        """The side effects at which all ways are compared, in nats per token."""
        return self._budgets("kl")

    @property
    def ways(self) -> tuple[tuple[str, int], ...]:
        """Method and number of pairs of each way, in their order."""
        return tuple(dict.fromkeys(zip(self.method, self.n_pairs.tolist(), strict=True)))

    @property
    def compared(self) -> np.ndarray:
        """The prompts of matched comparisons, bool [prompt]: those on which no feature was chosen."""
        chosen_on_prompts = self.choice is not None and self.choice.candidates > 1
        return ~self.picking if chosen_on_prompts else np.ones(len(self.prompts), bool)

    def to_frame(self) -> pd.DataFrame:
        """One row a way and budget, means over prompts: matched, budget, method, n_pairs, draw, strength, norm, kl,
        ce_increase, effect, text_effect, written, concept, fluency, repetition, score.
        """  # noqa: D205 - a list of columns
        import pandas as pd

        columns = ("matched", "budget", "method", "n_pairs", "draw", "strength", "norm", "kl", "ce_increase")
        per_prompt = ("effect", "text_effect", "written", "concept", "fluency", "repetition", "score")
        data = {name: getattr(self, name) for name in columns}
        return pd.DataFrame(data | {name: getattr(self, name).mean(1) for name in per_prompt})

    def comparisons(self, matched: Matched, budget: Number | None = None) -> tuple[MatchedWay, ...]:
        """All ways at one budget, in their order.

        Args:
            matched: "norm" or "kl".
            budget: One of :attr:`norms` or :attr:`kls`; None: the middle one.

        Raises:
            EditError: The ways were not compared at this budget.
        """
        at = self._at(matched, budget)
        return tuple(self._comparison(way, at & self._of(way)) for way in self.ways)

    def at_norm(self, norm: Number | None = None) -> pd.DataFrame:
        """All ways where what they add has the same mean length; columns as the fields of :class:`MatchedWay`."""
        return _frame(self.comparisons("norm", norm))

    def at_kl(self, kl: Number | None = None) -> pd.DataFrame:
        """All ways where the side effect on the neutral texts is the same; columns as :class:`MatchedWay`."""
        return _frame(self.comparisons("kl", kl))

    def differences(
        self, method: str, matched: Matched = "kl", budget: Number | None = None, n_pairs: int | None = None
    ) -> pd.DataFrame:
        """How much more effect one way has than each other, prompt by prompt, with 95 % bootstrap intervals.

        Args:
            method: The way to compare with.
            matched: "norm" or "kl".
            budget: As for :meth:`comparisons`.
            n_pairs: Number of pairs of that way; None: the most.

        Returns:
            One row a way: method, n_pairs, difference (effect of the named way minus that of this one), low, high;
            NaN where one of the two does not reach the budget.

        Raises:
            EditError: There is no such way, or no such budget.
        """
        import pandas as pd

        known = [n for m, n in self.ways if m == method and n_pairs in (None, n)]
        if not known:
            raise EditError(
                "There is no such way to steer.", got=f"{method!r}, {n_pairs} pairs",
                expected=", ".join(f"{m} ({n})" if n else m for m, n in self.ways),
            )  # fmt: skip
        at = self._at(matched, budget)
        own = self.effect[self._reached(at & self._of((method, max(known))))][:, self.compared]
        rows = []
        for way in self.ways:
            theirs = self.effect[self._reached(at & self._of(way))][:, self.compared]
            if way != (method, max(known)):
                rows.append((*way, *interval_of(own, theirs)))
        return pd.DataFrame(rows, columns=["method", "n_pairs", "difference", "low", "high"])

    def best(self, by: str = "score") -> pd.DataFrame:
        """Each way at the length that is best on one half of the prompts, and what it does on the other half.

        Args:
            by: "score", or "effect", the gain in log-odds.

        Returns:
            One row a way, of its first draw: method, n_pairs, norm, strength, kl, picked (the value on the half where
            the length was picked, too good), held_out (on the other half), low, high (95 % over its prompts).

        Raises:
            EditError: Fewer than two prompts, or another ``by``.
        """
        import pandas as pd

        if by not in ("score", "effect"):
            raise EditError("Strengths are not picked by that.", got=repr(by), expected="'score' or 'effect'")
        if len(self.prompts) < 2:
            raise EditError("Half of one prompt is none.", got="one prompt", expected="two or more prompts")
        values = self.score if by == "score" else self.effect
        first = np.array([m == "norm" for m in self.matched]) & (self.draw == 0)
        rows = []
        for way in self.ways:
            own = np.flatnonzero(first & self._of(way) & ~np.isnan(values).all(1))
            if not len(own):
                rows.append((*way, *[np.nan] * 7))
                continue
            picked = values[own][:, self.picking].mean(1)
            row = own[int(picked.argmax())]
            held = interval_of(values[row : row + 1, ~self.picking])
            rows.append((*way, self.norm[row], self.strength[row], self.kl[row], picked.max(), *held))
        heads = ["method", "n_pairs", "norm", "strength", "kl", "picked", "held_out", "low", "high"]
        return pd.DataFrame(rows, columns=heads)

    def chart(self, kind: str = "tradeoff", budget: Number | None = None) -> Any:
        """A chart that shows itself in JupyterLab without network; ``.spec`` is Vega-Lite.

        Args:
            kind: "tradeoff": effect against side effect, a line a way over its strengths. "pairs": effect at one side
                effect against the number of pairs.
            budget: For "pairs" one of :attr:`kls`; None: the middle one.
        """
        return chart_of(self, kind, budget)

    # ---- what the questions above share --------------------------------------------------------------------------

    def _budgets(self, matched: Matched) -> tuple[float, ...]:
        return tuple(sorted({float(b) for m, b in zip(self.matched, self.budget, strict=True) if m == matched}))

    def _at(self, matched: Matched, budget: Number | None) -> np.ndarray:
        known = self._budgets(matched)
        if budget is None and known:
            budget = known[len(known) // 2]
        near = [b for b in known if budget is not None and np.isclose(b, budget, rtol=1e-9)]
        if not near:
            raise EditError(
                f"The ways were not compared at this {matched}.", got=budget,
                expected=", ".join(f"{b:g}" for b in known) or "nothing: there are none",
            )  # fmt: skip
        return np.array([m == matched for m in self.matched]) & (self.budget == near[0])

    def _of(self, way: tuple[str, int]) -> np.ndarray:
        return np.array([m == way[0] for m in self.method]) & (self.n_pairs == way[1])

    def _reached(self, rows: np.ndarray) -> np.ndarray:
        return rows & ~np.isnan(self.strength)

    def _comparison(self, way: tuple[str, int], rows: np.ndarray) -> MatchedWay:
        there = self._reached(rows)
        first = there & (self.draw == 0)

        def mean(values: np.ndarray, rows: np.ndarray = there) -> float:
            own = values[rows][:, self.compared] if values.ndim == 2 else values[rows]
            return float(own.mean()) if rows.any() else float("nan")

        effect = interval_of(self.effect[there][:, self.compared])
        return MatchedWay(
            *way, *effect, mean(self.score, first), mean(self.written, first), mean(self.kl), mean(self.ce_increase),
            mean(self.norm), mean(self.strength), int(there.sum()), int(rows.sum()),
        )  # fmt: skip


def _frame(rows: Sequence[MatchedWay]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(MatchedWay._fields))
