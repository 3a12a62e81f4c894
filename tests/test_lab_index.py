"""The lab and its indexes: holding, looking up, searching, and what an SAE takes from one."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest
import torch

import saewidgets as sw
from saewidgets.errors import FeatureIndexError, IndexBuildError, LoadError, MismatchError, UnknownNameError
from saewidgets.index import FeatureIndex
from saewidgets.index.search import CutTextWarning
from saewidgets.results import ConceptMatch, FeatureStats
from tests.index.test_build import HOOK, corpus


@pytest.fixture
def index(lab):
    return lab.build_index(corpus(), context=32, on_progress=False)


def test_feature_by_name_and_by_number(lab, index):
    by_name, by_number = lab.feature("sae/7"), lab.feature(7)
    assert isinstance(by_name, FeatureStats)
    assert str(by_name.feature) == str(by_number.feature) == "sae/7"
    assert by_name.count == index.count[7]
    assert (by_name.model, by_name.hook) == ("tiny", HOOK)
    assert "60 special tokens masked" in by_name.sample


def test_no_such_feature_and_no_index(lab, make_tensors, index):
    lab.add_sae(make_tensors(seed=1), "other", hook=HOOK)
    with pytest.raises(FeatureIndexError):
        lab.feature("sae/64")
    with pytest.raises(UnknownNameError, match="no index of SAE 'other'"):
        lab.feature("other/3")
    with pytest.raises(UnknownNameError):
        lab.feature("third/3")


def test_indexes_are_held_by_name_and_go_with_their_sae(lab, index):
    assert dict(lab.indexes) == {"sae": index}
    lab.remove("sae")
    assert not lab.indexes


def test_files_of_an_index_without_a_path_go_when_nobody_holds_it(lab):
    path = lab.build_index(corpus(10), context=32, on_progress=False).path
    lab.remove("sae")
    gc.collect()
    assert not path.exists()


def test_sae_takes_density_and_maxima_where_it_had_none(lab, index):
    sae = lab.saes["sae"]
    assert np.array_equal(sae.reference_max, index.max)
    assert np.allclose(sae.density, index.density)
    assert sae.n_reference_tokens == index.n_tokens
    assert sae.reference_sample == index.sample
    assert lab.next_token("the cat", sw.steering.set("sae/7", 2)).kl > 0  # in multiples of a maximum, known now


def test_maxima_that_were_measured_before_stay(lab):
    lab.measure_maxima(["the cat sat on the mat"], "sae")
    before = lab.saes["sae"].reference_max.copy()
    index = lab.build_index(corpus(), context=32, on_progress=False)
    assert np.array_equal(lab.saes["sae"].reference_max, before)
    assert np.allclose(lab.saes["sae"].density, index.density)


def test_sae_keeps_its_own():
    lab = sw.demo()
    sae = lab.saes[lab.default_sae]
    names = ("reference_max", "density", "n_reference_tokens", "reference_sample")
    before = [getattr(sae, name) for name in names]
    lab.build_index(["Camden is a borough of London."], on_progress=False)
    assert all(getattr(sae, name) is value for name, value in zip(names, before, strict=True))


def test_hash_of_an_sae_is_of_its_tensors(make_tensors):
    from saewidgets.saes import load_sae

    one, same = load_sae(make_tensors(), HOOK), load_sae(make_tensors(), HOOK)
    assert one.content_hash == same.content_hash
    changed = make_tensors()
    changed["W_dec"][3, 4] += 1e-6
    others = [load_sae(changed, HOOK), load_sae({**make_tensors(), "apply_b_dec_to_input": False}, HOOK)]
    others += [load_sae(make_tensors("topk") | {"k": k}, HOOK) for k in (3, 4)]
    assert len({sae.content_hash for sae in (one, *others)}) == 5
    turned = make_tensors()
    turned["W_enc"] = turned["W_enc"].T.contiguous().T
    assert load_sae(turned, HOOK).content_hash == one.content_hash


def test_hash_does_not_change_when_the_sae_is_used(lab, make_tensors):
    name = lab.add_sae(make_tensors("topk"), "k", hook=HOOK)
    before = lab.saes[name].content_hash
    lab.activations("the cat", name)
    del lab.saes[name].__dict__["content_hash"]
    assert lab.saes[name].content_hash == before


def test_frame_has_one_row_a_feature(index):
    frame = index.to_frame()
    assert frame.columns.tolist() == ["feature", "count", "density", "max", "mean", "label"]
    assert len(frame) == 64
    assert frame["count"].tolist() == index.count.tolist()


def test_labels_and_concepts_are_shown(lab, index):
    index.labels = {7: "cats"}
    index.concepts = {7: (ConceptMatch("animal", 0.5, 1.0, 2 / 3),)}
    assert lab.feature(7).label == "cats"
    assert lab.feature(7).concepts[0].concept == "animal"
    assert lab.feature(8).label == ""
    assert index.to_frame().loc[7, "label"] == "cats"


class TestSearch:
    def test_by_label(self, index):
        index.labels = {3: "Cats and dogs", 5: "rain", 99: "cats"}
        assert index.search(label="cat")["feature"].tolist() == [3]
        assert index.search(label="snow").empty

    def test_by_a_label_given_later(self, lab, index, tmp_path):
        lab.annotations = tmp_path / "notes"
        lab.annotate("sae/7", label="Golden things")
        assert index.search(label="golden")["feature"].tolist() == [7]
        assert lab.feature(7).label == "Golden things"

    def test_by_a_text_given_as_token_ids(self, index):
        assert index.search(text=[5, 6, 7]).equals(index.search(text=[[5, 6, 7]]))

    def test_a_label_is_text(self, index):
        with pytest.raises(IndexBuildError, match="label"):
            index.search(label=5)

    def test_by_density(self, index):
        low, high = np.quantile(index.density, [0.2, 0.6])
        found = index.search(density=(low, high))
        assert set(found["feature"]) == set(np.flatnonzero((index.density >= low) & (index.density <= high)))
        assert found["density"].is_monotonic_decreasing

    def test_by_token_of_the_top_contexts(self, lab, index):
        token = int(lab.feature(7).top[0].ids[lab.feature(7).top[0].position])
        found = index.search(token=token).set_index("feature")["at_token"]
        for n in range(64):
            top = lab.feature(n).top
            share = np.mean([e.ids[e.position] == token for e in top]) if top else 0
            assert found.get(n, 0) == pytest.approx(share)
        assert 7 in found.index

    def test_by_token_as_text(self, lab, index):
        text = lab.model_of().token_text(300)
        assert index.search(token=text).equals(index.search(token=300))

    def test_by_text(self, lab, index):
        found = index.search(text="the cat")
        prompt = lab.activations("the cat")
        assert set(found["feature"]) == set(prompt.indices.tolist())
        first = int(found["feature"][0])
        assert found["on_text"][0] == pytest.approx(prompt.feature(first).max() / index.max[first], rel=1e-5)

    def test_a_text_longer_than_the_context_is_cut_and_that_is_said(self, lab, index, make_model):
        long = "the cat sat on the mat and " * 20
        tokens = lab.model_of().tokenize(long)
        assert tokens.n_dropped > 0
        with pytest.warns(CutTextWarning, match=f"the last {tokens.n_dropped} were not looked at") as told:
            found = index.search(text=long)
        assert "The text is longer than the 32 tokens" in str(told[0].message)
        assert set(found["feature"]) == set(lab.activations(long).indices.tolist())
        with pytest.warns(CutTextWarning, match="1 of 2 texts are longer"):
            index.search(text=["the cat", long])
        with pytest.warns(CutTextWarning, match="1 of 2 texts are longer"):
            index.search(specific_to=(["the cat"], ["the cat", long]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            index.search(text="the cat", specific_to=(["the cat"], ["hello"]))

    def test_a_feature_that_never_fires_in_the_corpus_has_no_share_of_its_maximum(self, lab, make_tensors):
        tensors = make_tensors()
        lab.add_sae(tensors, "late", hook=HOOK)
        index = lab.build_index(["the cat sat"], "late", context=32, on_progress=False)
        here = lab.activations("London and Paris", "late")
        never = {n for n in here.indices.tolist() if index.max[n] == 0}
        assert never
        found = index.search(text="London and Paris").set_index("feature")["on_text"]
        assert {n for n in found.index if np.isnan(found[n])} == never
        assert set(found.index[-len(never) :]) == never
        assert set(found.index) == set(here.indices.tolist())

    def test_a_text_on_which_nothing_fires_finds_nothing(self, lab, make_tensors):
        lab.add_sae({**make_tensors(), "b_enc": torch.full((64,), -1e6)}, "silent", hook=HOOK)
        index = lab.build_index(corpus(5), "silent", context=32, on_progress=False)
        found = index.search(text="the cat")
        assert found.empty
        assert "on_text" in found.columns

    def test_specific_to_some_texts(self, lab, index):
        a, b = ["the cat sat", "the cat ran"], ["London and Paris", "hello world"]
        found = index.search(specific_to=(a, b))
        fires = [[set(lab.activations(text).indices.tolist()) for text in texts] for texts in (a, b)]
        for row in found.itertuples():
            assert row.share_a == np.mean([row.feature in f for f in fires[0]])
            assert row.share_b == np.mean([row.feature in f for f in fires[1]])
        assert (found["specific"] > 0).all()
        assert found["specific"].is_monotonic_decreasing

    def test_all_at_once(self, index):
        found = index.search(text="the cat", density=(0.2, 0.7))
        alone = index.search(text="the cat")
        assert set(found["feature"]) == set(alone["feature"][(alone["density"] >= 0.2) & (alone["density"] <= 0.7)])

    @pytest.mark.parametrize("density", [(0.5, 0.1), 3, ("a", "b"), (0.1,)])
    def test_no_range(self, index, density):
        with pytest.raises(IndexBuildError, match="range"):
            index.search(density=density)

    @pytest.mark.parametrize("texts", ["ab", ("a", "b"), (["a"],)])
    def test_no_two_lists(self, index, texts):
        with pytest.raises(IndexBuildError, match="two lists"):
            index.search(specific_to=texts)

    def test_index_without_a_lab_has_no_model(self, index):
        with pytest.raises(LoadError, match="no model"):
            FeatureIndex(index.path).search(text="the cat")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"checkpoint_seconds": "soon"}, "time between states"),
        ({"checkpoint_seconds": None}, "time between states"),
        ({"checkpoint_seconds": True}, "time between states"),
        ({"checkpoint_seconds": -1}, "time between states"),
        ({"checkpoint_seconds": float("nan")}, "time between states"),
        ({"on_progress": 5}, "Progress cannot"),
        ({"on_progress": "print"}, "Progress cannot"),
        ({"path": 5}, "no folder for an index"),
        ({"path": b"x"}, "no folder for an index"),
        ({"path": ""}, "no folder for an index"),
        ({"path": "a\0b"}, "no folder for an index"),
    ],
)
def test_odd_arguments_are_refused_before_anything_is_read(lab, tmp_path, monkeypatch, options, match):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(IndexBuildError, match=match):
        lab.build_index(iter(corpus(5)), context=32, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", [5, None, "", "a\0b"])
def test_an_index_is_opened_by_a_path(lab, path):
    with pytest.raises(IndexBuildError, match="no folder for an index"):
        lab.load_index(path)


def test_the_folder_of_several_indexes_without_a_path_goes_with_the_last(lab, make_tensors):
    lab.add_sae(make_tensors(seed=1), "other", hook=HOOK)
    paths = [
        each.path for each in lab.build_index(corpus(10), ["sae", "other"], context=32, on_progress=False).values()
    ]
    folder = paths[0].parent
    assert folder == paths[1].parent
    lab.remove("sae")
    gc.collect()
    assert not paths[0].exists()
    assert paths[1].exists()
    lab.remove("other")
    gc.collect()
    assert not folder.exists()


def test_saes_of_two_models_do_not_share_passes(lab, make_model, make_tensors):
    lab.add_model("second", make_model())
    lab.add_sae(make_tensors(), "there", hook=HOOK, model="second")
    with pytest.raises(MismatchError, match="different models"):
        lab.build_index(corpus(), ["sae", "there"])


def test_saes_with_and_without_bos_do_not_share_passes(lab, make_sae_folder):
    names = [
        lab.add_sae(make_sae_folder(name=str(prepend), metadata={"prepend_bos": prepend})) for prepend in (True, False)
    ]
    with pytest.raises(MismatchError, match="BOS"):
        lab.build_index(corpus(), names)


def test_no_sae_named(lab):
    with pytest.raises(UnknownNameError, match="No SAE"):
        lab.build_index(corpus(), [])
