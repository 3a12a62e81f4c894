"""Labels are edited in place in each view, in Chromium, and appear in the others at once; presets in the panel."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from playwright.sync_api import expect

import saewidgets as sw
from saewidgets.widgets import FeatureRanking, SteeringPanel, TokenActivations
from tests.browser.test_axe import AXE, judged

pytestmark = pytest.mark.browser

PROMPT = "The capital of France is"
HOSTILE = "<img src=x onerror=alert(1)> \u202eevil"


@pytest.fixture
def lab(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")
    return sw.demo()


@pytest.fixture
def live(bridge, show, lab):
    """The three views of one feature, each on a page of its own."""
    sae = next(iter(lab.saes))
    feature = lab.activations(PROMPT, sae=sae).top(1)[0].feature
    name = f"{sae}/{feature}"
    tokens = TokenActivations(lab, PROMPT, feature=name)
    ranking = FeatureRanking(lab, PROMPT, " Paris", feature=name)
    panel = SteeringPanel(lab, PROMPT, sw.steering.set(name, 2), max_new_tokens=4)
    pages = {view: show(view) for view in (tokens, ranking, panel)}
    yield SimpleNamespace(
        name=name, index=feature, views=SimpleNamespace(tokens=tokens, ranking=ranking, panel=panel),
        tokens=pages[tokens], ranking=pages[ranking], panel=pages[panel],
    )  # fmt: skip
    for view in pages:
        view.close()


def label_in(live, kind):
    """Where a view shows the label of the feature."""
    page = getattr(live, kind)
    if kind == "tokens":
        return page.locator(f".saew-right .saew-row[data-feature='{live.index}'] .saew-label")
    if kind == "ranking":
        return page.locator(".saew-readout .saew-faint").first
    return page.locator(".saew-title .saew-faint").last


def spot(live, kind):
    """What is clicked twice."""
    page = getattr(live, kind)
    if kind == "tokens":
        return page.locator(f".saew-right .saew-row[data-feature='{live.index}'] .saew-name")
    if kind == "ranking":
        return page.locator(".saew-list").first.locator(".saew-entry", has_text=f"{live.index}").first
    return page.locator(".saew-title")


def field(page):
    return page.locator(".saew-rename")


@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_a_double_click_edits_and_all_views_follow(live, lab, kind):
    page = getattr(live, kind)
    spot(live, kind).dblclick()
    expect(field(page)).to_be_focused()
    expect(field(page)).to_have_attribute("aria-label", f"Label {live.name}")
    page.keyboard.type("xdab capitals")  # keys that Jupyter and the views know
    page.keyboard.press("Enter")
    expect(field(page)).to_be_hidden()
    for each in ("tokens", "ranking", "panel"):
        expect(label_in(live, each)).to_have_text("xdab capitals")
    assert lab.label(live.name) == "xdab capitals"
    lab.annotations.undo()
    for each in ("tokens", "ranking", "panel"):
        expect(label_in(live, each)).to_have_text("")


@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_the_field_lies_over_what_it_names(live, kind):
    page = getattr(live, kind)
    spot(live, kind).dblclick()
    over, under = field(page).bounding_box(), spot(live, kind).bounding_box()
    assert over["y"] < under["y"] + under["height"]
    assert under["y"] < over["y"] + over["height"]
    assert under["x"] < over["x"] < under["x"] + 120
    root = page.locator(".saew").bounding_box()
    assert over["x"] + over["width"] <= root["x"] + root["width"]


@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_a_pen_does_the_same_and_the_focus_comes_back(live, lab, kind):
    page = getattr(live, kind)
    pen = page.get_by_role("button", name=f"Label {live.name}")
    expect(pen).to_be_visible()
    pen.focus()
    page.keyboard.press("Enter")
    expect(field(page)).to_be_focused()
    page.keyboard.type("capitals")
    page.keyboard.press("Enter")
    expect(label_in(live, kind)).to_have_text("capitals")
    expect(pen).to_be_focused()
    page.keyboard.press("Enter")
    expect(field(page)).to_have_value("capitals")
    page.keyboard.press("Escape")
    expect(pen).to_be_focused()
    assert len(lab.annotations) == 1


def test_a_row_of_the_ranking_stays_under_the_mouse_however_long_labels_are(live, lab):
    page = live.ranking
    lab.annotate(live.name, label="a label that is so long that what is told of the feature takes two lines " * 2)
    second = page.locator(".saew-list").first.locator(".saew-entry").nth(1)
    index = second.locator("b").inner_text()
    second.dblclick()
    expect(field(page)).to_have_attribute("aria-label", f"Label {live.name.split('/')[0]}/{index}")
    expect(field(page)).to_be_focused()


@pytest.mark.parametrize("kind", ["tokens", "ranking"])
def test_f2_on_a_row_and_the_row_keeps_the_focus(live, kind):
    page = getattr(live, kind)
    row = page.locator(".saew-right .saew-row" if kind == "tokens" else ".saew-entry").first
    row.focus()
    page.keyboard.press("F2")
    expect(field(page)).to_be_focused()
    page.keyboard.type("first")
    page.keyboard.press("Enter")
    expect(row).to_contain_text("first")
    expect(row).to_be_focused()


@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_what_is_refused_stays_to_be_mended(live, kind):
    page = getattr(live, kind)
    page.get_by_role("button", name=f"Label {live.name}").click()
    field(page).fill("x" * 1001)
    field(page).press("Enter")
    expect(page.locator(".saew-error")).to_contain_text("1,001 characters")
    expect(field(page)).to_have_value("x" * 1001)
    field(page).fill("short")
    field(page).press("Enter")
    expect(field(page)).to_be_hidden()
    expect(page.locator(".saew-error")).to_be_hidden()
    expect(label_in(live, kind)).to_have_text("short")


@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_hostile_labels_are_text(live, lab, kind):
    lab.annotate(live.name, label=HOSTILE)
    expect(label_in(live, kind)).to_have_text("<img src=x onerror=alert(1)> \\u202eevil")
    assert getattr(live, kind).locator(".saew img").count() == 0


@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_notes_are_shown_line_by_line_as_text(live, lab, kind):
    remarks = getattr(live, kind).locator(".saew-remarks")
    expect(remarks).to_be_empty()
    lab.annotate(live.name, note=f"{HOSTILE}\nand more")
    shown = f"{live.name}: <img src=x onerror=alert(1)> \\u202eevil\nand more"
    expect(remarks).to_have_text(shown, use_inner_text=True)
    assert remarks.locator("img").count() == 0
    lab.annotations.undo()
    expect(remarks).to_be_empty()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["tokens", "ranking", "panel"])
def test_axe_finds_nothing_while_a_label_is_edited(live, show, lab, kind, theme):
    if not AXE.exists():
        pytest.skip("axe-core is not there: run make js")
    lab.annotate(live.name, label="capitals", note="of countries")
    lab.save_preset("calm", list(live.views.panel.edits))
    page = show(getattr(live.views, kind), theme)
    page.get_by_role("button", name=f"Label {live.name}").click()
    expect(field(page)).to_be_focused()
    assert judged(page, AXE.read_text(encoding="utf-8"))["faults"] == []


def test_presets_are_kept_listed_and_loaded(live, lab):
    page = live.panel
    page.get_by_role("button", name="keep as …").click()
    field(page).fill("calm")
    field(page).press("Enter")
    presets = page.get_by_label("Presets of the lab")
    expect(presets.locator("option")).to_have_text(["presets", "calm"])
    lab.save_preset("loud", sw.steering.ablate(live.name))
    expect(presets.locator("option")).to_have_text(["presets", "calm", "loud"])
    presets.select_option("loud")
    expect(page.get_by_label(f"Operation of {live.name}")).to_have_value("ablate")
    expect(presets).to_have_value("")
