"""The live view of all that is known of one feature, and of all features as a table."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import traitlets

from saewidgets.errors import MismatchError
from saewidgets.results import FeatureId, FeatureStats
from saewidgets.views import (
    feature_stats_html,
    feature_stats_text,
    specificity_html,
    specificity_text,
    token_strip_html,
    token_strip_text,
)
from saewidgets.views.cells import clipped
from saewidgets.views.feature_stats_svg import feature_stats_svg
from saewidgets.views.remarks import tagged
from saewidgets.widgets.dashboard_notes import said_of
from saewidgets.widgets.dashboard_pins import remarks_on_examples
from saewidgets.widgets.dashboard_requests import DashboardRequests
from saewidgets.widgets.dashboard_wire import Said
from saewidgets.widgets.lab_view import escaped, sae_named
from saewidgets.widgets.pictures import drawn
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.traits import Feature, Prompt, SAEName, Shown

NOTHING = "Nothing has been looked up yet."
NOTE_SHOWN = 2_000
MOST_CONCEPTS = 5_000


class OneFeature(Feature):
    """The name of a feature; "" only until there is one."""

    def validate(self, obj: Any, value: Any) -> str:
        """Raise FeatureIndexError or UnknownNameError where there is no such feature."""
        default = value == "" and self.name not in obj._trait_values
        return "" if default else str(obj._known_feature(value))


class FeatureDashboard(DashboardRequests, stem="feature_dashboard"):
    """One feature over a corpus: how often and how strongly it fires, on what, what its direction does, what it tells.

    Everything comes from the index of the SAE (``lab.build_index``), so that the next feature is there at once.
    Examples are looked at by interval of activation; the model colours their tokens when they are shown. A text of
    your own is run as you type it. Labels, notes and ratings are kept by ``lab.annotations``; what changes there is
    shown at once. The specificity tab compares what the feature fires on with a predicate, or with ratings given blind.
    Where the SAE has no index the view says how to build one, and the text of your own still works.

    Args:
        lab: Where the model, the SAEs, their indexes and annotations are.
        feature: ``"sae/123"``, 123 or a FeatureId. None: the feature with the largest activation.
        sae: Name of the SAE; by default that of ``feature``, else the first in the lab.
        prompt: Text of your own; "" for none.
        tab: "feature", "table" (all features) or "specificity".
        predicate: What the feature should fire on, as for ``lab.specificity``: a regular expression, a set of tokens, a
            function, a Predicate.

    Raises:
        UnknownNameError: The lab holds no such SAE.
        FeatureIndexError: The SAE has no such feature.
        MismatchError: The feature is of another SAE than ``sae``.
        TypeError: An argument that does not exist.

    Example:
        >>> import saewidgets as sw
        >>> view = sw.FeatureDashboard(sw.demo())  # doctest: +SKIP
        >>> view.result.density, view.result.top[0].tokens.text  # doctest: +SKIP
    """

    feature = OneFeature(
        "", help="The feature, 'sae/123'. 123 and FeatureId are accepted; one of another SAE changes `sae`."
    ).tag(sync=True)
    sae = SAEName("", help="Name of the SAE; another one shows its feature of the same number, else 0.").tag(sync=True)
    prompt = Prompt(help="The text of the live box, or ''.").tag(sync=True)
    tab: Any = traitlets.Enum(
        ("feature", "table", "specificity"), "feature", help="What is shown: one feature, all features, specificity."
    ).tag(sync=True)
    predicate: Any = traitlets.Any(
        None,
        allow_none=True,
        help="What the feature should fire on: a regular expression, a set of tokens, a function or a Predicate. None: "
        "nothing, or what was chosen in the view that is no predicate.",
    )
    result: Any = Shown(
        None,
        read_only=True,
        help="The FeatureStats on the screen, None where there is no index. Reading waits for the view's work.",
    )
    specificity: Any = Shown(
        None,
        read_only=True,
        help="The Specificity on the screen, None where nothing is scored. Reading waits for the view's work.",
    )

    def __init__(
        self,
        lab: Any,
        feature: FeatureId | str | int | None = None,
        *,
        sae: str | None = None,
        prompt: str = "",
        tab: str = "feature",
        predicate: Any = None,
        **unknown: Any,
    ) -> None:
        self.lab = lab
        self._prepare()
        named = sae_named(feature)
        if sae is not None and named not in {None, sae}:
            raise MismatchError("The feature is of another SAE.", got=f"sae={sae!r}, {feature}", expected="one SAE")
        chosen = self._known_sae(sae or named or next(iter(lab.saes), ""))
        super().__init__(unknown, sae=chosen, prompt=prompt, tab=tab, predicate=predicate)
        self._saes = [clean(name) for name in lab.saes]
        self._concepts = [clean(name) for name in list(getattr(lab, "_concept_names", ()))[:MOST_CONCEPTS]]
        if feature is not None:
            self.feature = feature
        self._ready = True
        self._look_up()
        self._run_live()
        self._wait()

    # ---- without a kernel --------------------------------------------------------------------------------------------

    def static_html(self) -> str:
        """The feature, what people say of it and of its examples, the text of the live box and the specificity."""
        stats = self.result
        problem = f"<p>{escaped(self.error)}</p>" if self.error else ""
        parts = [problem]
        if stats is not None:
            said = said_of(self.lab, stats)
            parts.append(feature_stats_html(replace(stats, label=said.label), **self._words(stats, said)))
        if (heard := self._heard) is not None:
            parts.append(token_strip_html(heard, FeatureId.parse(self.feature).index, top=0, said={}))
        if self.specificity is not None:
            parts.append(specificity_html(self.specificity))
        return "".join(parts) or f"<p>{NOTHING}</p>"

    def static_text(self) -> str:
        """The same as plain text."""
        stats = self.result
        parts = [self.error]
        if stats is not None:
            said = said_of(self.lab, stats)
            parts.append(feature_stats_text(replace(stats, label=said.label), **self._words(stats, said)))
        if (heard := self._heard) is not None:
            parts.append(token_strip_text(heard, FeatureId.parse(self.feature).index, top=0, said={}))
        if self.specificity is not None:
            parts.append(specificity_text(self.specificity))
        return "\n".join(filter(None, parts)) or NOTHING

    def static_svg(self) -> str:
        """The feature as an SVG drawing: intervals, effects on the logits, strongest contexts."""
        stats = drawn(self.result, self.error)
        said = said_of(self.lab, stats)
        return feature_stats_svg(replace(stats, label=said.label), note=clipped(said.note, NOTE_SHOWN))

    def _words(self, stats: FeatureStats, said: Said) -> dict[str, Any]:
        """What people say besides the label, as the pictures take it."""
        people = [*tagged(said.tags), *said.people]
        of_examples = remarks_on_examples(self.lab, stats)
        return {"note": clipped(said.note, NOTE_SHOWN), "people": people, "pins": said.pins, "of_examples": of_examples}
