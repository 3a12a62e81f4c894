"""The bundled world: a seeded grammar that writes short documents with real names and facts and labels every span.

It is the ground truth that no downloaded model has: every concept that a text expresses is known, character by
character, and the log probability of a text gives the least loss a model of it can reach.

Example:
    >>> from saewidgets.demo import world
    >>> world.label("Camden is a borough of London.")[0]
    Span(start=0, end=6, concept='borough')
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from saewidgets.demo.world.documents import write
from saewidgets.demo.world.kinds import Concept, Document, Span
from saewidgets.demo.world.labelling import label_text
from saewidgets.demo.world.prompts import IoiPrompt, capital_prompts, ioi_prompt, ioi_prompts, single_token_words
from saewidgets.demo.world.registry import lexicon

if TYPE_CHECKING:
    from saewidgets.demo.concepts import ConceptPredicate

__all__ = [
    "Concept",
    "Document",
    "IoiPrompt",
    "Span",
    "capital_prompts",
    "concepts",
    "families",
    "ioi_prompt",
    "ioi_prompts",
    "label",
    "predicate",
    "sample",
    "single_token_words",
]

concepts: tuple[Concept, ...] = tuple(lexicon().concepts.values())
families: tuple[str, ...] = tuple(dict.fromkeys(concept.family for concept in concepts))


def sample(seed: int, n: int) -> list[Document]:
    """Write the first ``n`` documents of a seed.

    They are the same on every machine, and a longer sample begins like a shorter one.

    Args:
        seed: Any whole number.
        n: How many documents, 0 or more.

    Returns:
        Documents with text, labelled spans, kind and log probability in nats.

    Example:
        >>> sample(0, 2)[0] == sample(0, 1)[0]
        True
    """
    return [write(seed, index) for index in range(n)]


def label(text: str) -> tuple[Span, ...]:
    """Label any text with the concepts it expresses, exactly as the grammar labels the documents it writes.

    Names, places, dates, numbers and addresses are found wherever they stand; roles and concepts of a whole sentence
    are found in sentences of the grammar, and language, praise and complaint also in others by a simple guess.

    Args:
        text: Any text; an empty one has no labels.

    Returns:
        Spans with character offsets, sorted by start, end and concept.

    Example:
        >>> [span.concept for span in label("gold")]
        ['element', 'element.gold']
    """
    return label_text(text)


def predicate(concept: Any) -> ConceptPredicate:
    """A concept as a predicate: called with the tokens of a text, it says which of them express it.

    Args:
        concept: Name of the concept, such as ``"borough.camden"``.

    Raises:
        UnknownNameError: There is no such concept; names those that are spelled alike.

    Example:
        >>> predicate("borough.camden").name
        'borough.camden'
    """
    from saewidgets.demo.concepts import ConceptPredicate

    return ConceptPredicate(concept)
