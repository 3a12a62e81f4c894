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
"""The folder with the model, the SAEs, their model card and their figures."""

DEFAULT_SAE = "mid-topk-2048"
"""The SAE that is meant where none is named."""

NEUTRAL_SEED = 12
"""Of the documents on which side effects are measured."""


class DemoModule(ModuleType):
    """This module; calling it gives the bundled lab."""

    world: Any

    def __call__(self) -> Lab:
        """The bundled model and its SAEs, without network.

        The SAEs are read at once. The model is built when it is first needed, which imports transformer_lens.

        Raises:
            LoadError: The assets are not part of this installation.
        """
        return _lab()

    def __getattr__(self, name: str) -> Any:
        if name == "world":
            return importlib.import_module(f"{__name__}.world")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _lab() -> Lab:
    folders = sorted(path.parent for path in (ASSETS / "saes").glob("*/cfg.json"))
    if not folders or not (ASSETS / "model" / "config.json").is_file():
        raise LoadError(
            "The bundled model is not part of this installation.",
            got=f"no model and SAEs in {ASSETS}",
            do="install saewidgets again, or build them with `make demo-model`",
        )
    from saewidgets.lab import Lab
    from saewidgets.saes import load_sae

    lab = Lab(_model_folder, name="demo")
    for folder in sorted(folders, key=lambda folder: folder.name != DEFAULT_SAE):
        lab._hold(folder.name, load_sae(folder), "demo")
    lab._neutral_texts = _neutral_texts
    return lab


def _neutral_texts() -> list[str]:
    """Documents of the bundled world, of all its kinds."""
    from saewidgets.demo import world

    return [document.text for document in world.sample(NEUTRAL_SEED, 12)]


def _model_folder() -> Path:
    return ASSETS / "model"


sys.modules[__name__].__class__ = DemoModule
