"""A saved steering panel in Chromium, opened from disk with the network off: its sliders move what was recorded."""

from __future__ import annotations

import base64
import json
import re
import zlib
from typing import Any

import pytest

from saewidgets import steering as st
from saewidgets.results import FeatureId
from saewidgets.widgets import SteeringPanel, row
from saewidgets.widgets.steering_recorded import ALONE
from tests.browser.test_axe import axe, judged  # noqa: F401 - axe is a fixture
from tests.browser.test_export import opened  # noqa: F401 - opened is a fixture
from tests.widgets.fake_steering_lab import FakeSteeringLab
from tests.widgets.steering_panels import PROMPT, steering_lab, steering_panel, vector_of  # noqa: F401 - fixtures

pytestmark = pytest.mark.browser
HOSTILE = "</script><script>x()</script><img src=y onerror=x()>\u202e"
READY = f".saew-steering[data-state='{ALONE}']"
SLIDER = "Strength of mid/7"


@pytest.fixture
def page(opened, panel, tmp_path):  # noqa: F811
    """The saved panel; at the end nothing was asked of anybody and nothing has failed."""
    one = opened(panel.to_html(tmp_path / "panel.html"))
    one.page.wait_for_selector(READY)
    yield one.page
    assert (one.page.evaluate("window.stopped"), one.page.evaluate("window.ran"), one.faults) == ([], [], [])
    assert {request[:5] for request in one.requests} == {"file:"}


def bars(page: Any) -> list[list[str]]:
    """Token, base and steered of each row."""
    rows = page.locator(".saew-rows .saew-bar-row")
    return rows.evaluate_all("rows => rows.map(row => [...row.children].map(cell => cell.textContent))")


def percents(lab: FakeSteeringLab, value: float, k: int = 10) -> list[float]:
    """Probabilities with the edit at a strength, in percent, the likeliest first."""
    found = lab.next_token(PROMPT, [st.set(FeatureId("mid", 7), value)], k)
    rows = sorted(found.top(k), key=lambda row: -max(row.base, row.edited))
    return [100 * row.edited for row in rows]


def shown(page: Any) -> list[float]:
    return [float(cells[3].rstrip("%")) for cells in bars(page)]


def state(page: Any) -> str:
    return page.locator(".saew-steering").get_attribute("data-state")


def slider(page: Any) -> Any:
    return page.get_by_label(SLIDER, exact=True)


def at(page: Any, value: str) -> None:
    """Wait until a strength is said to be shown."""
    page.wait_for_selector(f".saew-steering[data-state^='recorded: mid/7 at {value} \u00d7 max']")


class TestSlider:
    def test_keys_go_from_one_recorded_strength_to_the_next(self, page, panel, lab):
        first = shown(page)
        assert first == pytest.approx(percents(lab, 4), abs=0.06)
        slider(page).focus()
        for pressed, value in (("ArrowRight", 5), ("ArrowRight", 10), ("PageDown", 5), ("Home", -10), ("End", 10)):
            page.keyboard.press(pressed)
            at(page, f"{value}")
            assert slider(page).input_value() == f"{value}"
            assert page.get_by_label(f"{SLIDER} as a number").input_value() == f"{value}"
            assert shown(page) == pytest.approx(percents(lab, value), abs=0.06)
        page.keyboard.press("PageDown")
        at(page, "5")  # two presses in one frame are one step
        page.keyboard.press("PageDown")
        page.wait_for_selector(READY)
        assert (slider(page).input_value(), shown(page)) == ("4", first)

    def test_the_absolute_value_and_the_formula_stand_beside(self, page, panel):
        slider(page).focus()
        page.keyboard.press("Home")
        at(page, "-10")
        absolute = -10 * panel._edits[0]["maximum"]
        assert page.locator(".saew-absolute").inner_text() == f"= {absolute:.3g}".replace("-", "\u2212")
        assert "\u221210 m" in page.locator(".saew-formula").inner_text()
        assert f"= {absolute:.3g}" in state(page)

    def test_a_mouse_goes_to_the_nearest_and_bars_follow_the_hand(self, page, lab):
        box = slider(page).bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.7, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.61, middle, steps=4)
        at(page, "2")
        held = float(slider(page).input_value())
        assert 1.5 < held < 3
        assert shown(page) == pytest.approx(percents(lab, 2), abs=0.06)
        page.mouse.up()
        page.wait_for_function("() => document.querySelector('.saew-slide').value === '2'")

    def test_a_number_goes_to_the_nearest(self, page, lab):
        box = page.get_by_label(f"{SLIDER} as a number")
        box.fill("-4")
        box.press("Enter")
        at(page, "-5")
        assert box.input_value() == "-5"
        assert shown(page) == pytest.approx(percents(lab, -5), abs=0.06)

    def test_both_texts_follow(self, page, panel):
        former = page.locator(".saew-writing").nth(1).evaluate("node => node.textContent")
        assert former == panel.result.steered[0].text
        slider(page).focus()
        page.keyboard.press("End")
        at(page, "10")
        panel.edits = st.set(7, 10)
        told = [page.locator(".saew-writing").nth(n).evaluate("node => node.textContent") for n in (0, 1)]
        assert told == [panel.result.base[0].text, panel.result.steered[0].text]
        assert told[1] != former

    def test_the_side_effect_is_said_to_be_older(self, page):
        late = page.locator(".saew-side-effect .saew-faint").first
        assert late.is_hidden()
        slider(page).focus()
        page.keyboard.press("End")
        at(page, "10")
        assert late.is_visible()

    def test_what_needs_a_kernel_is_off(self, page):
        names = ("Prompt", "Operation of mid/7", "Where mid/7 is edited", "Sweep mid/7", "Remove mid/7", "temperature")
        assert [page.get_by_label(name, exact=True).is_disabled() for name in names] == [True] * len(names)
        assert page.get_by_role("button", name="Generate").is_disabled()
        assert not slider(page).is_disabled()
        assert page.get_by_role("button", name="Copy as code").is_enabled()

    def test_what_is_asked_all_the_same_is_refused_and_the_slider_goes_on(self, page, lab):
        page.evaluate("for (const one of document.querySelectorAll(':disabled')) one.disabled = false")
        page.get_by_label("Remove mid/7", exact=True).click()
        page.get_by_text("This needs a running kernel.").wait_for()
        slider(page).focus()
        page.keyboard.press("End")
        at(page, "10")
        assert page.locator(".saew-error").is_hidden()


def test_of_two_edits_the_other_goes_back_to_what_was_saved(opened, lab, tmp_path):  # noqa: F811
    panel = SteeringPanel(lab, PROMPT, [st.set(7, 4), st.scale(9, 2)], max_new_tokens=3)
    one = opened(panel.to_html(tmp_path / "panel.html"))
    page = one.page
    page.wait_for_selector(READY)
    slider(page).focus()
    page.keyboard.press("End")
    at(page, "10")
    other = page.get_by_label("Strength of mid/9", exact=True)
    other.focus()
    page.keyboard.press("Home")
    page.wait_for_selector(".saew-steering[data-state^='recorded: mid/9 at -10 \u00d7 f, the other edits as saved']")
    assert (slider(page).input_value(), other.input_value()) == ("4", "-10")
    assert one.faults == []


def test_a_card_of_the_sweep_is_taken_over(opened, panel, lab, tmp_path):  # noqa: F811
    panel.sweep(0)
    one = opened(panel.to_html(tmp_path / "panel.html"))
    one.page.wait_for_selector(READY)
    one.page.locator(".saew-card").nth(1).click()
    at(one.page, "-5")
    assert shown(one.page) == pytest.approx(percents(lab, -5), abs=0.06)
    assert one.page.locator(".saew-card[aria-pressed=true]").count() == 1


def test_without_texts_the_panel_says_that_they_are_older(opened, lab, tmp_path, monkeypatch):  # noqa: F811
    monkeypatch.setattr("saewidgets.widgets.steering_recorded.MOST_BYTES", 4000)
    panel = SteeringPanel(lab, PROMPT, st.set(7, 4), max_new_tokens=200)
    one = opened(panel.to_html(tmp_path / "panel.html"))
    one.page.wait_for_selector(READY)
    older = one.page.get_by_text("changed since the texts were written")
    assert older.is_hidden()
    slider(one.page).focus()
    one.page.keyboard.press("End")
    at(one.page, "10")
    assert older.is_visible()


def test_panels_beside_each_other_answer_for_themselves(opened, panel, lab, tmp_path):  # noqa: F811
    both = row(panel, SteeringPanel(lab, "Nobody opens the Gate", st.set(7, 1), max_new_tokens=3))
    one = opened(both.to_html(tmp_path / "row.html"))
    page = one.page
    page.wait_for_function(f"document.querySelectorAll({json.dumps(READY)}).length === 2")
    page.get_by_label(SLIDER, exact=True).nth(1).focus()
    page.keyboard.press("End")
    at(page, "10")
    assert [page.locator(".saew-slide").nth(n).input_value() for n in (0, 1)] == ["4", "10"]
    assert one.faults == []


def test_hostile_text_is_text(opened, lab, tmp_path):  # noqa: F811
    lab.saes["mid"].labels = {7: HOSTILE}
    panel = SteeringPanel(lab, f"a {HOSTILE}", [st.set(7, 4), st.add(vector_of(HOSTILE), 1)], max_new_tokens=3)
    one = opened(panel.to_html(tmp_path / "panel.html"))
    page = one.page
    page.wait_for_selector(READY)
    page.locator(".saew-slide").nth(1).focus()
    page.keyboard.press("End")
    page.wait_for_selector(".saew-steering[data-state^='recorded: </script>']")
    assert page.locator(".saew-status").first.inner_text().startswith("recorded: </script><script>x()")
    assert page.locator("img").count() == 0
    assert (page.evaluate("window.ran"), page.evaluate("window.stopped"), one.faults) == ([], [], [])


def packed(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content)).decode()


def damaged(path: Any, text: str) -> Any:
    """The page with another recording in it."""
    source = path.read_text("utf-8")
    path.write_text(re.sub('"_recorded":"[^"]*"', lambda _: f'"_recorded":"{text}"', source), "utf-8")
    return path


def grid(**more: Any) -> str:
    values = [[4, {}], [10, {"_bars": {"rows": 5}}]]
    whole = {"traits": ["_bars"], "at": {"e1": {"now": 4, "values": values}}, "off": "fieldset button", **more}
    return packed(json.dumps(whole).encode())


@pytest.mark.parametrize("text", ["%%%", base64.b64encode(b"no zlib").decode(), packed(b"{"), packed(b"null"), ""])
def test_a_recording_that_cannot_be_read_is_none(opened, panel, tmp_path, text):  # noqa: F811
    one = opened(damaged(panel.to_html(tmp_path / "panel.html"), text))
    one.page.wait_for_selector(".saew-steering[data-state=silent]")
    assert len(bars(one.page)) == 10
    assert slider(one.page).is_disabled()


@pytest.mark.parametrize(
    "text",
    [
        packed(b"5"), packed(b"{}"), packed(b'{"at": {"e1": 5}, "traits": 5, "off": 5}'), grid(),
        grid(traits=[3, "_edits", "_bars"]), grid(off="((("), grid(at={"e1": {"now": "x", "values": []}}),
        grid(at={"e1": {"now": 4, "values": [[10, None]]}}),
    ],
)  # fmt: skip
def test_a_broken_recording_leaves_what_was_saved(opened, panel, tmp_path, text):  # noqa: F811
    one = opened(damaged(panel.to_html(tmp_path / "panel.html"), text))
    one.page.wait_for_selector(READY)
    first = bars(one.page)
    assert len(first) == 10
    slider(one.page).focus()
    one.page.keyboard.press("End")
    one.page.wait_for_selector(".saew-steering[data-state=silent]")
    assert bars(one.page) == first
    assert slider(one.page).input_value() == "4"


def test_an_edit_that_was_not_recorded_is_off(opened, panel, lab, tmp_path):  # noqa: F811
    panel.edits = [st.set(n, 4) for n in range(7, 17)]
    one = opened(panel.to_html(tmp_path / "panel.html", recorded=[0, 1]))
    one.page.wait_for_selector(READY)
    states = one.page.locator(".saew-slide").evaluate_all("all => all.map(one => one.disabled)")
    assert states == [False] * 8 + [True] * 2


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(opened, panel, tmp_path, axe, theme):  # noqa: F811
    panel.sweep(0)
    one = opened(panel.to_html(tmp_path / "panel.html"), theme=theme)
    one.page.wait_for_selector(READY)
    slider(one.page).focus()
    one.page.keyboard.press("End")
    at(one.page, "10")
    found = judged(one.page, axe)
    assert found["faults"] == []
    assert found["nodes"] >= 60
