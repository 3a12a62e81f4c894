"""What a lab hands on to readers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from saewidgets.export import export_notebook


class Sharing:
    """The part of a :class:`saewidgets.Lab` that writes pages for readers."""

    def export_notebook(
        self, nb: str | os.PathLike[str] | Mapping[str, Any], path: str | os.PathLike[str], *, recorded: bool = True
    ) -> Path:
        """Write a notebook as one HTML file that works without a kernel; see :func:`saewidgets.export_notebook`.

        Args:
            nb: A notebook file, saved, or a notebook as nbformat reads it.
            path: Where to write the page; an existing file is replaced.
            recorded: Whether steering panels record strengths: nine next tokens and a sweep for each edit.

        Returns:
            The path.

        Raises:
            LoadError: There is no notebook there.
            StoreError: The page cannot be written.
            MissingPackageError: nbconvert is not installed.

        Example:
            >>> lab.export_notebook("01_explore.ipynb", "01_explore.html")  # doctest: +SKIP
        """
        return export_notebook(nb, path, recorded=recorded)
