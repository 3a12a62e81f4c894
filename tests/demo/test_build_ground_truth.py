"""Scores of features against concepts, on codes and labels made by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors import safe_open

from saewidgets.demo import world
from saewidgets.demo.build.card import figures_of, gained
from saewidgets.demo.build.corpus import TokenSpans
from saewidgets.demo.build.ground_truth import Codes, ConceptScore, choose, encode_all, frequent, measure
from saewidgets.demo.build.quality import explained_variance, sae_figures, write_statistics
from saewidgets.demo.build.settings import Settings

# Ten tokens, three features. Concept 4 is expressed by tokens 2-3 and 6; concept 7 by token 8.
DENSE = torch.zeros(10, 3)
DENSE[2, 0] = DENSE[6, 0] = 5.0
DENSE[0, 0] = DENSE[9, 0] = 0.4
DENSE[3, 1] = DENSE[7, 1] = 1.0
SPANS = TokenSpans(np.array([4, 7, 4], np.int32), np.array([2, 8, 6]), np.array([4, 9, 7]))


def codes() -> Codes:
    return encode_all(lambda x: x, DENSE.numpy())


def test_encode_all_keeps_every_firing_of_every_chunk():
    found = encode_all(lambda x: x, DENSE.numpy(), chunk=3)
    assert found.width == 3
    assert np.diff(found.indptr).tolist() == (DENSE > 0).sum(1).tolist()
    again = np.zeros((10, 3), np.float32)
    again[np.repeat(np.arange(10), np.diff(found.indptr)), found.features] = found.values
    assert np.array_equal(again, DENSE.numpy())
    assert found.maximum.tolist() == [5.0, 1.0, 0.0]


def test_a_threshold_rids_the_right_feature_of_its_weak_firings():
    chosen = choose(codes(), SPANS, np.array([4]))
    feature, threshold = chosen[4]
    assert feature == 0
    assert 0.4 <= threshold < 5.0
    (score,) = measure(codes(), SPANS, chosen)
    assert (score.precision, score.recall, score.f1, score.spans) == (1.0, 1.0, 1.0, 2)


def test_precision_is_over_tokens_and_recall_over_spans():
    (all_firings,) = measure(codes(), SPANS, {4: (0, 0.0)})
    assert (all_firings.precision, all_firings.recall) == (0.5, 1.0)
    (other,) = measure(codes(), SPANS, {4: (1, 0.0)})
    assert (other.precision, other.recall, other.f1) == (0.5, 0.5, 0.5)


def test_a_feature_that_never_fires_on_held_out_documents_scores_zero():
    (score,) = measure(codes(), SPANS, {7: (2, 0.0)})
    assert score.f1 == 0.0
    assert score.concept == world.concepts[7].name


def test_the_choice_agrees_with_trying_everything():
    rng = np.random.default_rng(0)
    dense = np.where(rng.random((300, 12)) < 0.2, rng.random((300, 12)), 0).astype(np.float32)
    first = np.sort(rng.choice(290, 40, replace=False))
    spans = TokenSpans(rng.integers(0, 3, 40).astype(np.int32), first, first + rng.integers(1, 4, 40))
    sparse = encode_all(lambda x: x, dense)
    chosen = choose(sparse, spans, np.arange(3))
    for concept in range(3):
        tried = [
            measure(sparse, spans, {concept: (feature, level / 10 * float(sparse.maximum[feature]))})[0].f1
            for feature in range(12)
            for level in range(10)
        ]
        assert measure(sparse, spans, {concept: chosen[concept]})[0].f1 == pytest.approx(max(tried))


def test_rare_concepts_are_left_out():
    few = TokenSpans(np.array([4, 7, 7], np.int32), np.array([0, 1, 2]), np.array([1, 2, 3]))
    assert frequent(SPANS, few, 1).tolist() == [4, 7]
    assert frequent(SPANS, few, 2).tolist() == []


def test_statistics_hold_density_and_maximum_with_their_sample(tmp_path):
    write_statistics(codes(), tmp_path, "ten tokens")
    with safe_open(tmp_path / "feature_statistics.safetensors", "pt") as held:
        assert held.metadata() == {"n_tokens": "10", "sample": "ten tokens"}
        assert held.get_tensor("density").tolist() == pytest.approx([0.4, 0.2, 0.0])
        assert held.get_tensor("reference_max").tolist() == [5.0, 1.0, 0.0]


def test_explained_variance_is_one_for_the_identity_and_zero_for_the_mean():
    x = np.random.default_rng(0).normal(2.0, 1.0, (50, 4)).astype(np.float32)
    assert explained_variance(lambda t: t, x, chunk=7) == 1.0
    mean = torch.from_numpy(x.mean(0))
    assert explained_variance(mean.expand_as, x, chunk=7) == pytest.approx(0.0, abs=1e-6)


def test_figures_follow_their_definitions():
    losses = {"clean": 1.0, "zero": 5.0, "mean": 3.0}
    figures = sae_figures(lambda x: x, codes(), DENSE.numpy(), losses, spliced=1.5)
    assert figures["l0"] == 0.6
    assert figures["dead_fraction"] == pytest.approx(1 / 3, abs=1e-4)
    assert figures["dead_over_tokens"] == 10
    assert (figures["loss_recovered_zero"], figures["loss_recovered_mean"]) == (0.875, 0.75)


def test_gained_concepts_are_high_in_the_wide_and_low_in_the_narrow_one():
    def score(name: str, f1: float, spans: int) -> ConceptScore:
        return ConceptScore(name, 0, 0.0, f1, f1, f1, spans)

    narrow = [score("a", 0.2, 5), score("b", 0.6, 5), score("c", 0.1, 9)]
    wide = [score("a", 0.9, 5), score("b", 0.9, 5), score("c", 0.8, 9)]
    assert gained({"n": narrow, "w": wide}, "n", "w") == ["c", "a"]
    figures = figures_of(Settings(), {}, {}, {"n": narrow, "w": wide}, 589)
    assert figures["concepts"]["found"] == {"n": 0, "w": 3}
    assert json.loads(json.dumps(figures))["concepts"]["scores"]["w"]["b"][4] == 0.9
