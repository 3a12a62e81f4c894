"""SAE folders in the format of sae_lens, good and bad."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file

from saewidgets import saes
from saewidgets.errors import LoadError, NonFiniteError

KINDS = ["standard", "topk", "gated", "jumprelu"]


def load_sae(source: Any, hook: str | None = None) -> Any:
    return saes.load_sae(source, hook)


@pytest.mark.parametrize("kind", KINDS)
def test_folder_gives_the_sae_of_its_tensors(make_sae_folder, make_tensors, kind):
    sae = load_sae(make_sae_folder(kind))
    same = load_sae(make_tensors(kind), "blocks.1.hook_resid_post")
    x = torch.randn(3, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(sae.encode(x)[0], same.encode(x)[0])
    assert (sae.kind, sae.hook, sae.prepend_bos) == (kind, "blocks.1.hook_resid_post", True)
    assert (sae.density, sae.reference_max, sae.n_reference_tokens) == (None, None, None)


def test_fields_of_the_description_are_used(make_sae_folder):
    folder = make_sae_folder(
        "topk",
        k=3,
        rescale_acts_by_decoder_norm=True,
        normalize_activations="layer_norm",
        reshape_activations="hook_z",
        apply_b_dec_to_input=False,
        dtype="bfloat16",
        metadata={"prepend_bos": False, "hook_name": "blocks.0.attn.hook_z"},
    )
    sae = load_sae(folder)
    assert (sae.k, sae.rescale_by_decoder_norm, sae.normalization) == (3, True, "layer_norm")
    assert (sae.reshape_heads, sae.apply_b_dec_to_input, sae.prepend_bos) == (True, False, False)
    assert (sae.dtype, sae.hook) == (torch.bfloat16, "blocks.0.attn.hook_z")


def test_hook_given_replaces_the_one_described(make_sae_folder):
    assert load_sae(make_sae_folder(), hook="blocks.0.hook_resid_post").hook == "blocks.0.hook_resid_post"


def test_half_precision_weights_are_read_in_the_format_described(make_sae_folder):
    folder = make_sae_folder()
    weights = load_file(folder / "sae_weights.safetensors")
    save_file({name: t.half() for name, t in weights.items()}, folder / "sae_weights.safetensors")
    assert load_sae(folder).dtype == torch.float32


def test_dtype_may_have_the_prefix_of_torch(make_sae_folder):
    assert load_sae(make_sae_folder(dtype="torch.float64")).dtype == torch.float64


def test_unknown_whether_bos(make_sae_folder):
    assert load_sae(make_sae_folder(metadata={"prepend_bos": None})).prepend_bos is None


def test_logarithm_of_the_threshold_of_older_files(make_sae_folder):
    folder = make_sae_folder("jumprelu")
    weights = load_file(folder / "sae_weights.safetensors")
    threshold = weights.pop("threshold")
    save_file({**weights, "log_threshold": threshold.log()}, folder / "sae_weights.safetensors")
    assert torch.allclose(load_sae(folder).threshold, threshold)


@pytest.mark.parametrize("kind", ["standard", "topk"])
def test_description_from_before_release_6(make_sae_folder, kind):
    folder = make_sae_folder(kind)
    old = {"d_in": 32, "d_sae": 64, "dtype": "torch.float32", "hook_point": "blocks.1.hook_resid_post"}
    if kind == "topk":
        old |= {"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 5}}
    (folder / "cfg.json").write_text(json.dumps({**old, "normalize_activations": False, "hook_point_head_index": None}))
    sae = load_sae(folder)
    assert (sae.kind, sae.hook, sae.normalization) == (kind, "blocks.1.hook_resid_post", "none")
    assert kind == "standard" or sae.k == 5


def test_old_description_of_a_hook_z_reads_heads(make_sae_folder):
    folder = make_sae_folder()
    old = {"d_in": 32, "d_sae": 64, "hook_point": "blocks.1.attn.hook_z", "architecture": "standard"}
    (folder / "cfg.json").write_text(json.dumps(old))
    assert load_sae(folder).reshape_heads


def test_unfolded_factor_is_told(make_sae_folder):
    with pytest.warns(UserWarning, match="fold_activation_norm_scaling_factor"):
        sae = load_sae(make_sae_folder(normalize_activations="expected_average_only_in"))
    assert sae.normalization == "expected_average_only_in"


@pytest.mark.parametrize(
    ("changes", "field", "expected"),
    [
        ({"dtype": "foo"}, "dtype = 'foo'", "float32, float16, bfloat16, float64"),
        ({"dtype": "int8"}, "dtype = 'int8'", "float32, float16"),
        ({"architecture": "foo"}, "architecture = 'foo'", "standard, topk, gated, jumprelu"),
        ({"architecture": ["standard"]}, "architecture = ['standard']", "standard, topk"),
        ({"d_sae": "256"}, "d_sae = '256'", "a whole number >= 1"),
        ({"d_sae": 0}, "d_sae = 0", "a whole number >= 1"),
        ({"d_sae": True}, "d_sae = True", "a whole number >= 1"),
        ({"d_in": 32.0}, "d_in = 32.0", "a whole number >= 1"),
        ({"d_in": None}, "d_in = None", "a whole number >= 1"),
        ({"apply_b_dec_to_input": "yes"}, "apply_b_dec_to_input = 'yes'", "true or false"),
        ({"normalize_activations": "foo"}, "normalize_activations = 'foo'", "none, expected_average_only_in"),
        ({"normalize_activations": "covariance_whitening"}, "covariance_whitening", "none, expected"),
        ({"reshape_activations": "foo"}, "reshape_activations = 'foo'", "none, hook_z"),
        ({"metadata": {"hook_name": None}}, "hook_name = None", "the name of a hook point"),
        ({"metadata": {"hook_head_index": 3}}, "hook_head_index = 3", "reads all heads"),
        ({"metadata": {"hook_name_out": "blocks.1.hook_mlp_out"}}, "hook_name_out", "transcoders cannot be used"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_field_is_named_with_its_file_and_what_is_allowed(make_sae_folder, changes, field, expected):
    with pytest.raises(LoadError) as caught:
        load_sae(make_sae_folder(**changes))
    assert "cfg.json: field" in str(caught.value)
    assert field in str(caught.value.got)
    assert expected in str(caught.value.expected)


@pytest.mark.parametrize("k", [0, 65, None, "8", 8.0])
def test_wrong_k_is_named(make_sae_folder, k):
    with pytest.raises(LoadError, match=r"cfg.json: field 'k' is wrong"):
        load_sae(make_sae_folder("topk", k=k))


@pytest.mark.parametrize(
    ("architecture", "reason"),
    [
        ("transcoder", "predicts a layer's output"),
        ("skip_transcoder", "predicts a layer's output"),
        ("jumprelu_transcoder", "predicts a layer's output"),
        ("jumprelu_skip_transcoder", "predicts a layer's output"),
        ("temporal", "depend on the tokens before"),
        ("matching_pursuit", "encoder is a search"),
        ("abstopk", "may be negative"),
        ("batchtopk", r"save_inference_model"),
        ("matryoshka_batchtopk", r"save_inference_model"),
    ],
)
def test_other_architectures_are_refused_with_the_reason(make_sae_folder, architecture, reason):
    with pytest.raises(LoadError, match=rf"'{architecture}' cannot be used here[\s\S]*{reason}|{reason}"):
        load_sae(make_sae_folder(architecture=architecture))


@pytest.mark.parametrize("missing", ["cfg.json", "sae_weights.safetensors"])
def test_missing_file_is_named(make_sae_folder, missing):
    folder = make_sae_folder()
    (folder / missing).unlink()
    with pytest.raises(LoadError, match=f"without {missing}"):
        load_sae(folder)


def test_folder_that_does_not_exist():
    with pytest.raises(LoadError, match=r"no such folder[\s\S]*SAE.from_pretrained"):
        load_sae("gpt2-small-res-jb/blocks.8.hook_resid_pre")


@pytest.mark.parametrize(
    "text", ["{", "[1]", '"text"', "", "\x00", "[" * 100_000], ids=["open", "list", "text", "empty", "nul", "deep"]
)
def test_description_that_is_none(make_sae_folder, text):
    folder = make_sae_folder()
    (folder / "cfg.json").write_text(text)
    with pytest.raises(LoadError, match=r"cfg\.json"):
        load_sae(folder)


def test_description_that_is_huge(make_sae_folder):
    folder = make_sae_folder()
    (folder / "cfg.json").write_text(" " * 1_000_001)
    with pytest.raises(LoadError, match="too large"):
        load_sae(folder)


@pytest.mark.parametrize("content", [b"", b"\xff" * 8, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}", b"PK\x03\x04" * 10])
def test_weights_that_are_no_safetensors(make_sae_folder, content):
    folder = make_sae_folder()
    (folder / "sae_weights.safetensors").write_bytes(content)
    with pytest.raises(LoadError, match=r"sae_weights.safetensors is not a readable safetensors file"):
        load_sae(folder)


def change_weights(folder, change) -> None:
    weights = load_file(folder / "sae_weights.safetensors")
    change(weights)
    save_file({name: t.contiguous() for name, t in weights.items()}, folder / "sae_weights.safetensors")


@pytest.mark.parametrize("name", ["W_enc", "b_enc", "W_dec", "b_dec"])
def test_missing_tensor_is_named(make_sae_folder, name):
    folder = make_sae_folder()
    change_weights(folder, lambda weights: weights.pop(name))
    with pytest.raises(LoadError, match=f"no '{name}'"):
        load_sae(folder)


def test_unknown_tensor_is_named(make_sae_folder):
    folder = make_sae_folder()
    change_weights(folder, lambda weights: weights.update(scaling_factor=torch.ones(64)))
    with pytest.raises(LoadError, match="unknown 'scaling_factor'"):
        load_sae(folder)


@pytest.mark.parametrize("name", ["W_enc", "b_enc", "W_dec", "b_dec"])
def test_wrong_shape_is_named_with_both_shapes(make_sae_folder, name):
    folder = make_sae_folder()
    change_weights(folder, lambda weights: weights.update({name: weights[name][:-1]}))
    with pytest.raises(LoadError, match=rf"tensor '{name}' has the wrong shape[\s\S]*d_in = 32 and d_sae = 64"):
        load_sae(folder)


def test_whole_numbers_are_no_weights(make_sae_folder):
    folder = make_sae_folder()
    change_weights(folder, lambda weights: weights.update(W_enc=weights["W_enc"].to(torch.int8)))
    with pytest.raises(LoadError, match=r"'W_enc' is not floating point[\s\S]*int8"):
        load_sae(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weight_that_is_not_finite_is_named(make_sae_folder, value):
    folder = make_sae_folder()
    change_weights(folder, lambda weights: weights["W_dec"].view(-1)[:1].fill_(value))
    with pytest.raises(NonFiniteError, match=r"tensor 'W_dec' of the SAE at 'blocks.1.hook_resid_post' is not finite"):
        load_sae(folder)


def test_weight_that_overflows_the_format_described(make_sae_folder):
    folder = make_sae_folder(dtype="float16")
    change_weights(folder, lambda weights: weights["b_enc"].view(-1)[:1].fill_(1e6))
    with pytest.raises(NonFiniteError, match="float16"):
        load_sae(folder)


def save_statistics(folder, metadata=None, **arrays):
    save_arrays(arrays, folder / "feature_statistics.safetensors", metadata)


def test_statistics_are_picked_up(make_sae_folder):
    folder = make_sae_folder()
    density, largest = np.linspace(0, 1, 64, dtype=np.float32), np.arange(64, dtype=np.float32)
    header = {"n_tokens": "1000", "sample": "world.sample(7, 50)"}
    save_statistics(folder, header, density=density, reference_max=largest)
    sae = load_sae(folder)
    assert np.array_equal(sae.density, density)
    assert np.array_equal(sae.reference_max, largest)
    assert (sae.n_reference_tokens, sae.reference_sample) == (1000, "world.sample(7, 50)")


def test_statistics_without_header_or_maxima(make_sae_folder):
    folder = make_sae_folder()
    save_statistics(folder, density=np.zeros(64, np.float32))
    sae = load_sae(folder)
    assert (sae.reference_max, sae.n_reference_tokens, sae.reference_sample) == (None, None, None)


@pytest.mark.parametrize(
    "array",
    [np.zeros(63, np.float32), np.full(64, np.nan, np.float32), -np.ones(64, np.float32), np.zeros(64, np.int32)],
    ids=["short", "nan", "negative", "whole"],
)
def test_wrong_statistics_are_named(make_sae_folder, array):
    folder = make_sae_folder()
    save_statistics(folder, reference_max=array)
    with pytest.raises(LoadError, match=r"feature_statistics.safetensors: tensor 'reference_max' is wrong"):
        load_sae(folder)


def test_broken_statistics(make_sae_folder):
    folder = make_sae_folder()
    (folder / "feature_statistics.safetensors").write_bytes(b"\xff" * 16)
    with pytest.raises(LoadError, match="feature_statistics"):
        load_sae(folder)
