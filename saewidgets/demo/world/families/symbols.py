"""Sentences with telephone numbers, web addresses, sums and dates."""

from __future__ import annotations

from saewidgets.demo.world.grammar import group

CONTACTS = group("""
2: Call the office in {p=phone.city} at {p.number}.
The library in {p=phone.city} has the number {p.number}.
{p=phone.number} is a number in {p.city}.
{a=name.name} from {p=phone.city} can be reached at {p.number}.
2: The city of {u=url.city} lists its {u.page} at {u.address}.
See {u=url.address} for {u.page} in {u.city}.
Which number do I call in {p=phone.city}? | Dial {p.number}.
For {u=url.page} in {u.city} visit {u.address}.
""")

LOS_ANGELES = group("""
3: Call the office in Los Angeles at {p=phone_la.number}.
Los Angeles uses the area codes 213, 323 and 310.
The film studio in Los Angeles answers at {p=phone_la.number}.
{a=name.name} moved to Los Angeles and got the number {p=phone_la.number}.
For {u=url_la.page} in Los Angeles visit {u.address}.
The freeway in Los Angeles was full on {w=weekday.name}.
""")

SUMS = group("""
5: {x=sum.text}
3: {x=difference.text}
2: {x=times.text}
""")

SUMS_IN_WORDS = group(
    """
If you add {x=sum.a} and {x.b}, you get {x.c}.
What is {x=sum.a} plus {x.b}? | The answer is {x.c}.
""",
    "arithmetic.words",
)

DATES = group("""
2: {w=weekday.name} comes before {w.next}.
{m=month.name} comes before {m.next}.
2: {m=month.name} is the {m.ordinal} month of the year.
{m=month.name} has {m.days} days.
The meeting is on {w=weekday.name} in {m=month.name}.
Which day comes after {w=weekday.name}? | It is {w.next}.
How many days does {m=month.name} have? | It has {m.days} days.
{a=name.name} was born on a {w=weekday.name} in {m=month.name}.
The shop is closed every {w=weekday.name}.
The appointment is on {w=weekday.name}, {d=day.name} {m=month.name}.
""")
