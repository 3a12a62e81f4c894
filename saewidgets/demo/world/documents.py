"""The kinds of documents, how often each is written, and the writer."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from saewidgets.demo.world.families import code, geography, languages, nature, people, stories, symbols
from saewidgets.demo.world.grammar import Chooser, Grammar, Group, Passage, Table
from saewidgets.demo.world.kinds import Document, Span
from saewidgets.demo.world.registry import grammar


class Kind(NamedTuple):
    """A kind of document: relative weight, groups with weights, least and most passages, what stands between them."""

    name: str
    weight: float
    groups: tuple[tuple[float, Group], ...]
    low: int = 5
    high: int = 8
    separator: str = " "


KINDS = (
    Kind("story", 30, ((0.8, stories.IOI), (0.2, stories.NARRATIVE)), 4, 6),
    Kind("capitals", 9, ((0.9, geography.CAPITALS), (0.1, geography.COUNTRIES)), 5, 9),
    Kind("countries", 3, ((0.7, geography.COUNTRIES), (0.3, geography.CITIES))),
    Kind("cities", 5, ((0.8, geography.CITIES), (0.2, geography.LANDMARKS))),
    Kind("city", 3, ((1, geography.CITY),)),
    Kind("landmarks", 6, ((0.7, geography.LANDMARKS), (0.3, geography.STEPS))),
    Kind("san_francisco", 3, ((1, geography.SAN_FRANCISCO),)),
    Kind("boroughs", 6, ((1, geography.BOROUGHS),), 5, 8),
    Kind("rwanda", 2, ((1, geography.RWANDA),)),
    Kind("elements", 6, ((1, nature.ELEMENTS),), 5, 8),
    Kind("animals", 5, ((1, nature.ANIMALS),), 5, 8),
    Kind("animal", 2, ((1, nature.ANIMAL),), 4, 6),
    Kind("foods", 5, ((1, nature.FOODS),), 5, 8),
    Kind("person", 6, ((1, people.PERSON),)),
    Kind("contacts", 3, ((1, symbols.CONTACTS),), 3, 5),
    Kind("los_angeles", 2, ((1, symbols.LOS_ANGELES),), 3, 5),
    Kind("sums", 3, ((0.8, symbols.SUMS), (0.2, symbols.SUMS_IN_WORDS)), 5, 9, "\n"),
    Kind("dates", 4, ((1, symbols.DATES),), 4, 7),
    Kind("english", 2, ((1, languages.ENGLISH),)),
    Kind("french", 2, ((1, languages.FRENCH),)),
    Kind("german", 2, ((1, languages.GERMAN),)),
    Kind("spanish", 2, ((1, languages.SPANISH),)),
    Kind("praise", 2, ((0.85, stories.PRAISE), (0.15, stories.PLAIN_REVIEW))),
    Kind("complaint", 2, ((0.85, stories.COMPLAINT), (0.15, stories.PLAIN_REVIEW))),
    Kind("code", 5, (), 1, 3, "\n\n"),
    Kind("chat", 2, (), 1, 3, "\n"),
    Kind("talk", 2, (), 1, 3, "\n"),
)
KIND_TABLE = Table([{"name": kind.name} for kind in KINDS], [float(kind.weight) for kind in KINDS])
TURN_GROUPS = (stories.GREETING, stories.REPLY, stories.ASK, stories.THANKS, stories.FAREWELL)


@lru_cache(maxsize=64)
def mixture(kind: Kind) -> Table:
    """The groups of a kind with their probabilities."""
    return Table([{} for _ in kind.groups], [float(weight) for weight, _ in kind.groups])


@lru_cache(maxsize=1)
def code_blocks() -> tuple[Table, dict[str, tuple[Span, ...]]]:
    """All function texts with their frequencies, and the labels of each text."""
    rows: list[dict[str, str]] = []
    weights: list[float] = []
    labels: dict[str, tuple[Span, ...]] = {}
    for function in code.FUNCTIONS:
        for first, second in code.NAME_PAIRS:
            share = code.BUG_SHARE / len(function.bugs)
            for bug, weight in ((None, 1.0 - code.BUG_SHARE), *((bug, share) for bug in function.bugs)):
                text, spans = _code_block(function.source, bug, first, second)
                rows.append({"text": text})
                weights.append(weight)
                labels[text] = spans
    return Table(rows, weights), labels


def _code_block(source: str, bug: tuple[int, str, str] | None, first: str, second: str) -> tuple[str, tuple[Span, ...]]:
    lines = source.split("\n")
    if bug is not None:
        lines[bug[0]] = bug[1]
    lines = [line.replace("$a", first).replace("$b", second) for line in lines]
    text = "\n".join(lines)
    name = text.index("def ") + 4
    spans = [Span(0, len(text), "code.python"), Span(name, text.index("(", name), "code.function_name")]
    if bug is not None:
        stop = len("\n".join(lines[: bug[0] + 1]))
        start = stop - len(lines[bug[0]].lstrip())
        spans += [Span(start, stop, "code.bug"), Span(start, stop, f"code.{bug[2]}")]
    return text, (*spans, *grammar().lexicon.spans(text))


class Writer:
    """Writes one document: text, labels and the log probability of all choices."""

    def __init__(self, engine: Grammar, chooser: Chooser) -> None:
        self.grammar = engine
        self.chooser = chooser
        self.parts: list[str] = []
        self.spans: list[Span] = []
        self.length = 0

    def literal(self, text: str, spans: tuple[Span, ...] | list[Span] = ()) -> None:
        """Append text whose labels are known; offsets count from the beginning of ``text``."""
        self.spans += [Span(start + self.length, end + self.length, name) for start, end, name in spans]
        self.parts.append(text)
        self.length += len(text)

    def passage(self, passage: Passage, rows: dict[str, int], separator: str) -> None:
        """Append all sentences of a passage."""
        for number, template in enumerate(passage.templates):
            if number:
                self.literal(separator)
            self.grammar.draw(template, rows, self.chooser)
            text, spans = self.grammar.render(template, rows, 0)
            self.literal(text, spans)

    def document(self) -> Document:
        """Choose a kind and write it."""
        kind = KINDS[self.chooser.pick(KIND_TABLE)]
        if kind.groups:
            self.sentences(kind)
        else:
            WRITERS[kind.name](self, self.chooser.between(kind.low, kind.high))
        spans = tuple(sorted(set(self.spans)))
        return Document("".join(self.parts), spans, kind.name, self.chooser.log_prob)

    def sentences(self, kind: Kind) -> None:
        """Append the passages of a kind; if it has a topic, the row of the topic is drawn once."""
        topic = kind.groups[0][1].topic
        fixed = {} if topic is None else {"t": self.chooser.pick(self.grammar.tables[topic])}
        weights = mixture(kind)
        for number in range(self.chooser.between(kind.low, kind.high)):
            if number:
                self.literal(kind.separator)
            group = kind.groups[self.chooser.pick(weights) if len(kind.groups) > 1 else 0][1]
            self.passage(group.passages[self.chooser.pick(group.table)], dict(fixed), kind.separator)

    def code(self, n: int) -> None:
        """Append ``n`` functions."""
        table, labels = code_blocks()
        for number in range(n):
            if number:
                self.literal("\n\n")
            text = table.rows[self.chooser.pick(table)]["text"]
            self.literal(text, labels[text])

    def dialogue(self, n: int, speakers: tuple[tuple[str, list[Span]], tuple[str, list[Span]]]) -> None:
        """Append a greeting, ``n`` questions with answers, thanks and a farewell, one line per turn."""
        turn = 0
        for group in (stories.GREETING, stories.REPLY, *[stories.ASK] * n, stories.THANKS, stories.FAREWELL):
            passage = group.passages[self.chooser.pick(group.table)]
            rows: dict[str, int] = {}
            for template in passage.templates:
                if turn:
                    self.literal("\n")
                self.literal(*speakers[turn % 2])
                self.literal(": ")
                self.grammar.draw(template, rows, self.chooser)
                self.literal(*self.grammar.render(template, rows, 0))
                turn += 1

    def chat(self, n: int) -> None:
        """Append a dialogue of a user and an assistant."""
        user, assistant = [Span(0, 4, "dialogue.user")], [Span(0, 9, "dialogue.assistant")]
        self.dialogue(n, (("User", user), ("Assistant", assistant)))

    def talk(self, n: int) -> None:
        """Append a dialogue of two people with names."""
        names = self.grammar.tables["name"]
        first = self.chooser.pick(names)
        second = self.chooser.pick(names, first)
        speakers = []
        for row in (first, second):
            name, spans = self.grammar.rendered(names.rows[row]["name"])
            speakers.append((name, [*spans, Span(0, len(name), "dialogue.speaker")]))
        self.dialogue(n, (speakers[0], speakers[1]))


WRITERS: dict[str, Callable[[Writer, int], None]] = {"code": Writer.code, "chat": Writer.chat, "talk": Writer.talk}


def write(seed: int, index: int) -> Document:
    """Document number ``index`` of a seed; every number stands for itself, so samples of a seed begin alike."""
    return Writer(grammar(), Chooser(random.Random(f"{seed}:{index}"))).document()
