"""A ranking made inside a steering context is one of the steered model."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import Lab, steering

IDS = [0, 5, 9, 40, 41, 7]


@pytest.mark.parametrize("where", ["blocks.0.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.hook_mlp_out"])
def test_ranking_of_a_steered_model(any_model, make_tensors, where):
    lab = Lab(any_model)
    lab.add_sae(make_tensors(), hook="blocks.0.hook_resid_post")
    before = lab.rank(IDS, 7, 9)
    edits = steering.add(torch.linspace(-1, 1, 32), 2.0, hook=where)
    with lab.steering(edits):
        found = lab.rank(IDS, 7, 9)
        with torch.no_grad():
            last = any_model(torch.tensor([IDS]))[0, -1]
    assert found.metric_value == pytest.approx(float(last[7] - last[9]), abs=1e-5)
    assert found.n_ablated == len(found)
    after = lab.rank(IDS, 7, 9)
    assert after.blocks_above_only
    np.testing.assert_array_equal(after.attribution, before.attribution)
