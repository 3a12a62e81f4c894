"""What a lab keeps of what people say, and that its views show it."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch

from saewidgets import Lab
from saewidgets.annotations import AnnotationStore, Target
from saewidgets.errors import AnnotationError, FeatureIndexError, UnknownNameError
from saewidgets.widgets import FeatureRanking, TokenActivations
from saewidgets.widgets.labelled import label_of
from saewidgets.widgets.ranking_wire import labels_on
from saewidgets.widgets.wire import labels_in, labels_of

HOOK = "blocks.1.hook_resid_post"
FOLDER = "saewidgets_annotations"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """Each test works beside a notebook of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")
    return tmp_path / FOLDER


def test_a_label_is_kept_beside_the_notebook_and_nothing_is_made_by_reading(lab, folder):
    assert lab.label("sae/7") is None
    assert not lab.annotation("sae/7")
    assert dict(lab.labels_of("sae")) == {}
    assert not folder.exists()
    found = lab.annotate("sae/7", label="London", note="a note", tags=["place"], stars=True)
    assert (found.label, found.note, found.tags, found.stars) == ("London", "a note", ("place",), ("ann",))
    assert len(list(folder.iterdir())) == 1
    assert lab.label(7) == "London"


def test_it_follows_the_sae_whatever_it_is_called(lab, bridge, make_tensors):
    lab.annotate("sae/7", "London")
    other = Lab(bridge, name="another name")
    other.add_sae(make_tensors(seed=1), name="sae", hook=HOOK)
    other.add_sae(make_tensors(), name="renamed", hook=HOOK)
    other.add_sae(make_tensors(), name="elsewhere", hook="blocks.0.hook_resid_post")
    assert other.label("renamed/7") == "London"
    assert other.label("sae/7") is None
    assert other.label("elsewhere/7") is None


def test_content_hash_is_of_the_numbers_and_not_of_the_object(make_tensors):
    from saewidgets.saes import load_sae

    one, same = (load_sae(make_tensors(), HOOK).content_hash for _ in range(2))
    changed = make_tensors()
    changed["W_dec"][3, 5] = torch.nextafter(changed["W_dec"][3, 5], torch.tensor(9.0))
    assert one == same
    assert len({one, load_sae(changed, HOOK).content_hash, load_sae(make_tensors("topk"), HOOK).content_hash}) == 3


def test_another_process_finds_the_same_hash(lab):
    lab.annotate("sae/7", "London")
    code = f"from saewidgets.annotations import AnnotationStore\nprint(AnnotationStore({FOLDER!r}).annotations()[0])"
    root = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": root}, capture_output=True, text=True, check=True
    )
    assert lab.saes["sae"].content_hash in done.stdout


def test_views_show_labels_in_place_of_numbers(lab):
    result = lab.activations("the cat sat")
    feature = result.top(1)[0].feature
    lab.annotate(feature, "felines \u202e")
    assert labels_of(labels_in(lab, "sae"))(feature) == "felines \\u202e"
    assert labels_on(lab.rank("the cat sat", max_ablations=1), lab) == {f"sae/{feature}": "felines \\u202e"}
    with_view = TokenActivations(lab, prompt="the cat sat")
    assert with_view.result is not None
    assert rb"felines \\u202e" in with_view._data
    ranking = FeatureRanking(lab, prompt="the cat sat")
    assert ranking.result is not None
    assert rb"felines \\u202e" in ranking._data


def test_labels_are_as_they_stand(lab):
    labels = lab.labels_of("sae")
    lab.annotate("sae/7", "London")
    lab.annotate("sae/3", "Paris")
    assert (dict(labels), len(labels), labels.get("7"), 5 in labels) == ({3: "Paris", 7: "London"}, 2, None, False)
    lab.annotate("sae/7", label="")
    assert list(labels) == [3]
    AnnotationStore(FOLDER, "bob").annotate(lab.target("sae/5"), "Rome")
    lab.annotations.refresh()
    assert labels[5] == "Rome"
    assert pickle.loads(pickle.dumps(labels)) == {3: "Paris", 5: "Rome"}


def test_labels_of_the_users_own_stay(bridge, make_tensors):
    from saewidgets.saes import load_sae

    sae = load_sae(make_tensors(), HOOK)
    own = vars(sae)["labels"] = {7: "mine"}
    lab = Lab(bridge)
    lab.add_sae(sae, name="sae")
    lab.annotate("sae/7", "another")
    assert lab.labels_of() is own
    vars(sae)["labels"] = ["a", "b"]
    assert lab.labels_of("sae") == {0: "a", 1: "b"}
    with pytest.raises(UnknownNameError):
        lab.labels_of("other")


def test_an_sae_in_two_labs_has_the_labels_of_each_and_is_not_changed(lab, bridge):
    sae = lab.saes["sae"]
    before = set(vars(sae))
    other = Lab(bridge)
    other.add_sae(sae, name="same")
    other.annotations = "elsewhere"
    lab.annotate("sae/7", "mine")
    other.annotate("same/7", "theirs")
    assert other.saes["same"] is sae
    assert (label_of(lab, "sae/7"), label_of(other, "same/7")) == ("mine", "theirs")
    assert set(vars(sae)) - before <= {"content_hash"}
    del other
    gc.collect()
    assert label_of(lab, "sae/7") == "mine"


def test_labels_hold_no_lab(bridge, make_tensors):
    lab = Lab(bridge)
    lab.add_sae(make_tensors(), hook=HOOK)
    labels, gone = lab.labels_of("sae"), weakref.ref(lab)
    del lab
    gc.collect()
    assert gone() is None
    assert dict(labels) == {}


def test_two_labs_share_a_folder_and_hear_of_each_other(lab, bridge, make_tensors):
    other = Lab(bridge)
    other.add_sae(make_tensors(), hook=HOOK)
    heard: list[frozenset[Target]] = []
    end = other.annotations.observe(heard.append)
    lab.annotate("sae/7", "London")
    end()
    assert heard == [{lab.target("sae/7")}]
    assert other.label("sae/7") == "London"


def test_another_folder(lab, tmp_path):
    lab.annotate("sae/7", "here")
    lab.annotations = tmp_path / "there"
    assert lab.label("sae/7") is None
    lab.annotate("sae/7", "there")
    assert AnnotationStore(tmp_path / "there").label(lab.target("sae/7")) == "there"
    lab.annotations = AnnotationStore(FOLDER)
    assert lab.label("sae/7") == "here"
    with pytest.raises(AnnotationError, match="no place"):
        lab.annotations = 5


def test_the_folder_is_beside_the_notebook_wherever_its_code_goes(lab, folder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert lab.annotations.folder == folder
    assert not folder.exists()


def test_who_wants_to_hears_of_another_store(lab):
    heard = []
    here, there = lab.annotations, AnnotationStore("there")
    lab.annotate("sae/7", "here")
    there.annotate(lab.target("sae/5"), "there")

    def fails(*_):
        raise ValueError("a fault")

    ends = [lab.on_annotations(fails), lab.on_annotations(lambda *told: heard.append(told))]
    with pytest.warns(RuntimeWarning, match="a fault"):
        lab.annotations = there
    lab.annotations = there
    assert heard == [(there, {lab.target("sae/7"), lab.target("sae/5")})]
    for end in ends:
        end()
    lab.annotations = here
    assert len(heard) == 1


def test_tokens_examples_and_rankings(lab):
    ranking = lab.rank("the cat", max_ablations=1)
    lab.annotate(None, "a token", prompt="the cat", position=2)
    lab.annotate("sae/7", "an example", prompt="the cat", position=2)
    lab.annotate(ranking, note="a ranking")
    assert lab.label("sae/7") is None
    assert lab.annotation(None, prompt="the cat", position=2).label == "a token"
    assert lab.annotation("sae/7", prompt="the cat", position=2).label == "an example"
    assert lab.annotation(lab.rank("the cat", max_ablations=1)).note == "a ranking"
    assert not lab.annotation(lab.rank("the dog", max_ablations=1))
    frame = lab.annotations.to_frame().set_index("kind")
    assert frame.loc["token", "position"] == 2
    assert frame.loc["ranking", "prompt"] == "the cat"


def test_ratings_of_examples_and_their_agreement(lab):
    for position, (ann, bob) in enumerate([(0, 0), (3, 3), (1, 1)]):
        lab.rate("sae/7", ann, prompt="the cat", position=position)
        lab.rate("sae/7", bob, "bob", prompt="the cat", position=position)
    assert lab.annotations.agreement("ann", "bob").kappa == 1.0
    assert lab.rate("sae/7", 2).ratings[0].rater == "ann"


def test_files_in_and_out(lab, make_tensors, tmp_path):
    explanations = [{"modelId": "m", "layer": "1-res", "index": "7", "description": "cities"}]
    (tmp_path / "np.json").write_text(json.dumps(explanations))
    assert lab.import_annotations(tmp_path / "np.json") == 1
    assert lab.label("sae/7") == "cities (from Neuronpedia)"
    lab.annotate("sae/7", "London")
    lab.add_sae(make_tensors(seed=1), name="other", hook=HOOK)
    lab.annotate("other/1", "elsewhere")
    lab.export_annotations("all.csv")
    lab.export_annotations("one.csv", sae="sae")
    lab.export_annotations("np_out.json", sae="sae", neuronpedia=("m", "1-res"))
    assert [len(Path(name).read_text().splitlines()) for name in ("all.csv", "one.csv")] == [3, 2]
    assert json.loads(Path("np_out.json").read_text())[0]["description"] == "London"
    with pytest.raises(AnnotationError, match="no pair of names"):
        lab.export_annotations("np_out.json", sae="sae", neuronpedia="ab")
    (tmp_path / "mine.csv").write_text("feature,label\n9,Rome\n")
    lab.import_annotations("mine.csv", sae="other")
    assert lab.label("other/9") == "Rome"
    (tmp_path / "far.csv").write_text("feature,label\n64,x\n")
    with pytest.raises(AnnotationError, match="another SAE"):
        lab.import_annotations("far.csv")


def test_what_is_not_there(lab):
    with pytest.raises(FeatureIndexError):
        lab.annotate("sae/64", "x")
    with pytest.raises(UnknownNameError):
        lab.label("other/1")
    with pytest.raises(AnnotationError, match="no token"):
        lab.annotate(None, "x")
    with pytest.raises(AnnotationError, match="no such position(?s:.*)14 at most"):
        lab.annotate(None, "x", prompt="the cat", position=300)
    with pytest.raises(AnnotationError, match="no such position"):
        lab.rate("sae/7", 3, prompt="the cat", position=15)
    with pytest.raises(AnnotationError, match="one by one"):
        lab.annotate(lab.rank(["the cat", "the dog"], max_ablations=1), "x")
    with pytest.raises(AnnotationError, match=r"cannot be annotated(?s:.*)got: +Activations"):
        lab.annotate(lab.activations("the cat"), "x")
    assert not Path(FOLDER).exists()


def test_a_broken_folder_costs_labels_and_nothing_else(lab, folder):
    folder.write_text("not a folder")
    assert lab.label("sae/7") is None
    assert labels_on(lab.rank("the cat", max_ablations=1), lab) == {}


def test_saved_data_of_sae_vis_is_read_with_the_models_own_tokens(lab, tmp_path):
    ids = lab.activations("the cat sat").prompt_tokens.ids.tolist()
    example = {"token_ids": ids, "feat_acts": [0.0] * (len(ids) - 1) + [2.0], "loss_contribution": []}
    groups = {"seq_group_data": [{"title": "TOP", "seq_data": [example]}]}
    data = {"feature_data_dict": {"7": {"sequence_data": groups}}, "feature_stats": {"max": [2.0]}}
    (tmp_path / "vis.json").write_text(json.dumps(data))
    assert lab.import_annotations("vis.json") == 1
    found = lab.annotation("sae/7")
    assert [(pin.text, pin.position) for pin in found.pins] == [("the cat sat", len(ids) - 1)]
    assert (found.tags, found.label) == (("sae_vis",), None)
