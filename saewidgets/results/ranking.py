"""The features of a prompt ranked by activation, by attribution and by true ablation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np

from saewidgets.errors import TargetError
from saewidgets.results.snapshot import Snapshot
from saewidgets.results.statistics import pearson, spearman
from saewidgets.results.text import one_line
from saewidgets.results.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd

RankMethod = Literal["attribution", "integrated_gradients"]
Scope = Literal["position", "all_positions"]
Order = Literal["absolute", "signed"]
RankKey = Literal["activation", "attribution", "ablation"]


class Node(NamedTuple):
    """What is no feature and yet carries part of the metric.

    ``name`` is "error" (x - x_hat), "bias" (decoder bias and normalisation) or "masked" (the masked positions);
    ``position`` is -1 where all are taken together; ``ablation`` is NaN where it was not computed.
    """

    name: str
    sae: str
    position: int
    attribution: float
    ablation: float


class Prediction(NamedTuple):
    """A next token that the model finds likely."""

    id: int
    token: str
    probability: float
    logit: float


class RankedFeature(NamedTuple):
    """One row of a ranking; ``position`` is -1 where all positions are taken together, ``ablation`` NaN if unknown."""

    sae: str
    position: int
    feature: int
    activation: float
    attribution: float
    ablation: float


class Overlap(NamedTuple):
    """How many of the k most active, and of the k most attributed rows, are among the k with most ablation effect."""

    activation: int
    attribution: int
    k: int


class Coefficient(NamedTuple):
    """A column's correlation with ablation; NaN with fewer than 3 rows or a constant column."""

    pearson: float
    spearman: float


class Correlation(NamedTuple):
    """Activation and attribution, each correlated with ablation."""

    activation: Coefficient
    attribution: Coefficient


def whole_k(k: object) -> int:
    """A number of rows from 1; a :class:`~saewidgets.errors.TargetError` for anything else."""
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 1:
        raise TargetError("This is no number of rows to compare.", got=repr(k), expected="a whole number from 1")
    return int(k)


def chosen(what: str, value: object, among: Sequence[str]) -> None:
    """Raise a :class:`~saewidgets.errors.TargetError` where a value is not among those that there are."""
    if not isinstance(value, str) or value not in among:
        raise TargetError(f"There is no such {what}.", got=repr(value), expected=" or ".join(map(repr, among)))


@dataclass(frozen=True, eq=False, repr=False)
class Ranking(Snapshot):
    """Every feature that fires, with its activation, its attribution and its ablation effect on a metric M.

    M is read at the last token. Attribution f * (dM/dx . d) is the effect of the feature being present, to first order;
    the ablation effect M(x) - M(x - f d) is exact. Both are in the metric's units, and + raises the metric.

    Rows are (position, feature) pairs, each ablated at its own position, in scope "position"; in scope "all_positions"
    they are features, their activation and attribution summed over positions, ablated at all positions at once.
    For one SAE the attributions of rows and nodes sum to ``<dM/dx, x>`` over the ranked positions (by integrated
    gradients: of the mean gradient), unless ``position`` picks features that are then summed over all positions.

    Args:
        prompt_tokens: The prompt; for several target tokens the prompt followed by all but the last of them.
        masked: True where a position is left out, bool [pos].
        metric: The metric in words.
        metric_value: M(x).
        target: Token ids; () where a callable metric was given none.
        baseline: Token id, or None.
        method: How attributions were computed.
        scope: What a row is.
        position: The token whose features are ranked; None for all of the prompt.
        sae_index: Index into ``saes``, int32 [row].
        positions: Token of the row, int64 [row]; -1 in scope "all_positions".
        features: int32 [row].
        activation: float64 [row], in the SAE's units.
        attribution: float64 [row].
        ablation: float64 [row]; NaN where it was not computed.
        nodes: What is no feature: error, bias, masked positions.
        saes: Names of the SAEs in the lab.
        hooks: Hook point of each SAE.
        model: Name of the model in the lab.
        predictions: The model's most likely next tokens.
        stopped: True if ablation was stopped before its end.
        completeness_error: Integrated gradients: how far the attributions miss M(x) - M(all features off), as a
            fraction of it.
        blocks_above_only: False where the architecture needs a full forward pass for each batch of ablations.
        labels: What people called the features in it when it was made, by name, such as "mid/7".

    Example:
        >>> import saewidgets as sw
        >>> sw.demo().rank("The capital of France is", " Paris").overlap(10)  # doctest: +SKIP
    """

    prompt_tokens: Tokens
    masked: np.ndarray
    metric: str
    metric_value: float
    target: tuple[int, ...]
    baseline: int | None
    method: RankMethod
    scope: Scope
    position: int | None
    sae_index: np.ndarray
    positions: np.ndarray
    features: np.ndarray
    activation: np.ndarray
    attribution: np.ndarray
    ablation: np.ndarray
    nodes: tuple[Node, ...]
    saes: tuple[str, ...]
    hooks: tuple[str, ...]
    model: str
    predictions: tuple[Prediction, ...] = ()
    stopped: bool = False
    completeness_error: float | None = None
    blocks_above_only: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Each token as text; a part of a character as ``\\xNN``."""
        return self.prompt_tokens.strings

    @property
    def n_ablated(self) -> int:
        """How many rows have a known ablation effect."""
        return int((~np.isnan(self.ablation)).sum())

    @property
    def total_attribution(self) -> float:
        """Attributions of all rows and nodes together."""
        return float(self.attribution.sum() + sum(node.attribution for node in self.nodes))

    def __len__(self) -> int:
        return len(self.features)

    def __repr__(self) -> str:
        found = self.overlap()
        where = "all positions" if self.position is None else f"position {self.position}"
        of = f"activation {found.activation}/{found.k}, attribution {found.attribution}/{found.k}"
        parts = [
            f"{one_line(self.metric)} = {self.metric_value:.4g}",
            f"method={self.method!r}, scope={self.scope!r}, {where}",
            f"order='absolute', overlap with ablation: {of if found.k else 'nothing ablated'}",
            f"{self.n_ablated} of {len(self)} rows ablated{', stopped' if self.stopped else ''}",
            f"{int(self.masked.sum())} of {len(self.masked)} positions masked",
        ]
        return f"Ranking({'; '.join(parts)})"

    def ranks(self, by: RankKey, order: Order = "absolute") -> np.ndarray:
        """Rank of each row, int64 [row], 0 for the first; rows of unknown ablation come after all others.

        Args:
            by: "activation", "attribution" or "ablation".
            order: "absolute" (by magnitude) or "signed" (largest first); ties by row.

        Raises:
            TargetError: There is no such column or order.
        """
        ranks = np.empty(len(self), np.int64)
        ranks[self._sorted(by, order)] = np.arange(len(self))
        return ranks

    def top(self, k: int = 10, by: RankKey = "attribution", order: Order = "absolute") -> tuple[RankedFeature, ...]:
        """The first k rows; by ablation only those whose effect is known.

        Args:
            k: How many.
            by: "activation", "attribution" or "ablation".
            order: "absolute" (by magnitude) or "signed" (largest first); ties by row.

        Raises:
            TargetError: There is no such column or order.
        """
        known = self.n_ablated if by == "ablation" else len(self)
        rows = self._sorted(by, order)[: min(max(k, 0), known)]
        names = [self.saes[index] for index in self.sae_index[rows].tolist()]
        columns = (self.positions, self.features, self.activation, self.attribution, self.ablation)
        return tuple(map(RankedFeature, names, *(column[rows].tolist() for column in columns)))

    def overlap(self, k: int = 10, order: Order = "absolute") -> Overlap:
        """How many of the first k by activation, and by attribution, are among the first k by ablation.

        Rows whose effect is 0 or not known do not count among the latter. While not all rows are ablated those that
        are have been chosen by attribution, which flatters it.

        Args:
            k: How many; fewer where fewer rows have an effect, and then the result says so.
            order: "absolute" (by magnitude) or "signed" (largest first); ties by row.

        Raises:
            TargetError: k is not a whole number from 1, or there is no such order.
        """
        by_ablation = self._sorted("ablation", order)
        matters = by_ablation[np.nan_to_num(self.ablation[by_ablation]) != 0][: whole_k(k)]
        k = len(matters)
        activation, attribution = (
            len(np.intersect1d(self._sorted(by, order)[:k], matters)) for by in ("activation", "attribution")
        )
        return Overlap(activation, attribution, k)

    def correlation(self) -> Correlation:
        """Pearson and Spearman correlation with ablation, over the rows whose ablation is known."""
        known = ~np.isnan(self.ablation)
        effect = self.ablation[known]
        activation, attribution = (
            Coefficient(pearson(column[known], effect), spearman(column[known], effect))
            for column in (self.activation, self.attribution)
        )
        return Correlation(activation, attribution)

    def to_frame(self) -> pd.DataFrame:
        """One row a feature, largest absolute attribution first, then one a node.

        Columns: sae, position (-1: all together), token, node ("feature", "error", "bias", "masked"), feature
        (<NA> for nodes), activation, attribution, ablation (NaN: not computed).
        """
        import pandas as pd

        nan = float("nan")
        rows = [(*r[:2], "feature", *r[2:]) for r in self.top(len(self))]
        rows += [(n.sae, n.position, n.name, pd.NA, nan, n.attribution, n.ablation) for n in self.nodes]
        columns = ["sae", "position", "node", "feature", "activation", "attribution", "ablation"]
        numbers = dict.fromkeys(columns[4:], "float64") | {"position": "int64", "feature": "Int64"}
        frame = pd.DataFrame(rows, columns=columns).astype(numbers)
        frame.insert(2, "token", [self.tokens[p] if p >= 0 else "" for p in frame["position"]])
        return frame

    def _sorted(self, by: RankKey, order: Order) -> np.ndarray:
        """Rows in their order, the one that every view and count goes by; NaN at the end, ties by row."""
        chosen("column to rank by", by, get_args(RankKey))
        chosen("order", order, get_args(Order))
        values: np.ndarray = getattr(self, by)
        return np.argsort(-(np.abs(values) if order == "absolute" else values), kind="stable")
