"""An index on disk: what is not whole, not ours or not this SAE's is told apart, and nothing outside is read."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

import saewidgets as sw
from saewidgets.errors import FeatureIndexError, LoadError, MismatchError, UnknownNameError
from saewidgets.index import FeatureIndex, store
from tests.index.test_build import HOOK, corpus


@pytest.fixture
def index(lab, tmp_path):
    return lab.build_index(corpus(), path=tmp_path / "index", context=32, on_progress=False)


def change(index, **entries):
    path = index.path / store.MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_opens_without_a_lab(index):
    alone = FeatureIndex(str(index.path))
    assert np.array_equal(alone.count, index.count)
    stats = alone.feature(7)
    assert (stats.neighbours, stats.encoder_cosine, stats.neurons) == ((), None, ())
    assert stats.top[0].tokens.strings[0] == f"<{stats.top[0].ids[0]}>"
    alone.verify()


def test_any_reader_of_arrow_files_reads_it(index):
    table = ipc.open_file(pa.memory_map(str(index.path / "features.arrow"))).read_all()
    assert table.num_rows == index.d_sae
    assert table["count"].to_pylist() == index.count.tolist()
    assert len(table["histogram"][0]) == 257


def test_arrays_are_mapped_and_cannot_be_written_to(index):
    with pytest.raises(ValueError, match="read-only"):
        index.count[0] = 1


@pytest.mark.parametrize("name", [*store.FILES, store.WEIGHTS])
@pytest.mark.parametrize("how", ["cut", "empty", "gone", "longer"])
def test_files_that_are_not_whole(index, name, how):
    path = index.path / name
    data = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes({"cut": data[:-8], "empty": b"", "longer": data + b"x"}[how])
    with pytest.raises(LoadError, match=f"{name} is damaged"):
        FeatureIndex(index.path)


@pytest.mark.parametrize("name", [*store.FILES, store.WEIGHTS])
def test_files_of_the_right_size_with_nonsense(index, name):
    path = index.path / name
    path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(LoadError, match=f"{name} is damaged"):
        FeatureIndex(index.path)


def test_one_changed_byte_is_found_by_verify(index):
    path = index.path / "features.arrow"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(LoadError, match="damaged"):
        FeatureIndex(index.path).verify()


def test_examples_outside_of_the_tokens(index):
    manifest = json.loads((index.path / store.MANIFEST).read_text())
    tables = {name: dict(columns) for name, columns in store.read(index.path).tables.items()}
    tables["features.arrow"]["top_position"] = tables["features.arrow"]["top_position"] + np.uint32(10**6)
    tables = {name: {n: a.copy() for n, a in columns.items()} for name, columns in tables.items()}
    store.write(index.path, tables, {k: manifest[k] for k in ("model", "sae", "corpus", "settings", "versions")})
    with pytest.raises(LoadError, match="outside"):
        FeatureIndex(index.path).feature(int(index.count.argmax()))


@pytest.mark.parametrize(
    ("entries", "what"),
    [({"format": "other"}, "does not describe"), ({"version": 2}, "another version"), ({"version": "1"}, "version"),
     ({"sae": {}}, "sae.name"), ({"files": {}}, "features.arrow"), ({"corpus": 3}, "corpus"),
     ({"settings": {"context": -1}}, "context"), ({"model": {"name": 3}}, "model.name")],
)  # fmt: skip
def test_manifest_that_says_something_else(index, entries, what):
    change(index, **entries)
    with pytest.raises(LoadError, match=what):
        FeatureIndex(index.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "\x00", '{"format": ' + '"x' * 600_000])
def test_manifest_that_is_no_json(index, text):
    (index.path / store.MANIFEST).write_text(text)
    with pytest.raises(LoadError):
        FeatureIndex(index.path)


def test_manifest_cannot_name_other_files(index, tmp_path):
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((index.path / store.MANIFEST).read_text())
    change(index, files=manifest["files"] | {"../secret": {"bytes": 1, "sha256": ""}})
    assert set(store.read(index.path).tables) == {*store.FILES, store.WEIGHTS}


@pytest.mark.parametrize("name", [".", "nothing"])
def test_folder_without_an_index(lab, tmp_path, name):
    with pytest.raises(LoadError, match="no index here"):
        lab.load_index(tmp_path / name)


def test_build_that_was_not_finished_says_how_to_go_on(lab, tmp_path):
    assert lab.build_index(corpus(300), path=tmp_path, batch_size=2, on_progress=lambda _: False) is None
    with pytest.raises(LoadError, match="go on with lab.build_index"):
        lab.load_index(tmp_path)


class TestFit:
    def test_found_by_its_hash_whatever_its_name(self, index, bridge, make_tensors):
        other = sw.Lab(bridge)
        other.add_sae(make_tensors(seed=1), "sae", hook=HOOK)
        other.add_sae(make_tensors(), "renamed", hook=HOOK)
        assert other.load_index(index.path).name == "renamed"
        assert str(other.feature("renamed/3").feature) == "renamed/3"

    @pytest.mark.parametrize("named", [None, "sae"])
    def test_index_of_another_sae(self, index, bridge, make_tensors, named):
        other = sw.Lab(bridge)
        other.add_sae(make_tensors(seed=1), "sae", hook=HOOK)
        with pytest.raises(MismatchError, match="SAE that|another SAE"):
            other.load_index(index.path, named)
        assert not other.indexes

    def test_index_of_another_model(self, index, make_model, make_tensors):
        other = sw.Lab(make_model("gpt2"))
        other.add_sae(make_tensors(), hook=HOOK)
        with pytest.raises(MismatchError, match="another model"):
            other.load_index(index.path)

    def test_model_that_is_built_later_is_compared_when_it_is_needed(self, index, make_model, make_tensors):
        other = sw.Lab(lambda: make_model("gpt2"))
        other._hold("sae", _sae(make_tensors), "model")
        opened = other.load_index(index.path)
        assert opened.count.sum() > 0
        with pytest.raises(MismatchError, match="another model"):
            other.feature("sae/3")

    def test_unknown_sae(self, lab, index):
        with pytest.raises(UnknownNameError):
            lab.load_index(index.path, "other")

    @pytest.mark.parametrize("feature", [-1, 64, 1.5, "x", None, True])
    def test_no_such_feature(self, index, feature):
        with pytest.raises(Exception) as error:  # noqa: PT011 - the check of annotations comes first for some
            index.feature(feature)
        assert isinstance(error.value, FeatureIndexError) or "TypeCheck" in type(error.value).__name__


def _sae(make_tensors):
    from saewidgets.saes import load_sae

    return load_sae(make_tensors(), HOOK)
