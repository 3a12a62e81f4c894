"""Which features fire where: against a plain computation, in batches, with masks and with broken numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets.analysis.activations import activations
from saewidgets.errors import HookPointError, NonFiniteError
from saewidgets.models import LanguageModel, batches
from saewidgets.saes import load_sae, sparse

HOOK = "blocks.1.hook_resid_post"
PROMPTS = ["the cat sat on the mat", "hello", "a café in Zürich 🙂 serves crème brûlée", "the dog", "Paris and London"]


def dense(result) -> np.ndarray:
    table = np.zeros((len(result), result.d_sae), np.float32)
    for position in range(len(result)):
        row = slice(result.indptr[position], result.indptr[position + 1])
        table[position, result.indices[row]] = result.values[row]
    return table


@pytest.fixture(scope="module")
def model(bridge) -> LanguageModel:
    return LanguageModel(bridge, "tiny")


@pytest.mark.parametrize("hook", [HOOK, "blocks.0.attn.hook_z", "blocks.1.hook_resid_mid", "blocks.0.hook_resid_pre"])
@pytest.mark.parametrize("kind", ["standard", "topk", "gated", "jumprelu"])
def test_equals_cache_and_encode(any_model, make_tensors, kind, hook):
    sae = load_sae(make_tensors(kind), hook)
    model = LanguageModel(any_model)
    tokens = model.tokenize(PROMPTS[0])
    (found,) = activations(model, sae, [tokens], mask_special=False)
    _, cache = any_model.run_with_cache(torch.tensor(tokens.ids)[None])
    expected = sae.encode(cache[hook][0].detach())[0].numpy()
    assert np.allclose(dense(found), expected, atol=1e-5)
    assert np.array_equal(dense(found) != 0, expected != 0)
    assert (expected != 0).any()


def test_rows_are_sparse_and_ascending(model, make_tensors):
    (found,) = activations(model, load_sae(make_tensors(), HOOK), [model.tokenize(PROMPTS[0])])
    assert (found.indptr.dtype, found.indices.dtype, found.values.dtype) == (np.int64, np.int32, np.float32)
    assert len(found.indptr) == len(found) + 1
    assert found.indptr[-1] == len(found.indices) == len(found.values)
    for start, stop in zip(found.indptr, found.indptr[1:], strict=False):
        assert (np.diff(found.indices[start:stop]) > 0).all()
    assert (found.values != 0).all()


def test_special_tokens_are_masked_wherever_they_stand(model, make_tensors):
    sae = load_sae(make_tensors(), HOOK)
    tokens = model.tokenize("the<|bos|>cat")
    masked, unmasked = (activations(model, sae, [tokens], mask_special=mask)[0] for mask in (True, False))
    special = tokens.special
    assert masked.masked.tolist() == special.tolist()
    assert not unmasked.masked.any()
    counts = np.diff(masked.indptr)
    assert (counts[special] == 0).all()
    assert (counts[~special] > 0).all()
    assert np.allclose(dense(masked)[~special], dense(unmasked)[~special], atol=1e-5)
    assert (dense(unmasked)[special] != 0).any()


def test_only_bos_has_no_features_unless_unmasked(model, make_tensors):
    sae, tokens = load_sae(make_tensors(), HOOK), model.tokenize([0])
    assert len(activations(model, sae, [tokens])[0].values) == 0
    assert len(activations(model, sae, [tokens], mask_special=False)[0].values) > 0


@pytest.mark.parametrize("kind", ["standard", "topk", "gated", "jumprelu"])
def test_a_batch_gives_what_each_prompt_gives_alone(any_model, make_tensors, kind):
    model, sae = LanguageModel(any_model), load_sae(make_tensors(kind), HOOK)
    tokens = [model.tokenize(prompt) for prompt in PROMPTS]
    together = activations(model, sae, tokens)
    for token, found in zip(tokens, together, strict=True):
        (alone,) = activations(model, sae, [token])
        assert found.prompt_tokens is token
        assert np.allclose(dense(found), dense(alone), atol=1e-5)


def test_pads_never_fire(model, make_tensors):
    tokens = [model.tokenize(prompt) for prompt in PROMPTS]
    for token, found in zip(tokens, activations(model, load_sae(make_tensors(), HOOK), tokens), strict=True):
        assert len(found.indptr) == len(token) + 1


def test_chunks_change_nothing(model, make_tensors, monkeypatch):
    sae = load_sae(make_tensors(), HOOK)
    tokens = [model.tokenize(prompt) for prompt in PROMPTS]
    whole = activations(model, sae, tokens)
    monkeypatch.setattr(batches, "BATCH_TOKENS", 40)
    monkeypatch.setattr(sparse, "_DENSE_NUMBERS", 3 * sae.d_sae)
    largest, runs = [], []
    encode, read = type(sae).encode, LanguageModel.read
    monkeypatch.setattr(type(sae), "encode", lambda s, x: largest.append(len(x)) or encode(s, x))
    monkeypatch.setattr(LanguageModel, "read", lambda m, ids, hooks: runs.append(ids.shape) or read(m, ids, hooks))
    parts = activations(model, sae, tokens)
    assert max(largest) <= 3
    assert len(runs) > 1
    assert all(rows == 1 or rows * width <= 40 for rows, width in runs)
    assert all(np.allclose(dense(a), dense(b), atol=1e-5) for a, b in zip(whole, parts, strict=True))


def test_no_prompts(model, make_tensors):
    assert activations(model, load_sae(make_tensors(), HOOK), []) == ()


def test_names_and_reference_maxima_are_carried(model, make_tensors):
    sae = load_sae(make_tensors(), HOOK)
    sae.reference_max = np.ones(64, np.float32)
    (found,) = activations(model, sae, [model.tokenize("the")], sae_name="mid")
    assert (found.sae, found.model, found.hook, found.d_sae) == ("mid", "tiny", HOOK, 64)
    assert found.reference_max is sae.reference_max


def test_feature_that_overflows_is_counted_and_left_out(model, make_tensors):
    tensors = make_tensors()
    tensors["b_enc"][5], tensors["W_enc"][:, 5] = 3e38, 3e38
    (found,) = activations(model, load_sae(tensors, HOOK), [model.tokenize("the cat sat")], mask_special=False)
    assert np.isfinite(found.values).all()
    assert found.n_nonfinite > 0
    assert 5 not in found.indices[~np.isfinite(found.values)]
    assert all(np.isfinite(row.max) for row in found.top(64))
    assert len(found.indices) + found.n_nonfinite >= found.indptr[-1]


def test_not_a_number_in_the_model_is_named(make_model, make_tensors):
    broken = make_model("native")
    next(p for n, p in broken.named_parameters() if n.startswith("layers.0")).data.fill_(float("nan"))
    model = LanguageModel(broken)
    with pytest.raises(
        NonFiniteError, match=r"'blocks.1.hook_resid_post' are not finite[\s\S]*weight 'layers\.0\.ln1\.weight"
    ):
        activations(model, load_sae(make_tensors(), HOOK), [model.tokenize("the")])


def test_unknown_hook_point(model, make_tensors):
    with pytest.raises(HookPointError):
        activations(model, load_sae(make_tensors(), "blocks.9.hook_resid_post"), [model.tokenize("the")])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_model_of_another_format(make_model, make_tensors, dtype):
    sae = load_sae(make_tensors(), HOOK)
    reference = LanguageModel(make_model("native"))
    model = LanguageModel(make_model("native").to(dtype))
    tokens = model.tokenize("the cat sat")
    (found,), (expected,) = activations(model, sae, [tokens]), activations(reference, sae, [tokens])
    assert found.values.dtype == np.float32
    assert np.allclose(dense(found), dense(expected), atol=1e-4 if dtype == torch.float64 else 0.5)


def test_half_precision_sae_gives_single_precision_results(model, make_tensors):
    tensors = {name: t.bfloat16() for name, t in make_tensors().items()}
    (found,) = activations(model, load_sae(tensors, HOOK), [model.tokenize("the cat")])
    assert found.values.dtype == np.float32
