"""lab.steering, lab.next_token, lab.generate and lab.measure_maxima, as a user asks them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.errors import EditError, MismatchError
from tests.models.test_language_model import hooks_left

HOOK = "blocks.1.hook_resid_post"
PROMPT = [0, 5, 9, 40, 41]
IDS = torch.tensor([PROMPT])


@pytest.fixture
def steer_lab(lab):
    lab.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    return lab


@torch.no_grad()
def test_next_token_is_what_two_passes_give(steer_lab, bridge):
    base = bridge(IDS)[0, -1].double().softmax(-1)
    with steer_lab.steering(st.set("sae/3", 2)):
        edited = bridge(IDS)[0, -1].double().softmax(-1)
    found = steer_lab.next_token(PROMPT, st.set("sae/3", 2), k=6)
    order = torch.maximum(base, edited).topk(6).indices
    assert found.ids.tolist() == order.tolist()
    np.testing.assert_allclose(found.base, base[order].detach().numpy(), atol=1e-6)
    np.testing.assert_allclose(found.edited, edited[order].detach().numpy(), atol=1e-6)
    assert found.kl == pytest.approx(float((base * (base / edited).log()).sum()), abs=1e-5)
    assert found.steered.tolist() == [False, True, True, True, True]
    assert found.edits == ("sae/3: x + (2 m - f) d",)
    assert len(steer_lab.next_token(PROMPT, k=10**6)) == 321
    plain = steer_lab.next_token(PROMPT)
    assert plain.kl == 0
    assert np.array_equal(plain.base, plain.edited)
    assert hooks_left(bridge) == 0


def test_generation_in_another_thread_is_not_steered(steer_lab):
    plain = steer_lab.generate(PROMPT, (), 6)
    found: list[Any] = []
    with steer_lab.steering(st.set("sae/3", 20)):
        thread = threading.Thread(target=lambda: found.append(steer_lab.generate(PROMPT, (), 6)))
        thread.start()
        thread.join()
    assert found[0].new_tokens.ids.tolist() == plain.new_tokens.ids.tolist()
    assert np.array_equal(found[0].logprobs, plain.logprobs)


def test_features_by_number_name_and_id(steer_lab, bridge):
    logits = []
    for feature in (3, "3", "sae/3", steer_lab.feature_id(3)):
        with steer_lab.steering([st.set(feature, 2)]):
            logits.append(bridge(IDS))
    assert all(torch.equal(each, logits[0]) for each in logits)


def test_maxima_are_those_of_the_activations_without_special_tokens(lab):
    texts = ["the cat sat on the mat", "hello world", "the dog ran"]
    lab.measure_maxima(texts)
    expected = np.zeros(64, np.float32)
    n = 0
    for text in texts:
        tokens = lab.model_of().tokenize(text, lab.saes["sae"].prepend_bos)
        x = lab.model_of().read(torch.from_numpy(tokens.ids)[None], [HOOK])[HOOK]
        acts = lab.saes["sae"].encode(x)[0][0][torch.from_numpy(~tokens.special)]
        expected = np.maximum(expected, acts.max(0).values.numpy())
        n += len(acts)
    np.testing.assert_allclose(lab.saes["sae"].reference_max, expected, atol=1e-4)
    assert lab.saes["sae"].n_reference_tokens == n
    assert lab.saes["sae"].reference_sample == "3 texts given"
    with pytest.raises(EditError, match="no texts"):
        lab.measure_maxima([])


def test_edits_of_two_models(steer_lab, make_model, make_tensors):
    steer_lab.add_model("other", make_model("native"))
    steer_lab.add_sae(make_tensors(), name="upper", hook=HOOK, model="other")
    with pytest.raises(MismatchError, match="several models"):
        steer_lab.steering([st.ablate("sae/3"), st.ablate("upper/3")])
    with pytest.raises(MismatchError, match="several models"):
        steer_lab.steering(st.ablate("sae/3"), model="other")
    other = steer_lab.models["other"].model
    base = other(IDS)
    with steer_lab.steering(st.ablate("upper/3")):
        assert hooks_left(other) == 2
        assert hooks_left(steer_lab.models["tiny"].model) == 0
    assert torch.equal(other(IDS), base)


def test_sweep_wants_strengths_and_an_edit_that_has_one(steer_lab):
    for values in ([], [float("nan")]):
        with pytest.raises(EditError, match="no strengths"):
            steer_lab.sweep(PROMPT, st.set(3, 1), values)
    with pytest.raises(EditError, match="nothing to sweep"):
        steer_lab.sweep(PROMPT, (), [1])
    with pytest.raises(EditError, match="no strength to sweep"):
        steer_lab.sweep(PROMPT, [st.set(3, 1), st.ablate(4)], [1, 2])
    swept = steer_lab.sweep(PROMPT, [st.ablate(4), st.set(3, 1)], [1, 2], 2)
    assert [found.edits[1] for found in swept] == ["sae/3: x + (1 m - f) d", "sae/3: x + (2 m - f) d"]


def test_nothing_is_measured_where_it_is_not_wanted(steer_lab):
    found = steer_lab.generate(PROMPT, (), 3, measure=False)
    assert np.isnan(found.kl).all()
    assert np.isnan(found.base_logprobs).all()
    assert np.isfinite(found.logprobs).all()
