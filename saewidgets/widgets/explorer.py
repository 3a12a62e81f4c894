"""Token view, ranking, dashboard and steering in one cell, linked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets
import traitlets

from saewidgets.errors import EditError, MismatchError, PromptError, TokenError
from saewidgets.export.page import SavedBox
from saewidgets.results import FeatureId
from saewidgets.results.steering_vector import Number
from saewidgets.views.side_by_side_svg import side_by_side_svg, titled_svg
from saewidgets.widgets.base import LiveView
from saewidgets.widgets.dashboard_notes import Watch
from saewidgets.widgets.explorer_links import Links
from saewidgets.widgets.explorer_parts import SIZES, TITLES, USUAL, Names, Sizes, made, named
from saewidgets.widgets.lab_view import LabView, sae_named
from saewidgets.widgets.labelled import label_of
from saewidgets.widgets.pictures import all_drawn
from saewidgets.widgets.side_by_side import SideBySide
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.traits import Feature, Position, Prompt, SAEName


class ExplorerBar(LiveView, stem="explorer"):
    """What an explorer has besides its views: the chosen feature, which views are seen, how large they are."""

    sizes = Sizes(USUAL, help="Sizes of the parts.").tag(sync=True)
    shown = Names((), help="The views that are seen.").tag(sync=True)
    _panes = traitlets.List(help="Names of the views, in the order of the box.").tag(sync=True)
    _titles = traitlets.Dict(TITLES, help="Their titles.").tag(sync=True)
    _ranges = traitlets.Dict({name: list(range_) for name, range_ in SIZES.items()}).tag(sync=True)
    _offer = traitlets.Dict(help="The feature that can be steered, its label, whether it is.").tag(sync=True)

    def __init__(self, panes: list[str], sizes: Any, steer: Callable[[], object]) -> None:
        self._steer = steer
        super().__init__({}, _panes=panes, sizes=sizes, shown=panes)

    def _op_set(self, message: dict[str, Any]) -> None:
        for name in ("sizes", "shown"):
            if name in message:
                setattr(self, name, message[name])

    def _op_steer(self, _: dict[str, Any]) -> None:
        self._steer()

    def static_html(self) -> str:
        """Nothing: the views have their own."""
        return ""

    def static_text(self) -> str:
        """Nothing."""
        return ""


class Explorer(SideBySide, ipywidgets.GridBox):
    """Tokens, ranking, feature and steering of one prompt, linked, in a layout that can be resized.

    The prompt, the SAE, the feature and the token are the same in all views, wherever they are chosen. A feature that
    is chosen is shown by the dashboard, where it is labelled and annotated, and can be steered with one key, "s".
    What fails in one view is shown there, and the others go on working. The bars between the views are dragged, or
    moved with the arrow keys; a double click, or Enter, brings back their usual place.

    Args:
        lab: Where the models, the SAEs, their indexes and annotations are.
        prompt: The text that all views are about.
        target: The token that the ranking is about; see :class:`FeatureRanking`.
        baseline: The token that it is compared with.
        sae: Name of the SAE; by default that of ``feature``, else the first in the lab.
        feature: The feature: ``"sae/123"``, 123 or a FeatureId. None: the strongest feature that fires on at most a
            third of the tokens. "": none.
        views: Which views there are: "tokens", "ranking", "dashboard", "steering".
        sizes: ``{"columns": share of the left column, "rows": share of its first view, "height": px of the upper
            part}``; what is not given is as usual.
        layout: Layout of the whole, as for every widget; a grid template of your own takes the place of ours.

    Attributes:
        tokens, ranking, dashboard, steering: The views; None for one that is left out.

    Raises:
        UnknownNameError: The lab holds no such SAE, or no view has this name.
        FeatureIndexError: The SAE has no such feature.
        MismatchError: The feature is of another SAE than ``sae``; no views; sizes that cannot be.
        TargetError: The target or baseline is neither text nor id.

    Example:
        >>> import saewidgets as sw
        >>> explorer = sw.Explorer(sw.demo(), "The capital of France is", " Paris")  # doctest: +SKIP
        >>> explorer.steer()  # doctest: +SKIP
        True
        >>> explorer.steering.result.steered[0].text  # doctest: +SKIP
        >>> explorer.to_svg("figure.svg")  # doctest: +SKIP
    """

    prompt = Prompt(help="The text that all views are about.")
    sae = SAEName("", help="Name of the SAE; with another one the token view chooses a feature.")
    feature = Feature("", help="The chosen feature, 'sae/123', or ''. 123 and FeatureId are accepted.")
    token = Position(None, help="Position of the chosen token, from 0 (BOS counts), or None. It is ranked alone.")
    sizes = Sizes(USUAL, help="Sizes of the parts: shares, and px for the height. What is not given is as usual.")
    shown = Names((), help="Names of the views that are seen; the others go on working.")

    def __init__(
        self,
        lab: Any,
        prompt: str = "",
        target: Any = None,
        baseline: Any = None,
        *,
        sae: str | None = None,
        feature: FeatureId | str | int | None = None,
        views: Any = tuple(TITLES),
        sizes: Any = None,
        layout: Any = None,
    ) -> None:
        self.lab = lab
        self._panes = list(named(views, TITLES))
        if not self._panes:
            raise MismatchError("There is nothing to show.", got="no views", expected=", ".join(TITLES))
        of = sae_named(feature)
        if sae is not None and of not in {None, sae}:
            raise MismatchError("The feature is of another SAE.", got=f"sae={sae!r}, {feature}", expected="one SAE")
        chosen = LabView._known_sae(self, sae or of or next(iter(lab.saes), ""))  # pyright: ignore[reportArgumentType]
        self._views = made(lab, self._panes, prompt, target, baseline, chosen, feature)
        self.bar = ExplorerBar(self._panes, sizes or {}, self.steer)
        usual = ipywidgets.Layout(width="100%")
        super().__init__((self.bar, *self._views.values()), layout=usual if layout is None else layout)
        first = next(iter(self._views.values()))
        self.prompt, self.sae = prompt, chosen
        self.feature = first.feature if feature is not None or "tokens" in self._views else ""
        self._hold()
        for name in ("sizes", "shown"):
            traitlets.link((self.bar, name), (self, name))
        self._links = Links(self, self._views, self._complain)
        self._links.begin()
        self._hear()

    @property
    def tokens(self) -> Any:
        """The token view, a TokenActivations."""
        return self._views.get("tokens")

    @property
    def ranking(self) -> Any:
        """The ranking, a FeatureRanking."""
        return self._views.get("ranking")

    @property
    def dashboard(self) -> Any:
        """The dashboard, a FeatureDashboard."""
        return self._views.get("dashboard")

    @property
    def steering(self) -> Any:
        """The steering panel, a SteeringPanel."""
        return self._views.get("steering")

    # ---- what may be done with it ------------------------------------------------------------------------------------

    def steer(self, value: Number | None = None, operation: str | None = None) -> bool:
        """Add the chosen feature to the steering panel; where none is chosen, the one that the dashboard shows.

        Args:
            value: Strength; by default 4 maxima.
            operation: Which formula; by default "set".

        Returns:
            Whether it was added; False where the panel has it already.

        Raises:
            EditError: There is no steering panel, or no feature; no such operation.
        """
        panel, feature = self.steering, self._offered()
        if panel is None:
            raise EditError("This explorer has no steering panel.", expected='"steering" among its views')
        if not feature:
            raise EditError("No feature is chosen.", do="choose one in a view, or set .feature")
        with panel._changing:
            if self._steers(feature):
                return False
            panel.add(feature, value, operation)
        return True

    def stop(self) -> None:
        """Ask all work of all views to stop."""
        for view in self._views.values():
            view.stop()

    def close(self) -> None:
        """Close the explorer and its views; their work stops."""
        if hasattr(self, "_links"):
            self._links.end()
            self._watch.end()
            for view in (self.bar, *self._views.values()):
                view.close()
        super().close()

    # ---- keeping the traits together ---------------------------------------------------------------------------------

    def _known_sae(self, name: Any) -> str:
        return LabView._known_sae(self, name)  # pyright: ignore[reportArgumentType]

    def _known_feature(self, feature: Any) -> FeatureId:
        return LabView._known_feature(self, feature)  # pyright: ignore[reportArgumentType]

    def _known_position(self, position: Any) -> int | None:
        view: Any = self.tokens or self.ranking
        if position is None or view is not None:
            return None if position is None else view._known_position(position)
        raise TokenError("No view here has positions.", got=repr(position)[:80], expected="None")

    @traitlets.observe("feature")
    def _feature_changed(self, change: Any) -> None:
        if change["new"]:
            self.sae = sae_named(change["new"])

    @traitlets.observe("sae")
    def _sae_changed(self, change: Any) -> None:
        if self.feature and sae_named(self.feature) != change["new"]:
            self.feature = ""

    # ---- the bar -----------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """Keep what the bar offers up to date."""
        self._watch = Watch(self, lambda explorer, _: explorer._tell())
        self._watch.on(self.lab)
        self.observe(self._tell, "feature")
        if self.dashboard is not None:
            self.dashboard.observe(self._tell, "feature")
        if self.steering is not None:
            self.steering.observe(self._tell, "edits")
        self._tell()

    def _tell(self, _: Any = None) -> None:
        feature = self._offered()
        label = label_of(self.lab, feature) if feature else ""
        self.bar._offer = {"feature": clean(feature), "label": clean(label), "steered": self._steers(feature)}

    def _offered(self) -> str:
        return self.feature or (self.dashboard.feature if self.dashboard is not None else "")

    def _steers(self, feature: str) -> bool:
        edits = self.steering.edits if self.steering is not None else ()
        return bool(feature) and any(edit.target == FeatureId.parse(feature) for edit in edits)

    def _complain(self, faults: list[str]) -> None:
        self.bar.set_trait("error", clean("\n".join(faults)))

    # ---- without a kernel --------------------------------------------------------------------------------------------

    def static_html(self) -> str:
        """The static twins of the views, each under its title."""
        parts = [(view._twin, TITLES[name], view.static_html()) for name, view in self._views.items()]
        return "".join(f'<div class="saew-twin {mark}"><h3>{title}</h3>{html}</div>' for mark, title, html in parts)

    def static_text(self) -> str:
        """The same as plain text."""
        return "\n\n".join(f"{TITLES[name]}\n{view.static_text()}" for name, view in self._views.items())

    def static_svg(self) -> str:
        """The views that are seen as one SVG drawing, each under its title, placed as where there is room for columns.

        Tokens stand over the ranking, the feature to their right, steering below. Each is drawn in its own size,
        whatever ``sizes`` says. A view that has nothing to draw yet is named there, with the reason; one that is left
        out of ``shown`` is not drawn.

        Raises:
            PromptError: None of the views that are seen has anything to draw.
        """
        seen = self.shown
        if not seen:
            raise PromptError("There is nothing to draw.", got="no view is seen", do='set .shown, such as "tokens"')
        drawings = all_drawn(self._views[name] for name in seen)
        panes = {name: titled_svg(TITLES[name], drawing) for name, drawing in zip(seen, drawings, strict=True)}
        return _placed(panes, self._title())

    def _twin_bundle(self) -> dict[str, str]:
        # Notebook 7 folds an output of more than 1820 px for good, before the live view hides its twin.
        mark = f'<div class="saew-twin {self._mark}">'
        low = f'{mark}<div style="max-height:1600px;overflow:auto">{self.static_html()}</div></div>'
        return {"text/html": low, "text/plain": self.static_text()}

    def _title(self) -> str:
        return f"Explorer · {self.prompt}"

    def _saved(self) -> SavedBox:
        return SavedBox("row", tuple(child._saved() for child in self.children))


def _placed(panes: Mapping[str, str], title: str) -> str:
    """Drawings of views by name where js/src/shared/panes.js has them: two columns, and steering below."""
    names = ("tokens", "ranking"), ("dashboard",), ("steering",)
    left, right, below = ([panes[name] for name in part if name in panes] for part in names)
    if not right:
        left, right = left[:1], left[1:]
    columns = [side_by_side_svg(column, title, beside=False) for column in (left, right) if column]
    above = [side_by_side_svg(columns, title)] if columns else []
    return side_by_side_svg([*above, *below], title, beside=False)
