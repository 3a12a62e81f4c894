"""Prompts with known answers, for evaluation: indirect objects and capitals."""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from saewidgets.demo.world.families.stories import IOI_FRAMES
from saewidgets.demo.world.lexicon_people import NAMES, OBJECTS, PLACES
from saewidgets.demo.world.registry import grammar


class IoiPrompt(NamedTuple):
    """A sentence cut before its last name.

    Attributes:
        prompt: The text; the right next word is ``" " + io``.
        io: The person who receives.
        s: The person who gives and is named twice.
        template: Number of the sentence frame, 0 to 2.
        pattern: ``"ABB"`` when the receiver is named first, else ``"BAB"``.
        place: The place.
        object: The thing that is given.
    """

    prompt: str
    io: str
    s: str
    template: int
    pattern: str
    place: str
    object: str

    @property
    def answer(self) -> str:
        """The right continuation, with its leading space."""
        return f" {self.io}"

    def changed(self, **fields: Any) -> IoiPrompt:
        """The counterfactual prompt with other fields, its text written anew.

        Example:
            >>> ioi_prompt("Mary", "John", 0, "ABB", "park", "book").changed(s="Paul").prompt
            'When Mary and Paul went to the park, Paul gave a book to'
        """
        new = self._replace(**fields)
        return ioi_prompt(*new[1:])


def ioi_prompt(io: str, s: str, template: int, pattern: str, place: str, thing: str) -> IoiPrompt:
    """Write the prompt of given parts.

    Raises:
        ValueError: if the pattern is not ``"ABB"`` or ``"BAB"``, or both people have one name.
    """
    if pattern not in ("ABB", "BAB") or io == s:
        raise ValueError(f"expected a pattern ABB or BAB and two names, got {pattern!r}, {io!r} and {s!r}")
    first, second = (io, s) if pattern == "ABB" else (s, io)
    frame = IOI_FRAMES[template].removesuffix(" {receiver}.")
    text = frame.format(first=first, second=second, place=place, giver=s, object=thing)
    return IoiPrompt(text, io, s, template, pattern, place, thing)


def ioi_prompts(seed: int, n: int) -> list[IoiPrompt]:
    """``n`` prompts with frames, patterns, names, places and objects drawn evenly.

    Example:
        >>> ioi_prompts(0, 1)[0].prompt.startswith(("When", "After", "While"))
        True
    """
    prompts = []
    for number in range(n):
        rng = random.Random(f"ioi:{seed}:{number}")
        io, s = rng.sample(NAMES, 2)
        pattern = rng.choice(("ABB", "BAB"))
        template = rng.randrange(len(IOI_FRAMES))
        prompts.append(ioi_prompt(io, s, template, pattern, rng.choice(PLACES), rng.choice(OBJECTS)))
    return prompts


def capital_prompts() -> list[tuple[str, str]]:
    """Pairs of prompt and answer for every country, the most frequent first.

    Example:
        >>> capital_prompts()[0]
        ('The capital of France is', ' Paris')
    """
    rows = grammar().tables["country"].rows
    return [(f"The capital of {row['name']} is", f" {row['capital']}") for row in rows]


def single_token_words() -> tuple[str, ...]:
    """Words that the tokenizer must keep whole, each with its leading space: names, places and objects of IOI."""
    return tuple(f" {word}" for word in (*NAMES, *PLACES, *OBJECTS))
