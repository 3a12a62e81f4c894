"""Reads text back: the same templates that write sentences label them, surface forms label the rest."""

from __future__ import annotations

import re
from functools import lru_cache

from saewidgets.demo.world.documents import KINDS, TURN_GROUPS, code_blocks
from saewidgets.demo.world.grammar import BREAK, Pattern, question_concepts
from saewidgets.demo.world.kinds import Span
from saewidgets.demo.world.lexicon import Match, skeleton, words
from saewidgets.demo.world.registry import grammar

_TURN = re.compile(r"([A-Z][a-z]+): (?=\S)")
_TURN_CONCEPTS = {"User": "dialogue.user", "Assistant": "dialogue.assistant"}
_WORD = re.compile(r"[^\W\d_]+")
_COMMON_WORDS = {
    "language.french": set(words("le la les des une est et dans vous nous je il elle avec pour pas que mon ma ce")),
    "language.german": set(words("der die das und ist nicht ein eine ich wir mit auf für zu den dem im am sehr")),
    "language.spanish": set(words("el la los las una es y en con para por que mi muy está no del al su")),
}


@lru_cache(maxsize=1)
def patterns() -> dict[str, tuple[Pattern, ...]]:
    """All sentence patterns by skeleton."""
    found: dict[str, list[Pattern]] = {}
    groups = [group for kind in KINDS for _, group in kind.groups] + list(TURN_GROUPS)
    for group in dict.fromkeys(groups):
        for passage in group.passages:
            for template in passage.templates:
                for key, pattern in grammar().patterns(template):
                    known = found.setdefault(key, [])
                    if pattern not in known:
                        known.append(pattern)
    return {key: tuple(known) for key, known in found.items()}


def label_text(text: str) -> tuple[Span, ...]:
    """Label a text block by block (blank line), line by line and sentence by sentence."""
    spans: list[Span] = []
    _, blocks = code_blocks()
    at = 0
    for block in text.split("\n\n"):
        known = blocks.get(block)
        if known is not None:
            spans += [Span(start + at, end + at, name) for start, end, name in known]
        elif "\ndef " in "\n" + block:
            _code(block, at, spans)
        else:
            start = at
            for line in block.split("\n"):
                _line(line, start, spans)
                start += len(line) + 1
        at += len(block) + 2
    return tuple(sorted(set(spans)))


def _code(block: str, at: int, spans: list[Span]) -> None:
    spans.append(Span(at, at + len(block.rstrip()), "code.python"))
    spans += [Span(m.start(1) + at, m.end(1) + at, "code.function_name") for m in re.finditer(r"\bdef (\w+)", block)]
    spans += [Span(start + at, end + at, name) for start, end, name in grammar().lexicon.spans(block)]


def _line(line: str, at: int, spans: list[Span]) -> None:
    turn = _TURN.match(line)
    if turn is not None and _speaker(turn.group(1), at, spans):
        at += turn.end()
        line = line[turn.end() :]
    begin = 0
    for gap in BREAK.finditer(line):
        _sentence(line[begin : gap.start()], at + begin, spans)
        begin = gap.end()
    if begin < len(line):
        _sentence(line[begin:], at + begin, spans)


def _speaker(word: str, at: int, spans: list[Span]) -> bool:
    concept = _TURN_CONCEPTS.get(word)
    if concept is not None:
        spans.append(Span(at, at + len(word), concept))
        return True
    own = grammar().lexicon.scan(word)
    if not own or own[0].category != "name" or own[0].end != len(word):
        return False
    spans += [Span(at, at + len(word), name) for name in (*own[0].concepts, "dialogue.speaker")]
    return True


def _sentence(raw: str, at: int, spans: list[Span]) -> None:
    sentence = raw.strip()
    if not sentence:
        return
    at += raw.index(sentence)
    lexicon = grammar().lexicon
    matches = lexicon.scan(sentence)
    for match in matches:
        spans += [Span(at + match.start, at + match.end, name) for name in match.concepts]
    end = at + len(sentence)
    whole = question_concepts(sentence)
    pattern = _pattern(sentence, matches) or _unfinished(sentence, matches)
    if pattern is None:
        whole += _guess(sentence, matches)
    else:
        whole += pattern.concepts
        for match, role in zip(matches, pattern.roles, strict=False):
            if role is not None:
                spans += [Span(at + match.start, at + match.end, name) for name in lexicon.lineage(role)]
    spans += [Span(at, end, name) for name in whole]


def _pattern(sentence: str, matches: list[Match]) -> Pattern | None:
    return _agreeing(skeleton(sentence, matches), [sentence[match.start : match.end] for match in matches])


def _unfinished(sentence: str, matches: list[Match]) -> Pattern | None:
    """The pattern of a prompt that lacks its last word, such as "The capital of France is"."""
    if sentence[-1] in ".?!" or not matches:
        return None
    found = [sentence[match.start : match.end] for match in matches]
    for category in ("name", "city"):
        pattern = _agreeing(f"{skeleton(sentence, matches)} \0{category}\0.", found)
        if pattern is not None:
            return pattern
    return None


def _agreeing(key: str, found: list[str]) -> Pattern | None:
    n = len(found)
    for pattern in patterns().get(key, ()):
        if all(found[first] == found[second] for first, second in pattern.same if first < n and second < n):
            return pattern
    return None


def _guess(sentence: str, matches: list[Match]) -> tuple[str, ...]:
    """Concepts of a sentence that no template writes: language by common words, praise and complaint by adjectives."""
    used = {word.lower() for word in _WORD.findall(sentence)}
    hits = {name: len(used & common) for name, common in _COMMON_WORDS.items()}
    best = max(hits, key=lambda name: hits[name])
    found = (best,) if hits[best] >= 3 and sum(n == hits[best] for n in hits.values()) == 1 else ()
    tones = {match.category for match in matches} & {"good", "bad"}
    if len(tones) == 1:
        found += ("sentiment.praise" if "good" in tones else "sentiment.complaint",)
    return found
