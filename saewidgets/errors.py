"""Every error that saewidgets raises on purpose: what was got, what was expected, what to do.

Each class is also the built-in that fits, so ``except ValueError`` keeps working.

Example:
    >>> from saewidgets.errors import PromptError
    >>> print(PromptError("The prompt has no tokens.", got="''", expected="some text", do="type a prompt"))
    The prompt has no tokens.
      got:      ''
      expected: some text
      do this:  type a prompt
"""

from __future__ import annotations


class SaewidgetsError(Exception):
    """Base of all errors of this package.

    Args:
        what: One sentence that says what is wrong.
        got: The value that was given, as text.
        expected: The allowed range or kind.
        do: The next step for the reader.
    """

    def __init__(self, what: str, *, got: object = None, expected: object = None, do: object = None) -> None:
        self.what = what
        self.got = got
        self.expected = expected
        self.do = do
        parts = (("got:     ", got), ("expected:", expected), ("do this: ", do))
        lines = [f"  {name} {value}" for name, value in parts if value is not None]
        super().__init__("\n".join([what, *lines]))

    def __str__(self) -> str:
        # KeyError would show the repr of its argument.
        return str(self.args[0])


class PromptError(SaewidgetsError, ValueError):
    """A prompt that cannot be run: empty, too long, not valid text."""


class TokenError(SaewidgetsError, ValueError):
    """A token id outside the vocabulary, or a position outside the prompt."""


class HookPointError(SaewidgetsError, KeyError):
    """A hook point that the model does not have, or that did not fire."""


class MismatchError(SaewidgetsError, ValueError):
    """Parts that do not fit together, such as an SAE and a hook of different widths."""


class FeatureIndexError(SaewidgetsError, IndexError):
    """A feature index that is not an integer from 0 to d_sae - 1."""


class UnknownNameError(SaewidgetsError, KeyError):
    """A name of a model, an SAE or a feature that the lab does not hold."""


class NonFiniteError(SaewidgetsError, ValueError):
    """NaN or infinity where a number is needed; names the layer and the tensor."""


class LoadError(SaewidgetsError, ValueError):
    """A file, folder, object or dict of tensors that cannot be read as a model or an SAE."""


class TargetError(SaewidgetsError, ValueError):
    """A target, a baseline or a metric that cannot be used."""


class EditError(SaewidgetsError, ValueError):
    """An edit, a vector or a way to decode that cannot be used."""


class AnnotationError(SaewidgetsError, ValueError):
    """A label, note, tag, rating or other annotation that cannot be kept, or a file of them that cannot be read."""


class StoreError(SaewidgetsError, OSError):
    """Annotations that could not be written to disk, or a folder of them that cannot be read."""


class IndexBuildError(SaewidgetsError, ValueError):
    """A setting or a corpus that no index can be built with."""


class SpecificityError(SaewidgetsError, ValueError):
    """A predicate that marks no tokens, or ratings that a feature's specificity cannot be told from."""


class MissingPackageError(SaewidgetsError, ImportError):
    """A package that only some of this package's features need is not installed."""
