"""axe-core finds nothing wrong in the feature dashboard, in light and dark, whatever it shows."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.fake_dashboard import DEAD, FakeDashboard
from tests.browser.test_axe import AXE, judged

pytestmark = pytest.mark.browser


@pytest.fixture
def view(bridge):
    view = FakeDashboard()
    yield view
    view.close()


def feature(page: Any, view: FakeDashboard) -> None:
    page.get_by_label("Your own text").fill("over the Golden Gate Bridge")
    page.wait_for_selector(".saew-own .saew-tok")
    page.get_by_role("radio", name="\u00b116").click()
    page.get_by_placeholder("Find a feature").fill("fog")
    page.get_by_role("button", name="fog and mist").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.locator(".saew-example .saew-tok").nth(9).hover()


def table(page: Any, view: FakeDashboard) -> None:
    page.get_by_role("tab", name="All features").click()
    page.get_by_role("button", name="max").click()
    page.get_by_role("grid", name="All features").press("ArrowDown")


def specificity(page: Any, view: FakeDashboard) -> None:
    page.get_by_role("tab", name="Specificity").click()
    page.get_by_label("Pattern or tokens").fill("Golden")
    page.get_by_role("button", name="Score", exact=True).click()
    page.wait_for_selector(".saew-stack")
    page.get_by_role("button", name="Rate examples blind").click()
    page.wait_for_selector(".saew-card .saew-tok")
    page.keyboard.press("3")


def ratings(page: Any, view: FakeDashboard) -> None:
    page.get_by_role("tab", name="Specificity").click()
    page.get_by_label("It should fire on").select_option("ratings")
    page.get_by_role("button", name="Score", exact=True).click()
    page.wait_for_selector(".saew-s1")


def dead(page: Any, view: FakeDashboard) -> None:
    view.go(DEAD)
    view.set_trait("error", "no index of 'mid': lab.build_index(texts)")
    page.wait_for_selector(".saew-badge")


def alone(page: Any, view: FakeDashboard) -> None:
    view.send({"op": "alone"})
    page.wait_for_selector(".saew[data-state=silent]")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("state", "nodes"),
    [(feature, 150), (table, 80), (specificity, 40), (ratings, 40), (dead, 30), (alone, 120)],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_axe_finds_nothing(show, view, state, nodes, theme):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run make js")
    page = show(view, theme=theme)
    page.wait_for_selector(".saew-example")
    state(page, view)
    found = judged(page, AXE.read_text(encoding="utf-8"))
    assert found["faults"] == []
    assert found["rules"] >= 15
    assert found["nodes"] >= nodes
