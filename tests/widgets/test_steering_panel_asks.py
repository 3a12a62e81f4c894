"""What the browser may ask, presets, and what is refused."""

import json
import traceback

import ipywidgets
import pytest

from saewidgets import steering as st
from saewidgets.errors import EditError, FeatureIndexError, UnknownNameError
from saewidgets.steering import edits_from_json, edits_to_json
from saewidgets.widgets import FeatureRanking, SteeringPanel
from tests.widgets.fake_ranking_lab import FakeRankingLab
from tests.widgets.messages import tell
from tests.widgets.steering_panels import PROMPT, answered, key, steering_lab, steering_panel, vector_of  # noqa: F401 - fixtures


@pytest.fixture
def at_once(monkeypatch):
    """Partial texts are sent however fast they come."""
    monkeypatch.setattr("saewidgets.widgets.steering_work.PAUSE", 0.0)


class TestBrowser:
    def test_an_edit_changes_in_place(self, panel):
        panel.edits = [st.set(7, 4, where=(1, 2)), st.ablate(3)]
        first = key(panel)
        tell(panel, op="edit", key=first, operation="set_if_active", keep_norm=True, value=2)
        edit = panel.edits[0]
        assert (edit.operation, edit.value, edit.keep_norm, edit.where) == ("set_if_active", 2, True, (1, 2))
        tell(panel, op="edit", key=first, where="positions 1, 2")
        assert panel.edits[0].where == (1, 2)
        tell(panel, op="edit", key=first, where="prompt", operation="ablate")
        tell(panel, op="edit", key=first, operation="set")
        assert (panel.edits[0].where, panel.edits[0].value) == ("prompt", 2)
        assert key(panel) == first

    def test_add_remove_and_move(self, lab):
        panel = SteeringPanel(lab, PROMPT, max_new_tokens=1, vectors={"joy / sorrow": vector_of()})
        for name in ("7", " wide/8 ", "joy / sorrow"):
            assert tell(panel, op="add", name=name)["error"] == ""
        assert [edit.name for edit in panel.edits] == ["mid/7", "wide/8", "joy / sorrow"]
        assert panel.result is not None  # the worker is done with the cards
        keys = [key(panel, n) for n in range(3)]
        tell(panel, op="move", key=keys[2], to=0)
        assert [key(panel, n) for n in range(3)] == [keys[2], keys[0], keys[1]]
        tell(panel, op="remove", key=keys[0])
        assert [edit.name for edit in panel.edits] == ["joy / sorrow", "wide/8"]
        assert panel.result.edits[0].startswith("joy / sorrow")

    def test_find(self, lab, panel):
        label = next(iter(lab.saes["mid"].labels.items()))
        density = float(lab.saes["mid"].density[label[0]])
        expected = [f"mid/{label[0]}", label[1], pytest.approx(density)]
        assert answered(panel, op="find", text="golden gate")["items"] == [expected]
        for text in ("7", "mid/7"):
            answer = answered(panel, op="find", text=text)
            assert (answer["text"], [item[0] for item in answer["items"]]) == (text, ["mid/7"])
        assert answered(panel, op="find", text="wide/512")["items"][0][0] == "wide/512"
        assert answered(panel, op="find", text="mid/512")["items"] == []

    def test_find_gives_at_most_thirty(self, lab, panel):
        lab.saes["mid"].labels = [f"label {n}" for n in range(512)]
        items = answered(panel, op="find", text="LABEL")["items"]
        assert [item[0] for item in items] == [f"mid/{n}" for n in range(30)]

    def test_without_labels_numbers_only(self, lab, panel):
        lab.saes["mid"].labels = lab.saes["mid"].density = None
        assert answered(panel, op="find", text="bridge")["items"] == []
        assert answered(panel, op="find", text="5")["items"] == [["mid/5", "", None]]

    def test_a_feature_links_with_another_view(self, panel):
        ranking = FeatureRanking(FakeRankingLab(), PROMPT, 0)
        link = ipywidgets.link((ranking, "feature"), (panel, "feature"))
        ranking.feature = "mid/9"
        assert panel.feature == "mid/9"
        link.unlink()


class TestPreset:
    def test_there_and_back(self, lab, panel, tmp_path):
        edits = [st.set("wide/7", 2.5, where="prompt"), st.add(vector_of(), -1, keep_norm=True)]
        panel._assign({"prompt": "Mary", "temperature": 0.5, "samples": 2, "edits": edits})
        path = panel.save(tmp_path / "preset.json")
        other = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=6)
        other.load(path)
        assert edits_to_json(other.edits) == edits_to_json(panel.edits)
        assert (other.prompt, other.temperature, other.samples) == ("Mary", 0.5, 2)
        assert other.result.steered[0].text == panel.result.steered[0].text

    def test_of_the_browser(self, panel):
        text = answered(panel, op="preset")["text"]
        assert edits_from_json(text)[0].formula == "x + (4 m - f) d"
        panel.edits = []
        assert tell(panel, op="load", text=text)["error"] == ""
        assert panel.edits[0].name == "mid/7"

    def test_a_list_of_edits_is_one_too(self, panel):
        tell(panel, op="load", text=edits_to_json([st.ablate("wide/3")]))
        assert (panel.edits[0].name, panel.prompt) == ("wide/3", PROMPT)

    @pytest.mark.parametrize(
        "change",
        [
            {"version": 2},
            {"edits": 5},
            {"edits": [{"operation": "exec", "target": "mid/7", "value": 1}]},
            {"edits": [{"operation": "set", "target": "nope/7", "value": 1}]},
            {"edits": [{"operation": "set", "target": "mid/512", "value": 1}]},
            {"edits": [{"operation": "set", "target": "mid/7", "value": float("nan")}]},
            {"edits": [{"operation": "set", "target": "mid/7", "value": 10**400}]},
            {
                "edits": [
                    {
                        "operation": "set",
                        "target": "mid/7",
                        "value": 1,
                        "where": {"while_active": 1, "threshold": 10**400},
                    }
                ]
            },
            {"edits": [{"operation": "add", "target": {"direction": [[1]], "hook": "h", "method": "m"}, "value": 1}]},
            {"edits": [{"operation": "ablate", "target": "mid/7", "value": 0}] * 65},
            {"prompt": ["x"]},
            {"prompt": None},
            {"sampling": {"seed": -1}},
            {"sampling": {"temperature": float("inf")}},
            {"sampling": {"samples": "8"}},
            {"sampling": [1]},
            {"sampling": {"max_new_tokens": None}},
        ],
    )
    def test_a_hostile_file_is_refused_and_changes_nothing(self, lab, panel, tmp_path, change):
        data = json.loads(answered(panel, op="preset")["text"])
        data |= {"prompt": "other", "sampling": {"seed": 3, **(data["sampling"])}}
        asked = len(lab.asked)
        state = {name: getattr(panel, name) for name in ("edits", "prompt", "seed", "temperature", "samples")}
        path = tmp_path / "preset.json"
        path.write_text(json.dumps(data | change), encoding="utf-8")
        with pytest.raises((EditError, FeatureIndexError, UnknownNameError)):
            panel.load(path)
        assert {name: getattr(panel, name) for name in state} == state
        assert len(lab.asked) == asked

    @pytest.mark.parametrize(
        "data", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b"{" + b" " * 10_000_000 + b"}"]
    )
    def test_what_is_no_json_object_is_refused(self, panel, tmp_path, data):
        (tmp_path / "preset.json").write_bytes(data)
        with pytest.raises(EditError):
            panel.load(tmp_path / "preset.json")
        assert panel.edits[0].name == "mid/7"

    def test_code_makes_the_same_edits(self, lab, panel):
        vector = vector_of()
        panel._assign({"prompt": "it's \u202e\n", "edits": [st.set(7, 2.5, where=[1, 3]), st.add(vector, -1)]})
        asked = {}
        fake = type("Lab", (), {"compare_steering": lambda self, *given, **more: asked.update(given=given, more=more)})
        exec(panel.code, {"lab": fake(), "vectors": panel.vectors})
        assert panel._code == panel.code
        assert asked["given"][0] == "it's \u202e\n"
        assert edits_to_json(asked["given"][1]) == edits_to_json(panel.edits)
        assert asked["more"] == {**panel._sampling()._asdict(), "k": 10}
        assert panel._vectors == ["joy"]


class TestFaults:
    @pytest.mark.parametrize(
        "bad", [st.add(vector_of(width=5), 1), st.set(3, 4, maximum=None)], ids=["wrong width", "unknown maximum"]
    )
    def test_a_bad_edit_is_shown_the_former_pictures_stay_and_the_panel_goes_on(self, lab, panel, bad):
        lab.saes["mid"].reference_max[3] = 0
        before, bars, texts, side = panel.result, panel._bars, panel._texts, panel._side
        panel.edits = [bad]
        assert panel.result is before
        assert (panel._bars, panel._texts, panel._side) == (bars, texts, side)
        assert panel.status["state"] == "failed"
        assert panel.error in {panel.static_text().split("\nWhat follows")[0], panel.error}
        for twin in (panel.static_html(), panel.static_text()):
            assert "What follows is the last result that went well" in twin
        panel.edits = [st.set(7, 5)]
        assert panel.result.edits == ("mid/7: x + (5 m - f) d",)
        assert (panel.error, panel.status["state"]) == ("", "done")

    def test_a_fault_in_the_middle_of_a_text(self, lab, panel, at_once):
        before, texts = panel.result, panel._texts
        steps = []

        def fail(writing) -> None:
            steps.append(writing)
            if len(steps) == 4:
                raise RuntimeError("out of memory")

        lab.between = fail
        panel.edits = [st.set(7, 5)]
        after = panel.result
        assert panel.error == "RuntimeError: out of memory"
        assert panel._texts == texts
        assert after.steered is before.steered
        lab.between = None
        panel.edits = [st.set(7, 6)]
        assert panel.result.steered[0].edits == ("mid/7: x + (6 m - f) d",)
        assert panel.error == ""

    def test_a_fault_is_forgotten_once_other_work_has_gone_well(self, lab, panel):
        def fail(writing) -> None:
            raise RuntimeError("no")

        lab.between = fail
        panel.sweep()
        assert panel.result is not None
        assert (panel.status["state"], panel.error) == ("failed", "RuntimeError: no")
        panel.k = 3
        assert panel.result is not None
        assert (panel.status["state"], panel.error) == ("done", "")

    def test_bad_neutral_texts_keep_the_texts(self, lab):
        panel = SteeringPanel(lab, PROMPT, max_new_tokens=2, neutral_texts="one text")
        assert len(panel.result.steered[0]) == 2
        assert panel.result.side_effect is None
        assert "no neutral texts" in panel.error

    def test_a_bad_prompt_is_shown_not_raised(self, lab, panel):
        before = panel.result
        panel.prompt = ""
        assert panel.result is before
        assert "The prompt has no tokens." in panel.error
        panel.prompt = PROMPT
        assert panel.result is not None
        assert panel.error == ""

    def test_an_sae_that_has_left_the_lab(self, lab, panel):
        del lab.saes["mid"]
        panel.prompt = "Mary"
        assert panel.result is not None
        assert panel.status["state"] == "failed"

    def test_nothing_is_printed(self, lab, panel, capfd):
        def fail(writing) -> None:
            raise RuntimeError("no")

        lab.between = fail
        panel.edits = [st.set(7, 9)]
        assert panel.result is not None
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "content",
        [
            {"op": "set", "prompt": 5},
            {"op": "set", "sae": "nope"},
            {"op": "set", "feature": "mid/512"},
            {"op": "set", "temperature": "hot"},
            {"op": "set", "temperature": float("nan")},
            {"op": "set", "max_new_tokens": 10**30},
            {"op": "set", "samples": 0},
            {"op": "set", "live": "yes"},
            {"op": "set", "k": 51},
            {"op": "edit"},
            {"op": "edit", "key": "e999", "value": 1},
            {"op": "edit", "key": "e1", "value": "much"},
            {"op": "edit", "key": "e1", "value": float("inf")},
            {"op": "edit", "key": "e1", "value": True},
            {"op": "edit", "key": "e1", "operation": "clamp"},
            {"op": "edit", "key": "e1", "operation": ["set"]},
            {"op": "edit", "key": "e1", "where": "nowhere"},
            {"op": "edit", "key": "e1", "where": {"a": 1}},
            {"op": "edit", "key": "e1", "keep_norm": 1},
            {"op": "add"},
            {"op": "add", "name": "mid/512"},
            {"op": "add", "name": "nope"},
            {"op": "add", "name": ["mid/1"]},
            {"op": "remove", "key": []},
            {"op": "move", "key": "e1", "to": 1},
            {"op": "move", "key": "e1", "to": True},
            {"op": "sweep", "key": None},
            {"op": "find", "text": 5},
            {"op": "load", "text": None},
            {"op": "unknown"},
        ],
    )
    def test_garbage_of_the_browser_is_answered_with_an_error(self, lab, panel, content):
        asked, before = len(lab.asked), panel.edits
        answer = tell(panel, **content)
        assert (answer["op"], answer["view"], answer["seq"]) == ("ack", "v", 1)
        assert answer["error"]
        assert (len(lab.asked), panel.edits) == (asked, before)
        assert tell(panel, op="edit", key="e1", value=3)["error"] == ""
        assert panel.result.edits == ("mid/7: x + (3 m - f) d",)

    def test_one_bad_setting_refuses_them_all(self, lab, panel):
        asked = len(lab.asked)
        assert tell(panel, op="set", seed=3, prompt="Mary", samples=99)["error"]
        assert (panel.seed, panel.prompt, panel.samples) == (0, PROMPT, 1)
        assert len(lab.asked) == asked


def test_no_frame_of_a_fault_is_kept(lab, panel):
    """A kept traceback would hold the model's tensors."""

    def fail(writing) -> None:
        raise RuntimeError("no")

    lab.between = fail
    panel.edits = [st.set(7, 9)]
    assert panel.result is not None
    assert traceback.format_tb(panel._jobs["texts"].error.__traceback__) == []
