"""Builds the lexicon (all concepts and surface forms) and the grammar."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from saewidgets.demo.world import lexicon_geography as geography
from saewidgets.demo.world import lexicon_nature as nature
from saewidgets.demo.world import lexicon_people as people
from saewidgets.demo.world.families import code
from saewidgets.demo.world.grammar import Grammar
from saewidgets.demo.world.lexicon import Lexicon, slug
from saewidgets.demo.world.lexicon_structure import BAD, CONCEPTS, GOOD, MONTHS, WEEKDAYS, bare, table_lines
from saewidgets.demo.world.tables import all_tables


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """All concepts and surface forms."""
    lex = Lexicon()
    for name, family, description, parent in table_lines(CONCEPTS):
        lex.concept(name, family, description, parent or None)
    _add_geography(lex)
    _add_nature(lex)
    _add_people(lex)
    _add_dates(lex)
    _add_code(lex)
    for word in GOOD:
        lex.add_noun(word, "good")
    for word in BAD:
        lex.add_noun(word, "bad")
    lex.add_noun("thousand hills", "rwanda", "rwanda.thousand_hills")
    return lex


def _add(lex: Lexicon, family: str, names: Iterable[str], described: str) -> None:
    for name in names:
        concept = f"{family}.{slug(bare(name))}"
        if concept not in lex.concepts:
            lex.concept(concept, family, described.format(bare(name)), family)
        lex.add(bare(name), family, concept)


def _add_geography(lex: Lexicon) -> None:
    countries, cities = table_lines(geography.COUNTRIES), table_lines(geography.CITIES)
    _add(lex, "country", [row[0] for row in countries], "the country {}")
    _add(lex, "country", [row[1] for row in cities] + ["South Africa"], "the country {}")
    _add(lex, "city", [row[0] for row in cities], "the city of {}")
    _add(lex, "city", [row[1] for row in countries] + ["Abu Dhabi"], "the city of {}")
    _add(lex, "continent", dict.fromkeys(row[2] for row in countries), "the continent {}")
    _add(
        lex,
        "borough",
        [row[0] for row in table_lines(geography.BOROUGHS)],
        "{}, one of the local governments of London",
    )
    for landmark, city in table_lines(geography.LANDMARKS):
        parent = f"landmark.of_{slug(city)}"
        if parent not in lex.concepts:
            lex.concept(parent, "landmark", f"a landmark of {city}", "landmark")
        concept = f"landmark.{slug(bare(landmark))}"
        lex.concept(concept, "landmark", f"{landmark} in {city}", parent)
        lex.add(bare(landmark), "landmark", concept)
    for city, codes in table_lines(geography.AREA_CODES):
        parent = f"phone.{slug(city)}"
        lex.concept(parent, "phone", f"a telephone number in {city}", "phone")
        for area in codes.split():
            lex.concept(f"phone.area_{area}", "phone", f"a telephone number with the area code {area}", parent)
            lex.add_area(area, f"phone.area_{area}")


def _add_nature(lex: Lexicon) -> None:
    rows = (("element", nature.ELEMENTS), ("animal", nature.ANIMALS), ("food", nature.FOODS))
    for family, text in rows:
        for row in table_lines(text):
            concept = f"{family}.{slug(row[0])}"
            lex.concept(concept, family, f"the {family} {row[0]}", family)
            lex.add_noun(row[0], family, concept)
            if family == "animal":
                lex.add_noun(row[1], "animals", concept)


def _add_people(lex: Lexicon) -> None:
    for key, _, job, known, _ in table_lines(people.PEOPLE):
        lex.concept(f"person.{key}", "person", f"the {job} known for {known}, under any name", "person")
    for key, forms in table_lines(people.PERSON_FORMS):
        for form in forms.split(";"):
            lex.add(bare(form), "person", f"person.{key}")
    _add(lex, "name", people.NAMES, "the first name {}")
    for family, words in (("place", people.PLACES), ("object", people.OBJECTS)):
        for word in words:
            lex.concept(f"{family}.{word}", family, f"the {family} {word}", family)
            lex.add_noun(word, family, f"{family}.{word}")


def _add_dates(lex: Lexicon) -> None:
    for parent, words in (("date.weekday", WEEKDAYS), ("date.month", MONTHS)):
        for word in words:
            concept = f"date.{slug(word)}"
            lex.concept(concept, "date", word, parent)
            lex.add(word, parent, concept)


def _add_code(lex: Lexicon) -> None:
    kinds = dict.fromkeys(kind for function in code.FUNCTIONS for _, _, kind in function.bugs)
    for kind in kinds:
        lex.concept(f"code.{kind}", "code", f"a line of Python with a bug: {kind.replace('_', ' ')}", "code.bug")


@lru_cache(maxsize=1)
def grammar() -> Grammar:
    """The lexicon and all tables."""
    return Grammar(lexicon(), all_tables())
