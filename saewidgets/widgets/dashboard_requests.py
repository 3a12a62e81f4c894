"""What the browser may ask of a feature dashboard; every request is checked as if it were made in Python."""

from __future__ import annotations

from typing import Any

from saewidgets.annotations.records import checked_name
from saewidgets.errors import AnnotationError, FeatureIndexError, SpecificityError
from saewidgets.results import FeatureId
from saewidgets.widgets.dashboard_notes import annotate
from saewidgets.widgets.dashboard_specificity import blind, typed_scoring
from saewidgets.widgets.dashboard_work import DashboardWork
from saewidgets.widgets.steering_edits import find
from saewidgets.widgets.steering_wire import clean

SETTABLE = ("sae", "feature", "prompt", "tab")


class DashboardRequests(DashboardWork):
    """Requests come on any thread."""

    def _op_set(self, message: dict[str, Any]) -> None:
        """Assign traits; each is checked as if it were assigned in Python."""
        before = self.feature
        for name in SETTABLE:
            if name in message:
                setattr(self, name, message[name])
        if "feature" in message and self.feature == before and self._stats is None:
            self._look_up()  # there may be an index by now

    def _op_step(self, message: dict[str, Any]) -> None:
        """The next or the previous feature; after the last comes the first."""
        by = message.get("by")
        if by not in (1, -1) or isinstance(by, bool):
            raise FeatureIndexError("This is no step.", got=repr(by)[:80], expected="1 or -1")
        shown = FeatureId.parse(self.feature or 0, str(self.sae))
        self.feature = (shown.index + by) % int(self.lab.saes[shown.sae].d_sae)

    def _op_table(self, _: dict[str, Any]) -> None:
        self._renew_table()

    def _op_examples(self, message: dict[str, Any]) -> None:
        self._read_list(message.get("list"))

    def _op_find(self, message: dict[str, Any]) -> None:
        """Look for features; the answer is a message of its own."""
        text = message.get("text")
        if not isinstance(text, str):
            raise FeatureIndexError("This cannot be looked for.", got=repr(text)[:80], expected="text")
        self.send({"op": "found", "text": clean(text), "items": find(text, str(self.sae), self.lab)})

    # ---- what people say ---------------------------------------------------------------------------------------------

    def _op_annotate(self, message: dict[str, Any]) -> None:
        """Keep a label, a note, tags or a star of ``feature``, by default the one that is chosen."""
        try:
            annotate(self.lab, self._known_feature(message.get("feature", self.feature)), message)
        finally:
            self._renew()  # the view shows what was kept

    def _op_rating_begin(self, message: dict[str, Any]) -> None:
        """Lay out examples to be rated blind, by ``rater`` or by the author of the annotations."""
        stats = self._stats
        if stats is None:
            raise SpecificityError("No feature is on the screen.", do="choose one")
        self._rater = self._rater_of(message)
        self._items = blind(stats, self._rater)
        if not self._items:
            raise SpecificityError(f"{stats.feature} has no examples to rate.", got="a feature that never fires")
        self._show_rating()

    def _op_rate(self, message: dict[str, Any]) -> None:
        """Keep a score of one example; null takes it away."""
        stats, example = self._stats, self._items.get(str(message.get("key")))
        if stats is None or example is None:
            raise AnnotationError("This example is no longer there.", got=repr(message.get("key"))[:80])
        target = self.lab.example_target(str(stats.feature), example)
        try:
            self.lab.rate(target, message.get("score"), self._rater)
        finally:
            self._show_rating()

    def _rater_of(self, message: dict[str, Any]) -> str:
        rater = message.get("rater")
        if rater is None or (isinstance(rater, str) and not rater.strip()):
            rater = self._rater or self.lab.annotations.author
        return checked_name(rater.strip() if isinstance(rater, str) else rater, "The name of a rater")

    # ---- specificity -------------------------------------------------------------------------------------------------

    def _op_predicate(self, message: dict[str, Any]) -> None:
        """Score by what was typed; nothing typed: no more."""
        rater = self._rater_of(message) if message.get("kind") == "ratings" else None
        scoring = typed_scoring(message, self._concept, rater)
        self._typing = True
        try:
            self.predicate = None if scoring is None else scoring.value
        finally:
            self._typing = False
        self._scoring = scoring
        self._score()

    def _concept(self, name: str) -> Any:
        make = getattr(self.lab, "_concept_predicate", None)
        if make is None:
            raise SpecificityError(
                "This lab has no concepts.", got=repr(name)[:80], expected="a regular expression or tokens"
            )
        return make(name)
