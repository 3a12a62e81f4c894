"""Numbers and ratings of steered texts, on cases whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from saewidgets.errors import EditError
from saewidgets.steering.cost import axbench_score
from saewidgets.steering.scores import (
    aurocs,
    check_above_zero,
    choose_detectors,
    concept_rating,
    distinct_share,
    fluency_rating,
    harmonic_means,
    log_odds,
)


def test_log_odds_are_those_of_any_of_the_tokens():
    p = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    assert log_odds(p.log(), [1]).item() == pytest.approx(math.log(0.2 / 0.8))
    assert log_odds(p.log() + 7, [0, 2]).item() == pytest.approx(math.log(0.4 / 0.6))


def test_log_odds_stay_finite_where_float32_rounds_the_probability_to_1():
    logits = torch.tensor([[40.0, 0.0, 0.0]])
    assert log_odds(logits, [0]).item() == pytest.approx(40 - math.log(2), abs=1e-5)
    assert log_odds(logits, [1, 2]).item() == pytest.approx(math.log(2) - 40, abs=1e-5)


def test_concept_is_the_part_of_the_way_to_even_odds():
    base = np.array([-8.0, -0.5, 3.0])
    steered = np.array([[-8.0, -0.5, 3.0], [-4.0, 0.0, 3.5], [0.0, 0.5, 4.0], [-9.0, -2.0, 2.0]])
    expected = [[0, 0, 0], [1, 1, 1], [2, 2, 2], [0, 0, 0]]  # less than a nat of room counts as one nat
    assert concept_rating(base, steered).tolist() == expected


def test_fluency_is_2_for_the_models_own_text_and_0_for_even_draws():
    base = np.array([1.0])
    ce = np.array([[1.0], [0.5], [(1 + math.log(50)) / 2], [math.log(50)], [9.0]])
    np.testing.assert_allclose(fluency_rating(base, ce, 50).ravel(), [2, 2, 1, 0, 0], atol=1e-12)


def test_distinct_share_counts_runs_of_three():
    assert distinct_share([1, 2, 1, 2, 1, 2]) == 0.5  # 121 212 121 212
    assert distinct_share([1, 2]) == 1


def test_harmonic_means_agree_with_axbench():
    for ratings in ((2, 2, 2), (2, 0, 2), (1, 2, 2), (0.3, 1.7, 1.1)):
        assert harmonic_means(*map(np.array, ratings)) == pytest.approx(axbench_score(*ratings))
    assert np.isnan(harmonic_means(np.array(np.nan), np.array(0.0), np.array(1.0)))


def test_auroc_is_that_of_all_pairs():
    random = np.random.default_rng(0)
    p, n = random.integers(0, 4, (7, 5)).astype(float), random.integers(0, 4, (6, 5)).astype(float)
    by_hand = [np.mean([(a > b) + 0.5 * (a == b) for a in p[:, j] for b in n[:, j]]) for j in range(5)]
    np.testing.assert_allclose(aurocs(p, n), by_hand)


def test_a_detector_is_chosen_on_even_texts_and_checked_on_odd_ones():
    # Feature 0 is perfect on even texts and wrong on odd ones, feature 1 is good on all, feature 2 never fires.
    p = np.array([[2.0, 1.0, 0], [0.0, 1.0, 0], [2.0, 1.0, 0], [0.0, 0.0, 0]])
    n = np.array([[0.0, 0.0, 0], [2.0, 0.0, 0], [0.0, 1.0, 0], [2.0, 0.0, 0]])
    ((chosen, checked),) = choose_detectors(p, n)
    assert (chosen.feature, chosen.auroc, chosen.precision, chosen.recall) == (0, 1.0, 1.0, 1.0)
    assert (checked.feature, checked.auroc, checked.precision, checked.recall) == (0, 0.0, 0.0, 0.0)


def test_equal_detectors_are_told_apart_by_how_far_they_part_the_sides():
    p, n = np.array([[0.6, 1.0], [0.6, 1.0]]), np.array([[0.5, 0.1], [0.5, 0.1]])
    assert [chosen.feature for chosen, _ in choose_detectors(p, n, k=9)] == [1, 0]


def test_no_detector_is_better_than_a_wrong_one():
    with pytest.raises(EditError, match="No feature of the SAE tells"):
        choose_detectors(np.zeros((4, 3)), np.ones((4, 3)))
    with pytest.raises(EditError, match="checked on the other half"):
        choose_detectors(np.ones((1, 3)), np.zeros((4, 3)))


def test_numbers_above_zero_are_sorted_and_checked():
    assert check_above_zero("kl", [1, 0.5, 1]) == (0.5, 1.0)
    for wrong in ([], [0], [1, -1], [math.inf], ["x"], 3):
        with pytest.raises(EditError, match="no numbers for 'kl'"):
            check_above_zero("kl", wrong)
