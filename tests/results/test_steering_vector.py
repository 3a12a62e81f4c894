"""A direction: its length, its angle to others, and what is none."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saewidgets.errors import EditError, MismatchError
from saewidgets.results import SteeringVector
from saewidgets.results.steering_vector import as_direction

HOOK = "blocks.0.hook_resid_post"


def vector(*values: float, **fields) -> SteeringVector:
    return SteeringVector(np.array(values, np.float64), HOOK, fields.pop("method", "given"), **fields)


def test_length_unit_and_width():
    found = vector(3, 0, -4)
    assert (found.norm, len(found)) == (5, 3)
    assert found.unit.tolist() == [0.6, 0, -0.8]


def test_at_length_keeps_direction_and_origin():
    found = vector(3, 4, method="probe", n_positive=9, model="tiny", label="joy", expected_cosine=0.7)
    longer = found.at_length(10)
    assert longer.direction.tolist() == [6, 8]
    assert (longer.method, longer.n_positive, longer.model, longer.name) == ("probe", 9, "tiny", "joy")
    assert longer.expected_cosine == 0.7
    assert found.norm == 5
    for wrong in (0, -1.0, math.inf, math.nan):
        with pytest.raises(EditError, match="above 0"):
            found.at_length(wrong)


def test_cosine_with_vectors_arrays_and_tensors():
    found = vector(3, 4)
    assert found.cosine(vector(-6, -8)) == -1
    assert found.cosine(np.array([1, 0])) == pytest.approx(0.6)
    assert found.cosine(torch.tensor([0.0, 2.0], dtype=torch.bfloat16)) == pytest.approx(0.8)
    assert vector(1, 1, 1).cosine(vector(1, 1, 1)) <= 1
    with pytest.raises(MismatchError, match="different widths"):
        found.cosine(vector(1, 2, 3))
    with pytest.raises(EditError, match="length of 0"):
        found.cosine(np.zeros(2))


def test_direction_is_a_float64_copy():
    given = np.array([1, 2], np.float32)
    found = SteeringVector(given, HOOK, "given")
    given[0] = 9
    assert found.direction.tolist() == [1, 2]
    assert found.direction.dtype == np.float64


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros(3), "length of 0"),
        (np.array([1.0, math.nan]), "NaN or infinity"),
        (np.array([1.0, math.inf]), "NaN or infinity"),
        (np.array([1e200, 0.0]), "out of range"),
        (np.array([1e-200, 0.0]), "out of range"),
        (np.ones((2, 2)), r"shape \[2, 2\]"),
        (np.zeros(0), r"shape \[0\]"),
        (np.array(["a"]), "no numbers"),
    ],
)
def test_what_is_no_direction(given, message):
    with pytest.raises(EditError, match=message):
        SteeringVector(given, HOOK, "given")


def test_direction_from_a_tensor_or_a_list():
    assert as_direction(torch.tensor([1.0, 2.0], requires_grad=True)).tolist() == [1, 2]
    assert as_direction([1, 2]).dtype == np.float64
    for wrong in ("joy", None, [[1.0], [2.0, 3.0]], {"a": 1}):
        with pytest.raises(EditError, match="not a direction"):
            as_direction(wrong)


def test_name_and_repr_say_how_it_was_made():
    made = vector(3, 4, method="difference_in_means", n_positive=8, n_negative=7, expected_cosine=0.364)
    assert made.name == "difference in means vector"
    assert repr(made) == (
        "SteeringVector('difference in means vector', hook='blocks.0.hook_resid_post', d=2, norm=5, "
        "from 8 and 7 texts, expected cosine 0.36)"
    )
    assert repr(vector(3, 4, label="joy")) == "SteeringVector('joy', hook='blocks.0.hook_resid_post', d=2, norm=5)"


def test_frame_has_a_row_a_dimension():
    assert vector(3, 4).to_frame().to_numpy().tolist() == [[0, 3], [1, 4]]
