"""Reading token by token gives what whole passes give, and a cache is kept only where that is so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from saewidgets.models import LanguageModel, load_model
from saewidgets.models.decoding import Decoder, cache_agrees
from tests.conftest import ARCHITECTURES

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
