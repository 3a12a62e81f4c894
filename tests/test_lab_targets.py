"""What can be annotated, and what tells it from others: targets, rankings, presets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from saewidgets import FeatureId, Lab, steering
from saewidgets.errors import AnnotationError, EditError, UnknownNameError

HOOK = "blocks.1.hook_resid_post"
FOLDER = "saewidgets_annotations"


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_does_not_go_together_is_refused(lab, make_tensors):
    lab.add_sae(make_tensors(seed=1), name="other", hook=HOOK)
    ranking, target = lab.rank("the cat", max_ablations=1), lab.target("sae/7")
    for what, which in [
        ("sae/7", {"position": 3}),
        ("sae/7", {"preset": "calm"}),
        ("sae/7", {"prompt": "the cat", "position": 1, "preset": "calm"}),
        ("sae/7", {"sae": "other"}),
        (ranking, {"prompt": "the cat"}),
        (target, {"sae": "sae"}),
        (None, {"prompt": "the cat", "position": 1, "preset": "calm"}),
    ]:
        with pytest.raises(AnnotationError, match="do not go together"):
            lab.annotate(what, "x", **which)
    assert not Path(FOLDER).exists()
    assert lab.target("sae/7", sae="sae") == lab.target(7, sae="sae") == lab.target(target) == target
    assert lab.target(preset="calm", sae="other") == lab.target(preset="calm")


def test_rankings_of_other_saes_are_others(lab, make_tensors):
    for seed in (1, 2):
        lab.add_sae(make_tensors(seed=seed), name=f"sae{seed}", hook=HOOK)
    one, other, turned = (
        lab.rank("the cat", sae=saes, max_ablations=1) for saes in (["sae", "sae1"], ["sae1", "sae2"], ["sae1", "sae"])
    )
    lab.annotate(one, note="of these two")
    assert (lab.annotation(other).note, lab.annotation(turned).note) == (None, "of these two")
    alone = lab.rank("the cat", max_ablations=1)
    lab.annotate(alone, note="of one")
    assert lab.target(alone).sae == lab.saes["sae"].content_hash
    lab.remove("sae")
    for ranking in (one, alone):
        with pytest.raises(UnknownNameError, match="'sae'"):
            lab.annotation(ranking)
    lab.add_sae(make_tensors(seed=3), name="sae", hook="blocks.0.hook_resid_post")
    with pytest.raises(UnknownNameError, match="has left the lab"):
        lab.annotation(alone)


def test_a_ranking_of_very_many_saes_has_a_target(lab, make_tensors):
    names = [lab.add_sae(make_tensors(seed=seed), name=f"sae{seed}", hook=HOOK) for seed in range(1, 17)]
    target = lab.target(lab.rank("the cat", sae=names, max_ablations=1))
    assert (len(target.sae), len(target.hook)) == (64, len(HOOK) * 16 + 15)


def test_presets_are_edits_under_a_name(lab):
    edits = [steering.set("sae/7", 4), steering.ablate("sae/3")]
    lab.save_preset("calm", edits, note="for a talk")
    assert lab.preset("calm") == edits
    assert lab.presets == ("calm",)
    with pytest.raises(UnknownNameError, match="'other'(?s:.*)calm"):
        lab.preset("other")


def test_a_preset_follows_its_saes_whatever_they_are_called(lab, bridge, make_tensors):
    lab.add_sae(make_tensors(seed=1), name="other", hook=HOOK)
    lab.save_preset("calm", [steering.set(7, 4, where=steering.while_active("other/3", 2.0)), steering.ablate("x/1")])
    elsewhere = Lab(bridge, name=lab.model_name())
    elsewhere.add_sae(make_tensors(seed=1), name="sae", hook=HOOK)
    with pytest.raises(UnknownNameError, match="does not hold the SAE(?s:.*)'sae'(?s:.*)add_sae"):
        elsewhere.preset("calm")
    elsewhere.add_sae(make_tensors(), name="other", hook="blocks.0.hook_resid_post")
    with pytest.raises(UnknownNameError, match="does not hold the SAE"):
        elsewhere.preset("calm")
    elsewhere.add_sae(make_tensors(), name="without maxima", hook=HOOK)
    assert str(elsewhere.preset("calm")[0].target) == "without maxima/7"
    elsewhere.add_sae(make_tensors(), name="mine", hook=HOOK)
    elsewhere.saes["mine"].reference_max = np.ones(64, np.float32)
    first, last = elsewhere.preset("calm")
    assert (str(first.target), first.where) == ("mine/7", steering.while_active(FeatureId("sae", 3), 2.0))
    assert str(last.target) == "x/1"
    assert lab.preset("calm")[0].target == "sae/7"


def test_presets_kept_before_their_saes_were_known_are_read_as_they_are(lab):
    edits = [steering.set("gone/7", 4), steering.ablate(3)]
    lab.annotations.annotate(lab.target(preset="old"), edits=steering.edits_to_json(edits))
    assert lab.preset("old") == edits


@pytest.mark.parametrize("saes", [5, ["sae"], {"sae": "ab"}, {"sae": ["hook"]}, {"sae": ["hook", 5]}])
def test_a_preset_that_does_not_say_which_saes_it_means(lab, saes):
    lab.annotations.annotate(lab.target(preset="bad"), edits=json.dumps({"version": 1, "edits": [], "saes": saes}))
    with pytest.raises(EditError, match="do not say which SAEs"):
        lab.preset("bad")
