"""One store for each folder."""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path

from saewidgets.annotations.store import DEFAULT_FOLDER, AnnotationStore

_OPEN: weakref.WeakValueDictionary[Path, AnnotationStore] = weakref.WeakValueDictionary()
_OPEN_LOCK = threading.Lock()


def open_store(folder: str | os.PathLike[str] = DEFAULT_FOLDER) -> AnnotationStore:
    """The store of a folder, one and the same for all of this process, so that its views hear of each other's changes.

    Example:
        >>> open_store("my_notes") is open_store("my_notes")
        True
    """
    path = Path(folder).expanduser().absolute()
    with _OPEN_LOCK:
        store = _OPEN.get(path)
        if store is None:
            store = _OPEN[path] = AnnotationStore(path)
        return store
