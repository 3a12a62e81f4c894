"""A language model in memory: its hook points and its tokens. The only code that touches a model."""

from saewidgets.models.continuation import Continuation
from saewidgets.models.language_model import LanguageModel
from saewidgets.models.lazy import Models, ModelSlot, is_loader
from saewidgets.models.loading import load_model
from saewidgets.models.steered import Steered
from saewidgets.models.tokenize import split_prompts

__all__ = [
    "Continuation",
    "LanguageModel",
    "ModelSlot",
    "Models",
    "Steered",
    "is_loader",
    "load_model",
    "split_prompts",
]
