"""What the tests of the steering panel share."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from saewidgets import steering as st
from saewidgets.results import SteeringVector
from saewidgets.widgets import SteeringPanel
from tests.widgets.fake_steering_lab import WIDTH, FakeSteeringLab

PROMPT = "the Golden Gate Bridge"
HOOK = "blocks.2.hook_resid_post"


@pytest.fixture(name="lab")
def steering_lab():
    return FakeSteeringLab()


@pytest.fixture(name="panel")
def steering_panel(lab):
    panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=6)
    assert panel.result is not None
    yield panel
    panel.close()


def vector_of(label="joy", width=WIDTH):
    return SteeringVector(np.arange(1.0, width + 1), HOOK, "difference_in_means", 3, 4, label=label)


class Gate:
    """Holds texts before a word until opened; ``at`` is the first word that waits, counted over all texts."""

    def __init__(self, lab, at=0) -> None:
        self.begun, self.open, self.left = threading.Event(), threading.Event(), at
        lab.between = self

    def __call__(self, writing) -> None:
        if self.left:
            self.left -= 1
            return
        self.begun.set()
        self.open.wait(30)


def answered(panel, **content):
    """What else the browser is sent after it asks."""
    answers = []
    panel.send = lambda content, buffers=None: answers.append(content)
    panel._receive(panel, {"view": "v", "seq": 1, **content})
    assert answers[-1]["error"] == ""
    return answers[0]


def key(panel, n=0):
    return panel._edits[n]["key"]


def written(lab):
    """The strengths of the edits of which each word was written, base texts left out."""
    return [edits[0][2] for edits, _ in lab.steps if edits]
