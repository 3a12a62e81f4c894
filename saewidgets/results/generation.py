"""What a model says next, and what it says on end, with and without edits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saewidgets.results.snapshot import Snapshot
from saewidgets.results.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd


class NextTokenRow(NamedTuple):
    """One token and its probability without and with the edits."""

    id: int
    token: str
    base: float
    edited: float


class Reach(NamedTuple):
    """How far an edit reached: how many tokens it moved, of those at which it looked."""

    moved: int
    of: int


class Strength(NamedTuple):
    """What the number of an edit stands for.

    Attributes:
        value: alpha, v or gamma; 0 where the formula has none.
        maximum: m, or the vector's length; None where the formula does not use it.
        absolute: value times maximum, in the SAE's units for a feature, in the model's for a vector.
        source: Where m comes from, in words.
    """

    value: float
    maximum: float | None
    absolute: float | None
    source: str

    def __str__(self) -> str:
        if self.maximum is None:
            return ""
        return f"{self.value:g} m = {self.absolute:.4g}, m = {self.maximum:.4g} ({self.source})"


@dataclass(frozen=True, eq=False, repr=False)
class NextToken(Snapshot):
    """The distribution of the next token, without and with edits.

    Args:
        prompt_tokens: The prompt.
        ids: Token ids, int64 [k], the likeliest under either first.
        tokens: What they read as.
        base: Probability without edits, float64 [k].
        edited: Probability with them, float64 [k].
        kl: KL(base || edited) over the whole vocabulary, in nats.
        edits: The edits as formulas.
        steered: True where an edit moved the activation, bool [pos].
        model: Name of the model in the lab.
        reach: For each edit how many tokens of the prompt it moved, of those that its ``where`` admits; a condition on
            a feature is not part of that ``where``.
    """

    prompt_tokens: Tokens
    ids: np.ndarray
    tokens: tuple[str, ...]
    base: np.ndarray
    edited: np.ndarray
    kl: float
    edits: tuple[str, ...]
    steered: np.ndarray
    model: str
    reach: tuple[Reach, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        rows = ", ".join(f"{row.token!r} {row.base:.3f}→{row.edited:.3f}" for row in self.top(3))
        return f"NextToken({rows}; KL {self.kl:.4g} nats; {int(self.steered.sum())} of {len(self.steered)} steered)"

    def top(self, k: int = 10) -> tuple[NextTokenRow, ...]:
        """The k likeliest tokens."""
        columns = (self.ids.tolist(), self.tokens, self.base.tolist(), self.edited.tolist())
        return tuple(NextTokenRow(*row) for row in list(zip(*columns, strict=True))[: max(k, 0)])

    def to_frame(self) -> pd.DataFrame:
        """One row a token: token, id, base, edited."""
        import pandas as pd

        return pd.DataFrame({"token": self.tokens, "id": self.ids, "base": self.base, "edited": self.edited})


@dataclass(frozen=True, eq=False, repr=False)
class Generation(Snapshot):
    """A continuation that a model wrote.

    Args:
        prompt_tokens: The prompt.
        new_tokens: What was written.
        logprobs: Log-probability of each new token under the edited model, float64 [new].
        base_logprobs: The same without edits, float64 [new].
        kl: KL(base || edited) of the distribution that each new token was taken from, in nats, float64 [new].
        steered: True where an edit moved the activation, bool [pos + new - 1]; the last token was not read.
        edits: The edits as formulas.
        model: Name of the model in the lab.
        stopped: Why it ended: "length", "stop" (a stop string), "eos" or "cancelled"; "" while it is written.
        temperature: 0 for the likeliest token.
        seed: Of the random draws.
        reach: For each edit how many tokens it moved, of those of prompt and continuation that its ``where`` admits.
    """

    prompt_tokens: Tokens
    new_tokens: Tokens
    logprobs: np.ndarray
    base_logprobs: np.ndarray
    kl: np.ndarray
    steered: np.ndarray
    edits: tuple[str, ...]
    model: str
    stopped: str = "length"
    temperature: float = 0.0
    seed: int = 0
    reach: tuple[Reach, ...] = ()

    def __len__(self) -> int:
        return len(self.new_tokens)

    @property
    def text(self) -> str:
        """What was written, without the prompt."""
        return self.new_tokens.text

    @property
    def tokens(self) -> tuple[str, ...]:
        """Prompt and continuation, token by token."""
        return self.prompt_tokens.strings + self.new_tokens.strings

    @cached_property
    def repetition(self) -> float:
        """Share of the new tokens that end a run of three that was written before; 0 for fewer than three."""
        ids = self.new_tokens.ids.tolist()
        runs = [tuple(ids[n : n + 3]) for n in range(len(ids) - 2)]
        return 1 - len(set(runs)) / len(runs) if runs else 0.0

    @property
    def mean_kl(self) -> float:
        """KL(base || edited) in nats, mean over the new tokens; NaN where there are none or it was not measured."""
        return float(self.kl.mean()) if len(self) else float("nan")

    def __repr__(self) -> str:
        edits = "; ".join(self.edits) or "no edits"
        return f"Generation({self.text!r}, {len(self)} tokens, {edits}, ended by {self.stopped})"

    def to_frame(self) -> pd.DataFrame:
        """One row a token of prompt and continuation: position, token, logprob, base_logprob, kl, steered."""
        import pandas as pd

        n, new = len(self.prompt_tokens), len(self)
        empty = np.full(n, np.nan)
        steered = np.append(self.steered, np.zeros(n + new - len(self.steered), bool))
        return pd.DataFrame({
            "position": np.arange(n + new),
            "token": self.tokens,
            "logprob": np.append(empty, self.logprobs),
            "base_logprob": np.append(empty, self.base_logprobs),
            "kl": np.append(empty, self.kl),
            "steered": steered,
        })  # fmt: skip
