/**
 * Names that only our modules use among each other; a bundle gets short ones. No name is among them that h(), a trait, a
 * message or the header of a buffer knows too, and none that we read of the page.
 */
export const PRIVATE = new RegExp(
  `^(${[
    "on(Add|Alone|Ask|Change|Choose|Empty|Follow|Hover|Load|Move|Pick|Problem|Remove|Rest|Save|Select|Sort|Sweep|Toggle)",
    "below|box|cells|choose|chosen|column|controls|follow|grid|idOf|known|labelOf|level|offer|ofReference|orders|overlap",
    "paint|pending|picture|positions|problem|ranking|ranks|receive|result|said|say|show|slot|take|told|tops|washes",
  ].join("|")})$`,
);

/** Custom properties of our styles; each has one letter in what is built. */
export const PROPERTIES = "fg bg up go soft line bands touched columns joint size plus bar bad dot end".split(" ");
