"""``saewidgets lab``: JupyterLab on a working copy of the bundled notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import saewidgets
from saewidgets.errors import LoadError, MissingPackageError, StoreError

PACKAGE = Path(saewidgets.__file__).parent


def open_lab(folder: str, arguments: Sequence[str]) -> int:
    """Copy the notebooks and open JupyterLab on them; its exit status."""
    if find_spec("jupyterlab") is None:
        do = 'pip install "saewidgets[lab]"'
        raise MissingPackageError("JupyterLab is not installed.", got="no jupyterlab", do=do)
    target = Path(folder).expanduser()
    names = copy_notebooks(target)
    as_root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [sys.executable, "-m", "jupyterlab", *as_root, *arguments, names[0]]
    try:
        return subprocess.call(command, cwd=target)  # noqa: S603 - what the user has typed
    except KeyboardInterrupt:  # JupyterLab has heard it too, and ends
        return 0


def copy_notebooks(folder: Path) -> list[str]:
    """Copy the bundled notebooks; one that is there already stays as it is.

    Returns:
        Their names, sorted.

    Raises:
        StoreError: The folder cannot be written.
        LoadError: There are no notebooks in this installation.
    """
    bundled = sorted(_bundled().glob("*.ipynb"))
    if not bundled:
        raise LoadError("This installation holds no notebooks.", got=str(PACKAGE), do="install saewidgets again")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for source in bundled:
            data, target = source.read_bytes(), folder / source.name
            try:
                with target.open("xb") as file:
                    file.write(data)
            except FileExistsError:
                if target.read_bytes() != data:
                    print(f"{target} is yours and stays; delete it to get the bundled one again")
    except OSError as error:
        got = f"{error.filename or folder}: {error.strerror or error}"
        raise StoreError(
            "The notebooks could not be copied.", got=got, do="name another folder with --folder"
        ) from error
    print(f"{len(bundled)} notebooks in {folder}")
    return [source.name for source in bundled]


def _bundled() -> Path:
    """The notebooks: inside the package where it is installed, beside it in a checkout."""
    inside = PACKAGE / "notebooks"
    return inside if inside.is_dir() else PACKAGE.parent / "notebooks"
