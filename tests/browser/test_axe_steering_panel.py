"""axe-core finds nothing wrong in the steering panel, in light and dark, whatever it shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.fake_panel import FakePanel
from tests.browser.test_axe import AXE, judged

pytestmark = pytest.mark.browser


@pytest.fixture
def view(bridge):
    edits = ({"value": 4.0}, {"name": "mid/12", "operation": "set_if_active", "value": -2.5})
    view = FakePanel(edits)
    view.write()
    view.measure()
    yield view
    view.close()


def running(page: Any, view: FakePanel) -> None:
    view.say("running")
    view.write(9, running=True)
    page.wait_for_selector(".saew-running")


def full(page: Any, view: FakePanel) -> None:
    view.write(samples=2)
    page.get_by_label("Sweep mid/7", exact=True).click()
    page.locator(".saew-card").nth(8).wait_for()
    page.get_by_role("combobox", name="Add a feature or a vector").click()
    page.keyboard.press("ArrowDown")


def empty(page: Any, view: FakePanel) -> None:
    view._texts, view._side, view._bars, view._edits = {}, {}, {}, []
    view.set_trait("error", "no tokens")
    page.wait_for_selector(".saew-error:visible")


def alone(page: Any, view: FakePanel) -> None:
    view.send({"op": "alone"})
    page.wait_for_selector(".saew[data-state=silent]")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("state", "nodes"), [(running, 60), (full, 100), (empty, 12), (alone, 40)], ids=lambda s: getattr(s, "__name__", "")
)
def test_axe_finds_nothing(show, view, state, nodes, theme):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run make js")
    page = show(view, theme=theme)
    page.wait_for_selector(".saew[data-state=done]")
    state(page, view)
    found = judged(page, AXE.read_text(encoding="utf-8"))
    assert found["faults"] == []
    assert found["rules"] >= 15
    assert found["nodes"] >= nodes
