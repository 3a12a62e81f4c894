"""The name of a feature, read and written."""

from __future__ import annotations

import numpy as np
import pytest

from saewidgets.errors import FeatureIndexError
from saewidgets.results import FeatureId


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("mid/7", FeatureId("mid", 7)),
        ("a/b/7", FeatureId("a/b", 7)),
        ("7", FeatureId("default", 7)),
        (7, FeatureId("default", 7)),
        (np.int32(7), FeatureId("default", 7)),
        (FeatureId("x", 1), FeatureId("x", 1)),
    ],
)
def test_every_form(feature, expected):
    found = FeatureId.parse(feature, "default")
    assert found == expected
    assert type(found.index) is int


def test_text_comes_back():
    assert FeatureId.parse(str(FeatureId("a/b", 7))) == FeatureId("a/b", 7)


@pytest.mark.parametrize(
    "feature", ["mid/", "/7", "mid/-1", "mid/x", "mid/٣", "mid/" + "9" * 30, -1, True, 2.0, None, ""]
)
def test_what_is_no_feature(feature):
    with pytest.raises(FeatureIndexError, match="not the name of a feature"):
        FeatureId.parse(feature, "default")


def test_bare_index_without_an_sae():
    with pytest.raises(FeatureIndexError):
        FeatureId.parse(7)


def test_order_and_use_as_a_key():
    assert min(FeatureId("b", 1), FeatureId("a", 2), FeatureId("a", 1)) == FeatureId("a", 1)
    assert {FeatureId("a", 1): 1}[FeatureId("a", 1)] == 1
