"""``lab.attention``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import Lab, steering
from saewidgets.errors import HookPointError, PromptError, TokenError, UnknownNameError

PROMPT = "the cat sat on the mat"


def test_positions_are_those_of_activations(lab):
    found = lab.attention(PROMPT, 1)
    assert found.tokens == lab.activations(PROMPT).tokens
    assert (found.model, found.layer) == ("tiny", 1)
    assert found.pattern[:, 0, 0].tolist() == [1.0] * 4


def test_an_sae_without_bos_sets_how_a_text_is_split(bridge, make_sae_folder):
    lab = Lab(bridge, name="tiny")
    assert lab.attention(PROMPT, 0).special_mask[0]
    lab.add_sae(make_sae_folder(metadata={"prepend_bos": False}))
    assert lab.attention(PROMPT, 0).tokens == lab.activations(PROMPT).tokens
    assert not lab.attention(PROMPT, 0).special_mask.any()


def test_token_ids_are_taken_as_they_are(lab):
    ids = [5, 6, 7, 8]
    assert lab.attention(ids, 0).prompt_tokens.ids.tolist() == ids
    assert np.array_equal(lab.attention(torch.tensor(ids), 0).pattern, lab.attention(ids, 0).pattern)


def test_another_model_by_name(lab, make_model):
    lab.add_model("other", make_model("gpt2"))
    found = lab.attention(PROMPT, -1, model="other")
    assert (found.model, found.layer) == ("other", 1)
    assert not np.allclose(found.pattern, lab.attention(PROMPT, -1).pattern, atol=1e-3)


@pytest.mark.parametrize("model", ["nope", "sae", 3, ""])
def test_no_such_model(lab, model):
    with pytest.raises(UnknownNameError, match="'tiny'"):
        lab.attention(PROMPT, 0, model=model)


@pytest.mark.parametrize(
    ("prompt", "layer", "error"),
    [
        ("", 0, PromptError),
        (5, 0, PromptError),
        ("a\ud800", 0, PromptError),
        ([10**9], 0, TokenError),
        (list(range(40)), 0, PromptError),
        (PROMPT, 2, HookPointError),
        (PROMPT, "1", HookPointError),
    ],
)
def test_bad_input_is_explained(lab, prompt, layer, error):
    with pytest.raises(error):
        lab.attention(prompt, layer)


def test_a_long_text_is_cut_and_says_so(lab):
    found = lab.attention("the cat " * 40, 0)
    assert len(found) == 32
    assert found.prompt_tokens.n_dropped > 0


def test_steering_is_seen(lab):
    before = lab.attention(PROMPT, 1).pattern
    lab.add_sae(lab_sae(lab), "early", hook="blocks.0.hook_resid_post")
    with lab.steering([steering.add("early/3", 20.0, maximum=1.0)]):
        inside = lab.attention(PROMPT, 1).pattern
    assert not np.allclose(inside, before, atol=1e-3)
    assert np.array_equal(lab.attention(PROMPT, 1).pattern, before)


def lab_sae(lab):
    """The tensors of the lab's SAE."""
    sae = lab.saes["sae"]
    return {name: getattr(sae, name) for name in ("W_enc", "W_dec", "b_enc", "b_dec")}
