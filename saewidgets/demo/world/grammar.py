"""The engine of the bundled world: weighted tables, one chooser for all draws, templates that write and that read.

A template is one sentence with slots. ``{c=country.name}`` draws row ``c`` from the table ``country`` and writes its
field ``name``; ``{c.capital}`` writes another field of the same row; ``{b=name.name!a}`` draws a row other than ``a``;
``{a.name@ioi.io}`` also labels what it writes with the concept ``ioi.io``. A passage is one or more sentences that
share their rows, joined by `` | ``.
"""

from __future__ import annotations

import itertools
import math
import random
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from saewidgets.demo.world.kinds import Span
from saewidgets.demo.world.lexicon import Lexicon, skeleton

_SLOT = re.compile(r"\{(\w+)(?:=(\w+))?\.(\w+)(?:!(\w+))?(?:@([\w.]+))?\}")
BREAK = re.compile(r"(?<=[.?!]) +")
_QUESTION = re.compile(r"(Which|Who|What|Where|How)\b.*\?$", re.DOTALL)


def question_concepts(sentence: str) -> tuple[str, ...]:
    """The concepts of a sentence that begins with a question word and ends with a question mark."""
    if not sentence.endswith("?"):
        return ()
    found = _QUESTION.match(sentence)
    return (f"question.{found.group(1).lower()}", "question") if found else ("question",)


class Table:
    """Rows with named text fields, drawn with fixed probabilities.

    Args:
        rows: One mapping from field to text per row.
        weights: Relative frequencies; all equal by default.

    Example:
        >>> Table([{"name": "cat"}, {"name": "dog"}], [3.0, 1.0]).log_probs[0] == math.log(0.75)
        True
    """

    def __init__(self, rows: Sequence[Mapping[str, str]], weights: Sequence[float] | None = None) -> None:
        self.rows = tuple(dict(row) for row in rows)
        raw = [1.0] * len(rows) if weights is None else list(weights)
        total = math.fsum(raw)
        self.probs = [weight / total for weight in raw]
        self.log_probs = [math.log(prob) for prob in self.probs]
        self._cumulative = list(itertools.accumulate(self.probs))
        self._cumulative[-1] = 1.0
        self.variable: str | None = None
        self.parts: list[Table] = []
        self.offsets: list[int] = []

    def given(self, variable: str, parts: Sequence[Table]) -> Table:
        """Make the draw depend on the row of another variable: row ``i`` draws among the rows of ``parts[i]``."""
        self.variable = variable
        self.parts = list(parts)
        self.offsets = [0, *itertools.accumulate(len(part.rows) for part in parts)]
        return self

    def find(self, uniform: float) -> int:
        """The row of a uniform draw in [0, 1)."""
        return bisect_right(self._cumulative, uniform)


def zipf(n: int, offset: float = 3.0) -> list[float]:
    """Frequencies 1 / (rank + offset) of ``n`` ranks, rank from 0."""
    return [1.0 / (rank + offset) for rank in range(n)]


class Chooser:
    """Makes every random choice of a document and adds up the log probabilities in nats."""

    def __init__(self, rng: random.Random) -> None:
        self._uniform = rng.random
        self.log_prob = 0.0

    def pick(self, table: Table, other_than: int | None = None) -> int:
        """Draw a row number, if asked other than a given one (its probability is then shared out in proportion)."""
        row = table.find(self._uniform())
        if other_than is not None:
            while row == other_than:
                row = table.find(self._uniform())
            self.log_prob -= math.log1p(-table.probs[other_than])
        self.log_prob += table.log_probs[row]
        return row

    def between(self, low: int, high: int) -> int:
        """Draw one of the integers ``low`` to ``high``, both included."""
        self.log_prob -= math.log(high - low + 1)
        return low + int(self._uniform() * (high - low + 1))


class Slot(NamedTuple):
    """A place in a template: row variable, field, table it is drawn from when new here, exclusion, extra concept."""

    variable: str
    field: str
    table: str | None
    other_than: str | None
    role: str | None


class Pattern(NamedTuple):
    """How to read a sentence: the concepts of the whole, of each match, and which matches must agree."""

    concepts: tuple[str, ...]
    roles: tuple[str | None, ...]
    same: tuple[tuple[int, int], ...]


class Template:
    """One sentence; writes itself with labels and lists the patterns that read it back."""

    def __init__(self, text: str, concepts: tuple[str, ...], tables: dict[str, str]) -> None:
        self.source = text
        self.concepts = concepts
        self.pieces: list[str | Slot] = []
        at = 0
        for found in _SLOT.finditer(text):
            self.pieces.append(text[at : found.start()])
            slot = Slot(found[1], found[3], found[2], found[4], found[5])
            if slot.table:
                tables[slot.variable] = slot.table
            self.pieces.append(slot)
            at = found.end()
        self.pieces.append(text[at:])
        self.tables = {slot.variable: tables[slot.variable] for slot in self.slots}
        self.questions = question_concepts(text)

    @property
    def slots(self) -> list[Slot]:
        """The slots from left to right."""
        return [piece for piece in self.pieces if isinstance(piece, Slot)]


class Passage:
    """Sentences that share their rows, with one relative weight."""

    def __init__(self, text: str, concepts: tuple[str, ...], topic: str | None, weight: float = 1.0) -> None:
        tables = {"t": topic} if topic else {}
        self.weight = weight
        self.templates = [Template(part, concepts, tables) for part in text.split(" | ")]


class Group:
    """Passages of one kind, drawn with fixed probabilities; ``topic`` names the table of the row ``t``."""

    def __init__(self, passages: Sequence[Passage], topic: str | None = None) -> None:
        self.passages = tuple(passages)
        self.topic = topic
        self.table = Table([{} for _ in passages], [passage.weight for passage in passages])


def group(text: str, *concepts: str, topic: str | None = None) -> Group:
    """Read one passage per line; a line may begin with a weight and a colon, as in ``3: Which ...?``."""
    passages = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        found = re.match(r"(\d+): ", line)
        weight = float(found[1]) if found else 1.0
        passages.append(Passage(line[found.end() if found else 0 :], concepts, topic, weight))
    return Group(passages, topic)


class Grammar:
    """Tables and lexicon; draws rows, renders templates, and compiles templates into reading patterns."""

    def __init__(self, lexicon: Lexicon, tables: dict[str, Table]) -> None:
        self.lexicon = lexicon
        self.tables = tables
        self._rendered: dict[str, tuple[str, tuple[Span, ...]]] = {}

    def rendered(self, text: str) -> tuple[str, tuple[Span, ...]]:
        """A literal or a field with the labels of its surface forms (kept for the next time)."""
        known = self._rendered.get(text)
        if known is None:
            known = self._rendered[text] = (text, self.lexicon.spans(text))
        return known

    def draw(self, template: Template, rows: dict[str, int], chooser: Chooser) -> None:
        """Draw the rows that a template introduces."""
        for slot in template.slots:
            if slot.table and slot.variable not in rows:
                table = self.tables[slot.table]
                if table.variable is not None:
                    part = rows[table.variable]
                    rows[slot.variable] = table.offsets[part] + chooser.pick(table.parts[part])
                else:
                    excluded = rows[slot.other_than] if slot.other_than else None
                    rows[slot.variable] = chooser.pick(table, excluded)

    def render(self, template: Template, rows: Mapping[str, int], at: int) -> tuple[str, list[Span]]:
        """Write a template with given rows; spans are offset by ``at``."""
        parts: list[str] = []
        spans: list[Span] = []
        here = at
        for piece in template.pieces:
            role = None
            if isinstance(piece, str):
                source = piece
            else:
                role = piece.role
                source = self.tables[template.tables[piece.variable]].rows[rows[piece.variable]][piece.field]
            text, inner = self.rendered(source)
            for start, end, name in inner:
                spans.append(Span(start + here, end + here, name))
            stop = here + len(text)
            if role:
                # The role covers the name itself, not an article in front of it.
                begin = inner[0].start if inner else 0
                spans += [Span(here + begin, stop, name) for name in self.lexicon.lineage(role)]
            parts.append(text)
            here = stop
        for name in template.concepts + template.questions:
            spans.append(Span(at, here, name))
        return "".join(parts), spans

    def patterns(self, template: Template) -> list[tuple[str, Pattern]]:
        """All sentence patterns of a template, as pairs of skeleton and pattern; empty when forms alone label it."""
        if not template.concepts and not any(slot.role for slot in template.slots):
            return []
        variables = list(template.tables)
        choices = [self._representatives(template, variable) for variable in variables]
        return [
            self._pattern(template, dict(zip(variables, rows, strict=True))) for rows in itertools.product(*choices)
        ]

    def _representatives(self, template: Template, variable: str) -> list[int]:
        fields = [slot.field for slot in template.slots if slot.variable == variable]
        seen: dict[tuple[str, ...], int] = {}
        for number, row in enumerate(self.tables[template.tables[variable]].rows):
            key = tuple(skeleton(row[field], self.lexicon.scan(row[field])) for field in fields)
            seen.setdefault(key, number)
        return list(seen.values())

    def _pattern(self, template: Template, rows: Mapping[str, int]) -> tuple[str, Pattern]:
        text, _ = self.render(template, rows, 0)
        matches = self.lexicon.scan(text)
        roles: list[str | None] = [None] * len(matches)
        owners: dict[tuple[str, str], list[int]] = {}
        at = 0
        for piece in template.pieces:
            if isinstance(piece, str):
                at += len(piece)
                continue
            stop = at + len(self.tables[template.tables[piece.variable]].rows[rows[piece.variable]][piece.field])
            inside = [number for number, match in enumerate(matches) if at <= match.start and match.end <= stop]
            if len(inside) == 1:
                owners.setdefault((piece.variable, piece.field), []).append(inside[0])
            if piece.role:
                if len(inside) != 1 or matches[inside[0]].end != stop:
                    raise ValueError(f"the slot with the role {piece.role!r} is not one name in {template.source!r}")
                roles[inside[0]] = piece.role
            at = stop
        same = tuple(pair for places in owners.values() for pair in itertools.pairwise(places))
        return skeleton(text, matches), Pattern(template.concepts, tuple(roles), same)
