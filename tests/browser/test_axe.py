"""axe-core finds nothing wrong, in light and dark, and did judge the tokens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saewidgets.widgets import FeatureRanking, TokenActivations
from tests.widgets.fake_lab import FakeLab
from tests.widgets.fake_ranking_lab import FakeRankingLab

AXE = Path(__file__).resolve().parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
PROMPT = "The Golden Gate Bridge opens at dawn,\nand nobody in San Francisco minds the\tfog <bos> at all."

# axe-core does not judge text on a gradient, and every tint of ours is one: put its own colour in its place. Layers
# that are bands below the text (a few px high) are left out.
FLATTEN = """() => {
  for (const element of document.querySelectorAll('.saew *')) {
    const style = getComputedStyle(element);
    if (!style.backgroundImage.includes('gradient')) continue;
    const sizes = style.backgroundSize.split(', ');
    const layers = style.backgroundImage.split(/, (?=(?:repeating-)?linear-gradient)/);
    const behind = layers.filter((_, i) => !/ \\dpx$/.test(sizes[i] ?? ''));
    const alpha = (colour) => Number(colour.match(/[,/] *([\\d.]+)\\)$/)?.[1] ?? 1);
    const colours = behind.flatMap((layer) => layer.match(/(rgba?|color)\\([^)]*\\)/g) ?? []);
    element.style.background = colours.sort((a, b) => alpha(b) - alpha(a))[0] ?? 'none';
  }
}"""
JUDGE = "async () => axe.run('.saew', { resultTypes: ['violations', 'incomplete', 'passes'] })"


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists():
        pytest.skip("axe-core is not there: run make js")
    return AXE.read_text(encoding="utf-8")


def judged(page: Any, axe: str) -> dict[str, Any]:
    """What axe-core says of the view: faults as text, and on how many nodes it judged the contrast."""
    page.evaluate(axe)
    page.evaluate(FLATTEN)
    report = page.evaluate(JUDGE)
    faults = [
        f"{rule['id']}: {node['html'][:120]} {node['failureSummary']}"
        for rule in report["violations"]
        for node in rule["nodes"]
    ]
    judged = [node["html"] for rule in report["passes"] if rule["id"] == "color-contrast" for node in rule["nodes"]]
    return {
        "faults": faults,
        "tokens": sum("saew-tok" in html for html in judged),
        "nodes": len(judged),
        "rules": len(report["passes"]),
    }


@pytest.fixture
def view(bridge: Any) -> TokenActivations:
    return TokenActivations(FakeLab(), PROMPT)


def one_feature_and_a_token(view: TokenActivations) -> None:
    view.token = 3


def six_features(view: TokenActivations) -> None:
    view.features = [activity.feature for activity in view.result.top(6, by="count")]


def an_error(view: TokenActivations) -> None:
    view.prompt = ""
    assert view.result is not None
    assert view.error


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", [one_feature_and_a_token, six_features, an_error], ids=lambda state: state.__name__)
def test_axe_finds_nothing(
    show: Callable[..., Any], view: TokenActivations, axe: str, state: Callable[..., None], theme: str
) -> None:
    state(view)
    page = show(view, theme=theme)
    page.wait_for_function("document.querySelectorAll('.saew-tok').length > 10")
    found = judged(page, axe)
    assert found["faults"] == []
    assert found["rules"] >= 10
    assert found["nodes"] >= 40
    assert found["tokens"] >= 16


def positions(page: Any, ranking: FeatureRanking) -> None:
    del page
    ranking.scope = "position"
    ranking.feature = int(ranking.result.features[0])


def completions(page: Any, ranking: FeatureRanking) -> None:
    del ranking
    box = page.get_by_label("Target", exact=True)
    box.fill(" Pa")
    page.get_by_role("option", name="·Parma").wait_for()
    box.press("ArrowDown")


def a_target_that_is_none(page: Any, ranking: FeatureRanking) -> None:
    ranking.target = "nonsense"
    assert ranking.result is not None
    page.wait_for_selector(".saew-error:visible")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("state", [positions, completions, a_target_that_is_none], ids=lambda state: state.__name__)
def test_axe_finds_nothing_in_a_ranking(
    bridge: Any, show: Callable[..., Any], axe: str, state: Callable[..., None], theme: str
) -> None:
    ranking = FeatureRanking(FakeRankingLab(), PROMPT, " Paris", " Rome")
    page = show(ranking, theme=theme)
    page.wait_for_selector(".saew-entry")
    state(page, ranking)
    found = judged(page, axe)
    assert found["faults"] == []
    assert found["rules"] >= 15
    assert found["nodes"] >= 60


def test_axe_sees_a_fault(show: Callable[..., Any], view: TokenActivations, axe: str) -> None:
    page = show(view)
    page.wait_for_function("document.querySelectorAll('.saew-tok').length > 10")
    page.evaluate("document.querySelectorAll('.saew-tok').forEach((token) => { token.style.color = '#ccc'; })")
    page.evaluate("document.querySelector('.saew-prompt').removeAttribute('aria-label')")
    page.evaluate("document.querySelector('.saew-prompt').removeAttribute('placeholder')")
    rules = {fault.split(":")[0] for fault in judged(page, axe)["faults"]}
    assert {"color-contrast", "label"} <= rules
