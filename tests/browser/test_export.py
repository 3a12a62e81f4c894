"""An exported notebook in Chromium, opened from disk with the network off: what lives, and that nothing else does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saewidgets.export import export_notebook
from saewidgets.export import views as views_module
from saewidgets.widgets import FeatureRanking, SteeringPanel, TokenActivations, column, row
from tests.browser.test_axe import axe, judged  # noqa: F401 - axe is a fixture
from tests.export.pages import code, html, notebook, outputs_of
from tests.export.test_cleaning import HOSTILE
from tests.widgets.fake_lab import FakeLab, random_activations
from tests.widgets.fake_ranking_lab import FakeRankingLab
from tests.widgets.fake_steering_lab import FakeSteeringLab

pytestmark = pytest.mark.browser
PROMPT = "When Mary went to the Golden Gate Bridge"

# Runs before anything of the page: what the policy stops, and what has run.
WATCH = """
window.stopped = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.stopped.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
window.ran = [];
window.x = () => window.ran.push("x");
"""


class Opened:
    """A page opened from disk: its requests, its faults, and what its policy has stopped."""

    def __init__(self, browser: Any, theme: str = "light", scripts: bool = True) -> None:
        options = {"color_scheme": theme, "java_script_enabled": scripts, "viewport": {"width": 1100, "height": 900}}
        self.context = browser.new_context(offline=True, **options)
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.denied = 0
        self.faults: list[str] = []
        self.page.add_init_script(WATCH)
        self.page.on("request", lambda request: self.requests.append(request.url[:40]))
        self.page.on("requestfailed", self.take_back)
        self.page.on("console", lambda message: self.faults.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def take_back(self, request: Any) -> None:
        """A request that the policy has stopped was announced, and not made."""
        if "csp" in str(request.failure).lower():
            self.requests.remove(request.url[:40])
            self.denied += 1

    def open(self, path: Path) -> Any:
        self.page.goto(path.as_uri())
        return self.page


@pytest.fixture
def opened(browser: Any) -> Iterator[Any]:
    made: list[Opened] = []

    def open_page(path: Path, **options: Any) -> Opened:
        made.append(Opened(browser, **options))
        made[-1].open(path)
        return made[-1]

    yield open_page
    for one in made:
        one.context.close()


@pytest.fixture
def views() -> list[Any]:
    pair = [TokenActivations(FakeLab(), PROMPT), TokenActivations(FakeLab(), "Nobody opens <b>the</b> Gate")]
    return [FeatureRanking(FakeRankingLab(), PROMPT), SteeringPanel(FakeSteeringLab(), PROMPT), row(*pair)]


def everything(views: list[Any], tmp_path: Path, hostile: Any = HOSTILE) -> Path:
    """A page with every kind of view, prose, tables, and all that a stranger may try."""
    held = [*views, *views[-1].children]
    prose = "# A title\n\nText with `code`, $a_1$ and [a link](https://example.org).\n\n| a | b |\n|--|--|\n| 1 | 2 |\n"
    cells = [code("view  # <b>", *outputs_of(view)) for view in views]
    found = notebook(prose, *cells, "\n\n".join(hostile), *[html(one) for one in hostile], views=held)
    return export_notebook(found, tmp_path / "nb.html")


@pytest.mark.parametrize("held", [True, False], ids=["from the kernel", "from saved state"])
def test_views_live_and_nothing_is_asked_of_anybody(opened, views, tmp_path, monkeypatch, held):
    if not held:
        monkeypatch.setattr(views_module, "held", {})
    one = opened(everything(views, tmp_path))
    page = one.page
    page.wait_for_function("document.querySelectorAll('.saew[data-state=silent]').length == 4")
    tokens = page.locator(".views-row .saew").first.locator(".saew-tok")
    assert tokens.all_text_contents() == list(views[-1].children[0].result.tokens)
    rows = page.locator(".views-row .saew").first.locator(".saew-right .saew-row")
    rows.nth(2).click()
    assert tokens.locator("xpath=self::*[contains(@style, 'background')]").count() > 0
    ranking = page.locator(".saew-ranking")
    ranking.locator(".saew-entry[aria-selected=false]").first.click()
    assert ranking.locator(".saew-entry[aria-selected=true]").count() > 0
    assert page.locator(".saew-twin mark").all() == [] or not any(
        mark.is_visible() for mark in page.locator(".saew-twin mark").all()
    )
    page.wait_for_timeout(200)
    assert (page.evaluate("window.stopped"), page.evaluate("window.ran"), one.faults) == ([], [], [])
    assert one.denied == 0
    assert page.title() == "A title"
    assert {request[:5] for request in one.requests} <= {"file:", "data:"}
    assert sum(request.startswith("file:") for request in one.requests) == 1


def test_the_watch_sees_what_a_page_would_do(opened, tmp_path):
    policy = "default-src 'none'; script-src 'none'"
    path = tmp_path / "bad.html"
    bad = "<img src=https://evil.example/a.png onerror=x()><script>x()</script>"
    path.write_text(f'<meta http-equiv="Content-Security-Policy" content="{policy}">{bad}')
    one = opened(path)
    one.page.wait_for_function("window.stopped.length >= 2")
    path.write_text(bad)
    one.page.goto(path.as_uri())
    one.page.wait_for_function("window.ran.length >= 1")
    assert any("evil" in request for request in one.requests)


def test_the_policy_alone_stops_a_stranger(opened, views, tmp_path):
    """The second wall: the page with all that the cleaner would have taken out."""
    path = export_notebook(notebook(code("view", *outputs_of(views[0]))), tmp_path / "nb.html")
    text = path.read_text("utf-8")
    path.write_text(
        text.replace("<main>", "<main>" + "".join(one for one in HOSTILE if "refresh" not in one), 1), "utf-8"
    )
    one = opened(path)
    one.page.wait_for_function("window.stopped.length > 5")
    assert one.page.evaluate("window.ran") == []
    assert {request[:5] for request in one.requests} <= {"file:", "data:"}


def test_without_scripts_the_twins_are_read(opened, views, tmp_path):
    one = opened(everything(views, tmp_path), scripts=False)
    text = one.page.locator("body").inner_text()
    assert "Golden Gate Bridge" in text
    assert "Nobody opens <b>the</b> Gate" in text
    assert all(twin.is_visible() for twin in one.page.locator(".saew-twin").all())
    assert len(one.requests) == 1


def test_a_view_that_cannot_be_drawn_leaves_its_twin(opened, tmp_path):
    view = TokenActivations(FakeLab(), PROMPT)
    path = view.to_html(tmp_path / "view.html")
    path.write_text(re.sub('"_data":"[^"]{9}', '"_data":"AAAAAAAAA', path.read_text("utf-8")), "utf-8")
    one = opened(path)
    one.page.wait_for_function("!document.querySelector('[data-saew]')")
    assert one.page.locator(".saew-twin").is_visible()
    assert one.page.locator(".saew").count() == 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_page(opened, views, tmp_path, axe, theme):  # noqa: F811
    one = opened(everything(views, tmp_path, ()), theme=theme)
    one.page.wait_for_function("document.querySelectorAll('.saew[data-state=silent]').length == 4")
    whole = one.page.evaluate(f"async () => {{ {axe}; return axe.run(document, {{ resultTypes: ['violations'] }}); }}")
    faults = [f"{rule['id']} {node['html'][:160]} {node['failureSummary']}" for rule in whole["violations"]
              for node in rule["nodes"]]  # fmt: skip
    assert faults == []
    found = judged(one.page, axe)
    assert found["faults"] == []
    assert found["tokens"] >= 16
    assert found["nodes"] >= 100


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_twins(opened, tmp_path, axe, theme, monkeypatch):  # noqa: F811
    view = TokenActivations(FakeLab(), PROMPT)
    found = notebook("# A title", code("import x  # a comment\nx.y('text', 3)", *outputs_of(view)))
    monkeypatch.setattr(views_module, "held", {})
    one = opened(export_notebook(found, tmp_path / "nb.html"), theme=theme)
    one.page.evaluate(axe)
    report = one.page.evaluate("async () => axe.run(document, { resultTypes: ['violations', 'passes'] })")
    faults = [f"{rule['id']} {node['html'][:160]} {node['failureSummary']}" for rule in report["violations"]
              for node in rule["nodes"]]  # fmt: skip
    assert faults == []
    judged = [node for rule in report["passes"] if rule["id"] == "color-contrast" for node in rule["nodes"]]
    assert sum("mark" in node["html"] for node in judged) >= 1


def test_five_hundred_tokens(opened, tmp_path, capsys):
    """Bytes, and milliseconds from opening to painted tokens; printed, and only the bytes are held to a limit."""
    lab: Any = FakeLab()
    result = random_activations(n=500, l0=16, d_sae=24_576)
    lab.activations = lambda prompt, sae=None, mask_special=True: result
    lab.saes["mid"] = lab._sae(result.d_sae)
    path = TokenActivations(lab, "x").to_html(tmp_path / "view.html")
    one = opened(path)
    one.page.wait_for_selector(".saew-tok[style*=background]")
    painted = one.page.evaluate(
        "() => new Promise(done => requestAnimationFrame(() => setTimeout(() => done(performance.now()), 0)))"
    )
    with capsys.disabled():
        print(f"\n500 tokens, L0 16: {path.stat().st_size:,} bytes, open to painted {painted:.0f} ms at most")
    assert one.page.locator(".saew-tok").count() == 501
    assert path.stat().st_size <= 100_000


def test_a_column_shows_both(opened, tmp_path):
    both = column(TokenActivations(FakeLab(), PROMPT), TokenActivations(FakeLab(), "Nobody opens"))
    one = opened(both.to_html(tmp_path / "both.html"))
    one.page.wait_for_function("document.querySelectorAll('.saew[data-state=silent]').length == 2")
    tops = [one.page.locator(".saew").nth(n).bounding_box()["y"] for n in (0, 1)]
    assert tops[0] < tops[1]


def test_a_chart_is_an_image_and_nothing_of_it_runs(opened, tmp_path):
    pytest.importorskip("vl_convert")
    rows = [{"way": f"{one}", "n": n} for n, one in enumerate(HOSTILE[:3])]
    encoding = {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "way", "type": "nominal"}}
    spec = {"data": {"values": rows}, "mark": "bar", "encoding": encoding, "title": "A chart", "width": 200}
    cell = code("chart", {"application/vnd.vegalite.v5+json": spec, "text/plain": "plain"})
    one = opened(export_notebook(notebook("# Charts", cell), tmp_path / "nb.html"))
    image = one.page.get_by_alt_text("A chart")
    image.wait_for()
    assert image.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 200
    assert (one.page.evaluate("window.stopped"), one.page.evaluate("window.ran"), one.faults) == ([], [], [])
    assert {request[:5] for request in one.requests} <= {"file:", "data:"}
