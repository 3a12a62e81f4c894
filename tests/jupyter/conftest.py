"""Servers and pages of the Jupyter layer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.jupyter.server import Server, running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("jupyter")


@pytest.fixture(scope="session")
def screenshots() -> Path:
    return Path(os.environ.get("SAEWIDGETS_SCREENSHOTS") or Path(__file__).parent / "screenshots")


@pytest.fixture(scope="session", params=["lab", "notebook"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(request.param, tmp_path_factory.mktemp(request.param)) as server:
        yield server
