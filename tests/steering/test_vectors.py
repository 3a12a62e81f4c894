"""Vectors made from texts and from features, read from a real model, and the features near a vector."""

from __future__ import annotations

import inspect
import re
import warnings
from typing import Any, cast

import numpy as np
import pytest
import torch

from saewidgets.errors import EditError, FeatureIndexError, HookPointError, MismatchError, PromptError
from saewidgets.models import LanguageModel, batches
from saewidgets.results import SteeringVector
from saewidgets.saes import load_sae
from saewidgets.steering import vectors
from saewidgets.steering.reading import read_texts
from saewidgets.steering.vectors import nearest_features, steering_vector, vector_from_activations

HOOK = "blocks.1.hook_resid_post"
HOOKS = [HOOK, "blocks.0.attn.hook_z", "blocks.1.hook_resid_mid", "blocks.1.mlp.hook_post"]
POSITIVE = ["the cat sat on the mat", "hello", "a café in Zürich 🙂 serves", "the dog ran", "Paris and London"]
NEGATIVE = ["the park", "hello world, this is a small text", "naïve", "sat", "crème"]
# What users call: the arguments' types are checked in tests only.
make, read = inspect.unwrap(steering_vector), inspect.unwrap(read_texts)


@pytest.fixture(scope="module")
def model(bridge) -> LanguageModel:
    return LanguageModel(bridge, "tiny")


@pytest.fixture
def quiet():
    """Few texts are enough for a test."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A vector from")
        yield


def one_at_a_time(model: LanguageModel, texts, hook: str, position) -> np.ndarray:
    rows, bridge = [], cast("Any", model.model)
    for text in texts:
        tokens = model.tokenize(text)
        _, cache = bridge.run_with_cache(torch.from_numpy(tokens.ids)[None])
        x = cache[hook][0].flatten(1).double().numpy()
        rows.append(x[~tokens.special].mean(0) if position == "mean" else x[position])
    return np.array(rows)


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("position", [-1, 1, "mean"])
def test_reads_what_each_text_gives_alone(any_model, hook, position):
    model = LanguageModel(any_model)
    found = read_texts(model, POSITIVE, hook, position=position)
    assert found.dtype == np.float64
    assert found == pytest.approx(one_at_a_time(model, POSITIVE, hook, position), abs=1e-5)


def test_batches_do_not_change_what_is_read(model, monkeypatch):
    whole = read_texts(model, POSITIVE, HOOK)
    monkeypatch.setattr(batches, "BATCH_TOKENS", 12)
    assert read_texts(model, POSITIVE, HOOK) == pytest.approx(whole, abs=1e-5)
    assert len(list(batches.batches_of([model.tokenize(text) for text in POSITIVE]))) > 2


def test_token_ids_are_read_as_they_are(model):
    ids = [list(map(int, model.tokenize(text).ids)) for text in POSITIVE]
    assert np.array_equal(read_texts(model, ids, HOOK), read_texts(model, POSITIVE, HOOK))
    short = read_texts(model, [np.array([5, 9])], HOOK)
    assert short == pytest.approx(one_at_a_time(model, [[5, 9]], HOOK, -1), abs=1e-5)


def test_special_tokens_are_left_out_unless_asked_for(model):
    with_bos = read_texts(model, ["the cat"], HOOK, position="mean", mask_special=False)
    tokens = model.tokenize("the cat")
    x = model.read(torch.from_numpy(tokens.ids)[None], [HOOK])[HOOK][0].double().numpy()
    assert with_bos[0] == pytest.approx(x.mean(0))
    assert read_texts(model, ["the cat"], HOOK, position="mean")[0] == pytest.approx(x[1:].mean(0))
    with pytest.raises(EditError, match=r"Token 0 of text 0 of 'texts' is a special token[\s\S]*mask_special=False"):
        read_texts(model, ["the cat"], HOOK, position=0)
    assert read_texts(model, ["the cat"], HOOK, position=0, mask_special=False)[0] == pytest.approx(x[0])


def test_texts_that_cannot_be_read(model):
    for empty in ([], ()):
        with pytest.raises(EditError, match=r"no texts in 'positive'[\s\S]*got: [\s\S]*expected: [\s\S]*do this: "):
            steering_vector(model, empty, NEGATIVE, HOOK)
    with pytest.raises(EditError, match="no texts in 'negative'"):
        steering_vector(model, POSITIVE, [], HOOK)
    with pytest.raises(EditError, match="not a list of texts"):
        steering_vector(model, "the cat", NEGATIVE, HOOK)
    with pytest.raises(PromptError, match="Text 1 of 'negative'"):
        steering_vector(model, POSITIVE, ["the", ""], HOOK)
    with pytest.raises(EditError, match="Text 1 of 'positive' has no token 20"):
        steering_vector(model, ["a" * 25, "the"], NEGATIVE, HOOK, position=20)
    with pytest.raises(EditError, match="has no token -9"):
        steering_vector(model, ["hello"], NEGATIVE, HOOK, position=-9)
    with pytest.raises(EditError, match="only special tokens"):
        steering_vector(model, [[0]], NEGATIVE, HOOK, position="mean")
    for wrong in ("last", 1.5, True, None):
        with pytest.raises(EditError, match="no position"):
            read(model, POSITIVE, HOOK, position=wrong)


def test_hook_points_that_cannot_be_read(model):
    with pytest.raises(HookPointError, match="no such hook point"):
        steering_vector(model, POSITIVE, NEGATIVE, "blocks.9.hook_resid_post")
    with pytest.raises(EditError, match="not one activation for each token"):
        steering_vector(model, POSITIVE, NEGATIVE, "blocks.0.attn.hook_pattern")
    with pytest.raises(EditError, match="at a hook point"):
        steering_vector(model, POSITIVE, NEGATIVE)


def test_a_text_longer_than_the_context_is_told(model):
    with pytest.warns(UserWarning, match=r"1 of 2 texts of 'texts' are longer than the model's context of 32"):
        read_texts(model, ["xyz " * 40, "the cat"], HOOK)


def test_difference_in_means_of_texts(model, quiet):
    found = steering_vector(model, POSITIVE, NEGATIVE[:3], HOOK, label="joy")
    sides = [one_at_a_time(model, texts, HOOK, -1) for texts in (POSITIVE, NEGATIVE[:3])]
    assert found.direction == pytest.approx(sides[0].mean(0) - sides[1].mean(0), abs=1e-5)
    assert (found.method, found.hook, found.model, found.name) == ("difference_in_means", HOOK, "tiny", "joy")
    assert (found.n_positive, found.n_negative) == (5, 3)
    assert found.cosine_interval is not None
    assert found.cosine_interval[0] < found.cosine_interval[1] <= 1
    assert found.expected_cosine is not None


@pytest.mark.parametrize("method", ["mean_centred", "probe", "pca", "random"])
def test_methods_have_the_length_of_the_difference_or_the_given_one(model, quiet, method):
    difference = steering_vector(model, POSITIVE, NEGATIVE, HOOK)
    found = steering_vector(model, POSITIVE, NEGATIVE, HOOK, method=method)
    assert found.norm == pytest.approx(difference.norm, rel=1e-12)
    assert found.method == method
    if method != "random":
        assert found.cosine(difference) > 0
    given = steering_vector(model, POSITIVE, NEGATIVE, HOOK, method=method, length=3)
    assert given.norm == pytest.approx(3, rel=1e-12)
    assert given.cosine(found) == pytest.approx(1)
    assert (found.cosine_interval is not None) == (method == "mean_centred")


def test_much_regularisation_makes_the_probe_the_difference(model, quiet):
    difference = steering_vector(model, POSITIVE, NEGATIVE, HOOK, length=1)
    cosines = [
        steering_vector(model, POSITIVE, NEGATIVE, HOOK, method="probe", regularisation=each).cosine(difference)
        for each in (1e-3, 1e3)
    ]
    assert cosines[0] < 0.999
    assert cosines[1] >= 0.9999


def test_mean_centred_draws_each_side_for_itself():
    shared = 10 * np.random.default_rng(0).normal(size=(20, 30))
    paired = vector_from_activations(shared + 1, shared, HOOK)
    apart = vector_from_activations(shared + 1, shared, HOOK, method="mean_centred")
    assert np.array_equal(paired.direction, apart.direction)
    assert paired.cosine_interval is not None
    assert apart.cosine_interval is not None
    assert paired.cosine_interval[0] > 0.999
    assert apart.cosine_interval[0] < 0.9
    assert paired.expected_cosine is not None
    assert apart.expected_cosine is not None
    assert paired.expected_cosine > apart.expected_cosine


def test_centred_component_is_only_made_on_request(model, quiet):
    with pytest.warns(UserWarning, match="leaves out the mean difference"):
        steering_vector(model, POSITIVE, NEGATIVE, HOOK, method="pca", centred=True)
    with pytest.raises(EditError, match="text i of both sides makes a pair"):
        steering_vector(model, POSITIVE, NEGATIVE[:3], HOOK, method="pca")


def test_random_needs_a_length_or_texts(model):
    found = steering_vector(model, hook="blocks.0.attn.hook_z", method="random", length=2.5)
    assert (len(found), found.norm) == (32, pytest.approx(2.5))
    again = [steering_vector(model, hook=HOOK, method="random", length=1, seed=seed) for seed in (0, 0, 1)]
    assert np.array_equal(again[0].direction, again[1].direction)
    assert not np.array_equal(again[0].direction, again[2].direction)
    with pytest.raises(EditError, match="no texts"):
        steering_vector(model, hook=HOOK, method="random")


def test_few_texts_come_with_a_warning_and_its_reason(model):
    texts = [f"the cat {n} sat" for n in range(32)]
    others = [f"hello {n} world" for n in range(32)]
    with pytest.warns(UserWarning, match=r"31 positive and 32 negative texts; 32 pairs[\s\S]*tr / \(n \|delta\|\^2\)"):
        found = steering_vector(model, texts[:31], others, HOOK, n_bootstrap=0)
    assert found.cosine_interval is None
    with pytest.warns(UserWarning, match=re.escape(f"from these texts: {found.expected_cosine:.2f}")):
        steering_vector(model, texts[:31], others, HOOK)
    with pytest.warns(UserWarning, match="1 positive and 1 negative"):
        one = steering_vector(model, texts[:1], others[:1], HOOK)
    assert (one.cosine_interval, one.expected_cosine) == (None, None)
    # Warnings are errors here: 32 pairs give none.
    steering_vector(model, texts, others, HOOK)


def test_feature_at_its_maximum_or_at_a_length(model, make_tensors):
    sae = load_sae(make_tensors("jumprelu"), HOOK)
    sae.reference_max = np.arange(64, dtype=np.float32)
    found = steering_vector(model, method="sae_feature", sae=sae, feature=5)
    assert found.direction == pytest.approx(5 * sae.W_dec[5].double().numpy())
    assert (found.hook, found.method, found.name) == (HOOK, "sae_feature", "feature 5")
    given = steering_vector(model, hook=HOOK, method="sae_feature", sae=sae, feature=5, length=2)
    assert given.norm == pytest.approx(2)
    assert given.cosine(found) == pytest.approx(1)
    with pytest.raises(EditError, match="feature 0 has no known maximum"):
        steering_vector(model, method="sae_feature", sae=sae, feature=0)


def test_features_that_cannot_be_taken(model, make_tensors):
    sae = load_sae(make_tensors(), HOOK)
    with pytest.raises(EditError, match="no known maximum"):
        steering_vector(model, method="sae_feature", sae=sae, feature=5)
    with pytest.raises(EditError, match="Which feature"):
        steering_vector(model, method="sae_feature", sae=sae)
    for wrong in (-1, 64):
        with pytest.raises(FeatureIndexError, match=r"0\.\.63"):
            steering_vector(model, method="sae_feature", sae=sae, feature=wrong)
    with pytest.raises(MismatchError, match="another hook point"):
        steering_vector(model, hook="blocks.0.hook_resid_post", method="sae_feature", sae=sae, feature=5, length=1)
    sae.reference_max, sae.normalization = np.ones(64, np.float32), "layer_norm"
    with pytest.raises(EditError, match="each token's own scale"):
        steering_vector(model, method="sae_feature", sae=sae, feature=5)
    assert steering_vector(model, method="sae_feature", sae=sae, feature=5, length=1).norm == pytest.approx(1)


def test_unknown_options_are_refused(model):
    with pytest.raises(EditError, match="difference_in_means, mean_centred"):
        make(model, POSITIVE, NEGATIVE, HOOK, method="magic")
    for wrong in (0, -1.0, float("nan")):
        with pytest.raises(EditError, match="length above 0"):
            steering_vector(model, POSITIVE, NEGATIVE, HOOK, length=wrong)
    with pytest.raises(EditError, match="No such vector is made from activations"):
        vector_from_activations(np.ones((1, 2)), np.zeros((1, 2)), HOOK, method="sae_feature")
    with pytest.raises(EditError, match="same mean activation"):
        steering_vector(model, POSITIVE, POSITIVE, HOOK)


def test_vectors_of_one_length_change_the_model_by_one_amount(model, quiet, make_tensors):
    """Norm matching: whatever the method, the mean length of the change is the same."""
    sae = load_sae(make_tensors(), HOOK)
    texts = {"hook": HOOK, "positive": POSITIVE, "negative": NEGATIVE, "length": 2.0}
    made = [steering_vector(model, method=m, **texts) for m in ("difference_in_means", "probe", "pca", "random")]
    made += [steering_vector(model, method="sae_feature", sae=sae, feature=3, length=2.0)]
    ids = torch.from_numpy(model.tokenize(POSITIVE[0]).ids)[None]
    base = model.read(ids, [HOOK])[HOOK].double()
    lengths = []
    for vector in made:
        added = torch.from_numpy(vector.direction)
        with model.steered([(model.site(HOOK), lambda x, _, added=added: added.to(x).expand_as(x))]):
            lengths.append(float((model.read(ids, [HOOK])[HOOK].double() - base).norm(dim=-1).mean()))
    assert np.std(lengths) / np.mean(lengths) <= 1e-5
    assert np.mean(lengths) == pytest.approx(2, rel=1e-5)


@pytest.mark.parametrize("kind", ["standard", "topk", "gated", "jumprelu"])
def test_nearest_features_against_all_cosines(make_tensors, monkeypatch, kind):
    tensors = make_tensors(kind)
    sae = load_sae(tensors, HOOK)
    rows = tensors["W_dec"].double().numpy()
    vector = SteeringVector(rows[7] - 2 * rows[9], HOOK, "given")
    cosines = [float(vector.unit @ row / np.linalg.norm(row)) for row in rows]
    order = sorted(range(64), key=lambda n: -abs(cosines[n]))
    found = nearest_features(vector, sae, k=12)
    assert [near.feature for near in found] == order[:12]
    assert [near.cosine for near in found] == pytest.approx([cosines[n] for n in order[:12]])
    assert (found[0].feature, found[0].cosine < -0.7) == (9, True)
    monkeypatch.setattr(vectors, "_CHUNK_NUMBERS", 5 * 32)
    in_pieces = nearest_features(vector, sae, k=12)
    assert [near.feature for near in in_pieces] == order[:12]
    assert [near.cosine for near in in_pieces] == pytest.approx([near.cosine for near in found])


def test_nearest_features_of_an_array_of_twins_and_of_a_dead_row(make_tensors):
    tensors = make_tensors()
    tensors["W_dec"][4] = -2 * tensors["W_dec"][60]
    tensors["W_dec"][8] = 0
    sae = load_sae(tensors, HOOK)
    found = nearest_features(sae.W_dec[60], sae, k=100)
    assert len(found) == 64
    assert {near.feature for near in found[:2]} == {4, 60}
    assert (found[-1].feature, found[-1].cosine) == (8, 0)


def test_nearest_features_of_what_does_not_fit(make_tensors):
    sae = load_sae(make_tensors(), HOOK)
    with pytest.raises(MismatchError, match="31 numbers"):
        nearest_features(np.ones(31), sae)
    with pytest.raises(EditError, match="not a direction"):
        nearest_features(np.zeros(32), sae)
    with pytest.raises(EditError, match="1 or more"):
        nearest_features(np.ones(32), sae, k=0)
