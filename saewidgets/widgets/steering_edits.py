"""The edits that a steering panel holds: as a trait, under keys that last, changed by the browser, found by text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import traitlets

from saewidgets.errors import EditError, SaewidgetsError
from saewidgets.results import FeatureId, SteeringVector
from saewidgets.steering import Edit
from saewidgets.steering.edits import Operation, make_edit, named
from saewidgets.widgets.steering_wire import clean, finite, where_text
from saewidgets.widgets.traits import SAEName
from saewidgets.widgets.wire import labels_in, labels_of

MOST_EDITS = 64
FOUND = 30


class Edits(traitlets.TraitType[Any, Any]):
    """Edits in their order, each feature named in full."""

    def validate(self, obj: Any, value: Any) -> tuple[Edit, ...]:
        """Raise EditError, FeatureIndexError or UnknownNameError for what is no list of edits of this lab."""
        listed = [value] if isinstance(value, Edit) else value
        if isinstance(listed, str | bytes | Mapping) or not hasattr(listed, "__iter__"):
            raise EditError("These are no edits.", got=repr(value)[:80], expected="a list of edits")
        listed = list(listed)
        if len(listed) > MOST_EDITS:
            raise EditError("These are too many edits.", got=len(listed), expected=f"at most {MOST_EDITS}")
        return tuple(named(edit, obj._known_feature) for edit in listed)


class SAEOrNone(SAEName):
    """The name of an SAE that the lab holds, "" where it holds none."""

    def validate(self, obj: Any, value: Any) -> str:
        """Raise UnknownNameError for any other value."""
        return "" if value == "" and not obj.lab.saes else super().validate(obj, value)


def keyed(
    edits: Sequence[Edit], former: Sequence[tuple[str, Edit]], fresh: Iterator[str]
) -> tuple[tuple[str, Edit], ...]:
    """The edits under keys: one that was there keeps its key, one of the same target takes over its key.

    Args:
        edits: The edits.
        former: Those before, with their keys.
        fresh: Gives new keys.

    Example:
        >>> from saewidgets.steering import ablate, set
        >>> one, two, other = set("mid/1", 4), ablate("mid/2"), set("mid/2", 1)
        >>> [key for key, _ in keyed([other, one], [("a", one), ("b", two)], iter("xyz"))]
        ['b', 'a']
    """
    left = dict(former)
    keys: list[str | None] = [None] * len(edits)
    for same in (lambda one, other: one == other, lambda one, other: one.target == other.target):
        for n, edit in enumerate(edits):
            if keys[n] is None:
                keys[n] = next((key for key, held in left.items() if same(held, edit)), None)
                left.pop(keys[n] or "", None)
    return tuple((key or next(fresh), edit) for key, edit in zip(keys, edits, strict=True))


def changed(edit: Edit, message: Mapping[str, Any]) -> Edit:
    """The edit with what the browser changed.

    Raises:
        EditError: A value, operation or place that does not exist.
    """
    operation = message.get("operation", edit.operation)
    if operation not in get_args(Operation):
        raise EditError(
            "There is no such operation.", got=repr(operation)[:80], expected=", ".join(get_args(Operation))
        )
    where, keep_norm = message.get("where", edit.where), message.get("keep_norm", edit.keep_norm)
    if where == where_text(edit.where):
        where = edit.where
    if not isinstance(keep_norm, bool):
        raise EditError("This is neither yes nor no.", got=repr(keep_norm)[:80], expected="true or false")
    return make_edit(operation, edit.target, message.get("value", edit.value), None, where, keep_norm, edit.maximum)


def new_edit(target: Any, value: Any, operation: str | None) -> Edit:
    """An edit as the panel adds it: by default ``set`` to 4 m for a feature, ``add`` of 1 for a vector."""
    vector = isinstance(target, SteeringVector)
    operation = operation or ("add" if vector else "set")
    if operation not in get_args(Operation):
        got = repr(operation)[:80]
        raise EditError("There is no such operation.", got=got, expected=", ".join(get_args(Operation)))
    if value is None:
        value = 1 if vector else 2 if operation == "scale" else 4
    return make_edit(operation, target, value, None, "all", False, None)  # pyright: ignore[reportArgumentType]


def vectors_by_name(vectors: Any) -> dict[str, SteeringVector]:
    """Vectors as people give them, one, several or by name, under names that are told apart.

    Raises:
        EditError: Not vectors.
    """
    if vectors is None:
        return {}
    single = isinstance(vectors, SteeringVector)
    listed = [vectors] if single else vectors
    pairs = list(listed.items()) if isinstance(listed, Mapping) else [(None, each) for each in listed]
    found: dict[str, SteeringVector] = {}
    for given, vector in pairs:
        if not isinstance(vector, SteeringVector):
            raise EditError(
                "This is not a steering vector.", got=repr(vector)[:80], expected="what lab.steering_vector(...) gives",
                do="SteeringVector(direction, hook, method) makes one of a tensor",
            )  # fmt: skip
        name = own = clean(vector.name if given is None else str(given))
        n = 1
        while name in found:
            n += 1
            name = f"{own} {n}"
        found[name] = vector if vector.name == name else replace(vector, label=name)
    return found


def same_vector(one: SteeringVector, other: SteeringVector) -> bool:
    """Whether two vectors have the same place and numbers."""
    return one is other or (one.hook == other.hook and np.array_equal(one.direction, other.direction))


def find(text: str, sae: str, lab: Any, n: int = FOUND) -> list[list[Any]]:
    """Features by number or by a part of their label: name, label, density (None where unknown).

    Args:
        text: ``"7"``, ``"sae/7"`` or a part of a label, whatever its case.
        sae: The SAE that is searched where the text names none.
        lab: Where the SAEs and their labels are.
        n: At most how many.
    """
    saes: Mapping[str, Any] = lab.saes
    try:
        exact = FeatureId.parse(text.strip(), sae or None)
    except SaewidgetsError:
        exact = None
    found = [exact] if exact is not None and exact.sae in saes and exact.index < int(saes[exact.sae].d_sae) else []
    wanted, held = text.strip().lower(), saes.get(sae)
    if wanted and held is not None:
        found += [one for one in _labelled(wanted, sae, lab) if one not in found][: max(n - len(found), 0)]
    return [_row(feature, lab) for feature in found[:n]]


def _labelled(wanted: str, sae: str, lab: Any) -> list[FeatureId]:
    labels = labels_in(lab, sae)
    if isinstance(labels, Mapping):
        items: Any = labels.items()
    else:
        items = enumerate(labels) if isinstance(labels, list | tuple) else ()
    fits = [int(feature) for feature, label in items if label and wanted in str(label).lower()]
    return [FeatureId(sae, feature) for feature in sorted(fits) if feature < int(lab.saes[sae].d_sae)]


def _row(feature: FeatureId, lab: Any) -> list[Any]:
    density = getattr(lab.saes[feature.sae], "density", None)
    share = None if density is None else finite(float(density[feature.index]))
    return [str(feature), clean(labels_of(labels_in(lab, feature.sae))(feature.index) or ""), share]
