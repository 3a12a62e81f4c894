import threading

import ipywidgets
import numpy as np
import pytest
import traitlets

from saewidgets.errors import FeatureIndexError, MismatchError, TokenError, UnknownNameError
from saewidgets.results import FeatureId
from saewidgets.widgets import TokenActivations
from saewidgets.widgets.worker import worker_of
from tests.widgets.fake_lab import FakeLab
from tests.widgets.messages import tell

PROMPT = "John gave the Gate a drink near the Golden Gate"


@pytest.fixture
def lab():
    return FakeLab()


@pytest.fixture
def view(lab):
    view = TokenActivations(lab, PROMPT)
    yield view
    view.close()


class Gate:
    """Holds the lab's runs until opened."""

    def __init__(self, lab) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        lab.gate = self

    def __call__(self, prompt) -> None:
        self.begun.set()
        self.open.wait(30)


class TestConstruction:
    def test_the_result_is_there_at_once(self, lab, view):
        assert view.result.prompt_tokens.text == PROMPT
        assert view.status == {"state": "done", "message": ""}
        assert lab.runs == [PROMPT]

    def test_the_first_sae_is_the_default(self, view):
        assert (view.sae, view.result.sae) == ("mid", "mid")

    def test_a_feature_names_its_sae(self, lab):
        view = TokenActivations(lab, PROMPT, feature="wide/7")
        assert (view.sae, view.feature, view.features) == ("wide", "wide/7", ("wide/7",))

    def test_without_a_feature_a_telling_one_is_shown(self, view):
        index = FeatureId.parse(view.feature).index
        assert 0 < (view.result.feature(index) > 0).sum() <= len(view.result) // 3

    def test_an_empty_feature_means_none(self, lab):
        view = TokenActivations(lab, PROMPT, feature="")
        assert (view.feature, view.features) == ("", ())

    def test_a_token_of_the_prompt(self, lab):
        assert TokenActivations(lab, PROMPT, token=3).token == 3

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"sae": "nope"}, UnknownNameError),
            ({"feature": 512}, FeatureIndexError),
            ({"feature": -1}, FeatureIndexError),
            ({"feature": True}, FeatureIndexError),
            ({"feature": "nope/3"}, UnknownNameError),
            ({"features": ["mid/1", "wide/1"]}, MismatchError),
            ({"features": range(7)}, MismatchError),
            ({"token": 99}, TokenError),
            ({"token": -1}, TokenError),
        ],
    )
    def test_arguments_that_do_not_exist_raise(self, lab, arguments, error):
        with pytest.raises(error):
            TokenActivations(lab, PROMPT, **arguments)

    def test_a_misspelt_keyword_is_an_error_with_advice(self, lab):
        with pytest.raises(TypeError, match="'featur'; did you mean 'feature'"):
            TokenActivations(lab, PROMPT, featur=3)

    def test_an_empty_lab_says_what_to_do(self, lab):
        lab.saes = {}
        with pytest.raises(UnknownNameError, match="add_sae"):
            TokenActivations(lab, PROMPT)

    def test_every_public_trait_says_what_it_is(self):
        public = [trait for name, trait in TokenActivations.class_own_traits().items() if not name.startswith("_")]
        assert len(public) == 7
        assert all(trait.help for trait in public)


class TestTraits:
    @pytest.mark.parametrize("feature", ["mid/7", "7", 7, np.int64(7), FeatureId("mid", 7)])
    def test_a_feature_has_one_name(self, view, feature):
        view.feature = feature
        assert view.feature == "mid/7"

    def test_a_refused_value_changes_nothing(self, view):
        before = view.feature, view.features
        with pytest.raises(FeatureIndexError, match="0..511"):
            view.feature = 10**6
        assert (view.feature, view.features) == before

    def test_a_new_feature_takes_the_place_of_the_one_in_focus(self, view):
        view.features = [1, 2, 3]
        view.feature = 2
        view.feature = 9
        assert view.features == ("mid/1", "mid/9", "mid/3")

    def test_focus_moves_among_the_chosen(self, view):
        view.features = [1, 2, 3]
        view.feature = 3
        assert (view.feature, view.features) == ("mid/3", ("mid/1", "mid/2", "mid/3"))

    def test_equal_features_count_once(self, view):
        view.features = ["mid/1", 1, FeatureId("mid", 1), 2]
        assert view.features == ("mid/1", "mid/2")

    def test_the_focus_is_always_among_the_features(self, view):
        view.features = [4, 5]
        assert view.feature == "mid/4"
        view.features = []
        assert view.feature == ""
        view.feature = 8
        view.feature = ""
        assert view.features == ()

    def test_a_feature_of_another_sae_switches_to_it(self, view):
        view.feature = "wide/1999"
        assert (view.sae, view.features, view.result.sae) == ("wide", ("wide/1999",), "wide")

    def test_another_sae_drops_the_features_and_chooses_anew(self, view):
        view.sae = "wide"
        assert view.result.sae == "wide"
        assert view.feature.startswith("wide/")

    def test_result_waits_for_the_prompt(self, view):
        view.prompt = "Mary went home"
        assert view.result.prompt_tokens.text == "Mary went home"

    def test_result_cannot_be_assigned(self, view):
        with pytest.raises(traitlets.TraitError):
            view.result = None

    def test_a_token_that_the_next_prompt_lacks_is_dropped(self, view):
        view.token = 8
        view.prompt = "short"
        assert view.result is not None
        assert view.token is None

    @pytest.mark.parametrize("token", [99, -1, True, 1.5, "2"])
    def test_no_such_token(self, view, token):
        with pytest.raises(TokenError, match=r"0\.\.\d+"):
            view.token = token

    def test_masking_runs_again(self, view):
        view.mask_special = False
        assert not view.result.masked.any()

    def test_traits_link_both_ways(self, lab, view):
        other = TokenActivations(lab, PROMPT)
        links = [ipywidgets.link((view, name), (other, name)) for name in ("prompt", "sae", "feature", "token")]
        view.feature = 7
        other.prompt = "Mary went home"
        other.token = 2
        assert (other.feature, view.prompt, view.token) == ("mid/7", "Mary went home", 2)
        assert view.result.prompt_tokens.text == "Mary went home"
        for link in links:
            link.unlink()

    def test_a_result_is_announced_and_may_be_read_where_it_is_announced(self, view):
        seen = []
        view.observe(lambda change: seen.append((change["new"] is view.result, len(change["new"]))), "result")
        view.prompt = "one two"
        assert view.result is not None
        assert seen == [(True, 3)]


class TestWork:
    def test_latest_prompt_wins(self, lab, view):
        gate = Gate(lab)
        view.prompt = "first"
        gate.begun.wait(30)
        for i in range(20):
            view.prompt = f"edit {i}"
        gate.open.set()
        assert view.result.prompt_tokens.text == "edit 19"
        assert lab.runs[1:] == ["first", "edit 19"]

    def test_states_while_it_works(self, lab, view):
        gate, states = Gate(lab), []
        view.observe(lambda change: states.append(change["new"]["state"]), "status")
        view.prompt = "next"
        gate.open.set()
        assert view.result is not None
        assert states == ["queued", "running", "done"]

    def test_stop_keeps_the_picture(self, lab, view):
        gate, before = Gate(lab), view.result
        view.prompt = "never shown"
        gate.begun.wait(30)
        tell(view, op="stop")
        gate.open.set()
        assert view.result is before
        assert view.status["state"] == "stopped"

    def test_a_closed_view_stops(self, lab, view):
        gate = Gate(lab)
        view.prompt = "never shown"
        gate.begun.wait(30)
        job = view._jobs["activations"]
        view.close()
        gate.open.set()
        job.wait()
        assert job.state == "stopped"

    def test_a_cell_that_runs_again_stops_its_former_views(self, lab, view, monkeypatch):
        run = ["cell", "run 1"]
        monkeypatch.setattr("saewidgets.widgets.base.current_cell", lambda: tuple(run))
        first = TokenActivations(lab, PROMPT)
        gate = Gate(lab)
        first.prompt = "superseded"
        gate.begun.wait(30)
        job = first._jobs["activations"]
        run[1] = "run 2"
        stop = first.stop
        monkeypatch.setattr(first, "stop", lambda: (stop(), gate.open.set()))
        second = TokenActivations(lab, "again")
        job.wait()
        assert (job.state, second.result.prompt_tokens.text) == ("stopped", "again")

    def test_twelve_views_share_one_worker(self, lab):
        before = threading.active_count()
        views = [TokenActivations(lab, f"prompt {i}") for i in range(12)]
        assert threading.active_count() <= before + 1
        assert [view.result.prompt_tokens.text for view in views] == [f"prompt {i}" for i in range(12)]

    def test_callbacks_never_run_the_model(self, lab, view):
        threads = []
        lab.gate = lambda prompt: threads.append(threading.current_thread())
        assert tell(view, op="set", prompt="by the browser")["error"] == ""
        assert view.result.prompt_tokens.text == "by the browser"
        assert threads == [worker_of(lab.model).thread]


class TestFaults:
    def test_a_bad_first_prompt_is_shown_not_raised(self, lab):
        view = TokenActivations(lab, "")
        assert view.status["state"] == "failed"
        assert view.error.startswith("The prompt has no tokens.")
        assert view.result is None
        view.prompt = "better"
        assert view.static_text().splitlines()[1] == "better"
        assert view.error == ""

    def test_a_bad_prompt_keeps_the_last_picture(self, view):
        before = view.result
        view.prompt = ""
        assert view.result is before
        assert "type a prompt" in view.status["message"]
        view.prompt = PROMPT
        assert view.result is not before

    def test_any_exception_is_shown(self, lab, view):
        def fail(prompt):
            raise RuntimeError("out of memory")

        lab.gate = fail
        view.prompt = "x"
        assert view.result.prompt_tokens.text == PROMPT
        assert view.error == "RuntimeError: out of memory"

    def test_nothing_is_printed(self, lab, view, capfd):
        view.prompt = ""
        tell(view, op="set", sae="nope")
        assert view.result is not None
        assert capfd.readouterr() == ("", "")

    def test_a_lone_surrogate_reaches_the_browser_escaped(self, lab):
        view = TokenActivations(lab, "")
        view.prompt = "a\ud800b"
        assert view.get_state("prompt") == {"prompt": "a\\ud800b"}
        assert view.result is None
        assert view.status["state"] == "failed"

    @pytest.mark.parametrize(
        "content",
        [
            {"op": "set", "prompt": 5},
            {"op": "set", "prompt": None},
            {"op": "set", "sae": "nope"},
            {"op": "set", "sae": ["mid"]},
            {"op": "set", "feature": {"a": 1}},
            {"op": "set", "feature": "mid/512"},
            {"op": "set", "features": "mid/1e3"},
            {"op": "set", "features": 1.5},
            {"op": "set", "features": [[]]},
            {"op": "set", "token": 10**30},
            {"op": "set", "token": "x"},
            {"op": "set", "mask_special": "yes"},
            {"op": "unknown"},
            {"op": "__init__"},
            {"op": None},
            {},
        ],
    )
    def test_garbage_of_the_browser_is_answered_with_an_error(self, view, content):
        before = view.feature, view.features, view.token, view.prompt
        answer = tell(view, **content)
        assert (answer["op"], answer["view"], answer["seq"]) == ("ack", "v", 1)
        assert answer["error"]
        assert (view.feature, view.features, view.token, view.prompt) == before
        assert tell(view, op="set", token=1)["error"] == ""
        assert view.token == 1

    @pytest.mark.parametrize("content", [None, 5, "set", [1], b"\x00"])
    def test_messages_that_are_no_objects_do_no_harm(self, view, content):
        view._receive(view, content)
        assert tell(view, op="hello")["error"] == ""

    def test_an_observer_of_the_user_that_raises_does_not_end_the_view(self, view):
        view.observe(lambda change: 1 / 0, "token")
        assert "ZeroDivisionError" in tell(view, op="set", token=2)["error"]
        assert tell(view, op="hello")["error"] == ""


class TestBrowser:
    def test_choosing_in_the_browser_sets_the_traits(self, view):
        assert tell(view, op="set", features=["mid/3", "mid/4"], feature="mid/4", token=2)["error"] == ""
        assert (view.features, view.feature, view.token) == (("mid/3", "mid/4"), "mid/4", 2)

    def test_choosing_does_not_run_the_model(self, lab, view):
        tell(view, op="set", features=["mid/3"], feature="mid/3")
        assert len(lab.runs) == 1

    def test_run_runs_the_same_prompt_again(self, lab, view):
        tell(view, op="run")
        assert view.result is not None
        assert lab.runs == [PROMPT, PROMPT]

    def test_an_sae_that_is_added_later_can_be_chosen(self, lab, view):
        lab.saes["new"] = lab._sae(64)
        tell(view, op="run")
        assert view.result is not None
        assert view.get_state("_saes") == {"_saes": ["mid", "wide", "new"]}


class TestWhatPeopleHaveAtHand:
    @pytest.mark.parametrize(
        "features", [[3, 5], (3, 5), iter([3, 5]), np.array([3, 5]), (n for n in (3, 5)), ["mid/3", np.int64(5)]]
    )
    def test_features_come_in_any_form(self, lab, features):
        assert TokenActivations(lab, PROMPT, features=features).features == ("mid/3", "mid/5")

    def test_one_feature_is_enough(self, lab, view):
        assert TokenActivations(lab, PROMPT, features=3).features == ("mid/3",)
        view.features = np.int64(4)
        assert view.features == ("mid/4",)

    def test_what_is_no_feature_is_refused(self, view):
        with pytest.raises(FeatureIndexError, match="not features"):
            view.features = 2.5

    def test_an_sae_and_a_feature_of_another_do_not_fit(self, lab):
        first, second = list(lab.saes)[:2]
        with pytest.raises(MismatchError, match="another SAE"):
            TokenActivations(lab, PROMPT, sae=first, feature=f"{second}/1")

    def test_the_twin_of_a_failed_run_says_so(self, view):
        view.prompt = ""
        assert view.result is not None
        for twin in (view.static_html(), view.static_text()):
            assert "no tokens" in twin
            assert "former prompt" in twin
