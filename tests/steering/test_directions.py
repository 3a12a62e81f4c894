"""The arithmetic of vectors on planted activations, where the true direction is known."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

from saewidgets.errors import EditError
from saewidgets.steering.directions import (
    bootstrap_cosine,
    difference_in_means,
    estimated_cosine,
    expected_cosine,
    principal_component,
    probe,
    random_direction,
)

D = 128


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def planted(n: int, seed: int = 0, d: int = D, strength: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positive and negative activations of unequal variances, a common offset, and the true difference."""
    random = np.random.default_rng(seed)
    deviations = np.geomspace(0.2, 1.0, d)
    delta = np.random.default_rng(99).normal(size=d)
    delta *= strength / np.linalg.norm(delta)
    offset = np.random.default_rng(98).normal(size=d)
    sides = [offset + deviations * random.normal(size=(n, d)) for _ in range(2)]
    return sides[0] + delta, sides[1], delta


def trace(d: int = D) -> float:
    return 2 * float((np.geomspace(0.2, 1.0, d) ** 2).sum())


def test_difference_in_means_by_hand_and_in_float64():
    big = np.array([[1e8, 1.0], [1e8, 3.0]], np.float32)
    assert difference_in_means(big, np.array([[1e8, -1.0]], np.float32)).tolist() == [0.0, 3.0]
    # float32 would lose the 1 beside 2^24.
    tiny = np.full((3, 1), 2.0**24, np.float32)
    tiny[0] += 2
    assert difference_in_means(tiny, np.full((1, 1), 2.0**24, np.float32))[0] == pytest.approx(2 / 3, rel=1e-8)


@pytest.mark.parametrize("n", [1, 2, 4, 8, 16, 32, 64, 128, 256])
def test_difference_in_means_follows_the_estimation_law(n):
    found = [cosine(difference_in_means(*planted(n, seed)[:2]), planted(1)[2]) for seed in range(200)]
    assert np.mean(found) == pytest.approx(expected_cosine(n, trace(), 1.0), abs=0.03)


def test_estimation_law_by_hand():
    assert expected_cosine(4, 12.0, 1.0) == 0.5
    assert expected_cosine(8, 0.0, 2.0) == 1
    assert expected_cosine(8, 1.0, 0.0) == 0
    for wrong in ((0, 1.0, 1.0), (1, -1.0, 1.0), (1, 1.0, math.nan)):
        with pytest.raises(EditError, match="expected: n above 0"):
            expected_cosine(*wrong)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize(("n", "near"), [(16, 0.12), (64, 0.03), (256, 0.01)])
def test_law_with_estimated_trace_and_norm_is_near_the_true_cosine(n, near, paired):
    pairs = [planted(n, seed)[:2] for seed in range(40)]
    estimates = [estimated_cosine(*pair, paired) for pair in pairs]
    true = [cosine(difference_in_means(*pair), planted(1)[2]) for pair in pairs]
    assert np.mean([e for e in estimates if e is not None]) == pytest.approx(np.mean(true), abs=near)


def test_estimate_is_0_for_noise_and_none_for_one_text():
    p, n, _ = planted(32, strength=0.0)
    assert estimated_cosine(p, n) == pytest.approx(0, abs=0.4)
    found = [estimated_cosine(*planted(32, seed, strength=0.0)[:2]) for seed in range(20)]
    assert 0.0 in found  # below its noise
    assert estimated_cosine(p[:1], n) is None


def test_pairs_that_share_their_noise_are_surer():
    random = np.random.default_rng(0)
    shared = 3 * random.normal(size=(40, D))
    p, n = shared + 1 + 0.1 * random.normal(size=(40, D)), shared
    paired, apart = estimated_cosine(p, n), estimated_cosine(p, n, paired=False)
    assert paired is not None
    assert apart is not None
    assert paired > 0.99 > apart


def test_mean_centring_takes_off_a_common_offset():
    p, general, delta = planted(256, strength=3.0)
    before, after = cosine(p.mean(0), delta), cosine(difference_in_means(p, general), delta)
    assert after - before >= 0.3
    assert after > 0.9


def balanced_loss(w: np.ndarray, b: float, p: np.ndarray, n: np.ndarray, regularisation: float) -> float:
    losses = [np.log1p(np.exp(-(p @ w + b))).mean(), np.log1p(np.exp(n @ w + b)).mean()]
    return float(sum(losses) / 2 + regularisation / 2 * (w**2).sum())


@pytest.mark.parametrize("regularisation", [1e-3, 0.1, 10.0])
@pytest.mark.parametrize("m", [5, 40])
def test_probe_is_at_the_minimum_of_its_loss(regularisation, m):
    p, n, _ = planted(40, d=12)
    w, b = probe(p, n[:m], regularisation)
    lowest = balanced_loss(w, b, p, n[:m], regularisation)
    step = 1e-3
    for change in step * np.eye(13):
        around = [balanced_loss(w + s * change[:12], b + s * change[12], p, n[:m], regularisation) for s in (-1, 1)]
        assert min(around) > lowest
        # As large on both sides, but for the third derivative.
        assert (around[0] - around[1]) / (2 * step) == pytest.approx(0, abs=5e-6)


@pytest.mark.parametrize("m", [64, 16])
def test_probe_with_much_regularisation_is_the_difference_in_means(m):
    p, n, _ = planted(64)
    w, _ = probe(p, n[:m], 1e3)
    assert cosine(w, difference_in_means(p, n[:m])) >= 0.9999
    assert w * 4e3 == pytest.approx(difference_in_means(p, n[:m]), rel=0.02, abs=0.02)


def test_probe_with_little_regularisation_differs_from_the_difference_in_means():
    # Much noise along the difference: the classifier turns away from it.
    random = np.random.default_rng(0)
    deviations = np.geomspace(0.05, 5, 64)
    delta = 0.5 * np.ones(64)
    p, n = delta + deviations * random.normal(size=(512, 64)), deviations * random.normal(size=(512, 64))
    cosines = [cosine(probe(p, n, each)[0], difference_in_means(p, n)) for each in (1e-3, 0.1, 10.0, 1e3)]
    assert cosines[0] < 0.9
    assert cosines == sorted(cosines)
    assert cosines[-1] >= 0.9999


def test_probe_separates_and_points_to_the_positive_side():
    p, n, _ = planted(100, strength=8.0)
    w, b = probe(p, n, 1e-3)
    assert (p @ w + b > 0).all()
    assert (n @ w + b < 0).all()
    flipped, c = probe(n, p, 1e-3)
    assert flipped == pytest.approx(-w, rel=1e-6, abs=1e-9)
    assert c == pytest.approx(-b, rel=1e-6)


def test_probe_lies_within_the_texts_and_survives_wide_activations_far_from_0():
    random = np.random.default_rng(1)
    p, n = random.normal(size=(3, 2000)) + 1e4, random.normal(size=(2, 2000)) + 1e4
    w, _ = probe(p, n, 1e-6)
    rows = np.concatenate([p, n]) - (p.mean(0) + n.mean(0)) / 2
    inside = rows.T @ np.linalg.lstsq(rows.T, w, rcond=None)[0]
    assert inside == pytest.approx(w, abs=1e-9 * np.abs(w).max())


@pytest.mark.parametrize("regularisation", [0.0, -1.0, math.nan])
def test_probe_needs_regularisation(regularisation):
    with pytest.raises(EditError, match="above 0"):
        probe(np.ones((2, 2)), np.zeros((2, 2)), regularisation)


def pairs_along_one_direction() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    delta = random.normal(size=D)
    delta *= 4 / np.linalg.norm(delta)
    shared = 5 * random.normal(size=(256, D))
    return shared + delta + 0.2 * random.normal(size=(256, D)), shared, delta


def test_uncentred_component_is_the_planted_direction_and_the_centred_one_is_not():
    p, n, delta = pairs_along_one_direction()
    assert cosine(principal_component(p, n), delta) >= 0.95
    with pytest.warns(UserWarning, match="leaves out the mean difference"):
        centred = principal_component(p, n, centred=True)
    assert abs(cosine(centred, delta)) <= 0.5


def test_component_has_length_1_and_the_sign_of_the_difference():
    p, n, delta = pairs_along_one_direction()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there, back = principal_component(p, n), principal_component(n, p)
    assert np.linalg.norm(there) == pytest.approx(1)
    assert back == pytest.approx(-there)
    assert there @ delta > 0


def test_component_is_the_top_eigenvector_of_the_differences():
    p, n, _ = planted(20, d=6)
    rows = p - n
    values, vectors = np.linalg.eigh(rows.T @ rows)
    assert abs(cosine(principal_component(p, n), vectors[:, values.argmax()])) == pytest.approx(1)


def test_component_needs_pairs():
    with pytest.raises(EditError, match="2 positive and 3 negative texts"):
        principal_component(np.ones((2, 4)), np.zeros((3, 4)))
    with pytest.raises(EditError, match="no variance"), pytest.warns(UserWarning, match="leaves out"):
        principal_component(np.ones((2, 4)), np.zeros((2, 4)), centred=True)


def test_interval_narrows_with_pairs():
    widths = []
    for n in (8, 32, 128):
        interval = bootstrap_cosine(*planted(n)[:2])
        assert interval is not None
        low, high = interval
        assert 0 < low < high < 1
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[2] < widths[0] / 2


@pytest.mark.parametrize("paired", [True, False])
def test_interval_against_a_loop(paired):
    p, n, _ = planted(20, d=40)
    random = np.random.default_rng(7)
    whole, cosines = p.mean(0) - n.mean(0), []
    for _ in range(4000):
        first = random.integers(20, size=20)
        second = first if paired else random.integers(20, size=20)
        cosines.append(cosine(p[first].mean(0) - n[second].mean(0), whole))
    found = bootstrap_cosine(p, n, 4000, paired=paired)
    assert found == pytest.approx(np.percentile(cosines, [2.5, 97.5]), abs=0.02)


def test_pairs_are_drawn_together_where_there_are_equally_many():
    shared = 10 * np.random.default_rng(0).normal(size=(20, 30))
    p, n = shared + 1, shared
    assert bootstrap_cosine(p, n) == pytest.approx((1, 1))
    apart = bootstrap_cosine(p, n, paired=False)
    assert apart is not None
    assert apart[0] < 0.9
    assert bootstrap_cosine(p, n[:19]) != bootstrap_cosine(p, n)


def test_interval_is_the_same_again_and_in_pieces(monkeypatch):
    p, n, _ = planted(12)
    assert bootstrap_cosine(p, n, seed=3) == bootstrap_cosine(p, n, seed=3)
    assert bootstrap_cosine(p, n, seed=3) != bootstrap_cosine(p, n, seed=4)
    whole = bootstrap_cosine(p, n)
    monkeypatch.setattr("saewidgets.steering.directions.CHUNK", 7 * D)
    assert bootstrap_cosine(p, n) == pytest.approx(whole, rel=1e-12)


def test_no_interval_from_one_text_or_without_resamples():
    p, n, _ = planted(4)
    assert bootstrap_cosine(p[:1], n) is None
    assert bootstrap_cosine(p, n, 0) is None


def test_resamples_without_a_difference_count_as_0():
    p = np.array([[1.0, 0.0], [-1.0, 0.0], [0.5, 0.0]])
    found = bootstrap_cosine(p, np.zeros((3, 2)))
    assert found is not None
    assert found == (-1, 1)


def test_random_direction_has_its_length_and_no_direction():
    drawn = np.array([random_direction(64, 2.5, seed) for seed in range(300)])
    assert np.linalg.norm(drawn, axis=1) == pytest.approx(2.5)
    assert np.linalg.norm(drawn.mean(0)) < 0.3
    assert not np.array_equal(drawn[0], drawn[1])


def test_same_means_are_no_direction():
    p = np.array([[1e6, 2.0], [3e6, 4.0]])
    with pytest.raises(EditError, match="same mean activation"):
        difference_in_means(p, p[::-1] + 1e-9)


@pytest.mark.parametrize(
    ("positive", "negative", "message"),
    [
        (np.zeros((0, 3)), np.ones((1, 3)), "side 'positive'"),
        (np.ones((1, 3)), np.ones(3), "side 'negative'"),
        (np.full((1, 3), math.nan), np.ones((1, 3)), "not all finite"),
        (np.ones((1, 3)), np.ones((1, 4)), "3 and 4 numbers"),
    ],
)
def test_what_is_no_pair_of_sides(positive, negative, message):
    for call in (difference_in_means, principal_component, probe, bootstrap_cosine, estimated_cosine):
        with pytest.raises(EditError, match=message):
            call(positive, negative)
