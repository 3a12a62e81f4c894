"""An index on disk: a folder with a small manifest and columns in Arrow's open file format.

``manifest.json`` says what the index is of: model, SAE (hash of its tensors), corpus (hash of its texts), settings,
counts, versions, and the size and hash of each file. ``features.arrow`` has one row a feature, ``tokens.arrow`` the
token ids of every window that an example lies in, ``windows.arrow`` where each window begins there and in the corpus,
``cofiring.arrow`` the pairs of token and feature that co-firing is found by. There may be a ``weights.arrow`` with what
the weights say of each feature, and a ``concepts.arrow`` with the concepts that it tells best. Examples are positions
in ``tokens.arrow``. Files are mapped into memory and read where they are looked at, so that opening takes no longer for
a large index. Any reader of Arrow files can read them: pyarrow, pandas, polars, DuckDB, R, Julia.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from pyarrow import ipc

from saewidgets.errors import LoadError, MismatchError

FORMAT, VERSION = "saewidgets-index", 1
MANIFEST = "manifest.json"
FILES = ("features.arrow", "tokens.arrow", "windows.arrow", "cofiring.arrow")
WEIGHTS, CONCEPTS = "weights.arrow", "concepts.arrow"
OPTIONAL = (WEIGHTS, CONCEPTS)
ALL = (MANIFEST, *FILES, *OPTIONAL)
NO_CONCEPT = 2**32 - 1
_MAX_MANIFEST_BYTES = 1_000_000

Columns = dict[str, np.ndarray]


def write(folder: Path, tables: dict[str, Columns], manifest: dict[str, Any]) -> None:
    """Write an index; the manifest comes last, so that a folder with one holds a whole index.

    Args:
        folder: Where; it is made where it is missing.
        tables: The columns of each of ``FILES``, arrays [rows] or [rows, n].
        manifest: What to say about it; format, version and files are added.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (MANIFEST, *OPTIONAL):
        (folder / name).unlink(missing_ok=True)
    files = {name: _write_table(folder / name, tables[name]) for name in FILES}
    _write_manifest(folder, {"format": FORMAT, "version": VERSION, **manifest, "files": files})


def add_weights(folder: Path, manifest: dict[str, Any], columns: Columns, how: str | None) -> None:
    """Add what the weights say to an index.

    Args:
        folder: Of the index.
        manifest: Of the index.
        columns: One row a feature.
        how: What was done about the final norm; None where there are no logit effects.
    """
    files = manifest["files"] | {WEIGHTS: _write_table(folder / WEIGHTS, columns)}
    _write_manifest(folder, {**manifest, "weights": {"how": how}, "files": files})


def add_concepts(
    folder: Path, manifest: dict[str, Any], columns: Columns, names: list[str], minimum_spans: int
) -> None:
    """Add the concepts that features tell best to an index.

    Args:
        folder: Of the index.
        manifest: Of the index.
        columns: ``concept`` uint32, ``precision``, ``recall`` and ``threshold`` float32, each [d_sae, n]; best first,
            ``NO_CONCEPT`` where there are fewer.
        names: Of the concepts.
        minimum_spans: Spans that a concept has at least.
    """
    files = manifest["files"] | {CONCEPTS: _write_table(folder / CONCEPTS, columns)}
    entry = {"names": names, "minimum_spans": minimum_spans}
    _write_manifest(folder, {**manifest, "concepts": entry, "files": files})


def _write_manifest(folder: Path, full: dict[str, Any]) -> None:
    new = folder / f"{MANIFEST}.new"
    new.write_text(json.dumps(full, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")
    new.replace(folder / MANIFEST)


def _write_table(path: Path, columns: Columns) -> dict[str, Any]:
    arrays = {name: _to_arrow(np.ascontiguousarray(column)) for name, column in columns.items()}
    batch = pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))
    new = path.with_name(f"{path.name}.new")
    with pa.OSFile(str(new), "wb") as sink, ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    new.replace(path)
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def _to_arrow(column: np.ndarray) -> pa.Array:
    flat = pa.array(column.reshape(-1))
    return flat if column.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, column.shape[1])


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Stored(NamedTuple):
    """An index that was opened: its manifest, and the columns of its files, mapped from disk."""

    folder: Path
    manifest: dict[str, Any]
    tables: dict[str, Columns]


def read(folder: Path) -> Stored:
    """Open an index.

    Args:
        folder: Where it was written.

    Raises:
        LoadError: It is no index, one of a newer version, or one that is cut short or damaged.
    """
    manifest = read_manifest(folder)
    tables = {}
    for name in _files(manifest):
        size = manifest["files"][name]["bytes"]
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            found = f"{path.stat().st_size} bytes" if path.is_file() else "no file"
            raise _damaged(path, f"{found}, where {size} bytes were written")
        tables[name] = _read_table(path)
    _check(folder, manifest, tables)
    return Stored(folder, manifest, tables)


def _files(manifest: dict[str, Any]) -> list[str]:
    return [*FILES, *(name for name in OPTIONAL if name in manifest["files"])]


def read_manifest(folder: Path) -> dict[str, Any]:
    """What an index says about itself, its shape checked.

    Raises:
        LoadError: It is no index, or one of a newer version.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise LoadError(
            "There is no index here.", got=f"{folder} without {MANIFEST}", expected="a folder that build_index wrote",
            do="go on with lab.build_index(texts, path=...)" if (folder / "build").is_dir() else None,
        )  # fmt: skip
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise _damaged(path, f"{path.stat().st_size} bytes")
    try:
        manifest = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise _damaged(path, str(error)[:200] or type(error).__name__) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise LoadError(f"{path} does not describe an index of saewidgets.", expected=f'"format": "{FORMAT}"')
    if manifest.get("version") != VERSION:
        raise LoadError(
            f"The index in {folder} has another version of the format.", got=repr(manifest.get("version"))[:40],
            expected=VERSION, do="update saewidgets, or build the index again",
        )  # fmt: skip
    _check_shape(path, manifest, _SHAPE)
    if WEIGHTS in manifest["files"]:
        _check_shape(
            path, manifest, {"weights": {"how": str | None}, "files": {WEIGHTS: {"bytes": int, "sha256": str}}}
        )
    if CONCEPTS in manifest["files"]:
        files = {CONCEPTS: {"bytes": int, "sha256": str}}
        _check_shape(path, manifest, {"concepts": {"names": list, "minimum_spans": int}, "files": files})
        names = manifest["concepts"]["names"]
        _check_shape(path, dict(enumerate(names)), dict.fromkeys(range(len(names)), str), "concepts.names.")
    return manifest


_SHAPE: dict[str, Any] = {
    "model": {"name": str, "d_model": int, "d_vocab": int, "probe": list},
    "sae": {"name": str, "hook": str, "kind": str, "d_sae": int, "content_hash": str},
    "corpus": {
        "hash": str, "n_texts": int, "n_empty": int, "n_windows": int, "n_read": int, "n_tokens": int,
        "n_special": int, "n_sinks": int, "n_nonfinite": int,
    },
    "settings": {"context": int, "examples": int, "per_interval": int, "seed": int},
    "files": {name: {"bytes": int, "sha256": str} for name in FILES},
}  # fmt: skip


def _check_shape(path: Path, found: Any, shape: Any, where: str = "") -> None:
    if isinstance(shape, dict):
        for name, inner in shape.items():
            if not isinstance(found, dict) or name not in found:
                raise _damaged(path, f"no '{where}{name}'")
            _check_shape(path, found[name], inner, f"{where}{name}.")
    elif not isinstance(found, shape) or isinstance(found, bool) or (shape is int and found < 0):
        raise _damaged(path, f"'{where.rstrip('.')}' is {str(found)[:40]!r}")


def _read_table(path: Path) -> Columns:
    try:
        reader = ipc.open_file(pa.memory_map(str(path)))
        if reader.num_record_batches != 1:
            raise _damaged(path, f"{reader.num_record_batches} batches of rows")
        batch = reader.get_batch(0)
        return {name: _to_numpy(batch.column(n)) for n, name in enumerate(batch.schema.names)}
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, LoadError):
            raise
        raise _damaged(path, str(error)[:200]) from error


def _to_numpy(column: pa.Array) -> np.ndarray:
    if column.null_count:
        raise ValueError("empty places")
    if isinstance(column, pa.FixedSizeListArray):
        return column.flatten().to_numpy(zero_copy_only=True).reshape(len(column), column.type.list_size)
    return column.to_numpy(zero_copy_only=True)


def _check(folder: Path, manifest: dict[str, Any], tables: dict[str, Columns]) -> None:
    """The columns are those of the manifest's settings."""
    d_sae, settings = manifest["sae"]["d_sae"], manifest["settings"]
    expected = feature_columns(settings["examples"], settings["per_interval"])
    found = {name: (str(column.dtype), column.shape) for name, column in tables["features.arrow"].items()}
    wanted = {name: (kind, (d_sae, *shape)) for name, (kind, shape) in expected.items()}
    if found != wanted:
        raise _damaged(folder / "features.arrow", "other columns than were written")
    kinds = {
        "tokens.arrow": {"id": ("uint16", "uint32")},
        "windows.arrow": dict.fromkeys(("start", "text", "offset"), ("int64",)),
        "cofiring.arrow": {"token": ("uint32",), "feature": ("int32",)},
    }
    for name, columns in kinds.items():
        right = tables[name].keys() == columns.keys() and all(
            tables[name][column].ndim == 1 and str(tables[name][column].dtype) in kind
            for column, kind in columns.items()
        )
        if not right:
            raise _damaged(folder / name, "other columns than were written")
    if WEIGHTS in tables:
        found = {name: (str(column.dtype), len(column), column.ndim) for name, column in tables[WEIGHTS].items()}
        logits = manifest["weights"]["how"] is not None
        kinds = {"neighbour": "uint32", "cosine": "float32"}
        kinds |= {"token": "uint32", "effect": "float32", "logit_histogram": "uint32"} if logits else {}
        if found != {name: (kind, d_sae, 2) for name, kind in kinds.items()}:
            raise _damaged(folder / WEIGHTS, "other columns than were written")
    if CONCEPTS in tables:
        found = {name: (str(column.dtype), len(column), column.ndim) for name, column in tables[CONCEPTS].items()}
        kinds = {"concept": "uint32"} | dict.fromkeys(("precision", "recall", "threshold"), "float32")
        if found != {name: (kind, d_sae, 2) for name, kind in kinds.items()}:
            raise _damaged(folder / CONCEPTS, "other columns than were written")


def feature_columns(examples: int, per_interval: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of each column of ``features.arrow``."""
    from saewidgets.index.intervals import N_INTERVALS
    from saewidgets.index.scale import N_BINS
    from saewidgets.index.settings import SKETCH

    sampled = (N_INTERVALS * per_interval,)
    return {
        "count": ("int64", ()), "max": ("float32", ()), "sum": ("float64", ()), "sum_squares": ("float64", ()),
        "scale": ("int16", ()), "histogram": ("uint32", (N_BINS,)),
        "top_activation": ("float32", (examples,)), "top_position": ("uint32", (examples,)),
        "interval_count": ("float64", (N_INTERVALS,)), "interval_low": ("uint32", (N_INTERVALS,)),
        "interval_high": ("uint32", (N_INTERVALS,)), "interval_mass": ("float64", (N_INTERVALS,)),
        "sample_activation": ("float32", sampled), "sample_position": ("uint32", sampled),
        "sketch": ("uint32", (SKETCH,)),
    }  # fmt: skip


def verify(stored: Stored) -> None:
    """Read every byte of an index and compare it with what was written.

    Raises:
        LoadError: A file has changed.
    """
    for name in _files(stored.manifest):
        if _sha256(stored.folder / name) != stored.manifest["files"][name]["sha256"]:
            raise _damaged(stored.folder / name, "other bytes than were written")


def _damaged(path: Path, what: str) -> LoadError:
    return LoadError(f"{path} is damaged.", got=what, do="copy the index again, or build it again")


def check_model(manifest: dict[str, Any], name: str, d_vocab: int, probe: list[float]) -> None:
    """Pass if an index was built with this model.

    Raises:
        MismatchError: It was another; compares the width, the vocabulary and some of the embedding's numbers.
    """
    own = manifest["model"]
    same = own["d_vocab"] == d_vocab and len(own["probe"]) == len(probe)
    if not same or not np.allclose(own["probe"], probe, rtol=0.02, atol=1e-4):
        raise MismatchError(
            "The index was built with another model.", got=f"an index of '{own['name']}', d_vocab {own['d_vocab']}",
            expected=f"one of '{name}', d_vocab {d_vocab}", do="build an index with this model",
        )  # fmt: skip
