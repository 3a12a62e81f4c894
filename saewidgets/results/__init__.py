"""What the analyses return: frozen dataclasses of numpy arrays and strings, without torch and without widgets."""

from saewidgets.results.activations import Activations, ActivationsBatch, FeatureActivity, FeatureValue
from saewidgets.results.agreement import Agreement
from saewidgets.results.annotation import Annotation, Explanation, Pin, Problem, Rating, Target
from saewidgets.results.attention import AttendedToken, Attention, HeadSummary
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
from saewidgets.results.generation import Generation, NextToken, NextTokenRow, Reach, Strength
from saewidgets.results.matched_ways import FeatureChoice, MatchedWay
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
from saewidgets.results.side_effect import SideEffect
from saewidgets.results.specificity import IntervalScore, Specificity, Threshold
from saewidgets.results.statistics import Estimate
from saewidgets.results.steering_bench import SteeringBench
from saewidgets.results.steering_comparison import SteeringComparison
from saewidgets.results.steering_vector import SteeringVector
from saewidgets.results.tokens import Tokens

__all__ = [
    "Activations",
    "ActivationsBatch",
    "Agreement",
    "Annotation",
    "AttendedToken",
    "Attention",
    "CoFiring",
    "Coefficient",
    "CoefficientSummary",
    "Comparison",
    "ConceptMatch",
    "Correlation",
    "CorrelationSummary",
    "Estimate",
    "Example",
    "Explanation",
    "FeatureActivity",
    "FeatureChoice",
    "FeatureId",
    "FeatureStats",
    "FeatureValue",
    "Generation",
    "HeadSummary",
    "Histogram",
    "Interval",
    "IntervalScore",
    "LogitEffects",
    "MatchedWay",
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
    "Pin",
    "Prediction",
    "Problem",
    "Quantile",
    "RankKey",
    "RankMethod",
    "RankedFeature",
    "Ranking",
    "RankingBatch",
    "Rating",
    "Reach",
    "Scope",
    "SideEffect",
    "Specificity",
    "SteeringBench",
    "SteeringComparison",
    "SteeringVector",
    "Strength",
    "Target",
    "Threshold",
    "TokenEffect",
    "Tokens",
]
