"""The rows that sentences draw from, with their frequencies."""

from __future__ import annotations

from collections.abc import Iterable

from saewidgets.demo.world import lexicon_geography as geography
from saewidgets.demo.world import lexicon_nature as nature
from saewidgets.demo.world import lexicon_people as people
from saewidgets.demo.world.families import languages
from saewidgets.demo.world.grammar import Table, zipf
from saewidgets.demo.world.lexicon_structure import (
    BAD,
    GOOD,
    MONTH_DAYS,
    MONTHS,
    ORDINALS,
    PRODUCTS,
    WEEKDAYS,
    table_lines,
    upper,
    with_article,
)


def _named(rows: list[dict[str, str]], weights: list[float] | None = None) -> Table:
    for row in rows:
        for field in [field for field in row if field in ("name", "plural", "a_job", "en", "fr", "de", "es")]:
            key = field.upper() if len(field) == 2 else upper(field)
            row[key] = upper(row[field])
    return Table(rows, weights)


def _dicts(text: str, *fields: str) -> list[dict[str, str]]:
    return [dict(zip(fields, row, strict=True)) for row in table_lines(text)]


def _simple(names: Iterable[str]) -> Table:
    return _named([{"name": name} for name in names])


def _adjectives(words: list[str]) -> Table:
    return Table([{"name": word, "article": with_article(word)} for word in words])


def _geography_tables() -> dict[str, Table]:
    countries = _dicts(geography.COUNTRIES, "name", "capital", "continent", "language")
    by_country = {row["name"]: row for row in countries}
    emirates = {"name": "the United Arab Emirates", "capital": "Abu Dhabi", "continent": "Asia", "language": "Arabic"}
    by_country[emirates["name"]] = emirates
    cities = _dicts(geography.CITIES, "name", "country", "known")
    for row in cities:
        row["continent"] = by_country[row["country"]]["continent"]
    city_country = {row["name"]: row["country"] for row in cities}
    landmarks = _dicts(geography.LANDMARKS, "name", "city")
    for row in landmarks:
        row["country"] = city_country[row["city"]]
        row["capital"] = by_country[row["country"]]["capital"]
        row["language"] = by_country[row["country"]]["language"]
    boroughs = _dicts(geography.BOROUGHS, "name", "side", "part")
    for row in boroughs:
        row["what"] = "the oldest part" if row["name"] == "the City of London" else "a borough"
    sf = [dict(row) for row in landmarks if row["city"] == "San Francisco"]
    return {
        "country": _named(countries, zipf(len(countries), 4.0)),
        "city": _named(cities, zipf(len(cities), 2.0)),
        "landmark": _named(landmarks, zipf(len(landmarks), 2.0)),
        "sf": _named(sf, zipf(len(sf), 1.0)),
        "borough": _named(boroughs, zipf(len(boroughs), 1.0)),
    } | _contact_tables()


def _contact_tables() -> dict[str, Table]:
    phones: list[dict[str, str]] = []
    weights: list[float] = []
    codes = table_lines(geography.AREA_CODES)
    for (city, areas), weight in zip(codes, zipf(len(codes), 1.0), strict=True):
        for area in areas.split():
            phones += [{"city": city, "number": f"{area}-555-01{n:02d}"} for n in range(100)]
            weights += [weight / len(areas.split())] * 100
    urls = [
        {"city": city, "page": page, "address": f"www.{name}.example/{page}"}
        for city, name in table_lines(geography.WEB_NAMES)
        for page in geography.WEB_PAGES
    ]
    local = [row for row in phones if row["city"] == "Los Angeles"]
    local_urls = [row for row in urls if row["city"] == "Los Angeles"]
    return {"phone": Table(phones, weights), "phone_la": Table(local), "url": Table(urls), "url_la": Table(local_urls)}


def _nature_tables() -> dict[str, Table]:
    elements = _dicts(nature.ELEMENTS, "name", "symbol", "number", "kind")
    animals = _dicts(nature.ANIMALS, "name", "plural", "kind", "home", "diet")
    for row in animals:
        row["a_kind"] = with_article(row["kind"])
    foods = _dicts(nature.FOODS, "name", "kind", "taste", "home")
    return {
        "element": _named(elements, zipf(len(elements), 1.0)),
        "animal": _named(animals, zipf(len(animals), 1.0)),
        "food": _named(foods, zipf(len(foods), 1.0)),
    }


def _people_tables() -> dict[str, Table]:
    persons = _dicts(people.PEOPLE, "key", "country", "job", "known", "born")
    names: dict[str, list[str]] = {}
    for key, some in table_lines(people.PERSON_FORMS):
        names.setdefault(key, []).extend(some.split(";"))
    forms: list[dict[str, str]] = []
    parts: list[Table] = []
    for row in persons:
        row["a_job"] = with_article(row["job"])
        own = [row | {"name": form} for form in names[row["key"]]]
        parts.append(_named(own, zipf(len(own), 0.5)))
        forms += own
    for form in forms:
        if not form["name"].startswith("the "):
            form["Name"] = form["name"]
    weights = zipf(len(persons), 2.0)
    person = Table(persons, weights)
    everyone = Table(forms, [w * p for w, part in zip(weights, parts, strict=True) for p in part.probs])
    person_form = Table(forms).given("t", parts)
    return {"person": person, "form": everyone, "form_t": person_form} | {
        "name": _simple(people.NAMES),
        "place": _simple(people.PLACES),
        "object": _simple(people.OBJECTS),
        "product": _simple(PRODUCTS.split("|")),
        "good": _adjectives(GOOD),
        "bad": _adjectives(BAD),
    }


def _number_tables() -> dict[str, Table]:
    signs = (
        ("sum", "+", [(a, b, a + b) for a in range(21) for b in range(21)]),
        ("difference", "-", [(a, b, a - b) for a in range(21) for b in range(a + 1)]),
        ("times", "*", [(a, b, a * b) for a in range(1, 11) for b in range(1, 11)]),
    )
    tables = {}
    for name, sign, facts in signs:
        rows = [{"a": str(a), "b": str(b), "c": str(c), "text": f"{a} {sign} {b} = {c}"} for a, b, c in facts]
        tables[name] = Table(rows)
    tables["weekday"] = Table([{"name": d, "next": WEEKDAYS[(i + 1) % 7]} for i, d in enumerate(WEEKDAYS)])
    tables["month"] = Table(
        [
            {"name": m, "next": MONTHS[(i + 1) % 12], "ordinal": ORDINALS[i], "days": MONTH_DAYS[i]}
            for i, m in enumerate(MONTHS)
        ]
    )
    tables["day"] = Table([{"name": str(day)} for day in range(1, 29)])
    tables["minutes"] = Table([{"name": str(5 * n)} for n in range(1, 7)])
    return tables


def _language_tables() -> dict[str, Table]:
    lists = {
        "l_animal": languages.ANIMALS,
        "l_food": languages.FOODS,
        "l_place": languages.PLACES,
        "l_person": languages.PEOPLE,
        "l_day": languages.DAYS,
    }
    tables = {name: _named(_dicts(text, "en", "fr", "de", "es")) for name, text in lists.items()}
    return tables | {"l_town": _simple(languages.TOWNS)}


def all_tables() -> dict[str, Table]:
    """Every table by the name that templates use."""
    return _geography_tables() | _nature_tables() | _people_tables() | _number_tables() | _language_tables()
