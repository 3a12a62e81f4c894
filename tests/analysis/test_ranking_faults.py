"""Rankings under odd conditions: hooks of others, arrays in place of lists, interrupts, numbers that are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets.errors import NonFiniteError, TargetError
from saewidgets.models import LanguageModel

IDS = [0, 5, 9, 40, 41, 7]
PROMPTS = [IDS, [0, 3, 4, 8], [0, 11, 12, 13, 14]]
MIDDLE = "blocks.0.hook_resid_post"


@pytest.fixture
def middle(make_model, make_tensors):
    """A lab whose model nobody else has."""
    lab = Lab(make_model("native"), name="own")
    lab.add_sae(make_tensors(), hook=MIDDLE)
    return lab


def metric_of(model, ids=IDS, target=7, baseline=9):
    with torch.no_grad():
        last = model(torch.tensor([ids]))[0, -1]
    return float(last[target] - last[baseline])


@pytest.mark.parametrize("column", [np.array, torch.tensor], ids=["numpy", "torch"])
def test_columns_are_one_value_a_prompt(middle, column):
    batch = middle.rank(PROMPTS, column([7, 8, 9]), column([1, 2, 3]), column([2, 2, 2]), max_ablations=0)
    assert [(one.target, one.baseline, one.position) for one in batch] == [((7,), 1, 2), ((8,), 2, 2), ((9,), 3, 2)]


def test_target_and_baseline_are_two_tokens(middle):
    with pytest.raises(TargetError, match="same token"):
        middle.rank(IDS, 7, 7)


def test_hook_of_the_users_on_a_block_counts_from_when_it_is_there(middle):
    """It would act twice on a block that is run from what it was given."""
    model = middle.model_of().model
    without = middle.rank(IDS, 7, 9)
    assert without.blocks_above_only
    shift = torch.linspace(-1, 1, 32)
    handle = model.blocks[1].register_forward_pre_hook(lambda _, args: (args[0] + shift, *args[1:]) if args else None)
    with_hook = middle.rank(IDS, 7, 9)
    assert with_hook.metric_value == pytest.approx(metric_of(model), abs=1e-5)
    assert with_hook.metric_value != pytest.approx(without.metric_value, abs=1e-3)
    handle.remove()
    assert middle.rank(IDS, 7, 9).blocks_above_only


def test_first_use_makes_no_logits_of_all_positions(middle):
    """With a large vocabulary they would take more memory than any budget."""
    seen = []
    model = middle.model_of().model
    handle = model.unembed.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[1]))
    assert middle.rank(IDS, 7, 9).blocks_above_only
    handle.remove()
    assert set(seen) == {1}


@pytest.mark.parametrize("architecture", ["llama", "gemma2"])
@pytest.mark.parametrize("method", ["attribution", "integrated_gradients"])
def test_rotary_models_in_inference_mode(make_hf_folder, make_tensors, architecture, method):
    lab = Lab(make_hf_folder(architecture))
    lab.add_sae(make_tensors(), hook="blocks.0.hook_resid_post")
    expected = lab.rank(IDS, 7, 9, method=method)
    with torch.inference_mode():
        found = lab.rank(IDS, 7, 9, method=method)
    np.testing.assert_allclose(found.attribution, expected.attribution, rtol=1e-5, atol=1e-7)


def test_weight_that_is_no_number_above_the_hook_point(make_model, make_tensors):
    model = make_model("native")
    lab = Lab(model)
    lab.add_sae(make_tensors(), hook=MIDDLE)
    with torch.no_grad():
        next(model.blocks[1].parameters()).fill_(torch.nan)
    with pytest.raises(NonFiniteError, match=r"metric is not a number[\s\S]*nan"):
        lab.rank(IDS, 7, 9)


def test_metric_without_a_finite_slope(middle):
    with pytest.raises(NonFiniteError, match="gradient is not finite"):
        middle.rank(IDS, metric=lambda logits: (logits[0, -1, 7] - logits[0, -1, 7].detach()).sqrt())


def test_metric_that_writes_into_its_logits(middle):
    once = middle.rank(IDS, metric=lambda logits: logits[0, -1, 7], max_ablations=0)
    twice = middle.rank(IDS, metric=lambda logits: logits[0, -1].mul_(2)[7], max_ablations=3)
    assert twice.metric_value == pytest.approx(2 * once.metric_value, rel=1e-5)


def test_false_of_numpy_stops(middle):
    found = middle.rank(IDS, 7, 9, memory=1, on_progress=lambda ranking: np.bool_(ranking.n_ablated < 2))
    assert (found.n_ablated, found.stopped) == (2, True)


def test_interrupt_ends_a_data_set_and_keeps_what_is_finished(middle):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Interrupted after 1 of 3 prompts"):
        batch = middle.rank(PROMPTS, 7, 9, on_progress=interrupt)
    assert len(batch) == 1


def test_interrupt_in_an_ablation_ends_a_data_set(middle, monkeypatch):
    from saewidgets.analysis import ablation

    real, calls = ablation.ablate, []

    def third(*arguments):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(ablation, "ablate", third)
    with pytest.warns(UserWarning, match="Interrupted after 2 of"):
        batch = middle.rank(PROMPTS, 7, 9, memory=1)
    assert [(one.n_ablated, one.stopped) for one in batch] == [(2, True)]


def test_text_cut_to_the_context_leaves_room_for_the_target(middle):
    text = "the cat sat on the mat " * 20
    assert middle.rank(text, 7, max_ablations=0).prompt_tokens.n_dropped
    found = middle.rank(text, [7, 8, 9], max_ablations=0)
    assert len(found.prompt_tokens) == middle.model_of().n_ctx
    assert found.prompt_tokens.ids[-2:].tolist() == [7, 8]
    assert found.prompt_tokens.n_dropped > 0


@pytest.mark.parametrize("style", ["tokenizer", "metaspace_tokenizer"])
def test_text_of_a_token_leads_back_to_it(make_model, request, style):
    model = make_model("native")
    model.tokenizer = request.getfixturevalue(style)
    reader = LanguageModel(model)
    for token_id, text in reader._finder.texts:
        assert reader.token_text(reader.token_id(text)) == text, token_id


def test_part_that_a_tokenizer_puts_in_front_is_no_part_of_the_target(make_model, metaspace_tokenizer):
    model = make_model("native")
    model.tokenizer = metaspace_tokenizer
    reader = LanguageModel(model)
    assert reader.token_text(reader.token_id(" the")) == " the"
    with pytest.raises(TargetError) as caught:
        reader.token_id(" thecat")
    assert "''" not in str(caught.value.got)
