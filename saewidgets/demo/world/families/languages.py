"""The same everyday sentences in English, French, German and Spanish."""

from __future__ import annotations

from saewidgets.demo.world.grammar import group

# English | French | German | Spanish
ANIMALS = """
the cat|le chat|die Katze|el gato
the dog|le chien|der Hund|el perro
the horse|le cheval|das Pferd|el caballo
the bird|l'oiseau|der Vogel|el pájaro
the cow|la vache|die Kuh|la vaca
the fish|le poisson|der Fisch|el pez
"""
FOODS = """
bread|du pain|Brot|pan
cheese|du fromage|Käse|queso
soup|de la soupe|Suppe|sopa
fish|du poisson|Fisch|pescado
rice|du riz|Reis|arroz
cake|du gâteau|Kuchen|tarta
"""
PLACES = """
at the station|à la gare|am Bahnhof|en la estación
at the school|à l'école|in der Schule|en la escuela
in the garden|dans le jardin|im Garten|en el jardín
in the city|dans la ville|in der Stadt|en la ciudad
at home|à la maison|zu Hause|en casa
in the forest|dans la forêt|im Wald|en el bosque
"""
PEOPLE = """
my mother|ma mère|meine Mutter|mi madre
my father|mon père|mein Vater|mi padre
my sister|ma sœur|meine Schwester|mi hermana
my brother|mon frère|mein Bruder|mi hermano
my friend|mon ami|mein Freund|mi amigo
the teacher|le professeur|der Lehrer|el profesor
"""
DAYS = """
on Monday|lundi|am Montag|el lunes
on Tuesday|mardi|am Dienstag|el martes
on Wednesday|mercredi|am Mittwoch|el miércoles
on Thursday|jeudi|am Donnerstag|el jueves
on Friday|vendredi|am Freitag|el viernes
on Saturday|samedi|am Samstag|el sábado
on Sunday|dimanche|am Sonntag|el domingo
"""
TOWNS = ("Paris", "Berlin", "Madrid", "Barcelona", "Amsterdam", "Lima", "Toronto", "Hamburg")

ENGLISH = group(
    """
{x=l_animal.EN} sleeps {p=l_place.en}.
{x=l_person.EN} eats {f=l_food.en} every day.
{x=l_person.EN} works {p=l_place.en}.
I would like {f=l_food.en}, please.
{x=l_animal.EN} is small but strong.
We are travelling to {c=l_town.name} {d=l_day.en}.
The weather is nice {d=l_day.en}.
{x=l_person.EN} lives in {c=l_town.name}.
How are you today?
It is cold and it is raining.
{x=l_person.EN} reads a letter {p=l_place.en}.
There is no {f=l_food.en} left.
""",
    "language.english",
)

FRENCH = group(
    """
{x=l_animal.FR} dort {p=l_place.fr}.
{x=l_person.FR} mange {f=l_food.fr} tous les jours.
{x=l_person.FR} travaille {p=l_place.fr}.
Je voudrais {f=l_food.fr}, s'il vous plaît.
{x=l_animal.FR} est petit mais très fort.
Nous voyageons à {c=l_town.name} {d=l_day.fr}.
Il fait beau {d=l_day.fr}.
{x=l_person.FR} habite à {c=l_town.name}.
Comment allez-vous aujourd'hui ?
Il fait froid et il pleut.
{x=l_person.FR} lit une lettre {p=l_place.fr}.
Nous avons acheté {f=l_food.fr} ce matin.
""",
    "language.french",
)

GERMAN = group(
    """
{x=l_animal.DE} schläft {p=l_place.de}.
{x=l_person.DE} isst jeden Tag {f=l_food.de}.
{x=l_person.DE} arbeitet {p=l_place.de}.
Ich möchte bitte {f=l_food.de}.
{x=l_animal.DE} ist klein, aber sehr stark.
Wir reisen {d=l_day.de} nach {c=l_town.name}.
Das Wetter ist {d=l_day.de} schön.
{x=l_person.DE} wohnt in {c=l_town.name}.
Wie geht es Ihnen heute?
Es ist kalt und es regnet.
{x=l_person.DE} liest einen Brief {p=l_place.de}.
Wir haben heute {f=l_food.de} gekauft.
""",
    "language.german",
)

SPANISH = group(
    """
{x=l_animal.ES} duerme {p=l_place.es}.
{x=l_person.ES} come {f=l_food.es} todos los días.
{x=l_person.ES} trabaja {p=l_place.es}.
Quisiera {f=l_food.es}, por favor.
{x=l_animal.ES} es muy fuerte y tranquilo.
Viajamos a {c=l_town.name} {d=l_day.es}.
Hace buen tiempo {d=l_day.es}.
{x=l_person.ES} vive en {c=l_town.name}.
¿Cómo está usted hoy?
Hace frío y está lloviendo.
{x=l_person.ES} lee una carta {p=l_place.es}.
Hemos comprado {f=l_food.es} esta mañana.
""",
    "language.spanish",
)
