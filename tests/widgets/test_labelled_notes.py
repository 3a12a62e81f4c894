"""Notes on what is chosen in the token view, the ranking and the panel, as they stand."""

from __future__ import annotations

import pytest

from saewidgets import Lab, steering
from saewidgets.widgets import FeatureRanking, SteeringPanel, TokenActivations
from tests.widgets.test_labelled import HOSTILE, KINDS, PROMPT, beside_a_notebook, make, top  # noqa: F401 - fixtures


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def view(kind, lab, top):  # noqa: F811
    return make(kind, lab, top)


class TestOfTheChosenFeature:
    def test_line_by_line_at_once_and_taken_back(self, lab, top, view):  # noqa: F811
        assert view._notes == []
        lab.annotate(top, note="fires on cats\nand on dogs")
        assert view._notes == [f"sae/{top}: fires on cats\nand on dogs"]
        lab.annotations.undo()
        assert view._notes == []

    def test_that_was_there_before(self, lab, top, kind):  # noqa: F811
        lab.annotate(top, note="cats")
        assert make(kind, lab, top)._notes == [f"sae/{top}: cats"]

    def test_of_no_other_feature(self, lab, top, view):  # noqa: F811
        lab.annotate((top + 1) % lab.saes["sae"].d_sae, note="of another")
        assert view._notes == []

    def test_a_label_alone_is_no_note(self, lab, top, view):  # noqa: F811
        lab.annotate(top, label="cats")
        assert view._notes == []

    def test_from_another_lab_on_the_same_folder(self, lab, top, view, bridge, make_tensors):  # noqa: F811
        other = Lab(bridge)
        other.add_sae(make_tensors(), name="renamed", hook="blocks.1.hook_resid_post")
        other.annotate(f"renamed/{top}", note="from there")
        assert view._notes == [f"sae/{top}: from there"]

    @pytest.mark.parametrize("note", HOSTILE)
    def test_nothing_in_it_turns_or_breaks_the_line(self, lab, top, view, note):  # noqa: F811
        lab.annotate(top, note=note)
        (shown,) = view._notes
        assert not {"\u202e", "\x00", "\x07"} & set(shown)
        assert shown.startswith(f"sae/{top}: ")

    def test_a_long_one_is_cut(self, lab, top, view):  # noqa: F811
        lab.annotate(top, note="x" * 5000)
        assert len(view._notes[0]) < 400


class TestTokens:
    def test_follow_the_choice(self, lab, top):  # noqa: F811
        view = make(TokenActivations, lab, top)
        other = next(row.feature for row in view.result.top(5) if row.feature != top)
        lab.annotate(other, note="of the other")
        assert view._notes == []
        view.features = [top, other]
        assert view._notes == [f"sae/{other}: of the other"]
        view.feature = ""
        assert view._notes == []

    def test_of_the_tokens_of_this_prompt(self, lab, top):  # noqa: F811
        view = make(TokenActivations, lab, top)
        lab.annotate(None, "subject", "an animal", prompt=PROMPT, position=2)
        lab.annotate(None, note="elsewhere", prompt="another prompt", position=2)
        assert view._notes[0] == "Notes on tokens:"
        assert view._notes[1].startswith("2 ")
        assert view._notes[1].endswith("subject: an animal")
        assert len(view._notes) == 2
        view.prompt = "another prompt"
        view._wait()
        assert view._notes[1].endswith("elsewhere")
        view.prompt = f"{PROMPT} on"
        view._wait()
        assert view._notes == []


class TestRanking:
    def test_of_the_ranking_itself(self, lab, top):  # noqa: F811
        view = make(FeatureRanking, lab, top)
        lab.annotate(view.result, note="a first try\nof two")
        lab.annotate(top, note="cats")
        assert view._notes == [f"sae/{top}: cats", "a first try\nof two"]
        view.feature = ""
        assert view._notes == ["a first try\nof two"]


class TestPanel:
    def test_of_each_edit_once(self, lab, top):  # noqa: F811
        other = (top + 1) % lab.saes["sae"].d_sae
        lab.annotate(other, note="of the other")
        lab.annotate(top, note="cats")
        view = make(SteeringPanel, lab, top)
        view.edits = [steering.set(top, 1), steering.add(other, 1), steering.scale(top, 2)]
        assert view._notes == [f"sae/{top}: cats", f"sae/{other}: of the other"]
        view.edits = []
        assert view._notes == []
