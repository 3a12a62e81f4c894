"""Small Python functions, right and with one wrong line."""

from __future__ import annotations

from typing import NamedTuple


class Function(NamedTuple):
    """Source with the names ``$a`` and ``$b``; each bug is (line number, the wrong line, kind)."""

    source: str
    bugs: tuple[tuple[int, str, str], ...]


OPERATOR, OFF_BY_ONE, NAME, RETURN = "wrong_operator", "off_by_one", "undefined_name", "wrong_return"

FUNCTIONS = (
    Function(
        "# Return the sum of two numbers.\ndef add($a, $b):\n    return $a + $b",
        ((2, "    return $a - $b", OPERATOR), (2, "    return $a + c", NAME)),
    ),
    Function(
        "# Return the difference of two numbers.\ndef subtract($a, $b):\n    return $a - $b",
        ((2, "    return $a + $b", OPERATOR), (2, "    return $a - c", NAME)),
    ),
    Function(
        "# Return the product of two numbers.\ndef multiply($a, $b):\n    return $a * $b",
        ((2, "    return $a + $b", OPERATOR), (2, "    return $a * c", NAME)),
    ),
    Function(
        "# Return the larger of two numbers.\ndef largest($a, $b):\n    if $a > $b:\n        return $a\n    return $b",
        ((2, "    if $a < $b:", OPERATOR), (3, "        return c", NAME)),
    ),
    Function(
        "# Return the smaller of two numbers.\ndef smallest($a, $b):\n    if $a < $b:\n        return $a\n"
        "    return $b",
        ((2, "    if $a > $b:", OPERATOR), (3, "        return c", NAME)),
    ),
    Function(
        "# Return True if the number is even.\ndef is_even($a):\n    return $a % 2 == 0",
        ((2, "    return $a % 2 == 1", OFF_BY_ONE), (2, "    return c % 2 == 0", NAME)),
    ),
    Function(
        "# Return the last value of a list.\ndef last($a):\n    return $a[len($a) - 1]",
        ((2, "    return $a[len($a)]", OFF_BY_ONE), (2, "    return c[len($a) - 1]", NAME)),
    ),
    Function(
        "# Add up all values of a list.\ndef total($a):\n    result = 0\n    for $b in $a:\n        result += $b\n"
        "    return result",
        ((4, "        result -= $b", OPERATOR), (5, "    return results", NAME), (5, "    return 0", RETURN)),
    ),
    Function(
        "# Return the mean of a list.\ndef mean($a):\n    return sum($a) / len($a)",
        ((2, "    return sum($a) * len($a)", OPERATOR), (2, "    return sum($a) / (len($a) - 1)", OFF_BY_ONE)),
    ),
    Function(
        "# Print the numbers from 1 to $a.\ndef count_up($a):\n    for $b in range(1, $a + 1):\n        print($b)",
        ((2, "    for $b in range(1, $a):", OFF_BY_ONE), (3, "        print(c)", NAME)),
    ),
    Function(
        '# Say hello to a person.\ndef greet($a):\n    return "Hello, " + $a',
        ((2, '    return "Hello, " - $a', OPERATOR), (2, '    return "Hello, " + c', NAME)),
    ),
    Function(
        "# Return the factorial of a number.\ndef factorial($a):\n    if $a == 0:\n        return 1\n"
        "    return $a * factorial($a - 1)",
        ((3, "        return 0", RETURN), (4, "    return $a + factorial($a - 1)", OPERATOR)),
    ),
)

NAME_PAIRS = (("a", "b"), ("x", "y"), ("m", "n"))
BUG_SHARE = 0.4
