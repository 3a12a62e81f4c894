"""The script of the steering panel in Chromium, before a kernel that answers at once and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.fake_panel import STEERED, FakePanel, pieces
from tests.widgets.nasty import LETTERS, MARKUP

pytestmark = pytest.mark.browser

TWO = ({"value": 4.0}, {"name": "mid/12", "operation": "set_if_active", "value": -2.5})
BOXES = "nodes => nodes.map(node => { const { top, height } = node.getBoundingClientRect(); return [top, height]; })"


@pytest.fixture
def view(bridge):
    view = FakePanel(TWO)
    view.write()
    view.measure()
    yield view
    view.close()


@pytest.fixture
def page(show, view):
    page = show(view)
    page.wait_for_selector(".saew[data-state=done]")
    return page


def slider(page, name="mid/7") -> Any:
    return page.get_by_label(f"Strength of {name}", exact=True)


def number(page, name="mid/7") -> Any:
    return page.get_by_label(f"Strength of {name} as a number")


def heard(view, page, **expected):
    """Wait until the last request that Python took in says this."""
    for _ in range(1500):
        if view.asked and expected.items() <= view.asked[-1].items():
            return view.asked[-1]
        page.wait_for_timeout(20)
    raise AssertionError(view.asked[-3:])


def settled(page):
    """Wait until two frames have passed."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def tops(page, selector):
    return page.locator(selector).evaluate_all(BOXES)


class TestSlider:
    def test_keys_step_by_a_tenth_and_by_one(self, page, view):
        slider(page).focus()
        values = []
        for key in (
            "ArrowRight",
            "ArrowUp",
            "ArrowLeft",
            "PageUp",
            "PageDown",
            "PageDown",
            "Home",
            "ArrowRight",
            "End",
        ):
            page.keyboard.press(key)
            values.append(float(number(page).input_value()))
        assert values == [4.1, 4.2, 4.1, 5.1, 4.1, 3.1, -10, -9.9, 10]
        heard(view, page, op="edit", key="e1", value=10)
        assert slider(page).get_attribute("aria-valuetext") == "10 \u00d7 max, 83.0"
        assert view._edits[0]["value"] == 10

    def test_of_a_drag_the_last_value_wins(self, page, view, bridge):
        box = slider(page).bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] * 0.7, middle)
        page.mouse.down()
        for i in range(50):
            page.mouse.move(box["x"] + box["width"] * (0.7 - 0.012 * i), middle)
        page.mouse.up()
        last = float(number(page).input_value())
        assert last < -7
        heard(view, page, op="edit", value=last)
        settled(page)
        assert view._edits[0]["value"] == last
        assert float(number(page).input_value()) == last
        moves = [message for message in bridge.received if message["content"]["op"] == "edit"]
        assert 1 <= len(moves) <= 52

    def test_python_does_not_move_it_under_the_hand(self, page, view):
        box = slider(page).bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
        page.mouse.down()
        mine = number(page).input_value()
        heard(view, page, op="edit", value=float(mine))
        view._op_edit({"key": "e1", "value": -3.0})
        page.wait_for_function("window.bridge.model.get('_edits')[0].value === -3")
        settled(page)
        assert number(page).input_value() == mine
        assert slider(page).input_value() == mine
        page.mouse.up()
        page.wait_for_function("document.querySelector('.saew-edit .saew-number').value === '-3'")

    def test_bars_follow_while_it_moves(self, page, view):
        second = "text => document.querySelector('.saew-rows .saew-bar-row + .saew-bar-row').innerText.includes(text)"
        page.wait_for_function(second, arg="Golden")
        box = slider(page).bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.wait_for_function(second, arg="the")
        page.mouse.move(box["x"] + box["width"] * 0.95, box["y"] + box["height"] / 2)
        page.wait_for_function(second, arg="Golden")
        page.mouse.up()

    def test_a_number_beyond_it(self, page, view):
        number(page).fill("25.5")
        number(page).press("Enter")
        heard(view, page, op="edit", value=25.5)
        assert page.locator(".saew-beyond").count() == 1
        assert page.locator(".saew-formula").first.inner_text() == "x + (25.5 m \u2212 f) d"

    def test_what_python_refuses_goes_back(self, page, view):
        number(page).fill("2000")
        number(page).press("Enter")
        page.wait_for_selector(".saew-error:visible")
        assert "out of all bounds" in page.locator(".saew-error").inner_text()
        assert number(page).input_value() == "4"


class TestEdits:
    def test_operation_place_and_order(self, page, view):
        page.get_by_label("Operation of mid/7").select_option("ablate")
        heard(view, page, operation="ablate")
        assert slider(page).is_hidden()
        page.get_by_label("Where mid/12 is edited").select_option("generated")
        heard(view, page, key="e2", where="generated")
        page.get_by_label("Apply mid/7 later").press("Enter")
        page.wait_for_function("document.querySelector('.saew-edit').dataset.key === 'e2'")
        assert page.evaluate("document.activeElement.ariaLabel") == "Apply mid/7 later"
        page.get_by_label("Remove mid/12").click()
        page.wait_for_function("document.querySelectorAll('.saew-edit').length === 1")

    def test_an_edit_is_found_by_its_label_and_added(self, page, view):
        box = page.get_by_role("combobox", name="Add a feature or a vector")
        box.click()
        assert page.locator(".saew-option").all_inner_texts() == ["add mid/40", "vector joy - sorrow", "vector formal"]
        box.press_sequentially("fog")
        page.get_by_role("option", name="fog and mist").wait_for()
        box.press("ArrowDown")
        box.press("Enter")
        page.wait_for_function("document.querySelectorAll('.saew-edit').length === 3")
        assert view._edits[2]["name"] == "mid/40"
        assert box.input_value() == ""
        page.get_by_role("button", name="add mid/40").click()
        page.wait_for_function("document.querySelectorAll('.saew-edit').length === 4")

    def test_everything_is_reached_by_the_tab_key(self, page):
        page.get_by_label("Prompt", exact=True).focus()
        names = set()
        for _ in range(60):
            page.keyboard.press("Tab")
            names.add(page.evaluate("document.activeElement.ariaLabel ?? document.activeElement.innerText"))
        wanted = {"SAE", "Operation of mid/7", "Strength of mid/7", "Strength of mid/7 as a number", "Sweep mid/7"}
        wanted |= {"Apply mid/12 earlier", "Remove mid/12", "Add a feature or a vector", "save preset", "copy as code"}
        wanted |= {"k", "new tokens", "temperature", "top-p", "seed", "samples", "Generate"}
        assert wanted <= names
        assert any("San" in name for name in names)

    def test_a_preset_is_saved_and_loaded(self, page, view, tmp_path):
        with page.expect_download() as download:
            page.get_by_role("button", name="save preset").click()
        assert download.value.suggested_filename == "steering.json"
        assert download.value.path().read_text() == '{"edits": []}'
        preset = tmp_path / "preset.json"
        preset.write_text('{"edits": [1]}')
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="load preset").click()
        chooser.value.set_files(preset)
        heard(view, page, op="load", text='{"edits": [1]}')

    def test_code_is_copied_or_shown(self, page, view):
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
        page.get_by_role("button", name="copy as code").click()
        assert page.get_by_label("The edits as code").input_value() == view._code
        assert page.evaluate("document.activeElement.selectionEnd") == len(view._code)


class TestTexts:
    def test_streaming_moves_nothing_and_keeps_the_focus(self, page, view):
        below = ".saew-legend, .saew-controls, .saew-left, .saew-side-effect, .saew-side-text"
        token = page.locator(".saew-writing").nth(1).locator(".saew-tok").nth(2)
        token.focus()  # may scroll the page
        before = tops(page, below)
        page.evaluate("window.kept = document.activeElement")
        for n in (3, 8, 15, 4, 20, len(pieces(STEERED))):
            view.write(n, running=True)
            page.wait_for_function(
                "n => document.querySelectorAll('.saew-writing')[1].querySelectorAll('.saew-tok').length === n", arg=n
            )
            assert tops(page, below) == before
            assert page.evaluate("window.kept === document.activeElement")
        view.write()
        page.wait_for_function("document.querySelector('.saew-running') === null")
        assert tops(page, below) == before

    def test_arrow_keys_walk_the_tokens_and_tell_of_them(self, page):
        tokens = page.locator(".saew-writing").nth(1).locator(".saew-tok")
        tokens.nth(0).focus()
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.ariaLabel") == (
            "4: ·I, log-prob \u22120.550 steered, \u22121.20 under base, KL 0.320 nats, steered here, differs"
        )
        assert "under base" in page.locator(".saew-tip").inner_text()
        page.keyboard.press("Escape")
        assert page.locator(".saew-tip").is_hidden()

    def test_differences_are_underlined_without_taking_more_room(self, page):
        cells = page.locator(".saew-writing").nth(1).locator(".saew-tok")
        line = "node => getComputedStyle(node).textDecorationLine"
        assert [cells.nth(i).evaluate(line) for i in (1, 3)] == ["none", "underline"]
        marked = cells.nth(3).bounding_box()
        cells.nth(3).evaluate("node => node.classList.remove('saew-differs')")
        assert cells.nth(3).bounding_box() == marked

    def test_samples_stand_below_each_other(self, page, view):
        view.write(samples=3)
        page.wait_for_function("document.querySelectorAll('.saew-writing').length === 6")
        assert page.get_by_role("grid", name="Steered text, sample 3 of 3").is_visible()
        lefts = {round(box["x"]) for box in (one.bounding_box() for one in page.locator(".saew-writing").all())}
        assert len(lefts) == 2


class TestSweep:
    def test_a_card_takes_its_strength_over(self, page, view):
        page.get_by_label("Sweep mid/7", exact=True).click()
        cards = page.locator(".saew-card")
        cards.nth(8).wait_for()
        assert cards.count() == 9
        assert cards.nth(6).get_attribute("aria-pressed") == "true"
        cards.nth(7).press("Enter")
        heard(view, page, op="edit", key="e1", value=7)
        assert number(page).input_value() == "7"
        assert cards.nth(7).get_attribute("aria-pressed") == "true"


class TestKernel:
    def test_without_one_all_is_shown_and_changes_are_off(self, show, view, bridge):
        bridge.holding = True
        page = show(view)
        page.wait_for_selector(".saew[data-state=silent]")
        assert "changes need one" in page.locator(".saew-status").inner_text()
        assert slider(page).is_disabled()
        assert page.get_by_role("button", name="copy as code").is_enabled()
        page.locator(".saew-writing .saew-tok").first.focus()
        page.keyboard.press("ArrowRight")
        assert "log-prob" in page.locator(".saew-tip").inner_text()
        bridge.release()
        page.wait_for_selector(".saew[data-state=done]")
        assert slider(page).is_enabled()

    def test_a_page_of_its_own_shows_everything(self, browser, view, tmp_path):
        view._op_sweep({"key": "e1"})
        page = browser.new_page()
        faults, requests = [], []
        page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url[:5]))
        page.goto(view.to_html(tmp_path / "view.html").as_uri())
        page.wait_for_selector(".saew[data-state=silent]")
        for selector, count in ((".saew-edit", 2), (".saew-card", 9), (".saew-bar-row", 7), (".saew-writing", 2)):
            assert page.locator(selector).count() == count
        assert page.locator(".saew-writing").nth(1).inner_text().strip() == STEERED.strip()
        assert "0.0310" in page.locator(".saew-side-effect").inner_text()
        page.close()
        assert faults == []
        assert set(requests) == {"file:"}

    def test_two_views_of_one_panel_agree(self, page, view):
        page.evaluate("window.bridge.mount().then(second => { window.second = second; })")
        page.wait_for_function("window.second")
        listeners = page.evaluate("window.bridge.model.listeners.length")
        number(page).nth(1).fill("6")
        number(page).nth(1).press("Enter")
        page.wait_for_function("document.querySelector('.saew-edit .saew-number').value === '6'")
        page.evaluate("window.second.close()")
        assert page.evaluate("window.bridge.model.listeners.length") == listeners / 2


class TestNarrow:
    @pytest.mark.parametrize("width", [480, 700, 1500])
    def test_nothing_is_wider_than_the_cell(self, show, view, width):
        view._op_sweep({"key": "e1"})
        page = show(view, width=width)
        page.wait_for_selector(".saew-card")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        clipped = page.locator(
            ".saew :is(button, .saew-story, .saew-facts, .saew-entry, .saew-side-effect)"
        ).evaluate_all(
            "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.outerHTML)"
        )
        assert clipped == []


class TestNastyText:
    def test_text_stays_text(self, show, view):
        bad = "<img src=x onerror=document.title='owned'>"
        tokens = [*MARKUP, *LETTERS]
        view.show([{**edit, "name": bad, "label": bad, "where": bad, "source": bad} for edit in view._edits])
        rows = [[token.encode("utf-8", "replace").decode(), 0.1, 0.2] for token in tokens]
        view._bars = {**view._bars, "rows": rows}
        text = {**view._texts["steered"][0], "tokens": tokens, "ids": list(range(len(tokens))), "groups": [[0, 2, bad]]}
        for name in ("logprob", "base", "kl"):
            text[name] = [0.5] * len(tokens)
        view._texts = {"running": False, "base": [text], "steered": [text]}
        view._saes = ["mid", bad]
        view._vectors = [bad]
        page = show(view)
        page.wait_for_selector(".saew[data-state=done]")
        for token in page.locator(".saew-writing .saew-tok:not(.saew-rest)").all()[:12]:
            token.hover()
        page.get_by_role("combobox", name="Add a feature or a vector").click()
        assert bad in page.locator(".saew-options").inner_text()
        assert page.title() == "bridge"
        assert page.locator(".saew :is(script, img)").count() == 0


def test_jupyter_is_kept_from_all_keys(page):
    left = page.locator(".saew :is(button, input, select, textarea, [tabindex]):not([data-lm-suppress-shortcuts=true])")
    assert left.count() == 0
