import gc
import time
import weakref

import pytest
from IPython.core.formatters import format_display_data

from saewidgets.widgets import AttentionPatterns, FeatureDashboard, FeatureRanking, SteeringPanel, TokenActivations
from saewidgets.widgets.base import WIDGET_VIEW, LiveView
from tests.widgets.fake_attention_lab import FakeAttentionLab
from tests.widgets.fake_dashboard_lab import FakeDashboardLab
from tests.widgets.fake_lab import FakeLab
from tests.widgets.fake_ranking_lab import FakeRankingLab
from tests.widgets.fake_steering_lab import FakeSteeringLab

PROMPT = "the Golden Gate Bridge"
VIEWS = [
    lambda: TokenActivations(FakeLab(), PROMPT),
    lambda: FeatureRanking(FakeRankingLab(), PROMPT),
    lambda: SteeringPanel(FakeSteeringLab(), PROMPT),
    lambda: FeatureDashboard(FakeDashboardLab(), prompt=PROMPT),
    lambda: AttentionPatterns(FakeAttentionLab(), PROMPT, 1),
]
LARGEST = {
    TokenActivations: 20_000,
    FeatureRanking: 30_000,
    SteeringPanel: 36_000,
    FeatureDashboard: 40_000,
    AttentionPatterns: 20_000,
}
"""Bytes of script and style together."""


@pytest.fixture(params=VIEWS, ids=lambda make: type(make()).__name__)
def view(request):
    return request.param()


@pytest.fixture
def displayed(monkeypatch):
    """What IPython is asked to display, in order."""
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, metadata=None, raw=False: bundles.append(data))
    return bundles


def test_in_a_notebook_the_twin_comes_first_and_the_live_view_second(view, displayed, monkeypatch):
    kernel = type("Shell", (), {"kernel": object()})()
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: kernel)
    view._ipython_display_()
    twin, live = displayed
    assert set(twin) == {"text/html", "text/plain"}
    assert set(live) == {WIDGET_VIEW, "text/plain"}
    assert view._twin in twin["text/html"]
    assert "\n" not in live["text/plain"]


def test_without_a_kernel_only_the_twin_is_shown(view, displayed, monkeypatch):
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: None)
    view._ipython_display_()
    assert [set(bundle) for bundle in displayed] == [{"text/html", "text/plain"}]


def test_one_bundle_holds_all_three(view):
    data, _ = view._repr_mimebundle_()
    assert set(data) == {"text/html", "text/plain", WIDGET_VIEW}


def test_other_hosts_may_format_it(view, capsys):
    data, _ = format_display_data(view)
    assert data == {}  # _ipython_display_ has shown it
    assert "Golden Gate" in capsys.readouterr().out


def test_the_script_and_style_are_those_of_the_wheel(view):
    assert "export{" in view._esm
    assert ".saew" in view._css
    assert "innerHTML" not in view._esm


def test_script_and_style_are_small(view):
    most = next(most for kind, most in LARGEST.items() if isinstance(view, kind))
    assert len(view._esm.encode()) + len(view._css.encode()) <= most


def test_twins_are_told_apart():
    one, two = VIEWS[0](), VIEWS[0]()
    assert one._twin != two._twin


def test_a_view_without_a_static_picture_says_so():
    class Bare(LiveView):
        _esm = "export default { render() {} }"

        def __init__(self) -> None:
            super().__init__({})

    with pytest.raises(NotImplementedError):
        Bare().static_html()


@pytest.mark.parametrize("make", VIEWS, ids=lambda make: type(make()).__name__)
def test_a_closed_view_and_its_lab_are_forgotten(make):
    view = make()
    view._wait()
    seen = [weakref.ref(view), weakref.ref(view.lab)]
    view.close()
    del view
    deadline = time.monotonic() + 10
    while any(ref() is not None for ref in seen) and time.monotonic() < deadline:
        gc.collect()
    assert [ref() for ref in seen] == [None, None]
