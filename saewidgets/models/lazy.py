"""A model that is built when it is first needed."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from saewidgets.models.language_model import LanguageModel
from saewidgets.models.loading import load_model


def is_loader(source: Any) -> bool:
    """Whether this is a function that gives a model, rather than a model, which can be called too."""
    return inspect.isroutine(source) or isinstance(source, functools.partial)


class ModelSlot:
    """The place of one model, built or not; threads that ask at the same time get the same model.

    Args:
        name: What the model is called.
        load: Gives the model, or anything that :func:`load_model` takes.
        built: The model, where it is there already.
    """

    def __init__(self, name: str, load: Callable[[], Any], built: LanguageModel | None = None) -> None:
        self.name = name
        self._load = load
        self._lock = threading.Lock()
        self.built = built
        # What the model's worker belongs to, the same before and after the model is built.
        self.anchor: object = built or self

    def get(self) -> LanguageModel:
        """The model, built if it is not yet."""
        with self._lock:
            if self.built is None:
                self.built = load_model(self._load(), self.name)
            return self.built


class Models(Mapping[str, LanguageModel]):
    """The models of a lab by name; looking at one builds it."""

    def __init__(self, slots: Mapping[str, ModelSlot]) -> None:
        self._slots = slots

    def __getitem__(self, name: str) -> LanguageModel:
        return self._slots[name].get()

    def __iter__(self) -> Iterator[str]:
        return iter(self._slots)

    def __len__(self) -> int:
        return len(self._slots)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name!r}: {slot.built or 'not built yet'}" for name, slot in self._slots.items())
        return f"{{{shown}}}"
