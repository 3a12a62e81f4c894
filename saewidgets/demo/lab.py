"""The lab of the bundled world: its SAEs have an index, its concepts are predicates."""

from __future__ import annotations

import threading
import weakref
from functools import cached_property
from pathlib import Path
from typing import Any

from saewidgets.demo.cache import FirstUse
from saewidgets.index import FeatureIndex
from saewidgets.lab import Lab
from saewidgets.saes import load_sae

NEUTRAL_SEED = 12
"""Of the documents on which side effects are measured."""


class BundledLab(Lab):
    """A lab of the bundled model and SAEs.

    An index of the default SAE is shipped. Those of the others are built when they are first needed, which takes less
    than a minute, and are kept in the user's cache folder.

    Args:
        assets: The folder with ``model``, ``saes`` and ``index``.
        first: Name of the SAE that is meant where none is named.
    """

    def __init__(self, assets: Path, first: str) -> None:
        super().__init__(lambda: assets / "model", name="demo")
        self._neutral_texts = _neutral_texts
        self._first_use = FirstUse(assets / "index")
        self._building = threading.RLock()
        folders = (path.parent for path in (assets / "saes").glob("*/cfg.json"))
        for folder in sorted(folders, key=lambda folder: (folder.name != first, folder.name)):
            self._hold(folder.name, load_sae(folder), "demo")
        self._bundled = weakref.WeakValueDictionary(self._saes)

    def _index_on_first_use(self, name: str, build: bool) -> FeatureIndex | None:
        if self._bundled.get(name) is not self._saes.get(name):
            return None  # the user's own
        if not self._building.acquire(blocking=build):
            return None
        try:
            if name not in self._indexes and self._first_use.find(self, name) is None and build:
                self._first_use.build(self, name)
            return self._indexes.get(name)
        finally:
            self._building.release()

    @cached_property
    def _concept_names(self) -> list[str]:
        """The concepts that :meth:`_concept_predicate` knows."""
        from saewidgets.demo import world

        return [concept.name for concept in world.concepts]

    def _concept_predicate(self, name: str) -> Any:
        """Marks the tokens that express a concept."""
        from saewidgets.demo import world

        return world.predicate(name)


def _neutral_texts() -> list[str]:
    """Documents of the bundled world, of all its kinds."""
    from saewidgets.demo import world

    return [document.text for document in world.sample(NEUTRAL_SEED, 12)]
