"""The one place that touches a model: what it reads, and that it leaves nothing behind."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from saewidgets.errors import HookPointError, LoadError, NonFiniteError
from saewidgets.models import LanguageModel, load_model
from saewidgets.models.hooks import Guarded

HOOKS = [
    "hook_embed",
    "blocks.0.hook_resid_pre",
    "blocks.0.attn.hook_z",
    "blocks.1.attn.hook_q",
    "blocks.1.hook_attn_out",
    "blocks.1.hook_resid_mid",
    "blocks.1.mlp.hook_post",
    "blocks.1.hook_mlp_out",
    "blocks.1.hook_resid_post",
    "ln_final.hook_normalized",
]
IDS = torch.tensor([[0, 5, 9, 40, 41], [0, 7, 7, 100, 3]])


def hooks_left(model: nn.Module) -> int:
    return sum(
        isinstance(hook, Guarded)
        for module in model.modules()
        for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values())
    )


def test_reads_what_run_with_cache_reads(any_model):
    _, cache = any_model.run_with_cache(IDS)
    for hook in HOOKS:
        read = LanguageModel(any_model).read(IDS, [hook])[hook]
        assert read.shape == cache[hook].shape
        assert torch.equal(read, cache[hook]), hook


def test_reads_several_hook_points_in_one_pass(any_model):
    _, cache = any_model.run_with_cache(IDS)
    read = LanguageModel(any_model).read(IDS, HOOKS[::-1])
    assert list(read) == HOOKS[::-1]
    assert all(torch.equal(read[hook], cache[hook]) for hook in HOOKS)


def test_alias_and_its_hook_point_together(bridge):
    names = ["blocks.1.hook_resid_post", "blocks.1.hook_out"]
    read = LanguageModel(bridge).read(IDS, names)
    assert torch.equal(read[names[0]], read[names[1]])


def test_heads_are_a_dimension(any_model):
    model = LanguageModel(any_model)
    assert model.read(IDS, ["blocks.0.attn.hook_z"])["blocks.0.attn.hook_z"].shape == (2, 5, 4, 8)
    assert model.hook_shape("blocks.0.attn.hook_z") == (4, 8)
    assert model.hook_shape("blocks.0.mlp.hook_post") == (64,)


def test_deeper_blocks_do_not_run(any_model):
    ran = []
    handle = any_model.blocks[1].register_forward_hook(lambda *_: ran.append(1))
    LanguageModel(any_model).read(IDS, ["blocks.0.hook_resid_post"])
    handle.remove()
    assert not ran


def test_model_is_as_before(any_model):
    state = {name: p.clone() for name, p in any_model.state_dict().items()}
    flags = {name: p.requires_grad for name, p in any_model.named_parameters()}
    modes = [module.training for module in any_model.modules()]
    before = any_model(IDS)
    read = LanguageModel(any_model).read(IDS, HOOKS)
    assert torch.equal(any_model(IDS), before)
    assert all(torch.equal(p, state[name]) for name, p in any_model.state_dict().items())
    assert {name: p.requires_grad for name, p in any_model.named_parameters()} == flags
    assert [module.training for module in any_model.modules()] == modes
    assert hooks_left(any_model) == 0
    assert not any(value.requires_grad for value in read.values())


def test_model_can_still_be_trained(any_model):
    LanguageModel(any_model).read(IDS, HOOKS)
    any_model(IDS).sum().backward()
    assert any(p.grad is not None for p in any_model.parameters())


def test_users_own_hooks_stay_and_fire(any_model):
    fired = []
    hook = "blocks.0.hook_resid_post"

    def edit(value, hook):
        fired.append(hook.name)
        return value + 1

    any_model.hook_dict[hook].add_hook(edit)
    clean = any_model.run_with_cache(IDS)[1][hook]
    n_fired = len(fired)
    read = LanguageModel(any_model).read(IDS, [hook])[hook]
    assert torch.equal(read, clean)
    assert len(fired) == n_fired + 1
    any_model(IDS)
    assert len(fired) == n_fired + 2
    any_model.reset_hooks()


def test_pass_of_another_thread_meanwhile_is_whole_and_not_read(bridge):
    expected = bridge(IDS)
    results = []

    def read_while_another_runs(module, args, output):
        thread = threading.Thread(target=lambda: results.append(bridge(IDS + 1 - 1)))
        handle.remove()
        thread.start()
        thread.join()

    handle = bridge.blocks[0].register_forward_hook(read_while_another_runs)
    read = LanguageModel(bridge).read(IDS[:1], ["blocks.1.hook_resid_post"])["blocks.1.hook_resid_post"]
    assert torch.equal(results[0], expected)
    assert read.shape[0] == 1


def test_nothing_is_left_after_an_error_inside(any_model):
    def fails(*_):
        raise RuntimeError("inside")

    handle = any_model.blocks[0].register_forward_hook(fails)
    with pytest.raises(RuntimeError, match="inside"):
        LanguageModel(any_model).read(IDS, ["blocks.1.hook_resid_post"])
    handle.remove()
    assert hooks_left(any_model) == 0


def test_unknown_hook_point_names_three_like_it(any_model):
    with pytest.raises(HookPointError) as caught:
        LanguageModel(any_model).read(IDS, ["blocks.1.hook_resid_psot"])
    assert "'blocks.1.hook_resid_psot'" in str(caught.value)
    assert "such as blocks.1.hook_resid_post, " in str(caught.value)
    assert str(caught.value.expected).count("blocks.") == 3


@pytest.mark.parametrize("hook", ["blocks.2.hook_resid_post", "", "cfg", "blocks.0.mlp", "blocks.x.hook_resid_post"])
def test_what_is_no_hook_point_is_refused(bridge, hook):
    with pytest.raises(HookPointError, match="no such hook point"):
        LanguageModel(bridge).resolve(hook)


def test_hook_point_that_does_not_fire_is_an_error(any_model):
    with pytest.raises(HookPointError, match=r"'blocks.1.hook_mlp_in' did not fire"):
        LanguageModel(any_model).read(IDS, ["blocks.0.hook_resid_pre", "blocks.1.hook_mlp_in"])
    assert hooks_left(any_model) == 0


def test_hook_point_of_a_pair_is_no_activation(make_hf_folder):
    model = load_model(make_hf_folder("llama"))
    with pytest.raises(HookPointError, match=r"'rotary_emb.hook_out' did not fire[\s\S]*one tensor"):
        model.read(IDS, ["rotary_emb.hook_out"])


def test_hook_point_that_was_replaced_is_found_again(make_model):
    model = make_model("native")
    reader = LanguageModel(model)
    expected = reader.read(IDS, ["blocks.1.hook_resid_post"])["blocks.1.hook_resid_post"]
    point = type(model.blocks[1].hook_out)()
    point.name = "blocks.1.hook_out"
    model.blocks[1].hook_out = point
    model._hook_registry["blocks.1.hook_out"] = point
    assert torch.equal(reader.read(IDS, ["blocks.1.hook_resid_post"])["blocks.1.hook_resid_post"], expected)
    assert reader.resolve("blocks.1.hook_resid_post") is point


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_activations_have_the_format_of_the_model(make_model, dtype):
    model = LanguageModel(make_model("native").to(dtype))
    assert model.dtype == dtype
    assert model.read(IDS, ["blocks.0.hook_resid_post"])["blocks.0.hook_resid_post"].dtype == dtype


def test_what_it_says_of_the_model(any_model):
    model = LanguageModel(any_model, "mine")
    assert (model.name, model.d_model, model.n_ctx) == ("mine", 32, 32)
    assert model.d_vocab == any_model.cfg.d_vocab
    assert model.device == torch.device("cpu")
    assert model.prepend_bos is True
    assert repr(model) == f"LanguageModel('mine', d_model=32, n_ctx=32, d_vocab={model.d_vocab})"


def test_text_gets_the_tokens_that_the_model_itself_takes(any_model):
    text = "the cat sat on a café"
    assert LanguageModel(any_model).tokenize(text).ids.tolist() == any_model.to_tokens(text)[0].tolist()
    without = any_model.to_tokens(text, prepend_bos=False)[0].tolist()
    assert LanguageModel(any_model).tokenize(text, prepend_bos=False).ids.tolist() == without


def test_dropout_in_training_mode_is_told_once_and_left_alone(make_model):
    model = make_model("gpt2")
    model.train()
    reader = LanguageModel(model, "tuned")
    with pytest.warns(UserWarning, match=r"'tuned' is in training mode.*model.eval\(\)"):
        reader.read(IDS, ["blocks.1.hook_resid_post"])
    reader.read(IDS, ["blocks.1.hook_resid_post"])
    assert model.training


def test_training_mode_without_dropout_is_fine(make_model):
    model = make_model("native").train()
    assert torch.isfinite(LanguageModel(model).read(IDS, ["hook_embed"])["hook_embed"]).all()


def test_weight_that_is_not_finite_is_named(make_model):
    model = make_model("native")
    broken, parameter = list(model.named_parameters())[5]
    parameter.data.view(-1)[0] = float("nan")
    reader = LanguageModel(model)
    x = reader.read(IDS, ["blocks.1.hook_resid_post"])["blocks.1.hook_resid_post"]
    with pytest.raises(NonFiniteError) as caught:
        reader.check_finite(x, "blocks.1.hook_resid_post")
    assert f"'{broken.replace('._original_component', '')}'" in str(caught.value)
    assert "blocks.1.hook_resid_post" in str(caught.value)


def test_overflow_with_finite_weights_is_named_as_such(bridge):
    with pytest.raises(NonFiniteError, match="wider number format than torch.float16"):
        LanguageModel(bridge).check_finite(torch.tensor([float("inf")], dtype=torch.float16), "hook_embed")


@pytest.mark.parametrize("model", [nn.Linear(2, 2), object(), None, 3], ids=["module", "object", "None", "number"])
def test_what_is_no_model_is_refused(model):
    with pytest.raises(LoadError, match="no TransformerLens hook points"):
        LanguageModel(model)


def test_model_without_weights_here_is_refused():
    class Remote(nn.Module):
        hook_dict, cfg = {}, object()

    with pytest.raises(LoadError, match="no weights in this process"):
        LanguageModel(Remote())
