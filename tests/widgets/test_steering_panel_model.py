"""The panel with a tiny model, through its worker."""

import threading

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets import steering as st
from saewidgets.widgets import SteeringPanel
from saewidgets.widgets.worker import Job, worker_of

PROMPT = "the cat sat on the mat"
TEXTS = ("the dog ran to the park", "hello world")


@pytest.fixture
def tiny(lab):
    lab.neutral_texts = TEXTS
    return lab


def test_the_result_is_what_compare_steering_gives(tiny):
    tiny.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    edits = [st.set("sae/3", 2), st.set_if_active("sae/5", 1, where="prompt")]
    options = {"max_new_tokens": 5, "temperature": 1.2, "seed": 3, "samples": 2, "k": 7}
    panel = SteeringPanel(tiny, PROMPT, edits, **options)
    panel.sweep(0)
    found = panel.result
    expected = tiny.compare_steering(PROMPT, edits, values=found.values, which=0, **options)
    assert panel.error == ""
    np.testing.assert_allclose(found.next_token.edited, expected.next_token.edited, rtol=1e-5)
    for name in ("base", "steered", "sweep"):
        pairs = list(zip(getattr(found, name), getattr(expected, name), strict=True))
        assert pairs
        for one, other in pairs:
            for part in ("text", "seed", "stopped", "edits", "reach"):
                assert getattr(one, part) == getattr(other, part)
            np.testing.assert_allclose(one.kl, other.kl, atol=1e-6)
            np.testing.assert_allclose(one.base_logprobs, other.base_logprobs, atol=1e-5)
            np.testing.assert_array_equal(one.steered, other.steered)
    np.testing.assert_allclose(found.side_effect.kls, expected.side_effect.kls, rtol=1e-5)
    assert found.strengths == expected.strengths


def test_maxima_are_measured_and_their_source_is_shown(tiny):
    panel = SteeringPanel(tiny, PROMPT, st.add("sae/3", 2), max_new_tokens=2)
    panel._wait()
    maxima = tiny.saes["sae"].reference_max
    fires, silent = int(maxima.argmax()), int(maxima.argmin())
    panel.edits = [st.add(fires, 2)]
    strength = panel.result.strengths[0]
    assert (panel._edits[0]["maximum"], panel._edits[0]["source"]) == (strength.maximum, strength.source)
    assert strength.source.endswith("of 2 texts given")
    assert maxima[silent] == 0
    panel.edits = [st.add(silent, 2)]
    assert panel.result.edits == (f"sae/{fires}: x + 2 m d",)
    assert "maximum=..." in panel.error


def test_vectors_alone_steer_the_model_of_the_panels_sae(tiny, bridge):
    vector = tiny.steering_vector(method="sae_feature", feature="sae/3", length=2)
    panel = SteeringPanel(tiny, PROMPT, st.add(vector, 8), max_new_tokens=4)
    assert panel.error == ""
    assert panel.result.steered[0].text == tiny.generate(PROMPT, st.add(vector, 8), 4).text
    bare = SteeringPanel(Lab(bridge, name="bare"), PROMPT, st.add(vector, 8), max_new_tokens=4)
    assert bare.result.steered[0].text == panel.result.steered[0].text
    assert (bare.sae, bare._saes) == ("", [])


def test_two_panels_write_what_each_writes_alone(tiny):
    tiny.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    edits = (st.set("sae/3", 4), st.add("sae/9", -2))
    alone = [tiny.generate(PROMPT, edit, 12).text for edit in edits]
    panels = [SteeringPanel(tiny, PROMPT, edit, max_new_tokens=12) for edit in edits]
    assert [panel.result.steered[0].text for panel in panels] == alone


def test_nothing_steers_the_users_own_pass(tiny, bridge):
    tiny.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    ids = torch.tensor([[0, 5, 9, 40]])
    with torch.no_grad():
        plain = bridge(ids)
        panel = SteeringPanel(tiny, PROMPT, st.set("sae/3", 9), max_new_tokens=200)
        during = [bridge(ids) for _ in range(10)]
        if "bars" in panel._jobs:
            panel._jobs["bars"].wait()
        panel.stop()
        assert panel.result is not None
        assert all(torch.equal(one, plain) for one in [*during, bridge(ids)])


def test_an_interrupted_wait_leaves_the_worker_usable(tiny, monkeypatch):
    def interrupted(job):
        raise KeyboardInterrupt

    panel = SteeringPanel(tiny, PROMPT, st.ablate("sae/3"), max_new_tokens=8)
    with monkeypatch.context() as patch:
        patch.setattr(Job, "wait", interrupted)
        patch.setattr(Job, "finished", False)
        with pytest.raises(KeyboardInterrupt):
            panel._wait()
    panel.edits = [st.ablate("sae/4")]
    assert panel.result.edits == ("sae/4: x - f d",)


def test_a_cell_that_runs_again_stops_the_panels_of_its_last_run(tiny, monkeypatch):
    runs = iter(range(100))
    monkeypatch.setattr("saewidgets.widgets.base.current_cell", lambda: ("cell", str(next(runs))))
    panels = [SteeringPanel(tiny, PROMPT, st.ablate("sae/3"), max_new_tokens=256) for _ in range(12)]
    assert len(panels[-1].result.steered[0]) > 0
    for panel in panels[:-1]:
        panel._wait()
        assert panel.status["state"] in {"stopped", "done"}
    worker = worker_of(tiny.models["tiny"])
    assert sum(thread is worker.thread for thread in threading.enumerate()) == 1
