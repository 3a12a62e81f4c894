"""Drawings of views for papers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from saewidgets.errors import MismatchError, PromptError
from saewidgets.results.steering_vector import Number
from saewidgets.views.files import write_png, write_svg
from saewidgets.views.side_by_side_svg import words_svg


class Pictured:
    """The part of views, rows, columns and explorers that writes them as a picture; each gives ``static_svg``."""

    def static_svg(self) -> str:
        """The view as an SVG drawing, light, vector text; no scripts.

        Raises:
            MismatchError: This kind of view has no drawing.
            PromptError: Nothing has been run yet.
        """
        do = "give it static_svg(), or take its result: many have .chart(), all have .to_frame()"
        raise MismatchError("This view has no drawing.", got=type(self).__name__, do=do)

    def to_svg(self, path: str | Path) -> Path:
        """Write the view as an SVG file for a paper.

        Args:
            path: Where to write it; an existing file is replaced.

        Returns:
            The path.

        Raises:
            MismatchError: This kind of view has no drawing.
            PromptError: Nothing has been run yet.

        Example:
            >>> view.to_svg("figure.svg")  # doctest: +SKIP
        """
        return write_svg(self.static_svg(), path)

    def to_png(self, path: str | Path, scale: Number = 2) -> Path:
        """Write the view as a PNG file.

        Args:
            path: Where to write it; an existing file is replaced.
            scale: Pixels a px; 2 suits a paper, 1 a page.

        Returns:
            The path.

        Raises:
            MismatchError: This kind of view has no drawing.
            MissingPackageError: vl-convert-python is not installed.
            PromptError: Nothing has been run yet.

        Example:
            >>> view.to_png("figure.png", scale=3)  # doctest: +SKIP
        """
        return write_png(self.static_svg(), path, scale)


def drawn(result: Any, error: str) -> Any:
    """The result that is drawn; an error where there is none."""
    if result is None:
        raise PromptError("There is nothing to draw.", got=error or "nothing has been run yet", do="run a prompt first")
    return result


def all_drawn(views: Iterable[Pictured]) -> list[str]:
    """The drawing of each view; where one has nothing to draw, its name and why, in words.

    Raises:
        MismatchError: A view of a kind that has no drawing.
        PromptError: No view has anything to draw.
    """
    drawings, faults = [], []
    for view in views:
        try:
            drawings.append(view.static_svg())
        except PromptError as fault:
            faults.append(fault)
            why = str(fault.got or fault.what).partition("\n")[0]
            drawings.append(words_svg(f"{type(view).__name__}: {why}"))
    if len(faults) == len(drawings):
        raise faults[0]
    return drawings
