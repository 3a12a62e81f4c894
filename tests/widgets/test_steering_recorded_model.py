"""The recording of a panel with a tiny model: what stands in it is what the lab says at that strength."""

import json

import numpy as np
import pytest

from saewidgets import steering as st
from saewidgets.widgets import SteeringPanel
from tests.export.pages import saved

PROMPT = "the cat sat on the mat"


@pytest.fixture
def tiny(lab):
    lab.neutral_texts = ("the dog ran to the park", "hello world")
    lab.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    return lab


def test_bars_and_texts_are_those_of_the_lab_at_each_strength(tiny, tmp_path):
    edits = [st.set("sae/3", 2), st.add("sae/5", 1, where="prompt")]
    panel = SteeringPanel(tiny, PROMPT, edits, max_new_tokens=5, k=7)
    former = panel.result
    (one,) = saved(panel.to_html(tmp_path / "panel.html", recorded=[-4, 0, 3]).read_text("utf-8"))
    recording = json.loads(one["state"]["_recorded"])
    for n, values in enumerate(recording["at"].values()):
        now = edits[n].value
        assert values["now"] == now
        patches = dict(values["values"])
        assert patches.pop(now) == {}
        assert list(patches) == [-4, 0, 3]
        for value, patch in patches.items():
            changed = (
                [st.set("sae/3", value), edits[1]] if n == 0 else [edits[0], st.add("sae/5", value, where="prompt")]
            )
            expected = tiny.next_token(PROMPT, changed, 7)
            rows = {**one["state"]["_bars"], **patch["_bars"]}["rows"]
            assert [row[0] for row in rows] == list(expected.tokens)
            np.testing.assert_allclose([row[2] for row in rows], expected.edited, rtol=2e-4)
            np.testing.assert_allclose(patch["_bars"]["kl"], max(expected.kl, 0), rtol=1e-3, atol=1e-6)
            text = tiny.generate(PROMPT, changed, max_new_tokens=5)
            (steered,) = {**one["state"]["_texts"], **patch["_texts"]}["steered"]
            assert steered["ids"] == text.new_tokens.ids.tolist()
            card = patch["_edits"][one["state"]["_edits"][n]["key"]]
            assert card["value"] == value
            assert card["absolute"] == pytest.approx(3 * value) if value else card["absolute"] == 0
    assert panel.result is former


def test_the_model_and_the_sae_are_left_as_they_were(tiny, tmp_path):
    panel = SteeringPanel(tiny, PROMPT, st.set("sae/3", 2), max_new_tokens=3)
    assert panel.result is not None
    before = tiny.next_token(PROMPT, k=5).base
    panel.to_html(tmp_path / "panel.html")
    np.testing.assert_array_equal(tiny.next_token(PROMPT, k=5).base, before)
