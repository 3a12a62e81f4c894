"""Indexes of the bundled SAEs: the one that is shipped, those built on first use, and the concepts they tell."""

from __future__ import annotations

import gc
import json
import os
import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import saewidgets as sw
from saewidgets.demo import ASSETS, DEFAULT_SAE, cache, world
from saewidgets.demo.build import index as stage
from saewidgets.demo.build.corpus import TokenSpans, labelled
from saewidgets.demo.build.ground_truth import choose, encode_all, measure
from saewidgets.demo.build.settings import FULL, TINY, Paths, Settings, stream_seed
from saewidgets.demo.build.tokenizer import load_tokenizer
from saewidgets.demo.concepts import TokenLabels
from saewidgets.demo.indexes import MINIMUM_SPANS, N_DOCUMENTS, SEED, SETTINGS, DocumentSpans, write_index
from saewidgets.demo.world.documents import write
from saewidgets.errors import LoadError, UnknownNameError
from saewidgets.index import FeatureIndex, store
from saewidgets.index.concepts import Firings, Spans, best_concepts
from saewidgets.index.corpus import Corpus

SHIPPED = ASSETS / "index" / DEFAULT_SAE
SMALL = "mid-topk-512"
FEW = 25


@pytest.fixture(scope="module")
def lab():
    """One for all tests that only read; nothing is built in it."""
    return sw.demo()


@pytest.fixture(scope="module")
def small(lab, tmp_path_factory) -> FeatureIndex:
    """An index of the smallest SAE over a few documents."""
    folder = tmp_path_factory.mktemp("small")
    write_index(lab, SMALL, folder, FEW, quiet=True)
    return FeatureIndex(folder)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class TestShipped:
    def test_it_is_whole_of_the_shipped_sae_and_at_most_8_megabytes(self, lab):
        index = FeatureIndex(SHIPPED)
        index.verify()
        assert sum(path.stat().st_size for path in (ASSETS / "index").rglob("*") if path.is_file()) <= 8e6
        assert index.manifest["sae"]["content_hash"] == lab.saes[DEFAULT_SAE].content_hash
        assert index.manifest["settings"] == SETTINGS.to_json()
        assert index.manifest["corpus"]["n_texts"] == N_DOCUMENTS == FULL.index_documents
        assert set(index.manifest["files"]) == {*store.FILES, store.WEIGHTS, store.CONCEPTS}

    def test_its_documents_have_a_seed_of_their_own(self):
        assert stream_seed(FULL, "index") == SEED
        assert FULL.index_sae == DEFAULT_SAE

    def test_its_examples_are_what_the_model_and_the_grammar_give_today(self, lab):
        index = FeatureIndex(SHIPPED)
        for feature in (1452, 7, 2040):
            stats = index.feature(feature)
            for example in (stats.top[0], stats.top[-1], stats.intervals[2].examples[0]):
                text = write(SEED, example.text).text
                found = lab.activations(text, DEFAULT_SAE)
                assert found.token_ids.tolist() == example.ids.tolist()
                assert found.feature(feature)[example.position] == pytest.approx(example.activation, rel=1e-4)

    def test_a_feature_is_there_at_once(self, monkeypatch, tmp_path, capsys):
        monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
        lab = sw.demo()
        stats = lab.feature("mid-topk-2048/1452")
        assert stats.n_tokens == FeatureIndex(SHIPPED).n_tokens
        assert stats.top[0].tokens.text
        assert stats.logits is not None
        assert stats.concepts[0].f1 >= stats.concepts[-1].f1 > 0
        assert capsys.readouterr().out == ""
        assert not (tmp_path / "cache").exists()

    def test_the_lab_shows_it_and_builds_neither_model_nor_index(self, monkeypatch, tmp_path):
        monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
        lab = sw.demo()
        assert not lab._indexes
        assert list(lab.indexes) == [DEFAULT_SAE]
        assert lab._slots["demo"].built is None
        assert not (tmp_path / "cache").exists()

    def test_counts_of_a_large_sample_agree_with_the_statistics_of_the_sae(self, lab):
        """The statistics were measured on other documents."""
        index, density = FeatureIndex(SHIPPED), lab.saes[DEFAULT_SAE].density
        assert index.density.sum() == pytest.approx(density.sum(), rel=0.01)
        assert np.corrcoef(index.density, density)[0, 1] > 0.98


class TestStage:
    def paths(self, folder: Path) -> Paths:
        folder.mkdir()
        for name in ("model", "saes"):
            (folder / name).symlink_to(ASSETS / name)
        return Paths(folder, folder)

    def test_building_it_again_gives_the_same_files(self, tmp_path):
        settings = Settings(index_sae=SMALL, index_documents=10)
        one, two = (self.paths(tmp_path / name) for name in ("one", "two"))
        index = stage.build_index(settings, one)
        stage.build_index(settings, two)
        assert files(one.index(SMALL)) == files(two.index(SMALL))
        before = files(one.index(SMALL))
        stage.build_index(settings, one)
        assert files(one.index(SMALL)) == before
        assert index.manifest["corpus"]["n_texts"] == 10
        assert str(tmp_path) not in (index.path / store.MANIFEST).read_text()

    def test_one_that_is_too_large_is_refused(self, tmp_path, monkeypatch):
        monkeypatch.setattr(stage, "MOST_BYTES", 1_000)
        with pytest.raises(ValueError, match="lower index_documents"):
            stage.build_index(Settings(index_sae=SMALL, index_documents=2), self.paths(tmp_path / "out"))

    def test_the_small_build_has_it_too(self):
        assert TINY.index_sae in {spec.name for spec in TINY.saes}
        assert TINY.index_documents < 100


def spans_of(settings: Settings, count: int, seed_of: str):
    corpus, spans = labelled(settings, seed_of, count, load_tokenizer(ASSETS / "model"))
    return corpus, list(zip(spans.concept.tolist(), spans.first.tolist(), spans.end.tolist(), strict=True))


class TestConcepts:
    def test_they_are_those_of_counting_one_by_one(self, lab, small):
        corpus, spans = spans_of(FULL, FEW, "index")
        fires = np.zeros((corpus.starts[-1], small.d_sae), np.float64)
        for start, document in zip(corpus.starts, world.sample(SEED, FEW), strict=False):
            found = lab.activations(document.text, SMALL)
            for row in range(1, len(found)):  # 0 is BOS
                here = slice(found.indptr[row], found.indptr[row + 1])
                fires[start + row - 1, found.indices[here]] = found.values[here]
        n_spans = Counter(concept for concept, _, _ in spans)
        inside = {c: {t for k, a, b in spans if k == c for t in range(a, b)} for c in n_spans}
        for feature in range(0, 512, 37):
            values = fires[:, feature]
            scores = []
            for concept, count in n_spans.items():
                tried = []
                for tenth in range(10):
                    on = set(np.flatnonzero(values > values.max() * tenth / 10).tolist())
                    hit = sum(not on.isdisjoint(range(a, b)) for k, a, b in spans if k == concept)
                    precision, recall = len(on & inside[concept]) / max(len(on), 1), hit / count
                    f1 = 2 * precision * recall / (precision + recall) if hit else 0.0
                    tried.append((-f1, tenth, precision, recall))
                f1, tenth, precision, recall = min(tried)
                scores += [(f1, concept, precision, recall, tenth / 10)] * (f1 < 0 and count >= MINIMUM_SPANS)
            expected = sorted(scores)[:5]
            matches = small.concepts.get(feature, ())
            assert [each.f1 for each in matches] == pytest.approx([-row[0] for row in expected], abs=1e-6)
            by_name = {world.concepts[row[1]].name: row for row in scores}
            for match in matches:
                assert match[1:3] == pytest.approx(by_name[match.concept][2:4], abs=1e-6)
            kept = small._stored.tables[store.CONCEPTS]["threshold"][feature, : len(matches)]
            assert kept == pytest.approx([by_name[match.concept][4] for match in matches], abs=1e-6)

    def test_the_best_feature_of_a_concept_is_that_of_the_build_of_the_saes(self):
        """Both are told of the same activations and spans."""
        random = np.random.default_rng(3)
        dense = np.where(random.random((400, 12)) < 0.2, random.random((400, 12)), 0).astype(np.float32)
        first = np.sort(random.choice(390, 60, replace=False))
        spans = TokenSpans(random.integers(0, 3, 60).astype(np.int32), first, first + random.integers(1, 5, 60))
        dense[first, spans.concept] = 2 * random.random(60) + 0.5
        codes = encode_all(lambda x: x, dense)
        chosen = choose(codes, spans, np.arange(3))
        token, feature = np.nonzero(dense)
        firings = Firings.of(feature.astype(np.int32), token.astype(np.uint32), dense[token, feature], 12)
        found = best_concepts(firings, Spans(spans.concept.astype(np.int64), spans.first, spans.end), 3, 1)
        for score in measure(codes, spans, chosen):
            concept = next(n for n in range(3) if world.concepts[n].name == score.concept)
            (place,) = np.flatnonzero(found["concept"][score.feature] == concept)
            kept = [found[name][score.feature, place] for name in ("precision", "recall", "threshold")]
            expected = [score.precision, score.recall, score.threshold / dense[:, score.feature].max()]
            assert kept == pytest.approx(expected, abs=1e-6)

    def test_concepts_with_few_spans_are_left_out(self):
        firings = Firings.of(np.zeros(4, np.int32), np.arange(4, dtype=np.uint32), np.ones(4, np.float32), 1)
        spans = Spans(np.array([0, 0, 1]), np.array([0, 1, 2]), np.array([1, 2, 3]))
        assert best_concepts(firings, spans, 3, 1)["concept"].tolist() == [[0, 1, *[store.NO_CONCEPT] * 3]]
        assert best_concepts(firings, spans, 3, 2)["concept"].tolist() == [[0, *[store.NO_CONCEPT] * 4]]
        assert best_concepts(firings, spans, 3, 3)["concept"].tolist() == [[store.NO_CONCEPT] * 5]

    def test_features_that_tell_nothing_have_none(self, small):
        numbers = small._stored.tables[store.CONCEPTS]["concept"]
        empty = np.flatnonzero((numbers == store.NO_CONCEPT).all(1))
        assert len(small.concepts) == len(list(small.concepts)) == 512 - len(empty)
        assert not any(n in small.concepts for n in empty.tolist())
        assert set(small.concepts) <= set(np.flatnonzero(small.count).tolist())

    @pytest.mark.parametrize("number", [-1, 512, True, "3", None])
    def test_what_is_no_feature_has_none(self, small, number):
        assert small.concepts.get(number) is None

    def test_the_shipped_index_knows_boroughs(self):
        found = {m.concept for matches in FeatureIndex(SHIPPED).concepts.values() for m in matches if m.f1 >= 0.8}
        assert len(found) >= 150
        assert "borough" in {name.partition(".")[0] for name in found}

    def test_spans_of_the_pieces_of_a_document_are_those_of_the_document(self, lab):
        model, documents = lab.model_of(), world.sample(SEED, 60)
        spans_in, found = DocumentSpans(model, documents), [set() for _ in documents]
        windows = list(Corpus(model, [document.text for document in documents], 32, True))
        assert max(window.offset for window in windows) > 31
        for window in windows:
            for concept, first, end in zip(*spans_in(window), strict=True):
                assert 1 <= first < end <= len(window)  # 0 is BOS
                found[window.text] |= {(concept, window.offset + t - 1) for t in range(first, end)}
        for document, marked in zip(documents, found, strict=True):
            spans = TokenLabels(document.text, document.spans).of(model.vocabulary.encode(document.text)[1])
            assert marked == {(n, t) for n, first, end in zip(*spans, strict=True) for t in range(first, end)}

    def test_what_is_damaged_is_told(self, small, tmp_path):
        def changed(**entries) -> Path:
            folder = Path(shutil.copytree(small.path, tmp_path / str(len(list(tmp_path.iterdir())))))
            manifest = store.read_manifest(folder)
            (folder / store.MANIFEST).write_text(json.dumps(manifest | entries))
            return folder

        for concepts in (None, {}, {"names": "x", "minimum_spans": 1}, {"names": [1], "minimum_spans": 1}):
            with pytest.raises(LoadError, match="concepts"):
                FeatureIndex(changed(concepts=concepts))
        with pytest.raises(LoadError, match="without a name"):
            dict(FeatureIndex(changed(concepts={"names": ["a"], "minimum_spans": 1})).concepts)
        folder = changed()
        (folder / store.CONCEPTS).write_bytes((folder / store.WEIGHTS).read_bytes())
        with pytest.raises(LoadError, match=r"concepts\.arrow is damaged"):
            FeatureIndex(folder)
        folder = changed()
        entry = store._write_table(folder / store.CONCEPTS, {"concept": np.zeros(512, np.uint32)})
        manifest = store.read_manifest(folder)
        (folder / store.MANIFEST).write_text(
            json.dumps(manifest | {"files": manifest["files"] | {store.CONCEPTS: entry}})
        )
        with pytest.raises(LoadError, match="other columns"):
            FeatureIndex(folder)


class TestTokens:
    def test_spans_cover_the_tokens_that_the_build_of_the_saes_says(self, lab):
        """Many documents, some in French, German and Spanish, where a letter may be two tokens."""
        corpus, expected = spans_of(FULL, 150, "index")
        vocabulary, found = lab.model_of().vocabulary, []
        documents = world.sample(SEED, 150)
        assert any(not document.text.isascii() for document in documents)
        for start, document in zip(corpus.starts.tolist(), documents, strict=False):
            _, pieces = vocabulary.encode(document.text)
            rows = zip(*TokenLabels(document.text, document.spans).of(pieces), strict=True)
            found += [(int(n), int(a) + start, int(b) + start) for n, a, b in rows]
        assert found == expected

    def test_of_a_part_of_the_text(self, lab):
        text = "José Müller lives in Camden, a borough of London."
        labels, (_, pieces) = TokenLabels(text, world.label(text)), lab.model_of().vocabulary.encode(text)
        whole = {(n, t) for n, a, b in zip(*labels.of(pieces), strict=True) for t in range(a, b)}
        for cut in range(len(pieces) + 1):
            parts = [(labels.of(pieces[:cut]), 0), (labels.of(pieces[cut:], len(b"".join(pieces[:cut]))), cut)]
            found = {
                (n, t + moved) for spans, moved in parts for n, a, b in zip(*spans, strict=True) for t in range(a, b)
            }
            assert found == whole


class TestPredicate:
    def test_it_marks_the_tokens_of_the_concept(self, lab):
        tokens = lab.model_of().tokenize("In London, Camden is a borough.")
        marked = world.predicate("borough.camden")(tokens)
        assert (marked.dtype, marked.shape) == (np.dtype(bool), (len(tokens),))
        assert "".join(tokens.strings[n] for n in np.flatnonzero(marked)).strip() == "Camden"
        wider = world.predicate("borough")(tokens)
        assert (wider >= marked).all()
        assert not wider[0]
        assert tokens.special[0]

    def test_it_marks_what_the_spans_of_a_document_say(self, lab):
        for document in world.sample(77, 10):
            tokens = lab.model_of().tokenize(document.text)
            labels = TokenLabels(document.text, document.spans).of(tokens.pieces[1:])
            for name in {span.concept for span in document.spans}:
                expected = {
                    t + 1
                    for n, a, b in zip(*labels, strict=True)
                    for t in range(a, b)
                    if world.concepts[n].name == name
                }
                assert set(np.flatnonzero(world.predicate(name)(tokens)).tolist()) == expected

    def test_its_name_can_be_read(self):
        predicate = world.predicate("borough.camden")
        assert predicate.name == predicate.__name__ == "borough.camden"
        assert repr(predicate) == "ConceptPredicate('borough.camden')"

    def test_tokens_that_are_no_whole_characters(self, lab):
        model = lab.model_of()
        ids = model.tokenize("in Zürich, Camden").ids
        for cut in range(1, len(ids)):
            piece = model.tokenize(ids[cut:])
            assert world.predicate("borough")(piece).shape == (len(piece),)

    @pytest.mark.parametrize(
        ("name", "alike"),
        [("borough.camdem", "'borough.camden'"), ("camden", "'borough.camden'"), ("Boroughs", "'borough'"),
         ("Tower Hamlets", "'borough.tower_hamlets'"), ("xqzw", "names, such as"), ("", "names"), (7, "names")],
    )  # fmt: skip
    def test_no_such_concept_names_those_spelled_alike(self, name, alike):
        with pytest.raises(UnknownNameError, match="no such concept") as caught:
            world.predicate(name)
        assert alike in str(caught.value)

    def test_the_lab_offers_the_concepts(self, lab):
        assert lab._concept_names == [concept.name for concept in world.concepts]
        assert lab._concept_predicate("borough").name == "borough"


@pytest.fixture
def small_assets(tmp_path, make_hf_folder, make_sae_folder, monkeypatch) -> Path:
    """A stand-in for the bundled model and SAEs, without an index, an empty cache, and a small corpus."""
    folder = tmp_path / "assets"
    shutil.copytree(make_hf_folder("gpt2"), folder / "model")
    for name in (DEFAULT_SAE, "other"):
        shutil.move(make_sae_folder(name=name), folder / "saes" / name)
    monkeypatch.setattr(sw.demo, "ASSETS", folder)
    monkeypatch.setattr(cache, "N_DOCUMENTS", 4)
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return folder


def cached(folder: Path) -> list[str]:
    """What lies in the cache beside the assets."""
    found = folder.parent / "cache" / "indexes"
    return sorted(path.name for path in found.iterdir()) if found.is_dir() else []


def never(*_, **__):
    raise AssertionError("built once more")


class TestFirstUse:
    def test_built_once_and_then_opened(self, small_assets, monkeypatch, capsys):
        lab = sw.demo()
        assert dict(lab.indexes) == {}
        stats = lab.feature("other/3")
        said = capsys.readouterr().out
        assert said.startswith("Building the index of 'other' over 4 documents")
        assert str(small_assets.parent / "cache") in said
        assert list(lab.indexes) == ["other"]
        (name,) = cached(small_assets)
        assert name.startswith("other-")
        monkeypatch.setattr(cache, "write_index", never)
        again = sw.demo()
        assert list(again.indexes) == ["other"]
        assert again.feature("other/3").count == stats.count
        assert again.indexes["other"]._kept is not None  # logit effects
        assert capsys.readouterr().out == ""

    def test_every_sae_its_own_and_none_that_was_not_asked_for(self, small_assets):
        lab = sw.demo()
        lab.feature(3)
        assert list(lab.indexes) == [DEFAULT_SAE]
        lab.feature("other/3")
        assert [name.rpartition("-")[0] for name in cached(small_assets)] == [DEFAULT_SAE, "other"]

    def test_other_tensors_another_index(self, small_assets, make_tensors):
        from safetensors.torch import save_file

        sw.demo().feature("other/3")
        tensors = make_tensors(seed=5)
        save_file(tensors, small_assets / "saes" / "other" / "sae_weights.safetensors")
        lab = sw.demo()
        assert not lab.indexes
        lab.feature("other/3")
        assert len(cached(small_assets)) == 2

    @pytest.mark.parametrize("how", ["a byte", "no manifest", "a file", "another's"])
    def test_a_damaged_one_is_built_again(self, small_assets, how, capsys):
        before = sw.demo().feature("other/3").count
        (name,) = cached(small_assets)
        place = small_assets.parent / "cache" / "indexes" / name
        path = place / "features.arrow"
        if how == "a byte":
            data = bytearray(path.read_bytes())
            data[len(data) // 2] ^= 1
            path.write_bytes(data)
        elif how == "no manifest":
            (place / store.MANIFEST).unlink()
        elif how == "a file":
            shutil.rmtree(place)
            place.write_text("x")
        else:
            manifest = store.read_manifest(place)
            changed = manifest | {"sae": manifest["sae"] | {"content_hash": "0" * 64}}
            (place / store.MANIFEST).write_text(json.dumps(changed))
        capsys.readouterr()
        lab = sw.demo()
        with pytest.warns(UserWarning, match="cannot be used, and is built anew"):
            assert not lab.indexes
        assert lab.feature("other/3").count == before
        assert capsys.readouterr().out.startswith("Building")
        assert cached(small_assets) == [name]
        assert sw.demo().indexes["other"].count[3] == before

    def test_a_damaged_shipped_one_is_built_in_the_cache(self, small_assets):
        lab = sw.demo()
        write_index(lab, DEFAULT_SAE, small_assets / "index" / DEFAULT_SAE, 4, quiet=True)
        (small_assets / "index" / DEFAULT_SAE / "tokens.arrow").write_bytes(b"")
        with pytest.warns(UserWarning, match="cannot be used"):
            assert lab.feature(3).n_tokens
        assert (small_assets / "index" / DEFAULT_SAE).is_dir()  # it is not ours to delete
        assert len(cached(small_assets)) == 1

    def test_an_interrupted_build_leaves_nothing_and_can_be_made_again(self, small_assets, monkeypatch):
        def interrupted(lab, name, folder, *rest):
            write_index(lab, name, folder, *rest, quiet=True)
            raise KeyboardInterrupt

        lab = sw.demo()
        with monkeypatch.context() as patched:
            patched.setattr(cache, "write_index", interrupted)
            with pytest.raises(KeyboardInterrupt):
                lab.feature("other/3")
        assert cached(small_assets) == []
        assert lab.feature("other/3").n_tokens

    def test_what_a_killed_build_left_is_swept_after_a_day(self, small_assets):
        old, new = (small_assets.parent / "cache" / "indexes" / f"other-1.{name}.new" for name in ("old", "new"))
        for folder in (old, new):
            (folder / "build").mkdir(parents=True)
        before = time.time() - 2 * 86_400
        os.utime(old, (before, before))
        assert sw.demo().feature("other/3").n_tokens
        assert not old.exists()
        assert new.exists()  # somebody may be at it

    def test_of_two_that_build_at_once_the_first_is_used_by_both(self, small_assets, monkeypatch):
        other = sw.demo()

        def overtaken(lab, name, folder, *rest):
            monkeypatch.setattr(cache, "write_index", write_index)
            assert other.feature("other/3").n_tokens
            write_index(lab, name, folder, *rest, quiet=True)

        monkeypatch.setattr(cache, "write_index", overtaken)
        lab = sw.demo()
        assert lab.feature("other/3").count == other.feature("other/3").count
        (name,) = cached(small_assets)
        assert lab.indexes["other"].path == other.indexes["other"].path
        assert lab.indexes["other"].path.name == name

    def test_nobody_waits_to_see_what_is_there_while_one_is_built(self, small_assets, monkeypatch):
        lab, begun, go_on = sw.demo(), threading.Event(), threading.Event()

        def slow(*args):
            begun.set()
            assert go_on.wait(60)
            write_index(*args, quiet=True)

        monkeypatch.setattr(cache, "write_index", slow)
        found = []
        worker = threading.Thread(target=lambda: found.append(lab.feature("other/3")))
        worker.start()
        assert begun.wait(60)
        assert not lab.indexes
        go_on.set()
        worker.join(60)
        assert found[0].n_tokens
        assert list(lab.indexes) == ["other"]

    def test_where_the_cache_cannot_be_written_it_lasts_a_session(self, small_assets, monkeypatch):
        (small_assets.parent / "file").write_text("x")
        monkeypatch.setenv(cache.VARIABLE, str(small_assets.parent / "file" / "cache"))
        lab = sw.demo()
        with pytest.warns(UserWarning, match=r"cannot be written[\s\S]*SAEWIDGETS_CACHE"):
            assert lab.feature("other/3").n_tokens
        path = lab.indexes["other"].path
        assert path.is_dir()
        lab.remove("other")
        gc.collect()
        assert not path.exists()

    def test_a_full_disk_is_no_end_either(self, small_assets, monkeypatch):
        def full(lab, name, folder, *rest):
            if folder.is_relative_to(small_assets.parent / "cache"):
                raise OSError(28, "No space left on device")
            write_index(lab, name, folder, *rest, quiet=True)

        monkeypatch.setattr(cache, "write_index", full)
        lab = sw.demo()
        with pytest.warns(UserWarning, match="No space left"):
            assert lab.feature("other/3").n_tokens
        assert cached(small_assets) == []

    def test_the_users_own_saes_have_none(self, small_assets, make_tensors, monkeypatch):
        monkeypatch.setattr(cache, "write_index", never)
        lab = sw.demo()
        lab.add_sae(make_tensors(seed=1), "mine", hook="blocks.1.hook_resid_post")
        with pytest.raises(UnknownNameError, match=r"no index of SAE 'mine'[\s\S]*build_index\(texts, 'mine'\)"):
            lab.feature("mine/3")
        bundled = lab.saes["other"]  # somebody may hold it still
        lab.remove("other")
        lab.add_sae(make_tensors(seed=1), "other", hook="blocks.1.hook_resid_post")
        with pytest.raises(UnknownNameError, match="no index of SAE 'other'"):
            lab.feature("other/3")
        assert not lab.indexes
        assert bundled is not lab.saes["other"]

    def test_one_that_the_user_builds_takes_its_place(self, small_assets):
        lab = sw.demo()
        first = lab.feature("other/3").n_tokens
        mine = lab.build_index(["the cat sat on the mat"], "other", context=32, on_progress=False)
        assert lab.indexes["other"] is mine
        assert lab.feature("other/3").n_tokens == mine.n_tokens < first
        assert sw.demo().indexes["other"].n_tokens == first

    def test_one_that_the_user_built_before_is_not_built_again(self, small_assets, monkeypatch):
        monkeypatch.setattr(cache, "write_index", never)
        lab = sw.demo()
        mine = lab.build_index(["the cat sat on the mat"], "other", context=32, on_progress=False)
        assert lab.feature("other/3").n_tokens == mine.n_tokens
        assert cached(small_assets) == []


def test_the_cache_is_the_users(monkeypatch, tmp_path):
    import platformdirs

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    assert cache.cache_folder() == platformdirs.user_cache_path("saewidgets", appauthor=False)
    monkeypatch.setenv(cache.VARIABLE, "~/mine")
    assert cache.cache_folder() == Path.home() / "mine"
