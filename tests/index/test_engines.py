"""Which engine reads: what is refused before anything begins."""

from __future__ import annotations

import importlib.util

import pytest

from saewidgets.errors import IndexBuildError
from tests.index.test_build import corpus


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"engine": "spark"}, "no such engine(.|\n)*'spark'(.|\n)*'ray'"),
        ({"engine": "ray", "workers": 0}, "workers=0"),
        ({"workers": 2}, "engine='ray'"),
    ],
)
def test_what_is_no_engine_is_refused_and_nothing_is_touched(lab, tmp_path, monkeypatch, options, match):
    (tmp_path / "build").mkdir()
    with pytest.raises(IndexBuildError, match=match):
        lab.build_index(corpus(3), path=tmp_path, context=32, resume=False, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["build"]


def test_without_ray_the_error_says_what_to_install(lab, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(IndexBuildError, match=r"pip install 'saewidgets\[ray\]'"):
        lab.build_index(corpus(3), path=tmp_path / "index", engine="ray")
    assert not (tmp_path / "index").exists()
