"""A notebook has the styles of several views on one page: none may change what another looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.widgets.test_base import VIEWS

STATIC = Path(__file__).resolve().parents[2] / "saewidgets" / "static"
STYLES = sorted(STATIC.glob("*.css"))
LOOKS = """() => [...document.querySelectorAll(".saew, .saew *")].map((element) => {
  const style = getComputedStyle(element);
  const names = ["display", "color", "fontSize", "padding", "margin", "flex", "gridTemplateColumns", "backgroundColor"];
  return [element.className?.baseVal ?? element.className, ...names.map((name) => style[name])].join(" | ");
})"""


@pytest.mark.parametrize("make", VIEWS, ids=["tokens", "ranking", "steering", "dashboard", "attention"])
def test_the_styles_of_other_views_change_nothing(make: Any, browser: Any, tmp_path: Path) -> None:
    path = make().to_html(tmp_path / "view.html")
    page = browser.new_page()
    page.goto(path.as_uri())
    page.locator(".saew").wait_for()
    before = page.evaluate(LOOKS)
    for style in STYLES:
        page.add_style_tag(content=style.read_text(encoding="utf-8"))
    assert len(before) > 20
    after = page.evaluate(LOOKS)
    page.close()
    assert after == before
