import json
import threading

import numpy as np
import pytest
import traitlets

from saewidgets import steering as st
from saewidgets.errors import EditError, FeatureIndexError, UnknownNameError
from saewidgets.results import FeatureId
from saewidgets.widgets import SteeringPanel
from saewidgets.widgets.worker import worker_of
from tests.widgets.fake_steering_lab import NEUTRAL
from tests.widgets.messages import tell
from tests.widgets.steering_panels import PROMPT, Gate, key, steering_lab, steering_panel, vector_of, written  # noqa: F401 - fixtures


@pytest.fixture
def at_once(monkeypatch):
    """Partial texts are sent however fast they come."""
    monkeypatch.setattr("saewidgets.widgets.steering_work.PAUSE", 0.0)


class TestConstruction:
    def test_result_and_screen_are_there(self, panel):
        result = panel.result
        assert result.edits == ("mid/7: x + (4 m - f) d",)
        assert len(result.base[0]) == len(result.steered[0]) == 6
        assert result.side_effect.kl == panel._side["kl"] == 0.5
        assert panel._texts["running"] is False
        assert panel._texts["steered"][0]["tokens"] == list(result.steered[0].new_tokens.strings)
        assert len(panel._bars["rows"]) == 10
        assert panel.status == {"state": "done", "message": ""}

    def test_without_a_prompt_nothing_is_asked(self, lab):
        panel = SteeringPanel(lab, edits=st.set(7, 4))
        assert panel.result is None
        assert (panel.status["state"], panel.error, lab.asked) == ("idle", "", [])
        panel.prompt = PROMPT
        assert panel.result is not None

    def test_without_edits_both_texts_are_the_same_and_written_once(self, lab):
        panel = SteeringPanel(lab, PROMPT, max_new_tokens=5)
        assert panel.result.base is panel.result.steered
        assert len(lab.steps) == 5
        assert panel.result.side_effect.kl == 0

    def test_a_feature_names_its_sae(self, lab):
        panel = SteeringPanel(lab, PROMPT, feature="wide/9")
        assert (panel.sae, panel.feature, panel.edits) == ("wide", "wide/9", ())

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"sae": "nope"}, UnknownNameError),
            ({"feature": 512}, FeatureIndexError),
            ({"edits": [st.set(512, 4)]}, FeatureIndexError),
            ({"edits": [st.set(1, 4, where=st.while_active("mid/512"))]}, FeatureIndexError),
            ({"edits": ["mid/7"]}, EditError),
            ({"edits": "mid/7"}, EditError),
            ({"edits": None}, EditError),
            ({"edits": [st.ablate(7)] * 65}, EditError),
            ({"vectors": [np.ones(8)]}, EditError),
            ({"max_new_tokens": 0}, traitlets.TraitError),
            ({"temperature": -1}, traitlets.TraitError),
            ({"temperature": float("nan")}, EditError),
            ({"top_p": 0}, traitlets.TraitError),
            ({"samples": 9}, traitlets.TraitError),
            ({"k": 0}, traitlets.TraitError),
        ],
    )
    def test_arguments_that_do_not_exist_raise(self, lab, arguments, error):
        with pytest.raises(error):
            SteeringPanel(lab, PROMPT, **arguments)

    def test_a_misspelt_keyword_is_an_error_with_advice(self, lab):
        with pytest.raises(TypeError, match="'temprature'; did you mean 'temperature'"):
            SteeringPanel(lab, PROMPT, temprature=1)

    def test_every_public_trait_says_what_it_is(self):
        public = {name: t for name, t in SteeringPanel.class_own_traits().items() if not name.startswith("_")}
        assert set(public) >= {"prompt", "sae", "feature", "edits", "result", "live", "k", "samples"}
        assert all(trait.help for trait in public.values())

    def test_all_that_travels_is_strict_json(self, lab):
        lab.saes["mid"].labels = {7: "bad \ud800"}
        panel = SteeringPanel(lab, "a \ud800 b", [st.set(7, 4), st.add(vector_of("v\ud800"), 1)], max_new_tokens=2)
        assert panel.result is not None
        state = {name: value for name, value in panel.get_state().items() if name not in {"_esm", "_css"}}
        json.dumps(state, allow_nan=False, ensure_ascii=False).encode("utf-8")


class TestEdits:
    def test_edits_are_named_in_full_and_announced(self, panel):
        panel.edits = [st.ablate("wide/3"), st.scale(2, 0.5, where=st.while_active(9))]
        assert [edit.target for edit in panel.edits] == [FeatureId("wide", 3), FeatureId("mid", 2)]
        assert panel.edits[1].where == st.while_active(FeatureId("mid", 9))
        assert panel.result.edits == ("wide/3: x - f d", "mid/2: x + (0.5 - 1) f d")

    @pytest.mark.parametrize(
        ("target", "arguments", "formula"),
        [
            (7, (), "x + (4 m - f) d"),
            ("wide/8", (2.5,), "x + (2.5 m - f) d"),
            (7, (None, "scale"), "x + (2 - 1) f d"),
            (7, (None, "project_out"), "x - (x . u) u"),
            ("joy", (), "x + 1 m d"),
            (vector_of("other"), (3, "set"), "x + (3 m - f) d"),
        ],
    )
    def test_add(self, lab, target, arguments, formula):
        panel = SteeringPanel(lab, PROMPT, max_new_tokens=1, vectors=[vector_of()])
        panel.add(target, *arguments)
        assert panel.edits[-1].formula == formula
        assert panel.result.edits[-1].endswith(formula)
        assert panel.error == ""

    @pytest.mark.parametrize("bad", [{"operation": "clamp"}, {"value": float("inf")}, {"target": "mid/512"}])
    def test_an_edit_that_does_not_exist_is_not_added(self, panel, bad):
        with pytest.raises((EditError, FeatureIndexError)):
            panel.add(**({"target": 7} | bad))
        assert len(panel.edits) == 1

    def test_remove(self, panel):
        panel.edits = [st.ablate(1), st.ablate(2), st.ablate(3)]
        panel.remove(-1)
        panel.remove(0)
        assert [edit.name for edit in panel.edits] == ["mid/2"]
        for wrong in (1, -2, True):
            with pytest.raises(EditError):
                panel.remove(wrong)

    def test_an_unchanged_edit_keeps_its_key(self, panel):
        first = key(panel)
        panel.add(8)
        second = key(panel, 1)
        assert (key(panel), second != first) == (first, True)
        panel.edits = [st.ablate(9), *reversed(panel.edits)]
        assert [key(panel, 1), key(panel, 2)] == [second, first]
        panel.edits = [st.set(7, 1)]
        assert key(panel) == first

    def test_vectors_are_told_apart(self, lab):
        panel = SteeringPanel(lab, vectors=[vector_of(), vector_of()])
        assert panel._vectors == ["joy", "joy 2"]
        panel = SteeringPanel(lab, vectors={"a": vector_of(), "b": vector_of()})
        assert [vector.name for vector in panel.vectors.values()] == panel._vectors == ["a", "b"]

    def test_a_reach_is_shown_only_for_the_edit_it_was_measured_for(self, lab, panel):
        assert panel._edits[0]["reach"] == [10, 10]  # five tokens of the prompt, six new, the last not read
        gate = Gate(lab)
        lab.reading = lambda: gate(None)
        tell(panel, op="edit", key=key(panel), value=0)
        gate.begun.wait(30)
        assert panel._edits[0]["reach"] is None
        gate.open.set()
        assert panel.result is not None
        assert panel._edits[0]["reach"] == [0, 10]

    def test_a_maximum_that_no_index_knows_is_measured_once_on_the_neutral_texts(self, lab):
        lab.saes["mid"].reference_max = None
        panel = SteeringPanel(lab, PROMPT, [st.set(7, 4), st.add(8, 1)], max_new_tokens=1)
        assert panel.result.strengths[0].absolute == 12
        assert panel._edits[0]["source"] == "largest activation on 7 tokens of 2 texts given"
        panel.add(9)
        assert panel.result is not None
        assert [one for one in lab.asked if one[0] == "maxima"] == [("maxima", NEUTRAL, "mid")]
        panel.edits = [st.set(511, 4)]
        assert panel.result.edits != ("mid/511: x + (4 m - f) d",)
        assert "give it with maximum" in panel.error

    def test_no_maximum_is_measured_where_none_is_needed(self, lab):
        lab.saes["mid"].reference_max = None
        panel = SteeringPanel(lab, PROMPT, [st.ablate(7), st.set(8, 4, maximum=2)], max_new_tokens=1)
        assert panel.error == ""
        assert lab.saes["mid"].reference_max is None


class TestWork:
    def test_fifty_quick_moves_write_one_text_of_the_last_value(self, lab, panel):
        gate = Gate(lab)
        lab.steps.clear()
        for value in range(51):
            tell(panel, op="edit", key=key(panel), value=value)
            if value == 0:
                gate.begun.wait(30)
        gate.open.set()
        assert panel.result.edits == panel.result.steered[0].edits == ("mid/7: x + (50 m - f) d",)
        strengths = written(lab)
        assert strengths.count(50) == 6
        assert len(strengths) == 6
        assert sum(one[0] == "next" for one in lab.asked) <= 1 + 2

    def test_the_base_text_is_written_once_and_goes_on_where_it_was_left(self, lab):
        gate = Gate(lab, at=3)
        panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=6)
        gate.begun.wait(30)
        panel.edits = [st.set(7, 5)]
        gate.open.set()
        assert panel.result.edits[0].endswith("(5 m - f) d")
        panel.edits = []
        assert [one.text for one in panel.result.steered] == [one.text for one in panel.result.base]
        base = [n for edits, n in lab.steps if not edits]
        assert base == list(range(6))

    @pytest.mark.parametrize(
        ("name", "value"), [("prompt", "Mary"), ("max_new_tokens", 3), ("seed", 1), ("temperature", 1), ("top_p", 0.5)]
    )
    def test_another_prompt_or_sampling_writes_both_texts_anew(self, lab, panel, name, value):
        lab.steps.clear()
        setattr(panel, name, value)
        assert panel.result is not None
        assert sum(not edits for edits, _ in lab.steps) == sum(bool(edits) for edits, _ in lab.steps) > 0

    def test_neutral_texts_are_read_once(self, lab, panel):
        panel.edits = [st.set(7, 5), st.ablate(3, where="prompt")]
        assert panel.result is not None
        assert [one[0] for one in lab.asked].count("neutral") == 1
        assert [edit.where for edit in lab.asked[-1][1]] == ["all", "all"]

    def test_own_neutral_texts(self, lab):
        panel = SteeringPanel(lab, PROMPT, max_new_tokens=1, neutral_texts=["one"])
        assert panel.result.side_effect.texts == ("one",)

    def test_k_only_asks_for_bars(self, lab, panel):
        lab.steps.clear()
        panel.k = 3
        assert len(panel.result.next_token) == 3
        assert lab.steps == []
        assert panel.result.side_effect is not None

    def test_bars_of_a_move_come_before_the_next_token(self, lab, panel):
        gate, seen = Gate(lab), []
        panel.edits = [st.set(7, 5)]
        gate.begun.wait(30)
        lab.between = lambda writing: seen.append(len(panel._bars["rows"]))
        panel.k = 3
        gate.open.set()
        assert panel.result is not None
        assert seen == [3] * len(seen)
        assert seen

    def test_bars_of_another_panel_do_not_wait_for_this_ones_text(self, lab, panel):
        other = SteeringPanel(lab, PROMPT, st.set(7, 1), max_new_tokens=2, live=False)
        assert other.result is not None
        gate, seen = Gate(lab), []
        panel.edits = [st.set(7, 5)]
        gate.begun.wait(30)
        lab.between = lambda writing: seen.append(other._bars["kl"])
        before = other._bars["kl"]
        other.edits = [st.set(7, 9)]
        gate.open.set()
        assert other.result.edits == ("mid/7: x + (9 m - f) d",)
        assert panel.result.steered[0].edits == ("mid/7: x + (5 m - f) d",)
        assert seen
        assert before not in seen

    def test_texts_stream_and_the_last_state_is_whole(self, panel, at_once):
        seen = []
        panel.observe(
            lambda _: seen.append((panel._texts["running"], len(panel._texts["steered"][0]["ids"]))), "_texts"
        )
        panel.edits = [st.set(7, 5)]
        assert panel.result is not None
        assert seen == [(True, 1), (True, 2), (True, 3), (True, 4), (True, 5), (True, 6), (False, 6)]

    def test_not_every_token_is_sent_and_the_last_always_is(self, panel, monkeypatch):
        monkeypatch.setattr("saewidgets.widgets.steering_work.PAUSE", float("inf"))
        seen = []
        panel.observe(lambda _: seen.append(panel._texts["running"]), "_texts")
        panel.edits = [st.set(7, 5)]
        assert panel.result is not None
        assert seen == [True, False]

    def test_stop_keeps_what_was_written(self, lab, panel):
        gate = Gate(lab, at=4)
        panel.edits = [st.set(7, 5)]
        gate.begun.wait(30)
        count = len(lab.steps)
        tell(panel, op="stop")
        gate.open.set()
        result = panel.result
        assert panel.status["state"] == "stopped"
        assert len(lab.steps) <= count + 2
        assert 0 < len(result.steered[0]) < 6
        assert result.steered[0].stopped == "cancelled"
        assert result.side_effect is None
        assert panel._side == {}
        assert (panel._texts["running"], panel._texts["steered"][0]["stopped"]) == (False, "cancelled")
        tell(panel, op="generate")
        assert len(panel.result.steered[0]) == 6
        assert panel.status["state"] == "done"

    def test_stop_keeps_a_token_of_the_base_text_that_has_no_partner_yet(self, lab, panel):
        gate = Gate(lab, at=4)
        panel.prompt = "another prompt"
        gate.begun.wait(30)
        tell(panel, op="stop")
        gate.open.set()
        result = panel.result
        assert (len(result.base[0]), len(result.steered[0])) == (3, 2)
        assert (len(panel._texts["base"][0]["ids"]), len(panel._texts["steered"][0]["ids"])) == (3, 2)
        assert (result.base[0].stopped, result.steered[0].stopped) == ("cancelled", "cancelled")

    def test_stop_of_work_that_waits_is_said_at_once(self, lab, panel):
        other = SteeringPanel(lab, PROMPT, st.set(7, 1), max_new_tokens=2)
        assert other.result is not None
        gate = Gate(lab)
        panel.edits = [st.set(7, 5)]
        gate.begun.wait(30)
        other.generate()
        other.stop()
        assert other.status["state"] == "stopped"
        gate.open.set()
        assert len(panel.result.steered[0]) == 6

    def test_stop_while_idle_changes_nothing(self, panel):
        before = panel.result, panel.status
        assert tell(panel, op="stop")["error"] == ""
        assert (panel.result, panel.status) == before

    def test_a_closed_panel_stops(self, lab, panel):
        gate = Gate(lab)
        panel.edits = [st.set(7, 5)]
        gate.begun.wait(30)
        job = panel._jobs["texts"]
        panel.close()
        gate.open.set()
        job.wait()
        assert job.state == "stopped"

    def test_the_model_is_run_by_its_worker_only(self, lab, panel):
        threads = set()
        lab.between = lambda _: threads.add(threading.current_thread())
        lab.reading = lambda: threads.add(threading.current_thread())
        tell(panel, op="edit", key=key(panel), value=1)
        tell(panel, op="sweep", key=key(panel))
        assert panel.result is not None
        assert threads == {worker_of(lab.model).thread}

    def test_generating_what_is_there_asks_the_model_anew(self, lab, panel):
        lab.steps.clear()
        panel.generate()
        assert panel.result is not None
        assert len(lab.steps) == 12
        assert [one[0] for one in lab.asked].count("neutral") == 2

    def test_the_preview_of_the_lab_is_kept_while_the_prompt_is(self, lab):
        made = []

        class Preview:
            def __init__(self, prompt, sae) -> None:
                made.append((prompt, sae))
                self.prompt = prompt

            def next_token(self, edits, k=20):
                return lab.next_token(self.prompt, edits, k)

        lab.preview = Preview
        panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=1)
        for value in (1, 2):
            panel.edits = [st.set(7, value)]
            assert panel.result is not None
        panel.prompt = "Mary"
        assert panel.result is not None
        lab.saes["mid"] = lab._sae(512)
        panel.k = 3
        assert panel.result is not None
        assert made == [(PROMPT, "mid"), ("Mary", "mid"), ("Mary", "mid")]


class TestSamples:
    def test_rows_have_seeds_of_their_own(self, lab, panel):
        panel._assign({"samples": 3, "temperature": 1.0, "seed": 5})
        assert [one.seed for one in panel.result.steered] == [5, 6, 7]
        assert [one["seed"] for one in panel._texts["base"]] == [5, 6, 7]
        assert panel.status["message"] == ""

    def test_without_temperature_one_is_written_and_the_view_says_so(self, panel):
        panel.samples = 3
        assert len(panel.result.steered) == 1
        assert "one is written" in panel.status["message"]
        assert panel.status["state"] == "done"


class TestNotLive:
    @pytest.fixture
    def panel(self, lab):
        panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=6, live=False)
        assert panel.result.steered == ()
        yield panel
        panel.close()

    def test_a_move_computes_only_bars_and_generate_the_texts(self, lab, panel):
        tell(panel, op="edit", key=key(panel), value=5)
        assert panel.result.edits == ("mid/7: x + (5 m - f) d",)
        assert (lab.steps, panel._texts, panel._side) == ([], {}, {})
        tell(panel, op="generate")
        assert panel.result.steered[0].edits == panel.result.edits
        assert panel._side["kl"] == 0.5

    def test_texts_of_former_edits_stay_and_are_named(self, panel):
        panel.generate()
        assert panel.result is not None
        panel.edits = [st.set(7, 9)]
        result = panel.result
        assert (result.edits, result.steered[0].edits) == (("mid/7: x + (9 m - f) d",), ("mid/7: x + (4 m - f) d",))
        assert (result.side_effect, panel._side) == (None, {})
        assert "written with mid/7: x + (4 m - f) d" in panel.static_text()

    def test_texts_of_a_former_prompt_go(self, panel):
        panel.generate()
        assert panel.result is not None
        panel.prompt = "Mary went"
        assert (panel.result.base, panel._texts) == ((), {})

    def test_a_move_ends_texts_that_run_and_keeps_them(self, lab, panel):
        gate = Gate(lab, at=4)
        panel.generate()
        gate.begun.wait(30)
        job = panel._jobs["texts"]
        panel.edits = [st.set(7, 9)]
        gate.open.set()
        job.wait()
        assert 0 < len(panel.result.steered[0]) < 6
        assert panel.result.edits[0].endswith("(9 m - f) d")
        assert panel.status["state"] == "done"

    def test_going_live_writes_what_is_missing(self, lab, panel):
        panel.live = True
        assert len(panel.result.steered[0]) == 6
        lab.steps.clear()
        panel.live = False
        panel.live = True
        assert panel.result is not None
        assert lab.steps == []


class TestSweep:
    def test_nine_strengths_of_one_edit(self, panel):
        panel.edits = [st.set(7, 4), st.add(8, 1), st.ablate(9)]
        panel.sweep(0)
        result = panel.result
        assert result.values == (-10, -5, -2, -1, 0, 1, 2, 5, 10)
        assert [one.edits[0] for one in result.sweep] == [f"mid/7: x + ({v:g} m - f) d" for v in result.values]
        assert {one.edits[1] for one in result.sweep} == {"mid/8: x + 1 m d"}
        assert (panel._sweep["running"], panel._sweep["key"]) == (False, key(panel))
        assert panel._sweep["texts"][0]["absolute"] == pytest.approx(-10 * panel._edits[0]["maximum"])

    def test_it_streams(self, panel, at_once):
        seen = []
        panel.observe(lambda _: seen.append(panel._sweep["running"]), "_sweep")
        panel.sweep()
        assert panel.result is not None
        assert seen == [True] * 6 + [False]

    def test_a_move_of_its_own_strength_leaves_it_and_others_take_it_away(self, panel):
        panel.sweep()
        assert len(panel.result.sweep) == 9
        tell(panel, op="edit", key=key(panel), value=1)
        assert len(panel.result.sweep) == len(panel._sweep["texts"]) == 9
        panel.add(8)
        assert (panel.result.sweep, panel.result.values, panel._sweep) == ((), (), {})

    def test_a_move_ends_it(self, lab, panel):
        gate = Gate(lab, at=2)
        panel.sweep()
        gate.begun.wait(30)
        job = panel._jobs["sweep"]
        panel.add(8)
        gate.open.set()
        job.wait()
        assert job.state == "stopped"
        assert panel.result.sweep == ()
        assert panel.status["state"] == "done"

    def test_stop_keeps_what_was_written(self, lab, panel):
        gate = Gate(lab, at=2)
        panel.sweep()
        gate.begun.wait(30)
        panel.stop()
        gate.open.set()
        assert [len(one) for one in panel.result.sweep] == [3] * 9
        assert (panel._sweep["running"], panel.status["state"]) == (False, "stopped")

    def test_what_cannot_be_swept(self, lab, panel):
        panel.edits = [st.ablate(7)]
        with pytest.raises(EditError, match="no strength"):
            panel.sweep()
        with pytest.raises(EditError, match="no such edit"):
            panel.sweep(1)
        panel.edits = []
        with pytest.raises(EditError, match="no such edit"):
            panel.sweep()


class TestTwin:
    def test_the_static_copy_has_all(self, panel):
        panel.sweep()
        result = panel.result
        html, text = panel.static_html(), panel.static_text()
        for part in ("x + (4 m - f) d", "largest activation on", "side effect", "moved 10 of 10 tokens"):
            assert part in html
            assert part in text
        assert html.count("<table>") == 3
        assert f"{result.strengths[0].absolute:.4g}" in html

    def test_where_an_edit_acts(self, panel):
        panel.edits = [st.set(7, 4, where=st.while_active(9, 0.5))]
        assert panel.result is not None
        assert "while mid/9 > 0.5" in panel.static_text()

    def test_a_page_of_its_own(self, panel, tmp_path):
        page = panel.to_html(tmp_path / "panel.html").read_text(encoding="utf-8")
        assert panel.static_html() in page

    def test_nothing_run(self, lab):
        panel = SteeringPanel(lab)
        assert panel.static_text() in panel.static_html()
