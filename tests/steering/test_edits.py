"""What an edit says of itself, and what cannot be made into one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import FeatureId
from saewidgets import steering as st
from saewidgets.errors import EditError
from saewidgets.results import SteeringVector
from saewidgets.steering.where import WhileActive

HOOK = "blocks.0.hook_resid_post"
FORMULAS = [
    (st.add("mid/7", 2.5), "x + 2.5 m d"),
    (st.add("mid/7", -2.0), "x + -2 m d"),
    (st.set("mid/7", 4), "x + (4 m - f) d"),
    (st.scale("mid/7", 0.5), "x + (0.5 - 1) f d"),
    (st.ablate("mid/7"), "x - f d"),
    (st.set_if_active("mid/7", 0), "x + (0 m - f) d where f > 0, else x"),
    (st.project_out("mid/7"), "x - (x . u) u"),
    (st.project_out("mid/7", keep_norm=True), "x - (x . u) u, brought back to its length"),
]


@pytest.mark.parametrize(("edit", "formula"), FORMULAS, ids=lambda value: str(value)[:20])
def test_formulas_are_named(edit, formula):
    assert edit.formula == formula
    assert edit.name == "mid/7"


def test_every_operation_of_the_package_keeps_what_it_was_given():
    options: dict[str, Any] = {"where": [2, 3], "keep_norm": True}
    for operation in ("add", "set", "set_if_active"):
        edit = getattr(st, operation)(FeatureId("mid", 7), np.float64(1.5), maximum=4, **options)
        assert edit == st.Edit(operation, FeatureId("mid", 7), 1.5, (2, 3), True, 4.0)
        assert [type(edit.value), type(edit.maximum)] == [float, float]
    assert st.scale(7, 2, **options) == st.Edit("scale", 7, 2.0, (2, 3), True)
    for operation in ("ablate", "project_out"):
        assert getattr(st, operation)(np.int64(7), **options) == st.Edit(operation, 7, 0.0, (2, 3), True)
    plain = st.set("7", 1)
    assert (plain.where, plain.keep_norm, plain.maximum) == ("all", False, None)
    assert st.ablate(7, where=st.while_active("mid/3")).where == WhileActive("mid/3")


@pytest.mark.parametrize("given", [torch.arange(1.0, 5), np.arange(1, 5), [1, 2, 3, 4], torch.arange(1, 5).bfloat16()])
def test_bare_numbers_become_a_vector_at_their_hook_point(given):
    target = st.add(given, 1, hook=HOOK).target
    assert isinstance(target, SteeringVector)
    assert (target.direction.tolist(), target.hook, target.method) == ([1.0, 2.0, 3.0, 4.0], HOOK, "given")
    heads = st.add(torch.arange(4.0).reshape(2, 2), 1, hook=HOOK).target
    assert isinstance(heads, SteeringVector)
    assert heads.direction.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_vector_is_taken_as_it_is_and_gives_its_name():
    vector = SteeringVector(np.ones(4), HOOK, "given", label="up")
    edit = st.add(vector, 1)
    assert edit.target is vector
    assert edit.name == "up"


def test_the_tensor_is_copied():
    tensor = torch.ones(4)
    target = st.add(tensor, 1, hook=HOOK).target
    tensor.zero_()
    assert isinstance(target, SteeringVector)
    assert target.direction.tolist() == [1.0] * 4


WRONG: dict[str, tuple[Any, str]] = {
    "NaN": (lambda: st.add("mid/7", float("nan")), "no number for 'value'"),
    "infinity": (lambda: st.set("mid/7", float("inf")), "no number for 'value'"),
    "maximum NaN": (lambda: st.set("mid/7", 1, maximum=float("nan")), "no number for 'maximum'"),
    "maximum 0": (lambda: st.set("mid/7", 1, maximum=0), "maximum is above 0"),
    "maximum below 0": (lambda: st.add("mid/7", 1, maximum=-2.0), "maximum is above 0"),
    "no hook": (lambda: st.add(torch.ones(4), 1), "edited at a hook point"),
    "zeros": (lambda: st.add(torch.zeros(4), 1, hook=HOOK), "not a direction"),
    "NaN in a vector": (lambda: st.add([1.0, float("nan")], 1, hook=HOOK), "not a direction"),
    "nothing": (lambda: st.add([], 1, hook=HOOK), "cannot be edited"),
    "None": (lambda: st.ablate(None), "cannot be edited"),
    "an object": (lambda: st.ablate(object(), hook=HOOK), "cannot be edited"),
    "texts": (lambda: st.ablate(["a", "b"], hook=HOOK), "cannot be edited"),
    "ragged": (lambda: st.ablate([[1.0], [1.0, 2.0]], hook=HOOK), "cannot be edited"),
    "True": (lambda: st.ablate(True), "cannot be edited"),
    "where": (lambda: st.ablate("mid/7", where="later"), "cannot be made there"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_edit(case):
    make, text = WRONG[case]
    with pytest.raises(EditError, match=text):
        make()


def test_true_is_no_strength():
    with pytest.raises(EditError, match="no number for 'value'"):
        st.scale("mid/7", True)
