"""``saewidgets doctor nb.ipynb``: whether Jupyter trusts a notebook here, and what readers see. Nothing is changed."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from saewidgets.cli.clean import cleaned, read_notebook
from saewidgets.cli.finding import Finding, failed
from saewidgets.errors import LoadError

VIEW = "application/vnd.jupyter.widget-view+json"


def notebook_findings(paths: Sequence[str]) -> Iterator[Finding]:
    """What there is to say of each notebook."""
    for path in paths:
        yield from _notebook(Path(path).expanduser())


def _notebook(path: Path) -> Iterator[Finding]:
    try:
        data = read_notebook(path)
        state = len(data) - len(cleaned(data, path.name))
    except LoadError as error:
        yield failed("notebook", error)
        return
    if find_spec("nbformat") is None:
        yield Finding("missing", "notebook", "trust is not known: nbformat is not installed; pip install nbformat")
        return
    try:
        found = _parsed(data)
    except Exception as error:  # noqa: BLE001 - nbformat's own, of any type
        why = str(error).strip().split("\n")[0]
        yield Finding("FAILS", "notebook", f"{path}: not a valid notebook: {type(error).__name__}: {why}"[:300])
        return
    yield Finding("ok", "notebook", f"{path}: {len(found.cells)} cells")
    outputs = [list(cell.get("outputs", ())) for cell in found.cells if cell.cell_type == "code"]
    yield _trust(found, any(output for each in outputs for output in each))
    yield from _outputs(outputs)
    yield from _state(found, state)


def _parsed(data: bytes) -> Any:
    import nbformat

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ids that are missing, which nbformat puts in
        found = nbformat.reads(data.decode("utf-8-sig"), as_version=4)
        nbformat.validate(found)
        return found


# ---- trust -----------------------------------------------------------------------------------------------------------


def _trust(notebook: Any, has_outputs: bool) -> Finding:
    if not has_outputs:
        return Finding("ok", "trust", "not needed: there are no outputs")
    if is_trusted(notebook):
        detail = "trusted by this user on this computer: JupyterLab shows every output as it was saved"
        return Finding("ok", "trust", f"{detail}. Nobody else's computer trusts it by that")
    detail = (
        "not trusted here, as at any reader's: JupyterLab shows the static twins, cleaned, and no live view, until the "
        "reader runs the cells or chooses Trust Notebook"
    )
    return Finding("note", "trust", detail)


def is_trusted(notebook: Any) -> bool:
    """Whether the signature is among those that Jupyter keeps for this user; its files are read and not made."""
    from jupyter_core.paths import jupyter_data_dir
    from nbformat.sign import MemorySignatureStore, NotebookNotary

    folder = Path(jupyter_data_dir())
    if not all((folder / name).is_file() for name in ("nbsignatures.db", "notebook_secret")):
        return False
    notary = NotebookNotary(data_dir=str(folder), store_factory=MemorySignatureStore)  # its own store would write
    signature = notary.compute_signature(notebook)
    query = "SELECT 1 FROM nbsignatures WHERE algorithm = ? AND signature = ?"
    try:
        place = (folder / "nbsignatures.db").as_uri() + "?mode=ro"
        with closing(sqlite3.connect(place, uri=True, timeout=2)) as database:
            return database.execute(query, (notary.algorithm, signature)).fetchone() is not None
    except sqlite3.Error:
        return False


# ---- what a reader sees ----------------------------------------------------------------------------------------------


def _outputs(cells: Sequence[Sequence[Any]]) -> Iterator[Finding]:
    """How many live views have a static picture in the same cell."""
    if not any(cells):
        yield Finding("note", "outputs", "none: a reader sees code only; run the notebook and save it")
        return
    live, bare = 0, 0
    for outputs in cells:
        kinds = [set(output.get("data", {})) for output in outputs]
        views = sum(VIEW in each for each in kinds)
        pictures = sum(bool(each & {"text/html", "image/png", "image/svg+xml"}) for each in kinds)
        live, bare = live + views, bare + max(0, views - pictures)
    errors = sum(output.get("output_type") == "error" for outputs in cells for output in outputs)
    if live:
        words = f"{live} live views, {live - bare} with a static twin that shows on GitHub and without a kernel"
        yield Finding("note" if bare else "ok", "live views", words + (f"; {bare} show one line of text" * bool(bare)))
    if errors:
        yield Finding("note", "outputs", f"{errors} cells ended with an error")


def _state(notebook: Any, state: int) -> Iterator[Finding]:
    """Widget state that was saved with it."""
    held = notebook.metadata.get("widgets")
    if held is None:
        return
    kinds = list(held.values()) if isinstance(held, dict) else [held]
    if any(not isinstance(each, dict) or "state" not in each for each in kinds):
        detail = "GitHub refuses it (Invalid Notebook): its saved widget state has no key 'state'; saewidgets clean"
        yield Finding("FAILS", "widget state", detail)
    else:
        detail = f"{state:,} bytes: GitHub then shows no static twins, and the state may hold scripts; saewidgets clean"
        yield Finding("note", "widget state", detail)
