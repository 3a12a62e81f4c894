"""Examples, the table, annotations, ratings and specificity."""

import dataclasses
import gc
import json
import threading
import weakref

import numpy as np
import pytest

import saewidgets as sw
from saewidgets.widgets import FeatureDashboard
from saewidgets.widgets.dashboard_specificity import blind
from saewidgets.widgets.dashboard_wire import pack_feature
from saewidgets.widgets.worker import worker_of
from tests.index.test_build import HOOK, corpus
from tests.widgets.dashboards import Gate, header
from tests.widgets.fake_dashboard_lab import FakeDashboardLab
from tests.widgets.messages import tell
from tests.widgets.test_dashboard_wire import tokens_of, unpack


@pytest.fixture
def lab(tmp_path):
    return FakeDashboardLab(folder=tmp_path / "notes")


@pytest.fixture
def name(lab):
    """A feature that fires often."""
    return f"mid/{int(lab.indexes['mid'].count.argsort()[-2])}"


@pytest.fixture
def view(lab, name):
    view = FeatureDashboard(lab, name)
    yield view
    view.close()


class TestExamples:
    @pytest.mark.parametrize("which", ["top", 1, 10])
    def test_windows_are_read_in_one_call_as_the_index_read_them(self, lab, view, which):
        assert tell(view, op="examples", list=which)["error"] == ""
        stats = view.result
        examples = stats.top if which == "top" else stats.intervals[which - 1].examples
        assert lab.runs == [[each.ids.tolist() for each in examples]] if examples else lab.runs == []
        head, tokens, end = tokens_of(view._examples, "SAEX")
        assert (head["feature"], head["list"]) == (view.feature, which)
        values = np.frombuffer(view._examples, "<f4", len(tokens), end)
        at = 0
        for row, example in zip(head["examples"], examples, strict=True):
            assert values[at + row[2]] == pytest.approx(example.activation, rel=1e-5)
            assert tokens[at : at + row[1]] == list(example.tokens.strings)
            at += row[1]

    def test_a_list_is_read_once(self, lab, view):
        tell(view, op="examples", list="top")
        assert view.result is not None
        data = view._examples
        tell(view, op="examples", list=10)
        assert view.result is not None
        tell(view, op="examples", list="top")
        assert view.result is not None
        assert view._examples == data
        assert len(lab.runs) == 2
        view.feature = 3
        assert view._read == {}  # the lists of one feature only are kept

    def test_the_latest_list_wins_and_another_feature_ends_it(self, lab, view):
        first, second, third = [n + 1 for n, each in enumerate(view.result.intervals) if each.examples][:3]
        gate = Gate(lab)
        for which in ("top", first, second):
            tell(view, op="examples", list=which)
            assert gate.begun.wait(30)
        gate.open.set()
        assert view.result is not None
        assert header(view, "_examples", "SAEX")["list"] == second
        assert len(lab.runs) == 2
        gate.begun.clear()
        gate.open.clear()
        tell(view, op="examples", list=third)
        assert gate.begun.wait(30)
        view.feature = 3
        gate.open.set()
        worker_of(lab.model).call(lambda job: None)
        assert view._examples == b""
        assert view.status["state"] == "done"

    @pytest.mark.parametrize("which", [0, 11, "bottom", None, True, 1.0, [], {}])
    def test_no_such_list(self, lab, view, which):
        assert "no such list" in tell(view, op="examples", list=which)["error"]
        assert lab.runs == []


class TestTable:
    def test_it_is_sent_when_it_is_asked_for(self, lab, view):
        lab.annotate("mid/3", label="three")
        assert view._table == b""
        assert tell(view, op="table")["error"] == ""
        assert view.result is not None
        head, n, start = unpack(view._table, "SAET")
        assert (head["sae"], n, head["labels"]) == ("mid", 512, {"3": "three"})
        assert np.frombuffer(view._table, "<u4", n, start).tolist() == lab.indexes["mid"].count.tolist()

    def labels(self, view):
        """Labels in the table, once all work is done."""
        assert view.result is not None
        return header(view, "_table", "SAET")["labels"]

    def test_a_new_label_renews_the_table_that_is_seen(self, lab, view):
        lab.annotate("mid/3", label="three")
        assert view._table == b""
        tell(view, op="table")
        assert self.labels(view) == {"3": "three"}
        lab.annotate("mid/4", label="four")
        assert self.labels(view) == {"3": "three"}
        tell(view, op="set", tab="table")
        assert self.labels(view) == {"3": "three", "4": "four"}
        lab.annotate("mid/3", label="")
        assert self.labels(view) == {"4": "four"}

    def test_a_table_that_nobody_asked_for_is_not_made(self, lab, view):
        view.tab = "table"
        lab.annotate("mid/3", label="three")
        assert view.result is not None
        assert view._table == b""

    def test_another_sae_has_another(self, lab, view):
        tell(view, op="table")
        assert self.labels(view) == {}
        view.sae = "wide"
        assert view.result is None
        assert view._table == b""
        tell(view, op="table")
        assert view.result is None
        assert "no index" in view.error


class TestAnnotations:
    def test_what_is_said_is_kept_and_shown(self, lab, view, name):
        answer = tell(view, op="annotate", label="gates", note="two\nlines", tags=["a", "b"], star=True)
        assert answer["error"] == ""
        head = header(view)
        assert [head[part] for part in ("label", "given", "note", "tags", "stars", "mine")] == [
            "gates", "gates", "two\nlines", ["a", "b"], 1, True
        ]  # fmt: skip
        tell(view, op="annotate", tags=["b", "c"], star=False)
        found = lab.annotation(name)
        assert (found.tags, found.stars, found.label) == (("b", "c"), (), "gates")
        assert header(view)["stars"] == 0
        assert "gates" in view.static_html()
        assert "two" in view.static_text()

    def test_a_change_elsewhere_appears_at_once(self, lab, view, name):
        other = FeatureDashboard(lab, name)
        tell(other, op="annotate", label="from another view")
        assert header(view)["label"] == header(other)["label"] == "from another view"
        assert view.result.label == other.result.label == "from another view"
        lab.annotate(name, note="from Python")
        assert header(view)["note"] == "from Python"
        lab.annotations.undo()
        assert header(view)["note"] == ""
        lab.annotate(name, label="")
        assert view.result.label == header(view)["label"] == ""

    def test_labels_of_related_features_are_shown(self, lab, view, name):
        near = f"mid/{(int(name[4:]) + 2) % 512}"
        lab.annotate(near, label="near")
        assert header(view)["neighbours"][0][:2] == [near, "near"]

    def test_another_feature_may_be_meant(self, lab, view):
        assert tell(view, op="annotate", feature="mid/9", label="nine")["error"] == ""
        assert lab.annotation("mid/9").label == "nine"
        assert header(view)["label"] == ""

    @pytest.mark.parametrize(
        "said", [{"label": 5}, {"label": "x" * 1001}, {"note": "\ud800"}, {"tags": "a"}, {"tags": [1]}, {"star": 1},
                 {"label": "x", "feature": "nope/1"}, {"label": None}],
    )  # fmt: skip
    def test_what_cannot_be_kept_changes_nothing(self, lab, view, name, said):
        assert tell(view, op="annotate", **said)["error"]
        assert not lab.annotation(name)
        assert header(view)["label"] == ""

    def test_nothing_said_is_nothing_kept(self, lab, view):
        assert tell(view, op="annotate")["error"] == ""
        assert len(lab.annotations) == 0

    def test_a_closed_view_hears_nothing(self, lab, name):
        view = FeatureDashboard(lab, name)
        tell(view, op="annotate", label="one")
        data = view._data
        view.close()
        assert not lab.annotations._observers._callbacks
        lab.annotate(name, label="two")
        assert view._data == data

    def test_a_closed_view_is_not_held_by_what_it_heard_of(self, lab, name):
        view = FeatureDashboard(lab, name)
        gone = weakref.ref(view)
        tell(view, op="annotate", label="one")
        view.close()
        del view
        worker_of(lab.model).call(lambda job: None)
        gc.collect()
        assert gone() is None

    def test_another_store_is_listened_to(self, lab, view, name, tmp_path):
        former = lab.annotations
        lab.annotations = type(former)(tmp_path / "other", "bob")
        view.feature = 3
        lab.annotate("mid/3", label="bob's")
        assert header(view)["label"] == "bob's"
        assert not former._observers._callbacks

    def test_changes_from_many_threads_end_in_what_stands(self, lab, view, name):
        def say(n):
            for i in range(5):
                lab.annotate(name, label=f"{n} {i}")

        threads = [threading.Thread(target=say, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert header(view)["label"] == lab.annotation(name).label

    def test_what_was_begun_last_stays(self, lab, view, name, monkeypatch):
        begun, go_on = threading.Event(), threading.Event()

        def slow(stats, said, **more):
            if said.label == "one":
                begun.set()
                go_on.wait(30)
            return pack_feature(stats, said, **more)

        monkeypatch.setattr("saewidgets.widgets.dashboard_screen.pack_feature", slow)
        thread = threading.Thread(target=lambda: lab.annotate(name, label="one"))
        thread.start()
        assert begun.wait(30)
        lab.annotate(name, label="two")
        go_on.set()
        thread.join()
        assert header(view)["label"] == "two"

    def test_a_lab_that_keeps_nothing_has_views_too(self, lab):
        lab.annotations = None
        lab.saes["mid"].labels = {3: "three"}
        assert header(FeatureDashboard(lab, 3))["label"] == "three"


class TestRating:
    def test_scores_are_kept_and_shown(self, lab, view, name):
        assert tell(view, op="rating_begin")["error"] == ""
        rating = view._rating
        assert (rating["feature"], rating["rater"], rating["done"]) == (name, "ann", 0)
        assert rating["of"] == len(rating["items"]) == len(view._items)
        first = rating["items"][0]["key"]
        assert tell(view, op="rate", key=first, score=3)["error"] == ""
        assert (view._rating["done"], view._rating["items"][0]["score"]) == (1, 3)
        (kept,) = lab.annotations.annotations("example")
        example = view._items[first]
        assert (kept.target.prompt, kept.target.position) == (example.tokens.text, example.position)
        assert [(each.rater, each.score) for each in kept.ratings] == [("ann", 3)]
        assert tell(view, op="rate", key=first, score=None)["error"] == ""
        assert (view._rating["done"], view._rating["items"][0]["score"]) == (0, None)

    def test_the_same_window_and_token_is_shown_once(self, lab, view, name):
        stats = lab.feature(name)
        full = [n for n, each in enumerate(stats.intervals) if each.examples]
        twin = dataclasses.replace(stats.intervals[full[-1]].examples[0], text=10**6)
        moved = dataclasses.replace(twin, position=(twin.position + 1) % len(twin))
        wider = dataclasses.replace(stats.intervals[full[0]], examples=(twin, moved, twin))
        intervals = tuple(wider if n == full[0] else each for n, each in enumerate(stats.intervals))
        shown = blind(dataclasses.replace(stats, intervals=intervals), "ann")
        seen = [(each.ids.tobytes(), each.position) for each in shown.values()]
        assert len(seen) == len(set(seen))
        assert (twin.ids.tobytes(), moved.position) in seen

    @pytest.mark.parametrize("rater", ["x" * 2000, "a=b", "a;b", "a\nb", "\ud800", 5, ["x"], 0, False])
    def test_no_such_name_of_a_rater(self, lab, view, rater):
        assert tell(view, op="rating_begin", rater=rater)["error"]
        assert view._rating == {}
        assert tell(view, op="predicate", kind="ratings", rater=rater)["error"]

    def test_a_name_is_taken_without_spaces_around_it(self, view):
        for given, expected in ((" bob ", "bob"), ("  ", "bob"), (None, "bob")):
            assert tell(view, op="rating_begin", rater=given)["error"] == ""
            assert view._rating["rater"] == expected

    def test_who_comes_back_goes_on(self, lab, view, name):
        tell(view, op="rating_begin", rater="bob")
        key = view._rating["items"][5]["key"]
        tell(view, op="rate", key=key, score=0)
        again = FeatureDashboard(lab, name)
        tell(again, op="rating_begin", rater="bob")
        assert (again._rating["done"], again._rating["items"][5]["score"]) == (1, 0)
        tell(again, op="rating_begin", rater="ann")
        assert again._rating["done"] == 0

    def test_a_rating_elsewhere_appears_at_once(self, lab, view, name):
        other = FeatureDashboard(lab, name)
        tell(view, op="rating_begin")
        tell(other, op="rating_begin")
        tell(other, op="rate", key=view._rating["items"][2]["key"], score=1)
        assert view._rating["items"][2]["score"] == 1

    def test_another_feature_ends_it(self, view):
        tell(view, op="rating_begin")
        key = view._rating["items"][0]["key"]
        view.feature = 3
        assert view._rating == {}
        assert "no longer there" in tell(view, op="rate", key=key, score=1)["error"]

    @pytest.mark.parametrize("content", [{"key": "nope", "score": 1}, {"key": None, "score": 1}, {"score": 1}])
    def test_no_such_example(self, view, content):
        tell(view, op="rating_begin")
        assert tell(view, op="rate", **content)["error"]

    @pytest.mark.parametrize("score", [4, -1, "3", 1.5, True, []])
    def test_no_such_score(self, lab, view, score):
        tell(view, op="rating_begin")
        assert tell(view, op="rate", key=view._rating["items"][0]["key"], score=score)["error"]
        assert view._rating["done"] == 0

    def test_a_dead_feature_has_nothing_to_rate(self, lab, view):
        view.feature = int(lab.indexes["mid"].count.argmin())
        assert "no examples" in tell(view, op="rating_begin")["error"]


class TestSpecificity:
    def test_a_predicate_of_python(self, lab, name):
        view = FeatureDashboard(lab, name, predicate="Gate", tab="specificity")
        assert lab.scored == [(name, "Gate", 0)]
        assert (str(view.specificity.feature), view.specificity.kind) == (name, "predicate")
        assert view._specificity["what"] == "matches 'Gate'"
        json.dumps(view._specificity, allow_nan=False)
        view.predicate = {" Gate"}
        assert view.specificity is not None
        assert lab.scored[-1] == (name, {" Gate"}, 0)
        view.predicate = None
        assert (view.specificity, view._specificity) == (None, {})

    def test_another_feature_is_scored_anew(self, lab, view):
        view.predicate = "Gate"
        view.feature = 3
        assert str(view.specificity.feature) == view._specificity["feature"] == "mid/3"

    @pytest.mark.parametrize(
        ("asked", "expected"),
        [
            ({"kind": "regex", "text": "Gate|Bridge", "within": 2}, ("Gate|Bridge", 2)),
            ({"kind": "tokens", "text": '" Gate"', "within": 0}, ({" Gate"}, 0)),
            ({"kind": "concept", "text": "city"}, (["city"], 0)),
            ({"kind": "ratings"}, ("ratings", "ann")),
            ({"kind": "ratings", "rater": "bob"}, ("ratings", "bob")),
        ],
    )
    def test_what_is_typed(self, lab, view, name, asked, expected):
        lab._concept_predicate = lambda concept: [concept]
        assert tell(view, op="predicate", **asked)["error"] == ""
        assert view.specificity is not None
        assert lab.scored == [(name, *expected)]
        tell(view, op="predicate", kind="regex", text="")
        assert (view.specificity, view._specificity, view.predicate) == (None, {}, None)

    def test_the_same_pattern_with_another_width_is_scored_anew(self, lab, view):
        for within in (0, 1):
            tell(view, op="predicate", kind="regex", text="Gate", within=within)
            assert view.specificity is not None
        assert [row[2] for row in lab.scored] == [0, 1]

    def test_ratings_follow_what_is_rated(self, lab, view):
        tell(view, op="predicate", kind="ratings")
        assert view.specificity is not None
        tell(view, op="rating_begin")
        tell(view, op="rate", key=view._rating["items"][0]["key"], score=2)
        assert view.specificity is not None
        assert len(lab.scored) == 2

    def test_a_predicate_that_fails_is_shown(self, lab, view):
        assert tell(view, op="predicate", kind="regex", text="(")["error"] == ""
        assert view.specificity is None
        assert "no regular expression" in view.error
        view.predicate = "Gate"
        assert view.specificity is not None
        assert view.error == ""

    def test_without_concepts(self, view):
        assert "no concepts" in tell(view, op="predicate", kind="concept", text="city")["error"]


@pytest.mark.parametrize("weights", [True, False])
def test_on_a_real_model(lab, bridge, make_tensors, tmp_path, weights):
    real = sw.Lab(bridge, name="tiny")
    real.add_sae(make_tensors(), "sae", hook=HOOK)
    real.annotations = tmp_path / "notes"
    real.build_index(corpus(), context=32, on_progress=False, weights=weights)
    view = FeatureDashboard(real, prompt="the cat sat")
    assert view.error == ""
    assert view.result.max == pytest.approx(float(real.indexes["sae"].max.max()))
    assert view._at_hand("sae") is weights
    assert header(view, "_live", "SAEW")["tokens"][0] == "<|bos|>"
    for which in ("top", 1, 5, 10):
        assert tell(view, op="examples", list=which)["error"] == ""
        assert (view.result is not None, view.error) == (True, "")
        head, tokens, end = tokens_of(view._examples, "SAEX")
        values, at = np.frombuffer(view._examples, "<f4", len(tokens), end), 0
        for activation, n, peak, _, _ in head["examples"]:
            assert values[at + peak] == pytest.approx(activation, rel=1e-3)
            assert tokens[at : at + n].count("<|bos|>") == 1
            assert (tokens[at], values[at]) == ("<|bos|>", 0)
            at += n
    tell(view, op="annotate", label="a label")
    tell(view, op="table")
    view.predicate = "the|cat"
    assert (view.specificity is not None, view.error) == (True, "")
    assert header(view, "_table", "SAET")["labels"] == {view.feature[4:]: "a label"}
    tell(view, op="rating_begin")
    for item in view._rating["items"][:4]:
        tell(view, op="rate", key=item["key"], score=2)
    assert view._rating["done"] == 4
    tell(view, op="predicate", kind="ratings")
    assert (view.specificity.kind, view.error) == ("rating", "")
    assert "a label" in view.static_html()
    view.close()
