"""The feature on the screen, paging, the live box, what is refused, the static twin."""

import gc
import json
import threading
import weakref

import ipywidgets
import numpy as np
import pytest
import traitlets

import saewidgets as sw
from saewidgets.errors import FeatureIndexError, MismatchError, UnknownNameError
from saewidgets.results import FeatureId, FeatureStats
from saewidgets.widgets import FeatureDashboard, TokenActivations
from saewidgets.widgets.worker import worker_of
from tests.widgets.dashboards import PROMPT, Gate, header
from tests.widgets.fake_dashboard_lab import FakeDashboardLab, FakeIndex
from tests.widgets.messages import tell


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


class TestConstruction:
    def test_the_result_is_there_at_once(self, lab, view, name):
        assert isinstance(view.result, FeatureStats)
        assert str(view.result.feature) == view.feature == header(view)["feature"] == name
        assert (view.sae, view.tab, view.prompt, view.error) == ("mid", "feature", "", "")
        assert view.status == {"state": "done", "message": ""}
        assert (lab.runs, lab.looked) == ([], [name])
        assert view._live == view._examples == view._table == b""

    def test_without_a_feature_the_one_with_the_largest_activation_is_shown(self, lab):
        view = FeatureDashboard(lab)
        assert view.feature == f"mid/{int(lab.indexes['mid'].max.argmax())}"
        assert str(view.result.feature) == view.feature
        assert lab.looked == [view.feature]

    def test_a_feature_names_its_sae(self, lab):
        lab.indexes["wide"] = FakeIndex("wide", 2048)
        assert FeatureDashboard(lab, "wide/7").sae == "wide"
        assert FeatureDashboard(lab, 7, sae="wide").feature == "wide/7"
        assert FeatureDashboard(lab, sae="wide").feature == f"wide/{int(lab.indexes['wide'].max.argmax())}"

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"sae": "nope"}, UnknownNameError),
            ({"feature": "nope/1"}, UnknownNameError),
            ({"feature": 512}, FeatureIndexError),
            ({"feature": -1}, FeatureIndexError),
            ({"feature": ""}, FeatureIndexError),
            ({"feature": "mid/7", "sae": "wide"}, MismatchError),
            ({"tab": "other"}, traitlets.TraitError),
        ],
    )
    def test_bad_arguments_raise(self, lab, arguments, error):
        with pytest.raises(error):
            FeatureDashboard(lab, **arguments)

    def test_a_misspelt_keyword_is_an_error_with_advice(self, lab):
        with pytest.raises(TypeError, match="'promt'; did you mean 'prompt'"):
            FeatureDashboard(lab, promt="x")

    def test_every_public_trait_says_what_it_is(self):
        public = {name: t for name, t in FeatureDashboard.class_own_traits().items() if not name.startswith("_")}
        assert set(public) == {"feature", "sae", "prompt", "tab", "predicate", "result", "specificity"}
        assert all(trait.help for trait in public.values())

    def test_it_is_exported(self):
        assert sw.FeatureDashboard is FeatureDashboard

    def test_names_of_saes_and_concepts_travel(self, lab):
        lab._concept_names = ["city", "a \ud800"]
        view = FeatureDashboard(lab, 7)
        assert (view._saes, view._concepts) == (["mid", "wide"], ["city", "a \\ud800"])


class TestFeature:
    @pytest.mark.parametrize("feature", ["mid/7", "7", 7, np.int64(7), FeatureId("mid", 7)])
    def test_a_feature_has_one_name(self, view, feature):
        view.feature = feature
        assert view.feature == header(view)["feature"] == "mid/7"
        assert view.result.feature == FeatureId("mid", 7)

    @pytest.mark.parametrize("feature", [512, "nope/1", "", None, "x", True, 10**30])
    def test_a_refused_feature_changes_nothing(self, lab, view, name, feature):
        with pytest.raises((FeatureIndexError, UnknownNameError)):
            view.feature = feature
        assert (view.feature, header(view)["feature"], lab.looked) == (name, name, [name])

    def test_another_sae_keeps_the_number_where_it_has_it(self, lab, view):
        lab.indexes["wide"] = FakeIndex("wide", 2048)
        view.feature = 77
        view.sae = "wide"
        assert (view.feature, str(view.result.feature)) == ("wide/77", "wide/77")
        view.feature = 2000
        view.sae = "mid"
        assert (view.feature, str(view.result.feature)) == ("mid/0", "mid/0")

    def test_a_feature_of_another_sae_changes_the_sae(self, lab, view):
        lab.indexes["wide"] = FakeIndex("wide", 2048)
        view.feature = "wide/1999"
        assert (view.sae, str(view.result.feature)) == ("wide", "wide/1999")
        assert header(view)["d_sae"] == 2048

    @pytest.mark.parametrize(("start", "by", "end"), [(7, 1, 8), (7, -1, 6), (511, 1, 0), (0, -1, 511)])
    def test_steps_go_round(self, view, start, by, end):
        view.feature = start
        assert tell(view, op="step", by=by)["error"] == ""
        assert view.feature == header(view)["feature"] == f"mid/{end}"

    def test_dead_and_dense_features_are_shown_as_such(self, lab, view, name):
        count = lab.indexes["mid"].count
        view.feature = int(count.argmin())
        assert (header(view)["dead"], view.result.dead) == (True, True)
        assert "dead" in view.static_text()
        view.feature = name
        assert header(view)["dense"] is True
        assert "dense" in view.static_html()

    def test_paging_does_not_wait_for_the_model(self, lab, view, name):
        gate = Gate(lab)
        view.prompt = PROMPT
        assert gate.begun.wait(30)
        for n in (3, 4, 5):
            assert tell(view, op="set", feature=n)["error"] == ""
            assert header(view)["feature"] == f"mid/{n}"
        assert view.status["state"] == "running"
        gate.open.set()
        assert str(view.result.feature) == "mid/5"
        assert lab.looked == [name, "mid/3", "mid/4", "mid/5"]

    def test_paging_tells_no_status(self, view):
        seen = []
        view.observe(lambda change: seen.append(change["new"]), ["status", "error"])
        for _ in range(3):
            tell(view, op="step", by=1)
        assert seen == []

    def test_an_index_that_would_compute_is_asked_on_the_worker_and_the_latest_wins(self, lab, name):
        del lab.indexes["mid"].manifest["weights"]
        view, threads = FeatureDashboard(lab, name), []
        begun, go_on = threading.Event(), threading.Event()

        def before(feature):
            threads.append(threading.current_thread())
            begun.set()
            go_on.wait(30)

        lab.before = before
        for n in range(30):
            tell(view, op="step", by=1)
            if not n:
                assert begun.wait(30)
        shown = []
        view.observe(lambda _: shown.append(header(view)["feature"]), "_data")
        go_on.set()
        last = f"mid/{(int(name[4:]) + 30) % 512}"
        assert str(view.result.feature) == view.feature == last
        assert shown == [last]
        assert len(lab.looked) == 3
        assert set(threads) == {worker_of(lab.model).thread}

    def test_a_look_up_at_once_overtakes_one_that_waits(self, lab, view, name):
        index = lab.indexes["mid"]
        gate = Gate(lab)
        view.prompt = PROMPT
        assert gate.begun.wait(30)
        kept = index.manifest.pop("weights")
        view.feature = 3
        index.manifest["weights"] = kept
        view.feature = 4
        gate.open.set()
        assert str(view.result.feature) == header(view)["feature"] == "mid/4"
        worker_of(lab.model).call(lambda job: None)
        assert lab.looked == [name, "mid/4"]

    def test_an_observer_may_read_the_result(self, view):
        seen = []
        view.observe(lambda _: seen.append(view.result.feature.index), ["result"])
        view.feature = 3
        assert seen == [3]

    def test_it_links_with_another_view(self, lab, view):
        tokens = TokenActivations(lab, PROMPT)
        link = ipywidgets.link((tokens, "feature"), (view, "feature"))
        assert view.feature == tokens.feature
        assert str(view.result.feature) == tokens.feature
        view.feature = 7
        assert tokens.feature == "mid/7"
        link.unlink()


class TestWithoutAnIndex:
    def test_the_view_says_what_to_do_and_goes_on(self, lab, view):
        view.feature = "wide/3"
        assert view.result is None
        assert view.status["state"] == "failed"
        assert "no index of SAE 'wide'" in view.error
        assert "build_index" in view.error
        assert view._data == b""
        assert "build_index" in view.static_text()
        view.prompt = PROMPT
        assert view.result is None
        assert len(view._live) > 0
        assert "no index" in view.error
        view.feature = "mid/3"
        view._wait()
        assert header(view)["feature"] == "mid/3"
        assert view.error == ""

    def test_without_a_feature_the_reference_maxima_are_asked(self, lab):
        lab.indexes.clear()
        view = FeatureDashboard(lab)
        assert view.feature == f"mid/{int(lab.saes['mid'].reference_max.argmax())}"
        assert "no index" in view.error

    def test_an_index_that_comes_later_is_used(self, lab):
        found, lab.indexes = lab.indexes, {}
        view = FeatureDashboard(lab, 3)
        assert view.result is None
        lab.indexes = found
        tell(view, op="set", feature=3)
        view._wait()
        assert header(view)["feature"] == "mid/3"

    def test_an_index_that_has_gone_is_not_held(self, lab, view):
        gone = weakref.ref(lab.indexes.pop("mid"))
        gc.collect()
        assert gone() is None
        view.feature = 9
        assert view.result is None
        assert "no index" in view.error

    def test_a_sae_that_has_left_the_lab(self, lab, view):
        del lab.saes["mid"]
        with pytest.raises(UnknownNameError):
            view.feature = 3
        view.prompt = PROMPT
        assert "no such SAE" in view.error


class TestLive:
    def test_another_feature_needs_no_new_run(self, lab, view):
        view.prompt = PROMPT
        assert view.result is not None
        data = view._live
        assert data[:4] == b"SAEW"
        view.feature = 3
        assert view.result is not None
        assert (lab.runs, view._live) == ([PROMPT], data)

    def test_another_sae_does(self, lab, view):
        view.prompt = PROMPT
        assert view.result is not None
        view.sae = "wide"
        assert view.result is None
        assert lab.runs == [PROMPT, PROMPT]
        assert header(view, "_live", "SAEW")["sae"] == "wide"

    def test_numbers_of_another_sae_are_not_shown_meanwhile(self, lab, view):
        def fail(prompt):
            raise RuntimeError("out of memory")

        view.prompt = PROMPT
        assert view.result is not None
        lab.gate = fail
        view.sae = "wide"
        assert view.result is None
        assert view._live == b""
        assert "Golden" not in view.static_text()

    def test_no_text_is_no_run(self, lab, view):
        view.prompt = PROMPT
        assert view.result is not None
        assert len(view._live) > 0
        assert "Golden Gate opens" in view.static_text()
        view.prompt = ""
        assert (view._live, view._heard, view.error) == (b"", None, "")
        assert lab.runs == [PROMPT]

    def test_the_latest_text_wins(self, lab, view):
        gate, shown = Gate(lab), []
        view.observe(lambda _: shown.append(header(view, "_live", "SAEW")["prompt"]), "_live")
        for n in range(20):
            view.prompt = f"text {n}"
            if not n:
                assert gate.begun.wait(30)
        gate.open.set()
        assert view.result is not None
        assert shown == ["text 19"]
        assert lab.runs == ["text 0", "text 19"]

    def test_a_fault_is_shown_and_leaves_the_feature_alone(self, lab, view, name):
        def fail(prompt):
            raise RuntimeError("out of memory")

        lab.gate = fail
        view.prompt = PROMPT
        assert str(view.result.feature) == name
        assert view.error == "RuntimeError: out of memory"
        view.feature = 3
        assert (view.error, view.status["state"]) == ("RuntimeError: out of memory", "failed")
        lab.gate = None
        view.prompt = "again"
        assert view.result is not None
        assert (view.error, view.status["state"]) == ("", "done")


class TestBrowser:
    @pytest.mark.parametrize(
        "content",
        [
            {"op": "set", "prompt": 5},
            {"op": "set", "feature": 512},
            {"op": "set", "feature": {"a": 1}},
            {"op": "set", "sae": "nope"},
            {"op": "set", "tab": "nope"},
            {"op": "step"},
            {"op": "step", "by": 2},
            {"op": "step", "by": True},
            {"op": "step", "by": "1"},
            {"op": "find"},
            {"op": "examples"},
            {"op": "rate"},
            {"op": "rating_begin", "rater": ["x"]},
            {"op": "predicate"},
            {"op": "predicate", "kind": "ratings", "rater": 5},
            {"op": "unknown"},
        ],
    )
    def test_garbage_is_answered_with_an_error(self, lab, view, name, content):
        answer = tell(view, **content)
        assert (answer["op"], answer["view"], answer["seq"]) == ("ack", "v", 1)
        assert answer["error"]
        assert lab.looked == [name]
        assert tell(view, op="set", feature=3)["error"] == ""
        assert str(view.result.feature) == "mid/3"

    def test_find(self, lab, view):
        lab.annotate("mid/9", label="Golden <b>Gate</b>")
        answers = []
        view.send = lambda content, buffers=None: answers.append(content)
        for text in ("golden", "9"):
            view._receive(view, {"op": "find", "text": text})
        found = [each for each in answers if each["op"] == "found"]
        row = ["mid/9", "Golden <b>Gate</b>", pytest.approx(float(lab.saes["mid"].density[9]))]
        assert [(each["text"], each["items"][0]) for each in found] == [("golden", row), ("9", row)]

    def test_nothing_is_printed(self, view, capfd):
        view.prompt = PROMPT
        view.feature = "wide/1"
        tell(view, op="examples", list=0)
        assert view.result is None
        assert capfd.readouterr() == ("", "")

    def test_stop(self, lab, view):
        gate = Gate(lab)
        view.prompt = PROMPT
        assert gate.begun.wait(30)
        view.predicate = "Gate"
        tell(view, op="stop")
        gate.open.set()
        assert view.specificity is None
        assert view.status["state"] == "stopped"


class TestTwin:
    def test_all_that_is_on_the_screen(self, view, name):
        view.prompt = PROMPT
        view.predicate = "Gate"
        html, text = view.static_html(), view.static_text()
        for twin in (html, text):
            assert name in twin
            assert "Golden" in twin
            assert "matches" in twin
        assert html.count("<mark") > 10

    def test_a_page_of_its_own(self, view, name, tmp_path):
        page = view.to_html(tmp_path / "dashboard.html").read_text(encoding="utf-8")
        assert view.static_html() in page
        (saved,) = json.loads(page.split('id="saew-state">')[1].split("</script>")[0])["views"]
        assert saved["state"]["feature"] == name
        assert "_data" in saved["binary"]
