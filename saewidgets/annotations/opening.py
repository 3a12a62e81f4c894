"""One store for each folder."""

from __future__ import annotations

import os
import threading
import weakref

from saewidgets.annotations.journal import whole_path
from saewidgets.annotations.store import DEFAULT_FOLDER, AnnotationStore

_OPEN: weakref.WeakValueDictionary[str, AnnotationStore] = weakref.WeakValueDictionary()  # by session
_OPEN_LOCK = threading.Lock()


def open_store(folder: str | os.PathLike[str] = DEFAULT_FOLDER) -> AnnotationStore:
    """The store of a folder, one and the same for all of this process, so that its views hear of each other's changes.

    A folder is the same by whatever path, ``..`` and links in it; a store that moved is that of its new folder.

    Example:
        >>> open_store("my_notes") is open_store("my_notes")
        True
    """
    path = whole_path(folder)
    with _OPEN_LOCK:
        store = next((each for each in list(_OPEN.values()) if each.folder == path), None)
        if store is None:
            store = AnnotationStore(path)
            _OPEN[store.session] = store
        return store
