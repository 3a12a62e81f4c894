"""A preview says what whole passes say, from no more of the model than an edit moves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from saewidgets import Lab
from saewidgets import steering as st
from saewidgets.errors import EditError, MismatchError
from saewidgets.models import Continuation, LanguageModel
from saewidgets.results import NextToken, SteeringVector
from saewidgets.steering.generation import next_token
from saewidgets.steering.plan import Plan
from saewidgets.steering.preview import Preview
from tests.conftest import ARCHITECTURES
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import IDS, PLAIN, VARIANTS, add_variant, fires, make_lab, never, sometimes

LOW, PRE, MID, ATTENTION, MLP, HIGH = (
    f"blocks.{name}"
    for name in ("0.hook_resid_post", "1.hook_resid_pre", "1.hook_resid_mid", "1.hook_attn_out", "0.hook_mlp_out",
                 "1.hook_resid_post")
)  # fmt: skip
ALL = 1000  # more than the vocabulary


def vector(hook: str, seed: int = 1) -> SteeringVector:
    return SteeringVector(np.random.default_rng(seed).normal(size=32), hook, "given")


def plan_of(lab: Lab, *edits: st.Edit) -> Plan:
    return Plan(lab.models["tiny"], lab.saes, edits, "sae" if lab.saes else None)


def preview_of(lab: Lab) -> Preview:
    model = lab.models["tiny"]
    return Preview(model, model.tokenize(IDS[0]))


def check(lab: Lab, *edits: st.Edit, preview: Preview | None = None) -> NextToken:
    """Ask a preview, and compare with whole passes."""
    preview, plan = preview or preview_of(lab), plan_of(lab, *edits)
    found, expected = preview.next_token(plan, ALL), next_token(preview.model, preview.tokens, plan, ALL)
    order, wanted = found.ids.argsort(), expected.ids.argsort()
    np.testing.assert_array_equal(found.ids[order], expected.ids[wanted])
    np.testing.assert_array_equal(found.base[order], expected.base[wanted])
    np.testing.assert_allclose(found.edited[order], expected.edited[wanted], rtol=0, atol=1e-5)
    assert abs(found.kl - expected.kl) < 1e-5 * max(1, expected.kl)
    np.testing.assert_array_equal(found.steered, expected.steered)
    assert found.reach == expected.reach
    assert (found.edits, found.model) == (expected.edits, expected.model)
    return found


def is_base(found: NextToken) -> bool:
    return bool((found.edited == found.base).all()) and found.kl == 0 and not found.steered.any()


class Runs:
    """How often the parts of a model run, and for how many tokens the unembedding does."""

    def __init__(self, model: Any) -> None:
        self.counts: Counter[str] = Counter()
        parts = {"embed": model.embed, "0": model.blocks[0].mlp, "1": model.blocks[1].mlp, "unembed": model.unembed}
        self._handles = [part.register_forward_hook(self._counter(name)) for name, part in parts.items()]

    def _counter(self, name: str) -> Any:
        def count(module: Any, args: tuple[Any, ...], output: Any) -> None:
            self.counts[name] += output.shape[1] if name == "unembed" else 1

        return count

    def taken(self) -> dict[str, int]:
        taken = dict(self.counts)
        self.counts.clear()
        return taken


# ---- the numbers of whole passes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_operation_on_every_kind(bridge, make_tensors, variant):
    lab = make_lab(bridge, make_tensors, variant)
    j, preview = sometimes(bridge, lab.saes["sae"]), preview_of(lab)
    edits = [st.add(j, 2), st.set(j, 3), st.set(j, -3), st.scale(j, 4), st.ablate(j), st.set_if_active(j, 3)]
    for edit in [*edits, st.project_out(j), st.set(j, 2, keep_norm=True)]:
        assert check(lab, edit, preview=preview).kl > 0


@pytest.mark.parametrize("where", ["all", "prompt", "generated", [2, 5], [True] + [False] * 7, 99])
def test_every_where(any_model, make_tensors, where):
    found = check(make_lab(any_model, make_tensors), st.add(vector(LOW), 3, where=where))
    assert is_base(found) is (where in ("generated", 99))


HOOKS = [
    "hook_embed", "blocks.0.hook_resid_pre", LOW, PRE, MID, "blocks.0.hook_resid_mid", ATTENTION, MLP, HIGH,
    "blocks.1.attn.hook_z",
]  # fmt: skip


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_point_of_every_model(any_model, make_tensors, hook):
    lab = make_lab(any_model, make_tensors, "hook_z" if hook.endswith("hook_z") else "standard", hook)
    j, preview = sometimes(any_model, lab.saes["sae"]), preview_of(lab)
    assert check(lab, st.set(j, 3), preview=preview).kl > 1e-6
    assert check(lab, st.add(vector(hook), 2), st.set_if_active(j, 5), preview=preview).kl > 1e-6
    assert hooks_left(any_model) == 0


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture(make_hf_folder, make_tensors, architecture):
    lab = Lab(str(make_hf_folder(architecture)), name="tiny")
    add_variant(lab, make_tensors, "standard", LOW)
    model: Any = lab.models["tiny"].model
    j = int(fires(model, lab.saes["sae"])[0, PLAIN].sum(0).argmax())
    preview = preview_of(lab)
    assert check(lab, st.set(j, 4), preview=preview).kl > 1e-6
    assert check(lab, st.add(vector(HIGH), 2), st.set(j, 4), preview=preview).kl > 1e-6


SEVERAL = [
    (LOW, HIGH), (HIGH, LOW), (HIGH, MLP, PRE), (LOW, PRE), (PRE, MID), (MID, PRE), (ATTENTION, MID), (MID, ATTENTION),
    ("ln_final.hook_normalized", LOW), ("hook_embed", HIGH), ("blocks.1.attn.hook_z", LOW, MID),
]  # fmt: skip


@pytest.mark.parametrize("hooks", SEVERAL, ids=" ".join)
def test_several_hook_points_in_any_order(any_model, make_tensors, hooks):
    """What is added depends on the activation, so that an edit above must see what those below did."""
    lab = Lab(any_model, name="tiny")
    for n, hook in enumerate(hooks):
        variant = "hook_z" if hook.endswith("hook_z") else "standard"
        add_variant(lab, make_tensors, variant, hook, f"s{n}")
    edits = [st.set(f"s{n}/{3 + n}", 4) for n in range(len(hooks))]
    projections = [st.project_out(vector(hook, n)) for n, hook in enumerate(hooks)]
    preview = preview_of(lab)
    assert check(lab, *edits, preview=preview).kl > 1e-6
    assert check(lab, *edits, *projections, *edits, preview=preview).kl > 1e-6


@pytest.mark.parametrize(("watched", "hook"), [(LOW, LOW), (LOW, HIGH), (LOW, MID), (MID, MID), (MID, HIGH)])
def test_while_another_feature_fires(any_model, make_tensors, watched, hook):
    lab = make_lab(any_model, make_tensors, hook=watched)
    j = sometimes(any_model, lab.saes["sae"])
    edit = st.add(vector(hook), 3, where=st.while_active(j))
    found = check(lab, edit)
    assert 0 < found.steered.sum() < PLAIN.sum()
    check(lab, st.set(j + 1, 9), edit)
    check(lab, edit, st.add(vector("blocks.0.hook_resid_pre"), 2))  # the feature is read in what this leaves
    with pytest.raises(EditError, match="read after it"):
        preview_of(lab).next_token(plan_of(lab, st.add(vector("blocks.0.hook_resid_pre"), 3, where=edit.where)))


def test_k_tokens_the_likeliest_first(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    preview, plan = preview_of(lab), plan_of(lab, st.add(vector(LOW), 3))
    found, expected = preview.next_token(plan, 5), next_token(preview.model, preview.tokens, plan, 5)
    assert found.tokens == expected.tokens
    assert len(found) == 5


# ---- no more than is needed ------------------------------------------------------------------------------------------


def test_only_the_blocks_above_run_and_only_the_last_token_is_unembedded(any_model, make_tensors):
    lab = make_lab(any_model, make_tensors)
    preview, values = preview_of(lab), [1, 2, 3]
    preview.next_token(plan_of(lab, st.set(7, 1)))
    runs = Runs(any_model)
    for value in values:
        preview.next_token(plan_of(lab, st.set(7, value)))
    assert runs.taken() == {"1": 3, "unembed": 3}


def test_where_nothing_moves_nothing_runs_and_the_base_is_given_bit_for_bit(any_model, make_tensors):
    lab = make_lab(any_model, make_tensors)
    preview, silent = preview_of(lab), never(any_model, lab.saes["sae"])
    preview.next_token(plan_of(lab, st.set(7, 1)))
    runs = Runs(any_model)
    assert is_base(preview.next_token(plan_of(lab)))
    assert is_base(preview.next_token(plan_of(lab, st.add(vector(LOW), 0), st.scale(7, 1))))
    found = preview.next_token(plan_of(lab, st.set_if_active(silent, 9)))
    assert is_base(found)
    assert found.reach == ((0, int(PLAIN.sum())),)
    assert not runs.taken()


def test_begins_at_the_first_edit_that_moves_anything(bridge, make_tensors):
    lab = make_lab(bridge, make_tensors)
    preview, silent = preview_of(lab), never(bridge, lab.saes["sae"])
    edits = [st.add(vector(HIGH), 2), st.set_if_active(silent, 9)]
    check(lab, *edits, preview=preview)
    runs = Runs(bridge)
    found = preview.next_token(plan_of(lab, *edits))
    assert runs.taken() == {"unembed": 1}
    assert [reach.moved for reach in found.reach] == [int(PLAIN.sum()), 0]


def test_few_hook_points_are_kept_and_those_asked_for_last(bridge, make_tensors, monkeypatch):
    lab, passes, clean = Lab(bridge, name="tiny"), [], Continuation._clean_pass
    monkeypatch.setattr(Continuation, "_clean_pass", lambda run: passes.append(run._site.hook) or clean(run))
    preview = preview_of(lab)
    for hook in (LOW, HIGH, MID, MLP, LOW, ATTENTION, LOW):
        preview.next_token(plan_of(lab, st.add(vector(hook), 2)))
    assert len(preview._runs) == 4
    assert passes == [LOW, HIGH, MID, MLP, ATTENTION]
    preview.next_token(plan_of(lab, st.add(vector(HIGH), 2)))
    assert passes[-1] == HIGH


# ---- where parts cannot be run ---------------------------------------------------------------------------------------


def test_whole_passes_where_blocks_cannot_be_run_alone(any_model, make_tensors, monkeypatch):
    monkeypatch.setattr(Continuation, "_agrees", lambda run: False)
    lab = make_lab(any_model, make_tensors)
    preview = preview_of(lab)
    assert check(lab, st.set(7, 3), preview=preview).kl > 1e-6
    assert check(lab, st.add(vector(HIGH), 2), st.set(7, 3), preview=preview).kl > 1e-6
    runs = Runs(any_model)
    preview.next_token(plan_of(lab, st.set(7, 2)))
    assert runs.taken()["embed"] == 1


def test_in_a_steered_context_both_distributions_are_of_the_steered_model(any_model, make_tensors):
    lab = make_lab(any_model, make_tensors)
    preview = preview_of(lab)
    before = check(lab, st.set(7, 3), preview=preview)
    with lab.steering(st.add(vector(HIGH), 2)):
        inside = check(lab, st.set(7, 3), preview=preview)
        fresh = preview_of(lab)
        check(lab, st.set(7, 3), preview=fresh)
    assert np.abs(inside.base - before.base).max() > 1e-4
    check(lab, st.set(7, 3), preview=preview)
    check(lab, st.set(7, 3), preview=fresh)


def test_edits_of_another_model(make_model, make_tensors):
    lab, other = make_lab(make_model(), make_tensors), LanguageModel(make_model(), name="other")
    with pytest.raises(MismatchError, match="another model"):
        Preview(other, other.tokenize(IDS[0])).next_token(plan_of(lab, st.set(7, 1)))
