"""A saved panel holds what the model says at other strengths, and the panel itself stays as it is."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from saewidgets import steering as st
from saewidgets.errors import EditError, UnknownNameError
from saewidgets.export import export_notebook
from saewidgets.export import views as views_module
from saewidgets.widgets import SteeringPanel, row, steering_recorded
from saewidgets.widgets.steering_recorded import MOST_BYTES, MOST_EDITS, TRAITS, strengths_of
from saewidgets.widgets.steering_runs import SWEPT
from saewidgets.widgets.worker import worker_of
from tests.export.pages import code, notebook, outputs_of, saved
from tests.widgets.messages import tell
from tests.widgets.steering_panels import PROMPT, Gate, key, steering_lab, steering_panel, vector_of  # noqa: F401 - fixtures

HOSTILE = "</script><script>x()</script><b>\u202e\x00\ud800"


def page_of(panel, tmp_path, **options):
    (one,) = saved(panel.to_html(tmp_path / "panel.html", **options).read_text("utf-8"))
    return one["state"]


def recording_of(state):
    return json.loads(state["_recorded"])


def said(recording, key):
    """Patches by strength."""
    return dict(recording["at"][key]["values"])


def over(former, patch):
    """What page.js makes of a patch."""
    if isinstance(former, list):
        return [{**one, **patch.get(one["key"], {})} for one in former]
    return {**former, **patch} if isinstance(former, dict) else patch


class TestWhatIsRecorded:
    def test_every_strength_shows_what_the_panel_would_show_there(self, panel, tmp_path):
        state = page_of(panel, tmp_path)
        patches = said(recording_of(state), key(panel))
        strengths = [value for value, _ in recording_of(state)["at"][key(panel)]["values"]]
        assert strengths == sorted({*SWEPT, 4.0})
        again = recording_of(page_of(panel, tmp_path, recorded=[4, 5]))["at"][key(panel)]["values"]
        assert [value for value, _ in again] == [4, 5]
        assert patches[4.0] == {}
        for value in (-5.0, 0.0, 2.0):
            panel.edits = st.set(7, value)
            assert panel.result is not None
            now = {name: over(state[name], patches[value].get(name, {})) for name in ("_edits", "_bars", "_texts")}
            rounded = steering_recorded.rounded
            assert rounded(now["_edits"]) == rounded(panel._edits)
            assert rounded(now["_bars"]) == rounded(panel._bars)
            assert rounded(now["_texts"]) == rounded(panel._texts)
            assert patches[value]["_code"] == panel._code

    def test_it_says_which_strength_is_shown_with_its_absolute_value(self, panel, tmp_path):
        patch = said(recording_of(page_of(panel, tmp_path)), key(panel))[2.0]
        unit = panel._edits[0]["maximum"]
        told = patch["status"]["state"]
        assert told.startswith(f"recorded: mid/7 at 2 \u00d7 max = {2 * unit:.3g}")
        assert "need a kernel" in told

    @pytest.mark.parametrize(
        ("edit", "words"),
        [
            (st.scale(7, 4), "at 2 \u00d7 f;"),
            (st.add(vector_of(), 4), f"at 2 \u00d7 vector = {2 * vector_of().norm:.3g};"),
        ],
    )
    def test_units_of_other_edits(self, lab, tmp_path, edit, words):
        panel = SteeringPanel(lab, PROMPT, edit, max_new_tokens=2)
        patch = said(recording_of(page_of(panel, tmp_path)), key(panel))[2.0]
        assert words in patch["status"]["state"]

    def test_each_edit_has_its_grid_while_the_others_keep_their_strength(self, lab, tmp_path):
        panel = SteeringPanel(lab, PROMPT, [st.set(7, 4), st.ablate(3), st.scale(9, 2)], max_new_tokens=2)
        recording = recording_of(page_of(panel, tmp_path, recorded=[0, 1]))
        assert list(recording["at"]) == [key(panel, 0), key(panel, 2)]
        patch = said(recording, key(panel, 2))[1.0]
        assert patch["_edits"][key(panel, 0)].get("value") is None
        assert patch["_edits"][key(panel, 2)]["value"] == 1
        assert "the other edits as saved" in patch["status"]["state"]
        panel.edits = [*panel.edits[:2], st.scale(9, 1)]
        rows = panel.result and panel._bars["rows"]
        assert steering_recorded.rounded(rows) == patch["_bars"]["rows"]

    def test_one_pair_of_texts_stands_for_several_samples(self, lab, tmp_path):
        panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=3, temperature=1, samples=3)
        state = page_of(panel, tmp_path, recorded=[1])
        texts = said(recording_of(state), key(panel))[1.0]["_texts"]
        assert len(state["_texts"]["base"]) == 3
        assert [len(texts[side]) for side in ("base", "steered")] == [1, 1]
        assert texts["base"][0]["ids"] == state["_texts"]["base"][0]["ids"]

    def test_without_texts_bars_alone_and_the_panel_says_that_texts_are_older(self, lab, tmp_path):
        panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=3, live=False)
        state = page_of(panel, tmp_path)
        assert "_texts" not in said(recording_of(state), key(panel))[1.0]
        assert lab.steps == []
        assert state["live"] is False

    def test_texts_that_were_drawn_another_way_are_not_recorded(self, panel, tmp_path):
        panel.live = False
        panel.max_new_tokens = 3
        patches = said(recording_of(page_of(panel, tmp_path, recorded=[1])), key(panel))
        assert "_bars" in patches[1.0]
        assert "_texts" not in patches[1.0]

    def test_a_sweep_of_another_edit_goes(self, lab, tmp_path):
        panel = SteeringPanel(lab, PROMPT, [st.set(7, 4), st.set(9, 2)], max_new_tokens=2)
        panel.sweep(0)
        recording = recording_of(page_of(panel, tmp_path, recorded=[1]))
        assert "_sweep" not in said(recording, key(panel, 0))[1.0]
        assert said(recording, key(panel, 1))[1.0]["_sweep"] == {"texts": []}

    def test_controls_that_need_a_kernel_are_named(self, lab, tmp_path):
        recording = recording_of(page_of(SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=1), tmp_path))
        assert set(recording["traits"]) == set(TRAITS)
        assert '[data-key="e1"]' in recording["off"]


class TestWhatIsNot:
    def test_it_can_be_left_out(self, panel, lab, tmp_path):
        asked = len(lab.asked)
        state = page_of(panel, tmp_path, recorded=False)
        assert "_recorded" not in state
        assert len(lab.asked) == asked
        assert state["status"]["state"] == "done"

    @pytest.mark.parametrize("edits", [(), st.ablate(7)], ids=["no edits", "no strength"])
    def test_nothing_to_record(self, lab, tmp_path, edits):
        panel = SteeringPanel(lab, PROMPT, edits, max_new_tokens=2)
        assert "_recorded" not in page_of(panel, tmp_path)

    def test_nothing_before_there_is_a_result(self, lab, tmp_path):
        panel = SteeringPanel(lab, "", st.set(7, 4))
        assert "_recorded" not in page_of(panel, tmp_path)
        assert lab.asked == []

    def test_nothing_where_the_screen_shows_another_prompt(self, panel, lab, tmp_path):
        def fail():
            raise RuntimeError("not now")

        lab.reading = fail
        panel.prompt = "another"
        assert panel.result.prompt_tokens.text.strip() == PROMPT  # the former result stays
        lab.reading = None
        assert "_recorded" not in page_of(panel, tmp_path)

    def test_nothing_where_the_sae_has_left_the_lab(self, panel, tmp_path, monkeypatch):
        def gone(_):
            raise UnknownNameError("The lab holds no such SAE.")

        monkeypatch.setattr(panel, "_worker", gone)
        assert "_recorded" not in page_of(panel, tmp_path)

    @pytest.mark.parametrize("bad", ["12", [1, float("nan")], [], range(50), 3, None, {1: 2}, [[1]], ["x"]])
    def test_what_is_no_list_of_strengths(self, panel, tmp_path, bad):
        with pytest.raises(EditError, match="no strengths"):
            panel.to_html(tmp_path / "panel.html", recorded=bad)
        assert list(tmp_path.iterdir()) == []

    def test_strengths(self):
        assert strengths_of(np.array([3, 1, 3])) == (1.0, 3.0)
        assert (strengths_of(True), strengths_of(False)) == (SWEPT, ())

    def test_a_strength_that_cannot_be_used_is_left_out(self, panel, lab, tmp_path, monkeypatch):
        honest = lab.next_token

        def next_token(prompt, edits, k, **more):
            if edits[0].value == 5:
                raise EditError("Not this one.")
            return honest(prompt, edits, k, **more)

        monkeypatch.setattr(lab, "next_token", next_token)
        assert 5.0 not in said(recording_of(page_of(panel, tmp_path)), key(panel))

    def test_a_model_that_fails_costs_the_recording_not_the_file(self, panel, lab, tmp_path):
        def fail(_):
            raise RuntimeError("out of memory")

        lab.between = fail
        with pytest.warns(RuntimeWarning, match="out of memory"):
            state = page_of(panel, tmp_path)
        patches = said(recording_of(state), key(panel))
        assert len(patches) == 10
        assert not any("_texts" in patch for patch in patches.values())


class TestThePanelStays:
    def test_nothing_of_it_changes(self, panel, tmp_path):
        former, result = panel.get_state(), panel.result
        changes = []
        panel.observe(lambda change: changes.append(change["name"]))
        panel.to_html(tmp_path / "panel.html")
        assert changes == []
        assert panel.get_state() == former
        assert panel.result is result

    def test_the_work_is_done_by_the_worker_of_the_model(self, panel, lab, tmp_path):
        threads = set()
        lab.reading = lambda: threads.add(threading.current_thread())
        panel.to_html(tmp_path / "panel.html")
        assert threads == {worker_of(lab.model).thread}

    def test_stop_keeps_what_was_recorded(self, panel, lab, tmp_path):
        gate, states = Gate(lab, at=2), []
        writer = threading.Thread(target=lambda: states.append(page_of(panel, tmp_path)))
        writer.start()
        assert gate.begun.wait(30)
        tell(panel, op="stop")
        gate.open.set()
        writer.join(30)
        patches = said(recording_of(states[0]), key(panel))
        assert len(patches) == 10
        assert not any("_texts" in patch for patch in patches.values())
        assert states[0]["live"] is False
        assert panel.status["state"] == "done"
        lab.between = None
        panel.edits = st.set(7, 1)
        assert panel.result.edits == ("mid/7: x + (1 m - f) d",)

    def test_a_recording_that_waits_stops_at_once(self, panel, lab, tmp_path, monkeypatch):
        gate, states, posted = Gate(lab), [], threading.Event()
        other = SteeringPanel(lab, PROMPT, st.set(9, 2), max_new_tokens=4)
        assert gate.begun.wait(30)
        asked, worker = len(lab.asked), worker_of(lab.model)
        post = worker.post
        monkeypatch.setattr(worker, "post", lambda job: (post(job), posted.set()))
        writer = threading.Thread(target=lambda: states.append(page_of(panel, tmp_path)))
        writer.start()
        assert posted.wait(30)
        tell(panel, op="stop")
        writer.join(30)
        assert "_recorded" not in states[0]
        assert len(lab.asked) == asked
        gate.open.set()
        assert other.result is not None

    def test_an_interrupt_gets_through_and_ends_it(self, panel, lab, tmp_path, monkeypatch):
        waiting = []

        def interrupted(job):
            waiting.append(job)
            raise KeyboardInterrupt

        monkeypatch.setattr(steering_recorded.Job, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            panel.to_html(tmp_path / "panel.html")
        assert waiting[-1].stopping
        assert panel._recording == set()
        assert list(tmp_path.iterdir()) == []

    def test_a_slider_of_the_live_panel_is_answered_while_it_records(self, panel, lab, tmp_path):
        gate = Gate(lab, at=2)
        writer = threading.Thread(target=lambda: panel.to_html(tmp_path / "panel.html"))
        writer.start()
        assert gate.begun.wait(30)
        recording = []
        panel.observe(lambda _: recording.append(bool(panel._recording)), "_bars")
        panel.edits = st.set(7, 3)
        gate.open.set()
        writer.join(30)
        assert recording[:1] == [True]
        assert panel.result.edits == ("mid/7: x + (3 m - f) d",)


class TestSize:
    def test_texts_go_before_bars(self, lab, tmp_path, monkeypatch):
        panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=200)
        whole = len(panel.to_html(tmp_path / "a.html", recorded=False).read_bytes())
        state = page_of(panel, tmp_path)
        assert "_texts" in said(recording_of(state), key(panel))[2.0]
        assert len(panel.to_html(tmp_path / "b.html").read_bytes()) - whole <= MOST_BYTES + 2000
        monkeypatch.setattr(steering_recorded, "MOST_BYTES", 4000)
        state = page_of(panel, tmp_path)
        assert "_texts" not in said(recording_of(state), key(panel))[2.0]
        assert state["live"] is False

    def test_then_the_last_edits(self, lab, tmp_path, monkeypatch):
        panel = SteeringPanel(lab, PROMPT, [st.set(n, 4) for n in range(4)], max_new_tokens=2)
        sizes = {}
        for limit in (40_000, 4000, 10):
            monkeypatch.setattr(steering_recorded, "MOST_BYTES", limit)
            state = page_of(panel, tmp_path)
            sizes[limit] = list(recording_of(state)["at"]) if "_recorded" in state else []
        keys = [key(panel, n) for n in range(4)]
        assert sizes[40_000] == keys
        assert sizes[4000] == keys[: len(sizes[4000])]
        assert 0 < len(sizes[4000]) < 4
        assert sizes[10] == []

    def test_of_many_edits_the_first(self, lab, tmp_path):
        panel = SteeringPanel(lab, PROMPT, [st.set(n, 4) for n in range(MOST_EDITS + 2)], max_new_tokens=1)
        recording = recording_of(page_of(panel, tmp_path, recorded=[1]))
        assert list(recording["at"]) == [key(panel, n) for n in range(MOST_EDITS)]


class TestPages:
    def test_hostile_text_is_data(self, lab, tmp_path):
        lab.saes["mid"].labels = {7: HOSTILE}
        panel = SteeringPanel(lab, f"a {HOSTILE} b", [st.set(7, 4), st.add(vector_of(HOSTILE), 1)], max_new_tokens=2)
        assert panel.result is not None
        path = panel.to_html(tmp_path / "panel.html")
        (one,) = saved(path.read_text("utf-8"))
        patch = said(recording_of(one["state"]), key(panel, 1))[2.0]
        told = patch["status"]["state"]
        assert "</script>" in told
        assert "\\u202e" in told
        assert not {"\u202e", "\x00"} & set(told)

    def test_a_notebook_records_what_its_kernel_holds(self, panel, tmp_path):
        found = notebook(code("panel", *outputs_of(panel)))
        (one,) = saved(export_notebook(found, tmp_path / "nb.html").read_text("utf-8"))
        assert list(recording_of(one["state"])["at"]) == [key(panel)]

    def test_a_notebook_without_its_kernel_has_none_even_where_somebody_put_one(self, panel, tmp_path, monkeypatch):
        monkeypatch.setattr(views_module, "held", {})
        found = notebook(code("panel", *outputs_of(panel)), views=[panel])
        (model,) = found.metadata["widgets"][views_module.STATE]["state"].values()
        model["state"]["_recorded"] = "x"
        (one,) = saved(export_notebook(found, tmp_path / "nb.html").read_text("utf-8"))
        assert "_recorded" not in one["state"]
        assert one["state"]["status"]["state"] == "done"

    def test_panels_beside_each_other(self, panel, lab, tmp_path):
        other = SteeringPanel(lab, PROMPT, st.set(9, 2), max_new_tokens=2)
        views = saved(row(panel, other).to_html(tmp_path / "row.html").read_text("utf-8"))
        assert all("_recorded" in view["state"] for view in views)

    def test_a_notebook_can_be_written_without(self, panel, lab, tmp_path):
        asked = len(lab.asked)
        found = notebook(code("panel", *outputs_of(panel)))
        (one,) = saved(export_notebook(found, tmp_path / "nb.html", recorded=False).read_text("utf-8"))
        assert "_recorded" not in one["state"]
        assert len(lab.asked) == asked
        assert views_module.recording.get() is True
