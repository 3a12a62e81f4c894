"""Every feature over a corpus in one streaming pass, on disk in an open format, looked up in milliseconds."""

from saewidgets.index.build import Builder
from saewidgets.index.feature_index import FeatureIndex
from saewidgets.index.settings import Progress, Settings

__all__ = ["Builder", "FeatureIndex", "Progress", "Settings"]
