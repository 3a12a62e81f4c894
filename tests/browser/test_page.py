"""The exported page in Chromium, opened from disk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from saewidgets.widgets import TokenActivations
from tests.widgets.fake_lab import FakeLab

pytestmark = pytest.mark.browser


@pytest.fixture
def written(tmp_path):
    view = TokenActivations(FakeLab(), "When Mary went to the Golden Gate Bridge")
    return view, view.to_html(tmp_path / "view.html").as_uri()


def test_it_lives_without_a_kernel_and_without_a_network(browser, written):
    view, address = written
    page = browser.new_page()
    faults = []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    requests = []
    page.on("request", lambda request: requests.append(request.url[:5]))
    page.goto(address)
    page.wait_for_selector(".saew[data-state=silent]")
    assert page.locator(".saew-tok").all_text_contents() == list(view.result.tokens)
    page.locator(".saew-right .saew-row").nth(2).click()
    assert page.locator(".saew-tok[style*=background]").count() > 0
    assert page.locator(".saew-twin").is_hidden()
    page.close()
    assert faults == []
    assert set(requests) == {"file:"}


def test_without_scripts_the_twin_is_read(browser, written):
    address = written[1]
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert "Golden Gate Bridge" in page.locator(".saew-twin").inner_text()
    assert page.locator("mark").count() > 0
    context.close()


BROKEN = [lambda data: data[:-1], lambda data: data[:16] + data[16:].replace(b"tokens", b"Tokens", 1)]


@pytest.mark.parametrize("change", BROKEN)
def test_where_the_script_cannot_read_what_was_saved_the_twin_is_read(browser, tmp_path, monkeypatch, change):
    view = TokenActivations(FakeLab(), "When Mary went to the Golden Gate Bridge")
    saved = view._saved()
    broken = replace(saved, state={**saved.state, "_data": change(saved.state["_data"])})
    monkeypatch.setattr(view, "_saved", lambda: broken)
    page = browser.new_page()
    with page.expect_console_message(lambda message: message.type == "error"):
        page.goto(view.to_html(tmp_path / "view.html").as_uri())
    assert page.locator(".saew").count() == 0
    assert "Golden Gate Bridge" in page.locator(".saew-twin").inner_text()
    assert page.locator(".saew-twin").is_visible()
    page.close()


def test_an_error_that_was_saved_is_shown_by_the_view(browser, tmp_path):
    page = browser.new_page()
    page.goto(TokenActivations(FakeLab(), "").to_html(tmp_path / "view.html").as_uri())
    page.wait_for_selector(".saew .saew-error")
    assert page.locator(".saew-error").is_visible()
    page.close()
