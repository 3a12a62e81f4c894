"""Where a lab keeps what people say, the labels that views read there, and who hears when it is another place."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from saewidgets.annotations import DEFAULT_FOLDER, AnnotationStore, open_store
from saewidgets.errors import AnnotationError
from saewidgets.lab.holdings import Holdings
from saewidgets.results import Target
from saewidgets.saes import SAE

Moved = Callable[[AnnotationStore, frozenset[Target]], object]


class FeatureLabels(Mapping[int, str]):
    """The labels of one SAE's features, read from the lab's annotations as they stand; it keeps neither alive."""

    def __init__(self, lab: Keeping, sae: SAE) -> None:
        self._lab = weakref.ref(lab)
        self._sae = weakref.ref(sae)
        self._made: tuple[AnnotationStore, int, dict[int, str]] | None = None

    def now(self) -> dict[int, str]:
        """All labels as they stand, not to be changed; no SAE is hashed where nothing has been said."""
        lab, sae = self._lab(), self._sae()
        if lab is None or sae is None or not len(lab.annotations):
            return {}
        store, version = lab.annotations, lab.annotations.version
        made = self._made
        if made is None or made[0] is not store or made[1] != version:
            made = self._made = (store, version, store.labels(sae.hook, sae.content_hash))
        return made[2]

    def __getitem__(self, feature: Any) -> str:
        return self.now()[feature]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.now()))

    def __len__(self) -> int:
        return len(self.now())

    def __reduce__(self) -> tuple[type[dict], tuple[dict[int, str]]]:
        return dict, (dict(self),)  # a copy, or a pickle, has the labels that stood then

    def __repr__(self) -> str:
        return f"FeatureLabels of {len(self)} features"


class Keeping(Holdings):
    """The part of a :class:`saewidgets.Lab` that has annotations; what they say is read and written elsewhere."""

    def __init__(self, model: Any, name: str | None = None) -> None:
        self._folder = Path(DEFAULT_FOLDER).absolute()  # beside the notebook, wherever its code goes later
        self._annotations: AnnotationStore | None = None
        self._moved: dict[object, Moved] = {}
        self._labels: dict[str, FeatureLabels] = {}
        super().__init__(model, name)

    @property
    def annotations(self) -> AnnotationStore:
        """Where labels, notes, ratings and presets are kept: by default the folder ``saewidgets_annotations``.

        That is beside the notebook, in the folder where the lab was made; it is made at the first write. A path, or a
        store, may be assigned; open views then show what is there. Labs that use the same folder share one store, and
        hear of each other's changes.

        Example:
            >>> lab.annotations = "my_notes"  # doctest: +SKIP
            >>> lab.annotations.to_frame()  # doctest: +SKIP
        """
        if self._annotations is None:
            self._annotations = open_store(self._folder)
        return self._annotations

    @annotations.setter
    def annotations(self, where: Any) -> None:
        if not isinstance(where, AnnotationStore | str | os.PathLike):
            raise AnnotationError("This is no place for annotations.", got=repr(where)[:80], expected="a folder")
        store = where if isinstance(where, AnnotationStore) else open_store(where)
        former, self._annotations = self._annotations, store
        if former is store or not self._moved:
            return
        stores = (store,) if former is None else (former, store)
        changed = frozenset(one.target for each in stores for one in each.annotations())
        for told in list(self._moved.values()):
            try:
                told(store, changed)
            except Exception as error:  # noqa: BLE001 - one view's fault is neither the caller's nor another view's
                warnings.warn(f"a view of annotations failed: {error!r}", RuntimeWarning, stacklevel=2)

    def on_annotations(self, told: Moved) -> Callable[[], None]:
        """Have a function called when :attr:`annotations` is assigned another store.

        Args:
            told: Called with the store, and with all targets of which something stands there or stood in the former.

        Returns:
            Ends it.

        Example:
            >>> end = lab.on_annotations(lambda store, targets: print(store.folder))  # doctest: +SKIP
            >>> lab.annotations = "my_notes"  # doctest: +SKIP
        """
        token, moved = object(), self._moved
        moved[token] = told
        return lambda: moved.pop(token, None) and None

    def labels_of(self, sae: str | None = None) -> Mapping[int, str]:
        """The labels of an SAE's features by number, as they stand; labels that you put into ``sae.labels`` come first.

        Args:
            sae: Name of the SAE; by default the first added.

        Raises:
            UnknownNameError: There is no such SAE.

        Example:
            >>> lab.labels_of("mid")[7]  # doctest: +SKIP
            'London'
        """
        name = self.sae_name(sae)
        own = getattr(self._saes[name], "labels", None)
        if isinstance(own, Mapping):
            return own
        return dict(enumerate(own)) if isinstance(own, list | tuple) else self._labels[name]

    def _hold(self, name: str, sae: SAE, model: str) -> None:
        self._labels[name] = FeatureLabels(self, sae)
        super()._hold(name, sae, model)
