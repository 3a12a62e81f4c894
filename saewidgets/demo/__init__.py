"""The bundled world: a small trained model, its SAEs, and the grammar that gives both their ground truth.

The module is a function too: ``saewidgets.demo()`` is the lab, ``saewidgets.demo.world`` the grammar.

Example:
    >>> import saewidgets as sw
    >>> lab = sw.demo()  # doctest: +SKIP
    >>> sw.demo.world.label("Camden is a borough of London.")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from saewidgets.errors import LoadError

if TYPE_CHECKING:
    from saewidgets.lab import Lab

ASSETS = Path(__file__).parent / "assets"
"""The folder with the model, the SAEs, an index of the default SAE, the model card and the figures."""

DEFAULT_SAE = "mid-topk-2048"
"""The SAE that is meant where none is named."""


class DemoModule(ModuleType):
    """This module; calling it gives the bundled lab."""

    world: Any

    def __call__(self) -> Lab:
        """The bundled model and its SAEs, without network.

        The SAEs are read at once. The model is built when it is first needed, which imports transformer_lens. An index
        of the default SAE is shipped; those of the others are built on first use, in less than a minute, and kept in
        the user's cache folder (or where the variable SAEWIDGETS_CACHE says).

        Raises:
            LoadError: The assets are not part of this installation.
        """
        return _lab()

    def __getattr__(self, name: str) -> Any:
        if name == "world":
            return importlib.import_module(f"{__name__}.world")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _lab() -> Lab:
    if not any((ASSETS / "saes").glob("*/cfg.json")) or not (ASSETS / "model" / "config.json").is_file():
        raise LoadError(
            "The bundled model is not part of this installation.",
            got=f"no model and SAEs in {ASSETS}",
            do="install saewidgets again, or build them with `make demo-model`",
        )
    from saewidgets.demo.lab import BundledLab

    return BundledLab(ASSETS, DEFAULT_SAE)


sys.modules[__name__].__class__ = DemoModule
