"""Attention patterns against TransformerLens' own cache, on each class of model."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch

from saewidgets.analysis.attention import attention
from saewidgets.errors import HookPointError, MismatchError, NonFiniteError
from saewidgets.models import LanguageModel
from tests.conftest import ARCHITECTURES

PROMPT = "the cat sat on the mat"


def cached(model, ids, layer):
    _, cache = model.run_with_cache(torch.tensor(ids)[None])
    return cache[f"blocks.{layer}.attn.hook_pattern"][0].detach().float().numpy()


@pytest.mark.parametrize("layer", [0, 1])
def test_equals_the_cache(any_model, layer):
    model = LanguageModel(any_model, "tiny")
    tokens = model.tokenize(PROMPT)
    found = attention(model, tokens, layer)
    assert np.allclose(found.pattern, cached(any_model, tokens.ids, layer), atol=1e-6)
    assert found.pattern.shape == (4, len(tokens), len(tokens))
    assert found.pattern.dtype == np.float32
    assert (found.layer, found.n_layers, found.model) == (layer, 2, "tiny")
    assert found.hook == f"blocks.{layer}.attn.hook_pattern"


def test_rows_sum_to_one_and_nothing_is_later(any_model):
    model = LanguageModel(any_model)
    pattern = attention(model, model.tokenize(PROMPT), 1).pattern
    assert pattern.sum(axis=-1) == pytest.approx(np.ones(pattern.shape[:2]), abs=1e-5)
    assert not np.triu(pattern, k=1).any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_architecture_grouped_heads_among_them(make_hf_folder, architecture):
    from transformer_lens.model_bridge import TransformerBridge

    bridge = TransformerBridge.boot_transformers(str(make_hf_folder(architecture)), device="cpu")
    model = LanguageModel(bridge)
    tokens = model.tokenize(PROMPT)
    found = attention(model, tokens, 1)
    assert found.n_heads == 4  # llama, gemma2 and qwen2 share keys and values by two
    assert np.allclose(found.pattern, cached(bridge, tokens.ids, 1), atol=1e-6)
    assert found.pattern.sum(axis=-1) == pytest.approx(np.ones((4, len(tokens))), abs=1e-5)


def test_softmax_of_the_scores_by_hand(make_model):
    bridge = make_model("native")
    model = LanguageModel(bridge)
    tokens = model.tokenize(PROMPT)
    _, cache = bridge.run_with_cache(torch.tensor(tokens.ids)[None])
    q, k = (cache[f"blocks.0.attn.hook_{name}"][0] for name in "qk")
    q, k = (x.reshape(len(tokens), 4, 8) for x in (q, k))
    scores = torch.einsum("qhd,khd->hqk", q, k) / 8**0.5
    masked = scores.masked_fill(torch.ones(len(tokens), len(tokens)).triu(1).bool(), float("-inf"))
    expected = masked.softmax(-1).detach().numpy()
    assert np.allclose(attention(model, tokens, 0).pattern, expected, atol=1e-5)


def test_the_pass_ends_at_the_layer(make_model):
    bridge = make_model("gpt2")
    model = LanguageModel(bridge)
    ran = []
    handles = [block.register_forward_hook(lambda *_, n=n: ran.append(n)) for n, block in enumerate(bridge.blocks)]
    attention(model, model.tokenize(PROMPT), 0)
    for handle in handles:
        handle.remove()
    assert ran == []  # not even the block of the pattern came to its end


def test_the_model_is_as_before(any_model):
    ids = torch.tensor([[0, 5, 6, 7]])
    before = any_model(ids).clone()
    state = {name: value.clone() for name, value in any_model.state_dict().items()}
    model = LanguageModel(any_model)
    attention(model, model.tokenize(PROMPT), 1)
    gc.collect()
    assert torch.equal(any_model(ids), before)
    assert all(torch.equal(value, state[name]) for name, value in any_model.state_dict().items())
    assert not any(module._forward_hooks and "hook_pattern" in name for name, module in any_model.named_modules())


def test_a_prefix_has_the_patterns_of_its_text(bridge):
    # What a view of a long prompt relies on when it draws the first tokens only.
    model = LanguageModel(bridge)
    tokens = model.tokenize(PROMPT)
    whole = attention(model, tokens, 1).pattern
    part = attention(model, model.tokenize(tokens.ids[:5].tolist()), 1).pattern
    assert np.allclose(whole[:, :5, :5], part, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_told_in_float32(make_model, dtype):
    model = LanguageModel(make_model("gpt2").to(dtype))
    found = attention(model, model.tokenize(PROMPT), 1)
    assert found.pattern.dtype == np.float32
    assert found.pattern.sum(axis=-1) == pytest.approx(np.ones(found.pattern.shape[:2]), abs=0.02)


@pytest.mark.parametrize("layer", [2, -3, True, 0.5, "0"])
def test_no_such_layer(bridge, layer):
    model = LanguageModel(bridge)
    with pytest.raises(HookPointError, match=r"no such layer(.|\n)*0\.\.1"):
        attention(model, model.tokenize(PROMPT), layer)


def test_a_layer_from_the_last(bridge):
    model = LanguageModel(bridge)
    assert attention(model, model.tokenize(PROMPT), -1).layer == 1


def test_a_model_whose_attention_makes_no_patterns(make_model, monkeypatch):
    bridge = make_model("native")
    first = bridge.blocks[0].attn
    forward = type(first).forward

    def fast(self, *args, **kwargs):
        """As with sdpa, the weights of the first layer never pass its hook point."""
        point = self._modules["hook_pattern"]
        if self is first:
            self._modules["hook_pattern"] = torch.nn.Identity()
        try:
            return forward(self, *args, **kwargs)
        finally:
            self._modules["hook_pattern"] = point

    monkeypatch.setattr(type(first), "forward", fast)
    model = LanguageModel(bridge)
    with pytest.raises(HookPointError, match=r"(?s)no attention patterns.*did not fire.*attn_implementation='eager'"):
        attention(model, model.tokenize(PROMPT), 0)
    assert attention(model, model.tokenize(PROMPT), 1).layer == 1


def test_a_model_without_attention_in_a_layer(bridge, monkeypatch):
    model = LanguageModel(bridge)

    def resolve(hook):
        raise HookPointError("The model has no such hook point.", got=repr(hook))

    monkeypatch.setattr(model, "resolve", resolve)
    with pytest.raises(HookPointError, match=r"(?s)no attention patterns.*no such hook point.*other layers"):
        attention(model, model.tokenize(PROMPT), 0)


def test_broken_weights_are_named(make_model):
    bridge = make_model("native")
    model = LanguageModel(bridge)
    with torch.no_grad():
        next(p for name, p in bridge.named_parameters() if "ln1" in name and "weight" in name).fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="hook_pattern"):
        attention(model, model.tokenize(PROMPT), 0)


def test_a_model_that_looks_ahead_is_refused(bridge, monkeypatch):
    model = LanguageModel(bridge)
    tokens = model.tokenize(PROMPT)
    monkeypatch.setattr(model, "read", lambda ids, hooks: {hooks[0]: torch.full((1, 2, len(tokens), len(tokens)), 0.1)})
    with pytest.raises(MismatchError, match="later tokens"):
        attention(model, tokens, 0)
