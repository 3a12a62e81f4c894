"""Edits as JSON, which can be kept and shared, and as code that makes them again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np

from saewidgets.errors import EditError
from saewidgets.results import SteeringVector
from saewidgets.steering.edits import Edit, Operation, make_edit
from saewidgets.steering.where import Where, WhileActive, while_active

VERSION = 1
WITH_VALUE = ("add", "set", "scale", "set_if_active")
KEPT = ("label", "model", "n_positive", "n_negative")


def edits_to_json(edits: Sequence[Edit], saes: Mapping[str, tuple[str, str]] | None = None) -> str:
    """A list of edits as JSON text; a vector travels with its numbers.

    Args:
        edits: The edits.
        saes: Hook point and content hash of the SAEs that they name, by that name, where they shall be kept too.

    Example:
        >>> from saewidgets.steering import ablate
        >>> edits_from_json(edits_to_json([ablate("mid/7")]))[0].formula
        'x - f d'
    """
    data: dict[str, Any] = {"version": VERSION, "edits": [_to_dict(edit) for edit in edits]}
    return json.dumps(data | ({"saes": saes} if saes else {}), indent=1)


def edits_from_json(text: str) -> list[Edit]:
    """Edits from JSON text; it is data, nothing in it is run.

    Raises:
        EditError: Not such a list.
    """
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise EditError("These edits are of another version.", got=data["version"], expected=VERSION)
        return [_from_dict(each) for each in data["edits"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        if isinstance(error, EditError):
            raise
        raise EditError("This is no list of edits.", got=f"{type(error).__name__}: {error}"[:200]) from error


def saes_from_json(text: str) -> dict[str, tuple[str, str]]:
    """Hook point and content hash of the SAEs that edits name, by that name; none where the text does not say.

    Raises:
        EditError: They are no such pairs.

    Example:
        >>> saes_from_json(edits_to_json([], {"mid": ("blocks.8.hook_resid_pre", "3f2a")}))
        {'mid': ('blocks.8.hook_resid_pre', '3f2a')}
    """
    saes = json.loads(text).get("saes", {})
    pairs = saes.values() if isinstance(saes, dict) else [saes]
    if not all(isinstance(pair, list) and [type(each) for each in pair] == [str, str] for pair in pairs):
        raise EditError("These edits do not say which SAEs they mean.", got=repr(saes)[:200])
    return {name: (hook, content_hash) for name, (hook, content_hash) in saes.items()}


def edits_to_code(edits: Sequence[Edit]) -> str:
    """Python that makes the edits again; vectors stand for variables ``vector_1``, ``vector_2``, ... that you have.

    Example:
        >>> from saewidgets import steering
        >>> print(edits_to_code([steering.set("mid/7", 4, where="prompt")]))
        edits = [
            sw.steering.set('mid/7', 4.0, where='prompt'),
        ]
    """
    vectors: list[SteeringVector] = []
    lines = []
    for edit in edits:
        if isinstance(edit.target, SteeringVector):
            vectors.append(edit.target)
            parts = [f"vector_{len(vectors)}"]
        else:
            parts = [repr(_plain(edit.target))]
        parts += [repr(edit.value)] if edit.operation in WITH_VALUE else []
        parts += [] if edit.where == "all" else [f"where={_where_code(edit.where)}"]
        parts += ["keep_norm=True"] if edit.keep_norm else []
        parts += [] if edit.maximum is None else [f"maximum={edit.maximum!r}"]
        lines.append(f"    sw.steering.{edit.operation}({', '.join(parts)}),")
    return "\n".join(["edits = [", *lines, "]"])


def _where_code(where: Where) -> str:
    if isinstance(where, WhileActive):
        return f"sw.steering.while_active({str(where.feature)!r}, {where.threshold!r})"
    return repr(where if isinstance(where, str) else list(where))


def _plain(target: Any) -> Any:
    return target if isinstance(target, int) else str(target)


def _to_dict(edit: Edit) -> dict[str, Any]:
    target: Any = _plain(edit.target)
    if isinstance(edit.target, SteeringVector):
        vector = edit.target
        target = {"direction": vector.direction.tolist(), "hook": vector.hook, "method": vector.method}
        target |= {name: getattr(vector, name) for name in KEPT}
    where: Any = edit.where
    if isinstance(where, WhileActive):
        where = {"while_active": str(where.feature), "threshold": where.threshold}
    return {
        "operation": edit.operation, "target": target, "value": edit.value, "where": where,
        "keep_norm": edit.keep_norm, "maximum": edit.maximum, "formula": edit.formula,
    }  # fmt: skip


def _from_dict(each: dict[str, Any]) -> Edit:
    known = get_args(Operation)
    if each["operation"] not in known:
        got = repr(each["operation"])[:80]
        raise EditError("There is no such operation.", got=got, expected=", ".join(known))
    target, where = each["target"], each.get("where", "all")
    if isinstance(target, dict):
        direction = np.asarray(target["direction"], np.float64)
        kept = {name: target[name] for name in KEPT if name in target}
        target = SteeringVector(direction, str(target["hook"]), str(target["method"]), **kept)
    if isinstance(where, dict):
        where = while_active(str(where["while_active"]), float(where["threshold"]))
    keep_norm, maximum = each.get("keep_norm", False), each.get("maximum")
    return make_edit(each["operation"], target, each["value"], None, where, keep_norm, maximum)
