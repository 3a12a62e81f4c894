"""The attention view and its real script in Chromium: its own drawing, and that of circuitsvis where installed."""

from __future__ import annotations

import os
import threading

import ipywidgets
import pytest

from saewidgets.widgets import TokenActivations, circuitsvis_picture
from saewidgets.widgets.attention_patterns import AttentionPatterns
from tests.browser.bridge import pack_frame
from tests.browser.test_axe import axe, judged  # noqa: F401 - axe is a fixture
from tests.results.attentions import attention_of, random_attention
from tests.widgets.fake_attention_lab import FakeAttentionLab
from tests.widgets.fake_lab import FakeLab
from tests.widgets.nasty import LETTERS, MARKUP, PARTS

pytestmark = pytest.mark.browser
PROMPT = "When Mary and John went to the store, John gave a drink to Mary"
INSTALLED = circuitsvis_picture.find_script() is not None

# A second widget on the page, with its own socket and its own copy of the script.
SECOND = """async (id) => {
  const socket = new WebSocket(`ws://${location.host}/socket?model=${id}`);
  socket.binaryType = "arraybuffer";
  const unpack = (data) => {
    const view = new DataView(data);
    let at = 4 + view.getUint32(0, true);
    const message = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, at - 4)));
    for (const name of message.paths ?? []) {
      const size = view.getUint32(at, true);
      message.state[name] = new DataView(data, at + 4, size);
      at += 4 + size;
    }
    return message;
  };
  let model;
  await new Promise((done) => {
    socket.onmessage = async ({ data }) => {
      const message = unpack(data);
      if (message.type === "custom") model.emit("msg:custom", message.content, []);
      if (message.type === "update") model.update(message.state);
      if (message.type !== "open") return;
      model = new window.bridge.model.constructor(message.id, message.state);
      const url = URL.createObjectURL(new Blob([message.state._esm], { type: "text/javascript" }));
      const el = document.createElement("div");
      el.id = "second";
      document.querySelector("main").append(el);
      (await import(url)).default.render({ model, el });
      done();
    };
  });
}"""


@pytest.fixture
def bridge(bridge):
    """Each socket gets what its own widget says."""

    def write(frame, model):
        for socket in list(bridge.sockets):
            if socket.get_argument("model") == model:
                socket.write_message(frame, binary=True)

    def send(message, buffers):
        bridge.sent.append(message)
        bridge._loop.call_soon_threadsafe(write, pack_frame(message, buffers), message["id"])

    bridge.send = send
    return bridge


@pytest.fixture
def lab():
    return FakeAttentionLab()


@pytest.fixture
def alone(monkeypatch):
    """As if circuitsvis were not installed."""
    monkeypatch.setattr(circuitsvis_picture, "find_script", lambda: None)


@pytest.fixture
def view(bridge, lab):
    view = AttentionPatterns(lab, PROMPT, 1)
    yield view
    view.close()


def wait_for(page, view, name, value):
    """Wait until a trait has a value, while the page lives."""
    arrived = threading.Event()
    view.observe(lambda change: arrived.set() if change["new"] == value else None, name)
    if getattr(view, name) == value:
        return
    page.evaluate("0")
    assert arrived.wait(30), f"{name} is {getattr(view, name)!r}"


def nasty_lab():
    pieces = [*(text.encode() for text in (*MARKUP, *LETTERS)), *PARTS]
    found = random_attention(n=len(pieces), n_heads=3)
    lab = FakeAttentionLab()
    lab.attention = lambda prompt, layer, model=None: attention_of(found.pattern, pieces)
    return lab


def tokens(page):
    return page.locator(".saew-strip .saew-tok")


def seen(page):
    """The weights in the list of what one token looks at, by position."""
    rows = page.locator(".saew-seen")
    pairs = rows.evaluate_all("rows => rows.map(row => [row.children[1].innerText, row.children[2].innerText])")
    return {int(position): float(weight) for position, weight in pairs}


def looked_at(view, head, token):
    return {one.position: one.weight for one in view.result.by_token(token, head, 10) if one.weight >= 0.005}


@pytest.mark.usefixtures("alone")
class TestOwnDrawing:
    def test_tokens_heads_and_numbers(self, show, view):
        page = show(view)
        assert tokens(page).all_text_contents() == list(view.result.tokens)
        assert page.locator(".saew-small").count() == 7
        assert seen(page) == pytest.approx(looked_at(view, None, len(view.result) - 1), rel=0.01)
        view.head, view.token = 2, 5
        page.wait_for_function(
            "document.querySelector('.saew-looks').innerText.includes('position 5 looks at (head 2)')"
        )
        assert seen(page) == pytest.approx(looked_at(view, 2, 5), rel=0.01)

    def test_pixels_are_the_weights(self, show, view):
        view.head = 3
        page = show(view)
        page.wait_for_function("document.querySelector('.saew-frame canvas').ariaLabel?.includes('head 3')")
        alphas = page.locator(".saew-frame canvas").evaluate(
            """canvas => {
              const { width, height } = canvas;
              const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
              return Array.from({ length: height }, (_, q) =>
                Array.from({ length: q + 1 }, (_, k) => data[4 * (q * width + k) + 3] / 255));
            }"""
        )
        assert len(alphas) == len(view.result)
        for query, row in enumerate(alphas):
            assert row == pytest.approx(view.result.pattern[3, query, : query + 1].tolist(), abs=1 / 200)

    def test_choosing_by_mouse(self, show, view):
        page = show(view)
        page.locator(".saew-small").nth(3).click()
        wait_for(page, view, "head", 2)
        tokens(page).nth(4).click()
        wait_for(page, view, "token", 4)
        n = len(view.result)
        frame = page.locator(".saew-frame canvas").bounding_box()
        page.mouse.click(frame["x"] + 5, frame["y"] + frame["height"] * 9.5 / n)
        wait_for(page, view, "token", 9)
        page.locator(".saew-table .saew-row").nth(0).click()
        wait_for(page, view, "head", None)

    def test_the_keyboard_is_enough(self, show, view):
        page = show(view)
        tokens(page).first.focus()
        for key in ("ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        wait_for(page, view, "token", 2)
        page.locator(".saew-table .saew-row").first.focus()
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        wait_for(page, view, "head", 1)
        page.locator(".saew-small[tabindex='0']").focus()
        page.keyboard.press("ArrowRight")
        wait_for(page, view, "head", 2)
        free = ".saew :is(button, input, select, textarea, [tabindex]):not([data-lm-suppress-shortcuts=true])"
        assert page.locator(free).count() == 0

    def test_another_layer_and_prompt(self, show, view, lab):
        page = show(view)
        page.get_by_label("Layer", exact=True).select_option("3")
        wait_for(page, view, "layer", 3)
        page.get_by_label("Prompt", exact=True).fill("two words")
        page.wait_for_function("document.querySelectorAll('.saew-strip .saew-tok').length === 3")
        assert (view.result.layer, lab.runs[-1]) == (3, ("two words", 3))

    def test_an_error_keeps_the_picture(self, show, view):
        page = show(view)
        page.get_by_label("Prompt", exact=True).fill("")
        page.wait_for_selector(".saew-error:visible")
        assert "type a prompt" in page.locator(".saew-error").inner_text()
        assert tokens(page).count() == len(view.result)

    def test_text_stays_text(self, bridge, show):
        page = show(AttentionPatterns(nasty_lab(), "<img src=x onerror=document.title='owned'>"))
        assert "<bos>" in tokens(page).all_text_contents()
        assert page.title() == "bridge"
        assert page.locator(".saew :is(script, img, svg)").count() == 0

    def test_500_tokens(self, bridge, show):
        lab = FakeAttentionLab()
        lab.attention = lambda prompt, layer, model=None: random_attention(n=500, n_heads=12)
        page = show(AttentionPatterns(lab, "long"))
        assert tokens(page).count() == 256
        assert page.locator(".saew-notes b").inner_text() == "showing 256 of 500 tokens"

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_axe_finds_nothing(self, show, view, axe, theme):  # noqa: F811
        view.head, view.token = 1, 4
        page = show(view, theme)
        page.wait_for_function("document.querySelector('.saew-tok[aria-selected=true]')")
        found = judged(page, axe)
        assert found["faults"] == []
        assert found["nodes"] >= 40
        assert found["tokens"] >= 14


class TestExported:
    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_the_page_is_complete_without_a_kernel(self, browser, bridge, view, axe, theme, tmp_path):  # noqa: F811
        view.head = 2
        path = view.to_html(tmp_path / "view.html")
        context = browser.new_context(offline=True, color_scheme=theme)
        page = context.new_page()
        faults, requests = [], []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: requests.append(request.url[:5]))
        page.goto(path.as_uri())
        page.wait_for_selector(".saew[data-state=silent]")
        assert tokens(page).all_text_contents() == list(view.result.tokens)
        assert page.locator(".saew-frame canvas").is_visible()
        tokens(page).nth(3).click()
        assert seen(page) == pytest.approx(looked_at(view, 2, 3), rel=0.01)
        assert judged(page, axe)["faults"] == []
        context.close()
        assert faults == []
        assert set(requests) == {"file:"}
        assert path.stat().st_size < 100_000

    def test_without_scripts_the_twin_is_read(self, browser, bridge, view, tmp_path):
        path = view.to_html(tmp_path / "view.html")
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(path.as_uri())
        assert "head 5" in page.locator(".saew-twin").inner_text()
        assert page.locator("mark").count() > 0
        context.close()


@pytest.fixture
def drawn(show):
    """A function: a view -> its page with the picture of circuitsvis."""
    if not INSTALLED:
        reason = "circuitsvis is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)

    def open_page(view, theme="light"):
        page = show(view, theme)
        page.wait_for_selector(".saew-cv .tokens button:visible")
        return page

    return open_page


def buttons(page):
    return page.locator(".saew-cv .tokens button")


class TestCircuitsVis:
    def test_it_takes_the_place_of_our_own(self, drawn, view):
        page = drawn(view)
        assert buttons(page).all_text_contents() == [token.replace(" ", "·") for token in view.result.tokens]
        assert page.locator(".saew-cv figure canvas").count() == 6
        assert not page.locator(".saew-own").is_visible()
        assert "drawn by circuitsvis" in page.locator(".saew-notes").inner_text()
        assert page.evaluate("globalThis._tfengine.backendName") == "cpu"  # others take seconds

    def test_it_draws_the_weights(self, drawn, view):
        page = drawn(view)
        head = page.locator(".saew-cv figure canvas").nth(2)
        page.wait_for_function("document.querySelectorAll('.saew-cv figure canvas')[2].width === 15")
        # Its lightness is 1 - 0.75 of the weight; the sum of the largest and the least channel is twice that.
        light = head.evaluate(
            """canvas => {
              const { width, height } = canvas;
              const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
              return Array.from({ length: height }, (_, q) => Array.from({ length: width }, (_, k) => {
                const pixel = [...data.slice(4 * (q * width + k), 4 * (q * width + k) + 3)];
                return (Math.max(...pixel) + Math.min(...pixel)) / 510;
              }));
            }"""
        )
        assert len(light) == len(view.result) == 15
        for query, row in enumerate(light):
            assert row == pytest.approx((1 - 0.75 * view.result.pattern[2, query]).tolist(), abs=0.01)

    def test_tokens_are_chosen_there_and_in_python(self, drawn, view):
        page = drawn(view)
        buttons(page).nth(6).click()
        wait_for(page, view, "token", 6)
        view.token = 3
        page.wait_for_function("document.querySelectorAll('.tokens button')[3].ariaPressed === 'true'")
        page.mouse.move(0, 0)
        page.wait_for_function("document.querySelectorAll('.tokens button')[3].style.boxShadow")
        assert seen(page) == pytest.approx(looked_at(view, None, 3), rel=0.01)
        page.locator(".saew-cv figure").nth(4).click()
        wait_for(page, view, "head", 4)
        buttons(page).nth(3).click()
        wait_for(page, view, "token", None)
        page.wait_for_function("document.querySelectorAll('.tokens [aria-pressed=true]').length === 0")
        page.wait_for_function("document.querySelectorAll('.saew-cv figure canvas')[4].ariaPressed === 'true'")

    def test_the_keyboard_walks_tokens_and_heads(self, drawn, view):
        page = drawn(view)
        buttons(page).first.focus()
        for key in ("ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        wait_for(page, view, "token", 2)
        page.locator(".saew-cv figure canvas").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        wait_for(page, view, "head", 1)

    def test_another_layer_is_drawn(self, drawn, view):
        page = drawn(view)
        view.head, view.token = 1, 2
        page.get_by_label("Layer", exact=True).select_option("2")
        wait_for(page, view, "layer", 2)
        page.wait_for_function("document.querySelector('.saew-notes').innerText.includes('blocks.2.')")
        page.wait_for_function("document.querySelectorAll('.saew-cv .tokens').length === 1")
        page.wait_for_function("document.querySelectorAll('.tokens button')[2].ariaPressed === 'true'")

    def test_hostile_tokens_are_text_and_run_nothing(self, drawn, bridge):
        view = AttentionPatterns(nasty_lab(), "<script>document.title='owned'</script>")
        page = drawn(view)
        shown = buttons(page).all_text_contents()
        assert shown[:9] == [text.replace(" ", "·") for text in MARKUP]
        for position in range(len(MARKUP)):
            buttons(page).nth(position).click()
        buttons(page).nth(1).hover()
        assert page.title() == "bridge"
        assert page.locator(".saew :is(script, img, svg)").count() == 0

    def test_the_script_comes_once_for_two_views_and_two_widgets(self, drawn, view, lab, bridge):
        other = AttentionPatterns(lab, "another prompt", 0)
        page = drawn(view)
        page.evaluate("window.bridge.mount().then(() => {})")
        page.evaluate(SECOND, other.model_id)
        page.wait_for_function("document.querySelectorAll('.saew-cv:not([hidden]) .tokens').length === 3")
        page.wait_for_selector("#second .saew-cv .tokens button:visible")
        sent = [message for message in bridge.sent if message.get("content", {}).get("op") == "script"]
        assert len(sent) == 1
        assert len(sent[0]["content"]["library"]) < 600_000
        state = bridge.comms[view.model_id].state
        assert sum(len(str(value)) for value in state.values()) < 60_000

    def test_in_a_shadow_root(self, drawn, view):
        page = drawn(view)
        page.evaluate(
            """async () => {
              const { model } = window.bridge;
              const host = document.createElement("div");
              document.querySelector("main").append(host);
              const el = document.createElement("div");
              host.attachShadow({ mode: "open" }).append(el);
              const url = URL.createObjectURL(new Blob([model.get("_esm")], { type: "text/javascript" }));
              (await import(url)).default.render({ model, el });
              window.inner = el;
            }"""
        )
        page.wait_for_function("window.inner.querySelectorAll('.saew-cv:not([hidden]) .tokens button').length === 15")
        page.evaluate("window.inner.querySelectorAll('.tokens button')[5].click()")
        wait_for(page, view, "token", 5)

    def test_a_token_of_the_token_view_is_a_token_here(self, drawn, show, view):
        activations = TokenActivations(FakeLab(), PROMPT)
        link = ipywidgets.link((activations, "token"), (view, "token"))
        page, other = drawn(view), show(activations)
        other.locator(".saew-tok").nth(7).click()
        page.wait_for_function("document.querySelectorAll('.tokens button')[7].ariaPressed === 'true'")
        buttons(page).nth(9).click()
        other.wait_for_function("document.querySelectorAll('.saew-tok')[9].ariaSelected === 'true'")
        assert (view.token, activations.token) == (9, 9)
        link.unlink()

    def test_a_closed_view_leaves_no_picture(self, drawn, view):
        page = drawn(view)
        page.evaluate("window.bridge.first.close()")
        assert page.locator(".saew-cv, .tokens, [id^=saew-cv]").count() == 0

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_axe_finds_nothing(self, drawn, view, axe, theme):  # noqa: F811
        view.head, view.token = 1, 4
        page = drawn(view, theme)
        page.wait_for_function("document.querySelectorAll('.tokens button')[4].ariaPressed === 'true'")
        found = judged(page, axe)
        assert found["faults"] == []
        assert found["nodes"] >= 40
