"""The statistics of one feature as a result: what it derives, and its frames."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.results import Example, FeatureId, FeatureStats, Histogram, Interval, Tokens


def example(value: float = 2.0, position: int = 3, n: int = 8, decode=None) -> Example:
    return Example(value, position, np.arange(n), text=7, offset=20, decode=decode)


def stats(count: int = 30, n_tokens: int = 1000, **changes) -> FeatureStats:
    none = Histogram(np.zeros(0, np.int64), np.zeros(1))
    interval = Interval(0.0, 2.0, 30, 30, 30, 1.0, 45.0, 1.0, (example(1.0),))
    fields = {
        "feature": FeatureId("mid", 7), "n_tokens": n_tokens, "count": count, "max": 2.0, "mean": 1.5, "std": 0.1,
        "quantiles": (), "histogram": none, "fine_histogram": none, "intervals": (interval,), "top": (example(),),
    }  # fmt: skip
    return FeatureStats(**fields | changes)


def test_density_and_what_it_tells():
    assert stats().density == 0.03
    assert (stats().dense, stats().dead) == (True, False)
    assert (stats(10).dense, stats(11).dense) == (False, True)
    assert (stats(0).dead, stats(0, 0).density) == (True, 0.0)


def test_repr_is_one_line():
    assert repr(stats()) == "FeatureStats('mid/7', fires on 30 of 1,000 tokens (3.000%), max 2)"
    assert repr(stats(0)) == "FeatureStats('mid/7', dead)"


def test_frame_has_one_row_an_example():
    frame = stats().to_frame()
    assert frame["list"].tolist() == ["top", 1]
    assert frame["activation"].tolist() == [2.0, 1.0]
    assert frame["position"].tolist() == [23, 23]
    assert frame["token"].tolist() == ["<3>", "<3>"]
    assert stats(top=(), intervals=()).to_frame().columns.tolist() == frame.columns.tolist()


def test_frame_of_the_intervals():
    frame = stats().intervals_frame()
    assert frame.loc[0, ["low", "high", "count", "mass_share"]].tolist() == [0.0, 2.0, 30, 1.0]


@pytest.mark.parametrize(("position", "span"), [(0, (0, 6)), (3, (0, 8)), (7, (2, 8))])
def test_tokens_near_are_cut_where_the_window_ends(position, span):
    assert example(position=position).around() == span


def test_tokens_are_decoded_when_they_are_looked_at():
    calls = []

    def decode(ids: np.ndarray) -> Tokens:
        calls.append(ids)
        return Tokens(ids, tuple(b"x" for _ in ids), np.zeros(len(ids), bool))

    one = example(decode=decode)
    assert calls == []
    assert one.tokens.text == one.tokens.text == "x" * 8
    assert len(calls) == 1


def test_exact_where_both_bounds_agree():
    assert Interval(0, 1, 5, 5, 5, 1, 1, 1).exact
    assert not Interval(0, 1, 5.5, 5, 6, 1, 1, 1).exact
