"""What the analyses return: frozen dataclasses of numpy arrays and strings, without torch and without widgets."""

from saewidgets.results.activations import Activations, ActivationsBatch, FeatureActivity, FeatureValue
from saewidgets.results.feature_id import FeatureId
from saewidgets.results.memory import Memory, MemoryItem
from saewidgets.results.tokens import Tokens

__all__ = [
    "Activations",
    "ActivationsBatch",
    "FeatureActivity",
    "FeatureId",
    "FeatureValue",
    "Memory",
    "MemoryItem",
    "Tokens",
]
