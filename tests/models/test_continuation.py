"""The blocks above a hook point, run by themselves, give what whole forward passes give."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from saewidgets.models import Continuation, LanguageModel, load_model
from saewidgets.models.continuation import _changed
from tests.conftest import ARCHITECTURES
from tests.models.test_language_model import hooks_left

IDS = [0, 5, 9, 40, 41, 7]
HOOKS = {
    "blocks.0.hook_resid_pre": True,
    "blocks.1.hook_resid_pre": True,
    "blocks.1.hook_resid_post": True,
    "blocks.0.hook_resid_mid": True,
    "blocks.1.attn.hook_z": True,
    "blocks.1.attn.hook_q": True,
    "blocks.0.hook_attn_out": True,
    "blocks.1.hook_mlp_out": True,
    "blocks.1.mlp.hook_post": True,
    "hook_embed": False,
    "ln_final.hook_normalized": False,
}


def edited_by_transformer_lens(model, hook, change):
    """Logits with ``change`` added at ``hook`` by TransformerLens's own hooks."""
    if hook.endswith("hook_resid_mid") and "hook_resid_mid" not in dict(model.blocks[0].named_children()):
        hook = hook.replace("hook_resid_mid", "hook_attn_out")

    def add(x, hook):
        del hook
        return x + change.reshape(len(change), *x.shape[1:])

    ids = torch.tensor([IDS]).expand(len(change), -1)
    with torch.no_grad():
        return model.run_with_hooks(ids, fwd_hooks=[(hook, add)])


def random_change(run, batch=3):
    torch.manual_seed(1)
    return 0.3 * torch.randn(batch, run.n_pos, run.x[0].numel())


@pytest.mark.parametrize("hook", HOOKS)
def test_changed_activation_gives_the_logits_of_a_whole_pass(any_model, hook):
    model = LanguageModel(any_model)
    run = model.continuation(model.tokenize(IDS), hook)
    change = random_change(run)
    expected = edited_by_transformer_lens(any_model, hook, change)
    with torch.no_grad():
        torch.testing.assert_close(run.logits(change, run.n_pos), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(run.logits(change, 2), expected[:, -2:], rtol=1e-4, atol=1e-5)
    assert run.blocks_above_only is HOOKS[hook]
    assert hooks_left(any_model) == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("hook", ["blocks.1.hook_resid_pre", "blocks.0.hook_resid_post", "blocks.1.attn.hook_z"])
def test_architectures_run_their_blocks_above_only(make_hf_folder, architecture, hook):
    model = load_model(make_hf_folder(architecture))
    run = model.continuation(model.tokenize(IDS), hook)
    change = random_change(run)
    with torch.no_grad():
        found = run.logits(change, run.n_pos)
    assert run.blocks_above_only
    torch.testing.assert_close(found, edited_by_transformer_lens(model.model, hook, change), rtol=1e-4, atol=1e-5)


FURTHER = [
    ("blocks.0.hook_resid_post", "blocks.1.hook_resid_pre"), ("blocks.0.hook_mlp_out", "blocks.1.hook_resid_mid"),
    ("blocks.1.hook_resid_pre", "blocks.1.hook_resid_mid"), ("blocks.1.hook_attn_out", "blocks.1.hook_resid_mid"),
    ("blocks.1.hook_resid_post", "ln_final.hook_normalized"), ("hook_embed", "blocks.1.hook_resid_post"),
]  # fmt: skip


@pytest.mark.parametrize(("hook", "above"), FURTHER)
def test_further_changes_are_made_of_what_the_first_one_leaves(any_model, hook, above):
    """The one above doubles the activation, so that it doubles the change below as well."""
    model = LanguageModel(any_model)
    run = model.continuation(model.tokenize(IDS), hook)
    change, seen = random_change(run), []
    with torch.no_grad():
        found = run.logits(change, 2, [(model.site(above), lambda x, now: seen.append((x, now)) or x)])
    (x, now) = seen[0]
    assert now.first == 0
    assert torch.equal(now.ids, torch.tensor([IDS]).expand(3, -1))
    below = model.steered([(model.site(hook), lambda x, now: change)])
    with torch.no_grad(), below:
        expected = model.read(torch.tensor([IDS]).expand(3, -1), [above])[above]
        with model.steered([(model.site(above), lambda x, now: expected)]):
            logits = any_model(torch.tensor([IDS]).expand(3, -1))
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found, logits[:, -2:], rtol=1e-4, atol=1e-4)
    assert hooks_left(any_model) == 0


def assert_falls_back(any_model, hook="blocks.0.hook_resid_post", factor=1.0):
    """Whole passes are made, with the numbers of TransformerLens's own hooks."""
    model = LanguageModel(any_model)
    run = model.continuation(model.tokenize(IDS), hook)
    change = random_change(run)
    assert not run.blocks_above_only
    with torch.no_grad():
        expected = factor * edited_by_transformer_lens(any_model, hook, change)
        torch.testing.assert_close(run.logits(change, 2), expected[:, -2:], rtol=1e-4, atol=1e-5)
    assert hooks_left(any_model) == 0


def test_block_that_depends_on_a_state_of_the_whole_pass(any_model):
    """What it adds, it adds only where the embedding ran before: by itself a block gives other numbers."""
    state = {"inside": False}
    handles = [
        any_model.embed.register_forward_hook(lambda *_: state.update(inside=True)),
        any_model.blocks[1].register_forward_pre_hook(lambda _, args: _moved(args, state), with_kwargs=False),
        any_model.unembed.register_forward_hook(lambda *_: state.update(inside=False)),
    ]
    assert_falls_back(any_model)
    for handle in handles:
        handle.remove()


def _moved(args, state):
    return (args[0] + 0.3 * torch.arange(args[0].shape[-1]), *args[1:]) if state["inside"] and args else None


def test_difference_after_the_last_block_is_seen(any_model):
    """Logits that the whole pass changes once more: running the blocks above would miss it."""
    handle = any_model.register_forward_hook(lambda _, __, output: None if output is None else output * 1.01)
    assert_falls_back(any_model, factor=1.01)  # TransformerLens's run_with_hooks does not go through the model's hooks
    handle.remove()


def test_difference_that_an_unchanged_pass_does_not_show(any_model):
    """A block whose edit is heard only in a whole pass: both agree until the activation is changed."""
    clean, state = {}, {"inside": False}

    def once(_, args):
        if state["inside"] and args:
            clean.setdefault("x", args[0][:1].detach().clone())
            return (args[0] + (args[0] - clean["x"]), *args[1:])
        return None

    handles = [
        any_model.embed.register_forward_hook(lambda *_: state.update(inside=True)),
        any_model.blocks[1].register_forward_pre_hook(once),
        any_model.unembed.register_forward_hook(lambda *_: state.update(inside=False)),
    ]
    assert_falls_back(any_model)
    for handle in handles:
        handle.remove()


def test_block_that_cannot_be_run_by_itself(any_model):
    def fails_alone(*_):
        if not state["inside"]:
            raise RuntimeError("not by itself")

    state = {"inside": False}
    handles = [
        any_model.embed.register_forward_hook(lambda *_: state.update(inside=True)),
        any_model.blocks[1].register_forward_pre_hook(fails_alone),
        any_model.unembed.register_forward_hook(lambda *_: state.update(inside=False)),
    ]
    assert_falls_back(any_model)
    for handle in handles:
        handle.remove()


def test_model_whose_final_norm_is_not_found(make_model):
    model = make_model("native")
    reader = LanguageModel(model)
    site = reader.continuation(reader.tokenize(IDS), "blocks.0.hook_resid_post")._site
    hidden = _WithoutFinalNorm(model)
    run = Continuation(hidden, site, torch.tensor([IDS]))
    change = random_change(run)
    assert not run.blocks_above_only
    with torch.no_grad():
        expected = edited_by_transformer_lens(model, "blocks.0.hook_resid_post", change)
        torch.testing.assert_close(run.logits(change), expected[:, -1:], rtol=1e-4, atol=1e-5)


class _WithoutFinalNorm(nn.Module):
    """A model that calls its final norm something else."""

    def __init__(self, model):
        super().__init__()
        self.inner, self.blocks, self.cfg = model, model.blocks, model.cfg

    def forward(self, *args, **kwargs):
        return self.inner(*args, **kwargs)


def test_checked_once_for_each_hook_point(any_model, monkeypatch):
    model = LanguageModel(any_model)
    checked = []
    agrees = Continuation._agrees
    monkeypatch.setattr(Continuation, "_agrees", lambda run: checked.append(1) or agrees(run))
    for hook in ("blocks.0.hook_resid_post", "blocks.0.hook_resid_post", "blocks.1.hook_resid_pre"):
        for ids in (IDS, [3, 4]):
            model.continuation(model.tokenize(ids), hook)
    assert len(checked) == 2


def test_users_own_hook_acts_above_and_below(any_model):
    def double(value, hook):
        return 2 * value

    any_model.hook_dict["blocks.0.hook_mlp_out"].add_hook(double)
    any_model.hook_dict["blocks.1.hook_mlp_out"].add_hook(double)
    model = LanguageModel(any_model)
    run = model.continuation(model.tokenize(IDS), "blocks.1.hook_resid_pre")
    with torch.no_grad():
        found, expected = run.logits(torch.zeros(1, len(IDS), 32), len(IDS)), any_model(torch.tensor([IDS]))
    any_model.reset_hooks()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert not torch.allclose(found, any_model(torch.tensor([IDS])), atol=1e-3)


def test_gradient_flows_to_the_change(any_model):
    model = LanguageModel(any_model)
    run = model.continuation(model.tokenize(IDS), "blocks.0.attn.hook_z")
    change = torch.zeros(1, len(IDS), 32, requires_grad=True)
    run.logits(change)[0, -1, 7].backward()
    assert change.grad is not None
    assert change.grad.abs().sum() > 0


def test_change_is_added_in_single_precision_and_rounded_once():
    """1 + a little more than half a step of bfloat16 is the next number; with the change rounded first it is 1."""
    value, change = torch.ones(1, 1, 1, dtype=torch.bfloat16), torch.full((1, 1, 1), 2**-8 * 1.001)
    assert _changed(value, change).item() == 1 + 2**-7
    assert _changed(value, change).dtype == torch.bfloat16
    assert _changed(value.double(), change.double() * 1e-9).item() > 1
