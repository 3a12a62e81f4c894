"""Views beside or below each other, with a static twin: the containers of ipywidgets have none."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import ipywidgets

from saewidgets.errors import MismatchError
from saewidgets.export.page import SavedBox
from saewidgets.views.side_by_side_svg import side_by_side_svg
from saewidgets.widgets.base import LiveView, display_twin_and_live, hold, write_page
from saewidgets.widgets.pictures import Pictured, all_drawn

BESIDE = "repeat(auto-fit, minmax(min(420px, 100%), 1fr))"
CELL = "text-align:left;vertical-align:top;white-space:normal"


class SideBySide(Pictured):
    """What boxes of views share; ``children`` are the views. Comes before a container of ipywidgets."""

    children: Any
    beside = True

    def _hold(self) -> None:
        self._mark = f"saew-twin-{uuid.uuid4().hex[:12]}"
        hold(self, self._mark)

    def static_html(self) -> str:
        """The static twins of the views; a table where they stand beside each other, for sanitisers keep those."""
        twins = [view._marked_html() for view in self.children]
        if not self.beside:
            return "".join(twins)
        cells = "".join(f'<td align="left" valign="top" style="{CELL}">{twin}</td>' for twin in twins)
        return f"<table><tbody><tr>{cells}</tr></tbody></table>"

    def static_text(self) -> str:
        """The views as plain text, below each other."""
        return "\n\n".join(view.static_text() for view in self.children)

    def static_svg(self) -> str:
        """The drawings of the views as one SVG drawing, beside or below each other, each in its own size.

        Views in a row stay in one row, however wide it gets. A view that has nothing to draw yet is named there, with
        the reason.

        Raises:
            MismatchError: One is of a kind that has no drawing.
            PromptError: None of them has anything to draw.
        """
        return side_by_side_svg(all_drawn(self.children), self._title(), beside=self.beside)

    def to_html(self, path: str | Path) -> Path:
        """Write the views as one HTML file that works without a kernel, a network and, as static twins, scripts.

        Args:
            path: Where to write it; an existing file is replaced.

        Returns:
            The path.
        """
        return write_page(self._saved(), self._marked_html(), self._title()[:80], path)

    def _title(self) -> str:
        return ", ".join(type(view).__name__ for view in self.children)

    def _saved(self) -> SavedBox:
        return SavedBox("row" if self.beside else "column", tuple(view._saved() for view in self.children))

    def _marked_html(self) -> str:
        return f'<div class="saew-twin {self._mark}">{self.static_html()}</div>'

    def _twin_bundle(self) -> dict[str, str]:
        return {"text/html": self._marked_html(), "text/plain": self.static_text()}

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The live views with their static twins, for hosts that show one bundle."""
        live: Any = super()
        return {**dict(live._repr_mimebundle_(**kwargs) or {}), **self._twin_bundle()}

    def _ipython_display_(self, **_: Any) -> None:
        live: Any = super()
        display_twin_and_live(self, live._repr_mimebundle_)


class Row(SideBySide, ipywidgets.GridBox):
    """Views beside each other; :func:`row` makes one."""

    def __init__(self, views: tuple[Any, ...]) -> None:
        layout = ipywidgets.Layout(grid_template_columns=BESIDE, grid_gap="16px", width="100%")
        super().__init__(checked(views), layout=layout)
        self._hold()


class Column(SideBySide, ipywidgets.VBox):
    """Views below each other; :func:`column` makes one."""

    beside = False

    def __init__(self, views: tuple[Any, ...]) -> None:
        super().__init__(checked(views), layout=ipywidgets.Layout(width="100%"))
        self._hold()


def checked(views: tuple[Any, ...]) -> tuple[Any, ...]:
    """The views; an error where one is none of ours, for it would have no twin."""
    for view in views:
        if not isinstance(view, LiveView | SideBySide):
            do = "for widgets of others use ipywidgets.HBox and VBox"
            raise MismatchError(
                "Only views of saewidgets stand here.", got=type(view).__name__, expected="views", do=do
            )
    if not views:
        raise MismatchError("There is nothing to show.", got="no views", expected="one or more")
    return views


def row(*views: Any) -> Row:
    """Views beside each other, as far as there is room; a reader without a kernel sees their static twins.

    Args:
        views: Views of this package, rows and columns of them.

    Raises:
        MismatchError: No view, or something else.

    Example:
        >>> import saewidgets as sw
        >>> lab = sw.demo()  # doctest: +SKIP
        >>> both = sw.row(sw.TokenActivations(lab, "Paris"), sw.TokenActivations(lab, "Rome"))  # doctest: +SKIP
        >>> both.to_png("figure.png")  # doctest: +SKIP
    """
    return Row(views)


def column(*views: Any) -> Column:
    """Views below each other in one output; a reader without a kernel sees their static twins.

    Args:
        views: Views of this package, rows and columns of them.

    Raises:
        MismatchError: No view, or something else.

    Example:
        >>> import saewidgets as sw
        >>> lab = sw.demo()  # doctest: +SKIP
        >>> sw.column(sw.TokenActivations(lab, "Paris"), sw.FeatureRanking(lab, "Paris"))  # doctest: +SKIP
    """
    return Column(views)
