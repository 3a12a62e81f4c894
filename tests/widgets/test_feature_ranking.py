import json
import threading

import ipywidgets
import numpy as np
import pytest
import traitlets

from saewidgets.errors import FeatureIndexError, TargetError, TokenError, UnknownNameError
from saewidgets.results import FeatureId
from saewidgets.widgets import FeatureRanking, TokenActivations
from saewidgets.widgets.worker import worker_of
from tests.widgets.fake_ranking_lab import FakeRankingLab
from tests.widgets.messages import tell

PROMPT = "John gave the Gate a drink near the Golden Gate"


@pytest.fixture
def lab():
    return FakeRankingLab()


@pytest.fixture
def view(lab):
    view = FeatureRanking(lab, PROMPT, " Paris", " Rome")
    yield view
    view.close()


@pytest.fixture
def at_once(monkeypatch):
    """Partial results are sent however fast they come."""
    monkeypatch.setattr("saewidgets.widgets.feature_ranking.PAUSE", 0.0)
    monkeypatch.setattr("saewidgets.widgets.feature_ranking.BYTES_PER_SECOND", float("inf"))


class Gate:
    """Holds a ranking between two batches of ablations until opened."""

    def __init__(self, lab) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        lab.between = self

    def __call__(self, so_far) -> None:
        self.begun.set()
        self.open.wait(30)


def header(view):
    """The text part of what the browser has been sent."""
    length = int.from_bytes(view._data[8:12], "little")
    return json.loads(view._data[16 : 16 + length])


class TestConstruction:
    def test_the_result_is_there_at_once(self, lab, view):
        assert view.result.metric == "logit(' Paris') \u2212 logit(' Rome')"
        assert view.status == {"state": "done", "message": ""}
        assert lab.runs == [PROMPT]
        assert lab.questions == [(" Paris", " Rome", None, "attribution", None)]

    def test_without_a_target_the_likeliest_token_is_shown(self, lab):
        view = FeatureRanking(lab, PROMPT)
        assert (view.target, view.baseline) == ("", "")
        assert lab.questions == [(None, None, None, "attribution", None)]
        assert header(view)["target"] == " Paris"

    def test_all_arguments_reach_the_lab(self, lab):
        view = FeatureRanking(
            lab, PROMPT, [1, " Par"], 0, position=4, sae="wide", method="integrated_gradients", scope="all_positions"
        )
        assert lab.questions == [((1, " Par"), 0, 4, "integrated_gradients", "all_positions")]
        assert (view.result.saes, view.result.position) == (("wide",), 4)
        assert not FeatureRanking(lab, PROMPT, 0, mask_special=False).result.masked.any()

    def test_a_feature_names_its_sae(self, lab):
        assert FeatureRanking(lab, PROMPT, 0, feature="wide/7").sae == "wide"

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"sae": "nope"}, UnknownNameError),
            ({"feature": 512}, FeatureIndexError),
            ({"position": -1}, TokenError),
            ({"position": True}, TokenError),
            ({"target": 1.5}, TargetError),
            ({"target": []}, TargetError),
            ({"target": [None]}, TargetError),
            ({"target": True}, TargetError),
            ({"baseline": [1, 2]}, TargetError),
            ({"method": "guess"}, traitlets.TraitError),
            ({"scope": "here"}, traitlets.TraitError),
            ({"order": "random"}, traitlets.TraitError),
            ({"k": 0}, traitlets.TraitError),
        ],
    )
    def test_arguments_that_do_not_exist_raise(self, lab, arguments, error):
        with pytest.raises(error):
            FeatureRanking(lab, PROMPT, **arguments)

    def test_a_misspelt_keyword_is_an_error_with_advice(self, lab):
        with pytest.raises(TypeError, match="'metod'; did you mean 'method'"):
            FeatureRanking(lab, PROMPT, metod="attribution")

    def test_every_public_trait_says_what_it_is(self):
        public = {name: t for name, t in FeatureRanking.class_own_traits().items() if not name.startswith("_")}
        assert set(public) >= {"prompt", "target", "baseline", "position", "method", "k", "feature", "result"}
        assert all(trait.help for trait in public.values())


class TestTraits:
    @pytest.mark.parametrize("token", [" Paris", 0, np.int64(0)])
    def test_a_token_is_a_text_or_an_id(self, view, token):
        view.target = token
        assert view.result.target == (0,)

    @pytest.mark.parametrize("none", ["", None])
    def test_no_baseline_is_the_mean_logit(self, view, none):
        view.baseline = none
        assert view.result.metric.endswith("mean logit")

    @pytest.mark.parametrize(
        ("name", "value"),
        [("position", 3), ("scope", "position"), ("method", "integrated_gradients"), ("target", (0, 1))],
    )
    def test_another_question_reuses_the_forward_pass(self, lab, view, name, value):
        setattr(view, name, value)
        assert getattr(view.result, name) == value
        assert lab.runs == [PROMPT]

    @pytest.mark.parametrize(("name", "value"), [("prompt", "Mary went"), ("sae", "wide"), ("mask_special", False)])
    def test_another_run_is_a_new_forward_pass(self, lab, view, name, value):
        setattr(view, name, value)
        assert view.result is not None
        assert len(lab.runs) == 2

    def test_an_sae_of_the_same_name_is_another(self, lab, view):
        lab.saes["mid"] = lab._sae(512)
        view.target = 1
        assert view.result is not None
        assert len(lab.runs) == 2

    @pytest.mark.parametrize(("name", "value"), [("k", 3), ("order", "signed"), ("feature", "mid/3")])
    def test_what_the_browser_does_alone_asks_nothing(self, lab, view, name, value):
        before = view._data
        setattr(view, name, value)
        assert view.result is not None
        assert len(lab.questions) == 1
        assert view._data == before

    @pytest.mark.parametrize("feature", ["mid/7", "7", 7, np.int64(7), FeatureId("mid", 7)])
    def test_a_feature_has_one_name(self, view, feature):
        view.feature = feature
        assert view.feature == "mid/7"

    def test_a_feature_that_does_not_fire_or_is_of_another_sae_is_kept(self, lab, view):
        silent = next(f for f in range(512) if f not in view.result.features)
        for feature in (f"mid/{silent}", "wide/1999"):
            view.feature = feature
            assert (view.feature, view.sae) == (feature, "mid")
        assert len(lab.questions) == 1

    def test_a_refused_value_changes_nothing(self, lab, view):
        for name, value in {"position": 99, "feature": 10**6, "target": 1.5, "k": 0, "sae": "nope"}.items():
            with pytest.raises((TokenError, FeatureIndexError, TargetError, traitlets.TraitError, UnknownNameError)):
                setattr(view, name, value)
        assert (view.position, view.feature, view.target, view.k, view.sae) == (None, "", " Paris", 10, "mid")
        assert len(lab.questions) == 1

    def test_a_position_that_the_next_prompt_lacks_is_dropped(self, view):
        view.position = 8
        view.prompt = "short"
        assert view.result.position is None
        assert view.position is None
        assert view.status["state"] == "done"

    def test_a_position_that_the_next_prompt_has_stays(self, view):
        view.position = 2
        view.prompt = "one two three"
        assert view.result.position == 2

    def test_result_cannot_be_assigned(self, view):
        with pytest.raises(traitlets.TraitError):
            view.result = None

    def test_a_feature_links_with_another_view_both_ways(self, lab, view):
        tokens = TokenActivations(lab, PROMPT)
        first = tokens.feature
        link = ipywidgets.link((tokens, "feature"), (view, "feature"))
        assert view.feature == first
        view.feature = 7
        assert (tokens.feature, tokens.features) == ("mid/7", ("mid/7",))
        tokens.feature = 9
        assert view.feature == "mid/9"
        link.unlink()
        link = ipywidgets.link((view, "feature"), (tokens, "feature"))
        assert tokens.feature == "mid/9"
        link.unlink()


class TestLive:
    def test_numbers_arrive_while_they_are_computed(self, lab, view, at_once):
        sent = []
        view.observe(lambda _: sent.append(sum(view._data[-len(view._trait_values["result"]) :])), "_data")
        view.target = " Par"
        total = len(view.result)
        assert sent == sorted(set(sent))
        assert sent[0] == lab.batch
        assert sent[-1] == total
        assert len(sent) == -(-total // lab.batch)

    def test_not_every_batch_is_sent_and_the_last_always_is(self, view, monkeypatch):
        monkeypatch.setattr("saewidgets.widgets.feature_ranking.PAUSE", float("inf"))
        sent = []
        view.observe(lambda _: sent.append(view._data), "_data")
        view.target = " Par"
        assert view.result.n_ablated == len(view.result)
        assert len(sent) == 2

    def test_the_result_is_announced_once_and_whole(self, view, at_once):
        seen = []
        view.observe(lambda change: seen.append(change["new"].n_ablated == len(change["new"])), "result")
        view.target = " Par"
        assert view.result is not None
        assert seen == [True]

    def test_stop_keeps_what_was_computed(self, lab, view):
        gate = Gate(lab)
        view.target = " Par"
        gate.begun.wait(30)
        tell(view, op="stop")
        gate.open.set()
        result = view.result
        assert result.stopped
        assert 0 < result.n_ablated < len(result)
        assert result.target == (2,)
        assert view.status["state"] == "stopped"
        assert header(view)["stopped"] is True

    def test_latest_question_wins(self, lab, view):
        gate = Gate(lab)
        view.target = " Par"
        gate.begun.wait(30)
        for i in range(20):
            view.position = i % 5
        gate.open.set()
        assert view.result.position == 4
        assert not view.result.stopped
        assert view.result.n_ablated == len(view.result)
        assert [q[2] for q in lab.questions] == [None, None, 4]

    def test_a_closed_view_stops(self, lab, view):
        gate = Gate(lab)
        view.target = " Par"
        gate.begun.wait(30)
        job = view._jobs["rank"]
        view.close()
        gate.open.set()
        job.wait()
        assert job.state == "stopped"

    def test_the_model_is_run_by_its_worker_only(self, lab, view):
        threads = []
        lab.between = lambda _: threads.append(threading.current_thread())
        assert tell(view, op="set", target=" Par", position=2)["error"] == ""
        assert view.result.position == 2
        assert set(threads) == {worker_of(lab.model).thread}


class TestFaults:
    def test_a_bad_first_prompt_is_shown_not_raised(self, lab):
        view = FeatureRanking(lab, "", " Paris")
        assert view.status["state"] == "failed"
        assert view.result is None
        assert view.static_text() == view.error
        assert "The prompt has no tokens." in view.static_html()
        view.prompt = PROMPT
        assert view.result is not None
        assert view.error == ""

    def test_a_target_that_is_not_one_token_is_shown_and_the_view_goes_on(self, view):
        before, data = view.result, view._data
        assert tell(view, op="set", target=" New York")["error"] == ""
        assert view.result is before
        assert view._data == data
        assert view.error.startswith("This text is not one token.")
        for twin in (view.static_html(), view.static_text()):
            assert "not one token" in twin
            assert "last ranking that went well" in twin
        view.target = " Par"
        assert view.result.target == (2,)
        assert view.error == ""

    def test_a_fault_in_the_middle_brings_the_former_picture_back(self, lab, view, at_once):
        before, data, seen = view.result, view._data, []
        view.observe(lambda _: seen.append(view._data), "_data")

        def fail(so_far):
            raise RuntimeError("out of memory")

        lab.between = fail
        view.target = " Par"
        assert view.result is before
        assert view.error == "RuntimeError: out of memory"
        assert len(seen) == 2
        assert view._data == data

    def test_a_first_position_that_the_prompt_lacks_is_shown(self, lab):
        view = FeatureRanking(lab, "short", 0, position=99)
        assert "no such position" in view.error
        view.position = None
        assert view.result is not None

    def test_nothing_is_printed(self, view, capfd):
        view.target = "nope"
        tell(view, op="complete", field="target", text="nope")
        assert view.result is not None
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "content",
        [
            {"op": "set", "prompt": 5},
            {"op": "set", "target": {"a": 1}},
            {"op": "set", "target": 1.5},
            {"op": "set", "baseline": [1]},
            {"op": "set", "position": 10**30},
            {"op": "set", "position": "x"},
            {"op": "set", "method": "nope"},
            {"op": "set", "scope": 3},
            {"op": "set", "order": None},
            {"op": "set", "k": 0},
            {"op": "set", "k": "many"},
            {"op": "set", "feature": "mid/512"},
            {"op": "set", "sae": "nope"},
            {"op": "complete"},
            {"op": "complete", "field": "prompt", "text": "x"},
            {"op": "complete", "field": "target", "text": 5},
            {"op": "unknown"},
        ],
    )
    def test_garbage_of_the_browser_is_answered_with_an_error(self, lab, view, content):
        answer = tell(view, **content)
        assert (answer["op"], answer["view"], answer["seq"]) == ("ack", "v", 1)
        assert answer["error"]
        assert len(lab.questions) == 1
        assert tell(view, op="set", position=1)["error"] == ""
        assert view.result.position == 1


class TestBrowser:
    def test_run_runs_the_model_again(self, lab, view):
        tell(view, op="run")
        assert view.result is not None
        assert lab.runs == [PROMPT, PROMPT]

    def completions(self, lab, view, **asked):
        """What the browser is sent after it asks."""
        answers = []
        view.send = lambda content, buffers=None: answers.append(content)
        view._receive(view, {"op": "complete", "view": "v", "seq": 1, **asked})
        worker_of(lab.model).call(lambda job: None)
        return [answer for answer in answers if answer["op"] == "completions"]

    def test_completions(self, lab, view):
        (answer,) = self.completions(lab, view, field="baseline", text=" Pa")
        assert (answer["field"], answer["text"]) == ("baseline", " Pa")
        words = ((0, " Paris"), (2, " Par"), (3, " Parma"), (4, "Paris"))
        assert answer["items"] == [[i, word, word] for i, word in words]

    def test_a_token_whose_text_leads_elsewhere_is_chosen_by_its_id(self, lab, view):
        (answer,) = self.completions(lab, view, field="target", text="\\x")
        assert answer["items"] == [[10, "\\xe2", 10]]

    def test_completions_do_not_touch_status_or_result(self, lab, view):
        before = view.status, view.result
        self.completions(lab, view, field="target", text=" P")
        assert (view.status, view.result) == before

    def test_completions_come_between_ablations(self, lab, view):
        gate, arrived = Gate(lab), threading.Event()
        view.send = lambda content, buffers=None: arrived.set() if content["op"] == "completions" else None
        view.target = " Par"
        gate.begun.wait(30)
        view._receive(view, {"op": "complete", "field": "target", "text": " R"})
        lab.between = lambda _: arrived.wait(30)
        gate.open.set()
        assert view.result.n_ablated == len(view.result)
        assert arrived.is_set()


class TestTwin:
    def test_the_static_copy_has_the_overlaps(self, view):
        found = view.result.overlap(10)
        text = view.static_text()
        assert f"{found.activation}" in text
        assert "<table" in view.static_html()
        view.k = 3
        assert view.static_html().count("<tr>") < FeatureRanking(view.lab, PROMPT, " Paris").static_html().count("<tr>")

    def test_a_page_of_its_own(self, view, tmp_path):
        page = view.to_html(tmp_path / "ranking.html").read_text(encoding="utf-8")
        assert "FeatureRanking" in page
        assert view.static_html() in page
