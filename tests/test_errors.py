"""Errors say what, got, expected and what to do, and are the built-in that fits."""

from __future__ import annotations

import pytest

from saewidgets import errors

BUILT_IN = {
    "PromptError": ValueError,
    "TokenError": ValueError,
    "HookPointError": KeyError,
    "MismatchError": ValueError,
    "FeatureIndexError": IndexError,
    "UnknownNameError": KeyError,
    "NonFiniteError": ValueError,
    "LoadError": ValueError,
    "TargetError": ValueError,
    "EditError": ValueError,
    "AnnotationError": ValueError,
    "StoreError": OSError,
    "IndexBuildError": ValueError,
    "SpecificityError": ValueError,
    "MissingPackageError": ImportError,
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_each_is_ours_and_the_built_in_that_fits(name):
    kind = getattr(errors, name)
    assert issubclass(kind, errors.SaewidgetsError)
    assert issubclass(kind, BUILT_IN[name])


@pytest.mark.parametrize("name", BUILT_IN)
def test_text_is_shown_and_not_its_repr(name):
    error = getattr(errors, name)("What is wrong.", got="'x'", expected="a y", do="type a y")
    assert str(error) == "What is wrong.\n  got:      'x'\n  expected: a y\n  do this:  type a y"
    assert (error.what, error.got, error.expected, error.do) == ("What is wrong.", "'x'", "a y", "type a y")


def test_parts_that_are_not_known_are_left_out():
    assert str(errors.LoadError("What is wrong.", got=0)) == "What is wrong.\n  got:      0"


def test_none_is_forgotten():
    found = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert found - {"SaewidgetsError"} == set(BUILT_IN)
