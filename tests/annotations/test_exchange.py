"""CSV, JSON and Neuronpedia's explanations: out and in again, and what a stranger's file can do."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.annotations import AnnotationStore, Pin, Target
from saewidgets.annotations.neuronpedia import from_neuronpedia, to_neuronpedia
from saewidgets.annotations.records import changes_of
from saewidgets.annotations.tables import check_kind, from_csv, from_json, to_csv, to_json
from saewidgets.errors import AnnotationError, StoreError
from saewidgets.results import Annotation, Explanation, Rating

BASE = Target("feature", "gpt2", "blocks.6.hook_resid_pre", "3f2a", 0)
SEVEN = Target("feature", "gpt2", "blocks.6.hook_resid_pre", "3f2a", 7)


def filled(folder: Path) -> AnnotationStore:
    store = AnnotationStore(folder, "ann")
    store.annotate(SEVEN, '=1+1, "quoted"; ä', "two\nlines", ["a", "b c"], stars=True, pin=("in\tParis", 2))
    store.rate(SEVEN, 0)
    store.rate(SEVEN, 3, "bob")
    store.write([(SEVEN, {"explain": {"Neuronpedia, gpt-4o": "cities"}})])
    store.annotate(Target("token", "gpt2", prompt="", position=0), note="@x")
    store.annotate(Target("example", "gpt2", BASE.hook, BASE.sae, 7, "-x", 1), "example")
    store.annotate(Target("ranking", "gpt2", prompt="x", name="m"), tags=["t"])
    store.annotate(Target("preset", "gpt2", name="calm"), edits='{"version": 1, "edits": []}')
    return store


def said(store: AnnotationStore) -> list[tuple]:
    return [
        (one.target, one.label, one.note, one.tags, one.stars, one.ratings, one.pins, one.explanations, one.edits)
        for one in store.annotations()
    ]


@pytest.mark.parametrize("name", ["out.csv", "out.json"])
def test_what_goes_out_comes_in_again(tmp_path, name):
    store = filled(tmp_path / "a")
    store.export(tmp_path / name)
    other = AnnotationStore(tmp_path / "b", "bob")
    assert other.import_file(tmp_path / name) == 5
    assert said(other) == said(store)
    assert [one.author for one in other.annotations()] == ["bob"] * 5


TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(TEXT, TEXT, TEXT)
def test_any_text_survives_both_formats(note, prompt, pinned):
    one = Annotation(Target("token", "m", prompt=prompt, position=3), note=note, pins=(Pin(pinned, 0),))
    for text, read in ((to_csv([one]), from_csv), (to_json([one]), from_json)):
        ((target, op),) = read(text)
        assert target == one.target
        values = {change.field: change for change in changes_of(op)}
        assert values["note"].value == note
        assert json.loads(values["pins"].element)["text"] == pinned


@settings(deadline=None, max_examples=60)
@given(st.text(st.sampled_from("=+-@'\t\rx"), min_size=1, max_size=6))
def test_no_cell_is_a_formula(note):
    rows = list(csv.DictReader(io.StringIO(to_csv([Annotation(SEVEN, note=note)]))))
    assert rows[0]["note"].lstrip("'")[:1] not in {"=", "+", "-", "@", "\t", "\r"} or rows[0]["note"].startswith("'")
    assert from_csv(to_csv([Annotation(SEVEN, note=note)]))[0][1]["set"]["note"] == note


def test_a_table_made_by_hand(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("\ufefffeature,label,tags,who\n7,London,place; city,me\n9,,,\n8,Paris,,\n", "utf-8")
    store = AnnotationStore(tmp_path / "a")
    assert store.import_file(path, BASE, d_sae=10) == 2
    assert store.annotation(SEVEN).tags == ("city", "place")
    assert store.labels(BASE.hook, BASE.sae) == {7: "London", 8: "Paris"}


BAD = {
    "no such file": (None, "cannot be read"),
    "empty.csv": (b"", "no annotations"),
    "other.csv": (b"a,b\n1,2\n", "no annotations"),
    "feature.csv": (b"feature,label\nseven,x\n", "line 2"),
    "rating.csv": (b"feature,label,ratings\n1,x,\n2,x,ann\n", "line 3"),
    "sae.csv": (b"feature,label\n99,x\n", "another SAE"),
    "kind.csv": (b"kind,feature,label\n../x,1,x\n", "cannot be annotated"),
    "quotes.csv": (b'feature,label\n1,"x\n', "line"),
    "bytes.csv": (b"\xff\xfe", "cannot be read"),
    "large.csv": (b"feature,label\n1," + b"x" * 2_000_000, r"line 2: A label is too long"),
    "score.csv": (b"feature,ratings\n7,ann=5\n", "line 2: .* rating"),
    "no score.csv": (b"feature,ratings\n7,ann=3; bob=x\n", r"line 2: A rating is a name(?s:.*)'bob=x'"),
    "no rater.csv": (b"feature,ratings\n7,3\n", r"line 2: A rating is a name(?s:.*)'3'"),
    "tag.csv": (b"feature,tags\n1,a\n7,a=b\n", "line 3: One of the tags"),
    "far.csv": (b"feature,label\n1,a\n\n10,a\n", "line 4: The file is about another SAE"),
    "number.csv": (b"feature,label\n1_0,a\n", "line 2: This is no feature"),
    "x.json": (b"{", "not JSON"),
    "deep.json": (b"[" * 100_000, "nested too deeply"),
    "number.json": (b"5", "no annotations"),
    "other.json": (b'{"format": "x", "version": 1}', "no annotations of this version"),
    "newer.json": (b'{"format": "saewidgets annotations", "version": 2}', "no annotations of this version"),
    "types.json": (b'{"format": "saewidgets annotations", "version": 1, "annotations": 5}', "no annotation"),
    "entry.json": (
        b'{"format": "saewidgets annotations", "version": 1, "annotations": [{"note": "x"}]}',
        "annotation 1",
    ),
    "note.json": (
        json.dumps(
            {
                "format": "saewidgets annotations",
                "version": 1,
                "annotations": [{"note": 5, "target": {"kind": "preset", "name": "n"}}],
            }
        ).encode(),
        "is text",
    ),
    "far.json": (
        to_json([Annotation(Target("feature", "m", "h", "s", 10), note="x")]).encode(),
        "annotation 1: The file is about another SAE",
    ),
    "cut.json.gz": (gzip.compress(b"[]" * 100)[:-12], "cannot be read"),
    "np.json": (b'[{"index": "x", "description": "y"}]', "no explanation"),
    "np-index.json": (b'[{"index": -1, "description": "y"}]', "no explanation"),
    "np-far.json": (b'[{"index": 99, "description": "y"}]', "another SAE"),
    "np-text.json": (b'[{"index": 1, "description": 5}]', "no explanation"),
    "np-nan.json": (b'[{"index": NaN, "description": "y"}]', "no explanation"),
    "np-long.json": (b'[{"index": 1, "description": "' + b"x" * 10_000_000 + b'"}]', r"too long(?s:.*)entry 1"),
    "np-surrogate.json": (b'[{"index": 1, "description": "\\ud800"}]', "not valid Unicode"),
    "np-nested.json": (b'[{"index": 1, "description": {"a": []}}]', "no explanation"),
    "np-empty.json": (b'[{"index": 1, "description": null}]', r"no explanations(?s:.*)1 without a text"),
    "np-list.json": (b'{"index": 1, "explanations": 5}', "no explanations"),
    "lines.jsonl": (b'{"index": 1, "description": "a"}\n\n{"index": 2,\n', "line 3: Expecting property name"),
    "whole.json": (b'{\n "index": 1,\n "description": }', "line 3 column 17"),
    "digits.json": (b'[{"index": ' + b"9" * 10_000 + b', "description": "a"}]', "not JSON"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_refused_changes_nothing(tmp_path, name):
    content, match = BAD[name]
    if content is not None:
        (tmp_path / name).write_bytes(content)
    store = AnnotationStore(tmp_path / "a")
    with pytest.raises(AnnotationError, match=match):
        store.import_file(tmp_path / name, BASE, d_sae=10)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["out.csv", "out.json"])
def test_what_took_several_records_comes_in_again(tmp_path, name):
    store = AnnotationStore(tmp_path / "a", "ann")
    store.annotate(SEVEN, "London", "\u6f22" * 90_000)
    for n in range(3):
        store.annotate(SEVEN, tags=[f"{n} {m}" for m in range(500)], pin=("\u6f22" * 99_000 + str(n), n))
    store.annotate(BASE, "innocent")
    store.export(tmp_path / name)
    other = AnnotationStore(tmp_path / "b", "\U0001f600" * 1_000)
    assert other.import_file(tmp_path / name) > 2
    assert said(other) == said(store)


def test_the_limit_of_a_cell_is_the_users_again(tmp_path):
    former = csv.field_size_limit(77)
    try:
        assert len(from_csv("feature,label\n7," + "x" * 100, BASE)) == 1
        with pytest.raises(AnnotationError):
            from_csv("feature,label\nx,y", BASE)
        assert csv.field_size_limit() == 77
    finally:
        csv.field_size_limit(former)


def test_numbers_and_lists_as_spreadsheets_and_people_write_them():
    text = "feature,tags,ratings\n7.0,a; b; ,ann=3; bob=0.0;\n8,;,\n"
    assert from_csv(text, BASE) == [(SEVEN, {"add": {"tags": ["a", "b"]}, "rate": {"ann": 3, "bob": 0}})]


def test_endings_in_capitals(tmp_path):
    store = filled(tmp_path / "a")
    for name in ("X.CSV", "X.Json", "Y.CSV.GZ"):
        if name == "Y.CSV.GZ":
            (tmp_path / name).write_bytes(gzip.compress((tmp_path / "X.CSV").read_bytes()))
        else:
            store.export(tmp_path / name)
        other = AnnotationStore(tmp_path / f"of {name}")
        other.import_file(tmp_path / name)
        assert said(other) == said(store)


def test_a_misspelt_kind_is_refused():
    for kind in (None, "feature", "token", "example", "ranking", "preset"):
        check_kind(kind)
    with pytest.raises(AnnotationError, match=r"no such kind(?s:.*)'features'(?s:.*)feature, token, example"):
        check_kind("features")


@pytest.mark.parametrize("name", ["a\0.csv", "~nobody of that name/a.csv"])
def test_what_is_no_name_of_a_file(tmp_path, name):
    store = AnnotationStore(tmp_path / "a")
    with pytest.raises(AnnotationError, match="no name of a file"):
        store.import_file(name)
    with pytest.raises(StoreError, match="no name of a file"):
        store.export(name)


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("saewidgets.annotations.exchange.BYTES_LIMIT", 1000)
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(b" " * 2000))
    with pytest.raises(AnnotationError, match="too large"):
        AnnotationStore(tmp_path / "a").import_file(tmp_path / "x.json.gz")


def test_export_is_whole_or_not_at_all(tmp_path, monkeypatch):
    store = filled(tmp_path / "a")
    path = tmp_path / "x.csv"
    path.write_text("former")
    with pytest.raises(AnnotationError, match=r"\.csv or \.json"):
        store.export(tmp_path / "x.txt")
    with pytest.raises(StoreError, match="not written"):
        store.export(tmp_path / "nowhere" / "x.csv")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("saewidgets.annotations.exchange.os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        store.export(path)
    assert path.read_text() == "former"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a", "x.csv"]


class TestNeuronpedia:
    ONE: ClassVar = {
        "modelId": "gpt2-small", "layer": "6-res-jb", "index": "7", "description": " cities ",
        "explanationModelName": "gpt-4o-mini", "typeName": "oai_token-act-pair", "embedding": [0.5],
    }  # fmt: skip

    @pytest.mark.parametrize("form", ["list", "feature", "features", "lines", "gzip"])
    def test_each_form_that_it_hands_out(self, tmp_path, form):
        feature = {
            "modelId": "gpt2-small", "layer": "6-res-jb", "index": "7", "activations": [],
            "explanations": [{k: v for k, v in self.ONE.items() if k not in {"modelId", "layer", "index"}}],
        }  # fmt: skip
        other = {**self.ONE, "index": 8, "description": "rivers"}
        text = {
            "list": json.dumps([self.ONE, other]),
            "feature": json.dumps(feature),
            "features": json.dumps([feature, {"index": "3", "explanations": []}]),
            "lines": f"{json.dumps(self.ONE)}\n{json.dumps(other)}\n",
            "gzip": f"{json.dumps(self.ONE)}\n{json.dumps(other)}\n",
        }[form].encode()
        path = tmp_path / {"lines": "x.jsonl", "gzip": "x.jsonl.gz"}.get(form, "x.json")
        path.write_bytes(gzip.compress(text) if form == "gzip" else text)
        store = AnnotationStore(tmp_path / "a")
        store.import_file(path, BASE, d_sae=10)
        source = "Neuronpedia, gpt-4o-mini, oai_token-act-pair"
        assert store.annotation(SEVEN).explanations == (Explanation("cities", source),)
        assert store.label(SEVEN) == f"cities (from {source})"

    def test_a_persons_label_stays_in_front(self, tmp_path):
        store = AnnotationStore(tmp_path / "a")
        store.annotate(SEVEN, "London")
        store.write(from_neuronpedia([self.ONE], BASE))
        assert store.label(SEVEN) == "London"
        assert (
            store.annotate(SEVEN, label="").shown_label == "cities (from Neuronpedia, gpt-4o-mini, oai_token-act-pair)"
        )

    def test_all_explanations_of_a_feature_are_kept(self):
        texts = ["cities", "rivers", "cities", "lakes"]
        data = [{**self.ONE, "description": text, "typeName": None} for text in texts]
        data.append({**self.ONE, "typeName": "gpt"})
        ((_, op),) = from_neuronpedia(data, BASE)
        source = "Neuronpedia, gpt-4o-mini"
        known = {source: "cities", f"{source} (2)": "rivers", f"{source} (3)": "lakes", f"{source}, gpt": "cities"}
        assert op == {"explain": known}
        assert next(iter(sorted(known))) == source
        data.insert(0, {**self.ONE, "explanationModelName": "gpt-4o-mini (2)", "description": "x", "typeName": None})
        ((_, op),) = from_neuronpedia(data, BASE)
        more = {f"{source} (2)": "x", f"{source} (3)": "rivers", f"{source} (4)": "lakes"}
        assert op == {"explain": known | more}

    def test_explanations_without_a_text_are_left_out_and_counted(self):
        data = [{**self.ONE, "description": None}, {**self.ONE, "description": " "}, self.ONE]
        with pytest.warns(UserWarning, match="2 explanations without a text"):
            ((_, op),) = from_neuronpedia(data, BASE)
        assert list(op["explain"].values()) == ["cities"]

    @pytest.mark.parametrize("name", ["=;\n", " ", "x" * 199 + " y"])
    def test_a_name_of_separators_is_no_name(self, tmp_path, name):
        data = [{**self.ONE, "explanationModelName": name, "typeName": None}]
        store = AnnotationStore(tmp_path / "a")
        store.write(from_neuronpedia(data, BASE))
        named = f"Neuronpedia, {'x' * 199}" if "x" in name else "Neuronpedia"
        assert store.annotation(SEVEN).explanations == (Explanation("cities", named),)

    def test_several_saes_in_a_file_need_a_choice(self):
        both = [self.ONE, {**self.ONE, "layer": "7-res-jb", "index": "9"}]
        with pytest.raises(AnnotationError, match=r"several SAEs(?s:.*)gpt2-small/6-res-jb, gpt2-small/7-res-jb"):
            from_neuronpedia(both, BASE)
        ((target, _),) = from_neuronpedia(both, BASE, "7-res-jb")
        assert target.feature == 9
        with pytest.raises(AnnotationError, match="no explanations"):
            from_neuronpedia(both, BASE, "8-res-jb")

    def test_it_must_be_told_which_sae(self, tmp_path):
        (tmp_path / "x.json").write_text(json.dumps([self.ONE]))
        with pytest.raises(AnnotationError, match="which of your SAEs"):
            AnnotationStore(tmp_path / "a").import_file(tmp_path / "x.json")

    def test_peoples_labels_go_out_and_its_own_do_not(self):
        mine = [
            Annotation(SEVEN, "London", ratings=(Rating("ann", 1),)),
            Annotation(BASE, explanations=(Explanation("cities", "Neuronpedia"),)),
        ]
        text = to_neuronpedia(mine, "gpt2-small", "6-res-jb")
        assert json.loads(text) == [
            {"modelId": "gpt2-small", "layer": "6-res-jb", "index": "7", "description": "London"}
        ]
        ((target, op),) = from_neuronpedia(json.loads(text), BASE)
        assert (target, op) == (SEVEN, {"explain": {"Neuronpedia": "London"}})
        other = Annotation(Target("feature", "gpt2", "h", "another", 1), "x")
        with pytest.raises(AnnotationError, match="several SAEs"):
            to_neuronpedia([mine[0], other], "gpt2-small", "6-res-jb")
