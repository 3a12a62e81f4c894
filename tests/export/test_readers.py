"""What GitHub leaves of a static twin: its marks, tooltips and tables; and nothing of what could run."""

from __future__ import annotations

import re

import pytest

from saewidgets.widgets import TokenActivations, row
from tests.export.pages import outputs_of
from tests.export.readers import as_on_github, github_page, lacking, wanted
from tests.export.test_cleaning import HOSTILE, faults
from tests.widgets.fake_lab import FakeLab


def text_of(html: str) -> str:
    return re.sub("<[^>]*>", "", html)


def test_marks_bold_tooltips_and_tables_stay(every_view):
    html = every_view._marked_html()
    clean = as_on_github(html)
    for part in ("<mark", "<b>", "<table", "<td", "title="):
        assert clean.count(part) == html.count(part)
    assert text_of(clean) == text_of(html)
    assert not re.search(r"<[^>]*\b(style|class|id)=", clean)


def test_a_row_stays_a_row():
    both = row(*[TokenActivations(FakeLab(), f"the Golden Gate {n}") for n in "ab"])
    clean = as_on_github(both._marked_html())
    assert clean.startswith('<div><table><tbody><tr><td align="left" valign="top"><div>')
    assert clean.count("<mark") == both.static_html().count("<mark") > 0


def test_a_live_view_is_not_shown_and_its_twin_is():
    view = TokenActivations(FakeLab(), "the Golden <i>Gate</i>")
    page = github_page(outputs_of(view))
    assert "the Golden &lt;i&gt;Gate&lt;/i&gt;" in text_of(page)
    assert "needs a running kernel" not in page


@pytest.mark.parametrize("source", HOSTILE)
def test_the_list_lets_nothing_through_that_runs(source):
    left = [fault for fault in faults(as_on_github(source)) if re.search(r"script|on\w+$|style|class|iframe", fault)]
    assert left == []


def test_what_is_missing_is_said():
    assert lacking("TokenActivations", "") == list(wanted("TokenActivations"))
    assert lacking("TokenActivations", "\n".join(wanted("TokenActivations").values())) == []
