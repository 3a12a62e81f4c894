"""What the analyses return: frozen dataclasses of numpy arrays and strings, without torch and without widgets."""

from saewidgets.results.activations import Activations, ActivationsBatch, FeatureActivity, FeatureValue
from saewidgets.results.feature_id import FeatureId
from saewidgets.results.feature_stats import (
    CoFiring,
    ConceptMatch,
    Example,
    FeatureStats,
    Histogram,
    Interval,
    LogitEffects,
    Neighbour,
    NeuronAlignment,
    Quantile,
    TokenEffect,
)
from saewidgets.results.generation import Generation, NextToken, NextTokenRow
from saewidgets.results.memory import Memory, MemoryItem
from saewidgets.results.ranking import (
    Coefficient,
    Correlation,
    Node,
    Order,
    Overlap,
    Prediction,
    RankedFeature,
    Ranking,
    RankKey,
    RankMethod,
    Scope,
)
from saewidgets.results.ranking_batch import (
    CoefficientSummary,
    Comparison,
    CorrelationSummary,
    OverlapSummary,
    RankingBatch,
)
from saewidgets.results.statistics import Estimate
from saewidgets.results.steering_vector import SteeringVector
from saewidgets.results.tokens import Tokens

__all__ = [
    "Activations",
    "ActivationsBatch",
    "CoFiring",
    "Coefficient",
    "CoefficientSummary",
    "Comparison",
    "ConceptMatch",
    "Correlation",
    "CorrelationSummary",
    "Estimate",
    "Example",
    "FeatureActivity",
    "FeatureId",
    "FeatureStats",
    "FeatureValue",
    "Generation",
    "Histogram",
    "Interval",
    "LogitEffects",
    "Memory",
    "MemoryItem",
    "Neighbour",
    "NeuronAlignment",
    "NextToken",
    "NextTokenRow",
    "Node",
    "Order",
    "Overlap",
    "OverlapSummary",
    "Prediction",
    "Quantile",
    "RankKey",
    "RankMethod",
    "RankedFeature",
    "Ranking",
    "RankingBatch",
    "Scope",
    "SteeringVector",
    "TokenEffect",
    "Tokens",
]
