"""How an index is built, and how far a build has come."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

from saewidgets.errors import IndexBuildError
from saewidgets.results.numbers import whole_number

BATCH_TOKENS, BATCH_TOKENS_CPU = 4096, 1024  # on a CPU more is not faster, and takes more memory
SKETCH = 64


@dataclass(frozen=True)
class Settings:
    """What shapes an index.

    Args:
        context: Most tokens of a window.
        batch_size: Windows that run together.
        examples: Distinct contexts kept of each feature.
        per_interval: Activations sampled of each interval.
        seed: Of the samples.
        mask_special: Whether BOS, EOS and pad are left out.
        mask_sinks: Whether tokens with a very long activation are left out.

    Raises:
        IndexBuildError: A number out of its range.
    """

    context: int = 128
    batch_size: int = 32
    examples: int = 20
    per_interval: int = 10
    seed: int = 0
    mask_special: bool = True
    mask_sinks: bool = False

    def __post_init__(self) -> None:
        least = {"context": 2, "batch_size": 1, "examples": 1, "per_interval": 1, "seed": 0}
        for name, lowest in least.items():
            number = whole_number(getattr(self, name))
            if number is None or not lowest <= number < 2**31:
                raise IndexBuildError(
                    f"This is no number for {name}.", got=repr(getattr(self, name))[:80],
                    expected=f"a whole number from {lowest}",
                )  # fmt: skip

    @property
    def per_bin(self) -> int:
        """Activations held of each bin of width R/32 while building: those asked for, and twice as many to spare."""
        return 3 * self.per_interval

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def check_reporting(on_progress: Any, checkpoint_seconds: Any) -> None:
    """Pass if a build can report so.

    Args:
        on_progress: A function, None, True or False.
        checkpoint_seconds: A number >= 0.

    Raises:
        IndexBuildError: Not such.
    """
    if not (on_progress is None or isinstance(on_progress, bool) or callable(on_progress)):
        expected = "a function of a Progress, or False for nothing"
        raise IndexBuildError("Progress cannot be told to this.", got=repr(on_progress)[:80], expected=expected)
    seconds = -1.0
    if not isinstance(checkpoint_seconds, bool | str | bytes):
        with suppress(TypeError, ValueError, OverflowError):
            seconds = float(checkpoint_seconds)
    if not seconds >= 0:
        raise IndexBuildError(
            "This is no time between states saved.", got=repr(checkpoint_seconds)[:80], expected="seconds, 0 or more"
        )


class Progress(NamedTuple):
    """How far a build has come; times in seconds.

    ``tokens`` counts all tokens read, special ones too; ``texts`` the texts begun, of ``n_texts`` where that is known.
    """

    tokens: int
    texts: int
    n_texts: int | None
    seconds: float
    resumed_tokens: int = 0

    @property
    def tokens_per_second(self) -> float:
        """Tokens a second, those that an earlier run had read not counted."""
        return (self.tokens - self.resumed_tokens) / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """About how long it will take; None where the number of texts is not known."""
        if not self.n_texts or not self.texts or self.tokens <= self.resumed_tokens:
            return None
        left = self.tokens / self.texts * (self.n_texts - self.texts)
        return max(left, 0.0) / self.tokens_per_second if self.tokens_per_second else None

    def __str__(self) -> str:
        of = f" of {self.n_texts:,}" if self.n_texts else ""
        left = "" if self.seconds_left is None else f", {_time(self.seconds_left)} left"
        return f"{self.tokens:,} tokens, {self.texts:,}{of} texts, {self.tokens_per_second:,.0f} tokens/s{left}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class ProgressLine:
    """Writes the progress of a build that takes longer than two seconds on one line of the standard output."""

    def __init__(self) -> None:
        self._last, self._width = 0.0, 0

    def __call__(self, progress: Progress) -> None:
        """Write, at most once a second."""
        if progress.seconds < 2 or progress.seconds - self._last < 1:
            return
        self._last = progress.seconds
        text = str(progress)
        print(f"\r{text:<{self._width}}", end="", flush=True)  # noqa: T201 - it is what was asked for
        self._width = len(text)

    def close(self) -> None:
        """End the line."""
        if self._width:
            print(flush=True)  # noqa: T201
