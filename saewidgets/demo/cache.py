"""Indexes of bundled SAEs: shipped, or built on first use and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
import warnings
import weakref
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from saewidgets.demo.indexes import MINIMUM_SPANS, N_DOCUMENTS, SEED, SETTINGS, write_index
from saewidgets.errors import LoadError, MismatchError
from saewidgets.index import FeatureIndex, store

if TYPE_CHECKING:
    from saewidgets.lab import Lab

VARIABLE = "SAEWIDGETS_CACHE"
_FOLDER, _NEW, _STALE_SECONDS = "indexes", ".new", 86_400


def cache_folder() -> Path:
    """Where indexes are kept: what the variable SAEWIDGETS_CACHE names, else the user's cache folder."""
    own = os.environ.get(VARIABLE)
    if own:
        return Path(own).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("saewidgets", appauthor=False)


class FirstUse:
    """Opens or builds the index of a bundled SAE.

    An index is built in a folder of its own that is renamed when it is whole, so that what lies in the cache is whole,
    whoever builds at the same time and whenever a build is killed. It is read to the last byte before it is used; one
    that is damaged is taken away and built anew.

    Args:
        shipped: Where the shipped indexes lie, each in a folder named as its SAE.
    """

    def __init__(self, shipped: Path) -> None:
        self._shipped = shipped

    def find(self, lab: Lab, name: str) -> FeatureIndex | None:
        """The shipped or the cached index of an SAE, held by the lab; None where there is none that can be used."""
        shipped = self._shipped / name
        found = self._open(lab, name, shipped, ours=False) if shipped.is_dir() else None
        if found is not None:
            return found
        if not any((cache_folder() / _FOLDER).glob(f"{name}-*")):
            return None  # no tensor is hashed for it
        place = self._place(lab, name)
        return self._open(lab, name, place, ours=True) if os.path.lexists(place) else None

    def build(self, lab: Lab, name: str) -> FeatureIndex:
        """Build the index of an SAE in the cache; where that cannot be written, in a folder that goes with the index.

        Raises:
            OSError: No folder can be written.
        """
        place = self._place(lab, name)
        try:
            return self._build_at(lab, name, place)
        except OSError as error:
            warnings.warn(
                f"{place.parent} cannot be written ({error.strerror or error}): the index of '{name}' is built for "
                f"this session only. Set {VARIABLE} to a folder that can be written.",
                stacklevel=2,
            )
        folder = Path(tempfile.mkdtemp(prefix="saewidgets-index-"))
        try:
            _write(lab, name, folder, "until the end of this session")
            index = lab.load_index(folder, name)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        weakref.finalize(index, shutil.rmtree, folder, ignore_errors=True)
        return index

    # ---- what the above share --------------------------------------------------------------------------------------

    def _place(self, lab: Lab, name: str) -> Path:
        """The folder of an SAE's index: another for other tensors, texts, settings or another format."""
        how = [SEED, N_DOCUMENTS, self._texts, SETTINGS.to_json(), MINIMUM_SPANS, store.VERSION]
        data = json.dumps([lab.saes[name].content_hash, *how])
        key = hashlib.blake2b(data.encode(), digest_size=8).hexdigest()
        return cache_folder() / _FOLDER / f"{name}-{key}"

    @cached_property
    def _texts(self) -> list[str]:
        """Hashes of the corpora of what is shipped: where the grammar has changed, what is cached is not used."""
        found = []
        for path in sorted(self._shipped.glob(f"*/{store.MANIFEST}")):
            with suppress(LoadError):
                found.append(store.read_manifest(path.parent)["corpus"]["hash"])
        return found

    def _open(self, lab: Lab, name: str, folder: Path, ours: bool) -> FeatureIndex | None:
        """The index in a folder; None, with a warning, where it cannot be used; one of ours is then taken away."""
        try:
            if ours:
                FeatureIndex(folder).verify()
            return lab.load_index(folder, name)
        except (LoadError, MismatchError, OSError) as error:
            warnings.warn(
                f"The index of '{name}' in {folder} cannot be used, and is built anew when it is needed: {error}",
                stacklevel=2,
            )
        if ours:
            with suppress(OSError):
                _delete(folder.rename(folder.with_name(f"{folder.name}.{os.getpid()}{_NEW}")))
        return None

    def _build_at(self, lab: Lab, name: str, place: Path) -> FeatureIndex:
        """Build beside a place, then move there; where another process was faster, what it built is used."""
        place.parent.mkdir(parents=True, exist_ok=True)
        for path in place.parent.glob(f"*{_NEW}"):  # left by a build that was killed
            with suppress(OSError):
                if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                    _delete(path)
        folder = Path(tempfile.mkdtemp(prefix=f"{place.name}.", suffix=_NEW, dir=place.parent))
        try:
            _write(lab, name, folder, f"in {place.parent}")
            with suppress(OSError):
                folder.rename(place)
            found = self._open(lab, name, place, ours=True) if os.path.lexists(place) else None
        finally:
            _delete(folder)
        if found is None:
            raise OSError(f"{place} cannot be replaced")
        return found


def _write(lab: Lab, name: str, folder: Path, kept: str) -> None:
    n = f"{N_DOCUMENTS:,}"
    print(f"Building the index of '{name}' over {n} documents of the bundled world; it is kept {kept}.", flush=True)  # noqa: T201 - it is what takes so long
    write_index(lab, name, folder, N_DOCUMENTS)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
