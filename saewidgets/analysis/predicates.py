"""What a feature is held to: a rule that marks tokens, written by the user."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from saewidgets.errors import SpecificityError
from saewidgets.results.numbers import whole_number
from saewidgets.results.text import one_line
from saewidgets.results.tokens import Tokens

EXPECTED = "a regular expression, a set of tokens, or a function from Tokens to bool [pos]"


@dataclass(frozen=True)
class Predicate:
    """A rule that marks tokens.

    Args:
        name: What it marks, in words; shown in tables and pictures.
        mark: From the tokens of a text to the marked ones, bool [pos].

    Example:
        >>> import numpy as np
        >>> first = Predicate("the first token", lambda tokens: np.arange(len(tokens)) == 0)
        >>> first.marks(Tokens(np.array([5, 6]), (b"to", b" be"), np.zeros(2, bool))).tolist()
        [True, False]
    """

    name: str
    mark: Callable[[Tokens], np.ndarray]

    def marks(self, tokens: Tokens) -> np.ndarray:
        """The marked tokens, bool [pos].

        Raises:
            SpecificityError: The rule raised an error, or gave something else than one True or False for each token.
        """
        try:
            found = np.asarray(self.mark(tokens))
        except Exception as error:
            raise SpecificityError(
                f"The predicate '{_shown(self.name)}' raised an error.", got=_shown(f"{type(error).__name__}: {error}"),
                do=f"try it on a text of {len(tokens)} tokens: {tokens.text[:40]!r}",
            ) from error  # fmt: skip
        if found.dtype != np.bool_ or found.shape != (len(tokens),):
            raise SpecificityError(
                f"The predicate '{_shown(self.name)}' does not mark tokens.",
                got=f"{found.dtype} {list(found.shape)} for {len(tokens)} tokens", expected=f"bool [{len(tokens)}]",
            )  # fmt: skip
        return found

    def within(self, w: Any) -> Predicate:
        """The same rule for features that fire late: the ``w`` tokens after a marked token are marked too.

        Each of these tokens counts when recall is counted, so that a feature that fires once a word has a low one.

        Args:
            w: How many tokens; 0 is the rule itself.

        Raises:
            SpecificityError: Not a whole number from 0.

        Example:
            >>> lab.specificity("sae/7", as_predicate("Rwanda").within(2))  # doctest: +SKIP
        """
        late = whole_number(w)
        if late is None or late < 0:
            raise SpecificityError("This is no number of tokens.", got=repr(w)[:80], expected="a whole number from 0")
        return Predicate(f"{self.name}, or up to {late} tokens after it", _Late(self, late)) if late else self


@dataclass(frozen=True)
class _Late:
    rule: Predicate
    w: int

    def __call__(self, tokens: Tokens) -> np.ndarray:
        marks = self.rule.marks(tokens)
        found = marks.copy()
        for late in range(1, min(self.w, len(marks) - 1) + 1):
            found[late:] |= marks[:-late]
        return found


def as_predicate(value: Any) -> Predicate:
    """A predicate from what a user gives.

    Args:
        value: A regular expression, as text or compiled: tokens that overlap one of its matches in the text are marked.
            A set, list or tuple of texts: the tokens that read exactly so, with their space (``" Paris"``). A function
            from :class:`Tokens` to bool [pos]. A :class:`Predicate`.

    Raises:
        SpecificityError: None of these, or a pattern that cannot be read.

    Example:
        >>> tokens = Tokens(np.array([5, 6, 7]), (b"Lon", b"don", b" is"), np.zeros(3, bool))
        >>> as_predicate("London").marks(tokens).tolist(), as_predicate({" is"}).marks(tokens).tolist()
        ([True, True, False], [False, False, True])
    """
    if isinstance(value, Predicate):
        return value
    if isinstance(value, str | re.Pattern):
        pattern = _compiled(value)
        return Predicate(f"/{_shown(pattern.pattern)}/", _Matches(pattern))
    if isinstance(value, set | frozenset | list | tuple):
        return _token_set(value)
    if callable(value) and not isinstance(value, type):
        name = getattr(value, "name", None) or getattr(value, "__name__", None) or type(value).__name__
        rule: Any = value
        return Predicate(_shown(str(name)), rule)
    raise SpecificityError("This is no predicate.", got=repr(value)[:80], expected=EXPECTED)


def _compiled(value: str | re.Pattern[Any]) -> re.Pattern[str]:
    try:
        pattern = re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise SpecificityError(
            "This is no regular expression.", got=repr(value)[:80], expected=f"a pattern that Python reads: {error}",
            do="put a backslash before . ^ $ * + ? { } [ ] \\ | ( ) where they stand for themselves",
        ) from None  # fmt: skip
    if not isinstance(pattern.pattern, str) or not pattern.pattern:
        raise SpecificityError("This pattern marks nothing.", got=repr(pattern.pattern)[:80], expected="some text")
    return pattern


def _token_set(value: Any) -> Predicate:
    wrong = [each for each in value if not isinstance(each, str)]
    if wrong or not value:
        raise SpecificityError(
            "A set of tokens holds texts.", got=repr(wrong[0])[:80] if wrong else "nothing",
            expected="texts such as ' Paris', with their space",
        )  # fmt: skip
    listed = sorted(set(value))
    name = ", ".join(map(repr, listed[:5])) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")
    return Predicate(f"token {_shown(name)}", _OneOf(frozenset(listed)))


@dataclass(frozen=True)
class _OneOf:
    texts: frozenset[str]

    def __call__(self, tokens: Tokens) -> np.ndarray:
        return np.array([each in self.texts for each in tokens.strings], bool)


@dataclass(frozen=True)
class _Matches:
    """Tokens that share a byte with a match; special tokens are not part of the text."""

    pattern: re.Pattern[str]

    def __call__(self, tokens: Tokens) -> np.ndarray:
        plain = [b"" if special else piece for piece, special in zip(tokens.pieces, tokens.special, strict=True)]
        data = b"".join(plain)
        # A byte that is part of no character is one surrogate, which no ordinary pattern names.
        text = data.decode("utf-8", "surrogateescape")
        sizes = [len(character.encode("utf-8", "surrogateescape")) for character in text]
        byte_of = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        covered = np.zeros(len(data) + 1, np.int64)
        for match in self.pattern.finditer(text):
            covered[byte_of[match.start()]] += 1
            covered[byte_of[match.end()]] -= 1
        before = np.concatenate([[0], np.cumsum(np.cumsum(covered) > 0)])
        ends = np.cumsum([0, *map(len, plain)])
        return before[ends[1:]] > before[ends[:-1]]


def _shown(name: str) -> str:
    """On one line, not longer than a line."""
    text = one_line(name)
    return text if len(text) <= 80 else f"{text[:79]}…"
