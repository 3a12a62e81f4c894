"""Traits that take what people have at hand, and refuse with our own errors.

A view that uses them knows its lab: ``_known_sae``, ``_known_feature``, ``_known_features``, ``_known_position``.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral
from typing import Any

import traitlets

from saewidgets.errors import FeatureIndexError, TargetError
from saewidgets.results import FeatureId


def one_or_several(features: Any) -> tuple[Any, ...]:
    """Features as people give them, one or several, as a tuple; None is none.

    Raises:
        FeatureIndexError: Neither a feature nor several.

    Example:
        >>> one_or_several(3), one_or_several("mid/3"), one_or_several(iter([1, 2]))
        ((3,), ('mid/3',), (1, 2))
    """
    if features is None:
        return ()
    if isinstance(features, str | Integral | FeatureId):
        return (features,)
    try:
        return tuple(features)
    except TypeError:
        raise FeatureIndexError(
            "These are not features.", got=repr(features)[:80], expected="'sae/123', 123, or several of them"
        ) from None


class Prompt(traitlets.Unicode):
    """Text; what is not valid Unicode is escaped on its way to the browser."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tag(to_json=lambda text, _: text.encode("utf-8", "backslashreplace").decode())


class SAEName(traitlets.TraitType[Any, Any]):
    """The name of an SAE that the lab holds."""

    def validate(self, obj: Any, value: Any) -> str:
        """Raise UnknownNameError for any other value."""
        return obj._known_sae(value)


class Feature(traitlets.TraitType[Any, Any]):
    """The name of a feature, or "" for none; an index or a FeatureId is turned into its name."""

    def validate(self, obj: Any, value: Any) -> str:
        """Raise FeatureIndexError or UnknownNameError where there is no such feature."""
        return "" if value is None or value == "" else str(obj._known_feature(value))


class Features(traitlets.TraitType[Any, Any]):
    """Up to six features of one SAE, each once."""

    def validate(self, obj: Any, value: Any) -> tuple[str, ...]:
        """Raise FeatureIndexError, UnknownNameError or MismatchError."""
        return obj._known_features(one_or_several(value))


class Position(traitlets.TraitType[Any, Any]):
    """A token of the prompt, or None."""

    def validate(self, obj: Any, value: Any) -> int | None:
        """Raise TokenError where the prompt has no such position."""
        return obj._known_position(value)


class Target(traitlets.TraitType[Any, Any]):
    """A token by its text or its id, "" for none; where ``several``, a list of them too."""

    def __init__(self, several: bool = False, **kwargs: Any) -> None:
        super().__init__("", **kwargs)
        self._several = several
        self.tag(to_json=lambda value, _: _printable(value))

    def validate(self, obj: Any, value: Any) -> str | int | tuple[str | int, ...]:
        """Raise TargetError for what is no token; whether the vocabulary has it is seen when it is used."""
        del obj
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, Integral) and not isinstance(value, bool):
            return int(value)
        if self._several and hasattr(value, "__iter__") and not isinstance(value, Mapping | bytes):
            each = tuple(value)
            if each and all(isinstance(one, str | Integral) and not isinstance(one, bool) for one in each):
                return tuple(one if isinstance(one, str) else int(one) for one in each)
        expected = "a text such as ' Paris', or a token id" + (", or several of them" if self._several else "")
        raise TargetError("This is no token.", got=repr(value)[:80], expected=expected)


def _printable(value: Any) -> Any:
    """As it travels: what is not valid Unicode is escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return [_printable(one) for one in value] if isinstance(value, tuple) else value


class Shown(traitlets.TraitType[Any, Any]):
    """The result on the screen; reading it waits for the work of its view."""

    def get(self, obj: Any, cls: Any = None) -> Any:
        """The newest good result, or None where there has been none."""
        obj._wait()
        return super().get(obj, cls)
