"""All that is known of one feature: how often and how strongly it fires, where, and what its direction does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saewidgets.results.feature_id import FeatureId
from saewidgets.results.snapshot import Snapshot
from saewidgets.results.steering_vector import Number
from saewidgets.results.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, repr=False)
class Example:
    """A token of the corpus on which a feature fires, in its window.

    Args:
        activation: The feature's activation there.
        position: Place of the token in the window, from 0.
        ids: Token ids of the window, int64 [pos].
        text: Number of the text in the corpus, from 0.
        offset: How many tokens of that text come before the window.
        decode: From token ids to tokens; called when they are first looked at.
    """

    activation: Number
    position: int
    ids: np.ndarray
    text: int
    offset: int
    decode: Callable[[np.ndarray], Tokens] | None = field(default=None)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Example({self.activation:.4g} at token {self.position} of {len(self)}, text {self.text})"

    @cached_property
    def tokens(self) -> Tokens:
        """The tokens of the window, byte for byte; without a tokenizer ``<7>`` for token 7."""
        if self.decode is not None:
            return self.decode(self.ids)
        return Tokens(self.ids, tuple(f"<{i}>".encode() for i in self.ids.tolist()), np.zeros(len(self), bool))

    def around(self, before: int = 5, after: int = 5) -> tuple[int, int]:
        """Start and stop of the tokens near, cut where the window ends."""
        return max(0, self.position - before), min(len(self), self.position + after + 1)


class Quantile(NamedTuple):
    """The least activation that a share ``level`` of the firings does not exceed: ``low`` <= it <= ``high``."""

    level: float
    value: float
    low: float
    high: float


class Histogram(NamedTuple):
    """Counts of firings between edges, int64 [n] and float64 [n + 1]; a bin holds its lower edge, not its upper."""

    counts: np.ndarray
    edges: np.ndarray


@dataclass(frozen=True, eq=False)
class Interval:
    """Firings with an activation in (low, high].

    Args:
        low: Lower edge, not in the interval.
        high: Upper edge.
        count: How many; a whole number where it is exact, else an estimate.
        count_low: Not fewer than this.
        count_high: Not more than this; where it equals ``count_low`` the number is exact.
        share: Share of all firings.
        mass: Sum of the activations, an estimate where the count is one.
        mass_share: Share of the sum of all activations.
        examples: A uniform sample of the firings, in random order: the first few are a uniform sample too.
    """

    low: Number
    high: Number
    count: Number
    count_low: int
    count_high: int
    share: Number
    mass: Number
    mass_share: Number
    examples: tuple[Example, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the count is exact."""
        return self.count_low == self.count_high


class CoFiring(NamedTuple):
    """Another feature, and on how many tokens both fire.

    ``jaccard`` is the share of the tokens with either that have both, ``low`` to ``high`` its 95 % interval (equal
    where it is exact), ``both`` the number of tokens that follows from it, ``given`` its share of the first feature's.
    """

    feature: FeatureId
    jaccard: float
    low: float
    high: float
    both: float
    given: float

    @property
    def exact(self) -> bool:
        """Whether these are counts and not estimates from a sample."""
        return self.low == self.high


class TokenEffect(NamedTuple):
    """A token of the vocabulary and what a feature's direction adds to its logit."""

    id: int
    token: str
    effect: float


@dataclass(frozen=True, eq=False)
class LogitEffects:
    """What one unit of a feature adds to the logits through the direct path, up to the final norm's scale.

    Args:
        top: The tokens it raises most, largest first.
        bottom: The tokens it lowers most, lowest first.
        histogram: Effects on the whole vocabulary, in 50 bins.
        how: What was done about the final norm, in words.
    """

    top: tuple[TokenEffect, ...]
    bottom: tuple[TokenEffect, ...]
    histogram: Histogram
    how: str


class Neighbour(NamedTuple):
    """A feature whose decoder row points a similar way."""

    feature: FeatureId
    cosine: float


class NeuronAlignment(NamedTuple):
    """A dimension of the activation, its weight in the decoder row, and its share of the row's absolute sum."""

    neuron: int
    value: float
    share: float


class ConceptMatch(NamedTuple):
    """A concept, and how well "the feature fires above ``threshold`` times its maximum" tells it.

    ``precision`` is over the tokens on which it fires so, ``recall`` over the concept's spans, ``f1`` is both in one.
    """

    concept: str
    precision: float
    recall: float
    f1: float
    threshold: float = 0.0

    @property
    def words(self) -> str:
        """The concept, and the threshold where there is one.

        Example:
            >>> ConceptMatch("capital.city", 0.9, 0.8, 0.847, 0.3).words
            'capital.city (above 0.3 max)'
        """
        return f"{self.concept} (above {self.threshold:g} max)" if self.threshold else self.concept


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class FeatureStats(Snapshot):
    """One feature over a corpus.

    Args:
        feature: Its name.
        n_tokens: Tokens counted; special tokens are not, unless the index was built so.
        count: Tokens on which it fires.
        max: Largest activation, 0 where it never fires.
        mean: Mean of the activations above 0.
        std: Their standard deviation.
        quantiles: Of the activations above 0.
        histogram: Activations above 0 in bins of equal width; exact.
        fine_histogram: The same in bins of a width that grows with the activation, 32 an octave; the first holds all
            below 1/256 of the last edge; exact.
        intervals: Ten of equal width over (0, max].
        top: The distinct contexts with the largest activations, largest first.
        cofiring: Features that fire on the same tokens, most alike first.
        logits: What its direction does to the logits; None where it is not known.
        neighbours: Features with the nearest decoder rows, in this SAE and in others of the same width.
        encoder_cosine: Cosine between its encoder column and its decoder row; None where it is not known.
        neurons: Dimensions of the activation that its decoder row lies along most.
        concepts: Concepts that it tells best, where the corpus had labels.
        label: What people call it.
        hook: Hook point of its SAE.
        model: Name of the model.
        sample: What the corpus is, in words.

    Example:
        >>> stats = lab.feature("sae/123")  # doctest: +SKIP
        >>> stats.density, stats.top[0].tokens.text  # doctest: +SKIP
    """

    feature: FeatureId
    n_tokens: int
    count: int
    max: Number
    mean: Number
    std: Number
    quantiles: tuple[Quantile, ...]
    histogram: Histogram
    fine_histogram: Histogram
    intervals: tuple[Interval, ...]
    top: tuple[Example, ...]
    cofiring: tuple[CoFiring, ...] = ()
    logits: LogitEffects | None = None
    neighbours: tuple[Neighbour, ...] = ()
    encoder_cosine: Number | None = None
    neurons: tuple[NeuronAlignment, ...] = ()
    concepts: tuple[ConceptMatch, ...] = ()
    label: str = ""
    hook: str = ""
    model: str = ""
    sample: str = ""

    @property
    def density(self) -> float:
        """Share of the tokens on which it fires."""
        return self.count / self.n_tokens if self.n_tokens else 0.0

    @property
    def dead(self) -> bool:
        """Whether it fires on no token of the corpus."""
        return self.count == 0

    @property
    def dense(self) -> bool:
        """Whether it fires on more than 1 % of the tokens."""
        return self.density > 0.01

    def __repr__(self) -> str:
        fires = f"fires on {self.count:,} of {self.n_tokens:,} tokens ({self.density:.3%}), max {self.max:.4g}"
        return f"FeatureStats({str(self.feature)!r}, {fires if self.count else 'dead'})"

    def to_frame(self) -> pd.DataFrame:
        """One row an example: list ("top", or the interval from 1), activation, text, position, token, context.

        ``position`` is the token's in its text, ``context`` the text of the window.
        """
        import pandas as pd

        lists: list[tuple[Any, tuple[Example, ...]]] = [("top", self.top)]
        lists += [(n + 1, interval.examples) for n, interval in enumerate(self.intervals)]
        rows = [
            {
                "list": name, "activation": each.activation, "text": each.text, "position": each.offset + each.position,
                "token": each.tokens.strings[each.position], "context": each.tokens.text,
            }
            for name, examples in lists for each in examples
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=["list", "activation", "text", "position", "token", "context"])

    def intervals_frame(self) -> pd.DataFrame:
        """One row an interval: low, high, count, count_low, count_high, share, mass, mass_share."""
        import pandas as pd

        names = ["low", "high", "count", "count_low", "count_high", "share", "mass", "mass_share"]
        return pd.DataFrame([[getattr(each, name) for name in names] for each in self.intervals], columns=names)
