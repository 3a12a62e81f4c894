"""A lab without torch for all views at once; what was asked of it is counted by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from saewidgets.results import FeatureId
from tests.widgets.fake_dashboard_lab import FakeDashboardLab
from tests.widgets.fake_ranking_lab import FakeRanker, FakeRankingLab
from tests.widgets.fake_steering_lab import FakeSteeringLab


@dataclass
class FakeExplorerLab(FakeDashboardLab, FakeRankingLab, FakeSteeringLab):
    """``asked_of`` counts runs of a prompt, rankings, next tokens, texts begun, and look-ups."""

    asked_of: Counter[str] = field(default_factory=Counter)

    def activations(self, prompt: Any, sae: str | None = None, mask_special: bool = True) -> Any:
        """Run a prompt; the texts of examples are not counted."""
        self.asked_of["run"] += isinstance(prompt, str)
        return super().activations(prompt, sae, mask_special)

    def ranker(self, prompt: str, sae: str | None = None, mask_special: bool = True) -> FakeRanker:
        """Run a prompt that is ranked."""
        self.asked_of["ranker"] += 1
        self.asked_of["run"] -= 1
        return super().ranker(prompt, sae, mask_special)

    def feature(self, feature: str) -> Any:
        """Look a feature up."""
        self.asked_of["look"] += 1
        return super().feature(feature)

    def next_token(self, prompt: Any, edits: Sequence[Any], k: int, *, model: str | None = None) -> Any:
        """The next token."""
        self.asked_of["next"] += 1
        return super().next_token(prompt, edits, k, model=model)

    def writing(self, *given: Any, **more: Any) -> Any:
        """Begin a text."""
        self.asked_of["text"] += 1
        return super().writing(*given, **more)

    def strongest(self, prompt: str, position: int, sae: str = "mid") -> list[str]:
        """Features of one token of a prompt, the strongest first."""
        found = super().activations(prompt, sae).by_token(position)
        return [str(FeatureId(sae, one.feature)) for one in found]
