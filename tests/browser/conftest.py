"""A bridge for each test, and pages that show its widgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.bridge import Bridge, bridged


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    """Widgets made in this test talk to its page."""
    with bridged() as bridge:
        yield bridge


@pytest.fixture
def show(browser: Any, bridge: Bridge) -> Iterator[Callable[..., Any]]:
    """Opens the page of a widget. At the end: no console error, and no request has left this machine."""
    pages: list[Any] = []
    faults: list[str] = []

    def open_page(widget: Any, theme: str = "light", width: int = 1100, height: int = 800) -> Any:
        page = browser.new_page(viewport={"width": width, "height": height})
        pages.append(page)
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if leaves(request.url) else None)
        page.goto(bridge.page_url(widget, theme))
        page.wait_for_function("window.bridge && document.querySelector('.saew')")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def leaves(url: str) -> bool:
    """True where a request goes to another machine."""
    return not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "blob:", "data:"))
