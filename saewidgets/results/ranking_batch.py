"""The rankings of many prompts: mean overlap and correlations with their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from saewidgets.results.ranking import Order, Ranking, whole_k
from saewidgets.results.snapshot import Snapshot
from saewidgets.results.statistics import Estimate, estimate

if TYPE_CHECKING:
    import pandas as pd


class OverlapSummary(NamedTuple):
    """Mean overlap of the first k with the first k by ablation; difference = attribution - activation, paired.

    Prompts with fewer than k ablated rows are left out; ``n`` of each estimate says how many stayed.
    """

    activation: Estimate
    attribution: Estimate
    difference: Estimate
    k: int


class CoefficientSummary(NamedTuple):
    """Mean correlation with ablation; prompts where it is not defined are left out, ``n`` says how many stayed."""

    pearson: Estimate
    spearman: Estimate


class CorrelationSummary(NamedTuple):
    """Activation and attribution, each correlated with ablation."""

    activation: CoefficientSummary
    attribution: CoefficientSummary


class Comparison(NamedTuple):
    """One row of the summary: a measure of activation against ablation, of attribution against ablation, and both.

    ``difference`` = attribution - activation, prompt by prompt.
    """

    measure: str
    activation: Estimate
    attribution: Estimate
    difference: Estimate


@dataclass(frozen=True, eq=False, repr=False)
class RankingBatch(Snapshot, Sequence[Ranking]):
    """The rankings of several prompts, in the order given; a sequence of :class:`Ranking`.

    Means over prompts come with a 95 % bootstrap percentile interval (10,000 resamples of prompts, seed 0).

    Example:
        >>> import saewidgets as sw
        >>> batch = sw.demo().rank(["Paris is in", "Rome is in"], [" France", " Italy"])  # doctest: +SKIP
        >>> batch.summary(k=10)  # doctest: +SKIP
    """

    rankings: tuple[Ranking, ...]

    def __len__(self) -> int:
        return len(self.rankings)

    def __repr__(self) -> str:
        ablated, rows = sum(one.n_ablated for one in self), sum(map(len, self))
        return f"RankingBatch({len(self)} prompts, {ablated} of {rows} rows ablated)"

    @overload
    def __getitem__(self, item: int) -> Ranking: ...
    @overload
    def __getitem__(self, item: slice) -> RankingBatch: ...
    def __getitem__(self, item: int | slice) -> Ranking | RankingBatch:
        return RankingBatch(self.rankings[item]) if isinstance(item, slice) else self.rankings[item]

    def __iter__(self) -> Iterator[Ranking]:
        return iter(self.rankings)

    def overlap(self, k: int = 10, order: Order = "absolute") -> OverlapSummary:
        """Mean overlap of the first k by activation, and by attribution, with the first k by ablation.

        Args:
            k: How many; prompts with fewer ablated rows are left out, since a shorter list overlaps by itself.
            order: "absolute" (by magnitude) or "signed" (largest first).

        Raises:
            TargetError: k is not a whole number from 1.
        """
        _, *estimates = self._overlaps(whole_k(k), order)
        return OverlapSummary(*estimates, k=int(k))

    def correlation(self) -> CorrelationSummary:
        """Mean correlation of activation, and of attribution, with ablation."""
        linear, ranks = self._correlations()
        return CorrelationSummary(
            CoefficientSummary(linear.activation, ranks.activation),
            CoefficientSummary(linear.attribution, ranks.attribution),
        )

    def comparisons(self, k: int = 10, order: Order = "absolute") -> tuple[Comparison, ...]:
        """The rows of :meth:`summary`: overlap@k, Pearson, Spearman."""
        return (self._overlaps(whole_k(k), order), *self._correlations())

    def summary(self, k: int = 10, order: Order = "absolute") -> pd.DataFrame:
        """The table of the paper: one row a measure, with mean, low, high and number of prompts of each comparison.

        Columns: measure, then activation, attribution (each against ablation) and difference, each followed by its
        ``_low``, ``_high`` and ``_n``.
        """
        import pandas as pd

        kinds = ("activation", "attribution", "difference")
        heads = ["measure", *(f"{kind}{end}" for kind in kinds for end in ("", "_low", "_high", "_n"))]
        rows = [(row.measure, *row.activation, *row.attribution, *row.difference) for row in self.comparisons(k, order)]
        return pd.DataFrame(rows, columns=heads)

    def to_frame(self, k: int = 10, order: Order = "absolute") -> pd.DataFrame:
        """One row a prompt.

        Columns: prompt, metric, metric_value, rows, ablated, k (smaller where fewer rows are ablated),
        overlap_activation, overlap_attribution, pearson_activation, pearson_attribution, spearman_activation,
        spearman_attribution.
        """
        import pandas as pd

        heads = ["prompt", "metric", "metric_value", "rows", "ablated", "k", "overlap_activation"]
        heads += ["overlap_attribution", "pearson_activation", "pearson_attribution", "spearman_activation"]
        rows = []
        for one in self:
            found, (activation, attribution) = one.overlap(k, order), one.correlation()
            about = (one.prompt_tokens.text, one.metric, one.metric_value, len(one), one.n_ablated)
            pairs = zip(activation, attribution, strict=True)
            rows.append((*about, found.k, found.activation, found.attribution, *(r for pair in pairs for r in pair)))
        return pd.DataFrame(rows, columns=[*heads, "spearman_attribution"])

    def _overlaps(self, k: int, order: Order) -> Comparison:
        found = [one.overlap(k, order) for one in self if one.n_ablated == len(one)]
        return _compare(
            f"overlap@{k}", [(float(row.activation), float(row.attribution)) for row in found if row.k == k]
        )

    def _correlations(self) -> tuple[Comparison, Comparison]:
        found = [one.correlation() for one in self if one.n_ablated == len(one)]
        linear = _compare("Pearson", [(row.activation.pearson, row.attribution.pearson) for row in found])
        return linear, _compare("Spearman", [(row.activation.spearman, row.attribution.spearman) for row in found])


def _compare(measure: str, pairs: Sequence[tuple[float, float]]) -> Comparison:
    """Estimates from one (activation, attribution) pair a prompt; NaN is left out."""
    activation, attribution = np.array(pairs, np.float64).reshape(-1, 2).T
    return Comparison(measure, estimate(activation), estimate(attribution), estimate(attribution - activation))
