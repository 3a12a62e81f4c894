"""What the live views of a lab share: names of SAEs and features that exist in it, and the worker of a model."""

from __future__ import annotations

import html
from typing import Any

from saewidgets.errors import FeatureIndexError, UnknownNameError
from saewidgets.results import FeatureId
from saewidgets.widgets.base import LiveView

FORMER = "\nWhat follows is the result of the former prompt."
ANY_LENGTH = 2**63


class LabView(LiveView):
    """Base of the live views of a lab; a subclass sets ``lab`` and has the trait ``sae``."""

    lab: Any
    sae: Any

    def _known_sae(self, name: Any) -> str:
        if not isinstance(name, str) or name not in self.lab.saes:
            raise UnknownNameError(
                "The lab holds no such SAE.",
                got=repr(name),
                expected=", ".join(map(repr, self.lab.saes)) or "an SAE in the lab",
                do="name one of these, or add it with lab.add_sae(...)",
            )
        return name

    def _known_feature(self, feature: Any) -> FeatureId:
        parsed = FeatureId.parse(feature, self.sae)
        size = int(self.lab.saes[self._known_sae(parsed.sae)].d_sae)
        if parsed.index >= size:
            raise FeatureIndexError(
                f"SAE '{parsed.sae}' has no such feature.",
                got=parsed.index,
                expected=f"a whole number in 0..{size - 1}",
            )
        return parsed

    def _idle(self) -> bool:
        return all(job.finished for job in self._jobs.values())


def sae_named(feature: Any) -> str | None:
    """The SAE in a feature's name; None for a bare index."""
    if isinstance(feature, FeatureId):
        return feature.sae
    return feature.rpartition("/")[0] or None if isinstance(feature, str) else None


def anchor_of(lab: Any, sae: str) -> Any:
    """What the worker of an SAE's model belongs to; the lab itself stands in where it cannot be told."""
    if hasattr(lab, "anchor_of"):
        return lab.anchor_of(sae)
    return next(iter(lab.models.values()), lab)


def escaped(text: str) -> str:
    """Text as HTML."""
    return html.escape(text).replace("\n", "<br>")
