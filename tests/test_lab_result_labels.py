"""Labels in the results that a lab makes: as they stood then, of the features in them, and at no cost without any."""

from __future__ import annotations

import copy
import pickle

import pytest

PROMPT = "the cat sat"


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")


def test_without_annotations_there_are_none_and_no_sae_is_hashed(lab):
    assert (lab.activations(PROMPT).labels, lab.rank(PROMPT, max_ablations=1).labels) == ({}, {})
    assert "content_hash" not in vars(lab.saes["sae"])


def test_of_the_features_that_fire_as_they_stood(lab):
    feature = lab.activations(PROMPT).top(1)[0].feature
    silent = next(n for n in range(lab.saes["sae"].d_sae) if n not in lab.activations(PROMPT).indices)
    lab.annotate(feature, "cats")
    lab.annotate(silent, "silent")
    found, ranking = lab.activations(PROMPT), lab.rank(PROMPT, max_ablations=1)
    batch, rankings = lab.activations([PROMPT, "on"]), lab.rank([PROMPT], max_ablations=1)
    lab.annotate(feature, "dogs")
    assert (found.labels, batch[0].labels) == ({feature: "cats"}, {feature: "cats"})
    assert ranking.labels == rankings[0].labels == {f"sae/{feature}": "cats"}
    assert lab.activations(PROMPT).labels == {feature: "dogs"}
    for result in (found, ranking):
        assert "cats" in result._repr_html_()
        for other in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
            assert (other.labels, type(other.labels)) == (result.labels, dict)
            assert other._repr_html_() == result._repr_html_()


def test_of_several_saes_and_of_labels_of_ones_own(lab, make_tensors):
    lab.add_sae(make_tensors(seed=1), name="other", hook="blocks.0.hook_resid_post")
    first, second = (lab.activations(PROMPT, sae=name).top(1)[0].feature for name in ("sae", "other"))
    lab.annotate(f"sae/{first}", "one")
    vars(lab.saes["other"])["labels"] = {second: "two"}
    ranking = lab.rank(PROMPT, sae=["sae", "other"], max_ablations=1)
    assert ranking.labels == {f"sae/{first}": "one", f"other/{second}": "two"}
    assert lab.activations(PROMPT, sae="other").labels == {second: "two"}


def test_where_no_feature_fires(lab):
    tokens = lab.activations(PROMPT).prompt_tokens
    lab.annotate(0, "cats")
    found = lab.activations(tokens.ids[tokens.special].tolist())
    assert (len(found.indices), found.labels) == (0, {})
