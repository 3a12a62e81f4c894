"""The script of the feature dashboard in Chromium, before a kernel that answers at once and one that does not."""

from __future__ import annotations

from typing import Any

import pytest

from saewidgets.widgets.dashboard_wire import Said
from saewidgets.widgets.feature_dashboard import FeatureDashboard
from tests.browser.fake_dashboard import DEAD, FakeDashboard
from tests.widgets.fake_dashboard_lab import FakeDashboardLab
from tests.widgets.nasty import LETTERS, MARKUP

pytestmark = pytest.mark.browser

IN_SIGHT = """grid => {
  const row = document.getElementById(grid.getAttribute('aria-activedescendant')).getBoundingClientRect();
  const { top, bottom } = grid.getBoundingClientRect();
  return top + 25 <= row.top && row.bottom <= bottom;
}"""


@pytest.fixture
def view(bridge):
    view = FakeDashboard()
    yield view
    view.close()


@pytest.fixture
def page(show, view):
    page = show(view)
    page.wait_for_selector(".saew-example .saew-tok[data-level='1']")
    return page


def heard(view, page, **expected):
    """Wait until some request that Python took in says this."""
    for _ in range(1500):
        found = [message for message in view.asked if expected.items() <= message.items()]
        if found:
            return found[-1]
        page.wait_for_timeout(20)
    raise AssertionError(view.asked[-3:])


def text(page, selector) -> str:
    return page.locator(selector).first.inner_text()


def active(page) -> Any:
    return page.evaluate("(one => one.ariaLabel ?? one.placeholder ?? one.innerText)(document.activeElement)")


class TestFeature:
    def test_arrow_keys_on_the_heading_go_to_the_next(self, page, view):
        heading = page.get_by_role("spinbutton", name="Feature", exact=True)
        heading.press("ArrowRight")
        page.wait_for_function("document.querySelector('.saew-id').innerText === 'mid/8'")
        heading.press("ArrowLeft")
        heading.press("ArrowLeft")
        page.wait_for_function("document.querySelector('.saew-id').innerText === 'mid/6'")
        assert active(page) == "Feature"
        page.get_by_label("Go to feature number").fill("40")
        page.get_by_label("Go to feature number").press("Enter")
        page.wait_for_function("document.querySelector('.saew-title').value === 'fog and mist'")

    def test_what_does_not_exist_is_told_and_nothing_is_lost(self, page):
        page.get_by_label("Go to feature number").fill("9999")
        page.get_by_label("Go to feature number").press("Enter")
        page.wait_for_selector(".saew-error:visible")
        assert "no such feature" in text(page, ".saew-error")
        assert page.locator(".saew-example").count() == 20

    def test_a_label_is_kept_and_brought_back(self, page, view):
        label = page.get_by_label("Label", exact=True)
        label.fill("bridges")
        label.press("Escape")
        assert label.input_value() == "the Golden Gate Bridge"
        label.fill("bridges")
        label.press("Enter")
        assert heard(view, page, op="annotate")["label"] == "bridges"
        page.get_by_label("Star, 2 so far").click()
        assert heard(view, page, op="annotate", star=False)
        page.get_by_label("Star, 1 so far").wait_for()

    def test_examples_of_an_interval_are_chosen_by_key_and_read_whole(self, page, view):
        top = page.get_by_role("radio", name="top examples")
        top.focus()
        page.keyboard.press("ArrowRight")
        heard(view, page, op="examples", list=1)
        page.wait_for_function("document.querySelectorAll('.saew-example').length === 5")
        assert "of firings" in text(page, ".saew-intervals .saew-told")
        page.get_by_role("radio", name="interval 10").click()
        heard(view, page, op="examples", list=10)
        page.get_by_role("radio", name="full").click()
        page.wait_for_function("document.querySelector('.saew-words').innerText.length > 80")
        page.wait_for_function("document.querySelectorAll('.saew-example .saew-tok[data-level]').length > 5")

    def test_the_peaks_of_short_windows_stand_in_one_column(self, page):
        centres = page.locator(".saew-example .saew-peak").evaluate_all(
            "nodes => nodes.map(node => node.getBoundingClientRect()).map(({ left, width }) => left + width / 2)"
        )
        assert len(centres) == 20
        assert max(centres) - min(centres) < 1.5

    def test_tokens_are_walked_by_arrow_keys_and_tell_of_themselves(self, page):
        page.locator(".saew-example .saew-tok").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        assert page.locator(".saew-tip").is_visible()
        assert "of text" in text(page, ".saew-tip")
        page.keyboard.press("Escape")
        assert page.locator(".saew-tip").is_hidden()

    def test_a_text_of_ones_own_is_coloured_by_the_feature(self, page, view):
        box = page.get_by_label("Your own text")
        box.fill("under the Golden Gate Bridge")
        page.wait_for_selector(".saew-own .saew-tok[data-level='3']")
        assert text(page, ".saew-broad [aria-live]") == "max 9.00 on \u201c\u00b7Bridge\u201d; fires on 3 of 5 tokens"
        runs = len(view.asked)
        page.get_by_role("spinbutton", name="Feature", exact=True).press("ArrowRight")
        page.wait_for_function("document.querySelector('.saew-broad [aria-live]').innerText === 'does not fire here'")
        assert not any("prompt" in message for message in view.asked[runs:])

    def test_a_dead_feature_is_told_as_such(self, page, view):
        view.go(DEAD)
        page.wait_for_selector(".saew-badge")
        assert text(page, ".saew-badge") == "dead: never fires in 1,048,576 tokens"
        assert text(page, ".saew-examples") == "It never fires on this corpus."
        assert "NaN" not in page.locator(".saew").inner_text()

    def test_a_dense_feature_is_told_as_such(self, page, view):
        view.go(12)
        page.wait_for_selector(".saew-badge")
        assert text(page, ".saew-badge") == "dense: fires on 2.38% of tokens"


class TestTable:
    @pytest.fixture
    def grid(self, page, view):
        page.get_by_role("tab", name="All features").click()
        grid = page.get_by_role("grid", name="All features")
        grid.wait_for()
        return grid

    def first(self, page):
        return [text(page, f".saew-row > :nth-child({n})") for n in (1, 3)]

    def test_a_hundred_thousand_rows_leave_few_in_the_page(self, show, bridge):
        view = FakeDashboard(d_sae=100_000)
        page = show(view)
        page.get_by_role("tab", name="All features").click()
        grid = page.get_by_role("grid", name="All features")
        grid.wait_for()
        assert grid.get_attribute("aria-rowcount") == "100001"
        grid.press("End")
        page.wait_for_function(
            """() => {  // in one go, for scrolling draws the rows anew
                const last = document.querySelector('.saew-row:last-child');
                const end = (node) => node.getBoundingClientRect().bottom;
                return last.innerText.startsWith('99999') && end(last) <= end(last.closest('[role=grid]')) + 1;
            }"""
        )
        page.get_by_role("button", name="density").click()
        assert page.locator(".saew-row").count() < 60
        grid.evaluate("node => { node.scrollTop = 1300000; }")
        page.wait_for_function("document.querySelector('.saew-row').ariaRowIndex > 40000")
        view.close()

    def test_it_is_sorted_filtered_and_opened_by_keys(self, page, view, grid):
        page.get_by_role("button", name="density").press("Enter")
        dense = self.first(page)[1]
        page.get_by_text("hide dense").click()
        assert float(dense[:-1]) > 1 >= float(self.first(page)[1][:-1])
        page.get_by_role("searchbox", name="Filter by number or label").fill("fog")
        assert self.first(page)[0] == "40"
        grid.press("Enter")
        heard(view, page, op="set", feature="mid/40", tab="feature")
        page.wait_for_function("document.querySelector('.saew-title').value === 'fog and mist'")
        assert active(page) == "Feature"

    def test_the_row_in_focus_is_in_sight(self, page, grid):
        grid.focus()
        for key in ("PageDown", "PageDown", "ArrowDown", "ArrowUp", "PageUp"):
            page.keyboard.press(key)
            assert grid.evaluate(IN_SIGHT)


class TestSpecificity:
    @pytest.fixture(autouse=True)
    def tab(self, page):
        page.get_by_role("tab", name="Specificity").click()

    def score(self, page, pattern="Golden Gate"):
        page.get_by_label("Pattern or tokens").fill(pattern)
        page.get_by_label("Pattern or tokens").press("Enter")

    def test_a_pattern_is_scored_and_a_threshold_told(self, page, view):
        self.score(page)
        assert heard(view, page, op="predicate")["text"] == "Golden Gate"
        page.wait_for_selector(".saew-stack")
        slider = page.get_by_role("slider", name="Threshold")
        slider.focus()
        for _ in range(3):
            page.keyboard.press("PageUp")
        page.keyboard.press("ArrowRight")
        assert page.locator(".saew-figure b").all_inner_texts() == [
            "3.84",
            "76.3% (65.8%\u201381.3%)",
            "80.6%",
            "21.2%",
            "47.5%",
        ]
        cut, area = page.locator(".saew-tall .saew-cut").bounding_box(), page.locator(".saew-tall").bounding_box()
        assert abs(cut["x"] - area["x"] - 0.31 * area["width"]) < 2

    def test_a_pattern_that_is_none_is_told(self, page):
        self.score(page, "(")
        page.wait_for_selector(".saew-error:visible")
        assert "no regular expression" in text(page, ".saew-error")

    def test_fifty_cards_are_rated_by_key(self, page, view):
        page.get_by_role("button", name="Rate examples blind").click()
        page.wait_for_selector(".saew-card .saew-tok")
        for n in range(12):
            page.keyboard.press("0123"[n % 4])
        page.wait_for_function("window.bridge.model.get('_rating').done === 12")
        assert text(page, ".saew-rating .saew-note").startswith("12 of 50")
        page.keyboard.press("u")
        assert "11 of 50" in text(page, ".saew-rating .saew-note")
        heard(view, page, op="rate", key="k11", score=None)
        page.wait_for_function("window.bridge.model.get('_rating').done === 11")
        assert "11 of 50" in text(page, ".saew-rating .saew-note")
        assert page.locator(".saew-card").evaluate("node => node === document.activeElement")


class TestKernel:
    def test_without_one_what_is_there_works_and_the_rest_is_off(self, show, view, bridge):
        bridge.holding = True
        page = show(view)
        page.wait_for_selector(".saew[data-state=silent]")
        assert text(page, ".saew-status").count("no kernel answers") == 1
        assert page.get_by_label("Label", exact=True).is_disabled()
        assert page.locator(".saew-example").count() == 20
        page.get_by_role("radio", name="interval 2").click()
        assert page.locator(".saew-example").count() == 5
        page.get_by_role("tab", name="Specificity").click()
        assert page.get_by_role("button", name="Score", exact=True).is_disabled()
        bridge.release()
        page.wait_for_selector(".saew[data-state=done]")
        assert page.get_by_role("button", name="Score", exact=True).is_enabled()
        heard(view, page, op="set", tab="specificity")

    def test_a_page_of_its_own_shows_everything(self, browser, view, tmp_path):
        view._op_table({})
        view._op_predicate({"kind": "regex", "text": "x"})
        page = browser.new_page()
        faults, requests = [], []
        page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url[:5]))
        page.goto(view.to_html(tmp_path / "view.html").as_uri())
        page.wait_for_selector(".saew[data-state=silent]")
        assert page.locator(".saew-example").count() == 20
        page.get_by_role("radio", name="\u00b116").click()
        page.get_by_role("tab", name="All features").click()
        page.get_by_role("button", name="max").click()
        assert page.locator(".saew-row").count() > 10
        page.get_by_role("tab", name="Specificity").click()
        page.get_by_role("slider", name="Threshold").press("ArrowRight")
        assert text(page, ".saew-figure b") == "0.124"
        page.close()
        assert faults == []
        assert set(requests) == {"file:"}

    def test_two_views_of_one_dashboard_agree(self, page):
        page.evaluate("window.bridge.mount().then(second => { window.second = second; })")
        page.wait_for_function("window.second")
        listeners = page.evaluate("window.bridge.model.listeners.length")
        page.get_by_role("button", name="Next feature").nth(1).click()
        page.wait_for_function("document.querySelector('.saew-id').innerText === 'mid/8'")
        page.evaluate("window.second.close()")
        assert page.evaluate("window.bridge.model.listeners.length") == listeners / 2

    def test_everything_is_reached_by_the_tab_key(self, page):
        page.get_by_label("Previous feature").focus()
        names = {active(page)}
        for _ in range(34):
            page.keyboard.press("Tab")
            names.add(active(page))
        wanted = {"Previous feature", "Feature", "Next feature", "Go to feature number", "Find a feature", "Label"}
        wanted |= {"Note", "Star, 2 so far", "Feature", "top examples", "Your own text", "\u00b15"}
        assert wanted <= names
        assert any("the bay" in name or "Gate" in name for name in names)


class TestWithPython:
    """The script before the Python half that it is made for, over a lab without torch."""

    @pytest.fixture
    def real(self, bridge, tmp_path):
        view = FeatureDashboard(FakeDashboardLab(folder=tmp_path))
        yield view
        view.close()

    @pytest.fixture
    def page(self, show, real):
        page = show(real)
        page.wait_for_selector(".saew[data-state=done] .saew-example .saew-tok[data-level='4']")
        return page

    def test_a_feature_its_examples_and_what_is_said_of_it(self, page, real):
        assert text(page, ".saew-id") == real.feature
        page.wait_for_function("document.querySelectorAll('.saew-example .saew-tok[data-level]').length > 20")
        label = page.get_by_label("Label", exact=True)
        label.fill("bridges <b>")
        label.press("Enter")
        page.wait_for_function(
            "window.bridge.model.get('_data').byteLength && !document.querySelector('.saew-error').innerText"
        )
        page.get_by_label("Star, 0 so far").click()
        page.get_by_label("Star, 1 so far").wait_for()
        said = real.lab.annotation(real.feature)
        assert (said.label, len(said.stars)) == ("bridges <b>", 1)
        page.get_by_role("spinbutton", name="Feature", exact=True).press("ArrowRight")
        page.wait_for_function("document.querySelector('.saew-title').value === ''")
        page.get_by_placeholder("Find a feature").fill("bridges")
        page.get_by_role("button", name="bridges <b>").first.click()
        page.wait_for_function("document.querySelector('.saew-title').value === 'bridges <b>'")

    def test_a_text_of_ones_own(self, page, real):
        page.get_by_label("Your own text").fill("the Golden Gate Bridge")
        page.wait_for_selector(".saew-own .saew-tok")
        assert real.prompt == "the Golden Gate Bridge"
        assert text(page, ".saew-broad [aria-live]").startswith(("max ", "does not fire here"))

    def test_an_sae_without_an_index_says_so_and_the_rest_works(self, page, real):
        page.get_by_label("SAE", exact=True).select_option("wide")
        page.wait_for_selector(".saew-error:visible")
        assert page.locator(".saew-example:visible").count() == 0
        page.get_by_label("Your own text").fill("the Golden Gate Bridge")
        page.wait_for_selector(".saew-own .saew-tok")
        page.get_by_label("SAE", exact=True).select_option("mid")
        page.wait_for_selector(".saew-example:visible")
        assert page.locator(".saew-error").is_hidden()

    def test_the_table_and_specificity(self, page, real):
        page.get_by_role("tab", name="All features").click()
        grid = page.get_by_role("grid", name="All features")
        grid.wait_for()
        assert grid.get_attribute("aria-rowcount") == "513"
        page.get_by_role("button", name="max", exact=True).click()
        assert text(page, ".saew-row").split()[0] == str(int(real.lab.indexes["mid"].max.argmax()))
        page.get_by_role("tab", name="Specificity").click()
        page.get_by_label("Pattern or tokens").fill("Gate|Bridge")
        page.get_by_role("button", name="Score", exact=True).click()
        page.wait_for_selector(".saew-stack")
        page.get_by_role("button", name="Rate examples blind").click()
        page.wait_for_selector(".saew-card .saew-tok")
        for key in "320":
            page.keyboard.press(key)
        page.wait_for_function("window.bridge.model.get('_rating').done === 3")
        assert text(page, ".saew-rating .saew-note").startswith("3 of ")
        page.get_by_label("It should fire on").select_option("ratings")
        page.get_by_role("button", name="Score", exact=True).click()
        page.wait_for_selector(".saew-specific .saew-key.saew-s2")


class TestNarrow:
    @pytest.mark.parametrize("width", [420, 700, 1500])
    @pytest.mark.parametrize("tab", ["Feature", "All features", "Specificity"])
    def test_nothing_is_wider_than_the_cell(self, show, view, width, tab):
        page = show(view, width=width)
        page.wait_for_selector(".saew-example")
        page.get_by_role("tab", name=tab, exact=True).click()
        view._op_predicate({"kind": "regex", "text": "x"})
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        clipped = page.locator(
            ".saew :is(button:not(.saew-link), .saew-facts, .saew-words, .saew-figure)"
        ).evaluate_all(
            "nodes => nodes.filter(node => node.scrollWidth > node.clientWidth + 1).map(node => node.outerHTML)"
        )
        assert clipped == []


class TestNastyText:
    def test_text_stays_text(self, show, view):
        bad = "<img src=x onerror=document.title='owned'>"
        view.said[7] = Said(bad, bad, bad, (bad,), 1, True)
        view._concepts = [bad]
        view.show()
        view._op_rating_begin({})
        tokens = [token.encode("utf-8", "replace").decode() for token in (*MARKUP, *LETTERS)]
        item = {"key": bad, "tokens": tokens, "special": [], "peak": 1, "score": None}
        view._rating = {**view._rating, "items": [item]}
        page = show(view)
        page.wait_for_selector(".saew-example")
        page.get_by_role("tab", name="Specificity").click()
        assert MARKUP[1] in page.locator(".saew-card").inner_text()
        page.get_by_role("tab", name="All features").click()
        page.get_by_role("grid", name="All features").wait_for()
        assert bad in page.locator(".saew-row").nth(7).inner_text()
        assert page.title() == "bridge"
        assert page.locator(".saew :is(script, img)").count() == 0


def test_jupyter_is_kept_from_all_keys(page):
    left = page.locator(".saew :is(button, input, select, textarea, [tabindex]):not([data-lm-suppress-shortcuts=true])")
    assert left.count() == 0
