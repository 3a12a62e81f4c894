"""The real widget and its real script in Chromium, without Jupyter."""

from __future__ import annotations

import threading

import pytest

from saewidgets.widgets import TokenActivations
from tests.widgets.fake_lab import FakeLab, random_activations
from tests.widgets.nasty import nasty_activations

pytestmark = pytest.mark.browser

PROMPT = "When Mary and John went to the Golden Gate Bridge, John gave a drink to Mary"
ORANGE = "253, 141, 60"


@pytest.fixture
def lab():
    return FakeLab()


@pytest.fixture
def view(bridge, lab):
    view = TokenActivations(lab, PROMPT)
    yield view
    view.close()


@pytest.fixture
def page(show, view):
    return show(view)


def tokens(page):
    return page.locator(".saew-tok")


def coloured(page):
    """Positions of the tokens that have a colour."""
    script = "cells => cells.flatMap((cell, i) => cell.style.background ? [i] : [])"
    return tokens(page).evaluate_all(script)


def asked(bridge, op="set"):
    """What the browser asked, without its numbering."""
    contents = [message["content"] for message in bridge.received]
    return [{k: v for k, v in c.items() if k not in ("view", "seq", "op")} for c in contents if c["op"] == op]


def wait_for(page, view, name, value):
    """Wait until a trait has a value, while the page lives."""
    arrived = threading.Event()
    view.observe(lambda change: arrived.set() if change["new"] == value else None, name)
    if getattr(view, name) == value:
        return
    page.evaluate("0")
    assert arrived.wait(30), f"{name} is {getattr(view, name)!r}"


def answered(page):
    """Wait until the kernel has taken in all requests."""
    page.wait_for_function("window.bridge.model.state.status.state === 'done'")
    page.wait_for_selector(".saew[data-state=done]")


class TestPicture:
    def test_tokens_are_the_text(self, page, view):
        assert tokens(page).all_text_contents() == list(view.result.tokens)
        assert page.locator(".saew-special").all_text_contents() == ["<|bos|>"]

    def test_the_feature_in_focus_colours_where_it_fires(self, page, view):
        index = int(view.feature.split("/")[1])
        assert coloured(page) == (view.result.feature(index) > 0).nonzero()[0].tolist()

    def test_the_list_is_that_of_python(self, page, view):
        rows = page.locator(".saew-right .saew-row")
        shown = [int(row.get_attribute("data-feature")) for row in rows.all()]
        assert shown == [row.feature for row in view.result.top(100)]

    @pytest.mark.parametrize("key", ["mean", "tokens", "density"])
    def test_sorting(self, page, view, key):
        page.get_by_role("button", name=key, exact=True).click()
        first = int(page.locator(".saew-right .saew-row").first.get_attribute("data-feature"))
        if key == "density":
            density = view.lab.saes["mid"].density
            assert first == max((row.feature for row in view.result.top(10**6)), key=lambda f: density[f])
        else:
            assert first == view.result.top(1, by={"tokens": "count"}.get(key, key))[0].feature
        assert page.locator("[aria-sort=descending]").inner_text() == key

    def test_masked_positions_are_told_and_can_be_unmasked(self, page, view):
        assert "1 of 17 positions masked" in page.locator(".saew-notes").inner_text()
        page.get_by_role("button", name="unmask").click()
        page.wait_for_function("document.querySelector('.saew-notes').innerText.includes('0 of 17')")
        assert view.mask_special is False
        assert page.locator(".saew-tok.saew-masked").count() == 0

    def test_a_prompt_that_is_cut_says_so(self, bridge, show):
        page = show(TokenActivations(FakeLab(context=5), PROMPT))
        assert page.locator(".saew-notes b").inner_text() == "showing 6 of 17 tokens"

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_text_and_background_are_set_together(self, show, view, theme):
        page = show(view, theme)
        colours = page.locator(".saew").evaluate(
            "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
        )
        assert colours[1] == ("rgb(17, 17, 17)" if theme == "dark" else "rgb(255, 255, 255)")
        assert colours[0] != colours[1]


class TestChoosing:
    def test_a_row_shows_its_feature_alone(self, page, view, bridge):
        row = page.locator(".saew-right .saew-row").nth(3)
        feature = int(row.get_attribute("data-feature"))
        row.click()
        wait_for(page, view, "feature", f"mid/{feature}")
        assert view.features == (f"mid/{feature}",)
        assert coloured(page) == (view.result.feature(feature) > 0).nonzero()[0].tolist()
        assert ORANGE in tokens(page).nth(coloured(page)[0]).get_attribute("style")

    def test_up_to_six_with_a_hue_and_a_pattern_each(self, page, view):
        swatches = page.locator(".saew-right .saew-row .saew-swatch")
        for i in range(1, 7):
            swatches.nth(i).click()
        assert page.locator(".saew-found").inner_text() == "6 features at most: remove one first"
        chips = page.locator(".saew-chip .saew-swatch")
        looks = chips.evaluate_all("nodes => nodes.map(node => node.style.background)")
        assert len(set(looks)) == 6
        assert len({look.replace("rgb", "rgba").split("rgba")[0] + str(look.count("px")) for look in looks}) >= 3
        answered(page)
        assert len(view.features) == 6

    def test_each_chosen_feature_has_its_band(self, page, view):
        page.locator(".saew-right .saew-row .saew-swatch").nth(1).click()
        answered(page)
        union = set()
        for name in view.features:
            union |= set((view.result.feature(int(name.split("/")[1])) > 0).nonzero()[0].tolist())
        assert coloured(page) == sorted(union)

    def test_a_chip_is_removed(self, page, view):
        page.get_by_role("button", name="Remove").click()
        wait_for(page, view, "features", ())
        assert coloured(page) == []

    def test_search_by_number_and_by_label(self, page, view):
        search = page.get_by_label("Search features")
        index = next(f for f, label in view.lab.saes["mid"].labels.items() if label)
        search.fill("golden gate")
        rows = page.locator(".saew-right .saew-row")
        assert [row.get_attribute("data-feature") for row in rows.all()] == [str(index)]
        assert rows.locator(".saew-label").inner_text() == "Golden Gate <b>Bridge</b>"
        silent = next(f for f in range(512) if not (view.result.feature(f) > 0).any())
        search.fill(str(silent))
        assert page.locator(".saew-found").inner_text() == f"{silent} does not fire here"
        search.press("Enter")
        wait_for(page, view, "feature", f"mid/{silent}")
        assert "does not fire here" in page.locator(".saew-chip").inner_text()
        search.fill("512")
        assert page.locator(".saew-found").inner_text() == "mid has features 0 to 511"

    def test_a_token_and_its_features(self, page, view):
        tokens(page).nth(9).click()
        wait_for(page, view, "token", 9)
        rows = page.locator(".saew-panel .saew-row")
        assert [int(row.get_attribute("data-feature")) for row in rows.all()] == [
            value.feature for value in view.result.by_token(9)
        ]
        assert f"position 9 · id {view.result.token_ids[9]}" in page.locator(".saew-panel").inner_text()
        tokens(page).nth(9).click()
        wait_for(page, view, "token", None)
        assert not page.locator(".saew-panel").is_visible()

    def test_hover_tells_place_id_and_value(self, page, view):
        position = coloured(page)[0]
        tokens(page).nth(position).hover()
        text = page.locator(".saew-tip").inner_text()
        value = view.result.feature(int(view.feature.split("/")[1]))[position]
        assert f"position {position} · id {view.result.token_ids[position]}" in text
        assert f"{value:.3g}"[:3] in text

    def test_another_sae(self, page, view):
        arrived = threading.Event()
        view.observe(lambda change: arrived.set() if change["new"].sae == "wide" else None, "result")
        page.get_by_label("SAE", exact=True).select_option("wide")
        assert arrived.wait(30)
        assert (view.sae, view.result.sae) == ("wide", "wide")
        page.wait_for_function("document.querySelector('.saew-chip')")
        assert view.feature.startswith("wide/")


class TestKeyboard:
    def test_arrows_walk_the_tokens(self, page):
        focused = "() => [...document.querySelectorAll('.saew-tok')].indexOf(document.activeElement)"
        tokens(page).first.focus()
        places = []
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End", "Home", "ArrowDown", "ArrowUp", "PageDown"):
            page.keyboard.press(key)
            places.append(page.evaluate(focused))
        assert places[:5] == [1, 2, 1, 16, 0]
        assert places[5] > 5
        assert places[6] == 0
        assert places[7] == 16

    def test_enter_chooses_a_token(self, page, view):
        tokens(page).first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        wait_for(page, view, "token", 1)

    def test_the_list_by_keyboard(self, page, view):
        page.locator(".saew-right .saew-row").first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        third = page.locator(".saew-right .saew-row").nth(2).get_attribute("data-feature")
        wait_for(page, view, "feature", f"mid/{third}")
        page.keyboard.press("Home")
        page.keyboard.press(" ")
        answered(page)
        assert len(view.features) == 2

    def test_jupyter_is_kept_from_all_keys(self, page):
        tokens(page).nth(3).click()
        left = page.locator(
            ".saew :is(button, input, select, textarea, [tabindex]):not([data-lm-suppress-shortcuts=true])"
        )
        assert left.count() == 0


class TestPrompt:
    def test_typing_runs_after_a_pause_and_the_last_wins(self, page, view, lab):
        box = page.get_by_label("Prompt", exact=True)
        box.fill("")
        box.press_sequentially("the Gate again", delay=5)
        page.wait_for_function("document.querySelectorAll('.saew-tok').length === 4")
        assert view.prompt == "the Gate again"
        assert lab.runs[-1] == "the Gate again"
        assert len(lab.runs) <= 4

    def test_enter_runs_at_once_and_shift_enter_is_a_new_line(self, page, view):
        box = page.get_by_label("Prompt", exact=True)
        box.fill("one")
        box.press("Shift+Enter")
        box.press("Enter")
        wait_for(page, view, "prompt", "one\n")
        page.wait_for_function("document.querySelectorAll('.saew-tok').length === 3")
        assert tokens(page).nth(2).text_content() == "\n"

    def test_python_sets_the_prompt(self, page, view):
        view.prompt = "set in Python"
        page.wait_for_function("document.querySelector('.saew-prompt').value === 'set in Python'")
        page.wait_for_function("document.querySelectorAll('.saew-tok').length === 4")

    def test_a_bad_prompt_is_explained_and_the_next_one_works(self, page, view):
        box = page.get_by_label("Prompt", exact=True)
        box.fill("")
        page.wait_for_selector(".saew-error:visible")
        text = page.locator(".saew-error").inner_text()
        assert "The prompt has no tokens." in text
        assert "do this:  type a prompt" in text
        assert "Below is the last prompt that ran" in text
        assert tokens(page).count() == 17
        box.fill("better now")
        page.wait_for_selector(".saew-error", state="hidden")
        assert tokens(page).all_text_contents() == ["<|bos|>", "better", " now"]

    def test_python_sets_the_features(self, page, view):
        view.features = [row.feature for row in view.result.top(3)]
        page.wait_for_function("document.querySelectorAll('.saew-chip').length === 3")
        view.token = 5
        page.wait_for_selector(".saew-panel:visible")
        assert page.locator(".saew-tok[aria-selected=true]").text_content() == view.result.tokens[5]


class TestKernel:
    def test_recolouring_asks_the_kernel_for_nothing(self, page, view, bridge):
        answered(page)
        sent = len(bridge.sent)
        bridge.holding = True
        page.locator(".saew-right .saew-row").nth(2).click()
        assert coloured(page)
        page.get_by_role("button", name="reference max").click()
        assert len(bridge.sent) == sent
        bridge.release()

    def test_a_running_cell_is_told_and_what_was_asked_is_done_after_it(self, page, view, bridge):
        bridge.holding = True
        page.get_by_label("Prompt", exact=True).fill("after the cell")
        page.wait_for_selector(".saew[data-state=waiting]")
        assert page.locator(".saew-status").inner_text() == "waiting for the running cell"
        bridge.release()
        page.wait_for_selector(".saew[data-state=done]")
        assert view.result.prompt_tokens.text == "after the cell"

    def test_without_a_kernel_colours_still_work(self, show, view, bridge):
        bridge.holding = True
        page = show(view)
        page.wait_for_selector(".saew[data-state=silent]")
        before = coloured(page)
        page.locator(".saew-right .saew-row").nth(2).click()
        assert coloured(page) != before
        bridge.release()
        page.wait_for_selector(".saew[data-state=done]")

    def test_stop(self, page, view, lab):
        begun, go = threading.Event(), threading.Event()
        lab.gate = lambda prompt: (begun.set(), go.wait(30))
        page.get_by_label("Prompt", exact=True).fill("never shown")
        page.wait_for_selector(".saew[data-state=running]")
        begun.wait(30)
        page.get_by_role("button", name="Stop").click()
        page.wait_for_function("window.bridge.model.state.status.state === 'running'")
        wait_for_stop = threading.Event()
        view.observe(lambda change: wait_for_stop.set() if change["new"]["state"] == "stopped" else None, "status")
        page.wait_for_timeout(50)
        go.set()
        page.wait_for_selector(".saew[data-state=stopped]")
        assert tokens(page).count() == 17

    def test_the_last_of_quick_choices_stays(self, page, view):
        rows = page.locator(".saew-right .saew-row")
        last = rows.nth(6).get_attribute("data-feature")
        for i in (1, 2, 3, 4, 5, 6):
            rows.nth(i).evaluate("row => row.click()")
        wait_for(page, view, "feature", f"mid/{last}")
        answered(page)
        assert page.locator(".saew-chip b").inner_text() == last

    def test_two_views_of_one_widget_agree_and_one_can_go(self, page, view):
        page.evaluate("window.bridge.mount().then(second => { window.second = second; })")
        page.wait_for_function("window.second")
        listeners = page.evaluate("window.bridge.model.listeners.length")
        roots = page.locator(".saew")
        row = roots.nth(1).locator(".saew-right .saew-row").nth(4)
        feature = row.get_attribute("data-feature")
        row.click()
        page.wait_for_function(
            f"document.querySelectorAll('.saew')[0].querySelector('.saew-chip b').innerText === '{feature}'"
        )
        page.evaluate("window.second.close()")
        assert roots.count() == 1
        assert page.evaluate("window.bridge.model.listeners.length") == listeners / 2
        view.prompt = "still alive"
        page.wait_for_function("document.querySelectorAll('.saew-tok').length === 3")


class TestNastyText:
    def test_text_stays_text(self, bridge, show):
        lab = FakeLab()
        lab.activations = lambda prompt, sae=None, mask_special=True: nasty_activations()
        lab.saes["<img src=x onerror=document.title='owned'>"] = lab.saes["wide"]
        lab.saes["mid"].labels = dict.fromkeys(range(512), "<img src=x onerror=document.title='owned'>")
        view = TokenActivations(lab, "<script>document.title='owned'</script>", feature=1)
        page = show(view)
        result = view.result
        groups = {start: (stop, text) for start, stop, text in result.prompt_tokens.groups}
        expected = ["" if p not in groups else groups[p][1] for p in range(len(result))]
        assert tokens(page).all_text_contents() == expected
        assert "café" in "".join(expected)
        for position in range(len(result)):
            tokens(page).nth(position).dispatch_event("click")
        tokens(page).nth(2).hover()
        assert page.title() == "bridge"
        assert page.locator(".saew :is(script, img, svg)").count() == 0

    def test_marks_stand_for_what_cannot_be_seen(self, bridge, show):
        lab = FakeLab()
        lab.activations = lambda prompt, sae=None, mask_special=True: nasty_activations()
        page = show(TokenActivations(lab, "x", feature=1))
        marks = set(page.locator(".saew-ctl").evaluate_all("nodes => nodes.map(node => node.dataset.mark)"))
        assert {"·", "↵", "⇥", "␍", "␀", "␛", "⟨202E⟩", "⟨200B⟩", "⟨2028⟩"} <= marks
        direction = page.locator(".saew-tok").nth(12).evaluate("cell => getComputedStyle(cell).unicodeBidi")
        assert direction == "isolate"

    def test_2000_tokens(self, bridge, show):
        lab = FakeLab()
        lab.activations = lambda prompt, sae=None, mask_special=True: random_activations(n=2000, l0=8, d_sae=512)
        page = show(TokenActivations(lab, "long", feature=0))
        assert tokens(page).count() == 2001
        assert coloured(page)


class TestTwin:
    def test_the_static_copy_is_hidden_while_the_view_lives(self, page, view):
        html = view._marked_html()
        page.evaluate(
            """html => {
              const copy = document.createElement("div");
              copy.className = "jp-OutputArea-child";
              copy.append(document.createRange().createContextualFragment(html));
              document.querySelector("main").prepend(copy);
              window.bridge.mount().then(second => { window.second = second; });
            }""",
            html,
        )
        page.wait_for_selector(".jp-OutputArea-child", state="hidden")
        page.evaluate("window.second.close()")
        page.wait_for_selector(".jp-OutputArea-child", state="visible")
