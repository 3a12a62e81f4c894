"""What people have said about features, tokens, examples, rankings and steering presets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

from saewidgets.errors import AnnotationError
from saewidgets.results.numbers import whole_number
from saewidgets.results.text import one_line

TargetKind = Literal["feature", "token", "example", "ranking", "preset"]

TEXT_LIMIT = 100_000
"""Characters of a note or a prompt."""

NAME_LIMIT = 1_000
"""Characters of a name or a label."""

# What a target of each kind needs, and what it may have besides.
_NEEDED: dict[str, tuple[str, ...]] = {
    "feature": ("hook", "sae", "feature"),
    "token": ("prompt", "position"),
    "example": ("hook", "sae", "feature", "prompt", "position"),
    "ranking": ("prompt", "name"),
    "preset": ("name",),
}
_OPTIONAL: dict[str, tuple[str, ...]] = {"ranking": ("sae", "hook", "position")}
_NUMBERS = ("feature", "position")


@dataclass(frozen=True)
class Target:
    """What an annotation is about.

    A feature is named by its SAE's content hash, its hook point and its index, so that what is said of it follows the
    SAE whatever it is called; the name of the model is told along and does not tell two features apart. Tokens,
    rankings and presets belong to the model of that name.

    Args:
        kind: "feature", "token" (of a prompt), "example" (a token on which a feature fires), "ranking" or "preset".
        model: Name of the model.
        hook: Hook point of the SAE.
        sae: Content hash of the SAE.
        feature: Latent, from 0.
        prompt: The text.
        position: Token of the prompt, from 0; BOS counts.
        name: Name of the preset, or the metric of the ranking in words.

    Raises:
        AnnotationError: A part is missing, out of range or of the wrong type.

    Example:
        >>> Target("feature", "gpt2", "blocks.8.hook_resid_pre", "3f2a", 7).key
        ('feature', 'blocks.8.hook_resid_pre', '3f2a', 7)
    """

    kind: TargetKind
    model: str = ""
    hook: str = ""
    sae: str = ""
    feature: int | None = None
    prompt: str | None = None
    position: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        for part, value in vars(self).copy().items():
            if value is not None:
                object.__setattr__(self, part, _part(part, value))
        self._check_parts()

    def _check_parts(self) -> None:
        needed = _NEEDED[self.kind]
        missing = [part for part in needed if getattr(self, part) in {None, ""} and part != "prompt"]
        missing += ["prompt"] if "prompt" in needed and self.prompt is None else []
        known = {*needed, *_OPTIONAL.get(self.kind, ()), "model"}
        odd = [part for part in self.parts() if part not in known]
        if missing or odd:
            words = (("no ", missing), ("an unused ", odd))
            got = "; ".join(word + ", ".join(parts) for word, parts in words if parts)
            raise AnnotationError(f"This is no {self.kind}.", got=got, expected=", ".join(needed))

    @property
    def key(self) -> tuple[str | int | None, ...]:
        """What tells it from others; the model is part of it where there is no SAE."""
        if self.kind in {"feature", "example"}:
            own = (self.prompt, self.position) if self.kind == "example" else ()
            return (self.kind, self.hook, self.sae, self.feature, *own)
        if self.kind == "token":
            return (self.kind, self.model, self.prompt, self.position)
        if self.kind == "ranking":
            return (self.kind, self.model, self.hook, self.sae, self.prompt, self.position, self.name)
        return (self.kind, self.model, self.name)

    def parts(self) -> dict[str, Any]:
        """The parts that it has, ``kind`` left out; JSON can hold them.

        Example:
            >>> Target("preset", "gpt2", name="calm").parts()
            {'model': 'gpt2', 'name': 'calm'}
        """
        return {name: value for name, value in vars(self).items() if name != "kind" and value not in {None, ""}} | (
            {"prompt": ""} if self.prompt == "" else {}
        )

    def to_json(self) -> dict[str, Any]:
        """Its kind and its parts."""
        return {"kind": self.kind, **self.parts()}

    @classmethod
    def from_json(cls, data: object) -> Target:
        """Read what :meth:`to_json` gives; it may come from a stranger.

        Raises:
            AnnotationError: Not a target.
        """
        if not isinstance(data, Mapping) or "kind" not in data:
            raise AnnotationError("This is no target of an annotation.", got=repr(data)[:80])
        unknown = set(data) - set(cls.__dataclass_fields__)
        if unknown:
            raise AnnotationError("A target has an unknown part.", got=repr(sorted(map(str, unknown)))[:80])
        return cls(**{part: _part(part, value) for part, value in data.items()})

    def __str__(self) -> str:
        parts = [self.kind, *(f"{name}={value!r}" for name, value in self.parts().items())]
        return one_line(" ".join(part if len(part) <= 60 else f"{part[:57]}..." for part in parts))


class Pin(NamedTuple):
    """An example that somebody pinned to a feature: its text, and the token meant, from 0 with BOS counted."""

    text: str
    position: int


class Rating(NamedTuple):
    """How specific somebody finds a feature, or one example of it.

    0: irrelevant throughout; 1: related to the context, not near the marked text; 2: loosely related to the marked
    text; 3: cleanly names the marked text.
    """

    rater: str
    score: int


class Explanation(NamedTuple):
    """A label that came with a file, such as one of Neuronpedia's, and where it came from."""

    text: str
    source: str


@dataclass(frozen=True)
class Annotation:
    """All that has been said about one target; immutable, later changes make a new one.

    Args:
        target: What it is about.
        label: A short name that a person gave; None where nobody did.
        note: Plain text; None where there is none.
        tags: Sorted.
        stars: Who starred it, sorted.
        ratings: One for each rater, by name.
        pins: Pinned examples.
        explanations: Labels from files, by source.
        edits: Of a steering preset: its edits as JSON; None elsewhere.
        author: Who made the latest change; "" where nothing has been said.
        time: When, UTC, such as "2026-01-31T12:00:00.000000Z"; "" where nothing has been said.

    Example:
        >>> target = Target("feature", "gpt2", "blocks.8.hook_resid_pre", "3f2a", 7)
        >>> Annotation(target, explanations=(Explanation("cities", "Neuronpedia"),)).shown_label
        'cities (from Neuronpedia)'
    """

    target: Target
    label: str | None = None
    note: str | None = None
    tags: tuple[str, ...] = ()
    stars: tuple[str, ...] = ()
    ratings: tuple[Rating, ...] = ()
    pins: tuple[Pin, ...] = ()
    explanations: tuple[Explanation, ...] = ()
    edits: str | None = None
    author: str = ""
    time: str = ""

    @property
    def shown_label(self) -> str | None:
        """What a view shows for a number, on one line: a person's label, else an explanation with its source."""
        if self.label:
            return one_line(self.label)
        if self.explanations:
            first = self.explanations[0]
            return one_line(f"{first.text} (from {first.source})")
        return None

    @property
    def starred(self) -> bool:
        """Whether anybody starred it."""
        return bool(self.stars)

    def __bool__(self) -> bool:
        said = (self.label, self.note, self.tags, self.stars, self.ratings, self.pins, self.explanations, self.edits)
        return any(said)


class Problem(NamedTuple):
    """A line, or a file as a whole (line 0), that was not read; it stays on disk as it is."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        where = one_line(self.file) + (f", line {self.line}" if self.line else "")
        return f"{where}: {self.reason}"


def _part(part: str, value: object) -> Any:
    """A part of a target, if it is of the right type and in range."""
    if part == "kind":
        if not isinstance(value, str) or value not in get_args(TargetKind):
            expected = ", ".join(get_args(TargetKind))
            raise AnnotationError("This cannot be annotated.", got=repr(value)[:80], expected=expected)
        return value
    if part not in _NUMBERS:
        return checked_text(value, f"The {part} of a target", TEXT_LIMIT if part == "prompt" else NAME_LIMIT)
    number = whole_number(value)
    if number is None or not 0 <= number < 2**53:
        raise AnnotationError(f"This is no {part}.", got=repr(value)[:80], expected="a whole number >= 0")
    return number


def checked_text(text: object, what: str, limit: int) -> str:
    """The text if it is valid Unicode and short enough.

    Raises:
        AnnotationError: It is not.
    """
    if not isinstance(text, str):
        raise AnnotationError(f"{what} is text.", got=type(text).__name__, expected="a string")
    if len(text) > limit:
        raise AnnotationError(f"{what} is too long.", got=f"{len(text):,} characters", expected=f"{limit:,} at most")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        got = f"half a surrogate pair at character {error.start}"
        raise AnnotationError(f"{what} is not valid Unicode.", got=got, do="remove that character") from None
    return text
