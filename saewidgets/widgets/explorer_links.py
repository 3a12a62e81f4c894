"""What the views of an explorer have in common, kept the same whichever thread changes it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from saewidgets.errors import TokenError
from saewidgets.widgets.base import describe
from saewidgets.widgets.lab_view import sae_named

SHARED = ("prompt", "sae", "feature", "token")
HEARD = (*SHARED, "position")
ENDED = ("done", "stopped", "failed")


class Common(NamedTuple):
    """What stands for all views."""

    prompt: str
    sae: str
    feature: str
    token: int | None


class Links:
    """Keeps the views at the explorer's prompt, SAE, feature and token.

    What a view changes is taken over, then every view is brought to what stands; again, where that has changed
    meanwhile on another thread. Nothing is locked, so no thread waits for another. What a view changes because it is
    brought somewhere is no choice of anybody. A view that refuses is told of, and is in nobody's way.

    Args:
        explorer: Has the traits ``SHARED``.
        views: The views by name: "tokens", "ranking", "dashboard", "steering".
        complain: Called with a text for each fault, none where all went well.
    """

    def __init__(self, explorer: Any, views: Mapping[str, Any], complain: Callable[[list[str]], None]) -> None:
        self._explorer, self._views, self._complain = explorer, dict(views), complain
        self._here = threading.local()
        self._heard_of: list[tuple[Any, list[str]]] = []

    def begin(self) -> None:
        """Listen, and bring all views to what stands."""
        self._explorer.observe(self._changed, SHARED)
        for view in self._views.values():
            names = [name for name in HEARD if view.has_trait(name)]
            view.observe(self._heard, names)
            self._heard_of.append((view, names))
        if tokens := self._views.get("tokens"):
            tokens.observe(self._tokens_ended, "status")
        self.settle()

    def end(self) -> None:
        """Listen no more."""
        while self._heard_of:
            view, names = self._heard_of.pop()
            view.unobserve(self._heard, names)
        for one, told, names in (
            (self._explorer, self._changed, SHARED),
            (self._views.get("tokens"), self._tokens_ended, "status"),
        ):
            if one is not None:
                with contextlib.suppress(ValueError):
                    one.unobserve(told, names)

    # ---- what is heard -----------------------------------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return getattr(self._here, "busy", False)

    def _changed(self, _: Any) -> None:
        """The explorer's own trait; while this thread brings views, the loop there sees it."""
        if not self._busy:
            self.settle()

    def _heard(self, change: Any) -> None:
        """A view has changed something by itself, or somebody in it. Never raises: it may be in the midst of work."""
        view, name, value = change["owner"], change["name"], change["new"]
        # A view of another SAE lets go of its feature first: that SAE is heard of next.
        if self._busy or (name == "feature" and not value and view.sae != self._explorer.sae):
            return
        if name == "sae" and sae_named(view.feature) == value:  # it went there with its feature
            name, value = "feature", view.feature
        try:
            setattr(self._explorer, "token" if name == "position" else name, value)
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is shown
            self._complain([describe(fault)])

    def _tokens_ended(self, change: Any) -> None:
        """The token view has read the prompt, or could not: who waits for its choice of a feature waits no more."""
        if change["new"].get("state") in ENDED and not self._busy:
            self.settle()

    # ---- what follows ------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring every view to what stands."""
        if self._busy:
            return
        self._here.busy = True
        try:
            while True:
                now = Common(*(getattr(self._explorer, name) for name in SHARED))
                faults = [fault for name, view in self._views.items() for fault in self._bring(name, view, now)]
                if now == Common(*(getattr(self._explorer, name) for name in SHARED)):
                    break
        finally:
            self._here.busy = False
        self._complain(list(dict.fromkeys(faults)))

    def _bring(self, name: str, view: Any, now: Common) -> list[str]:
        """Assign what differs; each is tried, whatever became of the others. Texts of what was refused."""
        faults: list[str] = []
        for trait, value in self._wanted(name, view, now):
            try:
                if getattr(view, trait) != value:
                    setattr(view, trait, value)
            except TokenError:  # a prompt that this view could not read
                continue
            except Exception as fault:  # noqa: BLE001 - one view is not in the way of the others
                faults.append(describe(fault))
        return faults

    def _wanted(self, name: str, view: Any, now: Common) -> list[tuple[str, Any]]:
        """Traits of one view and what they shall be, in their order."""
        wanted: list[tuple[str, Any]] = [("prompt", now.prompt)]
        if name in ("ranking", "steering"):
            wanted += [("sae", now.sae), ("feature", now.feature)]
        elif now.feature:
            wanted += [("feature", now.feature)]  # its SAE goes with it
        elif view.sae != now.sae:
            wanted += [("sae", now.sae)] if name == "tokens" or not self._choosing() else []
        elif name == "tokens":
            wanted += [("feature", "")]
        if name == "tokens":
            wanted += [("token", now.token)]
        if name == "ranking":
            wanted += [("position", now.token if has_rows(view, now.token) else None)]
        return wanted

    def _choosing(self) -> bool:
        """Whether the token view is about to choose a feature."""
        tokens = self._views.get("tokens")
        return tokens is not None and not tokens._idle()


def has_rows(ranking: Any, token: int | None) -> bool:
    """Whether a position can be ranked: of one that is masked no feature is shown, unless somebody chose it there."""
    if token is None or token == ranking.position:
        return True
    shown = ranking._trait_values.get("result")
    return shown is None or token >= len(shown.masked) or not shown.masked[token]
