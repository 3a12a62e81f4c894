"""The three records of the bundled world: concepts, labelled spans and documents."""

from __future__ import annotations

from typing import NamedTuple


class Concept(NamedTuple):
    """Something a stretch of text can express.

    Attributes:
        name: Unique name, such as ``"borough.camden"``.
        family: Group it belongs to, such as ``"borough"``.
        description: One plain sentence or phrase.
        parent: Name of the wider concept that every span of this one also carries, or None.
    """

    name: str
    family: str
    description: str
    parent: str | None = None


class Span(NamedTuple):
    """The characters ``text[start:end]`` express ``concept``; never a leading space."""

    start: int
    end: int
    concept: str


class Document(NamedTuple):
    """One text of the bundled world.

    Attributes:
        text: The characters.
        spans: Its labels, sorted by start, end and concept.
        kind: The kind of document, such as ``"capitals"``.
        log_prob: Log probability in nats of all the choices that wrote it.
    """

    text: str
    spans: tuple[Span, ...]
    kind: str
    log_prob: float
