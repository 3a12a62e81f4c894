"""Chemical elements, animals and foods, most frequent first."""

from __future__ import annotations

# element | symbol | atomic number | kind
ELEMENTS = """
gold|Au|79|a metal
oxygen|O|8|a gas
iron|Fe|26|a metal
hydrogen|H|1|a gas
carbon|C|6|a nonmetal
silver|Ag|47|a metal
copper|Cu|29|a metal
helium|He|2|a noble gas
nitrogen|N|7|a gas
sodium|Na|11|an alkali metal
calcium|Ca|20|an alkaline earth metal
mercury|Hg|80|a liquid metal
zinc|Zn|30|a metal
neon|Ne|10|a noble gas
chlorine|Cl|17|a halogen
potassium|K|19|an alkali metal
sulfur|S|16|a nonmetal
uranium|U|92|an actinide
silicon|Si|14|a metalloid
aluminium|Al|13|a metal
nickel|Ni|28|a metal
lithium|Li|3|an alkali metal
platinum|Pt|78|a metal
titanium|Ti|22|a metal
magnesium|Mg|12|an alkaline earth metal
phosphorus|P|15|a nonmetal
argon|Ar|18|a noble gas
iodine|I|53|a halogen
cobalt|Co|27|a metal
tungsten|W|74|a metal
chromium|Cr|24|a metal
manganese|Mn|25|a metal
fluorine|F|9|a halogen
bromine|Br|35|a halogen
arsenic|As|33|a metalloid
krypton|Kr|36|a noble gas
xenon|Xe|54|a noble gas
radium|Ra|88|an alkaline earth metal
barium|Ba|56|an alkaline earth metal
boron|B|5|a metalloid
beryllium|Be|4|an alkaline earth metal
bismuth|Bi|83|a metal
cadmium|Cd|48|a metal
plutonium|Pu|94|an actinide
vanadium|V|23|a metal
gallium|Ga|31|a metal
osmium|Os|76|a metal
"""

# animal | plural | class | home | diet
ANIMALS = """
dog|dogs|mammal|the house|meat
cat|cats|mammal|the house|meat
horse|horses|mammal|the meadow|grass
cow|cows|mammal|the meadow|grass
lion|lions|mammal|the savanna|meat
elephant|elephants|mammal|the savanna|leaves
tiger|tigers|mammal|the jungle|meat
rabbit|rabbits|mammal|the meadow|grass
wolf|wolves|mammal|the forest|meat
eagle|eagles|bird|the mountains|meat
bear|bears|mammal|the forest|berries
monkey|monkeys|mammal|the jungle|fruit
whale|whales|mammal|the ocean|krill
dolphin|dolphins|mammal|the ocean|fish
shark|sharks|fish|the ocean|meat
penguin|penguins|bird|the icy south|fish
owl|owls|bird|the forest|mice
snake|snakes|reptile|the desert|mice
frog|frogs|amphibian|the pond|insects
giraffe|giraffes|mammal|the savanna|leaves
zebra|zebras|mammal|the savanna|grass
kangaroo|kangaroos|mammal|the outback|grass
goat|goats|mammal|the mountains|grass
crocodile|crocodiles|reptile|the river|meat
parrot|parrots|bird|the jungle|seeds
camel|camels|mammal|the desert|grass
gorilla|gorillas|mammal|the jungle|leaves
spider|spiders|arachnid|the garden|insects
turtle|turtles|reptile|the ocean|plants
squirrel|squirrels|mammal|the forest|nuts
beaver|beavers|mammal|the river|bark
hedgehog|hedgehogs|mammal|the garden|insects
otter|otters|mammal|the river|fish
leopard|leopards|mammal|the savanna|meat
swan|swans|bird|the pond|plants
octopus|octopuses|mollusc|the ocean|crabs
lizard|lizards|reptile|the desert|insects
ostrich|ostriches|bird|the savanna|plants
panda|pandas|mammal|the bamboo forest|bamboo
koala|koalas|mammal|the gum trees|leaves
walrus|walruses|mammal|the icy north|clams
badger|badgers|mammal|the forest|worms
salamander|salamanders|amphibian|the pond|worms
tapir|tapirs|mammal|the jungle|fruit
armadillo|armadillos|mammal|the desert|insects
narwhal|narwhals|mammal|the icy north|fish
"""

# food | kind | taste | where it is kept or found
FOODS = """
bread|a baked food|mild|the bakery
cheese|a dairy food|salty|the dairy shelf
rice|a grain|mild|the dry shelf
honey|a spread|sweet|the dry shelf
chocolate|a treat|sweet|the sweet shop
soup|a dish|salty|the kitchen
pasta|a dish|mild|the kitchen
butter|a dairy food|mild|the dairy shelf
pizza|a dish|salty|the kitchen
banana|a fruit|sweet|the fruit stand
cake|a baked food|sweet|the bakery
lemon|a fruit|sour|the fruit stand
tomato|a vegetable|mild|the vegetable stand
carrot|a vegetable|sweet|the vegetable stand
potato|a vegetable|mild|the vegetable stand
onion|a vegetable|sharp|the vegetable stand
yogurt|a dairy food|sour|the dairy shelf
strawberry|a fruit|sweet|the fruit stand
garlic|a vegetable|sharp|the vegetable stand
mango|a fruit|sweet|the fruit stand
salad|a dish|mild|the kitchen
sausage|a meat|salty|the butcher
ham|a meat|salty|the butcher
cucumber|a vegetable|mild|the vegetable stand
grape|a fruit|sweet|the fruit stand
spinach|a vegetable|bitter|the vegetable stand
pepper|a spice|sharp|the spice rack
cinnamon|a spice|sweet|the spice rack
vinegar|a sauce|sour|the dry shelf
mustard|a sauce|sharp|the dry shelf
peach|a fruit|sweet|the fruit stand
cherry|a fruit|sweet|the fruit stand
broccoli|a vegetable|bitter|the vegetable stand
pancake|a baked food|sweet|the kitchen
sushi|a dish|salty|the kitchen
oatmeal|a grain|mild|the dry shelf
lentil|a bean|mild|the dry shelf
almond|a nut|mild|the dry shelf
walnut|a nut|bitter|the dry shelf
pineapple|a fruit|sweet|the fruit stand
cabbage|a vegetable|mild|the vegetable stand
coconut|a fruit|sweet|the fruit stand
ginger|a spice|sharp|the spice rack
grapefruit|a fruit|bitter|the fruit stand
saffron|a spice|bitter|the spice rack
quince|a fruit|sour|the fruit stand
"""
