"""A build's files while it goes on: the tokens read so far, and from time to time the state, so that it can go on.

The state is written to a new file which then takes the place of the old one, after the tokens it counts are on disk.
Whatever moment the process dies at, the folder holds one whole state, and what the token files hold beyond it is cut
off: nothing is lost but the time since, and nothing is counted twice.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from saewidgets.errors import LoadError

WINDOW = np.dtype([("start", "<i8"), ("text", "<i8"), ("offset", "<i8")])
_STATE = "state.npz"
NAMES = frozenset({"tokens.bin", "windows.bin", _STATE, f"{_STATE}.new"})
"""All that a build's folder holds."""


class Checkpoint(NamedTuple):
    """A state: a header of plain values, and arrays by name."""

    header: dict[str, Any]
    arrays: dict[str, np.ndarray]


def token_type(d_vocab: int) -> np.dtype:
    """The smallest type that holds every token id."""
    return np.dtype("<u2" if d_vocab <= 2**16 else "<u4")


class Spool:
    """The files of a build in one folder, which is made where it is missing.

    Args:
        folder: Where.
        d_vocab: Number of token ids.
    """

    def __init__(self, folder: Path, d_vocab: int) -> None:
        self.folder, self._type = folder, token_type(d_vocab)
        folder.mkdir(parents=True, exist_ok=True)
        self._tokens, self._windows = (_appended(folder / name) for name in ("tokens.bin", "windows.bin"))
        self.n_tokens = self.n_windows = 0

    def close(self) -> None:
        """Close the files."""
        self._tokens.close()
        self._windows.close()

    def append(self, ids: np.ndarray, text: int, offset: int) -> tuple[int, int]:
        """Add a window; its number and where it starts."""
        place = self.n_windows, self.n_tokens
        self._tokens.write(ids.astype(self._type).tobytes())
        self._windows.write(np.array((self.n_tokens, text, offset), WINDOW).tobytes())
        self.n_tokens += len(ids)
        self.n_windows += 1
        return place

    def cut(self, n_tokens: int, n_windows: int) -> None:
        """Forget all that came after.

        Raises:
            LoadError: There is less.
        """
        wanted = ((self._tokens, n_tokens * self._type.itemsize), (self._windows, n_windows * WINDOW.itemsize))
        for file, size in wanted:
            if os.fstat(file.fileno()).st_size < size:
                raise LoadError(
                    f"The files of the build in {self.folder} are cut short.", do="pass resume=False to begin anew"
                )
            file.truncate(size)
            file.seek(size)
        self.n_tokens, self.n_windows = n_tokens, n_windows

    def tokens(self) -> np.ndarray:
        """All tokens [n_tokens], mapped from disk."""
        return self._mapped(self._tokens, self._type, self.n_tokens)

    def windows(self) -> np.ndarray:
        """All windows [n_windows] of type WINDOW, mapped from disk."""
        return self._mapped(self._windows, WINDOW, self.n_windows)

    @staticmethod
    def _mapped(file: Any, kind: np.dtype, n: int) -> np.ndarray:
        file.flush()
        return np.memmap(file.name, kind, "r", shape=(n,)) if n else np.zeros(0, kind)

    def save(self, header: dict[str, Any], arrays: Iterable[tuple[str, np.ndarray]]) -> None:
        """Put a state in place of the one before; its arrays are asked for one after the other."""
        for file in (self._tokens, self._windows):
            file.flush()
            os.fsync(file.fileno())
        plain = np.frombuffer(json.dumps(header).encode(), np.uint8)
        new = self.folder / f"{_STATE}.new"
        with new.open("wb") as file:
            with zipfile.ZipFile(file, "w", allowZip64=True) as archive:
                for name, array in chain([("header", plain)], arrays):
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                        np.lib.format.write_array(entry, array)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.folder / _STATE)


def saved(folder: Path) -> Checkpoint | None:
    """The state in a build's folder; None where there is none.

    Raises:
        LoadError: It cannot be read.
    """
    path = folder / _STATE
    if not path.is_file():
        return None
    try:
        with path.open("rb") as opened, np.load(opened) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop("header").tobytes())
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise LoadError(
            f"{path} is not the state of a build.", got=str(error)[:200], do="pass resume=False to begin anew"
        ) from error
    return Checkpoint(header, arrays)


def _appended(path: Path) -> Any:
    path.touch()
    file = path.open("r+b")
    file.seek(0, os.SEEK_END)
    return file
