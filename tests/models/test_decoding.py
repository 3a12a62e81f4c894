"""Reading token by token gives what whole passes give, and a cache is kept only where that is so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from saewidgets.models import LanguageModel, load_model
from saewidgets.models.decoding import Decoder, cache_agrees
from tests.conftest import ARCHITECTURES
from tests.models.test_language_model import hooks_left

IDS = torch.tensor([[0, 5, 9, 40, 41, 7, 100, 33], [0, 7, 7, 100, 3, 8, 2, 50]])
CACHED = {"native": False, "gpt2": True, "hooked": True}


def read_in_parts(model: LanguageModel, use_cache: bool = True) -> tuple[list[torch.Tensor], list[int], bool]:
    decoder = model.decoder(model.tokenize(IDS[0]), 2, use_cache)
    logits, firsts = [], []
    for start, stop in ((0, 4), (4, 5), (5, 7), (7, 8)):
        logits.append(decoder.feed(IDS[:, start:stop]))
        firsts.append(decoder.first)
    return logits, firsts, decoder.cached


def check(model: LanguageModel, cached: bool) -> None:
    whole = model.logits(IDS).float()
    for use_cache in (True, False):
        logits, firsts, kept = read_in_parts(model, use_cache)
        assert kept is (cached and use_cache)
        assert firsts == ([0, 4, 5, 7] if kept else [0, 0, 0, 0])
        for last, found in zip((3, 4, 6, 7), logits, strict=True):
            torch.testing.assert_close(found, whole[:, last], rtol=1e-4, atol=1e-4)


def test_model_classes(any_model):
    model = LanguageModel(any_model)
    kind = type(any_model).__name__
    hf = (
        hasattr(getattr(any_model, "original_model", None), "config")
        and "GPT2" in type(any_model.original_model).__name__
    )
    check(model, CACHED["hooked" if kind == "HookedTransformer" else "gpt2" if hf else "native"])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures(make_hf_folder, architecture):
    check(load_model(make_hf_folder(architecture)), cached=True)


def test_nothing_is_kept_in_the_model(make_model):
    model = make_model("gpt2")
    language_model = LanguageModel(model)
    before, attributes = model(IDS), sorted(vars(model))
    one = read_in_parts(language_model)[0][-1]
    assert torch.equal(read_in_parts(language_model)[0][-1], one)
    assert torch.equal(model(IDS), before)
    assert sorted(vars(model)) == attributes


def test_two_decoders_of_one_model_do_not_mix(make_model):
    model = LanguageModel(make_model("gpt2"))
    tokens = model.tokenize(IDS[0])
    one, other = model.decoder(tokens), model.decoder(tokens)
    one.feed(IDS[:1, :4])
    other.feed(IDS[1:, :6])
    torch.testing.assert_close(one.feed(IDS[:1, 4:]), model.logits(IDS[:1])[:, -1], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(other.feed(IDS[1:, 6:]), model.logits(IDS[1:])[:, -1], rtol=1e-4, atol=1e-4)


def test_bf16_logits_come_as_float32_and_float64_as_they_are(make_model):
    for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float64, torch.float64)):
        model = LanguageModel(make_model("native").to(dtype))
        assert model.decoder(model.tokenize(IDS[0]), 2).feed(IDS).dtype == expected


class Forgetful(torch.nn.Module):
    """Takes a cache and gives other numbers with it."""

    def __init__(self, model: Any, error: type[Exception] | None = None) -> None:
        super().__init__()
        self.original_model, self._model, self.error = model.original_model, model, error

    def forward(self, ids: torch.Tensor, past_key_values: Any = None, use_cache: bool = False) -> torch.Tensor:
        if past_key_values is not None and self.error is not None:
            raise self.error
        return self._model(ids)


@pytest.mark.parametrize("error", [None, RuntimeError, TypeError, KeyError, AssertionError])
def test_cache_that_changes_the_numbers_or_fails_is_not_used(make_model, error):
    model = make_model("gpt2")
    assert cache_agrees(model, IDS[:1])
    assert cache_agrees(model, IDS[:1, :1])
    assert not cache_agrees(Forgetful(model, error), IDS[:1])


def test_where_the_cache_is_wrong_whole_passes_are_made(make_model, monkeypatch):
    model = LanguageModel(make_model("gpt2"))
    monkeypatch.setattr("saewidgets.models.language_model.cache_agrees", lambda *_: False)
    check(model, cached=False)


def test_no_gradients(make_model):
    model = make_model("native")
    assert not Decoder(model, 2, torch.device("cpu")).feed(IDS).requires_grad


# ---- logits of the last token only -----------------------------------------------------------------------------------


def unembedded(model: LanguageModel, use_cache: bool) -> list[int]:
    """For how many tokens logits were made in each pass; read in the unembedding's own computation."""
    sizes, given = [], torch.nn.functional.linear

    def linear(x: torch.Tensor, weight: torch.Tensor, bias: Any = None) -> torch.Tensor:
        if weight.shape[0] == model.d_vocab:
            sizes.append(x.shape[1])
        return given(x, weight, bias)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "linear", linear)
        read_in_parts(model, use_cache)
    return sizes


def test_only_the_last_token_is_unembedded(make_model):
    model = make_model("gpt2")
    language_model = LanguageModel(model)
    read_in_parts(language_model)
    for use_cache in (True, False):
        assert unembedded(language_model, use_cache) == [1, 1, 1, 1]
    assert hooks_left(model) == 0


@pytest.mark.parametrize("hook", ["unembed.hook_in", "unembed.hook_out"])
def test_who_looks_into_the_unembedding_sees_every_token(make_model, hook):
    model, seen = make_model("gpt2"), []
    language_model = LanguageModel(model)
    expected = read_in_parts(language_model)[0]
    model.add_hook(hook, lambda x, hook: seen.append(x.shape[1]))
    found = read_in_parts(language_model)[0]
    model.reset_hooks()
    assert seen == [4, 1, 2, 1]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_hook_on_the_model_itself_sees_every_token(any_model):
    model, seen = LanguageModel(any_model), []
    read_in_parts(model)
    handle = any_model.register_forward_hook(lambda module, args, output: seen.append(output.shape[1]))
    read_in_parts(model, use_cache=False)
    handle.remove()
    assert seen == [4, 5, 7, 8]


def test_logits_that_others_change_are_changed(any_model):
    model = LanguageModel(any_model)
    plain = read_in_parts(model)[0]
    handle = any_model.unembed.register_forward_hook(lambda module, args, output: 2 * output)
    doubled = read_in_parts(model)[0]
    handle.remove()
    for one, other in zip(plain, doubled, strict=True):
        torch.testing.assert_close(2 * one, other, rtol=1e-4, atol=1e-4)
