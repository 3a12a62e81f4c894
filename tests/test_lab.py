"""The lab: what it holds, how it names it, and that it changes nothing of the user's."""

from __future__ import annotations

import gc
import hashlib
import weakref

import numpy as np
import pytest
import torch

from saewidgets import FeatureId, Lab
from saewidgets.errors import (
    FeatureIndexError,
    HookPointError,
    LoadError,
    MismatchError,
    UnknownNameError,
)
from saewidgets.results import Activations, ActivationsBatch
from saewidgets.saes import load_sae

HOOK = "blocks.1.hook_resid_post"


def test_text_ids_and_lists(lab):
    alone = lab.activations("the cat")
    assert isinstance(alone, Activations)
    assert (alone.sae, alone.model, alone.hook) == ("sae", "tiny", HOOK)
    assert np.array_equal(lab.activations(alone.token_ids).values, alone.values)
    several = lab.activations(["the cat", "hello world"])
    assert isinstance(several, ActivationsBatch)
    assert len(several) == 2
    assert np.allclose(several[0].values, alone.values, atol=1e-5)
    rows = lab.activations(torch.tensor(alone.token_ids)[None])
    assert isinstance(rows, ActivationsBatch)
    assert np.array_equal(rows[0].values, alone.values)


def test_list_of_lists_of_ids_of_different_length(lab):
    one, two = lab.activations([[0, 5, 6, 7], [0, 9]])
    assert (len(one), len(two)) == (4, 2)


def test_special_tokens_can_be_unmasked(lab):
    assert np.diff(lab.activations("the cat").indptr)[0] == 0
    assert np.diff(lab.activations("the cat", mask_special=False).indptr)[0] > 0


@pytest.mark.parametrize("prepend", [True, False])
def test_sae_says_whether_bos_is_put_in_front(lab, make_sae_folder, prepend):
    lab.add_sae(make_sae_folder(name="other", metadata={"prepend_bos": prepend}))
    assert lab.activations("the cat", "other").special_mask[0] == prepend


def test_model_says_so_where_the_sae_does_not(lab, make_sae_folder):
    lab.add_sae(make_sae_folder(name="other", metadata={"prepend_bos": None}))
    assert lab.activations("the cat", "other").special_mask[0]


def test_text_beyond_the_context_is_cut_and_says_so(lab):
    found = lab.activations("the cat " * 40)
    assert len(found) == 32
    assert found.prompt_tokens.n_dropped > 0


def test_names_of_saes(lab, make_tensors, make_sae_folder):
    assert lab.add_sae(make_tensors(), hook=HOOK) == "sae_2"
    assert lab.add_sae(make_tensors(), hook=HOOK) == "sae_3"
    assert lab.add_sae(make_sae_folder(name="layer_1")) == "layer_1"
    assert lab.add_sae(str(make_sae_folder(name="layer_2"))) == "layer_2"
    assert lab.add_sae(make_tensors(), name="mine/own", hook=HOOK) == "mine/own"
    assert list(lab.saes) == ["sae", "sae_2", "sae_3", "layer_1", "layer_2", "mine/own"]
    assert lab.default_sae == "sae"


def test_folder_added_twice_gets_a_number(lab, make_sae_folder):
    folder = make_sae_folder(name="layer_1")
    assert [lab.add_sae(folder), lab.add_sae(folder)] == ["layer_1", "layer_1_2"]


@pytest.mark.parametrize("name", ["sae", "tiny"])
def test_name_that_is_taken_is_refused_and_the_old_one_stays(lab, make_tensors, name):
    held = lab.saes["sae"]
    with pytest.raises(UnknownNameError, match=r"already holds[\s\S]*lab.remove"):
        lab.add_sae(make_tensors(), name=name, hook=HOOK)
    assert lab.saes["sae"] is held


def test_name_that_is_none(lab, make_tensors):
    with pytest.raises(LoadError, match="not a name"):
        lab.add_sae(make_tensors(), name=" ", hook=HOOK)


def test_saes_and_models_cannot_be_written(lab):
    with pytest.raises(TypeError):
        lab.saes["sae"] = None
    with pytest.raises(TypeError):
        lab.models["tiny"] = None


def test_sae_of_the_wrong_width_is_not_held(lab, make_tensors):
    with pytest.raises(MismatchError, match="SAE d_in 16, hook width 32"):
        lab.add_sae(make_tensors(d_in=16), hook=HOOK)
    assert list(lab.saes) == ["sae"]


def test_sae_on_heads_needs_all_of_them(lab, make_tensors):
    with pytest.raises(MismatchError, match="SAE d_in 8, hook width 4 x 8"):
        lab.add_sae(make_tensors(d_in=8), hook="blocks.0.attn.hook_z")
    assert lab.add_sae(make_tensors(), hook="blocks.0.attn.hook_z") == "sae_2"


def test_sae_that_flattens_nothing_does_not_fit_heads(lab, make_sae_folder):
    with pytest.raises(MismatchError, match="hook width 4 x 8"):
        lab.add_sae(make_sae_folder(), hook="blocks.0.attn.hook_z")


def test_unknown_hook_is_refused(lab, make_tensors):
    with pytest.raises(HookPointError, match=r"such as blocks\.1"):
        lab.add_sae(make_tensors(), hook="blocks.1.hook_resid")
    assert list(lab.saes) == ["sae"]


def test_second_model_and_its_sae(lab, make_model, make_tensors):
    assert lab.add_model("chat", make_model("gpt2")) == "chat"
    lab.add_sae(make_tensors(), name="of_chat", hook=HOOK, model="chat")
    assert list(lab.models) == ["tiny", "chat"]
    assert lab.model_of("of_chat").name == "chat"
    assert lab.activations("the cat", "of_chat").model == "chat"
    assert lab.activations("the cat").model == "tiny"


def test_where_no_model_is_named_the_one_of_the_default_sae_is_steered(make_model, make_tensors):
    lab = Lab(make_model("native"), name="first")
    lab.add_model("second", make_model("gpt2"))
    assert lab.plan([]).model.name == "first"
    lab.add_sae(make_tensors(), hook=HOOK, model="second")
    assert (lab.plan([]).model.name, lab.plan([], "first").model.name) == ("second", "first")


def test_models_get_their_own_names_and_numbers(make_model):
    lab = Lab(make_model("native"))
    assert list(lab.models) == ["native"]
    assert lab.add_model(None, make_model("native")) == "native_2"
    assert lab.models["native_2"].name == "native_2"
    with pytest.raises(UnknownNameError, match="already holds"):
        lab.add_model("native", make_model("native"))


def test_sae_for_a_model_that_is_not_there(lab, make_tensors):
    with pytest.raises(UnknownNameError, match=r"no model of that name[\s\S]*'tiny'"):
        lab.add_sae(make_tensors(), hook=HOOK, model="chat")


def test_folder_of_a_model(make_hf_folder, make_tensors):
    lab = Lab(make_hf_folder("llama"))
    lab.add_sae(make_tensors(), hook=HOOK)
    assert list(lab.models) == ["tiny-llama"]
    assert len(lab.activations("the cat").values)


def test_model_is_built_when_first_needed(bridge, make_tensors):
    built = []
    lab = Lab(lambda: built.append(1) or bridge, name="later")
    assert repr(lab) == "Lab of model 'later'; SAEs: none yet, add one with lab.add_sae"
    assert lab.memory()["later"] == 0
    assert not built
    lab.add_sae(make_tensors(), hook=HOOK)
    assert lab.activations("the cat").model == "later"
    assert built == [1]
    assert lab.memory()["later"] > 0


def test_sae_of_a_model_built_later_is_checked_when_it_is_added(bridge, make_tensors):
    lab = Lab(lambda: bridge)
    with pytest.raises(MismatchError, match="SAE d_in 16, hook width 32"):
        lab.add_sae(make_tensors(d_in=16), hook=HOOK)
    assert not lab.saes


def test_the_worker_of_a_model_stays_the_same_when_it_is_built(bridge, make_tensors):
    lab = Lab(lambda: bridge)
    lab._hold("sae", load_sae(make_tensors(), HOOK), "model")
    before = lab.anchor_of("sae")
    lab.activations("the cat")
    assert lab.anchor_of("sae") is before


def test_an_sae_of_one_hook_can_be_read_at_another(lab):
    name = lab.add_sae(lab.saes["sae"], hook="blocks.0.hook_resid_post")
    assert lab.saes[name].hook == "blocks.0.hook_resid_post"
    assert lab.saes["sae"].hook == HOOK
    assert lab.saes[name].W_enc is lab.saes["sae"].W_enc


def test_memory_is_parameters_and_buffers(lab, bridge, make_tensors):
    memory = lab.memory()
    assert memory["sae"] == 4 * (32 * 64 * 2 + 64 + 32)
    blocks = {t.untyped_storage().data_ptr(): t.nbytes for t in [*bridge.parameters(), *bridge.buffers()]}
    assert memory["tiny"] == sum(blocks.values())
    assert [(item.name, item.kind) for item in memory.items] == [("tiny", "model"), ("sae", "SAE")]
    assert memory.total == memory["tiny"] + memory["sae"]


def test_memory_that_two_tensors_share_counts_once(lab, make_tensors):
    tensors = make_tensors()
    lab.add_sae({**tensors, "W_enc": tensors["W_dec"].T}, name="tied", hook=HOOK)
    assert lab.memory()["tied"] == 4 * (32 * 64 + 64 + 32)


def test_removed_sae_is_freed(lab, make_sae_folder):
    lab.add_sae(make_sae_folder(name="other"))
    lab.activations("the cat", "other")
    held = weakref.ref(lab.saes["other"])
    tensor = weakref.ref(lab.saes["other"].W_enc)
    lab.remove("other")
    gc.collect()
    assert held() is None
    assert tensor() is None
    assert list(lab.saes) == ["sae"]


def test_removed_model_is_freed(make_model, make_tensors):
    model = make_model("native")
    lab = Lab(make_model("native"))
    lab.add_model("chat", model)
    lab.add_sae(make_tensors(), hook=HOOK, model="chat")
    lab.activations("the cat")
    lab.remove("sae")
    lab.remove("chat")
    held = weakref.ref(model)
    del model
    gc.collect()
    assert held() is None
    assert list(lab.models) == ["native"]


def test_model_that_saes_read_is_not_removed(lab):
    with pytest.raises(MismatchError, match=r"'tiny' is read by SAEs[\s\S]*sae"):
        lab.remove("tiny")


def test_removing_what_is_not_there(lab):
    with pytest.raises(UnknownNameError, match=r"'other'[\s\S]*'tiny', 'sae'"):
        lab.remove("other")


def test_name_can_be_used_again(lab, make_tensors):
    lab.remove("sae")
    lab.add_sae(make_tensors(d_sae=16), name="sae", hook=HOOK)
    assert lab.activations("the cat").d_sae == 16


def test_without_saes(bridge):
    with pytest.raises(UnknownNameError, match="has no SAE"):
        Lab(bridge).activations("the cat")


def test_features_by_any_name(lab, make_tensors):
    lab.add_sae(make_tensors(d_sae=16), name="a/b", hook=HOOK)
    expected = FeatureId("sae", 3)
    assert [lab.feature_id(f) for f in (3, "3", "sae/3", expected, np.int64(3))] == [expected] * 5
    assert lab.feature_id(3, sae="a/b") == lab.feature_id("a/b/3") == FeatureId("a/b", 3)


@pytest.mark.parametrize("feature", [64, -1, 10**6, True, 2.0, "sae/64", "sae/-1", "sae/x", "x", None])
def test_feature_that_is_none(lab, feature):
    with pytest.raises(FeatureIndexError):
        lab.feature_id(feature)


def test_feature_index_says_the_range(lab):
    with pytest.raises(FeatureIndexError, match=r"64\n  expected: a whole number in 0\.\.63"):
        lab.feature_id(64)
    with pytest.raises(FeatureIndexError, match=r"0\.\.63"):
        lab.feature_id(FeatureId("sae", -1))


def test_feature_of_an_sae_that_is_not_there(lab):
    with pytest.raises(UnknownNameError, match=r"'other'[\s\S]*'sae'"):
        lab.feature_id("other/3")


def test_repr_is_short_and_names_what_is_held(lab, make_tensors):
    assert repr(lab) == "Lab of model 'tiny'; SAEs: 'sae' (standard, 64 features)"
    for _ in range(30):
        lab.add_sae(make_tensors(d_sae=2), hook=HOOK)
    assert len(repr(lab)) < 500


def test_repr_without_saes(bridge):
    assert repr(Lab(bridge, name="tiny")) == "Lab of model 'tiny'; SAEs: none yet, add one with lab.add_sae"


def digest(tensors) -> str:
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()


def test_nothing_of_the_users_is_changed(any_model, make_tensors):
    ids = torch.tensor([[0, 5, 9, 40]])
    tensors = make_tensors()
    fired = []
    any_model.hook_dict[HOOK].add_hook(lambda value, hook: fired.append(1))
    logits, weights, sae_weights = any_model(ids), digest(any_model.parameters()), digest(tensors.values())
    lab = Lab(any_model)
    lab.add_sae(tensors, hook=HOOK)
    lab.activations("the cat sat")
    lab.activations(["the cat", "hello"])
    lab.memory()
    lab.remove("sae")
    fired.clear()
    assert torch.equal(any_model(ids), logits)
    assert fired == [1]
    assert digest(any_model.parameters()) == weights
    assert digest(tensors.values()) == sae_weights
    any_model.reset_hooks()
