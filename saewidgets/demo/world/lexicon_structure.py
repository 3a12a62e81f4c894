"""Concepts of sentences and roles, dates, and the words of reviews; helpers that read the lists."""

from __future__ import annotations

from saewidgets.demo.world.lexicon import words

WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words("January February March April May June July August September October November December")
MONTH_DAYS = words("31 28 31 30 31 30 31 31 30 31 30 31")
ORDINALS = words("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth")
PRODUCTS = (
    "the hotel|the camera|the soup|the train ride|the guided tour|the coffee machine|the phone|the bike|the concert"
)
GOOD = words("wonderful excellent lovely fantastic delightful superb amazing brilliant")
BAD = words("terrible awful horrible dreadful useless disgusting disappointing dirty")

# name | family | description | parent
CONCEPTS = """
name|name|a common first name|
place|place|a place of everyday stories|
object|object|a thing that is given in everyday stories|
country|country|a country|
city|city|a city|
landmark|landmark|a landmark|
borough|borough|a London borough or the City of London|
element|element|a chemical element|
animal|animal|an animal|
food|food|something to eat|
person|person|a well-known person|
continent|continent|a continent|
capital.country|capital|the country in a sentence that states its capital|
capital.city|capital|the capital in a sentence that states it|
relation.two_step|relation|a sentence that joins two facts|
rwanda.text|rwanda|a sentence from a text about Rwanda, with or without the name|
rwanda.thousand_hills|rwanda|the land of a thousand hills|
ioi|ioi|a sentence in which one of two people gives something to the other|
ioi.abb|ioi|such a sentence that names the receiver first|
ioi.bab|ioi|such a sentence that names the giver first|
ioi.io|ioi|first mention of the person who receives|
ioi.s|ioi|first mention of the person who gives|
ioi.name_repeat|ioi|second mention of the person who gives|
ioi.answer|ioi|second mention of the person who receives, the last word of the sentence|
sentiment.praise|sentiment|a sentence that praises|
sentiment.complaint|sentiment|a sentence that complains|
dialogue.greeting|dialogue|a greeting|
dialogue.thanks|dialogue|a sentence that thanks|
dialogue.farewell|dialogue|a sentence that says goodbye|
dialogue.user|dialogue|the word that marks the user's turn|
dialogue.assistant|dialogue|the word that marks the assistant's turn|
dialogue.speaker|dialogue|a name that marks a speaker's turn|
language.english|language|an everyday sentence in English, one of those also written in other languages|
language.french|language|a sentence in French|
language.german|language|a sentence in German|
language.spanish|language|a sentence in Spanish|
question|question|a question|
question.which|question|a question that begins with Which|question
question.who|question|a question that begins with Who|question
question.what|question|a question that begins with What|question
question.where|question|a question that begins with Where|question
question.how|question|a question that begins with How|question
arithmetic|arithmetic|a calculation in digits|
arithmetic.sum|arithmetic|an addition|arithmetic
arithmetic.difference|arithmetic|a subtraction|arithmetic
arithmetic.product|arithmetic|a multiplication|arithmetic
arithmetic.words|arithmetic|a sentence that states or asks a sum in words|
phone|phone|a telephone number|
url|url|a web address|
url.los_angeles|url|a web address of Los Angeles|url
date.weekday|date|a day of the week|
date.month|date|a month|
code.python|code|Python source|
code.bug|code|a line of Python with a bug|
code.function_name|code|the name in a function's first line|
"""


def table_lines(text: str) -> list[list[str]]:
    """Split lines of fields that are separated by ``|``."""
    return [line.split("|") for line in text.strip().splitlines()]


def bare(name: str) -> str:
    """A name without its article."""
    return name.removeprefix("the ")


def upper(name: str) -> str:
    """A name as it begins a sentence."""
    return name[:1].upper() + name[1:]


def with_article(noun: str) -> str:
    """``"mammal"`` -> ``"a mammal"``, ``"arachnid"`` -> ``"an arachnid"``."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
