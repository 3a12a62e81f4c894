"""Surface forms that carry concepts wherever they stand, and the scanner that finds them."""

from __future__ import annotations

import re
from typing import NamedTuple

from saewidgets.demo.world.kinds import Concept, Span

_TOKEN = re.compile(
    r"(?P<url>(?:https?://|www\.)[a-z0-9./-]*[a-z0-9])"
    r"|(?P<phone>\b\d{3}-555-01\d\d\b)"
    r"|(?P<arithmetic>\b\d+ [+*-] \d+ = \d+\b)"
    r"|(?P<number>\d+)"
    r"|(?P<word>[^\W\d_]+)"
)


class Match(NamedTuple):
    """A found surface form: offsets, category (used in sentence patterns) and its concepts."""

    start: int
    end: int
    category: str
    concepts: tuple[str, ...]


def words(text: str) -> list[str]:
    """The words of a line, split at spaces."""
    return text.split()


def slug(name: str) -> str:
    """Turn a name into the last part of a concept name: ``"Tower Hamlets"`` -> ``"tower_hamlets"``."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


class Lexicon:
    """Concepts and the surface forms that express them.

    Example:
        >>> lexicon = Lexicon()
        >>> lexicon.concept("animal", "animal", "any animal")
        >>> lexicon.concept("animal.cat", "animal", "the cat", "animal")
        >>> lexicon.add("cat", "animal", "animal.cat")
        >>> [match.concepts for match in lexicon.scan("a cat sat")]
        [('animal.cat', 'animal')]
    """

    def __init__(self) -> None:
        self.concepts: dict[str, Concept] = {}
        self._forms: dict[str, list[tuple[str, str, tuple[str, ...]]]] = {}
        self._surfaces: dict[str, tuple[str, str | None]] = {}
        self._areas: dict[str, tuple[str, ...]] = {}

    def concept(self, name: str, family: str, description: str, parent: str | None = None) -> None:
        """Register a concept; its parent must be known and its name new."""
        if name in self.concepts or (parent is not None and parent not in self.concepts):
            raise ValueError(f"concept {name!r} is not new, or its parent {parent!r} is unknown")
        self.concepts[name] = Concept(name, family, description, parent)

    def lineage(self, name: str) -> tuple[str, ...]:
        """A concept and all wider concepts that contain it."""
        line: list[str] = []
        current: str | None = name
        while current is not None:
            line.append(current)
            current = self.concepts[current].parent
        return tuple(line)

    def add(self, surface: str, category: str, concept: str | None = None) -> None:
        """Register a surface form; one form has one meaning.

        Raises:
            ValueError: if the form already means something else.
        """
        known = self._surfaces.setdefault(surface, (category, concept))
        if known != (category, concept):
            raise ValueError(f"{surface!r} means {known} and {(category, concept)}")
        first = re.match(r"[^\W\d_]+", surface)
        if first is None:
            raise ValueError(f"a surface form begins with a letter, not {surface!r}")
        forms = self._forms.setdefault(first.group(), [])
        if not any(form[0] == surface for form in forms):
            forms.append((surface, category, self.lineage(concept) if concept else ()))
            forms.sort(key=lambda form: -len(form[0]))

    def add_noun(self, surface: str, category: str, concept: str | None = None) -> None:
        """Register a common noun, and its form at the beginning of a sentence."""
        self.add(surface, category, concept)
        self.add(surface[:1].upper() + surface[1:], category, concept)

    def add_area(self, code: str, concept: str) -> None:
        """Register a telephone area code."""
        self._areas[code] = self.lineage(concept)

    def scan(self, text: str) -> list[Match]:
        """Find all surface forms, longest first, without overlaps, from left to right."""
        found: list[Match] = []
        end = 0
        forms = self._forms
        for token in _TOKEN.finditer(text):
            start = token.start()
            if start < end:
                continue
            if token.lastgroup == "word":
                for surface, category, concepts in forms.get(token.group(), ()):
                    stop = start + len(surface)
                    if text.startswith(surface, start) and not text[stop : stop + 1].isalnum():
                        found.append(Match(start, stop, category, concepts))
                        end = stop
                        break
            else:
                match = self._symbols(token)
                found.append(match)
                end = match.end
        return found

    def _symbols(self, token: re.Match[str]) -> Match:
        kind = token.lastgroup or ""
        concepts: tuple[str, ...] = ()
        text = token.group()
        if kind == "phone":
            concepts = self._areas.get(text[:3], ("phone",))
        elif kind == "url":
            concepts = ("url.los_angeles", "url") if "losangeles" in text else ("url",)
        elif kind == "arithmetic":
            sign = text.split(" ")[1]
            concepts = ({"+": "arithmetic.sum", "-": "arithmetic.difference", "*": "arithmetic.product"}[sign],)
            concepts += ("arithmetic",)
        return Match(token.start(), token.end(), kind, concepts)

    def spans(self, text: str) -> tuple[Span, ...]:
        """The labels that the surface forms alone give."""
        return tuple(Span(m.start, m.end, name) for m in self.scan(text) for name in m.concepts)


def skeleton(text: str, matches: list[Match]) -> str:
    """The text with every surface form replaced by its category: the key of a sentence pattern."""
    parts: list[str] = []
    at = 0
    for match in matches:
        parts += (text[at : match.start], "\0", match.category, "\0")
        at = match.end
    parts.append(text[at:])
    return "".join(parts)
