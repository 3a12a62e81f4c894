"""What each edit adds to the activation, against TransformerLens's hooks and whole encodings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets import steering as st
from saewidgets.errors import EditError, MismatchError
from saewidgets.results import SteeringVector
from tests.conftest import ARCHITECTURES
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import (
    HOOK,
    IDS,
    MAXIMUM,
    PLAIN,
    VARIANTS,
    activation,
    add_variant,
    decoded_with,
    edited_at,
    fires,
    kl,
    logits_with,
    make_lab,
    never,
    sometimes,
    steered_logits,
)

VALUE = 2.0
VECTOR = SteeringVector(np.random.default_rng(1).normal(size=32), HOOK, "given")
D = torch.from_numpy(VECTOR.direction).float()
U = D / D.norm()


def expected_activation(sae: Any, operation: str, f: torch.Tensor) -> torch.Tensor:
    """What f_j is to be."""
    target = torch.full_like(f, VALUE * MAXIMUM)
    return {
        "add": f + target,
        "set": target,
        "scale": VALUE * f,
        "ablate": torch.zeros_like(f),
        "set_if_active": torch.where(f > 0, target, f),
    }[operation]


def make_edit(operation: str, target: Any, **options: Any) -> st.Edit:
    function: Any = getattr(st, operation)
    return function(target, **options) if operation in {"ablate", "project_out"} else function(target, VALUE, **options)


@pytest.mark.parametrize("operation", ["add", "set", "scale", "ablate", "set_if_active"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_feature_equals_decoding_the_changed_features_plus_the_error(bridge, make_tensors, variant, operation):
    lab = make_lab(bridge, make_tensors, variant)
    sae = lab.saes["sae"]
    j = sometimes(bridge, sae)
    x = activation(bridge, sae.hook)
    f = fires(bridge, sae)[..., j]
    new = torch.where(PLAIN, expected_activation(sae, operation, f), f)
    expected = logits_with(bridge, {sae.hook: decoded_with(sae, x, j, new) - x})
    found = steered_logits(lab, make_edit(operation, j))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)
    assert (found - bridge(IDS)).abs().max() > 1e-3


HOOKS = [
    "hook_embed", "blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre", "blocks.0.hook_resid_mid",
    "blocks.1.hook_resid_mid", "blocks.1.hook_attn_out", "blocks.0.hook_mlp_out", "blocks.1.hook_resid_post",
    "blocks.1.attn.hook_z",
]  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_point_of_every_model(any_model, make_tensors, hook):
    lab = make_lab(any_model, make_tensors, hook=hook)
    sae = lab.saes["sae"]
    j = sometimes(any_model, sae)
    x, f = activation(any_model, hook), fires(any_model, sae)[..., j]
    new = torch.where(PLAIN, torch.full_like(f, VALUE * MAXIMUM), f)
    expected = logits_with(any_model, {hook: decoded_with(sae, x, j, new) - x})
    base = any_model(IDS)
    torch.testing.assert_close(steered_logits(lab, st.set(j, VALUE)), expected, rtol=0, atol=1e-4)
    assert (expected - base).abs().max() > 1e-3
    assert torch.equal(any_model(IDS), base)
    assert hooks_left(any_model) == 0


@pytest.mark.parametrize("hook", ["blocks.1.hook_resid_pre", "blocks.0.hook_mlp_out"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture(make_hf_folder, make_tensors, architecture, hook):
    lab = Lab(str(make_hf_folder(architecture)), name="tiny")
    sae = add_variant(lab, make_tensors, "standard", hook)
    model: Any = lab.models["tiny"].model
    j = int(fires(model, sae)[0, PLAIN].sum(0).argmax())
    x, f = activation(model, hook), fires(model, sae)[..., j]
    new = torch.where(PLAIN, torch.full_like(f, VALUE * MAXIMUM), f)
    expected = logits_with(model, {hook: decoded_with(sae, x, j, new) - x})
    torch.testing.assert_close(steered_logits(lab, st.set(j, VALUE)), expected, rtol=0, atol=1e-4)


# ---- what must change nothing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_op_edits_are_bit_exact(bridge, make_tensors, variant):
    lab = make_lab(bridge, make_tensors, variant)
    j, silent = sometimes(bridge, lab.saes["sae"]), never(bridge, lab.saes["sae"])
    base = bridge(IDS)
    for edit in (st.scale(j, 1), st.add(j, 0), st.set_if_active(silent, 5), st.scale(silent, 7), st.ablate(silent)):
        assert torch.equal(steered_logits(lab, edit), base), edit.formula
    assert (steered_logits(lab, st.set(silent, 5)) - base).abs().max() > 1e-2


def test_set_to_its_own_value_is_bit_exact(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    sae = lab.saes["sae"]
    j = sometimes(bridge, sae)
    at = int((fires(bridge, sae)[0, :, j] * PLAIN).argmax())
    acts, _ = sae.activation_of(activation(bridge, HOOK), j)
    edit = st.set(j, 1, maximum=float(acts[0, at]), where=at)
    assert torch.equal(steered_logits(lab, edit), bridge(IDS))


def test_scale_to_zero_is_ablation(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors, "topk")
    j = sometimes(bridge, lab.saes["sae"])
    assert torch.equal(steered_logits(lab, st.scale(j, 0)), steered_logits(lab, st.ablate(j)))
    torch.testing.assert_close(steered_logits(lab, st.set(j, 0)), steered_logits(lab, st.ablate(j)), rtol=0, atol=1e-6)


def test_silent_row_of_a_mixed_batch_is_untouched_and_the_other_as_if_alone(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    sae = lab.saes["sae"]
    rows = torch.tensor([[0, 5, 9, 40], [0, 41, 7, 100]])
    fired = fires(bridge, sae, rows)[:, 1:].gt(0).any(1)
    j = int((fired[0] & ~fired[1]).float().argmax())
    assert fired[0, j]
    assert not fired[1, j]
    mixed, base = steered_logits(lab, st.set_if_active(j, 5), rows), bridge(rows)
    assert torch.equal(mixed[1], base[1])
    assert torch.equal(steered_logits(lab, st.set_if_active(j, 5), rows[1:]), bridge(rows[1:]))
    torch.testing.assert_close(mixed[1:], bridge(rows[1:]), rtol=0, atol=1e-5)
    torch.testing.assert_close(mixed[:1], steered_logits(lab, st.set_if_active(j, 5), rows[:1]), rtol=0, atol=1e-5)
    assert (mixed[0] - base[0]).abs().max() > 1e-2


@pytest.mark.parametrize("variant", VARIANTS)
def test_set_if_active_is_set_at_the_firing_positions(bridge, make_tensors, variant):
    lab = make_lab(bridge, make_tensors, variant)
    sae = lab.saes["sae"]
    j = sometimes(bridge, sae)
    firing = ((fires(bridge, sae)[0, :, j] > 0) & PLAIN).tolist()
    conditional = steered_logits(lab, st.set_if_active(j, 5))
    torch.testing.assert_close(conditional, steered_logits(lab, st.set(j, 5, where=firing)), rtol=0, atol=1e-6)
    assert (conditional - steered_logits(lab, st.set(j, 5))).abs().max() > 1e-3


def test_kl_of_small_additions_is_quadratic(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    base = bridge(IDS)
    for edit in (lambda a: st.add(3, a), lambda a: st.add(VECTOR, a)):
        small, double = (kl(base, steered_logits(lab, edit(a)))[0, 1:].mean() for a in (0.01, 0.02))
        assert 3.5 < double / small < 4.7
        assert kl(base, steered_logits(lab, edit(0))).abs().max() == 0


# ---- directions ------------------------------------------------------------------------------------------------------


def read_steered(lab: Lab, edits: Any, hook: str = HOOK) -> torch.Tensor:
    model: Any = lab.models["tiny"].model
    with lab.steering(edits):
        return activation(model, hook)


@pytest.mark.parametrize("target", ["vector", "feature"])
def test_project_out_leaves_nothing_along_the_direction(bridge, make_tensors, target):
    lab = make_lab(bridge, make_tensors)
    u = U if target == "vector" else lab.saes["sae"].W_dec[3] / lab.saes["sae"].W_dec[3].norm()
    edit = st.project_out(VECTOR if target == "vector" else 3)
    x, once = activation(bridge, HOOK)[0], read_steered(lab, edit)[0]
    assert (once[PLAIN] @ u).abs().max() < 1e-5
    torch.testing.assert_close((once - x).norm(dim=-1)[PLAIN], (x @ u).abs()[PLAIN], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(read_steered(lab, [edit, edit])[0], once, rtol=0, atol=1e-5)
    assert torch.equal(once[~PLAIN], x[~PLAIN])


def test_project_out_of_what_is_orthogonal_is_exact(make_model, make_tensors):
    model = make_model("native")
    lab = make_lab(model, make_tensors)
    axis = torch.zeros(32)
    axis[5] = 2.0
    # By a hook of the user's, which acts first.
    model.hook_dict[edited_at(model, "blocks.0.hook_out")].register_forward_hook(lambda m, a, x: x * (axis == 0))
    base = model(IDS)
    assert torch.equal(steered_logits(lab, st.project_out(axis, hook=HOOK)), base)


@pytest.mark.parametrize(
    ("operation", "delta"),
    [
        ("add", lambda x: VALUE * D.expand_as(x)),
        ("set", lambda x: (VALUE * D.norm() - x @ U)[..., None] * U),
        ("scale", lambda x: (VALUE - 1) * (x @ U)[..., None] * U),
        ("ablate", lambda x: -(x @ U)[..., None] * U),
        ("project_out", lambda x: -(x @ U)[..., None] * U),
        ("set_if_active", lambda x: ((VALUE * D.norm() - x @ U) * (x @ U > 0))[..., None] * U),
    ],
)
def test_vector_formulas(bridge, make_tensors, operation, delta):
    lab = make_lab(bridge, make_tensors)
    x = activation(bridge, HOOK)
    assert 0 < (x @ U > 0)[:, PLAIN].sum() < 7
    added = delta(x) * PLAIN[:, None]
    edit = make_edit(operation, VECTOR)
    torch.testing.assert_close(read_steered(lab, edit), x + added, rtol=1e-5, atol=1e-5)
    expected = logits_with(bridge, {HOOK: added})
    torch.testing.assert_close(steered_logits(lab, edit), expected, rtol=0, atol=1e-4)


def test_vector_over_heads(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    hook = "blocks.1.attn.hook_z"
    expected = logits_with(bridge, {hook: 3 * D.expand(1, 8, -1) * PLAIN[:, None]})
    torch.testing.assert_close(steered_logits(lab, st.add(D, 3, hook=hook)), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("operation", ["add", "set", "scale", "ablate", "set_if_active", "project_out"])
@pytest.mark.parametrize("target", ["vector", "feature"])
def test_keep_norm_turns_and_keeps_the_length(bridge, make_tensors, target, operation):
    lab = make_lab(bridge, make_tensors)
    over = VECTOR if target == "vector" else sometimes(bridge, lab.saes["sae"])
    plain, x = read_steered(lab, make_edit(operation, over))[0], activation(bridge, HOOK)[0]
    kept = read_steered(lab, make_edit(operation, over, keep_norm=True))[0]
    torch.testing.assert_close(kept.norm(dim=-1), x.norm(dim=-1), rtol=1e-5, atol=0)
    torch.testing.assert_close(kept, plain * (x.norm(dim=-1) / plain.norm(dim=-1))[:, None], rtol=1e-4, atol=1e-5)
    untouched = (plain == x).all(-1)
    assert torch.equal(kept[untouched], x[untouched])
    assert not torch.allclose(kept, plain, atol=1e-3)


# ---- several edits ---------------------------------------------------------------------------------------------------


def test_edits_at_one_site_act_in_the_order_given(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    x = activation(bridge, HOOK)

    def out(x):
        return x - (x @ U)[..., None] * U * PLAIN[:, None]

    def more(x):
        return x + 3 * D * PLAIN[:, None]

    first = [st.project_out(VECTOR), st.add(VECTOR, 3)]
    torch.testing.assert_close(read_steered(lab, first), more(out(x)), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(read_steered(lab, first[::-1]), out(more(x)), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(more(out(x)), out(more(x)), atol=0.1)


def test_later_feature_is_read_from_what_the_edit_before_left(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    sae = lab.saes["sae"]
    x = activation(bridge, HOOK)
    after = torch.where(PLAIN[:, None], x + 2 * D, x)
    f = sae.encode(after)[0][..., 7]
    assert not torch.allclose(f, sae.encode(x)[0][..., 7], atol=0.1)
    expected = torch.where(PLAIN[:, None], decoded_with(sae, after, 7, torch.full_like(f, 4 * MAXIMUM)), x)
    found = read_steered(lab, [st.add(VECTOR, 2), st.set(7, 4)])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


ALIASES = ["blocks.1.hook_resid_pre", "blocks.1.hook_in"]


def test_two_names_of_one_hook_point_keep_the_order(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    one, other = (SteeringVector(VECTOR.direction, hook, "given") for hook in ALIASES)
    mixed = [st.add(one, 3), st.project_out(other), st.add(one, 2)]
    same = [st.add(one, 3), st.project_out(one), st.add(one, 2)]
    assert torch.equal(steered_logits(lab, mixed), steered_logits(lab, same))


def test_several_sites_and_saes(any_model, make_tensors):
    lab = make_lab(any_model, make_tensors, hook="blocks.0.hook_resid_mid")
    upper = add_variant(lab, make_tensors, "topk", "blocks.1.hook_resid_pre", "upper")
    lower = lab.saes["sae"]
    x = activation(any_model, lower.hook)
    delta = (decoded_with(lower, x, 3, torch.full((1, 8), 2 * MAXIMUM)) - x) * PLAIN[:, None]

    def change(value, hook):
        new = decoded_with(upper, value, 5, torch.full((1, 8), 4 * MAXIMUM))
        return torch.where(PLAIN[:, None], new, value)

    def lift(value, hook):
        return value + delta

    hooks = [(edited_at(any_model, lower.hook), lift), (upper.hook, change)]
    expected = any_model.run_with_hooks(IDS, fwd_hooks=hooks)
    for edits in ([st.set("sae/3", 2), st.set("upper/5", 4)], [st.set("upper/5", 4), st.set("sae/3", 2)]):
        torch.testing.assert_close(steered_logits(lab, edits), expected, rtol=0, atol=1e-4)


# ---- number formats --------------------------------------------------------------------------------------------------


def test_bf16_is_summed_in_float32_and_cast_once(make_model, make_tensors):
    model = make_model("native").to(torch.bfloat16)
    lab = make_lab(model, make_tensors)
    x = activation(model, HOOK)
    assert x.dtype == torch.bfloat16
    # Each addition alone is lost in bfloat16; the three together are not.
    third = torch.full((32,), float(x.abs().float().max()) * 2**-10)
    edits = [st.add(third, 1, hook=HOOK)] * 3
    expected = torch.where(PLAIN[:, None], (x.float() + 3 * third).to(torch.bfloat16), x)
    found = read_steered(lab, edits)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)
    stepwise = x
    for _ in range(3):
        stepwise = stepwise + third.to(torch.bfloat16)
    assert not torch.equal(stepwise[:, 1:], expected[:, 1:])


def test_bf16_model_reads_the_feature_in_float32(make_model, make_tensors):
    model = make_model("native").to(torch.bfloat16)
    lab = make_lab(model, make_tensors)
    x = activation(model, HOOK).float()
    new = decoded_with(lab.saes["sae"], x, 3, torch.full((1, 8), 2 * MAXIMUM))
    expected = torch.where(PLAIN[:, None], new, x)
    torch.testing.assert_close(read_steered(lab, st.set(3, 2)).float(), expected, rtol=2**-8, atol=1e-6)


def test_float64_model_is_not_narrowed(make_model, make_tensors):
    model = make_model("native").to(torch.float64)
    lab = make_lab(model, make_tensors)
    u = torch.from_numpy(VECTOR.unit)
    assert (read_steered(lab, st.project_out(VECTOR))[0, PLAIN] @ u).abs().max() < 1e-14


# ---- the unit of strength --------------------------------------------------------------------------------------------


def test_maximum_given_with_the_edit_wins_over_that_of_the_sae(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    j = sometimes(bridge, lab.saes["sae"])
    for operation in (st.add, st.set, st.set_if_active):
        given = steered_logits(lab, operation(j, 2, maximum=5))
        torch.testing.assert_close(given, steered_logits(lab, operation(j, 10 / MAXIMUM)), rtol=0, atol=1e-5)


def test_strength_without_a_maximum_is_an_error_and_nothing_is_attached(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    base = steered_logits(lab, st.scale(3, 2))
    for missing in (None, np.zeros(64, np.float32)):
        lab.saes["sae"].reference_max = missing
        for operation in (st.add, st.set, st.set_if_active):
            with pytest.raises(EditError, match=r"maximum, which is not known[\s\S]*sae/3[\s\S]*measure_maxima"):
                lab.steering(operation(3, 2))
        assert torch.equal(steered_logits(lab, st.scale(3, 2)), base)
        lab.steering([st.ablate(3), st.project_out(3)])
    assert hooks_left(bridge) == 0


@pytest.mark.parametrize("wide", [33, 64])
def test_vector_of_another_width(bridge, make_tensors, wide):
    lab = make_lab(bridge, make_tensors)
    with pytest.raises(MismatchError, match=rf"does not fit[\s\S]*{wide} numbers[\s\S]*32"):
        lab.steering(st.add(torch.ones(wide), 1, hook=HOOK))
    assert hooks_left(bridge) == 0
