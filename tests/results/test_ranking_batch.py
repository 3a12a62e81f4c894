"""Means over prompts with their intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest

from saewidgets.errors import TargetError
from saewidgets.results import Ranking, RankingBatch
from saewidgets.results.statistics import estimate
from tests.results.rankings import NAN, ranking_of


def one(shared: int) -> Ranking:
    """Four features; by ablation 0 and 1 come first. Attribution shares both, activation ``shared`` of them."""
    activation = {0: [1, 1, 9, 9], 1: [9, 1, 9, 1], 2: [9, 9, 1, 1]}[shared]
    effect = [5, 4, 2, 1]
    return ranking_of([(a, 2 * e, e) for a, e in zip(activation, effect, strict=True)])


@pytest.fixture
def batch() -> RankingBatch:
    return RankingBatch((one(0), one(1), one(1), one(2)))


def test_a_batch_is_a_sequence(batch):
    assert (len(batch), batch[1], next(iter(batch))) == (4, batch.rankings[1], batch.rankings[0])
    assert isinstance(batch[:2], RankingBatch)
    assert len(batch[:2]) == 2
    assert repr(batch) == "RankingBatch(4 prompts, 16 of 16 rows ablated)"


def test_mean_overlap(batch):
    found = batch.overlap(2)
    assert found.k == 2
    assert found.activation == estimate(np.array([0.0, 1.0, 1.0, 2.0]))
    assert found.attribution == (2, 2, 2, 4)
    assert found.difference == estimate(np.array([2.0, 1.0, 1.0, 0.0]))


def test_the_difference_is_paired():
    # Activation shares 0 or 1 of 2, attribution one more: each varies over prompts, the difference does not.
    low = ranking_of([(1, 9, 5), (1, 1, 4), (9, 8, 1), (9, 1, 0)])
    high = ranking_of([(9, 9, 5), (1, 8, 4), (8, 1, 1), (1, 1, 0)])
    assert [r.overlap(2)[:2] for r in (low, high)] == [(0, 1), (1, 2)]
    found = RankingBatch((low, high, low)).overlap(2)
    assert found.activation.low < found.activation.high
    assert found.difference == (1, 1, 1, 3)


def test_order_counts():
    turned = RankingBatch((ranking_of([(3, 3, -9), (1, 1, 2), (1, 1, 1)]),))
    assert turned.overlap(1).activation.mean == 1
    assert turned.overlap(1, "signed").activation.mean == 0


def test_prompts_with_fewer_than_k_effects_are_left_out_of_overlaps(batch):
    short = ranking_of([(1, 1, 1), (2, 2, 2), (3, 3, 0)])
    assert RankingBatch((*batch, short)).overlap(3).activation.n == 4
    assert RankingBatch((*batch, short)).overlap(2).activation.n == 5


def test_prompts_ablated_in_part_are_left_out(batch):
    """What was ablated was chosen by attribution, which would be found to agree with itself."""
    part = ranking_of([(1, 1, 1), (2, 2, 2), (3, 4, 3), (4, 3, NAN)])
    for summary in (RankingBatch((*batch, part)).overlap(2), RankingBatch((*batch, part)).correlation().attribution):
        assert summary[0].n == 4
    assert RankingBatch((part,)).overlap(2).activation.n == 0


def test_more_than_there_is(batch):
    none = batch.overlap(10)
    assert (none.activation.n, none.k) == (0, 10)
    assert math.isnan(none.difference.mean)


@pytest.mark.parametrize("k", [0, True])
def test_k_is_a_whole_number_even_where_there_is_no_prompt(k):
    with pytest.raises(TargetError):
        RankingBatch(()).overlap(k)


def test_mean_correlation_leaves_out_what_is_not_defined(batch):
    flat = ranking_of([(4, 5, 5), (4, 4, 4), (4, 2, 2)])
    found = RankingBatch((*batch, flat)).correlation()
    each = [r.correlation().activation for r in batch]
    assert found.activation.pearson == estimate(np.array([c.pearson for c in each]))
    assert found.activation.spearman == estimate(np.array([c.spearman for c in each]))
    assert found.activation.pearson.n == 4
    assert found.attribution.pearson.n == 5
    assert found.attribution.spearman[:3] == pytest.approx((1, 1, 1))


def test_summary_is_the_table_of_the_paper(batch):
    table = batch.summary(2).set_index("measure")
    assert table.index.tolist() == ["overlap@2", "Pearson", "Spearman"]
    kinds = ["activation", "attribution", "difference"]
    assert list(table.columns) == [f"{kind}{end}" for kind in kinds for end in ("", "_low", "_high", "_n")]
    overlap, correlation = batch.overlap(2), batch.correlation()
    assert table.loc["overlap@2"].tolist() == [*overlap.activation, *overlap.attribution, *overlap.difference]
    assert table.loc["Pearson"].tolist()[:8] == [*correlation.activation.pearson, *correlation.attribution.pearson]
    assert table.loc["Spearman"].tolist()[:4] == list(correlation.activation.spearman)
    assert table.loc["Pearson", "difference"] == pytest.approx(
        correlation.attribution.pearson.mean - correlation.activation.pearson.mean
    )


def test_frame_has_a_row_a_prompt(batch):
    frame = batch.to_frame(2)
    assert frame["overlap_activation"].tolist() == [0, 1, 1, 2]
    assert frame["overlap_attribution"].tolist() == [2] * 4
    assert frame.loc[0, ["prompt", "metric_value", "rows", "ablated", "k"]].tolist() == ["Paris is", 2.5, 4, 4, 2]
    second = batch[1].correlation()
    columns = ["pearson_activation", "pearson_attribution", "spearman_activation", "spearman_attribution"]
    assert list(frame.columns)[-4:] == columns
    expected = [second.activation.pearson, second.attribution.pearson]
    expected += [second.activation.spearman, second.attribution.spearman]
    assert frame.loc[1, columns].tolist() == expected


def test_a_batch_of_none():
    empty = RankingBatch(())
    assert empty.overlap().activation.n == 0
    assert empty.correlation().attribution.pearson.n == 0
    assert len(empty.summary()) == 3
    assert len(empty.to_frame()) == 0
    assert "overlap_attribution" in empty.to_frame().columns


def test_200_prompts_of_one_make_a_narrow_interval():
    many = RankingBatch((one(0), one(2)) * 100).overlap(2)
    # Half 0, half 2: standard deviation 1 / sqrt(200).
    assert many.activation.high - many.activation.low == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.1)
