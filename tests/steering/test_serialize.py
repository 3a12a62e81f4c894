"""Edits as JSON and as code come back as what they were."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import saewidgets as sw
from saewidgets import FeatureId
from saewidgets import steering as st
from saewidgets.errors import EditError
from saewidgets.results import SteeringVector
from saewidgets.steering.where import WhileActive
from tests.steering.by_hand import HOOK, make_lab, steered_logits

VECTOR = SteeringVector(
    np.random.default_rng(0).normal(size=32),
    HOOK,
    "difference_in_means",
    32,
    31,
    model="tiny",
    label="up \u2192 \U0001f600",
)
EDITS = [
    st.set("sae/3", 1 / 3),
    st.add(FeatureId("sae", 4), -2, where="generated"),
    st.scale(5, 0.1, where=[1, 4], keep_norm=True),
    st.ablate("sae/6", where=[True, False, True]),
    st.set_if_active("sae/7", 2, maximum=1.5, where=st.while_active(FeatureId("sae", 9), 0.25)),
    st.project_out("sae/8", where="prompt"),
    st.add(VECTOR, 3e-7),
    st.project_out(torch.arange(1.0, 33), hook=HOOK),
]


def assert_same(found: st.Edit, edit: st.Edit) -> None:
    for name in ("operation", "value", "keep_norm", "maximum", "formula", "name"):
        assert getattr(found, name) == getattr(edit, name), name
    if isinstance(edit.target, SteeringVector):
        assert isinstance(found.target, SteeringVector)
        assert np.array_equal(found.target.direction, edit.target.direction)
        for name in ("hook", "method", "n_positive", "n_negative", "model", "label"):
            assert getattr(found.target, name) == getattr(edit.target, name), name
    else:
        assert str(found.target) == str(edit.target)
        assert isinstance(found.target, int) == isinstance(edit.target, int)
    if isinstance(edit.where, WhileActive):
        assert isinstance(found.where, WhileActive)
        assert (str(found.where.feature), found.where.threshold) == (str(edit.where.feature), edit.where.threshold)
    else:
        assert found.where == edit.where


def test_json_round_trip():
    text = st.edits_to_json(EDITS)
    found = st.edits_from_json(text)
    assert len(found) == len(EDITS)
    for one, other in zip(found, EDITS, strict=True):
        assert_same(one, other)
    assert st.edits_to_json(found) == text
    assert json.loads(text)["version"] == 1
    assert "x + (0.333333 m - f) d" in text


def test_no_edits():
    assert st.edits_from_json(st.edits_to_json([])) == []
    assert st.edits_to_code([]) == "edits = [\n]"


def test_steers_the_same_after_the_round_trip(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    found = st.edits_from_json(st.edits_to_json(EDITS))
    assert torch.equal(steered_logits(lab, found), steered_logits(lab, EDITS))
    assert (steered_logits(lab, found) - bridge(torch.tensor([[0, 5, 9, 40, 41, 7, 100, 33]]))).abs().max() > 0.1


def test_code_makes_the_edits_again():
    vectors = [edit.target for edit in EDITS if isinstance(edit.target, SteeringVector)]
    names: dict[str, Any] = {"sw": sw, **{f"vector_{n}": vector for n, vector in enumerate(vectors, 1)}}
    code = st.edits_to_code(EDITS)
    exec(code, names)
    for one, other in zip(names["edits"], EDITS, strict=True):
        assert_same(one, other)
    assert "sw.steering.set('sae/3', 0.3333333333333333)," in code
    assert "sw.steering.project_out(vector_2)," in code


def test_names_in_code_are_quoted():
    nasty = st.ablate("a'); import os #/1")
    names: dict[str, Any] = {"sw": sw}
    exec(st.edits_to_code([nasty]), names)
    assert names["edits"] == [nasty]


def changed(**changes: Any) -> str:
    edit = {"operation": "set", "target": "sae/3", "value": 1.0, "where": "all", "keep_norm": False, "maximum": None}
    return json.dumps({"version": 1, "edits": [{**edit, **changes}]})


HOSTILE: dict[str, tuple[str, str]] = {
    "nothing": ("", "no list of edits"),
    "no JSON": ("{", "no list of edits"),
    "a list": ("[]", "no list of edits"),
    "a number": ("3", "no list of edits"),
    "null": ("null", "no list of edits"),
    "deep": ("[" * 100_000, "no list of edits"),
    "no version": ('{"edits": []}', "no list of edits"),
    "another version": ('{"version": 2, "edits": []}', "another version"),
    "edits null": ('{"version": 1, "edits": null}', "no list of edits"),
    "edits of text": ('{"version": 1, "edits": ["set"]}', "no list of edits"),
    "unknown operation": (changed(operation="__import__"), "no such operation"),
    "operation of a list": (changed(operation=["set"]), "no such operation"),
    "value as text": (changed(value="4"), "no number for 'value'"),
    "value null": (changed(value=None), "no number for 'value'"),
    "value NaN": (changed(value=float("nan")), "no number for 'value'"),
    "value too large": (changed(value=10**400), "no (number|list)"),
    "maximum 0": (changed(maximum=0), "above 0"),
    "where unknown": (changed(where="later"), "cannot be made there"),
    "where negative": (changed(where=[-1]), "counted from 0"),
    "where incomplete": (changed(where={"while_active": "sae/3"}), "no list of edits"),
    "threshold infinite": (changed(where={"while_active": "sae/3", "threshold": float("inf")}), "no threshold"),
    "target null": (changed(target=None), "cannot be edited"),
    "target a list": (changed(target=[1.0, 2.0]), "hook point"),
    "vector without hook": (changed(target={"direction": [1.0], "method": "given"}), "no list of edits"),
    "vector of text": (changed(target={"direction": ["a"], "hook": "x", "method": "given"}), "no list of edits"),
    "vector of zeros": (changed(target={"direction": [0.0], "hook": "x", "method": "given"}), "not a direction"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_no_list_of_edits(case):
    text, message = HOSTILE[case]
    with pytest.raises(EditError, match=message):
        st.edits_from_json(text)
