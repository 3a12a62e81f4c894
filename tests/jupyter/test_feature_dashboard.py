"""FeatureDashboard in a real JupyterLab and Notebook 7, on the bundled model and the index that is shipped."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.jupyter.notebook_page import NotebookPage, opened
from tests.jupyter.server import Server

SAE = "mid-topk-2048"
FIRST = f"{SAE}/336"
PROMPT = "They met at the Golden Gate Bridge."
OTHER = "Who built the Golden Gate Bridge?"
LABEL = "Golden (Gate Bridge)"
KNOWN = '''
def examples(name, of="top"):
    """One list of a feature's examples, "top" or an interval from 1."""
    stats = lab.feature(name)
    return stats.top if of == "top" else stats.intervals[of - 1].examples

def words(name, of="top", n=None):
    """The tokens of each example, n of them on both sides of the peak, or all."""
    spans = [each.around(n, n) if n else (0, len(each)) for each in examples(name, of)]
    return [list(each.tokens.strings[a:b]) for each, (a, b) in zip(examples(name, of), spans, strict=True)]

def values(name, of="top"):
    """How strongly the feature fires on each of them."""
    found = lab.activations([each.ids.tolist() for each in examples(name, of)], sae=name.split("/")[0])
    return [each.feature(int(name.split("/")[1])).tolist() for each in found]

def scores():
    """All ratings of examples: the feature, the text, the score."""
    return sorted(
        (each.target.feature, each.target.prompt, rating.score)
        for each in lab.annotations.annotations("example") for rating in each.ratings
    )
'''
CELLS = (
    "import saewidgets as sw\nlab = sw.demo()",
    f'view = sw.FeatureDashboard(lab, "{FIRST}")\nview',
    f'beside = sw.TokenActivations(lab, "{PROMPT}", feature="{FIRST}")\nbeside',
    KNOWN,
)
# What the page shows of each example, token by token; NaN where the model has not read it.
READ = """([what, selector]) => [...document.querySelectorAll(selector)].map((row) =>
  [...row.querySelectorAll(".saew-tok")].map((cell) => ({
    text: cell.textContent,
    value: Number(/, ([-.\\de]+)(, peak)?$/.exec(cell.ariaLabel)?.[1] ?? NaN),
    coloured: "level" in cell.dataset,
  })[what]))"""
SHOWS = f"([what, selector, wanted]) => JSON.stringify(({READ})([what, selector])) === JSON.stringify(wanted)"
WHOLE = f"(selector) => ({READ})(['value', selector]).flat().every((value) => !Number.isNaN(value))"
EXAMPLES, OWN, CARD = ".saew-example", ".saew-own", ".saew-card"


@pytest.fixture(scope="module")
def notebook(browser: Browser, server: Server) -> Iterator[NotebookPage]:
    """One notebook with one dashboard, on which all tests of this module work."""
    with opened(browser, server) as notebook:
        notebook.write("dashboard.ipynb", *CELLS)
        notebook.open("dashboard.ipynb")
        notebook.run_all()
        yield notebook


@pytest.fixture
def live(notebook: NotebookPage) -> NotebookPage:
    """The dashboard with the top examples of the first feature."""
    notebook.python(f"[setattr(view, *pair) for pair in (('tab', 'feature'), ('feature', '{FIRST}'))][0]")
    view = view_of(notebook)
    expect(view.locator(".saew-id")).to_have_text(FIRST)
    view.scroll_into_view_if_needed()
    view.get_by_role("radio", name="top examples").click()
    view.get_by_role("radio", name="\u00b15").click()
    return notebook


def view_of(notebook: NotebookPage) -> Locator:
    return notebook.page.locator(".saew-dashboard")


def heading(notebook: NotebookPage) -> Locator:
    return view_of(notebook).get_by_role("spinbutton", name="Feature", exact=True)


def number(value: float) -> str:
    """Three significant digits, as the script writes them."""
    return f"{value:#.3g}".rstrip(".")


def percent(share: float) -> str:
    return "<0.01%" if 0 < share < 1e-4 else f"{100 * share:.{2 if share < 0.1 else 1}f}%"


def numbers(text: str) -> list[float]:
    return [float(part.replace(",", "")) for part in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


def near(wanted: Any) -> Any:
    """Numbers that are shown with three digits, or as percentages with two decimals."""
    return pytest.approx(wanted, rel=6e-3, abs=6e-3)


def expect_tokens(notebook: NotebookPage, wanted: list[list[str]], where: str = EXAMPLES) -> None:
    """Wait until these tokens are on the page, row by row."""
    notebook.page.wait_for_function(SHOWS, arg=["text", where, wanted])


def expect_values(notebook: NotebookPage, wanted: list[list[float]], where: str = EXAMPLES) -> None:
    """Every token tells its activation, and is coloured where it has one."""
    notebook.page.wait_for_function(WHOLE, arg=where)
    shown = notebook.page.evaluate(READ, ["value", where])
    assert [len(row) for row in shown] == [len(row) for row in wanted]
    assert [*chain(*shown)] == near([*chain(*wanted)])
    fires = [[value > 0 for value in row] for row in wanted]
    assert notebook.page.evaluate(READ, ["coloured", where]) == fires


def expect_what_python_has(notebook: NotebookPage, name: str) -> None:
    """The number, the facts and the top examples on the page are those of this feature's index."""
    view = view_of(notebook)
    expect(view.locator(".saew-id")).to_have_text(name)
    expect(view).not_to_have_class(re.compile("saew-behind"))
    count, density, most = notebook.python(f"(lambda s: (s.count, s.density, s.max))(lab.feature({name!r}))")
    facts = view.locator(".saew-facts")
    expect(facts).to_contain_text(f"fires on {percent(density)} of tokens")
    expect(facts).to_contain_text(f"{count:,} of ")
    expect(facts).to_contain_text(f"max {number(most)}")
    expect_tokens(notebook, notebook.python(f"words({name!r}, n=5)"))


def test_what_is_shown_is_what_python_has(live: NotebookPage, screenshots: Path) -> None:
    expect_what_python_has(live, FIRST)
    view = view_of(live)
    effects = (
        "[[e.token.replace(' ', '\u00b7') for e in getattr(view.result.logits, side)] for side in ('top', 'bottom')]"
    )
    ends = live.python(effects)
    for name, tokens in zip(("raises", "lowers"), ends, strict=True):
        expect(view.get_by_role("table", name=name).get_by_role("rowheader")).to_have_text(tokens)
    parts = live.python("[(i.low, i.high, 100 * i.share, 100 * i.mass_share, i.count) for i in view.result.intervals]")
    bars = view.get_by_role("radiogroup", name="Examples to show").locator("[aria-label]")
    told = bars.evaluate_all("bars => bars.map((bar) => bar.ariaLabel)")
    assert len(told) == len(parts) == 10
    for n, (text, part) in enumerate(zip(told, parts, strict=True), 1):
        assert numbers(text)[:5] == near([n, *part[:4]])
        assert numbers(text)[5] == pytest.approx(part[4], abs=0.51)
    assert live.screenshot(screenshots, f"feature-dashboard-{live.server.app}").stat().st_size > 10_000


def test_examples_of_an_interval_tell_the_activation_of_every_token(live: NotebookPage) -> None:
    view = view_of(live)
    view.get_by_role("radio", name="full").click()
    expect_tokens(live, live.python(f"words({FIRST!r})"))
    expect_values(live, live.python(f"values({FIRST!r})"))
    view.get_by_role("radio", name=re.compile("^interval 3,")).click()
    expect_tokens(live, live.python(f"words({FIRST!r}, 3)"))
    expect_values(live, live.python(f"values({FIRST!r}, 3)"))


def test_arrow_keys_page_and_python_follows(live: NotebookPage) -> None:
    heading(live).press("ArrowRight")
    live.wait_for_python("view.feature", f"{SAE}/337")
    expect_what_python_has(live, f"{SAE}/337")
    for _ in range(2):
        live.page.keyboard.press("ArrowLeft")
    live.wait_for_python("view.feature", f"{SAE}/335")
    for _ in range(30):
        live.page.keyboard.press("ArrowRight")
    live.wait_for_python("(view.feature, str(view.result.feature))", (f"{SAE}/365", f"{SAE}/365"))
    expect_what_python_has(live, f"{SAE}/365")
    expect(heading(live)).to_be_focused()
    jump = view_of(live).get_by_label("Go to feature number")
    jump.fill("1483")
    jump.press("Enter")
    live.wait_for_python("view.feature", f"{SAE}/1483")
    expect_what_python_has(live, f"{SAE}/1483")


def test_a_label_typed_in_place_is_kept_and_shown_beside(live: NotebookPage) -> None:
    field = view_of(live).get_by_label("Label", exact=True)
    field.fill(LABEL)
    field.press("Enter")
    live.wait_for_python(f"lab.annotation({FIRST!r}).label", LABEL)
    beside = live.page.locator(".saew:not(.saew-dashboard)")
    beside.locator(".saew-prompt").fill(OTHER)
    expect(beside.locator(".saew-chip .saew-label")).to_have_text(LABEL)
    live.python(f"lab.annotate({FIRST!r}, label='bridges', note='of San Francisco') and None")
    expect(field).to_have_value("bridges")
    expect(view_of(live).get_by_label("Note", exact=True)).to_have_value("of San Francisco")


def test_a_text_of_ones_own_is_coloured_as_python_says(live: NotebookPage) -> None:
    view_of(live).get_by_label("Your own text").fill(OTHER)
    live.wait_for_python("view.prompt", OTHER)
    strings, values = live.python(
        f"(lambda a: (list(a.prompt_tokens.strings), a.feature(336).tolist()))(lab.activations({OTHER!r}, sae={SAE!r}))"
    )
    expect_tokens(live, [strings], OWN)
    expect_values(live, [values], OWN)
    assert max(values) > 5


def test_the_table_is_sorted_and_opens_a_feature(live: NotebookPage) -> None:
    view = view_of(live)
    view.get_by_role("tab", name="All features").click()
    grid = view.get_by_role("grid", name="All features")
    expect(grid.get_by_role("row").nth(1).get_by_role("gridcell").first).to_have_text("0")
    view.get_by_role("button", name="max", exact=True).click()
    best = live.python(f"(-lab.indexes[{SAE!r}].max).argsort(kind='stable')[:8].tolist()")
    most = live.python(f"lab.indexes[{SAE!r}].max[{best}].tolist()")
    for n, (feature, largest) in enumerate(zip(best, most, strict=True), 1):
        cells = grid.get_by_role("row").nth(n).get_by_role("gridcell")
        expect(cells.first).to_have_text(str(feature))
        expect(cells.nth(3)).to_have_text(number(largest))
    grid.press("ArrowDown")
    grid.press("Enter")
    live.wait_for_python("(view.feature, view.tab)", (f"{SAE}/{best[1]}", "feature"))
    expect_what_python_has(live, f"{SAE}/{best[1]}")


def test_a_pattern_is_scored_as_python_does(live: NotebookPage) -> None:
    view = view_of(live)
    view.get_by_role("tab", name="Specificity").click()
    pattern = view.get_by_label("Pattern or tokens")
    pattern.fill("Golden|Gate")
    pattern.press("Enter")
    slider = view.get_by_role("slider", name="Threshold")
    slider.focus()
    for _ in range(4):
        slider.press("PageUp")
    found = f"lab.specificity({FIRST!r}, 'Golden|Gate')"
    kept = live.python(
        f"(lambda t: [t.activation, *(100 * x for x in (t.precision, t.precision_low, t.precision_high,"
        f" t.recall_of_firings, t.share, t.mass))])({found}.at(0.4))"
    )
    figures = view.locator(".saew-figure b").all_inner_texts()
    assert numbers(" ".join(figures)) == near(kept)
    parts = live.python(f"[(100 * i.precision, i.n) for i in {found}.intervals if i.n]")
    told = view.locator(".saew-stack").evaluate_all("stacks => stacks.map((one) => one.parentNode.ariaLabel)")
    shown = [numbers(text.partition("precision ")[2]) for text in told if "none scored" not in text]
    assert [(text[0], text[-1]) for text in shown] == [near(part) for part in parts]
    assert live.python(f"view.specificity.overall_precision == {found}.overall_precision")


def test_three_blind_ratings_by_key_are_kept(live: NotebookPage) -> None:
    view = view_of(live)
    view.get_by_role("tab", name="Specificity").click()
    view.get_by_role("button", name="Rate examples blind").click()
    card = view.locator(CARD)
    expect(card).to_be_focused()
    rated = []
    for n, score in enumerate((3, 0, 2), 1):
        assert live.page.evaluate(READ, ["coloured", CARD]) == [[False] * card.locator(".saew-tok").count()]
        rated.append((score, "".join(live.page.evaluate(READ, ["text", CARD])[0])))
        live.page.keyboard.press(str(score))
        expect(view.locator(".saew-rating .saew-note").first).to_contain_text(f"{n} of ")
    live.wait_for_python("len(scores())", 3)
    kept = live.python("scores()")
    assert {feature for feature, _, _ in kept} == {336}
    for score, text in rated:
        assert any(score == given and text.replace("<|bos|>", "") in prompt for _, prompt, given in kept)


def test_keys_in_the_dashboard_are_no_shortcuts_of_the_notebook(live: NotebookPage) -> None:
    cells, view = live.n_cells(), view_of(live)

    def press(*parts: Locator) -> None:
        for part in parts:
            part.focus()
            for key in ("b", "a", "x", "Escape"):  # below, above, cut: one cell more, if the notebook heard them
                live.page.keyboard.press(key)

    own = view.get_by_label("Your own text")
    press(heading(live), view.get_by_label("Label", exact=True), own, view.locator(".saew-example .saew-tok").first)
    press(view.get_by_role("radio", name="top examples"), view.get_by_role("tab", name="Feature", exact=True))
    view.get_by_role("tab", name="All features").click()
    press(view.get_by_role("grid", name="All features"), view.get_by_role("searchbox", name="Filter"))
    view.get_by_role("tab", name="Specificity").click()
    press(view.get_by_label("Pattern or tokens"), view.get_by_role("button", name="Rate examples blind"))
    assert live.n_cells() == cells
    live.wait_for_python("view.feature", FIRST)


def test_python_reached_no_address_outside(live: NotebookPage) -> None:
    assert live.hosts_reached_by_python() == []


def test_a_notebook_opened_without_its_kernel_shows_the_twin(
    live: NotebookPage, browser: Browser, server: Server
) -> None:
    live.save()
    shutil.copy(server.folder / "dashboard.ipynb", server.folder / "cold.ipynb")
    text = "".join(live.python(f"words({FIRST!r}, n=5)[0]"))
    with opened(browser, server) as reader:
        reader.open("cold.ipynb")
        twin = reader.page.locator(".saew-twin").first
        expect(twin).to_be_visible()
        expect(twin.locator("table").first).to_be_visible()
        expect(twin).to_contain_text(FIRST)
        expect(twin).to_contain_text(text.strip())
