"""What steering costs, and the score of AxBench."""

from __future__ import annotations

import math

import pytest

from saewidgets.errors import EditError
from saewidgets.steering.cost import AmortisedCost, axbench_score, harmonic_mean


def test_break_even_of_the_example():
    assert AmortisedCost(1e9, 256, 2, 100).break_even == pytest.approx(19_608, abs=1)


@pytest.mark.parametrize("search", [0, 40, 1000.5])
def test_costs_are_equal_at_break_even(search):
    cost = AmortisedCost(sae_tokens=3e6, n_pairs=32, n_examples=3, length=50, search_tokens=search)
    tasks = cost.break_even
    assert cost.vectors(tasks) == pytest.approx(cost.features(tasks))
    assert cost.features(tasks * 1.01) < cost.vectors(tasks * 1.01)
    assert cost.features(tasks * 0.99) > cost.vectors(tasks * 0.99)


@pytest.mark.parametrize("cost", [AmortisedCost(1e9, 1, 2, 100), AmortisedCost(1e9, 256, 2, 100, 51_000)])
def test_features_that_save_nothing_never_pay(cost):
    assert cost.break_even == math.inf
    assert cost.features(1e12) > cost.vectors(1e12)


def test_costs_by_hand():
    cost = AmortisedCost(sae_tokens=1000, n_pairs=4, n_examples=1, length=10, search_tokens=5)
    assert (cost.vectors(3), cost.features(3)) == (240, 1045)
    assert cost.break_even == pytest.approx(1000 / 65)


def test_an_sae_that_is_there_already_pays_at_once():
    assert AmortisedCost(0, 32).break_even == 0


def test_frame_says_what_is_cheaper():
    frame = AmortisedCost(1000, 4, 1, 10).to_frame([1, 100])
    assert list(frame.columns) == ["tasks", "vectors", "features", "cheaper"]
    assert frame.to_numpy().tolist() == [[1, 80, 1010, "vectors"], [100, 8000, 2000, "features"]]


@pytest.mark.parametrize(
    "wrong",
    [{"sae_tokens": -1.0}, {"n_pairs": 0}, {"length": 0}, {"n_examples": math.nan}, {"search_tokens": math.inf}],
)
def test_numbers_that_are_no_cost(wrong):
    (name,) = wrong
    with pytest.raises(EditError, match=name):
        AmortisedCost(**({"sae_tokens": 1e9, "n_pairs": 32} | wrong))


@pytest.mark.parametrize(
    ("ratings", "score"), [((2, 2, 2), 2), ((2, 0, 2), 0), ((1, 2, 2), 1.5), ((0, 0, 0), 0), ((1, 1, 1), 1)]
)
def test_axbench_score_by_hand(ratings, score):
    assert axbench_score(*ratings) == score


def test_axbench_score_refuses_other_scales():
    for wrong in (2.1, -0.1, math.nan):
        with pytest.raises(EditError, match="fluency"):
            axbench_score(1, 1, wrong)


def test_harmonic_mean_is_between_the_smallest_and_the_mean():
    assert harmonic_mean(0.5) == 0.5
    assert harmonic_mean(3, 6) == 4
    assert harmonic_mean(1e-320, 1) == pytest.approx(2e-320, rel=1e-2)
    with pytest.raises(EditError, match="no scores"):
        harmonic_mean()
