"""Which positions an edit changes: words, positions, masks, and while another feature fires."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.errors import EditError
from saewidgets.results import SteeringVector
from saewidgets.steering.where import WhileActive, make_where
from tests.steering.by_hand import HOOK, IDS, PLAIN, activation, add_variant, fires, make_lab, sometimes, steered_logits

VECTOR = SteeringVector(np.random.default_rng(1).normal(size=32), HOOK, "given")
D = torch.from_numpy(VECTOR.direction).float()


@pytest.fixture
def steered_lab(bridge, make_tensors):
    return make_lab(bridge, make_tensors)


def changed(lab: Any, edits: Any, ids: torch.Tensor = IDS, hook: str = HOOK) -> list[list[int]]:
    """Positions of each row whose activation the edits change."""
    model: Any = lab.models["tiny"].model
    plain = activation(model, hook, ids)
    with lab.steering(edits):
        steered = activation(model, hook, ids)
    return [torch.nonzero(row).flatten().tolist() for row in (steered != plain).any(-1)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("all", [1, 2, 3, 4, 5, 6, 7]),
        ("prompt", [1, 2, 3, 4, 5, 6, 7]),
        ("generated", []),
        (2, [2]),
        ([2, 5], [2, 5]),
        ((0, 3), [0, 3]),
        (np.array([6]), [6]),
        (torch.tensor([1, 7]), [1, 7]),
        ([False, True, False, True], [1, 3]),
        (np.array([True] * 8), [0, 1, 2, 3, 4, 5, 6, 7]),
        (torch.arange(8) == 4, [4]),
    ],
)
def test_positions_in_a_pass_of_the_users(steered_lab, where, expected):
    assert changed(steered_lab, st.add(VECTOR, 1, where=where)) == [expected]


def test_special_tokens_are_left_alone_wherever_they_are(steered_lab):
    ids = torch.tensor([[0, 5, 0, 9], [7, 5, 9, 0]])
    assert changed(steered_lab, st.add(VECTOR, 1), ids) == [[1, 3], [0, 1, 2]]
    assert changed(steered_lab, st.set(3, 2), ids) == [[1, 3], [0, 1, 2]]
    assert changed(steered_lab, st.add(VECTOR, 1, where=[0, 2]), ids) == [[0, 2], [0, 2]]


def test_positions_give_the_logits_of_an_addition_there(steered_lab, bridge):
    def add(x, hook):
        x = x.clone()
        x[:, [2, 5]] += 3 * D
        return x

    expected = bridge.run_with_hooks(IDS, fwd_hooks=[(HOOK, add)])
    found = steered_logits(steered_lab, st.add(VECTOR, 3, where=[2, 5]))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_while_a_feature_fires(steered_lab, bridge):
    j = sometimes(bridge, steered_lab.saes["sae"])
    f = fires(bridge, steered_lab.saes["sae"])[0, :, j]
    threshold = float(f[PLAIN & (f > 0)].min())
    for limit in (0.0, threshold):
        expected = torch.nonzero((f > limit) & PLAIN).flatten().tolist()
        assert 0 < len(expected) < 7
        assert changed(steered_lab, st.add(VECTOR, 1, where=st.while_active(j, limit))) == [expected]


def test_while_active_follows_each_row_of_a_batch(steered_lab, bridge):
    ids = torch.tensor([[0, 5, 9, 40], [0, 41, 7, 100]])
    j = sometimes(bridge, steered_lab.saes["sae"], ids)
    firing = (fires(bridge, steered_lab.saes["sae"], ids)[..., j] > 0) & (ids != 0)
    expected = [torch.nonzero(row).flatten().tolist() for row in firing]
    assert changed(steered_lab, st.add(VECTOR, 1, where=st.while_active(f"sae/{j}")), ids) == expected


def test_feature_is_read_before_any_edit_at_its_hook_point(steered_lab, bridge):
    j = sometimes(bridge, steered_lab.saes["sae"])
    firing = torch.nonzero((fires(bridge, steered_lab.saes["sae"])[0, :, j] > 0) & PLAIN).flatten().tolist()
    alone = steered_logits(steered_lab, [st.ablate(j), st.add(VECTOR, 1, where=firing)])
    assert torch.equal(steered_logits(steered_lab, [st.ablate(j), st.add(VECTOR, 1, where=st.while_active(j))]), alone)


def test_feature_of_another_sae_below(any_model, make_tensors):
    lab = make_lab(any_model, make_tensors, hook="blocks.0.hook_resid_mid")
    upper = add_variant(lab, make_tensors, "standard", "blocks.1.hook_resid_mid", "upper")
    j = sometimes(any_model, lab.saes["sae"])
    firing = torch.nonzero((fires(any_model, lab.saes["sae"])[0, :, j] > 0) & PLAIN).flatten().tolist()
    conditional = st.set("upper/3", 2, where=st.while_active(f"sae/{j}"))
    assert changed(lab, conditional, hook=upper.hook) == [firing]
    expected = steered_logits(lab, st.set("upper/3", 2, where=firing))
    torch.testing.assert_close(steered_logits(lab, conditional), expected, rtol=0, atol=1e-6)


def test_feature_that_is_read_after_the_edit(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors, hook="blocks.1.hook_resid_post")
    base = bridge(IDS)
    context = lab.steering(st.add(VECTOR, 1, where=st.while_active(3)))
    with context, pytest.raises(EditError, match=r"read after it[\s\S]*sae/3"):
        bridge(IDS)
    assert torch.equal(bridge(IDS), base)


@pytest.mark.parametrize(
    "where",
    ["first", "", None, [], 1.5, [1.5], {}, {"a": 1}, [[1]], np.zeros((2, 2), bool), [None], True, b"all", object()],
    ids=repr,
)
def test_what_is_no_place(where):
    with pytest.raises(EditError, match="cannot be made there"):
        make_where(where)


def test_places_are_kept_as_plain_values():
    assert make_where(np.int64(3)) == (3,)
    assert [type(n) for n in make_where(np.array([1, 2]))] == [int, int]  # pyright: ignore[reportGeneralTypeIssues]
    assert make_where(torch.tensor([True, False])) == (True, False)
    assert st.while_active("sae/7", 2) == WhileActive("sae/7", 2.0)
    assert make_where(st.while_active(7)) == WhileActive(7, 0.0)


@pytest.mark.parametrize("threshold", [float("nan"), float("inf"), -float("inf"), True])
def test_threshold_is_a_finite_number(threshold):
    with pytest.raises(EditError, match="threshold"):
        st.while_active("sae/7", threshold)


@pytest.mark.parametrize("where", [-1, [3, -2]])
def test_positions_are_counted_from_the_start(where):
    with pytest.raises(EditError, match="counted from 0"):
        st.add(VECTOR, 1, where=where)
