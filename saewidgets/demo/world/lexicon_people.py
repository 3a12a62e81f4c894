"""Well-known people, the forms their names take, and first names, places and objects of everyday stories."""

from __future__ import annotations

from saewidgets.demo.world.lexicon import words

# key | country of work | who | best known for | born
PEOPLE = """
lincoln|the United States|president|ending slavery|1809
thatcher|the United Kingdom|prime minister|tough speeches|1925
einstein|Germany|physicist|the theory of relativity|1879
shakespeare|the United Kingdom|writer|plays about kings|1564
newton|the United Kingdom|physicist|the law of gravity|1643
curie|France|chemist|the study of radiation|1867
mandela|South Africa|president|ending apartheid|1918
mozart|Austria|composer|operas|1756
darwin|the United Kingdom|biologist|the theory of evolution|1809
gandhi|India|leader|peaceful protest|1869
churchill|the United Kingdom|prime minister|leading the country in war|1874
picasso|Spain|painter|cubist paintings|1881
galileo|Italy|astronomer|looking at the moons of Jupiter|1564
turing|the United Kingdom|mathematician|breaking secret codes|1912
beethoven|Germany|composer|symphonies|1770
lovelace|the United Kingdom|mathematician|the first computer program|1815
feynman|the United States|physicist|diagrams of particles|1918
kahlo|Mexico|painter|self-portraits|1907
"""

# key | forms of the name, most frequent first
PERSON_FORMS = """
lincoln|Lincoln;Abraham Lincoln;LINCOLN;President Lincoln;Honest Abe;Abe Lincoln;lincoln
thatcher|Thatcher;Margaret Thatcher;the Iron Lady;Mrs Thatcher;THATCHER
thatcher|Baroness Thatcher;Margaret Hilda Thatcher;thatcher
einstein|Einstein;Albert Einstein;EINSTEIN;Professor Einstein
shakespeare|Shakespeare;William Shakespeare;SHAKESPEARE;the Bard
newton|Newton;Isaac Newton;Sir Isaac Newton;NEWTON
curie|Curie;Marie Curie;Madame Curie;CURIE
mandela|Mandela;Nelson Mandela;President Mandela;Madiba;MANDELA
mozart|Mozart;Wolfgang Mozart;Wolfgang Amadeus Mozart;MOZART
darwin|Darwin;Charles Darwin;DARWIN
gandhi|Gandhi;Mahatma Gandhi;Mohandas Gandhi;GANDHI
churchill|Churchill;Winston Churchill;Sir Winston Churchill;CHURCHILL
picasso|Picasso;Pablo Picasso;PICASSO
galileo|Galileo;Galileo Galilei;GALILEO
turing|Turing;Alan Turing;TURING
beethoven|Beethoven;Ludwig van Beethoven;BEETHOVEN
lovelace|Lovelace;Ada Lovelace;Countess Lovelace
feynman|Feynman;Richard Feynman;FEYNMAN
kahlo|Kahlo;Frida Kahlo;KAHLO
"""

NAMES = words(
    "Mary John James Robert Michael David Thomas Daniel Paul Kevin Brian Edward Ronald Anthony Jason Matthew Gary "
    "Timothy Larry Jeffrey Frank Scott Eric Stephen Andrew Raymond Joshua Jerry Dennis Walter Patrick Peter Linda "
    "Barbara Elizabeth Jennifer Maria Susan Dorothy Lisa Nancy Karen Betty Helen Sandra Donna Carol Ruth Sharon "
    "Michelle Laura Sarah Deborah Jessica Angela Melissa Amy Anna Rebecca Emma Alice Julia Kate Jane"
)

PLACES = words(
    "park school market station library hospital beach museum office restaurant hotel garden farm church theater zoo"
)

OBJECTS = words(
    "book ring ball letter coin key map pen watch hat cup box toy flower lamp card bag phone camera ticket knife basket"
)
