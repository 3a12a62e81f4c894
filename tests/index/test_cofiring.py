"""Features that fire together, against counting their tokens one by one."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.index.cofiring import CoFiringTable
from saewidgets.index.finish import _pairs, _sketch
from saewidgets.index.hashing import priority, salt
from tests.index.planted import accumulated, items

N_TOKENS = 4000


def planted(shares, n_tokens: int = N_TOKENS, seed: int = 0) -> tuple[CoFiringTable, list[set[int]]]:
    """Features that fire on random tokens; feature 1 on half of those of feature 0, and on others."""
    random = np.random.default_rng(seed)
    fires = [set(random.choice(n_tokens, int(share * n_tokens), replace=False).tolist()) for share in shares]
    half = sorted(fires[0])[::2]
    fires[1] = set(half) | {t for t in range(0, n_tokens, 97) if t not in fires[0]}
    pairs = [(n, t) for n, tokens in enumerate(fires) for t in sorted(tokens)]
    features, positions = np.array(pairs).T
    state = accumulated(items(features, positions, np.ones(len(pairs))), len(shares), per_bin=6)
    sketch = _sketch(state)
    columns = _pairs(sketch)
    salted = salt(0, "token")
    table = CoFiringTable(
        "sae", state.count, sketch, columns["token"], columns["feature"], lambda tokens: priority(salted, tokens)
    )
    return table, fires


def test_is_exact_where_features_fire_on_few_tokens():
    table, fires = planted([0.01, 0, 0.012, 0.008, 0.015])
    for feature, own in enumerate(fires):
        found = {each.feature.index: each for each in table.of(feature, 10)}
        assert found.keys() == {n for n, other in enumerate(fires) if n != feature and own & other}
        for n, each in found.items():
            both, either = len(own & fires[n]), len(own | fires[n])
            assert each.exact
            assert (each.both, each.jaccard, each.given) == (both, both / either, both / len(own))


def test_most_alike_come_first_and_no_more_than_asked_for():
    table, _ = planted([0.01, 0, 0.012, 0.008, 0.015])
    found = list(table.of(0, 2))
    assert len(found) <= 2
    assert found[0].feature.index == 1
    assert [each.jaccard for each in found] == sorted((each.jaccard for each in found), reverse=True)


def test_estimates_lie_in_their_interval_nineteen_times_in_twenty():
    hits, errors = 0, []
    for seed in range(60):
        table, fires = planted([0.3, 0, 0.3], seed=seed)
        pair = next(each for each in table.of(0, 10) if each.feature.index == 1)
        true = len(fires[0] & fires[1]) / len(fires[0] | fires[1])
        assert not pair.exact
        hits += pair.low <= true <= pair.high
        errors.append(pair.jaccard - true)
    assert hits >= 53
    assert abs(np.mean(errors)) < 0.02
    assert np.std(errors) < 0.08


def test_counts_follow_from_the_estimate():
    table, fires = planted([0.3, 0, 0.3])
    (pair,) = table.of(0, 1)
    assert pair.both == pytest.approx(pair.jaccard / (1 + pair.jaccard) * (len(fires[0]) + len(fires[1])))
    assert pair.given == pytest.approx(pair.both / len(fires[0]))


def test_feature_that_never_fires_has_none():
    table, _ = planted([0.01, 0, 0.0])
    assert table.of(2, 10) == ()
