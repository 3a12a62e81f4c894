"""Neuronpedia's explanations of features, as JSON: its exports, its features, and lines of them."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from saewidgets.annotations.dividing import Operation, divided
from saewidgets.errors import AnnotationError
from saewidgets.results.annotation import TEXT_LIMIT, Annotation, Target

NAME = "Neuronpedia"


class _Found(NamedTuple):
    """An explanation; one without a text says nothing."""

    origin: str
    feature: int
    text: str
    source: str


def is_neuronpedia(data: object) -> bool:
    """Whether JSON looks like explanations or features of Neuronpedia."""
    first = data[0] if isinstance(data, list) and data else data
    return isinstance(first, dict) and ("explanations" in first or {"index", "description"} <= first.keys())


def from_neuronpedia(
    data: object, base: Target, source: str | None = None, d_sae: int | None = None
) -> list[Operation]:
    """The operations that take in explanations; they stand beside people's labels and never replace them.

    All explanations of a feature are kept: further ones of the same model and type as "..., gpt-4o (2)", "... (3)".

    Args:
        data: A list of explanations (``index``, ``description``; ``modelId``, ``layer``, ``explanationModelName`` and
            ``typeName`` where there), a feature with its ``explanations``, or a list of features.
        base: The SAE that they are about: its model, hook and content hash.
        source: Take only those whose ``layer`` is this, such as "6-res-jb"; needed where the file has several.
        d_sae: Number of features of the SAE; an index beyond it means that the file is about another.

    Raises:
        AnnotationError: Not such data, explanations of several SAEs, or of another one.

    Warns:
        UserWarning: Explanations without a text, which are left out; it says how many.

    Example:
        >>> base = Target("feature", "gpt2", "blocks.6.hook_resid_pre", "3f2a", 0)
        >>> one = {"modelId": "gpt2-small", "layer": "6-res-jb", "index": "7", "description": "cities"}
        >>> target, operation = from_neuronpedia([one], base)[0]
        >>> target.feature, operation
        (7, {'explain': {'Neuronpedia': 'cities'}})
    """
    found = [one for one in _explanations(data) if source is None or one.origin.rpartition("/")[2] == source]
    origins = sorted({one.origin for one in found})
    if len(origins) > 1:
        layers = ", ".join(origins)[:300]
        raise AnnotationError("These are explanations of several SAEs.", got=layers, do="name one: source='6-res-jb'")
    n_empty = sum(not one.text for one in found)
    found = [one for one in found if one.text]
    if not found:
        got = f"{n_empty} without a text" if n_empty else f"source {source!r}" if source else None
        raise AnnotationError("There are no explanations in it.", got=got)
    largest = max(one.feature for one in found)
    if d_sae is not None and largest >= d_sae:
        raise AnnotationError("These are explanations of another SAE.", got=f"feature {largest}", expected=f"< {d_sae}")
    if n_empty:
        warnings.warn(f"{n_empty} explanations without a text were left out", stacklevel=2)
    by_feature: dict[int, dict[tuple[str, str], None]] = {}
    for one in found:
        by_feature.setdefault(one.feature, {})[one.source, one.text] = None
    return [
        part
        for index, known in sorted(by_feature.items())
        for part in divided(Target("feature", base.model, base.hook, base.sae, index), {"explain": _numbered(known)})
    ]


def _numbered(known: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Texts by source; the second of one source gets "(2)"."""
    texts: dict[str, str] = {}
    count: Counter[str] = Counter()
    for source, text in known:
        name = source
        while name in texts:
            count[source] += 1
            name = f"{source} ({count[source] + 1})"
        texts[name] = text
    return texts


def _explanations(data: object, outer: Mapping[str, Any] | None = None) -> Iterator[_Found]:
    for n, each in enumerate(data if isinstance(data, list) else [data]):
        if not isinstance(each, dict):
            raise AnnotationError("This is no explanation.", got=f"entry {n + 1}: {type(each).__name__}")
        if isinstance(each.get("explanations"), list) and outer is None:
            yield from _explanations(each["explanations"], each)
        elif outer is not None or "description" in each:
            yield _found(n, {**(outer or {}), **each})


def _found(n: int, each: Mapping[str, Any]) -> _Found:
    index, text = each.get("index"), each.get("description")
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) < 16:
        index = int(index)
    text = "" if text is None else text
    if isinstance(index, bool) or not isinstance(index, int) or index < 0 or not isinstance(text, str):
        got = f"entry {n + 1}: index {index!r}, description {type(text).__name__}"[:120]
        raise AnnotationError("This is no explanation.", got=got, expected="an index and a description")
    if len(text) > TEXT_LIMIT:
        got = f"entry {n + 1}: {len(text):,} characters"
        raise AnnotationError("An explanation is too long.", got=got, expected=f"{TEXT_LIMIT:,} at most")
    by = [name for part in ("explanationModelName", "typeName") if (name := _name(str(each.get(part) or "")))]
    origin = "/".join(str(each.get(name) or "") for name in ("modelId", "layer"))
    return _Found(origin, index, text.strip(), ", ".join([NAME, *by]))


def _name(text: str) -> str:
    return "".join(" " if c in ";=\n\r" else c for c in text).strip()[:200].strip()


def to_neuronpedia(annotations: Sequence[Annotation], model_id: str, source: str) -> str:
    """People's labels of features as Neuronpedia's explanations; what came from files is left out.

    Args:
        annotations: Annotations of one SAE; those of other things than features are left out.
        model_id: Neuronpedia's name of the model, such as "gpt2-small".
        source: Its name of the SAE, such as "6-res-jb".

    Raises:
        AnnotationError: Labels of several SAEs.
    """
    labelled = [each for each in annotations if each.target.kind == "feature" and each.label]
    if len({(each.target.hook, each.target.sae) for each in labelled}) > 1:
        raise AnnotationError("These are labels of several SAEs.", do="export those of one: lab.export_annotations")
    data = [
        {"modelId": model_id, "layer": source, "index": str(each.target.feature), "description": each.label}
        for each in labelled
    ]
    return json.dumps(data, indent=1) + "\n"
