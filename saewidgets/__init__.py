"""A microscope for sparse autoencoders that lives in a notebook cell, on your loaded model and your SAE.

Importing this package is fast: torch, transformer_lens and altair are loaded when they are first needed.

Example:
    >>> import saewidgets as sw
    >>> lab = sw.demo()  # doctest: +SKIP
    >>> sw.TokenActivations(lab, "The capital of France is Paris.")  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from saewidgets import annotations as annotations
    from saewidgets import errors as errors
    from saewidgets import steering as steering
    from saewidgets.analysis.predicates import Predicate as Predicate
    from saewidgets.demo import DemoModule
    from saewidgets.export import export_notebook as export_notebook
    from saewidgets.lab import Lab as Lab
    from saewidgets.results import FeatureId as FeatureId
    from saewidgets.results import SteeringVector as SteeringVector
    from saewidgets.widgets import AttentionPatterns as AttentionPatterns
    from saewidgets.widgets import Explorer as Explorer
    from saewidgets.widgets import FeatureDashboard as FeatureDashboard
    from saewidgets.widgets import FeatureRanking as FeatureRanking
    from saewidgets.widgets import SteeringPanel as SteeringPanel
    from saewidgets.widgets import TokenActivations as TokenActivations
    from saewidgets.widgets import column as column
    from saewidgets.widgets import row as row

    demo: DemoModule

__version__ = "0.1.0"

# Public name -> module and attribute; None is the module itself.
_LAZY: dict[str, tuple[str, str | None]] = {
    "AttentionPatterns": ("saewidgets.widgets", "AttentionPatterns"),
    "Explorer": ("saewidgets.widgets", "Explorer"),
    "FeatureDashboard": ("saewidgets.widgets", "FeatureDashboard"),
    "FeatureId": ("saewidgets.results", "FeatureId"),
    "FeatureRanking": ("saewidgets.widgets", "FeatureRanking"),
    "Lab": ("saewidgets.lab", "Lab"),
    "Predicate": ("saewidgets.analysis.predicates", "Predicate"),
    "SteeringPanel": ("saewidgets.widgets", "SteeringPanel"),
    "SteeringVector": ("saewidgets.results", "SteeringVector"),
    "TokenActivations": ("saewidgets.widgets", "TokenActivations"),
    "annotations": ("saewidgets.annotations", None),
    "column": ("saewidgets.widgets", "column"),
    "demo": ("saewidgets.demo", None),
    "errors": ("saewidgets.errors", None),
    "export_notebook": ("saewidgets.export", "export_notebook"),
    "row": ("saewidgets.widgets", "row"),
    "steering": ("saewidgets.steering", None),
}

__all__ = [
    "AttentionPatterns",
    "Explorer",
    "FeatureDashboard",
    "FeatureId",
    "FeatureRanking",
    "Lab",
    "Predicate",
    "SteeringPanel",
    "SteeringVector",
    "TokenActivations",
    "__version__",
    "annotations",
    "column",
    "demo",
    "errors",
    "export_notebook",
    "row",
    "steering",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LAZY[name]
    loaded = import_module(module)
    value = loaded if attribute is None else getattr(loaded, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
