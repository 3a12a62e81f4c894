"""The real widget and its real script in Chromium, without Jupyter."""

from __future__ import annotations

import threading

import ipywidgets
import pytest

from saewidgets.results import Order, Ranking, RankKey
from saewidgets.widgets import FeatureRanking, TokenActivations
from tests.widgets.fake_ranking_lab import FakeRankingLab
from tests.widgets.nasty import LETTERS, MARKUP, nasty_activations

pytestmark = pytest.mark.browser

PROMPT = "When Mary and John went to the Golden Gate Bridge, John gave a drink to Mary"
KEYS: tuple[RankKey, ...] = ("activation", "attribution", "ablation")


@pytest.fixture
def lab():
    return FakeRankingLab()


@pytest.fixture
def view(bridge, lab):
    view = FeatureRanking(lab, PROMPT, " Paris", " Rome")
    yield view
    view.close()


@pytest.fixture
def page(show, view):
    page = show(view)
    page.wait_for_selector(".saew-entry")
    return page


def column(page, key):
    return page.get_by_role("listbox", name=f"Rows by {key}")


def rows(page, key, kind=":not(.saew-low)"):
    """Rows of a column, by number, as they stand."""
    found = column(page, key).locator(f".saew-entry{kind}")
    return [int(row.get_attribute("data-row")) for row in found.all()]


def first(result: Ranking, by: RankKey, order: Order, k: int) -> list[int]:
    """The first k rows by a column, as Python ranks them."""
    return result.ranks(by, order).argsort()[:k].tolist()


def badges(page):
    return page.locator(".saew-count").all_inner_texts()


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


def metric(page, text):
    page.wait_for_function("text => document.querySelector('.saew-metric').innerText.includes(text)", arg=text)


class TestPicture:
    @pytest.mark.parametrize("order", ["absolute", "signed"])
    def test_columns_and_overlaps_are_those_of_python(self, show, view, order):
        view.order = order
        page = show(view)
        page.wait_for_selector(".saew-entry")
        result: Ranking = view.result
        for key in KEYS:
            assert rows(page, key) == first(result, key, order, 10)
        found = result.overlap(10, order)
        assert badges(page) == [f"{found.activation}/10", f"{found.attribution}/10"]
        assert (
            f"r = {result.correlation().attribution.pearson:.2f}".replace("-", "\u2212")
            in page.locator(".saew-plot").inner_text()
        )

    def test_a_row_beyond_the_top_is_shown_below_with_its_rank(self, page, view):
        ranks = view.result.ranks("activation")
        below = rows(page, "activation", ".saew-low")
        assert set(rows(page, "ablation")) <= {*rows(page, "activation"), *below}
        texts = column(page, "activation").locator(".saew-low .saew-rank").all_inner_texts()
        assert texts == [f"#{ranks[row] + 1}" for row in below]

    def test_every_row_has_its_lines(self, page):
        shown = {*rows(page, "activation", ""), *rows(page, "ablation", "")}
        for joint in page.locator(".saew-joint").all():
            lines = joint.locator("path").evaluate_all("paths => paths.map(path => Number(path.dataset.row))")
            assert set(lines) == shown
        rising = page.locator(".saew-joint").last.locator(".saew-rises").evaluate_all("p => p.map(x => +x.dataset.row)")
        assert set(rising) == {*rows(page, "ablation")} - {*rows(page, "attribution")}

    def test_lines_end_where_the_rows_are(self, page):
        row = rows(page, "attribution")[3]
        box = "node => { const { top, bottom } = node.getBoundingClientRect(); return [top, bottom]; }"
        top, bottom = column(page, "attribution").locator(f"[data-row='{row}']").evaluate(box)
        ends = page.locator(".saew-joint").first.locator(f"[data-row='{row}']").evaluate(box)
        assert min(abs(end - (top + bottom) / 2) for end in ends) < 1

    def test_what_is_no_feature_has_its_rows(self, page):
        text = page.get_by_role("table").inner_text()
        assert "error" in text
        assert "+0.310" in text
        assert "\u22120.0500" in text

    def test_masked_positions_are_told_and_can_be_unmasked(self, page, view):
        assert "1 of 17 positions masked" in page.locator(".saew-notes").inner_text()
        page.get_by_role("button", name="unmask").click()
        page.wait_for_function("document.querySelector('.saew-notes').innerText.includes('0 of 17')")
        assert view.mask_special is False

    def test_nothing_is_wider_than_a_narrow_cell(self, show, view):
        page = show(view, width=468)
        page.wait_for_selector(".saew-entry")
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        assert page.locator(".saew-entry b").first.is_visible()

    def test_200_rows_in_each_column(self, page):
        page.get_by_label("k", exact=True).fill("200")
        page.get_by_label("k", exact=True).press("Tab")
        page.wait_for_function("document.querySelectorAll('.saew-low').length === 0")


class TestFollowing:
    def test_hover_follows_a_row_through_all_columns_and_the_plot(self, page, view):
        row = rows(page, "ablation")[2]
        column(page, "ablation").locator(f"[data-row='{row}']").hover()
        assert page.locator(".saew-on").count() == 5
        assert page.locator(f".saew-on:not([data-row='{row}'])").count() == 0
        assert page.locator(".saew-scatter circle").get_attribute("visibility") == "visible"
        text = page.locator(".saew-readout").inner_text()
        assert f"mid/{view.result.features[row]}" in text
        assert f"(#{view.result.ranks('activation')[row] + 1})" in text

    def test_the_plot_follows_the_nearest_dot(self, page, view):
        row = rows(page, "attribution")[0]
        column(page, "attribution").locator(f"[data-row='{row}']").hover()
        ring = page.locator(".saew-scatter circle").bounding_box()
        page.mouse.move(5, 5)
        assert page.locator(".saew-on").count() == 0
        page.mouse.move(ring["x"] + ring["width"] / 2 + 1, ring["y"] + ring["height"] / 2 + 1)
        assert int(page.locator(".saew-on").first.get_attribute("data-row")) == row

    def test_arrow_keys_walk_a_column_and_cross_with_the_row(self, page):
        first = column(page, "activation").locator(".saew-entry").first
        first.focus()
        page.keyboard.press("ArrowDown")
        second = rows(page, "activation")[1]
        place = "() => [document.activeElement.dataset.row, document.activeElement.parentElement.ariaLabel]"
        assert page.evaluate(place) == [str(second), "Rows by activation"]
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        assert page.evaluate(place) == [str(second), "Rows by ablation"]
        page.keyboard.press("Home")
        assert page.evaluate(place) == [str(rows(page, "ablation")[0]), "Rows by ablation"]
        assert page.locator(".saew-entry[tabindex='0']").count() == 1

    def test_click_and_enter_choose_the_feature(self, page, view):
        row = rows(page, "attribution")[1]
        column(page, "attribution").locator(f"[data-row='{row}']").click()
        wait_for(page, view, "feature", f"mid/{view.result.features[row]}")
        assert page.locator(f"[data-row='{row}'][aria-selected=true]").count() == 3
        page.keyboard.press("ArrowUp")
        page.keyboard.press("Enter")
        wait_for(page, view, "feature", f"mid/{view.result.features[rows(page, 'attribution')[0]]}")

    def test_a_feature_of_another_view_is_shown(self, page, view, lab):
        tokens = TokenActivations(lab, PROMPT)
        link = ipywidgets.link((tokens, "feature"), (view, "feature"))
        last = int(view.result.ranks("ablation").argmax())
        tokens.feature = int(view.result.features[last])
        page.wait_for_selector(f".saew-low[data-row='{last}'][aria-selected=true]")
        silent = next(f for f in range(512) if f not in view.result.features)
        tokens.feature = silent
        page.wait_for_function("document.querySelector('.saew-readout').innerText.includes('does not fire here')")
        assert f"mid/{silent}" in page.locator(".saew-readout").inner_text()
        link.unlink()

    def test_a_followed_row_shows_its_tokens(self, bridge, show, lab):
        view = FeatureRanking(lab, PROMPT, " Paris", scope="position")
        page = show(view)
        page.wait_for_selector(".saew-entry")
        row = rows(page, "activation")[0]
        column(page, "activation").locator(f"[data-row='{row}']").hover()
        marked = page.locator(".saew-tok[data-level='4']")
        assert marked.all_text_contents() == [view.result.tokens[view.result.positions[row]]]


class TestQuestions:
    def test_a_token_is_chosen_and_let_go(self, page, view, lab):
        tokens = page.locator(".saew-tok")
        tokens.nth(9).click()
        wait_for(page, view, "position", 9)
        assert view.result.position == 9
        page.wait_for_function("document.querySelector('.saew-toggle button').innerText === 'at this position'")
        page.get_by_role("button", name="whole prompt").click()
        wait_for(page, view, "position", None)
        tokens.nth(3).focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        wait_for(page, view, "position", 4)
        assert lab.runs == [PROMPT]

    def test_method_and_scope(self, page, view):
        page.get_by_label("Method", exact=True).select_option("integrated_gradients")
        wait_for(page, view, "method", "integrated_gradients")
        told = "integrated gradients, misses the total by 0.40%"
        page.wait_for_function("text => document.querySelector('.saew-heads').innerText.includes(text)", arg=told)
        page.get_by_role("button", name="at each position").click()
        wait_for(page, view, "scope", "position")
        page.wait_for_function("document.querySelector('.saew-entry').innerText.includes('@')")

    def test_a_target_is_completed_from_the_vocabulary(self, page, view):
        box = page.get_by_label("Target", exact=True)
        box.click()
        box.press_sequentially(" Lo")
        assert box.input_value() == "·Lo"
        option = page.get_by_role("option", name="·London")
        option.wait_for()
        box.press("ArrowDown")
        assert box.get_attribute("aria-activedescendant") == option.get_attribute("id")
        box.press("Enter")
        wait_for(page, view, "target", " London")
        metric(page, "logit(' London')")
        assert page.get_by_role("listbox", name="Target tokens").is_hidden()

    def test_the_likely_tokens_are_offered_with_their_probability(self, page, view):
        page.get_by_label("Baseline", exact=True).click()
        options = page.get_by_role("listbox", name="Baseline tokens").get_by_role("option")
        assert options.all_inner_texts()[:3] == ["mean logit", "·Paris\n60.0%", "·Rome\n30.0%"]
        options.first.click()
        wait_for(page, view, "baseline", "")
        metric(page, "mean logit")

    def test_what_is_typed_and_not_entered_is_let_go(self, page, view, bridge):
        box = page.get_by_label("Target", exact=True)
        box.fill("nonsense")
        box.press("Escape")
        assert box.input_value() == "·Paris"
        box.fill("nonsense")
        box.press("Tab")
        assert box.input_value() == "·Paris"
        assert asked(bridge) == []

    def test_a_target_that_is_not_one_token_is_explained(self, page, view):
        box = page.get_by_label("Target", exact=True)
        box.fill(" New York")
        box.press("Enter")
        page.wait_for_selector(".saew-error:visible")
        assert "not one token" in page.locator(".saew-error").inner_text()
        assert rows(page, "ablation")
        box.fill(" Rome")
        box.press("Enter")
        page.wait_for_selector(".saew-error", state="hidden")
        assert view.result.target == (1,)

    def test_python_asks_too(self, page, view):
        view.target, view.baseline = " Parma", None
        metric(page, "logit(' Parma') \u2212 mean logit")
        page.wait_for_function("document.querySelector('.saew-combo').value === '·Parma'")
        view.prompt = "set in Python"
        page.wait_for_function("document.querySelectorAll('.saew-tok').length === 4")

    def test_jupyter_is_kept_from_all_keys(self, page):
        left = page.locator(
            ".saew :is(button, input, select, textarea, [tabindex]):not([data-lm-suppress-shortcuts=true])"
        )
        assert left.count() == 0


class TestKernel:
    def test_order_k_and_hover_ask_the_kernel_for_nothing(self, page, view, bridge):
        page.wait_for_selector(".saew[data-state=done]")
        sent = len(bridge.sent)
        bridge.holding = True
        page.get_by_role("button", name="signed").click()
        page.get_by_label("k", exact=True).fill("5")
        page.get_by_label("k", exact=True).press("Tab")
        result = view.result
        for key in KEYS:
            assert rows(page, key) == first(result, key, "signed", 5)
        found = result.overlap(5, "signed")
        assert badges(page) == [f"{found.activation}/5", f"{found.attribution}/5"]
        assert len(bridge.sent) == sent
        bridge.release()
        wait_for(page, view, "k", 5)
        assert view.order == "signed"

    def test_numbers_arrive_live_and_stop_keeps_them(self, page, view, lab):
        begun, go = threading.Event(), threading.Event()
        lab.between = lambda _: (begun.set(), go.wait(30))
        view.target = " Par"
        assert begun.wait(30)
        total = len(view._trait_values["result"])
        page.wait_for_function(f"document.querySelector('.saew-heads').innerText.includes('4 of {total} ablated')")
        assert page.locator(".saew-heads progress").get_attribute("value") == "4"
        assert len(rows(page, "ablation")) == 4
        assert badges(page)[0].endswith("/4")
        page.get_by_role("button", name="Stop").click()
        job = view._jobs["rank"]
        while not job.stopping:
            page.wait_for_timeout(10)
        go.set()
        page.wait_for_function(f"document.querySelector('.saew-heads').innerText.includes('stopped: 8 of {total}')")
        assert view.result.stopped

    def test_without_a_kernel_the_picture_still_works(self, show, view, bridge):
        bridge.holding = True
        page = show(view)
        page.wait_for_selector(".saew[data-state=silent]")
        assert "no kernel" in page.locator(".saew-status").inner_text()
        page.get_by_role("button", name="signed").click()
        assert badges(page)
        column(page, "ablation").locator(".saew-entry").first.hover()
        assert page.locator(".saew-on").count() == 5
        bridge.release()
        page.wait_for_selector(".saew[data-state=done]")

    def test_two_views_of_one_widget_agree_and_one_can_go(self, page, view):
        page.evaluate("window.bridge.mount().then(second => { window.second = second; })")
        page.wait_for_function("window.second")
        listeners = page.evaluate("window.bridge.model.listeners.length")
        page.locator(".saew").nth(1).get_by_role("button", name="signed").click()
        page.wait_for_function(
            "document.querySelectorAll('.saew')[0].querySelectorAll('[aria-pressed=true]')[2].innerText === 'signed'"
        )
        page.evaluate("window.second.close()")
        assert page.evaluate("window.bridge.model.listeners.length") == listeners / 2

    def test_a_page_of_its_own_stays_interactive(self, browser, view, tmp_path):
        page = browser.new_page()
        faults, requests = [], []
        page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else 0)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url[:5]))
        page.goto(view.to_html(tmp_path / "view.html").as_uri())
        page.wait_for_selector(".saew[data-state=silent]")
        assert "all else needs one" in page.locator(".saew-status").inner_text()
        column(page, "ablation").locator(".saew-entry").first.hover()
        assert page.locator(".saew-on").count() == 5
        page.get_by_label("k", exact=True).fill("4")
        page.get_by_label("k", exact=True).press("Enter")
        assert len(rows(page, "ablation")) == 4
        page.close()
        assert faults == []
        assert set(requests) == {"file:"}


class TestNastyText:
    def test_text_stays_text(self, bridge, show):
        lab = FakeRankingLab()
        lab.activations = lambda prompt, sae=None, mask_special=True: nasty_activations()
        lab.model.words = (*MARKUP, *LETTERS)
        lab.saes["<img src=x onerror=document.title='owned'>"] = lab.saes["wide"]
        lab.saes["mid"].labels = dict.fromkeys(range(512), "<img src=x onerror=document.title='owned'>")
        view = FeatureRanking(lab, "<script>document.title='owned'</script>", 1, 0, scope="position", feature=1)
        page = show(view)
        page.wait_for_selector(".saew-entry")
        for entry in page.locator(".saew-entry").all()[:12]:
            entry.hover()
        box = page.get_by_label("Target", exact=True)
        box.fill("<")
        page.get_by_role("option", name="</script>").first.wait_for()
        assert MARKUP[0] in page.locator(".saew-options").first.inner_text().replace("·", " ")
        assert page.title() == "bridge"
        assert page.locator(".saew :is(script, img)").count() == 0


class TestTwin:
    def test_the_static_copy_is_hidden_while_the_view_lives(self, page, view):
        page.evaluate(
            """html => {
              const copy = document.createElement("div");
              copy.className = "jp-OutputArea-child";
              copy.append(document.createRange().createContextualFragment(html));
              document.querySelector("main").prepend(copy);
              window.bridge.mount().then(second => { window.second = second; });
            }""",
            view._marked_html(),
        )
        page.wait_for_selector(".jp-OutputArea-child", state="hidden")
        page.evaluate("window.second.close()")
        page.wait_for_selector(".jp-OutputArea-child", state="visible")
