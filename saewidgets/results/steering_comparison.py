"""A prompt continued without and with edits, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np

from saewidgets.results.generation import Generation, NextToken, Strength
from saewidgets.results.side_effect import SideEffect
from saewidgets.results.snapshot import Snapshot
from saewidgets.results.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class SteeringComparison(Snapshot):
    """What a model says without and with edits.

    Args:
        next_token: The next token's distribution under both.
        base: Continuations without edits, one a sample.
        steered: Continuations with them, with the same seeds.
        strengths: What the edits' numbers stand for.
        side_effect: What the edits do to neutral texts; None where it was not measured.
        values: Strengths that one of the edits was tried at.
        sweep: The continuation at each of ``values``.
    """

    next_token: NextToken
    base: tuple[Generation, ...]
    steered: tuple[Generation, ...]
    strengths: tuple[Strength, ...] = ()
    side_effect: SideEffect | None = None
    values: tuple[float, ...] = ()
    sweep: tuple[Generation, ...] = ()

    @property
    def prompt_tokens(self) -> Tokens:
        """The prompt."""
        return self.next_token.prompt_tokens

    @property
    def edits(self) -> tuple[str, ...]:
        """The edits as formulas."""
        return self.next_token.edits

    def differs(self, n: int = 0) -> tuple[np.ndarray, np.ndarray]:
        """Which new tokens of sample n are not part of what both texts share.

        Returns:
            Of the base and of the steered text, bool [new] each; shared is the longest common run and, on either side
            of it, what is common there, as ``difflib`` finds it.
        """
        return differing(self.base[n].new_tokens.ids, self.steered[n].new_tokens.ids)

    def __repr__(self) -> str:
        pairs = "; ".join(f"{a.text!r} → {b.text!r}" for a, b in list(zip(self.base, self.steered, strict=False))[:2])
        return f"SteeringComparison({pairs or 'no text'}; {'; '.join(self.edits) or 'no edits'})"

    def to_frame(self) -> pd.DataFrame:
        """One row a new token: sample, text ("base" or "steered"), position, token, logprob, ..., differs."""
        import pandas as pd

        frames = []
        for n, pair in enumerate(zip(self.base, self.steered, strict=False)):
            for name, one, differs in zip(("base", "steered"), pair, self.differs(n), strict=True):
                frame = one.to_frame().iloc[len(one.prompt_tokens) :].reset_index(drop=True)
                frames.append(frame.assign(sample=n, text=name, differs=differs))
        if not frames:
            return pd.DataFrame(columns=["sample", "text", "position", "token", "logprob", "differs"])
        whole = pd.concat(frames, ignore_index=True)
        return whole.reindex(columns=["sample", "text", *whole.columns.difference(["sample", "text"], sort=False)])


def differing(base: np.ndarray, steered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which tokens of two texts are not part of what they share.

    Args:
        base: Token ids [n].
        steered: Token ids [m].

    Returns:
        bool [n] and bool [m].

    Example:
        >>> differing(np.array([1, 2, 3]), np.array([1, 9, 9, 3]))
        (array([False,  True, False]), array([False,  True,  True, False]))
    """
    one, other = np.ones(len(base), bool), np.ones(len(steered), bool)
    matcher = SequenceMatcher(None, np.asarray(base).tolist(), np.asarray(steered).tolist(), autojunk=False)
    for i, j, n in matcher.get_matching_blocks():
        one[i : i + n] = other[j : j + n] = False
    return one, other
