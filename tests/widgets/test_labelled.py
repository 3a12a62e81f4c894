"""Labels in the token view, the ranking and the panel: at once, in place, and with notes in their twins."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import weakref
from typing import Any

import pytest

from saewidgets import Lab, steering
from saewidgets.annotations import AnnotationStore
from saewidgets.widgets import Explorer, FeatureDashboard, FeatureRanking, SteeringPanel, TokenActivations
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.worker import worker_of
from tests.widgets.messages import tell

PROMPT = "the cat sat"
HOSTILE = [
    "<script>alert(1)</script>",
    "\u202eevil",
    "a\x00b\x07",
    "</textarea><img src=x onerror=alert(1)>",
    "שלום 👩‍👩‍👧",
]
KINDS = [TokenActivations, FeatureRanking, SteeringPanel]


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")


@pytest.fixture
def top(lab) -> int:
    """The feature that fires most strongly."""
    return lab.activations(PROMPT).top(1)[0].feature


def make(kind, lab, feature, **more) -> Any:
    if kind is SteeringPanel:
        view = SteeringPanel(lab, PROMPT, steering.set(feature, 1), max_new_tokens=1, neutral_texts=[PROMPT], **more)
    else:
        view = kind(lab, PROMPT, feature=feature, **more)
    view._wait()
    assert view.error == ""
    return view


def header(view):
    """The text that is packed in front of the numbers."""
    size = int.from_bytes(view._data[8:12], "little")
    return json.loads(view._data[16 : 16 + size])


def shown(view, feature, sae="sae"):
    """The label that the browser has for a feature; None where it knows of none."""
    if isinstance(view, SteeringPanel):
        return next(edit["label"] for edit in view._edits if edit["name"] == f"{sae}/{feature}")
    name = f"{sae}/{feature}"
    packed = header(view)["labels"]
    return view._labels.get(name, packed.get(name if isinstance(view, FeatureRanking) else str(feature)))


def count_forwards(lab, monkeypatch):
    """Forward passes of the model from now on."""
    passes = []
    model = next(iter(lab.models.values()))
    inner = getattr(model, "model", model)
    monkeypatch.setattr(type(inner), "forward", _counted(type(inner).forward, passes))
    return passes


def _counted(forward, passes):
    def counted(self, *args, **kwargs):
        passes.append(self)
        return forward(self, *args, **kwargs)

    return counted


@pytest.mark.parametrize("kind", KINDS)
class TestAtOnce:
    def test_a_change_appears_without_a_forward_pass_or_new_numbers(self, lab, top, kind, monkeypatch):
        lab.annotate(top, label="before")
        view = make(kind, lab, top)
        passes, numbers = count_forwards(lab, monkeypatch), getattr(view, "_data", None)
        assert shown(view, top) == "before"
        lab.annotate(top, label="after")
        assert shown(view, top) == "after"
        lab.annotations.undo()
        assert shown(view, top) == "before"
        lab.annotate(top, label="")
        assert not shown(view, top)
        assert (passes, getattr(view, "_data", None)) == ([], numbers)

    def test_of_another_lab_on_the_same_folder(self, lab, top, kind, bridge, make_tensors):
        view = make(kind, lab, top)
        other = Lab(bridge)
        other.add_sae(make_tensors(), name="renamed", hook="blocks.1.hook_resid_post")
        other.annotate(f"renamed/{top}", label="from there")
        assert shown(view, top) == "from there"

    def test_of_another_view(self, lab, top, kind):
        views = [make(each, lab, top) for each in KINDS]
        editing = next(view for view in views if isinstance(view, kind))
        assert tell(editing, op="annotate", feature=f"sae/{top}", label=" London ")["error"] == ""
        assert [shown(view, top) for view in views] == ["London"] * 3
        assert lab.label(top) == "London"

    def test_of_an_import(self, lab, top, kind, tmp_path):
        view = make(kind, lab, top)
        path = tmp_path / "labels.csv"
        path.write_text(f"kind,feature,label\nfeature,{top},imported\n")
        lab.import_annotations(path)
        assert shown(view, top) == "imported"

    def test_of_another_process(self, lab, top, kind):
        view = make(kind, lab, top)
        target = lab.target(top)
        code = (
            "import json, sys\nfrom saewidgets.annotations import AnnotationStore, Target\n"
            "AnnotationStore(sys.argv[1], 'bob').annotate(Target.from_json(json.loads(sys.argv[2])), 'from afar')"
        )
        folder = str(lab.annotations.folder)
        subprocess.run([sys.executable, "-c", code, folder, json.dumps(target.to_json())], check=True)
        lab.annotations.poll()
        assert shown(view, top) == "from afar"

    def test_a_view_that_opens_looks_at_the_folder(self, lab, top, kind):
        view = make(kind, lab, top)
        lab.annotations.refresh_every = None
        AnnotationStore(lab.annotations.folder, "bob").annotate(lab.target(top), "bob's")
        assert not shown(view, top)
        tell(view, op="hello")
        assert shown(view, top) == "bob's"

    def test_of_another_folder(self, lab, top, kind, tmp_path):
        lab.annotate(top, label="here", note="a note of here")
        view, closed = make(kind, lab, top), make(kind, lab, top)
        closed.close()
        former, lab.annotations = lab.annotations, tmp_path / "other"
        assert not shown(view, top)
        assert view._notes == []
        lab.annotate(top, label="there")
        assert shown(view, top) == "there"
        former.annotate(lab.target(top), label="not heard")
        assert shown(view, top) == "there"
        lab.annotations = former
        assert shown(view, top) == "not heard"
        assert shown(closed, top) == "here"
        view.close()
        assert (len(former._observers), len(lab._moved)) == (0, 0)

    def test_a_closed_view_hears_nothing_and_nobody_looks_any_more(self, lab, top, kind):
        views = [make(kind, lab, top) for _ in range(2)]
        views[0].close()
        thread = lab.annotations._poll.thread
        assert (len(lab.annotations._observers), thread.is_alive()) == (1, True)
        views[1].close()
        thread.join(30)
        assert (len(lab.annotations._observers), thread.is_alive()) == (0, False)


@pytest.mark.parametrize("kind", KINDS)
class TestInPlace:
    @pytest.mark.parametrize("label", HOSTILE)
    def test_hostile_labels_are_kept_and_shown_as_text(self, lab, top, kind, label):
        view = make(kind, lab, top)
        assert tell(view, op="annotate", feature=f"sae/{top}", label=label)["error"] == ""
        assert lab.annotation(top).label == label
        assert shown(view, top) == lab.label(top)
        assert "\u202e" not in shown(view, top)
        assert "\n" not in shown(view, top)
        page = view.static_html()
        assert "<script" not in page
        assert "<img" not in page
        assert lab.label(top) in view.static_text()

    @pytest.mark.parametrize(
        "said",
        [{"label": "x" * 10_000_000}, {"label": "a\nb"}, {"label": 5}, {"label": None}, {}, {"label": "\ud800"},
         {"label": "x", "feature": "nope/1"}, {"label": "x", "feature": "sae/999999"}, {"label": "x", "feature": None},
         {"label": "x", "feature": ["sae/1"]}, {"label": "x", "feature": {}}],
    )  # fmt: skip
    def test_what_cannot_be_kept_changes_nothing(self, lab, top, kind, said):
        lab.annotate(top, label="kept")
        view = make(kind, lab, top)
        answer = tell(view, op="annotate", **{"feature": f"sae/{top}", **said})
        assert answer["error"]
        assert len(answer["error"]) < 1000
        assert shown(view, top) == "kept"
        assert len(lab.annotations) == 1

    def test_what_the_disk_refuses_is_told_and_shown(self, lab, top, kind):
        view = make(kind, lab, top)
        lab.annotations.folder.write_text("in the way")
        assert "not saved" in tell(view, op="annotate", feature=f"sae/{top}", label="kept in memory")["error"]
        assert shown(view, top) == "kept in memory"


class TestTokens:
    def test_only_what_differs_is_sent(self, lab, top):
        view = make(TokenActivations, lab, top)
        other = next(row.feature for row in view.result.top(5) if row.feature != top)
        assert view._labels == {}
        lab.annotate(other, label="other")
        assert view._labels == {f"sae/{other}": "other"}
        silent = next(f for f in range(lab.saes["sae"].d_sae) if not (view.result.indices == f).any())
        lab.annotate(silent, label="silent")
        assert view._labels == {f"sae/{other}": "other"}
        view.prompt = f"{PROMPT} on"
        view._wait()
        assert header(view)["labels"] == {str(other): "other"}
        assert view._labels == {}
        lab.annotate(other, label="")
        assert view._labels == {f"sae/{other}": ""}

    def test_a_chosen_feature_has_its_label_although_it_does_not_fire(self, lab, top):
        view = make(TokenActivations, lab, top)
        silent = next(f for f in range(lab.saes["sae"].d_sae) if not (view.result.indices == f).any())
        lab.annotate(silent, label="silent")
        view.features = [top, silent]
        assert view._labels == {f"sae/{silent}": "silent"}
        lab.annotate(silent, label="still silent")
        assert view._labels == {f"sae/{silent}": "still silent"}
        view.features = [top]
        assert view._labels == {}

    def test_a_label_that_changes_while_a_prompt_runs_is_not_lost(self, lab, top, monkeypatch):
        view = make(TokenActivations, lab, top)
        put = TokenActivations._put

        def late(self, data, labels, pictured):
            lab.annotate(top, label="meanwhile")
            put(self, data, labels, pictured)

        monkeypatch.setattr(TokenActivations, "_put", late)
        view.prompt = f"{PROMPT} on"
        view._wait()
        assert shown(view, top) == "meanwhile"

    def test_notes_of_tokens_are_in_the_twin_of_their_prompt(self, lab, top):
        lab.annotate(None, "subject", "an <b>animal</b>", prompt=PROMPT, position=2)
        view = make(TokenActivations, lab, top)
        assert "2 " in view.static_text().split("Notes on tokens:\n")[1]
        assert view.static_text().endswith("subject: an <b>animal</b>")
        page = view.static_html()
        assert page.count("subject: an &lt;b&gt;animal&lt;/b&gt;") == 2
        assert "subject: an" in page.split('title="')[1].split('"')[0]
        view.prompt = "another prompt"
        view._wait()
        assert "subject" not in view.static_html()


class TestRanking:
    def test_a_followed_feature_has_its_label_although_it_does_not_fire(self, lab, top):
        view = make(FeatureRanking, lab, top)
        silent = next(f for f in range(lab.saes["sae"].d_sae) if f not in view.result.features)
        lab.annotate(silent, label="silent")
        assert view._labels == {}
        view.feature = silent
        assert view._labels == {f"sae/{silent}": "silent"}

    def test_the_note_of_the_ranking_itself(self, lab, top):
        view = make(FeatureRanking, lab, top)
        lab.annotate(view.result, note="a first try")
        assert "a first try" in view.static_html()
        assert "a first try" in view.static_text()

    def test_a_ranking_that_fails_leaves_the_former_with_its_labels(self, lab, top):
        lab.annotate(top, label="one")
        view = make(FeatureRanking, lab, top)
        view.target = "no such token at all"
        view._wait()
        assert view.error
        lab.annotate(top, label="two")
        assert shown(view, top) == "two"


@pytest.mark.parametrize("kind", KINDS)
class TestTwins:
    def test_label_and_note_of_what_is_on_the_screen(self, lab, top, kind):
        lab.annotate(top, "Lon<don", "names & places\nof <i>one</i> city")
        view = make(kind, lab, top)
        page, text = view.static_html(), view.static_text()
        assert "Lon&lt;don" in page
        assert "names &amp; places" in page
        assert "&lt;i&gt;one&lt;/i&gt; city" in page
        assert "Lon<don" in text
        assert "names & places / of <i>one</i> city" in text

    def test_a_long_note_is_cut(self, lab, top, kind):
        lab.annotate(top, "n" * 1000, "m" * 100_000)
        view = make(kind, lab, top)
        for told in (view.static_html(), view.static_text()):
            assert f"{'m' * 299}…" in told
            assert "m" * 300 not in told
            assert f"{'n' * 59}…" in told
            assert "n" * 60 not in told

    def test_nothing_said_is_nothing_more(self, lab, top, kind):
        view = make(kind, lab, top)
        before = view.static_html(), view.static_text()
        lab.annotate(top, "gone")
        assert (view.static_html(), view.static_text()) != before
        lab.annotations.undo()
        assert (view.static_html(), view.static_text()) == before


class TestPresets:
    def test_they_are_listed_saved_and_loaded(self, lab, top):
        panel = make(SteeringPanel, lab, top)
        assert panel._presets == []
        lab.save_preset("calm", [steering.ablate(top)])
        assert panel._presets == ["calm"]
        assert tell(panel, op="preset_save", name=" loud ", note="for a talk")["error"] == ""
        assert panel._presets == ["calm", "loud"]
        kept = [(edit.operation, str(edit.target), edit.value) for edit in lab.preset("loud")]
        assert kept == [("set", f"sae/{top}", 1)]
        assert lab.annotation(None, preset="loud").note == "for a talk"
        assert tell(panel, op="preset_load", name="calm")["error"] == ""
        assert [edit.operation for edit in panel.edits] == ["ablate"]
        lab.annotations.undo()
        assert panel._presets == ["calm"]

    def test_of_another_folder(self, lab, top, tmp_path):
        panel = make(SteeringPanel, lab, top)
        lab.annotations = tmp_path / "other"
        lab.save_preset("calm", [steering.ablate(top)])
        assert panel._presets == ["calm"]
        lab.annotations = tmp_path / "third"
        assert panel._presets == []

    def test_those_that_were_there_are_listed_from_the_start(self, lab, top):
        lab.save_preset("calm", [steering.ablate(top)])
        assert make(SteeringPanel, lab, top)._presets == ["calm"]

    def test_of_another_process(self, lab, top):
        panel = make(SteeringPanel, lab, top)
        target = lab.target(preset="calm")
        AnnotationStore(lab.annotations.folder, "bob").annotate(target, edits='{"version": 1, "edits": []}')
        lab.annotations.poll()
        assert panel._presets == ["calm"]
        assert tell(panel, op="preset_load", name="calm")["error"] == ""
        assert panel.edits == ()

    @pytest.mark.parametrize("name", [None, 5, "", "  ", "n" * 1001, "\ud800"])
    def test_no_name(self, lab, top, name):
        panel = make(SteeringPanel, lab, top)
        for op in ("preset_save", "preset_load"):
            assert tell(panel, op=op, name=name)["error"]
        assert (panel._presets, len(lab.annotations)) == ([], 0)

    def test_one_that_is_not_there_or_is_no_list_of_edits_changes_nothing(self, lab, top):
        panel = make(SteeringPanel, lab, top)
        edits = panel.edits
        lab.annotations.annotate(lab.target(preset="broken"), edits="{")
        lab.save_preset("elsewhere", [steering.ablate("gone/1")])
        for name in ("nowhere", "broken", "elsewhere"):
            assert tell(panel, op="preset_load", name=name)["error"]
            assert panel.edits == edits

    def test_hostile_names_are_text(self, lab, top):
        panel = make(SteeringPanel, lab, top)
        for name in HOSTILE:
            assert tell(panel, op="preset_save", name=name)["error"] == ""
        assert sorted(panel._presets) == sorted(map(clean, HOSTILE))


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_view_is_not_held_by_what_it_heard_of(lab, top, kind):
    view = make(kind, lab, top)
    gone = weakref.ref(view)
    lab.annotate(top, label="heard")
    view.close()
    del view
    worker_of(lab.anchor_of("sae")).call(lambda job: None)
    gc.collect()
    assert gone() is None
    lab.annotate(top, label="nobody hears")


def test_a_dashboard_and_an_explorer_hear_of_another_folder(lab, top, tmp_path):
    lab.build_index([PROMPT] * 4, path=tmp_path / "index")
    lab.annotate(top, label="here")
    view, explorer = FeatureDashboard(lab, top), Explorer(lab, PROMPT, feature=top, views=("tokens", "steering"))
    view._wait()
    explorer.tokens._wait()
    assert (view.result.label, explorer.bar._offer["label"]) == ("here", "here")
    lab.annotations = tmp_path / "other"
    assert (view.result.label, explorer.bar._offer["label"]) == ("", "")
    assert lab.feature(top).label == ""
    lab.annotate(top, label="there")
    assert (view.result.label, explorer.bar._offer["label"]) == ("there", "there")
    assert lab.feature(top).label == "there"
    view.close()
    explorer.close()
    assert (len(lab.annotations._observers), len(lab._moved)) == (0, 0)
