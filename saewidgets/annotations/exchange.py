"""Annotations from and to single files: CSV, JSON, Neuronpedia's explanations, dashboards of other tools."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from saewidgets.annotations.dividing import Operation
from saewidgets.annotations.neuronpedia import from_neuronpedia, is_neuronpedia
from saewidgets.annotations.sae_dashboard import Decode, find_dashboards, from_dashboards
from saewidgets.annotations.tables import from_csv, from_json, to_csv, to_json
from saewidgets.errors import AnnotationError, StoreError
from saewidgets.results.annotation import Annotation, Target
from saewidgets.views.files import named

BYTES_LIMIT = 256 * 2**20


def operations_of(
    path: str | os.PathLike[str], base: Target | None = None, source: str | None = None, d_sae: int | None = None, *,
    decode: Decode | None = None, bos: bool = True,
) -> list[Operation]:  # fmt: skip
    """What a file says, as operations for :meth:`AnnotationStore.write`; if not ``.csv``, its content tells what it is.

    Args:
        path: A ``.csv`` of ours or with the columns ``feature`` and ``label``; a ``.json`` of ours; explanations of
            Neuronpedia as ``.json`` or ``.jsonl``; or the ``batch-0.json`` of SAEDashboard, or what
            ``SaeVisData.save_json`` wrote, whose strongest examples are pinned
            (:mod:`saewidgets.annotations.sae_dashboard`). Each may be gzipped. 256 MiB at most.
        base: The SAE that rows belong to which name none: a target with its model, hook and content hash.
        source: Of Neuronpedia: the ``layer`` that is wanted.
        d_sae: Number of features of the SAE, where known.
        decode: Of ``SaeVisData.save_json``: from token ids to their text.
        bos: Of dashboards: whether the model puts BOS in front, which the positions of examples count.

    Raises:
        AnnotationError: The file cannot be read, or is something else.
    """
    path = named(path, AnnotationError)
    text = _text(path)
    if path.name.lower().removesuffix(".gz").endswith(".csv"):
        return from_csv(text, base, d_sae)
    if (found := find_dashboards(text)) is not None:
        if base is None:
            raise _which_sae(found.tool, path)
        return from_dashboards(text, base, d_sae, decode, bos)
    data = _json(text, path)
    if isinstance(data, dict) and "format" in data:
        return from_json(text, base, d_sae)
    if not is_neuronpedia(data):
        expected = "a CSV or JSON of annotations, Neuronpedia's explanations, or dashboards of SAEDashboard or sae_vis"
        raise AnnotationError("This file has no annotations.", got=path.name, expected=expected)
    if base is None:
        raise _which_sae("Neuronpedia", path)
    return from_neuronpedia(data, base, source, d_sae)


def _which_sae(who: str, path: Path) -> AnnotationError:
    do = "import it with lab.import_annotations(path, sae=...)"
    return AnnotationError(f"{who} does not say which of your SAEs it means.", got=path.name, do=do)


def _text(path: Path) -> str:
    try:
        if path.suffix.lower() == ".gz":
            with gzip.open(path) as file:
                data = file.read(BYTES_LIMIT + 1)
        else:
            with path.open("rb") as file:
                data = file.read(BYTES_LIMIT + 1)
        if len(data) > BYTES_LIMIT:
            raise AnnotationError(
                "The file is too large.", got=path.name, expected=f"{BYTES_LIMIT // 2**20} MiB at most"
            )
        return data.decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise AnnotationError("The file cannot be read.", got=f"{path}: {error}"[:300]) from error


def _json(text: str, path: Path) -> object:
    """One JSON text, or one a line."""
    try:
        try:
            return json.loads(text)
        except ValueError as error:
            return _lines(text, error)
    except (ValueError, RecursionError) as error:
        got = f"{path.name}: {'nested too deeply' if isinstance(error, RecursionError) else error}"[:200]
        raise AnnotationError("The file is not JSON.", got=got) from error


def _lines(text: str, whole: ValueError) -> list[object]:
    """One JSON text a line; where not even the first line is one, what is wrong with the text as a whole."""
    found: list[object] = []
    for n, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except ValueError as error:
            if not found:
                raise whole from None
            raise ValueError(f"line {n}: {getattr(error, 'msg', error)}") from None
    if len(found) < 2:
        raise whole
    return found


def write_annotations(
    annotations: Sequence[Annotation], path: str | os.PathLike[str], suffix: str | None = None
) -> None:
    """Write annotations to one file, ".csv" or ".json", by its ending unless told; it is whole or as it was.

    Raises:
        AnnotationError: Another ending.
        StoreError: It cannot be written.
    """
    path = named(path)
    makers = {".csv": to_csv, ".json": to_json}
    suffix = path.suffix.lower() if suffix is None else suffix
    if suffix not in makers:
        raise AnnotationError("Annotations are written as CSV or JSON.", got=path.name, expected="a .csv or .json file")
    write_file(path, makers[suffix](annotations).encode())


def write_file(path: Path, data: bytes) -> None:
    """Put a file in the place of another in one step; a link stays one, and permissions stay as they are.

    Raises:
        StoreError: It cannot be written; the file is as it was.
    """
    path = path.resolve()
    temporary = None
    try:
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o666 & ~_umask()
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException as error:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()
        if isinstance(error, OSError):
            got = f"{path}: {error.strerror or error}"
            raise StoreError("The file was not written.", got=got, do="it is as it was before") from error
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
