"""Drawings of views for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from saewidgets.errors import MismatchError, PromptError
from saewidgets.results.steering_vector import Number
from saewidgets.views.files import write_png, write_svg


class Pictured:
    """The part of a live view that writes it as a picture; a view that has a drawing gives ``static_svg``."""

    def static_svg(self) -> str:
        """The view as an SVG drawing, light, vector text; no scripts.

        Raises:
            MismatchError: This kind of view has no drawing.
            PromptError: Nothing has been run yet.
        """
        got = type(self).__name__
        do = "take its result: many have .chart(), all have .to_frame()"
        expected = "TokenActivations, FeatureRanking, SteeringPanel, FeatureDashboard or AttentionPatterns"
        raise MismatchError("This view has no drawing.", got=got, expected=expected, do=do)

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
