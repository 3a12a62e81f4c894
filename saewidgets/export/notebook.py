"""A notebook with its outputs as one HTML file that works from disk and fetches nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape, unescape
from importlib.util import find_spec
from pathlib import Path
from re import search, sub
from typing import Any

from saewidgets.errors import LoadError, MissingPackageError, StoreError
from saewidgets.export.outputs import outputs_html, text_of
from saewidgets.export.page import Places, page
from saewidgets.export.prose import code_html, markdown_html
from saewidgets.export.style import STYLE
from saewidgets.export.views import Views, recording
from saewidgets.views.files import named, write_bytes

BYTES_LIMIT = 2**28


@dataclass(frozen=True)
class Exported:
    """A notebook as a page: its text, how many of our views live in it, and how many are only their static twins."""

    html: str
    n_live: int
    n_static: int


def export_notebook(
    nb: str | os.PathLike[str] | Mapping[str, Any], path: str | os.PathLike[str], *, recorded: bool = True
) -> Path:
    """Write a notebook with its outputs as one HTML file that works without a kernel and without a network.

    Views of this package go on working for all that needs no kernel: where the notebook holds their state, or where
    this is called in the notebook's own kernel while they live. Elsewhere their static twins are shown. JupyterLab
    saves state only when it is told to (Settings, Save Widget State Automatically), so call this in the notebook
    itself, after saving it, or let ``saewidgets export --execute`` run the notebook and call it there.

    A steering panel of the notebook's own kernel is asked for a grid of strengths, so that its sliders go on moving;
    see :meth:`saewidgets.SteeringPanel.to_html`. Charts made with Altair are drawn where ``saewidgets[figures]`` is
    installed, else their titles are shown.

    Whoever wrote the notebook, nothing of it runs and nothing is fetched: HTML is cleaned, images become part of the
    file, and a policy in its head lists our own scripts by their hash. Formulas are shown as they are written.

    Args:
        nb: A notebook file, or a notebook as nbformat reads it.
        path: Where to write the page; an existing file is replaced.
        recorded: Whether steering panels record strengths: nine next tokens and a sweep for each edit.

    Returns:
        The path.

    Raises:
        LoadError: There is no notebook there.
        StoreError: The page cannot be written.
        MissingPackageError: nbconvert is not installed.

    Example:
        >>> import saewidgets as sw
        >>> sw.export_notebook("01_explore.ipynb", "01_explore.html")  # doctest: +SKIP
    """
    target = named(path)
    if not isinstance(nb, Mapping) and target.resolve() == named(nb, LoadError).resolve():
        raise StoreError("The page would replace the notebook.", got=target, do="name another file")
    token = recording.set(recorded)
    try:
        return write(exported(nb), target)
    finally:
        recording.reset(token)


def write(made: Exported, target: Path) -> Path:
    """Write a page; see :func:`export_notebook`."""
    return write_bytes(made.html.encode("utf-8", "replace"), target)


def exported(nb: str | os.PathLike[str] | Mapping[str, Any], file: Path | None = None) -> Exported:
    """A notebook as a page; see :func:`export_notebook`. A mapping may come from a file: its name, and its images."""
    missing = [name for name in ("nbconvert", "bleach", "tinycss2", "pygments") if find_spec(name) is None]
    if missing:
        do = 'pip install "saewidgets[export]"'
        raise MissingPackageError("Exporting a notebook needs nbconvert.", got=f"no {', '.join(missing)}", do=do)
    file = file if isinstance(nb, Mapping) else named(nb, LoadError)
    notebook = nb if isinstance(nb, Mapping) else _read(named(nb, LoadError))
    cells = _cells(notebook, file)
    places = Places()
    views = Views(notebook, places)
    folder = None if file is None else file.parent
    language = _language(notebook)
    shown = [_cell(cell, n, language, folder, views) for n, cell in enumerate(cells) if isinstance(cell, Mapping)]
    body = f"<main>{''.join(shown)}</main>\n{_footer(file)}"
    return Exported(page(body, places, _title(body, file), STYLE), views.n_live, views.n_static)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        if path.stat().st_size > BYTES_LIMIT:
            limit = f"{BYTES_LIMIT // 2**20} MiB at most"
            raise LoadError("The notebook is too large.", got=str(path), expected=limit)
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise LoadError("The notebook cannot be read.", got=f"{path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, LoadError):
            raise
        got = f"{path.name}: {'nested too deeply' if isinstance(error, RecursionError) else error}"[:200]
        raise LoadError("This is not a notebook.", got=got, expected="JSON") from error
    if not isinstance(found, dict):
        raise LoadError("This is not a notebook.", got=path.name, expected="a JSON object")
    return found


def _cells(notebook: Mapping[str, Any], file: Path | None) -> list[Any]:
    cells = notebook.get("cells")
    if not isinstance(cells, list) or not isinstance(notebook.get("nbformat"), int) or notebook["nbformat"] < 4:
        expected = "nbformat 4 or newer with 'cells'"
        do = "an older one: jupyter nbconvert --to notebook"
        raise LoadError("This is not a notebook.", got=_name(file), expected=expected, do=do)
    return cells


def _cell(cell: Mapping[str, Any], n: int, language: str, folder: Path | None, views: Views) -> str:
    source, kind = text_of(cell.get("source")), cell.get("cell_type")
    if kind == "markdown":
        attachments = cell.get("attachments")
        made = markdown_html(source, attachments if isinstance(attachments, Mapping) else {}, folder)
        return f'<div class="prose rich">{made}</div>\n'
    if kind != "code":
        return f'<pre tabindex="0">{escape(source, quote=False)}</pre>\n' if source.strip() else ""
    outputs = cell.get("outputs")
    made = outputs_html(outputs, views) if isinstance(outputs, list) else ""
    if not source.strip() and not made:
        return ""
    count = cell.get("execution_count")
    number = str(count) if isinstance(count, int) else " "
    where = f'tabindex="0" role="region" aria-label="code of cell {n + 1}"'
    code = f'<pre class="code" {where}>{code_html(source, language)}</pre>'
    if _hides(cell, "source_hidden"):
        code = f"<details><summary>code</summary>{code}</details>"
    if _hides(cell, "outputs_hidden"):
        made = f"<details><summary>output</summary>{made}</details>" if made else ""
    return f'<div class="cell"><div class="count">[{number}]</div>{code}{made}</div>\n'


def _hides(cell: Mapping[str, Any], what: str) -> bool:
    metadata = cell.get("metadata")
    jupyter = metadata.get("jupyter") if isinstance(metadata, Mapping) else None
    return isinstance(jupyter, Mapping) and jupyter.get(what) is True


def _language(notebook: Mapping[str, Any]) -> str:
    metadata = notebook.get("metadata")
    info = metadata.get("language_info") if isinstance(metadata, Mapping) else None
    name = info.get("name") if isinstance(info, Mapping) else None
    return name if isinstance(name, str) else "python"


def _name(file: Path | None) -> str:
    return "a notebook" if file is None else file.name


def _title(body: str, file: Path | None) -> str:
    """The first heading, else the name of the file."""
    heading = search(r"<h1[^>]*>(.{1,400}?)</h1>", body)
    text = unescape(sub(r"<[^>]*>", "", heading[1])).strip() if heading else ""
    return text or (file.stem if file else "notebook")


def _footer(file: Path | None) -> str:
    name = f"<code>{escape(file.name)}</code>" if file else "a notebook"
    return (
        f'<footer class="note">Made of {name} with saewidgets. Nothing here needs a kernel or a network; formulas are '
        "shown as they are written.</footer>"
    )
