"""Live views of a lab."""

from saewidgets.widgets.attention_patterns import AttentionPatterns
from saewidgets.widgets.explorer import Explorer
from saewidgets.widgets.feature_dashboard import FeatureDashboard
from saewidgets.widgets.feature_ranking import FeatureRanking
from saewidgets.widgets.side_by_side import column, row
from saewidgets.widgets.steering_panel import SteeringPanel
from saewidgets.widgets.token_activations import TokenActivations

__all__ = [
    "AttentionPatterns",
    "Explorer",
    "FeatureDashboard",
    "FeatureRanking",
    "SteeringPanel",
    "TokenActivations",
    "column",
    "row",
]
