"""The real steering panel on the bundled model, in Chromium, without Jupyter."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

import saewidgets as sw
from saewidgets.widgets.steering_panel import SteeringPanel

pytestmark = pytest.mark.browser

PROMPT = "I walked to the"
SAE = "mid-topk-2048"


@pytest.fixture(scope="module")
def lab():
    return sw.demo()


@pytest.fixture
def view(bridge, lab):
    edits = [sw.steering.set(f"{SAE}/7", 1), sw.steering.set_if_active(f"{SAE}/12", 2)]
    view = SteeringPanel(lab, PROMPT, edits, max_new_tokens=16)
    assert view.result is not None, view.error
    yield view
    view.close()


@pytest.fixture
def page(show, view):
    page = show(view)
    page.wait_for_selector(".saew[data-state=done]")
    return page


def number(page) -> Any:
    return page.get_by_label(f"Strength of {SAE}/7 as a number")


def settled(page, view) -> Any:
    """The result, once Python has taken in all that was asked and the page shows it."""
    value = float(number(page).input_value())
    arrived = threading.Event()

    def is_of_it(result: Any) -> bool:
        return view.edits[0].value == value and result.edits[0].endswith(f": {view.edits[0].formula}")

    view.observe(lambda change: arrived.set() if is_of_it(change["new"]) else None, "result")
    assert is_of_it(view.result) or arrived.wait(60), (value, view.edits)
    result = view.result
    page.wait_for_function(
        "n => !document.querySelector('.saew-running') &&"
        " document.querySelectorAll('.saew-writing')[1].querySelectorAll('.saew-tok').length === n",
        arg=len(result.steered[0]),
    )
    return result


def written(page, side) -> str:
    return page.locator(".saew-writing").nth(side).evaluate("node => node.textContent")


def test_texts_bars_and_facts_are_those_of_python(page, view):
    result = settled(page, view)
    assert [written(page, 0), written(page, 1)] == [result.base[0].text, result.steered[0].text]
    rows = page.locator(".saew-rows .saew-bar-row")
    assert rows.count() == view.k
    likeliest = max(result.next_token.top(1)[0].base, result.next_token.top(1)[0].edited)
    assert f"{100 * likeliest:.1f}%" in rows.first.inner_text()
    assert "12 texts" in page.locator(".saew-side-effect").inner_text()
    painted = page.locator(".saew-strip .saew-tok[aria-label*=steered]").count()
    assert painted == int(result.next_token.steered.sum())
    told = page.locator(".saew-reach").nth(1).inner_text()
    assert "no-op" in told
    assert "on 734,464 tokens" in page.locator(".saew-facts").first.inner_text()


def test_of_fifty_moves_while_texts_are_written_the_last_is_shown(page, view):
    box = page.get_by_label(f"Strength of {SAE}/7", exact=True).bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.55, middle)
    page.mouse.down()
    for i in range(50):
        page.mouse.move(box["x"] + box["width"] * (0.55 + 0.005 * i), middle)
    page.mouse.up()
    result = settled(page, view)
    value = float(number(page).input_value())
    assert value > 5
    assert result.edits[0].endswith(f": x + ({value:g} m - f) d")
    assert written(page, 1) == result.steered[0].text
    assert page.locator(".saew-formula").first.inner_text() == f"x + ({value:g} m \u2212 f) d"


def test_a_sweep_shows_nine_strengths_and_gives_one_over(page, view):
    page.get_by_label(f"Sweep {SAE}/7", exact=True).click()
    card = page.locator(".saew-card", has_text="\u00d7 5")
    page.locator(".saew-card").nth(8).wait_for()
    assert page.locator(".saew-card").count() == 9
    card.click()
    assert number(page).input_value() == "5"
    assert settled(page, view).edits[0].endswith(": x + (5 m - f) d")


def test_operation_place_norm_and_order_reach_python(page, view):
    page.get_by_label(f"Operation of {SAE}/7").select_option("project_out")
    page.get_by_label(f"Where {SAE}/7 is edited").select_option("prompt")
    page.locator(".saew-keeps").first.click()
    page.get_by_label(f"Apply {SAE}/7 later").click()
    page.wait_for_function("document.querySelector('.saew-edit b').innerText.endsWith('/12')")
    first, second = view.edits
    assert first.operation == "set_if_active"
    assert (second.operation, second.where, second.keep_norm) == ("project_out", "prompt", True)


def test_features_are_added_by_number_and_from_a_linked_view(page, view):
    box = page.get_by_role("combobox", name="Add a feature or a vector")
    box.fill("31")
    page.get_by_role("option", name=f"{SAE}/31").wait_for()
    box.press("Enter")
    page.wait_for_function("document.querySelectorAll('.saew-edit').length === 3")
    view.feature = 40
    page.get_by_role("button", name=f"add {SAE}/40").click()
    page.wait_for_function("document.querySelectorAll('.saew-edit').length === 4")
    assert [edit.name for edit in view.edits[2:]] == [f"{SAE}/31", f"{SAE}/40"]
    box.fill("no such thing")
    box.press("Enter")
    page.wait_for_selector(".saew-error:visible")
    assert len(view.edits) == 4


def test_a_preset_leads_back_to_the_same_edits(page, view):
    with page.expect_download() as download:
        page.get_by_role("button", name="save preset").click()
    text = download.value.path().read_text()
    assert json.loads(text)
    former = view.edits
    view.edits = []
    page.wait_for_function("document.querySelectorAll('.saew-edit').length === 0")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="load preset").click()
    chooser.value.set_files({"name": "steering.json", "mimeType": "application/json", "buffer": text.encode()})
    page.wait_for_function("document.querySelectorAll('.saew-edit').length === 2")
    assert view.edits == former


def test_a_page_of_its_own_shows_the_result(browser, view, tmp_path):
    result = view.result
    page = browser.new_page()
    faults, requests = [], []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: requests.append(request.url[:5]))
    page.goto(view.to_html(tmp_path / "panel.html", recorded=False).as_uri())
    page.wait_for_selector(".saew[data-state=silent]")
    assert written(page, 1) == result.steered[0].text
    assert number(page).input_value() == "1"
    page.close()
    assert faults == []
    assert set(requests) == {"file:"}
