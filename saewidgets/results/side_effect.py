"""What edits do to texts that they are not meant for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from saewidgets.results.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class SideEffect(Snapshot):
    """How much a model says other things of neutral texts under edits, per token that it predicts.

    Args:
        texts: The texts.
        n_predicted: How many tokens of each were predicted, int64 [text].
        kls: KL(base || edited) of each text in nats, mean over its predictions, float64 [text].
        base_ces: Cross-entropy of each text without edits, in nats per token, float64 [text].
        steered_ces: The same with edits, float64 [text].
        edits: The edits as formulas.
        model: Name of the model in the lab.

    Example:
        >>> one = SideEffect(("a b",), np.array([2]), np.array([0.1]), np.array([1.0]), np.array([1.5]), (), "gpt2")
        >>> one.kl, one.ce_increase, round(one.steered_perplexity, 2)
        (0.1, 0.5, 4.48)
    """

    texts: tuple[str, ...]
    n_predicted: np.ndarray
    kls: np.ndarray
    base_ces: np.ndarray
    steered_ces: np.ndarray
    edits: tuple[str, ...]
    model: str

    @property
    def n_tokens(self) -> int:
        """How many tokens were predicted."""
        return int(self.n_predicted.sum())

    @property
    def n_texts(self) -> int:
        """How many texts were read."""
        return len(self.texts)

    @property
    def kl(self) -> float:
        """KL(base || edited) in nats per token, over all texts."""
        return self._mean(self.kls)

    @property
    def base_ce(self) -> float:
        """Cross-entropy without edits, in nats per token."""
        return self._mean(self.base_ces)

    @property
    def steered_ce(self) -> float:
        """Cross-entropy with edits, in nats per token."""
        return self._mean(self.steered_ces)

    @property
    def ce_increase(self) -> float:
        """How much worse the model predicts the texts with edits, in nats per token."""
        return self.steered_ce - self.base_ce

    @property
    def base_perplexity(self) -> float:
        """Exp of the cross-entropy without edits."""
        return math.exp(min(self.base_ce, 700))

    @property
    def steered_perplexity(self) -> float:
        """Exp of the cross-entropy with edits."""
        return math.exp(min(self.steered_ce, 700))

    def _mean(self, values: np.ndarray) -> float:
        return float((values * self.n_predicted).sum() / max(self.n_tokens, 1))

    def __repr__(self) -> str:
        return (
            f"SideEffect(KL {self.kl:.4g} nats a token, cross-entropy {self.base_ce:.4g} -> {self.steered_ce:.4g}; "
            f"{self.n_tokens} tokens of {self.n_texts} texts)"
        )

    def to_frame(self) -> pd.DataFrame:
        """One row a text: text, tokens, kl, base_ce, steered_ce."""
        import pandas as pd

        return pd.DataFrame({
            "text": self.texts,
            "tokens": self.n_predicted,
            "kl": self.kls,
            "base_ce": self.base_ces,
            "steered_ce": self.steered_ces,
        })  # fmt: skip
