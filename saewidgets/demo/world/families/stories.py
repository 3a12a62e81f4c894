"""Sentences of everyday stories: who gave what to whom, small talk, praise and complaint."""

from __future__ import annotations

from saewidgets.demo.world.grammar import Group, Passage, group

IOI_FRAMES = (
    "When {first} and {second} went to the {place}, {giver} gave a {object} to {receiver}.",
    "After {first} and {second} had a long day at the {place}, {giver} handed a {object} to {receiver}.",
    "While {first} and {second} were waiting near the {place}, {giver} passed a {object} to {receiver}.",
)


def ioi_line(frame: str, pattern: str) -> str:
    """The template of one frame: ABB names the receiver first, BAB the giver."""
    receiver, giver = "{io=name.name@ioi.io}", "{s=name.name!io@ioi.s}"
    if pattern == "BAB":
        receiver, giver = "{io=name.name!s@ioi.io}", "{s=name.name@ioi.s}"
    first, second = (receiver, giver) if pattern == "ABB" else (giver, receiver)
    return frame.format(
        first=first,
        second=second,
        place="{p=place.name}",
        giver="{s.name@ioi.name_repeat}",
        object="{o=object.name}",
        receiver="{io.name@ioi.answer}",
    )


IOI = Group(
    [
        Passage(ioi_line(frame, pattern), ("ioi", f"ioi.{pattern.lower()}"), None)
        for frame in IOI_FRAMES
        for pattern in ("ABB", "BAB")
    ]
)

NARRATIVE = group("""
{a=name.name} lost a {o=object.name} near the {p=place.name}.
The {p=place.name} was full of people on {w=weekday.name}.
{a=name.name} bought a new {o=object.name}.
The {o=object.name} was on the table.
It rained, so {a=name.name} stayed at the {p=place.name}.
Who took the {o=object.name}? | Nobody knew.
{a=name.name} said hello to {b=name.name!a}.
The way to the {p=place.name} is long.
""")

PRAISE = group(
    """
I love {t.name}, it is {j=good.name}.
{t.Name} was {j=good.name} from the first day.
What {j=good.article} surprise!
The staff were {j=good.name} and {k=good.name!j}.
I would gladly recommend {t.name} to {a=name.name}.
Five stars, everything about {t.name} was {j=good.name}.
My family enjoyed every minute with {t.name}.
Thank you for such {j=good.name} service!
""",
    "sentiment.praise",
    topic="product",
)

COMPLAINT = group(
    """
I hate {t.name}, it is {j=bad.name}.
{t.Name} was {j=bad.name} from the first day.
What {j=bad.article} mistake!
The staff were {j=bad.name} and {k=bad.name!j}.
I would never recommend {t.name} to {a=name.name}.
One star, everything about {t.name} was {j=bad.name}.
My family regretted every minute with {t.name}.
I want my money back for such {j=bad.name} service!
""",
    "sentiment.complaint",
    topic="product",
)

PLAIN_REVIEW = group(
    """
I ordered {t.name} in {m=month.name}.
We paid for {t.name} on {w=weekday.name}.
{a=name.name} told me about {t.name}.
""",
    topic="product",
)

GREETING = group(
    """
Hello!
Good morning!
Hi there!
Good evening!
""",
    "dialogue.greeting",
)

REPLY = group(
    """
Hello, how can I help you?
Good to see you again!
Hi, what would you like to know?
""",
    "dialogue.greeting",
)

ASK = group("""
What is the capital of {c=country.name}? | It is {c.capital}.
Which city has {l=landmark.name}? | It is in {l.city}.
What is the symbol of {e=element.name}? | It is {e.symbol}.
Is {b=borough.name} in London? | Yes, it is in {b.side} London.
Where does the {a=animal.name} live? | It lives in {a.home}.
Can you add {x=sum.a} and {x.b}? | That makes {x.c}.
Who was {f=form.name}? | {f.A_job} in {f.country}.
What does {f=food.name} taste like? | It tastes {f.taste}.
Which day comes after {w=weekday.name}? | That would be {w.next}.
Can you give me a number in {p=phone.city}? | Try {p.number}.
""")

THANKS = group(
    """
Thank you very much!
Thanks, that helps!
Great, thanks a lot!
""",
    "dialogue.thanks",
)

FAREWELL = group(
    """
You are welcome, goodbye!
Any time, see you soon!
Have a nice day, bye!
""",
    "dialogue.farewell",
)
