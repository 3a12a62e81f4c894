"""What is said of one target, in as many records as it takes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.annotations import Target, dividing
from saewidgets.annotations.dividing import divided
from saewidgets.annotations.records import ITEMS_LIMIT, LINE_LIMIT, changes_of, make_event, time_of
from saewidgets.errors import AnnotationError

PRESET = Target("preset", "gpt2", name="p")
AUTHOR = "\U0001f600" * 1_000
NAMES = st.lists(st.text("abc", min_size=1, max_size=9), max_size=9)


def records(target, op):
    """The parts, each a record of the author with the longest name."""
    return [
        make_event("0" * 12, n, time_of(10**15 + n), AUTHOR, one, part)
        for n, (one, part) in enumerate(divided(target, op), 1)
    ]


def test_what_fits_stays_one_record():
    op = {"set": {"label": "a", "note": "b"}, "add": {"tags": ["c", "d"]}, "rate": {"ann": 1}, "explain": {"x": "y"}}
    assert list(divided(PRESET, op)) == [(PRESET, op)]


def test_a_record_more_where_one_item_is_too_many():
    tags = [f"t{n}" for n in range(ITEMS_LIMIT + 1)]
    assert [len(part["add"]["tags"]) for _, part in divided(PRESET, {"add": {"tags": tags}})] == [ITEMS_LIMIT, 1]
    assert len(list(divided(PRESET, {"add": {"tags": tags[:-1]}}))) == 1


def test_no_record_is_longer_than_a_line():
    long = "\u6f22" * 99_000
    target = Target("token", "gpt2", prompt="\u6f22" * 50_000, position=0)
    pins = [{"text": long[n:], "position": n} for n in range(3)]
    op = {"set": {"note": long}, "add": {"pins": pins}, "explain": {"x": long, "y": long}}
    made = records(target, op)
    assert len(made) == 6
    assert max(len(event.line) for event in made) <= LINE_LIMIT
    assert [change for event in made for change in event.changes] == changes_of(op)


@pytest.mark.parametrize("length", [1, 50_000])
def test_records_are_filled_up_to_the_line_and_no_further(length):
    target = Target("token", "gpt2", prompt="\u6f22" * length, position=0)
    made = records(target, {"add": {"tags": ["\u6f22" * 490 + str(n) for n in range(600)]}})
    longest = max(len(event.line) for event in made)
    assert LINE_LIMIT - 10_000 < longest <= LINE_LIMIT


@settings(deadline=None, max_examples=60)
@given(NAMES, NAMES, st.dictionaries(st.text("abc", min_size=1), st.integers(0, 3), max_size=9), st.integers(1, 4))
def test_nothing_is_lost_and_the_order_stays(tags, stars, ratings, limit):
    op = {"set": {"label": "x"}}
    op |= {"add": add} if (add := {name: each for name, each in (("tags", tags), ("stars", stars)) if each}) else {}
    op |= {"rate": ratings} if ratings else {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(dividing, "ITEMS_LIMIT", limit)
        parts = [changes_of(part) for _, part in divided(PRESET, op)]
    assert [change for part in parts for change in part] == changes_of(op)
    assert all(len(part) == limit for part in parts[:-1])


@pytest.mark.parametrize(
    "op", [{"add": {"tags": "abc"}}, {"add": {"tags": 5}}, {"set": {"note": 5}}, {"fly": {"x": 1}}]
)
def test_what_is_no_operation_is_left_for_the_record_to_refuse(op):
    ((_, part),) = divided(PRESET, op)
    with pytest.raises(AnnotationError):
        changes_of(part)
