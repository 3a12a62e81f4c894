"""What a way to steer costs, and one score for how well it did: arithmetic without a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saewidgets.errors import EditError
from saewidgets.results.steering_vector import Number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class AmortisedCost:
    """Tokens that are run through the model to steer towards T concepts, with vectors and with the features of an SAE.

    Vectors: T 2 n L tokens. Features: C + T (m L + search) tokens, where the SAE is trained once. What computing the
    SAE itself takes is not in it, and nothing is said about how well either steers.

    Args:
        sae_tokens: C, tokens that the SAE is trained on; 0 for an SAE that somebody else trained.
        n_pairs: n, contrast pairs for each vector.
        n_examples: m, texts by which a feature is found.
        length: L, tokens a text.
        search_tokens: Tokens for each concept spent on looking for its feature otherwise.

    Raises:
        EditError: A number that is below 0 or not finite; no pairs; texts without length.

    Example:
        >>> cost = AmortisedCost(sae_tokens=1e9, n_pairs=256, n_examples=2, length=100)
        >>> round(cost.break_even)
        19608
        >>> AmortisedCost(sae_tokens=1e9, n_pairs=1, n_examples=2, length=100).break_even
        inf
    """

    sae_tokens: Number
    n_pairs: Number
    n_examples: Number = 2
    length: Number = 100
    search_tokens: Number = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            _check_number(name, value, above_zero=name in {"n_pairs", "length"})

    def vectors(self, tasks: Number) -> float:
        """Tokens for vectors towards so many concepts."""
        return float(tasks * 2 * self.n_pairs * self.length)

    def features(self, tasks: Number) -> float:
        """Tokens for features towards so many concepts, the SAE's training included."""
        return float(self.sae_tokens + tasks * (self.n_examples * self.length + self.search_tokens))

    @property
    def break_even(self) -> float:
        """Number of concepts from which on features cost less; infinite where a feature costs what a vector does."""
        saved = (2 * self.n_pairs - self.n_examples) * self.length - self.search_tokens
        return self.sae_tokens / saved if saved > 0 else math.inf

    def to_frame(self, tasks: Sequence[Number] = (1, 10, 100, 1_000, 10_000, 100_000)) -> pd.DataFrame:
        """One row a number of concepts: tasks, vectors, features (tokens), cheaper."""
        import pandas as pd

        rows = [(t, self.vectors(t), self.features(t)) for t in tasks]
        frame = pd.DataFrame(rows, columns=["tasks", "vectors", "features"])
        frame["cheaper"] = ["features" if sae < vectors else "vectors" for _, vectors, sae in rows]
        return frame


def harmonic_mean(*scores: Number) -> float:
    """The number n / sum(1 / score), and 0 where any score is 0: no success makes up for a failure.

    Args:
        scores: Numbers from 0, all on one scale.

    Raises:
        EditError: No score, or one that is below 0 or not finite.

    Example:
        >>> harmonic_mean(1, 2, 2), harmonic_mean(2, 0, 2)
        (1.5, 0.0)
    """
    if not scores:
        raise EditError("There is no mean of no scores.", got="no scores", expected="at least one")
    for score in scores:
        _check_number("a score", score)
    if min(scores) == 0:
        return 0.0
    # Divided by the smallest first, so that a tiny score does not overflow.
    smallest = float(min(scores))
    return len(scores) / math.fsum(smallest / score for score in scores) * smallest


def axbench_score(concept: Number, instruct: Number, fluency: Number) -> float:
    """The score of AxBench: the harmonic mean of three ratings from 0 to 2, as its code computes it.

    Args:
        concept: Whether the concept is in the text.
        instruct: Whether the text does what it was asked to.
        fluency: Whether it is well-formed.

    Returns:
        From 0 to 2; 0 where any rating is 0.

    Raises:
        EditError: A rating outside of 0 to 2.

    Example:
        >>> axbench_score(2, 2, 2), axbench_score(2, 0, 2), axbench_score(1, 2, 2)
        (2.0, 0.0, 1.5)
    """
    for name, rating in (("concept", concept), ("instruct", instruct), ("fluency", fluency)):
        _check_number(name, rating)
        if rating > 2:
            raise EditError("A rating of AxBench is from 0 to 2.", got=f"{name}={rating}", expected="0 to 2")
    return harmonic_mean(concept, instruct, fluency)


def _check_number(name: str, value: Number, above_zero: bool = False) -> None:
    if not math.isfinite(value) or value < 0 or (above_zero and value == 0):
        raise EditError(
            f"This is no number for '{name}'.", got=value, expected="above 0" if above_zero else "0 or more, finite"
        )
