"""Edits of an activation, each made by a function named after its formula."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from saewidgets.errors import EditError
from saewidgets.results import FeatureId, SteeringVector
from saewidgets.results.steering_vector import Number
from saewidgets.steering.where import Where, WhileActive, make_where

Operation = Literal["add", "set", "scale", "ablate", "set_if_active", "project_out"]

FORMULAS: dict[Operation, str] = {
    "add": "x + {value} m d",
    "set": "x + ({value} m - f) d",
    "scale": "x + ({value} - 1) f d",
    "ablate": "x - f d",
    "set_if_active": "x + ({value} m - f) d where f > 0, else x",
    "project_out": "x - (x . u) u",
}


@dataclass(frozen=True)
class Edit:
    """One change of an activation; made by the functions of this module.

    For a direction (a :class:`~saewidgets.SteeringVector`, or a tensor) d is the vector itself and m is 1 in ``add``;
    in the other operations d is the unit vector u, f is x . u, and m is the vector's length.

    Args:
        operation: Which formula.
        target: A feature or a vector.
        value: alpha, v or gamma; without meaning where the formula has none.
        where: Which positions.
        keep_norm: Whether each changed activation is brought back to its length.
        maximum: The feature's reference maximum m, where the user gives it.
    """

    operation: Operation
    target: FeatureId | str | int | SteeringVector
    value: float = 0.0
    where: Where = "all"
    keep_norm: bool = False
    maximum: float | None = None

    @property
    def formula(self) -> str:
        """The formula with its number, such as ``x + (4 m - f) d``."""
        kept = ", brought back to its length" if self.keep_norm else ""
        return FORMULAS[self.operation].format(value=f"{self.value:g}") + kept

    @property
    def name(self) -> str:
        """What is edited, for people."""
        return self.target.name if isinstance(self.target, SteeringVector) else str(self.target)


def add(
    target: Any, alpha: Number, *, hook: str | None = None, where: Any = "all", keep_norm: bool = False,
    maximum: Number | None = None,
) -> Edit:  # fmt: skip
    """X + alpha m d: add a feature's direction, or a vector, whatever the activation is.

    Args:
        target: A feature, a :class:`~saewidgets.SteeringVector`, or a tensor [d] with ``hook``.
        alpha: Strength in multiples of the feature's reference maximum, or of the vector.
        hook: Hook point of a tensor.
        where: "all", "prompt", "generated", positions, a mask, or ``while_active(feature)``.
        keep_norm: Whether each changed activation is brought back to its length.
        maximum: The feature's reference maximum, where the SAE does not know it.

    Raises:
        EditError: A number that is not finite, or a target that cannot be edited.

    Example:
        >>> add("mid/7", 2.0).formula
        'x + 2 m d'
    """
    return make_edit("add", target, alpha, hook, where, keep_norm, maximum)


def set(  # noqa: A001 - the field's word for it
    target: Any, value: Number, *, hook: str | None = None, where: Any = "all", keep_norm: bool = False,
    maximum: Number | None = None,
) -> Edit:  # fmt: skip
    """X + (v m - f) d: the feature as if its activation were v times its reference maximum; arguments as :func:`add`.

    Example:
        >>> set("mid/7", 4).formula
        'x + (4 m - f) d'
    """
    return make_edit("set", target, value, hook, where, keep_norm, maximum)


def scale(target: Any, gamma: Number, *, hook: str | None = None, where: Any = "all", keep_norm: bool = False) -> Edit:
    """X + (gamma - 1) f d: the feature's activation times gamma; arguments as :func:`add`.

    Example:
        >>> scale("mid/7", 0.5).formula
        'x + (0.5 - 1) f d'
    """
    return make_edit("scale", target, gamma, hook, where, keep_norm, None)


def ablate(target: Any, *, hook: str | None = None, where: Any = "all", keep_norm: bool = False) -> Edit:
    """X - f d: take the feature out; for a vector the same as :func:`project_out`.

    Example:
        >>> ablate("mid/7", where="prompt").formula
        'x - f d'
    """
    return make_edit("ablate", target, 0.0, hook, where, keep_norm, None)


def set_if_active(
    target: Any, value: Number, *, hook: str | None = None, where: Any = "all", keep_norm: bool = False,
    maximum: Number | None = None,
) -> Edit:  # fmt: skip
    """As :func:`set` where the feature fires, and nothing elsewhere: a silent feature leaves x bit for bit.

    Example:
        >>> set_if_active("mid/7", 0).formula
        'x + (0 m - f) d where f > 0, else x'
    """
    return make_edit("set_if_active", target, value, hook, where, keep_norm, maximum)


def project_out(target: Any, *, hook: str | None = None, where: Any = "all", keep_norm: bool = False) -> Edit:
    """X - (x . u) u: take out all of x that lies along the direction, whether or not the feature fires.

    Example:
        >>> project_out("mid/7").formula
        'x - (x . u) u'
    """
    return make_edit("project_out", target, 0.0, hook, where, keep_norm, None)


def make_edit(
    operation: Operation, target: Any, value: Any, hook: str | None, where: Any, keep_norm: Any, maximum: Any
) -> Edit:
    """An edit, checked; what the functions of this module share."""
    numbers = {"value": value} | ({} if maximum is None else {"maximum": maximum})
    for name, number in numbers.items():
        if not _is_finite(number):
            raise EditError(f"This is no number for '{name}'.", got=repr(number)[:80], expected="a finite number")
    if maximum is not None and float(maximum) <= 0:
        raise EditError("A reference maximum is above 0.", got=maximum, expected="the feature's largest activation")
    known = None if maximum is None else float(maximum)
    if not isinstance(keep_norm, bool | np.bool_):
        raise EditError("This is neither yes nor no.", got=repr(keep_norm)[:80], expected="keep_norm=True or False")
    return Edit(operation, _target(target, hook), float(value), make_where(where), bool(keep_norm), known)


def _is_finite(number: Any) -> bool:
    if isinstance(number, bool) or not hasattr(number, "__float__"):
        return False
    try:
        return math.isfinite(number)
    except (TypeError, ValueError, OverflowError):
        return False


def _target(target: Any, hook: str | None) -> FeatureId | str | int | SteeringVector:
    """A feature or a vector; a bare tensor becomes a vector at its hook point."""
    if isinstance(target, SteeringVector | FeatureId):
        return target
    if isinstance(target, str | int | np.integer) and not isinstance(target, bool):
        return target if isinstance(target, str) else int(target)
    tensor: Any = target
    try:
        array = tensor.detach().cpu().double().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)
    except ValueError:
        array = np.empty(0)  # ragged
    if array.dtype.kind not in "fiu" or array.size == 0:
        raise EditError(
            "This cannot be edited.",
            got=repr(target)[:80],
            expected="a feature, a SteeringVector, or a tensor and hook=",
        )
    if hook is None:
        raise EditError("A tensor is edited at a hook point.", got="no hook", expected="hook='blocks.2.hook_resid_pre'")
    return SteeringVector(array.astype(np.float64).reshape(-1), hook, method="given")


def as_edits(edits: Any) -> list[Edit]:
    """Edits as people give them, one or several, as a list.

    Raises:
        EditError: Neither an edit nor several.
    """
    if isinstance(edits, Edit):
        return [edits]
    several = hasattr(edits, "__iter__") and not isinstance(edits, str | bytes | Mapping)
    listed: list[Any] = list(edits) if several else [edits]
    return [_as_edit(each) for each in listed]


def _as_edit(edit: Any) -> Edit:
    if not isinstance(edit, Edit):
        raise EditError(
            "This is not an edit.", got=repr(edit)[:80],
            expected="what sw.steering.set, add, scale, ablate, set_if_active or project_out give",
        )  # fmt: skip
    return edit


def named(edit: Any, known: Callable[[Any], FeatureId]) -> Edit:
    """The edit with its features checked and named in full.

    Args:
        edit: The edit.
        known: Gives a feature in full, or raises.

    Raises:
        EditError: It is no edit.
    """
    where = _as_edit(edit).where
    if isinstance(where, WhileActive):
        where = WhileActive(known(where.feature), where.threshold)
    target = edit.target if isinstance(edit.target, SteeringVector) else known(edit.target)
    return replace(edit, target=target, where=where)


def as_strengths(values: Any) -> list[float]:
    """Several strengths as a list.

    Raises:
        EditError: None, or no finite numbers.
    """
    given = list(values) if hasattr(values, "__iter__") and not isinstance(values, str) else []
    listed = [float(value) for value in given if hasattr(value, "__float__")]
    if not listed or len(listed) < len(given) or not np.isfinite(listed).all():
        raise EditError("These are no strengths.", got=repr(given or values)[:80], expected="finite numbers")
    return listed
