"""What is written for people: pages, and drawings for papers.

SVG needs nothing, PNG needs vl-convert, which brings its own fonts and no browser.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from saewidgets.errors import MissingPackageError, SaewidgetsError, StoreError
from saewidgets.results.steering_vector import Number

DO = 'pip install "saewidgets[figures]"'


def named(path: str | os.PathLike[str], error: type[SaewidgetsError] = StoreError) -> Path:
    """The file of that name; "~" is the user's folder.

    Raises:
        StoreError: No file can have it; another error where one is given.
    """
    try:
        target = Path(path).expanduser()
        bad = b"\0" in os.fsencode(target)
    except (RuntimeError, UnicodeEncodeError) as fault:  # RuntimeError: no such user
        raise error("This is no name of a file.", got=f"{os.fspath(path)!r}: {fault}"[:200]) from fault
    if bad:
        raise error("This is no name of a file.", got=repr(os.fspath(path))[:200])
    return target


def write_bytes(data: bytes, path: str | os.PathLike[str]) -> Path:
    """Write a file; one that exists is replaced.

    Raises:
        StoreError: It cannot be written.
    """
    target = named(path)
    try:
        target.write_bytes(data)
    except OSError as error:
        raise StoreError("The file was not written.", got=f"{str(target)[:300]}: {error.strerror or error}") from error
    return target


def write_svg(drawing: str, path: str | os.PathLike[str]) -> Path:
    """Write a drawing as an SVG file.

    Raises:
        StoreError: It cannot be written.
    """
    return write_bytes(drawing.encode(), path)


def write_png(drawing: str, path: str | os.PathLike[str], scale: Number) -> Path:
    """Write a drawing as a PNG file, ``scale`` pixels a px.

    Raises:
        MissingPackageError: vl-convert-python is not installed.
        StoreError: It cannot be written.
    """
    return write_bytes(_converter("PNG files").svg_to_png(drawing, scale=float(scale)), path)


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
