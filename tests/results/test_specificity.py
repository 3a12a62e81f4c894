"""Numbers and tables of a feature's specificity, from firings made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saewidgets.errors import SpecificityError
from saewidgets.results.specificity import wilson
from tests.results.specificities import exact_of, rated_of, sampled_of

FOUND = exact_of([1, 2, 2.5, 4, 9, 10], [False, False, True, True, True, True], n_tokens=100, n_marked=8)


def test_wilson_interval_by_hand():
    # (p + z/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)
    low, high = wilson(np.array([0.5, 0.0, 1.0]), np.array([10, 10, 10]))
    assert low == pytest.approx([0.236593, 0, 0.722467], abs=1e-6)
    assert high == pytest.approx([0.763407, 0.277533, 1], abs=1e-6)
    assert np.isnan(wilson(float("nan"), 0)).all()


def test_the_interval_holds_the_share_and_lies_in_0_to_1():
    share, n = np.meshgrid(np.linspace(0, 1, 301), [0.3, 1, 2, 7.5, 1000])
    low, high = wilson(share, n)
    assert ((low >= 0) & (low <= share) & (share <= high) & (high <= 1)).all()


def test_an_interval_holds_its_upper_edge_and_not_its_lower():
    assert [each.n for each in FOUND.intervals] == [1, 1, 1, 1, 0, 0, 0, 0, 1, 1]
    assert [(each.low, each.high) for each in FOUND.intervals[:2]] == [(0, 1), (1, 2)]
    two = FOUND.intervals[2]
    assert (two.count, two.counts, two.shares, two.precision) == (1, (0, 1), (0, 1), 1)
    assert two.share == pytest.approx(1 / 6)
    assert two.mass_share == pytest.approx(2.5 / 28.5)


def test_log_ratio_to_the_base_rate():
    assert FOUND.base_rate == 0.08
    assert FOUND.intervals[2].llr == pytest.approx(math.log(1 / 0.08))
    assert FOUND.intervals[0].llr == -math.inf
    assert math.isnan(FOUND.intervals[5].llr)


def test_a_threshold_keeps_what_is_above_it():
    at = FOUND.at(0.2)
    assert at.activation == 2
    assert (at.precision, at.recall, at.recall_of_firings) == (1, 0.5, 1)  # 2 itself is not kept
    assert at.f1 == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert (at.share, at.mass) == pytest.approx((4 / 6, 25.5 / 28.5))
    assert FOUND.at(0.19).share == pytest.approx(5 / 6)
    top = FOUND.at(1)
    assert math.isnan(top.precision)
    assert (top.recall, top.recall_of_firings, top.f1, top.share, top.mass) == (0, 0, 0, 0, 0)


def test_the_nearest_hundredth_is_taken():
    assert FOUND.at(0.204) == FOUND.at(0.2)
    assert FOUND.at(0.206) == FOUND.at(0.21)
    assert FOUND.at(np.float32(0.2)) == FOUND.at(0.2)


@pytest.mark.parametrize("t", [-0.1, 1.1, "0.3", None, True, float("nan")])
def test_no_threshold(t):
    with pytest.raises(SpecificityError, match="no threshold"):
        FOUND.at(t)


def test_overall_precision_is_that_of_all_firings():
    assert FOUND.overall_precision == pytest.approx(4 / 6)
    assert "precision 0.667 (0.3 to 0.903), 6 of 6 firings scored" in repr(FOUND)


def test_frames():
    frame = FOUND.to_frame()
    assert len(frame) == 10
    assert frame.columns.tolist() == [
        "low", "high", "count", "share", "mass_share", "n", "no", "yes", "precision", "precision_low",
        "precision_high", "llr", "exact"]  # fmt: skip
    assert frame["yes"][:4].tolist() == [0, 0, 1, 1]
    curve = FOUND.curve_frame()
    assert len(curve) == 101
    assert curve["t"].tolist() == [i / 100 for i in range(101)]
    assert curve["activation"].tolist()[30] == 3
    assert curve["precision"].tolist()[20] == 1
    assert rated_of([1.0, 2.0], [[3], [0]]).to_frame().columns.tolist()[6:10] == ["0", "1", "2", "3"]


def test_a_feature_that_never_fires():
    found = exact_of([], [], n_tokens=50, n_marked=5, largest=0.0)
    assert (found.count, found.n_scored) == (0, 0)
    assert math.isnan(found.overall_precision)
    assert found.recall.tolist() == [0] * 101
    assert found.f1.tolist() == [0] * 101
    assert sum(each.share for each in found.intervals) == 0
    assert math.isnan(sampled_of([], [], []).overall_precision)


def test_what_is_marked_nowhere_has_no_recall():
    found = exact_of([1.0, 2.0], [False, False])
    assert np.isnan(found.recall).all()
    assert np.isnan(found.recall_of_firings).all()
    assert np.isnan(found.f1).all()
    assert np.isnan([each.llr for each in found.intervals]).all()
