"""Countries, cities, landmarks and London boroughs, most frequent first."""

from __future__ import annotations

# country | capital | continent | main language
COUNTRIES = """
France|Paris|Europe|French
Japan|Tokyo|Asia|Japanese
Germany|Berlin|Europe|German
Italy|Rome|Europe|Italian
Spain|Madrid|Europe|Spanish
the United States|Washington|North America|English
the United Kingdom|London|Europe|English
China|Beijing|Asia|Chinese
Russia|Moscow|Europe|Russian
Egypt|Cairo|Africa|Arabic
Greece|Athens|Europe|Greek
India|New Delhi|Asia|Hindi
Canada|Ottawa|North America|English
Australia|Canberra|Oceania|English
Mexico|Mexico City|North America|Spanish
Brazil|Brasilia|South America|Portuguese
Portugal|Lisbon|Europe|Portuguese
Austria|Vienna|Europe|German
Poland|Warsaw|Europe|Polish
Sweden|Stockholm|Europe|Swedish
Norway|Oslo|Europe|Norwegian
Denmark|Copenhagen|Europe|Danish
Finland|Helsinki|Europe|Finnish
Ireland|Dublin|Europe|English
Belgium|Brussels|Europe|Dutch
the Netherlands|Amsterdam|Europe|Dutch
Hungary|Budapest|Europe|Hungarian
Turkey|Ankara|Asia|Turkish
Kenya|Nairobi|Africa|Swahili
Argentina|Buenos Aires|South America|Spanish
Peru|Lima|South America|Spanish
Cuba|Havana|North America|Spanish
Thailand|Bangkok|Asia|Thai
Vietnam|Hanoi|Asia|Vietnamese
Ukraine|Kyiv|Europe|Ukrainian
Romania|Bucharest|Europe|Romanian
Bulgaria|Sofia|Europe|Bulgarian
Croatia|Zagreb|Europe|Croatian
Iceland|Reykjavik|Europe|Icelandic
Chile|Santiago|South America|Spanish
Colombia|Bogota|South America|Spanish
Morocco|Rabat|Africa|Arabic
Ghana|Accra|Africa|English
Ethiopia|Addis Ababa|Africa|Amharic
Nepal|Kathmandu|Asia|Nepali
Mongolia|Ulaanbaatar|Asia|Mongolian
Rwanda|Kigali|Africa|Kinyarwanda
the Czech Republic|Prague|Europe|Czech
"""

# city | country | what it is known for
CITIES = """
London|the United Kingdom|red buses
Paris|France|fashion
New York|the United States|tall towers
San Francisco|the United States|steep hills
Los Angeles|the United States|films
Rome|Italy|ancient ruins
Tokyo|Japan|busy crossings
Berlin|Germany|night life
Barcelona|Spain|colourful houses
Chicago|the United States|strong winds
Sydney|Australia|sunny beaches
Moscow|Russia|cold winters
Vienna|Austria|classical music
Istanbul|Turkey|old bazaars
Athens|Greece|white temples
Boston|the United States|universities
Seattle|the United States|rainy days
Amsterdam|the Netherlands|canals
Venice|Italy|gondolas
Florence|Italy|Renaissance art
Munich|Germany|beer gardens
Madrid|Spain|royal palaces
Lisbon|Portugal|yellow trams
Prague|the Czech Republic|stone bridges
Dublin|Ireland|friendly pubs
Toronto|Canada|ice hockey
Beijing|China|imperial history
Shanghai|China|a huge harbour
Kyoto|Japan|quiet shrines
Cairo|Egypt|the Nile
Mumbai|India|crowded trains
Agra|India|white marble
Edinburgh|the United Kingdom|a castle on a rock
Manchester|the United Kingdom|football
Lyon|France|silk
Hamburg|Germany|cargo ships
Copenhagen|Denmark|bicycles
Stockholm|Sweden|islands
Oslo|Norway|fjords
Brussels|Belgium|chocolate makers
Budapest|Hungary|hot springs
Warsaw|Poland|a rebuilt old town
Nairobi|Kenya|safaris
Havana|Cuba|old cars
Lima|Peru|ocean cliffs
Marrakesh|Morocco|spice markets
Reykjavik|Iceland|northern lights
Kathmandu|Nepal|mountain climbers
Dubai|the United Arab Emirates|skyscrapers
Rio de Janeiro|Brazil|carnival
"""

# landmark | city
LANDMARKS = """
the Golden Gate Bridge|San Francisco
the Eiffel Tower|Paris
Big Ben|London
the Statue of Liberty|New York
the Colosseum|Rome
Alcatraz Island|San Francisco
Tower Bridge|London
the Louvre|Paris
the Sydney Opera House|Sydney
the Brandenburg Gate|Berlin
the Empire State Building|New York
Coit Tower|San Francisco
the Hollywood Sign|Los Angeles
the Kremlin|Moscow
Buckingham Palace|London
the Taj Mahal|Agra
the Space Needle|Seattle
the Parthenon|Athens
the Blue Mosque|Istanbul
Central Park|New York
the Trevi Fountain|Rome
Lombard Street|San Francisco
the Sagrada Familia|Barcelona
the Forbidden City|Beijing
Tokyo Tower|Tokyo
the London Eye|London
the Brooklyn Bridge|New York
the Ferry Building|San Francisco
Fenway Park|Boston
the Willis Tower|Chicago
the Charles Bridge|Prague
Griffith Observatory|Los Angeles
the CN Tower|Toronto
the Burj Khalifa|Dubai
Westminster Abbey|London
Notre-Dame|Paris
the Cable Car Museum|San Francisco
the Hagia Sophia|Istanbul
Christ the Redeemer|Rio de Janeiro
the Getty Center|Los Angeles
the Little Mermaid|Copenhagen
the Atomium|Brussels
Edinburgh Castle|Edinburgh
the Rialto Bridge|Venice
the Prado Museum|Madrid
the Palace of Fine Arts|San Francisco
"""

# borough | part of London | a district in it
BOROUGHS = """
Camden|north|Hampstead
Westminster|central|Soho
Hackney|east|Shoreditch
Greenwich|southeast|Woolwich
Islington|north|Highbury
Lambeth|south|Brixton
Southwark|south|Peckham
Tower Hamlets|east|Whitechapel
Croydon|south|Purley
Wandsworth|southwest|Battersea
Brent|northwest|Wembley
Ealing|west|Southall
Kensington and Chelsea|west|Notting Hill
Barnet|north|Finchley
Lewisham|southeast|Catford
Newham|east|Stratford
the City of London|central|Barbican
Enfield|north|Edmonton
Haringey|north|Tottenham
Bromley|southeast|Orpington
Hounslow|west|Chiswick
Harrow|northwest|Pinner
Hammersmith and Fulham|west|White City
Merton|southwest|Wimbledon
Richmond upon Thames|southwest|Twickenham
Hillingdon|west|Uxbridge
Waltham Forest|northeast|Walthamstow
Redbridge|northeast|Ilford
Kingston upon Thames|southwest|Surbiton
Sutton|south|Cheam
Havering|east|Romford
Bexley|southeast|Sidcup
Barking and Dagenham|east|Becontree
"""

# city | area codes
AREA_CODES = """
Los Angeles|213 323 310
New York|212 646
Chicago|312 773
San Francisco|415 628
Boston|617
Seattle|206
"""

# city | part of a web address
WEB_NAMES = """
Los Angeles|losangeles
London|london
New York|newyork
Paris|paris
Chicago|chicago
Seattle|seattle
"""
WEB_PAGES = ("parks", "museums", "library", "schools", "buses", "events", "maps", "news")
