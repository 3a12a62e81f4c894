"""Weighted kappa, against answers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.annotations import AnnotationStore, Target, weighted_kappa
from saewidgets.errors import AnnotationError

SCORES = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], 1.0),
        ([0, 0, 3, 3], [3, 3, 0, 0], -1.0),  # found 4 * 9; by chance 16 pairs, half of them 9 apart: 36 / 4 of 18
        ([0, 0, 3, 3], [0, 3, 0, 3], 0.0),
        # found 1 + 1; by chance rows 1 1 2 0 and columns 0 2 1 1: (2 + 4 + 9) + (0 + 1 + 4) + 2 (2 + 0 + 1), over 4
        ([0, 1, 2, 2], [1, 1, 2, 3], 1 - 2 / (26 / 4)),
        ([0, 3], [1, 2], 1 - 2 / (10 / 2)),
    ],
)
def test_known_answers(first, second, kappa):
    assert weighted_kappa(first, second) == pytest.approx(kappa, abs=1e-15)


def test_two_categories_are_cohens_unweighted_kappa():
    # 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no: observed 0.7, by chance 0.5, kappa 0.4.
    pairs = [(1, 1)] * 20 + [(1, 0)] * 5 + [(0, 1)] * 10 + [(0, 0)] * 15
    assert weighted_kappa([a for a, _ in pairs], [b for _, b in pairs], 2) == pytest.approx(0.4, abs=1e-15)


@pytest.mark.parametrize("scores", [[], [2, 2, 2]])
def test_without_anything_to_disagree_about_it_is_nan(scores):
    assert math.isnan(weighted_kappa(scores, scores))


@settings(deadline=None, max_examples=60)
@given(SCORES)
def test_raters_may_change_places_and_scores_may_be_turned_round(pairs):
    a, b = [x for x, _ in pairs], [y for _, y in pairs]
    kappa = weighted_kappa(a, b)
    assert weighted_kappa(b, a) == pytest.approx(kappa, nan_ok=True)
    assert weighted_kappa([3 - x for x in a], [3 - y for y in b]) == pytest.approx(kappa, nan_ok=True)
    assert math.isnan(kappa) or -1 - 1e-12 <= kappa <= 1


@pytest.mark.parametrize(("first", "second"), [([1], [1, 2]), ([4], [0]), ([0], [-1])])
def test_lists_that_are_no_pairs_of_scores(first, second):
    with pytest.raises(AnnotationError):
        weighted_kappa(first, second)


NONE, GAP = float("nan"), pd.NA


def test_gaps_are_left_out_and_whole_floats_are_scores():
    first, second = [0, 1, 2, 2, 3, None, 3, 0], [1, 1, 2, 3, None, 2, NONE, GAP]
    known = 1 - 2 / (26 / 4)  # as of the first four pairs alone
    assert weighted_kappa(first, second) == pytest.approx(known, abs=1e-15)
    frame = pd.DataFrame({"ann": first[:7], "bob": second[:7]}, dtype="Float64").astype(float)
    assert weighted_kappa(frame.ann, frame.bob) == pytest.approx(known, abs=1e-15)
    assert weighted_kappa(np.array([0, 3], np.float32), np.array([0, 3], np.int8)) == 1
    assert math.isnan(weighted_kappa([None], [1]))


@pytest.mark.parametrize("score", [1.5, math.inf, "1", True, -1, 4, [1], 10**400])
def test_what_is_no_score_is_refused(score):
    with pytest.raises(AnnotationError, match="no such score"):
        weighted_kappa([0, score], [0, 1])
    with pytest.raises(AnnotationError, match="no such score"):
        weighted_kappa([0, None], [0, score])


@pytest.mark.parametrize("categories", [0, -1, 1.5, "4", 10**9])
def test_what_is_no_number_of_scores_is_refused(categories):
    with pytest.raises(AnnotationError, match="number of scores"):
        weighted_kappa([0], [0], categories)


def test_agreement_is_over_what_both_have_rated(tmp_path):
    store = AnnotationStore(tmp_path / "notes", "ann")
    for n, (ann, bob) in enumerate([(0, 1), (1, 1), (2, 2), (2, 3)]):
        target = Target("example", "gpt2", "h", "s", 7, "text", n)
        store.rate(target, ann)
        store.rate(target, bob, "bob")
    store.rate(Target("feature", "gpt2", "h", "s", 7), 3)
    store.rate(Target("feature", "gpt2", "h", "s", 8), 0)
    store.rate(Target("feature", "gpt2", "h", "s", 8), 0, "bob")
    found = store.agreement("ann", "bob", "example")
    assert found.kappa == pytest.approx(1 - 2 / (26 / 4))
    assert (found.n, store.agreement("ann", "bob").n, store.agreement("ann", "cyd").n) == (4, 5, 0)
    assert found.table.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [0, 0, 0, 0]]
    assert repr(found) == "Agreement(ann and bob: kappa 0.69 over 4 items, 2 the same)"
    assert found.to_frame()["count"].tolist() == [1, 1, 1, 1]
    assert np.isnan(store.agreement("ann", "cyd").kappa)
