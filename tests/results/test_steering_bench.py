"""Tables of a comparison of ways to steer, from numbers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.errors import EditError
from saewidgets.results.matched_ways import FeatureChoice, interval_of
from saewidgets.results.snapshot import chart_of
from tests.results.steering_benches import NAN, bench_of


def test_one_row_a_way_with_means_over_draws_and_prompts():
    frame = bench_of().at_norm(0.4)
    assert frame.method.tolist() == ["set", "set_if_active", "difference_in_means", "difference_in_means", "random"]
    assert frame.n_pairs.tolist() == [0, 0, 1, 4, 0]
    # method + pairs + half a nat for every second draw + 1 for the second budget + 1.5 for the mean prompt
    assert frame.effect.tolist() == pytest.approx([4.5, NAN, 4.75, 7.5, 2.75], nan_ok=True)
    assert frame.draws.tolist() == [1, 1, 2, 1, 2]
    assert frame.reached.tolist() == [1, 0, 2, 1, 2]
    assert frame.score.tolist() == pytest.approx([0.75, NAN, 0.75, 0.75, 0.75], nan_ok=True)
    assert frame.norm.tolist() == pytest.approx([0.4, NAN, 0.4, 0.4, 0.4], nan_ok=True)


def test_budgets_are_those_that_were_compared():
    bench = bench_of()
    assert (bench.norms, bench.kls) == ((0.2, 0.4), (0.1,))
    assert bench.at_norm().equals(bench.at_norm(0.4))
    assert bench.at_kl().equals(bench.at_kl(0.1))
    with pytest.raises(EditError, match="not compared at this kl") as error:
        bench.at_kl(0.2)
    assert "0.1" in str(error.value)
    with pytest.raises(EditError, match="not compared at this norm"):
        bench.at_norm(0.1)


def test_a_draw_that_does_not_reach_the_budget_is_left_out_and_counted():
    bench = bench_of()
    strength = bench.strength.copy()
    lost = next(n for n in range(len(bench)) if bench.method[n] == "random" and bench.draw[n] == 1)
    strength[lost] = NAN
    frame = bench_of(strength=strength).at_norm(0.2)
    assert (frame.reached.iloc[-1], frame.draws.iloc[-1]) == (1, 2)
    assert frame.effect.iloc[-1] == pytest.approx(1.5)


def test_the_frame_has_a_row_for_each_way_draw_and_budget():
    bench = bench_of()
    frame = bench.to_frame()
    assert len(frame) == len(bench) == 21
    assert frame.loc[(frame.method == "set") & (frame.matched == "kl"), "effect"].tolist() == [5.5]


def test_differences_are_paired_by_prompt():
    frame = bench_of().differences("set", "norm", 0.2)
    assert list(zip(frame.method, frame.n_pairs, strict=True))[1:] == [
        ("difference_in_means", 1), ("difference_in_means", 4), ("random", 0)]  # fmt: skip
    # Prompts add the same to both, so that nothing is left of them; draws of the other way remain.
    four = frame[frame.n_pairs == 4].iloc[0]
    assert (four.difference, four.low, four.high) == pytest.approx((-3, -3, -3))
    one = frame[frame.n_pairs == 1].iloc[0]
    assert (one.difference, one.low, one.high) == pytest.approx((-0.25, -0.5, 0.0))
    assert np.isnan(frame.difference.iloc[0])


def test_differences_from_a_way_that_is_not_there():
    with pytest.raises(EditError, match="no such way") as error:
        bench_of().differences("probe")
    assert "difference_in_means (4)" in str(error.value)
    most = bench_of().differences("difference_in_means", "norm", 0.2)
    assert (most.method != "difference_in_means").sum() == len(most) - 1


def test_strengths_are_picked_on_one_half_and_scored_on_the_other():
    bench = bench_of()
    score = bench.score.copy()
    rows = [n for n in range(len(bench)) if bench.method[n] == "set" and bench.matched[n] == "norm"]
    score[rows[0]] = [2, 0, 2, 0]  # best where it is picked
    score[rows[1]] = [1, 2, 1, 2]  # best on the others
    frame = bench_of(score=score).best()
    one = frame[frame.method == "set"].iloc[0]
    assert (one.norm, one.picked, one.held_out) == (0.2, 2, 0)
    assert np.isnan(frame[frame.method == "set_if_active"].held_out.iloc[0])
    by_effect = bench_of(score=score).best("effect")
    assert by_effect[by_effect.method == "set"].norm.iloc[0] == 0.4
    with pytest.raises(EditError, match="not picked by that"):
        bench.best("kl")


def test_prompts_on_which_the_feature_was_chosen_are_left_out_of_matched_comparisons():
    assert bench_of().compared.all()
    bench = bench_of(choice=FeatureChoice(1.0, 0.9, 0.8, 0.7, 16, candidates=5))
    assert bench.compared.tolist() == [False, True, False, True]
    one = bench.at_norm(0.2).iloc[0]
    assert one.effect == 2 + 2  # the mean of prompts 1 and 3
    assert one.score == 1  # of 0.5 and 1.5
    effect = bench.effect.copy()
    effect[:3, 0] = 99
    assert (
        bench_of(choice=bench.choice, effect=effect)
        .differences("set", "norm", 0.2)
        .equals(bench.differences("set", "norm", 0.2))
    )


def test_half_of_one_prompt():
    bench = bench_of()
    one = bench_of(prompts=("a",), picking=np.array([True]), effect=bench.effect[:, :1], score=bench.score[:, :1])
    with pytest.raises(EditError, match="Half of one prompt"):
        one.best()


def test_an_interval_holds_the_mean_and_shrinks_with_prompts():
    random = np.random.default_rng(0)
    narrow, wide = interval_of(random.normal(size=(3, 400))), interval_of(random.normal(size=(3, 20)))
    for mean, low, high in (narrow, wide):
        assert low < mean < high
    assert narrow[2] - narrow[1] < wide[2] - wide[1]
    assert interval_of(np.full((1, 5), 2.0)) == (2, 2, 2)
    assert all(map(np.isnan, interval_of(np.zeros((0, 5)))))


def test_an_interval_covers_the_truth_about_95_times_in_100():
    random = np.random.default_rng(1)
    hits = sum(low <= 0 <= high for _, low, high in (interval_of(random.normal(size=(1, 40))) for _ in range(200)))
    assert 180 <= hits <= 199


def test_draws_widen_an_interval():
    same, apart = np.zeros((6, 30)), np.repeat(np.arange(6.0)[:, None], 30, 1)
    assert interval_of(same)[2] == 0
    assert interval_of(apart)[2] - interval_of(apart)[1] > 1


def test_it_says_what_it_is():
    assert repr(bench_of()) == (
        "SteeringBench(target ' Paris'; 5 ways, 21 rows, 4 prompts, KL on 50 neutral tokens; 3 s)"
    )
    with pytest.raises(TypeError, match="has no chart"):
        chart_of(3, "tradeoff")
