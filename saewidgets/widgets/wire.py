"""Activations as one compact buffer for the browser.

Layout, little endian: u32 magic, version, bytes of the header, number of values; the header (JSON, UTF-8, padded to 4
bytes); u32 row starts [pos + 1]; values [nnz]; per firing feature, ascending: reference maximum and density (0 and -1
where unknown); feature indices [nnz]. Numbers are float32 up to 16,384 values, above that float16 times ``scale``
(relative error below 5e-4); indices are u16 where d_sae allows, else u32. No NaN ever travels.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from saewidgets.errors import UnknownNameError
from saewidgets.results import Activations, Tokens

MAGIC = 0x57454153  # "SAEW"
VERSION = 1
EXACT = 16_384


def pack(
    result: Activations,
    *,
    prompt: str = "",
    density: np.ndarray | None = None,
    label: Callable[[int], str | None] | None = None,
) -> bytes:
    """One buffer with all that the browser needs to draw and recolour a prompt.

    Args:
        result: What fires where.
        prompt: The text as typed.
        density: Share of reference tokens on which each feature fires, [d_sae], where known.
        label: Gives the label of a feature, or None.

    Example:
        >>> import numpy as np
        >>> from saewidgets.results import Tokens
        >>> no = np.array([False])
        >>> tokens = Tokens(np.array([3]), (b"Hi",), no)
        >>> one = Activations(tokens, np.array([0, 1]), np.array([7]), np.array([2.0]), no, 8, "s", "m", "h")
        >>> pack(one)[:4]
        b'SAEW'
    """
    features = np.unique(result.indices)
    half = len(result.values) > EXACT
    reference = _per_feature(result.reference_max, features, 0.0)
    scale = _scale(result.values, reference) if half else 1.0
    number: Any = np.float16 if half else np.float32
    values = (result.values / scale).astype(number)
    # float16 would lose values below 2e-12 of the largest; a feature that fires stays visible.
    values[values == 0] = np.finfo(number).smallest_subnormal
    header = _header(result, prompt) | {"half": half, "scale": scale, "features": len(features)}
    header["labels"] = {} if label is None else {str(f): text for f in features.tolist() if (text := label(f))}
    parts = [buffer_head(MAGIC, VERSION, header, len(values)), result.indptr.astype("<u4").tobytes()]
    floats = (values, reference / scale, _per_feature(density, features, -1.0))
    parts += [np.asarray(array, number).astype(f"<{np.dtype(number).str[1:]}").tobytes() for array in floats]
    parts.append(result.indices.astype("<u2" if result.d_sae <= 65_536 else "<u4").tobytes())
    return b"".join(parts)


def buffer_head(magic: int, version: int, header: Mapping[str, Any], n: int, align: int = 4) -> bytes:
    """What a buffer begins with.

    Args:
        magic: Says what it holds.
        version: Of its layout.
        header: The part that is text.
        n: How many values follow.
        align: What the length of the text is a multiple of.
    """
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    text += b" " * (-len(text) % align)
    return struct.pack("<4I", magic, version, len(text), n) + text


def tokens_head(tokens: Tokens, masked: np.ndarray) -> dict[str, Any]:
    """The tokens of a prompt as a header has them.

    Args:
        tokens: The tokens.
        masked: Positions left out, bool [pos].
    """
    return {
        "tokens": list(tokens.strings),
        "ids": tokens.ids.tolist(),
        "special": np.flatnonzero(tokens.special).tolist(),
        "masked": np.flatnonzero(masked).tolist(),
        "groups": [group for group in tokens.groups if group[1] - group[0] > 1],
        "dropped": tokens.n_dropped,
    }


def _header(result: Activations, prompt: str) -> dict[str, Any]:
    """The part of the buffer that is text."""
    return {
        "prompt": prompt,
        "model": result.model,
        "sae": result.sae,
        "hook": result.hook,
        "d_sae": result.d_sae,
        **tokens_head(result.prompt_tokens, result.masked),
        "nonfinite": int(result.n_nonfinite),
    }


def _scale(values: np.ndarray, reference: np.ndarray) -> float:
    """What float16 numbers are multiplied with, so that the largest one is 32,768."""
    largest = max(float(np.abs(values).max(initial=0.0)), float(reference.max(initial=0.0)))
    return largest / 32_768 or 1.0


def _per_feature(table: np.ndarray | None, features: np.ndarray, unknown: float) -> np.ndarray:
    """One number a firing feature, float32; ``unknown`` where there is none."""
    if table is None:
        return np.full(len(features), unknown, np.float32)
    column = np.asarray(table, np.float32)[features]
    return np.where(np.isfinite(column), column, np.float32(unknown))


def halved(data: bytes) -> bytes:
    """The same buffer with float16 numbers, about half as large; relative error below 5e-4. For files.

    Args:
        data: What :func:`pack` has made; a buffer that has such numbers already stays.
    """
    magic, version, size, n = struct.unpack_from("<4I", data)
    header = json.loads(data[16 : 16 + size])
    if header["half"]:
        return data
    at = 16 + size + 4 * (len(header["tokens"]) + 1)
    counts = (n, header["features"], header["features"])
    values, reference, density = np.split(np.frombuffer(data, "<f4", sum(counts), at), np.cumsum(counts)[:2])
    scale = _scale(values, reference)
    half = np.concatenate([values / scale, reference / scale, density]).astype("<f2")
    half[:n][half[:n] == 0] = np.finfo(np.float16).smallest_subnormal
    begin = buffer_head(magic, version, header | {"half": True, "scale": scale}, n)
    return b"".join([begin, data[16 + size : at], half.tobytes(), data[at + 4 * sum(counts) :]])


def labels_in(lab: Any, sae: str) -> Any:
    """Labels of an SAE's features as :func:`labels_of` reads them; None where there are none.

    A lab says itself what its people call them, for an SAE may be in several labs; of another the SAE itself is asked.

    Args:
        lab: The lab.
        sae: Name of the SAE; one that has left the lab has no labels.
    """
    held, ask = lab.saes.get(sae), getattr(lab, "labels_of", None)
    if held is None or ask is None:
        return getattr(held, "labels", None)
    try:
        return ask(sae)
    except UnknownNameError:  # it has left just now
        return None


def labels_of(source: object) -> Callable[[int], str | None]:
    """Read labels, as they stand now, from a mapping or sequence by feature; anything else has none."""
    now = getattr(source, "now", None)
    source = now() if callable(now) else source

    def label(feature: int) -> str | None:
        if isinstance(source, Mapping):
            found = source.get(feature, source.get(str(feature)))
        elif isinstance(source, (list, tuple)) and feature < len(source):
            found = source[feature]
        else:
            found = None
        return str(found) if found else None

    return label
