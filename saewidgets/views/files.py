"""Drawings as files for papers: SVG needs nothing, PNG needs vl-convert, which brings its own fonts and no browser."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from saewidgets.errors import MissingPackageError
from saewidgets.results.steering_vector import Number

DO = 'pip install "saewidgets[figures]"'


def write_svg(drawing: str, path: str | os.PathLike[str]) -> Path:
    """Write a drawing as an SVG file."""
    target = Path(path)
    target.write_text(drawing, encoding="utf-8", newline="\n")
    return target


def write_png(drawing: str, path: str | os.PathLike[str], scale: Number) -> Path:
    """Write a drawing as a PNG file, ``scale`` pixels a px.

    Raises:
        MissingPackageError: vl-convert-python is not installed.
    """
    converter = _converter("PNG files")
    target = Path(path)
    target.write_bytes(converter.svg_to_png(drawing, scale=float(scale)))
    return target


def chart_svg(spec: dict[str, Any]) -> str:
    """A chart of ours, whose data is part of it, as an SVG drawing; nothing is fetched.

    Raises:
        MissingPackageError: vl-convert-python is not installed.
    """
    return _converter("Pictures of charts").vegalite_to_svg(spec, allowed_base_urls=[])


def _converter(what: str) -> Any:
    if find_spec("vl_convert") is None:
        raise MissingPackageError(f"{what} need vl-convert-python.", got="no vl_convert", do=DO)
    import vl_convert

    return vl_convert
