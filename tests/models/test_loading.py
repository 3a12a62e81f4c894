"""Models from folders, names and objects, and models that are built later."""

from __future__ import annotations

import functools
import threading

import pytest
import torch
from transformers import AutoModelForCausalLM

from saewidgets.errors import LoadError
from saewidgets.models import LanguageModel, Models, ModelSlot, is_loader, load_model

ARCHITECTURES = ["gpt2", "neox", "llama", "gemma2", "qwen2"]
IDS = torch.tensor([[0, 5, 9, 40]])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_local_folder_gives_the_logits_of_transformers(make_hf_folder, architecture):
    folder = make_hf_folder(architecture)
    model = load_model(folder)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(folder)(IDS).logits
        assert torch.allclose(model.model(IDS), expected, atol=1e-5)
    assert (model.name, model.d_model, model.n_ctx) == (f"tiny-{architecture}", 32, 32)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_residual_stream_is_read_in_every_architecture(make_hf_folder, architecture):
    folder = make_hf_folder(architecture)
    hf = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        expected = hf(IDS, output_hidden_states=True).hidden_states[1]
    read = load_model(folder).read(IDS, ["blocks.0.hook_resid_post", "blocks.1.hook_resid_pre"])
    assert torch.allclose(read["blocks.0.hook_resid_post"], expected, atol=1e-5)
    assert torch.allclose(read["blocks.1.hook_resid_pre"], expected, atol=1e-5)


def test_folder_as_text_and_with_a_name(make_hf_folder):
    assert load_model(str(make_hf_folder("gpt2")), "mine").name == "mine"


def test_loaded_model_is_passed_through(bridge):
    model = LanguageModel(bridge)
    assert load_model(model) is model


def test_object_is_held_and_not_copied(bridge):
    assert load_model(bridge).model is bridge


def test_folder_without_weights_says_what_is_missing(make_hf_folder, tmp_path):
    (tmp_path / "config.json").write_bytes((make_hf_folder("gpt2") / "config.json").read_bytes())
    with pytest.raises(LoadError, match=r"holds no weights[\s\S]*with config.json[\s\S]*model.safetensors"):
        load_model(tmp_path)


def test_folder_without_model(tmp_path):
    with pytest.raises(LoadError, match=r"holds no model[\s\S]*config.json"):
        load_model(tmp_path)


def test_folder_with_broken_weights(make_hf_folder, tmp_path):
    (tmp_path / "config.json").write_bytes((make_hf_folder("gpt2") / "config.json").read_bytes())
    (tmp_path / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(LoadError, match="cannot be loaded"):
        load_model(tmp_path)


@pytest.mark.parametrize("path", ["./no/such/folder", "/no/such/folder", "~/no-such-folder", "a/b/c"])
def test_path_that_does_not_exist_is_not_looked_up_on_the_hub(path):
    with pytest.raises(LoadError, match="no such folder"):
        load_model(path)


def test_hub_name_offline_says_what_to_do():
    with pytest.raises(LoadError) as caught:
        load_model("nobody/no-such-model")
    assert "'nobody/no-such-model' cannot be loaded" in str(caught.value)
    assert "network" in str(caught.value.do)


def test_plain_transformers_model_is_refused_and_untouched(make_hf_folder):
    hf = AutoModelForCausalLM.from_pretrained(make_hf_folder("gpt2"))
    kinds = [type(module) for module in hf.modules()]
    with pytest.raises(LoadError, match=r"save_pretrained[\s\S]*changes your object"):
        load_model(hf)
    assert [type(module) for module in hf.modules()] == kinds


def test_progress_bars_of_transformers_are_as_before(make_hf_folder):
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    load_model(make_hf_folder("gpt2"))
    assert logging.is_progress_bar_enabled() == before


def test_loaders_are_told_from_models(bridge):
    assert is_loader(lambda: bridge)
    assert is_loader(functools.partial(print))
    assert not is_loader(bridge)
    assert not is_loader("gpt2")


def test_slot_builds_once_and_only_when_asked(bridge):
    calls = []

    def load():
        calls.append(1)
        return bridge

    slot = ModelSlot("later", load)
    models = Models({"later": slot})
    assert (list(models), len(models), repr(models), calls) == (["later"], 1, "{'later': not built yet}", [])
    found = []
    threads = [threading.Thread(target=lambda: found.append(slot.get())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert all(each is models["later"] for each in found)
    assert found[0].name == "later"
