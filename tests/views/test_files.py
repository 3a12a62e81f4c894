"""Pages and drawings on disk: where they go, and what is said where they cannot."""

from __future__ import annotations

import pytest

from saewidgets.errors import LoadError, StoreError
from saewidgets.views.files import named, write_svg
from saewidgets.widgets import TokenActivations
from tests.widgets.fake_lab import FakeLab

WRITERS = {
    "svg": lambda path: write_svg("<svg/>", path),
    "to_svg": lambda path: TokenActivations(FakeLab(), "Gate").to_svg(path),
    "to_html": lambda path: TokenActivations(FakeLab(), "Gate").to_html(path),
    "to_png": lambda path: TokenActivations(FakeLab(), "Gate").to_png(path),
}


@pytest.fixture(params=WRITERS)
def written(request):
    if request.param == "to_png":
        pytest.importorskip("vl_convert")
    return WRITERS[request.param]


def test_the_users_folder_is_meant_by_a_tilde(written, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert written("~/x") == tmp_path / "x"
    assert (tmp_path / "x").stat().st_size > 0


def test_where_a_file_cannot_be_it_says_so(written, tmp_path):
    for path in (tmp_path / "no folder" / "x", tmp_path, tmp_path / ("x" * 5_000)):
        with pytest.raises(StoreError, match=r"not written(?s:.*)(No such file|directory|too long)"):
            written(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a\0", "~nobody of that name/x", "\ud800"])
def test_what_is_no_name_of_a_file(written, name):
    with pytest.raises(StoreError, match="no name of a file"):
        written(name)
    with pytest.raises(LoadError, match="no name of a file"):
        named(name, LoadError)
