"""lab.rank: one prompt or many, by name of the SAE; and the user's model and SAEs stay as they are."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets.errors import MismatchError, PromptError, TargetError, TokenError, UnknownNameError
from saewidgets.results import Ranking, RankingBatch
from tests.models.test_language_model import hooks_left

IDS = [0, 5, 9, 40, 41]
PROMPTS = ["the cat", "the dog ran", "the park"]


def hashes(tensors):
    return [hashlib.sha256(tensor.detach().numpy().tobytes()).hexdigest() for tensor in tensors]


def equal(one, other):
    assert np.array_equal(one.features, other.features)
    assert np.allclose(one.attribution, other.attribution, atol=1e-6)
    assert np.allclose(one.ablation, other.ablation, atol=1e-5, equal_nan=True)
    assert (one.metric, one.target, one.baseline, one.position) == (
        other.metric, other.target, other.baseline, other.position,
    )  # fmt: skip


def test_one_prompt_is_a_ranking_and_several_a_batch(lab):
    one = lab.rank(IDS, 7, 9)
    assert type(one) is Ranking
    assert (one.model, one.saes, one.hooks) == ("tiny", ("sae",), ("blocks.1.hook_resid_post",))
    batch = lab.rank([IDS, IDS[:3]], 7, 9)
    assert type(batch) is RankingBatch
    equal(batch[0], one)
    equal(batch[1], lab.rank(IDS[:3], 7, 9))


def test_lists_give_each_prompt_its_own(lab):
    batch = lab.rank(PROMPTS, [7, 8, 9], [10, 11, 12], [-1, 1, 2])
    for n, found in enumerate(batch):
        equal(found, lab.rank(PROMPTS[n], 7 + n, 10 + n, (-1, 1, 2)[n]))
    assert [found.position for found in batch] == [len(batch[0].tokens) - 1, 1, 2]


def test_one_for_all(lab):
    batch = lab.rank(PROMPTS, 7, None, -1, max_ablations=0, metric="log_prob")
    assert {found.target for found in batch} == {(7,)}
    assert {found.baseline for found in batch} == {None}
    assert all(found.n_ablated == 0 for found in batch)


def test_no_target_is_each_prompts_likeliest(lab):
    for found in lab.rank(PROMPTS, max_ablations=0):
        assert found.target == (found.predictions[0].id,)


@pytest.mark.parametrize("name", ["target", "baseline", "position"])
def test_lists_of_another_length(lab, name):
    with pytest.raises(MismatchError, match=r"2 for 3 prompts"):
        lab.rank(PROMPTS, **{"target": 7, name: [1, 2]})


@pytest.mark.parametrize(
    ("arguments", "kind", "shown"),
    [
        ({"prompt": ["the cat", ""]}, PromptError, "Prompt 1 of the list"),
        ({"target": [7, -1, 9]}, TargetError, "Prompt 1 of the list"),
        ({"baseline": [8, 9, " the cat"]}, TargetError, "Prompt 2 of the list.*not one token"),
        ({"position": [-1, -1, 99]}, TokenError, "Prompt 2 of the list.*no such position"),
        ({"position": 0}, TokenError, "Prompt 0 of the list.*masked"),
    ],
)
def test_error_says_which_prompt(lab, arguments, kind, shown):
    with pytest.raises(kind, match=shown.replace(".*", r"[\s\S]*")):
        lab.rank(**{"prompt": PROMPTS, "target": 7, "max_ablations": 0, **arguments})


def test_progress_of_several_is_each_finished_prompt(lab):
    seen = []
    batch = lab.rank(PROMPTS, 7, on_progress=seen.append)
    assert [one is other for one, other in zip(seen, batch, strict=True)] == [True] * 3
    stopped = lab.rank(PROMPTS, 7, on_progress=lambda found: len(found.tokens) != len(batch[1].tokens))
    assert len(stopped) == 2


def test_several_saes_by_name(lab, make_tensors):
    lab.add_sae(make_tensors("topk", seed=1), name="other", hook="blocks.0.hook_mlp_out")
    found = lab.rank(IDS, 7, sae=["other", "sae"], max_ablations=0)
    assert found.saes == ("other", "sae")
    assert lab.rank(IDS, 7, max_ablations=0).saes == ("sae",)
    assert lab.rank(IDS, 7, sae="other", max_ablations=0).hooks == ("blocks.0.hook_mlp_out",)
    assert lab.rank(IDS, 7, sae=["sae", "sae"], max_ablations=0).saes == ("sae",)
    with pytest.raises(UnknownNameError, match="No SAE is named"):
        lab.rank(IDS, 7, sae=[])
    with pytest.raises(UnknownNameError, match="'nobody'"):
        lab.rank(IDS, 7, sae=["sae", "nobody"])


def test_saes_of_two_models_do_not_mix(lab, make_model, make_tensors):
    lab.add_model("second", make_model("native"))
    lab.add_sae(make_tensors(), name="there", hook="blocks.0.hook_resid_post", model="second")
    with pytest.raises(MismatchError, match="different models"):
        lab.rank(IDS, 7, sae=["sae", "there"])


def test_special_tokens_are_left_out_unless_asked_for(lab):
    assert 0 not in lab.rank(IDS, 7, scope="position", max_ablations=0).positions
    whole = lab.rank(IDS, 7, scope="position", max_ablations=0, mask_special=False)
    assert 0 in whole.positions
    assert [one.name for one in whole.nodes] == ["error", "bias"]


def test_texts_as_target_and_baseline(lab):
    model = lab.model_of()
    (one, text), (two, other) = model.complete(" th", 1)[0], model.complete("a", 1)[0]
    equal(lab.rank(IDS, text, other), lab.rank(IDS, one, two))
    with pytest.raises(TargetError, match="not one token[\\s\\S]*nearest"):
        lab.rank(IDS, " the cat")


def test_ranker_takes_one_prompt(lab):
    equal(lab.ranker("the cat").rank(7, 9), lab.rank("the cat", 7, 9))
    with pytest.raises(PromptError):
        lab.ranker("")


def test_target_that_does_not_fit_behind_the_prompt(lab):
    with pytest.raises(PromptError, match="33 token ids"):
        lab.rank([1] * 31, [7, 8, 9])
    assert len(lab.rank([1] * 30, [7, 8, 9], max_ablations=0).tokens) == 32


# ---- the user's model and SAEs -----------------------------------------------------------------------------------


@pytest.fixture
def asked(any_model, make_tensors):
    lab = Lab(any_model)
    lab.add_sae(make_tensors("topk"), name="mid", hook="blocks.0.hook_resid_mid")
    lab.add_sae(make_tensors("topk", seed=1), name="z", hook="blocks.1.attn.hook_z")

    def ask(**more):
        return lab.rank(IDS, 7, 9, sae=["mid", "z"], **{"position": -1, **more})

    return any_model, lab, ask


def test_model_is_bit_for_bit_as_before(asked):
    model, lab, ask = asked
    logits = model(torch.tensor([IDS])).detach()
    weights, flags = hashes(model.parameters()), [p.requires_grad for p in model.parameters()]
    saes = [hashes(sae.tensors()) for sae in lab.saes.values()]
    modes = [module.training for module in model.modules()]
    names, torch_state = set(vars(model)), torch.get_rng_state()
    numpy_state = pickle.dumps(np.random.get_state())  # noqa: NPY002 - the global one is what a user may have seeded
    ask(method="integrated_gradients")
    ask(max_ablations=3)
    assert torch.equal(model(torch.tensor([IDS])), logits)
    assert hashes(model.parameters()) == weights
    assert [p.requires_grad for p in model.parameters()] == flags
    assert all(p.grad is None for p in model.parameters())
    assert [hashes(sae.tensors()) for sae in lab.saes.values()] == saes
    assert [module.training for module in model.modules()] == modes
    assert set(vars(model)) == names
    assert hooks_left(model) == 0
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert pickle.dumps(np.random.get_state()) == numpy_state  # noqa: NPY002


def test_gradients_that_the_user_holds_stay(asked):
    model, _, ask = asked
    model(torch.tensor([IDS]))[0, -1, 3].backward()
    before = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    ask()
    assert before
    after = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], grad) for name, grad in before.items())


def test_model_without_gradients_of_its_own(asked):
    model, _, ask = asked
    expected = ask()
    model.requires_grad_(False)
    equal(ask(), expected)
    assert not any(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("method", ["attribution", "integrated_gradients"])
def test_inside_a_block_without_gradients(asked, mode, method):
    _, _, ask = asked
    expected = ask(method=method)
    with mode():
        found = ask(method=method)
        assert not torch.is_grad_enabled()
    equal(found, expected)


def test_first_use_inside_inference_mode(any_model, make_tensors):
    lab = Lab(any_model)
    lab.add_sae(make_tensors("topk"), hook="blocks.0.hook_resid_post")
    with torch.inference_mode():
        found = lab.rank(IDS, 7, 9, position=-1)
    assert found.blocks_above_only
    equal(lab.rank(IDS, 7, 9, position=-1), found)


def test_users_own_hooks_stay_and_act(asked):
    model, _, ask = asked
    plain = ask()

    def edit(value, hook):
        return value + 0.5 * torch.arange(32)

    model.hook_dict["blocks.0.hook_attn_out"].add_hook(edit)
    steered = ask()
    with torch.no_grad():
        last = model(torch.tensor([IDS]))[0, -1]
    assert steered.metric_value == pytest.approx(float(last[7] - last[9]), abs=1e-5)
    assert abs(steered.metric_value - plain.metric_value) > 1e-4
    model.reset_hooks()
    equal(ask(), plain)


def test_training_mode_is_left_alone(asked):
    model, _, ask = asked
    if any(isinstance(part, torch.nn.Dropout) and part.p > 0 for part in model.modules()):
        model.eval()
        ask()
        assert not model.training
        return
    model.train()
    ask()
    assert model.training
    assert all(module.training for module in model.modules())
