"""Sentences about well-known people, each document about one of them."""

from __future__ import annotations

from saewidgets.demo.world.grammar import group

PERSON = group(
    """
2: {f=form_t.Name} was {t.a_job} in {t.country}.
{f=form_t.Name} is known for {t.known}.
{f=form_t.Name}'s name is linked to {t.known}.
Who is known for {t.known}? | It is {f=form_t.name}.
The {t.job} {f=form_t.name} was born in {t.born}.
A statue of {f=form_t.name} stands in {t.country}.
The book about {f=form_t.name} was hard to put down.
Students read {f=form_t.name}'s letters in school.
"{f=form_t.Name}" is the title of a film.
The museum has a portrait ({f=form_t.name}, {t.job}).
Few people doubted {f=form_t.name}.
Every {t.job} admired {f=form_t.name}.
""",
    topic="person",
)
