"""How well a feature tells one thing: what it fires on, by the strength of its activation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from saewidgets.errors import SpecificityError
from saewidgets.results.feature_id import FeatureId
from saewidgets.results.snapshot import Snapshot, chart_of
from saewidgets.results.steering_vector import Number

if TYPE_CHECKING:
    import pandas as pd

Z95 = 1.959963984540054
"""97.5 % of the normal distribution lie below."""

THRESHOLDS = np.arange(101) / 100


def wilson(share: Any, n: Any) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's 95 % interval of a share among n draws; NaN where n is 0.

    Args:
        share: What was found, float64 [...].
        n: Draws, or as many as the draws are worth where they do not count alike.

    Example:
        >>> [round(float(end), 4) for end in wilson(0.5, 10)]
        [0.2366, 0.7634]
    """
    p, n = np.asarray(share, np.float64), np.asarray(n, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = Z95**2 / n
        centre, half = p + z / 2, Z95 * np.sqrt(p * (1 - p) / n + z / (4 * n))
        low, high = (centre - half) / (1 + z), (centre + half) / (1 + z)
    # At the ends the bound is the share itself, and rounding must not put it outside.
    return np.asarray(np.minimum(np.maximum(low, 0), p)), np.asarray(np.maximum(np.minimum(high, 1), p))


class Threshold(NamedTuple):
    """What is kept where activations up to a threshold count as 0; the columns of :class:`Specificity` at one ``t``.

    ``activation`` is the threshold itself, t times the feature's maximum.
    """

    t: float
    activation: float
    precision: float
    precision_low: float
    precision_high: float
    recall: float
    recall_of_firings: float
    f1: float
    share: float
    mass: float


@dataclass(frozen=True, eq=False)
class IntervalScore:
    """Firings with an activation in (low, high], and what they were found to be.

    Args:
        low: Lower edge, not in the interval.
        high: Upper edge.
        count: Firings in it; not a whole number where the index estimates it.
        share: Share of all firings.
        mass_share: Share of the sum of all activations.
        n: Firings that were scored: all, or a sample.
        counts: How often each score was given: (no, yes), or scores 0 to 3.
        shares: The same as shares; NaN where nothing was scored.
        precision: Share of "yes", or of the ratings that suffice; NaN where nothing was scored.
        precision_low: Wilson's 95 % interval, the firings taken as independent draws; NaN where nothing was scored.
        precision_high: Its upper end.
        llr: log P(yes | this interval) / P(yes); NaN where the base rate is not known, -inf where none is "yes".
        exact: Whether every firing of the interval was scored.
    """

    low: Number
    high: Number
    count: Number
    share: Number
    mass_share: Number
    n: int
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    precision: Number
    precision_low: Number
    precision_high: Number
    llr: Number
    exact: bool


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Specificity(Snapshot):
    """What a feature fires on, in ten intervals of its activation, and what a threshold would leave of it.

    Where texts were run, every token of them counts. Where it comes from an index, or from ratings, samples of the
    intervals stand for all firings in them: a sampled firing of an interval with many counts for many, and precision is
    that of all firings, not that of the sample. Recall is then not known, as nobody has looked where it is silent.

    The intervals take firings as independent; those of one text are not, so that they are somewhat too narrow.

    Args:
        feature: Its name.
        kind: "predicate" or "rating".
        what: The predicate in words, or which ratings suffice.
        rater: Who rated; several names where their ratings were pooled; "" for a predicate.
        max: The feature's largest activation, the unit of thresholds.
        max_from: Where it is from, in words; a larger corpus may have a larger one.
        sample: What was scored, in words.
        n_scored: Firings that were scored.
        count: Firings.
        n_tokens: Tokens looked at, special ones left out.
        base_rate: Share of these tokens that are marked, firing or not; NaN where it is not known.
        intervals: Ten of equal width over (0, max].
        thresholds: Shares of ``max`` from 0 to 1, float64 [101]; a firing is kept where f > t * max, so that 0 keeps
            all.
        precision: Of the firings that are kept, float64 [101]; NaN where none is.
        precision_low: Wilson's 95 % interval; where firings count for more than one, with Kish's effective number.
        precision_high: Its upper end.
        recall: Share of all marked tokens that are kept; NaN where these were not counted.
        recall_of_firings: Share of the marked firings that are kept; NaN where there is none.
        f1: Of precision and recall; NaN where recall is.
        share: Share of the firings that are kept.
        mass: Share of the sum of activations that is kept.
        exact: Whether every firing was scored.
        notes: What else should be known, a sentence each.

    Example:
        >>> found = lab.specificity("sae/7", r"London|Paris", texts)  # doctest: +SKIP
        >>> found.overall_precision, found.at(0.3).precision, found.at(0.3).mass  # doctest: +SKIP
    """

    feature: FeatureId
    kind: Literal["predicate", "rating"]
    what: str
    rater: str = ""
    max: Number
    max_from: str = ""
    sample: str = ""
    n_scored: int
    count: int
    n_tokens: int
    base_rate: Number
    intervals: tuple[IntervalScore, ...]
    thresholds: np.ndarray
    precision: np.ndarray
    precision_low: np.ndarray
    precision_high: np.ndarray
    recall: np.ndarray
    recall_of_firings: np.ndarray
    f1: np.ndarray
    share: np.ndarray
    mass: np.ndarray
    exact: bool
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        low, high = self.precision_low[0], self.precision_high[0]
        of = f"{self.n_scored:,} of {self.count:,} firings scored"
        return (
            f"Specificity({str(self.feature)!r}, {self.what}: "
            f"precision {self.overall_precision:.3g} ({low:.3g} to {high:.3g}), {of})"
        )

    @property
    def overall_precision(self) -> float:
        """Precision of all firings: that of the intervals, each weighted by its share of the firings."""
        return float(self.precision[0])

    @property
    def labels(self) -> tuple[str, ...]:
        """What the scores are called, in the order of ``counts``."""
        return ("no", "yes") if self.kind == "predicate" else ("0", "1", "2", "3")

    def at(self, t: Any) -> Threshold:
        """What a threshold leaves.

        Args:
            t: Share of the maximum, from 0 to 1; the nearest hundredth is taken.

        Raises:
            SpecificityError: Not such a number.
        """
        if isinstance(t, bool) or not isinstance(t, int | float | np.number) or not 0 <= t <= 1:
            raise SpecificityError("This is no threshold.", got=repr(t)[:80], expected="a share of the maximum, 0 to 1")
        n = round(float(t) * 100)
        columns = [float(getattr(self, name)[n]) for name in Threshold._fields[2:]]
        return Threshold(float(self.thresholds[n]), float(self.thresholds[n] * self.max), *columns)

    def to_frame(self) -> pd.DataFrame:
        """One row an interval: low, high, count, share, mass_share, n, a column a score with its share, precision,
        precision_low, precision_high, llr, exact.
        """  # noqa: D205 - a list of columns
        import pandas as pd

        before = ("low", "high", "count", "share", "mass_share", "n")
        after = ("precision", "precision_low", "precision_high", "llr", "exact")
        rows = [
            [*(getattr(each, name) for name in before), *each.shares, *(getattr(each, name) for name in after)]
            for each in self.intervals
        ]
        return pd.DataFrame(rows, columns=[*before, *self.labels, *after])

    def curve_frame(self) -> pd.DataFrame:
        """One row a threshold: t, activation, precision, precision_low, precision_high, recall, recall_of_firings, f1,
        share, mass.
        """  # noqa: D205 - a list of columns
        import pandas as pd

        columns = {name: getattr(self, name) for name in Threshold._fields[2:]}
        return pd.DataFrame({"t": self.thresholds, "activation": self.thresholds * self.max, **columns})

    def chart(self, threshold: Any = None) -> Any:
        """A chart that shows itself in JupyterLab without network; ``.spec`` is Vega-Lite.

        Args:
            threshold: Share of the maximum at which a line is drawn; None: no line.
        """
        return chart_of(self, "specificity", threshold)
