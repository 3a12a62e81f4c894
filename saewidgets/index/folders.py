"""Where an index goes."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from saewidgets.errors import IndexBuildError, LoadError
from saewidgets.index.build import BUILD


def folder_for(path: Any) -> Path:
    """The folder that an index, or several, are built in; a new one where none is named.

    Raises:
        IndexBuildError: No path.
        LoadError: It is a file.
    """
    if path is None:
        return Path(tempfile.mkdtemp(prefix="saewidgets-index-"))
    folder = as_path(path)
    if folder.exists() and not folder.is_dir():
        raise LoadError(f"{folder} is no folder.", expected="a new or empty folder, or one with an index")
    return folder


def as_path(path: Any) -> Path:
    """A path as people give it.

    Raises:
        IndexBuildError: No text and no path, or one that no folder can have.
    """
    if not isinstance(path, str | os.PathLike) or not str(path).strip() or "\0" in str(path):
        raise IndexBuildError("This is no folder for an index.", got=repr(path)[:80], expected="a path")
    return Path(path).expanduser()


def discard(path: Path, folder: Path) -> None:
    """Delete the files of an index that had no path, and the folder that several share after the last of them."""
    shutil.rmtree(path, ignore_errors=True)
    with suppress(OSError):
        folder.rmdir()


def folder_name(sae: str) -> str:
    """A file name for any name of an SAE; different names have different ones.

    Example:
        >>> folder_name("a/b")
        'a%2Fb'
    """
    name = quote(sae, safe=" ")
    return name.replace(".", "%2E") if not name.strip(".") or name == BUILD else name
