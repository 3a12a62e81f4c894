"""Three rankings of the same rows, with answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saewidgets.errors import TargetError
from saewidgets.results import Node, Ranking
from saewidgets.results.ranking import chosen, whole_k
from tests.results.rankings import METRIC, NAN, ranking_of


@pytest.fixture
def found() -> Ranking:
    """Five features, 10 to 14. By ablation: 14 (-5), 12 (3), 11 (2), 10 (0.5), 13 (0)."""
    return ranking_of([(9, 0.1, 0.5), (8, 2, 2), (1, 3, 3), (7, -0.5, 0), (2, -4, -5)])


@pytest.fixture
def partly() -> Ranking:
    """The same where only 12 and 14 were ablated."""
    return ranking_of([(9, 0.1, NAN), (8, 2, NAN), (1, 3, 3), (7, -0.5, NAN), (2, -4, -5)], stopped=True)


@pytest.mark.parametrize(
    ("by", "order", "ranks"),
    [
        ("activation", "absolute", [0, 1, 4, 2, 3]),
        ("attribution", "absolute", [4, 2, 1, 3, 0]),
        ("attribution", "signed", [2, 1, 0, 3, 4]),
        ("ablation", "absolute", [3, 2, 1, 4, 0]),
        ("ablation", "signed", [2, 1, 0, 3, 4]),
    ],
)
def test_ranks(found, by, order, ranks):
    ranked = found.ranks(by, order)
    assert ranked.tolist() == ranks
    assert ranked.dtype == np.int64


def test_ties_go_by_row_and_sign_does_not_count():
    tied = ranking_of([(0, -1, 1), (0, 1, -1), (0, 2, 1), (0, 1, 1)])
    assert tied.ranks("attribution").tolist() == [1, 2, 0, 3]
    assert tied.ranks("ablation").tolist() == [0, 1, 2, 3]
    assert tied.ranks("activation").tolist() == [0, 1, 2, 3]
    assert ranking_of([(i % 2, 0, 0) for i in range(100)]).ranks("activation").tolist()[:4] == [50, 0, 51, 1]
    assert ranking_of([(0, 0, NAN)] * 100).ranks("ablation").tolist() == list(range(100))


@pytest.mark.parametrize("order", ["absolute", "signed"])
def test_rows_that_were_not_ablated_come_last(partly, order):
    ranks = partly.ranks("ablation", order)
    assert sorted(ranks[[2, 4]].tolist()) == [0, 1]
    assert ranks[[0, 1, 3]].tolist() == [2, 3, 4]


def test_top_is_largest_first(found):
    assert found.top(2) == (("mid", 2, 14, 2.0, -4.0, -5.0), ("mid", 2, 12, 1.0, 3.0, 3.0))
    assert [row.feature for row in found.top(by="activation")] == [10, 11, 13, 14, 12]
    assert [row.feature for row in found.top(3, "ablation", "signed")] == [12, 11, 10]
    assert found.top(0) == found.top(-1) == ()


def test_top_by_ablation_has_only_what_was_ablated(partly):
    assert [row.feature for row in partly.top(by="ablation")] == [14, 12]
    assert [row.feature for row in partly.top(1, "ablation", "signed")] == [12]
    assert len(partly.top(by="attribution")) == 5


@pytest.mark.parametrize("by", ["activation", "attribution", "ablation"])
@pytest.mark.parametrize("order", ["absolute", "signed"])
def test_top_and_ranks_are_one_order(found, by, order):
    ranks = found.ranks(by, order)
    assert [ranks[row.feature - 10] for row in found.top(by=by, order=order)] == [0, 1, 2, 3, 4]


def test_overlap(found):
    # By ablation 14, 12, 11; by activation 10, 11, 13; by attribution 14, 12, 11.
    assert found.overlap(3) == (1, 3, 3)
    assert found.overlap(1) == (0, 1, 1)
    # Signed: by ablation 12, 11; by activation 10, 11; by attribution 12, 11.
    assert found.overlap(2, "signed") == (1, 2, 2)


def test_overlap_at_more_than_there_is_says_so(found, partly):
    assert found.overlap(10) == (3, 3, 4)  # one of the five has no effect
    assert partly.overlap(10) == (0, 2, 2)
    assert ranking_of([]).overlap() == (0, 0, 0)
    assert ranking_of([(1, 1, NAN)]).overlap() == (0, 0, 0)


def test_overlap_is_that_of_the_ranks():
    random = np.random.default_rng(0)
    rows = [tuple(row) for row in random.normal(size=(60, 3)).round(1).tolist()]
    many = ranking_of([(a, b, NAN if i % 3 == 0 else c) for i, (a, b, c) in enumerate(rows)])
    for k in (1, 7, 30):
        first = {by: {i for i, rank in enumerate(many.ranks(by)) if rank < k} for by in ("activation", "ablation")}
        assert many.overlap(k).activation == len(first["activation"] & first["ablation"])


@pytest.mark.parametrize("k", [0, -1, True])
def test_overlap_of_no_rows_is_refused(found, k):
    with pytest.raises(TargetError, match="a whole number from 1"):
        found.overlap(k)


@pytest.mark.parametrize("k", [2.0, "3", None, NAN])
def test_k_is_a_whole_number(k):
    with pytest.raises(TargetError, match="a whole number from 1"):
        whole_k(k)
    assert whole_k(np.int64(3)) == 3


def test_what_there_is_to_choose_from_is_told():
    with pytest.raises(TargetError, match="no such order.*\n.*'down'\n.*'absolute' or 'signed'"):
        chosen("order", "down", ("absolute", "signed"))


def test_correlation_by_hand():
    line = ranking_of([(1, 2, 1), (3, 4, 2), (2, 6, 3)])
    assert line.correlation().attribution == pytest.approx((1, 1))
    assert line.correlation().activation == pytest.approx((0.5, 0.5))


def test_correlation_is_over_what_was_ablated():
    some = ranking_of([(50, -70, NAN), (1, 2, 1), (3, 4, 2), (2, 6, 3)])
    assert some.correlation().attribution == pytest.approx((1, 1))
    assert some.correlation().activation.pearson == pytest.approx(0.5)


def test_correlation_that_is_not_defined(partly):
    assert all(math.isnan(value) for pair in partly.correlation() for value in pair)
    flat = ranking_of([(4, 2, 1), (4, 4, 2), (4, 6, 3)]).correlation()
    assert math.isnan(flat.activation.pearson)
    assert flat.attribution.spearman == 1


def test_counts_and_the_sum_of_all(found, partly):
    assert (len(found), found.n_ablated, partly.n_ablated) == (5, 5, 2)
    assert found.total_attribution == pytest.approx(0.1 + 2 + 3 - 0.5 - 4 + 0.25 - 1)
    assert found.tokens == ("<bos>", "Paris", " is")


def test_frame(partly):
    frame = partly.to_frame()
    columns = ["sae", "position", "token", "node", "feature", "activation", "attribution", "ablation"]
    assert list(frame.columns) == columns
    assert frame["node"].tolist() == ["feature"] * 5 + ["error", "bias"]
    assert frame["feature"].tolist()[:5] == [14, 12, 11, 13, 10]
    assert frame["feature"].isna().tolist() == [False] * 5 + [True] * 2
    assert str(frame["feature"].dtype) == "Int64"
    assert frame["attribution"].tolist() == [-4, 3, 2, -0.5, 0.1, 0.25, -1]
    assert frame["ablation"].isna().tolist() == [False, False, True, True, True, True, False]
    assert set(frame["token"]) == {" is"}
    assert frame["attribution"].sum() == pytest.approx(partly.total_attribution)


def test_frame_of_all_positions_has_no_token():
    node = Node("error", "mid", -1, 1.0, NAN)
    frame = ranking_of([(1, 1, 1)], positions=np.array([-1]), scope="all_positions", nodes=(node,)).to_frame()
    assert frame["position"].tolist() == [-1, -1]
    assert frame["token"].tolist() == ["", ""]


def test_frame_of_several_saes_and_of_nothing():
    two = ranking_of([(1, 1, 1), (2, 2, 2)], saes=("a", "b"), hooks=("x", "y"), sae_index=np.array([1, 0], np.int32))
    assert two.to_frame()["sae"].tolist()[:2] == ["a", "b"]
    empty = ranking_of([], nodes=()).to_frame()
    assert len(empty) == 0
    assert list(empty.columns)[-1] == "ablation"
    assert str(empty["feature"].dtype) == "Int64"


def test_repr_is_one_line_that_says_it_all(found, partly):
    assert repr(found) == (
        f"Ranking({METRIC} = 2.5; method='attribution', scope='position', position 2; "
        "order='absolute', overlap with ablation: activation 3/4, attribution 3/4; 5 of 5 rows ablated; "
        "1 of 3 positions masked)"
    )
    assert "overlap with ablation: activation 0/2, attribution 2/2; 2 of 5 rows ablated, stopped" in repr(partly)
    assert "nothing ablated" in repr(ranking_of([(1, 1, NAN)]))
    assert "all positions" in repr(ranking_of([], position=None))
    assert "\n" not in repr(ranking_of([], metric="logit('\n')"))
