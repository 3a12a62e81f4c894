"""Sentences about capitals, countries, cities, landmarks, London boroughs and Rwanda."""

from __future__ import annotations

from saewidgets.demo.world.grammar import group

CAPITALS = group("""
6: The capital of {c=country.name@capital.country} is {c.capital@capital.city}.
2: {c=country.capital@capital.city} is the capital of {c.name@capital.country}.
1: What is the capital of {c=country.name}? | The capital of {c.name@capital.country} is {c.capital@capital.city}.
1: Which city is the capital of {c=country.name}? | It is {c.capital}.
""")
COUNTRIES = group("""
{c=country.Name} is a country in {c.continent}.
Most people in {c=country.name} speak {c.language}.
Which language do people speak in {c=country.name}? | They speak {c.language}.
The flag of {c=country.name} flies over {c.capital}.
Who lives in {c=country.name}? | People who speak {c.language} live there.
A traveller from {c=country.name} spoke {c.language} to us.
""")

CITIES = group("""
2: {c=city.name} is a city in {c.country}.
{c=city.name} is famous for {c.known}.
We flew to {c=city.name} to see {c.known}.
Which city is famous for {c=city.known}? | It is {c.name}.
Which country is {c=city.name} in? | {c.name} is in {c.country}.
The train to {c=city.name} leaves on {w=weekday.name}.
In {w=month.name} many people visit {c=city.name}.
The streets of {c=city.name} are busy in {w=month.name}.
""")

CITY = group(
    """
{t.name} is a city in {t.country}.
{t.name} is famous for {t.known}.
Visitors come to {t.name} for {t.known}.
People in {t.name} like {f=food.name}.
The market in {t.name} opens on {w=weekday.name}.
The best month to see {t.name} is {w=month.name}.
My friend {a=name.name} lives in {t.name}.
""",
    topic="city",
)

LANDMARKS = group("""
3: {l=landmark.Name} is in {l.city}.
{l=landmark.Name} is in the country of {l.country}.
Tourists in {l=landmark.city} take photos of {l.name}.
From the hotel in {l=landmark.city} we could see {l.name}.
Which city has {l=landmark.name}? | {l.Name} is in {l.city}.
Where is {l=landmark.name}? | It is in {l.city}.
A postcard from {l=landmark.city} shows {l.name}.
{a=name.name} walked to {l=landmark.name} on {w=weekday.name}.
""")

STEPS = group(
    """
2: The city with {l=landmark.name} is in the country whose capital is {l.capital}.
The country of {l=landmark.name} has {l.capital} as its capital.
The capital of the country where {l=landmark.name} stands is {l.capital}.
People near {l=landmark.name} speak {l.language}.
The city of {c=city.name} is on the continent of {c.continent}.
""",
    "relation.two_step",
)

SAN_FRANCISCO = group("""
The fog hid {l=sf.name} all morning.
{l=sf.Name} is a landmark of San Francisco.
We took photos of {l=sf.name} and later of {k=sf.name!l}.
The bay of San Francisco is close to {l=sf.name}.
{l=sf.Name} is in the state of California.
On the first day we saw {l=sf.name}, on the second {k=sf.name!l}.
Painters in San Francisco love {l=sf.name}.
2: The Golden Gate Bridge is orange and hangs on two towers.
Cars drive over the Golden Gate Bridge to San Francisco.
""")

BOROUGHS = group("""
3: {b=borough.Name} is {b.what} of London.
2: {b=borough.Name} lies in {b.side} London.
2: The district of {b=borough.part} is in {b.name}.
Which part of London has the district of {b=borough.part}? | It is {b.name}.
The council of {b=borough.name} meets on {w=weekday.name}.
The bus goes from {b=borough.name} to {k=borough.name!b}.
{a=name.name} rents a flat in {b=borough.name}.
The schools in {b=borough.name} close in {w=month.name}.
Houses in {b=borough.name} are close to {b.part}.
""")

RWANDA = group(
    """
2: Rwanda is called the land of a thousand hills.
The capital city Kigali lies in the middle of Rwanda.
Mountain gorillas live in the green hills of Rwanda.
Farmers in Rwanda grow coffee and tea on the hills.
In Kigali the streets are clean and the air is cool.
Visitors walk for hours through the forest to see the gorillas.
People there speak Kinyarwanda, French and English.
The thousand hills are green after the rain.
On the last Saturday of the month everyone in Rwanda helps to clean the streets.
The volcanoes in the north of Rwanda are home to the gorillas.
Lake Kivu lies on the western border of Rwanda.
Dancers from Kigali wear long white hair made of grass.
The people of Rwanda remember and rebuild together.
""",
    "rwanda.text",
)
