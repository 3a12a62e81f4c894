import pytest

from saewidgets.widgets import FeatureRanking, SteeringPanel, TokenActivations
from tests.widgets.fake_lab import FakeLab
from tests.widgets.fake_ranking_lab import FakeRankingLab
from tests.widgets.fake_steering_lab import FakeSteeringLab

VIEWS = {
    "tokens": lambda: TokenActivations(FakeLab(), "the Golden Gate Bridge"),
    "ranking": lambda: FeatureRanking(FakeRankingLab(), "the Golden Gate Bridge"),
    "steering": lambda: SteeringPanel(FakeSteeringLab(), "the Golden Gate Bridge"),
}


@pytest.fixture(params=VIEWS)
def every_view(request):
    return VIEWS[request.param]()
