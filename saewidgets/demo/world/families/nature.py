"""Sentences about chemical elements, animals and foods."""

from __future__ import annotations

from saewidgets.demo.world.grammar import group

ELEMENTS = group("""
3: The symbol of {e=element.name} is {e.symbol}.
2: {e=element.Name} is {e.kind}.
2: The atomic number of {e=element.name} is {e.number}.
Which element has the symbol {e=element.symbol}? | It is {e.name}.
What is the symbol of {e=element.name}? | The symbol is {e.symbol}.
The chemist weighed some {e=element.name} in the lab.
Students learn that {e=element.name} is {e.kind}.
An atom of {e=element.name} has {e.number} protons.
The jar labelled {e=element.symbol} contains {e.name}.
""")

ANIMALS = group("""
2: The {a=animal.name} is {a.a_kind}.
2: The {a=animal.name} lives in {a.home}.
{a=animal.Plural} eat {a.diet}.
Which animal lives in {a=animal.home}? | The {a.name} does.
What do {a=animal.plural} eat? | They eat {a.diet}.
In the film we saw {a=animal.plural} and {b=animal.plural!a}.
A young {a=animal.name} slept in {a.home}.
{n=name.name} drew a picture of the {a=animal.name}.
The {a=animal.name} looked for {a.diet} in {a.home}.
""")

ANIMAL = group(
    """
The {t.name} is {t.a_kind}.
{t.Plural} live in {t.home}.
Every {t.name} eats {t.diet}.
Most {t.plural} sleep when it is dark.
Where do {t.plural} live? | They live in {t.home}.
We watched the {t.name} for an hour.
People who study {t.plural} come to {t.home}.
""",
    topic="animal",
)

FOODS = group("""
2: {f=food.Name} is {f.kind}.
2: {f=food.Name} tastes {f.taste}.
You can find {f=food.name} at {f.home}.
{n=name.name} bought some {f=food.name} on {w=weekday.name}.
Which food from {f=food.home} tastes {f.taste}? | One answer is {f.name}.
For lunch we had {f=food.name} with {g=food.name!f}.
Add the {f=food.name} and stir for {d=minutes.name} minutes.
The recipe needs {f=food.name} and {g=food.name!f}.
Does {n=name.name} like {f=food.name}? | Yes, but not with {g=food.name!f}.
""")
