"""What the tests of the feature dashboard share."""

from __future__ import annotations

import threading

from tests.widgets.test_dashboard_wire import unpack

PROMPT = "the Golden Gate opens"


class Gate:
    """Holds the model until opened."""

    def __init__(self, lab) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        lab.gate = self

    def __call__(self, prompt) -> None:
        self.begun.set()
        self.open.wait(30)


def header(view, trait="_data", magic="SAEF"):
    """The text part of what the browser has been sent."""
    return unpack(getattr(view, trait), magic)[0]
