"""What is asked wrongly is refused in our own words, before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets import Lab
from saewidgets import steering as st
from saewidgets.errors import EditError, MismatchError, NonFiniteError, UnknownNameError
from saewidgets.results import SteeringVector
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import HOOK, make_lab

PROMPT = [0, 5, 9, 40, 41]
VECTOR = SteeringVector(np.random.default_rng(1).normal(size=32), HOOK, "given")


@pytest.fixture
def tiny(make_model, make_tensors):
    return make_lab(make_model("gpt2"), make_tensors)


def untyped(call):
    """A public call as it is for users, without the shape checks of the tests."""
    return getattr(call, "__wrapped__", call)


@pytest.mark.parametrize("edits", [None, 5, {}, "", "sae/3", [3]])
def test_what_is_no_edit(tiny, edits):
    for call in (Lab.generate, Lab.next_token, Lab.side_effect):
        given = (tiny, edits) if call is Lab.side_effect else (tiny, PROMPT, edits)
        with pytest.raises(EditError, match="not an edit|no edits"):
            untyped(call)(*given)


@pytest.mark.parametrize(
    "wrong", [{"temperature": "hot"}, {"temperature": None}, {"top_p": "all"}, {"seed": 2**70}, {"stop": 5}]
)
def test_what_nothing_can_be_drawn_by(tiny, wrong):
    with pytest.raises(EditError):
        untyped(Lab.generate)(tiny, PROMPT, (), 2, **wrong)


@pytest.mark.parametrize("values", [["a"], 3.0, [], [np.nan], "12"])
def test_what_is_no_strength(tiny, values):
    with pytest.raises(EditError, match="no strengths"):
        untyped(Lab.sweep)(tiny, PROMPT, st.add(VECTOR, 1), values, 2)


def test_strengths_may_come_one_by_one(tiny):
    found = untyped(Lab.sweep)(tiny, PROMPT, st.add(VECTOR, 1), (v for v in (1, 2)), 2)
    assert [one.edits for one in found] == [tiny.plan(st.add(VECTOR, v)).formulas for v in (1, 2)]


def test_threshold_and_keep_norm(tiny):
    for threshold in ("a", None, True):
        with pytest.raises(EditError, match="threshold"):
            untyped(st.while_active)("sae/3", threshold)
    with pytest.raises(EditError, match="neither yes nor no"):
        untyped(st.add)(VECTOR, 1, keep_norm="no")


def test_a_model_that_is_not_there_and_a_plan_of_another(tiny, make_model):
    with pytest.raises(UnknownNameError, match="nope"):
        tiny.generate(PROMPT, st.set("sae/3", 1), 2, model="nope")
    tiny.add_model("two", make_model("gpt2"))
    with pytest.raises(MismatchError, match="several models"):
        tiny.generate(PROMPT, st.set("sae/3", 1), 2, model="two")
    with pytest.raises(MismatchError, match="another model"):
        tiny.neutral([PROMPT]).under(tiny.plan(st.add(VECTOR, 1), model="two"))


def test_an_edit_that_is_too_strong_says_so_and_leaves_the_model(tiny):
    model = tiny.models["tiny"].model
    for ask in (
        lambda edit: tiny.generate(PROMPT, edit, 3),
        lambda edit: tiny.next_token(PROMPT, edit),
        lambda edit: tiny.preview(PROMPT).next_token(edit),
        lambda edit: tiny.side_effect(edit, [PROMPT]),
    ):
        with pytest.raises(NonFiniteError, match="weaker"):
            ask(st.add(VECTOR, 1e38))
    assert hooks_left(model) == 0
    assert np.isfinite(tiny.generate(PROMPT, (), 3).logprobs).all()
