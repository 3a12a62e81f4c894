"""The parts of an explorer: their names, titles and sizes, and how they are made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import traitlets

from saewidgets.errors import MismatchError, UnknownNameError
from saewidgets.widgets.feature_dashboard import FeatureDashboard
from saewidgets.widgets.feature_ranking import FeatureRanking
from saewidgets.widgets.steering_panel import SteeringPanel
from saewidgets.widgets.token_activations import TokenActivations

TITLES = {"tokens": "Tokens", "ranking": "Ranking", "dashboard": "Feature", "steering": "Steering"}
"""The views in their order."""
SIZES = {"columns": (0.42, 0.2, 0.8), "rows": (0.5, 0.15, 0.85), "height": (760, 240, 2400)}
"""Name of a size: usual, least, largest."""
USUAL = {name: usual for name, (usual, _, _) in SIZES.items()}


class Sizes(traitlets.TraitType[Any, Any]):
    """Sizes of the parts; those that are not given are as usual."""

    def validate(self, obj: Any, value: Any) -> dict[str, float]:
        """Raise MismatchError for another name, or a size out of its range."""
        del obj
        given = value if isinstance(value, Mapping) else {"": value}
        for name, size in given.items():
            usual, least, largest = SIZES.get(name, (0, 0, 0))
            fits = isinstance(size, int | float) and least <= size <= largest
            if not usual or not fits:
                ranges = ", ".join(f"{name} {low:g} to {high:g}" for name, (_, low, high) in SIZES.items())
                raise MismatchError("This is no size of an explorer.", got=repr(value)[:80], expected=ranges)
        return {name: given.get(name, usual) for name, (usual, _, _) in SIZES.items()}


class Names(traitlets.TraitType[Any, Any]):
    """Names of views of an explorer, in their order."""

    def validate(self, obj: Any, value: Any) -> tuple[str, ...]:
        """Raise UnknownNameError for another name."""
        return named(value, obj._panes)


def named(names: Any, among: Any) -> tuple[str, ...]:
    """Names of views in their order, each once."""
    given = [names] if isinstance(names, str) or not hasattr(names, "__iter__") else list(names)
    among = list(among)
    for name in given:
        if name not in among:
            raise UnknownNameError("No view has this name.", got=repr(name)[:80], expected=", ".join(among))
    return tuple(name for name in TITLES if name in given)


def made(lab: Any, panes: list[str], prompt: str, target: Any, baseline: Any, sae: str, feature: Any) -> dict[str, Any]:
    """The views in their order; what runs the model longest comes last, and each is run once."""
    found: dict[str, Any] = {}
    if "tokens" in panes:
        found["tokens"] = TokenActivations(lab, prompt, sae=sae, feature=feature)
        feature = found["tokens"].feature
    if "ranking" in panes:
        found["ranking"] = FeatureRanking(lab, prompt, target, baseline, sae=sae, feature=feature)
    if "dashboard" in panes:
        found["dashboard"] = FeatureDashboard(lab, None if feature == "" else feature, sae=sae, prompt=prompt)
    if "steering" in panes:
        found["steering"] = SteeringPanel(lab, prompt, feature=feature, sae=sae)
    return found
