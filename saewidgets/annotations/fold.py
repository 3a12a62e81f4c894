"""From events to what stands now; the order and the number of times in which events come make no difference.

Each (target, field, element) is a register that holds its last write by (time, number, session), left out what was
taken back. A largest element and a union do not depend on order, so that merging is commutative, associative and
idempotent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from saewidgets.annotations.records import Change, Event
from saewidgets.results.annotation import Annotation, Explanation, Pin, Rating, Target

Key = tuple[Any, ...]


class Fold:
    """The state of a set of events."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events: dict[str, Event] = {}
        self._undone: dict[str, set[str]] = {}
        self._of_target: dict[Key, dict[str, Event]] = {}
        self._made: dict[Key, Annotation] = {}
        self.latest = ""  # the latest time of all
        for event in events:
            self.add(event)

    def __len__(self) -> int:
        return len(self._events)

    def __contains__(self, event_id: str) -> bool:
        return event_id in self._events

    @property
    def events(self) -> list[Event]:
        """All events in order, those that take others back among them."""
        return sorted(self._events.values(), key=lambda event: event.rank)

    def add(self, event: Event) -> Target | None:
        """Take one event in; the target that it may have changed, None where nothing is new."""
        known = self._events.get(event.id)
        if known is not None and known.rank >= event.rank:
            return None
        if known is not None:  # one id, two contents: a forger's doing, and yet it has to come out the same everywhere
            self._forget(known)
        self._events[event.id] = event
        self.latest = max(self.latest, event.time)
        if event.undo is not None:
            self._undone.setdefault(event.undo, set()).add(event.id)
            undone = self._events.get(event.undo)
            return self._touched(undone.target) if undone is not None else None
        assert event.target is not None
        self._of_target.setdefault(event.target.key, {})[event.id] = event
        return self._touched(event.target)

    def _forget(self, event: Event) -> None:
        if event.undo is not None:
            self._undone[event.undo].discard(event.id)
            undone = self._events.get(event.undo)
            self._touched(undone.target if undone is not None else None)
        elif event.target is not None:
            mine = self._of_target[event.target.key]
            del mine[event.id]
            if not mine:
                del self._of_target[event.target.key]
            self._touched(event.target)

    def _touched(self, target: Target | None) -> Target | None:
        if target is not None:
            self._made.pop(target.key, None)
        return target

    def target_of(self, event_id: str) -> Target | None:
        """What an event is about; None for one that takes another back."""
        return self._events[event_id].target

    def undone(self, event_id: str) -> bool:
        """Whether an event has been taken back."""
        return bool(self._undone.get(event_id))

    def targets(self) -> list[Target]:
        """Everything about which something stands, by kind and name."""
        found = [one for key in self._of_target if (one := self.annotation_of(key))]
        return [one.target for one in sorted(found, key=lambda one: _place(one.target))]

    def labels(self, hook: str, sae: str) -> dict[int, str]:
        """The labels of the features of one SAE."""
        mine = [key for key in self._of_target if key[:3] == ("feature", hook, sae)]
        return {key[3]: label for key in mine if (label := self.annotation_of(key).shown_label)}

    def annotation(self, target: Target) -> Annotation:
        """What stands about one target; an empty one where nothing does."""
        return self.annotation_of(target.key) if self._of_target.get(target.key) else Annotation(target)

    def annotation_of(self, key: Key) -> Annotation:
        """The same by key, which must be known."""
        if key not in self._made:
            standing = [event for event in self._of_target[key].values() if not self.undone(event.id)]
            standing.sort(key=lambda event: event.rank)
            anything = standing or sorted(self._of_target[key].values(), key=lambda event: event.rank)
            self._made[key] = _annotation(anything[-1].target, standing)
        return self._made[key]

    def values(self) -> list[Annotation]:
        """The annotation of each of :meth:`targets`."""
        return [self.annotation(target) for target in self.targets()]


def _place(target: Target) -> Key:
    """Where a target stands in a list: features by number."""
    numbers = (-1 if number is None else number for number in (target.feature, target.position))
    return (target.kind, target.hook, target.sae, *numbers, target.model, target.prompt or "", target.name)


def _annotation(target: Target | None, standing: list[Event]) -> Annotation:
    """The state of one target from its events, in order."""
    assert target is not None
    registers: dict[tuple[str, str], Change] = {}
    for event in standing:
        registers |= {(change.field, change.element): change for change in event.changes}
    sets: dict[str, list[Change]] = {}
    for _, change in sorted(registers.items()):
        if change.value is not None:
            sets.setdefault(change.field, []).append(change)

    def text(field: str) -> str | None:
        return sets[field][0].value if field in sets else None

    def names(field: str) -> tuple[str, ...]:
        return tuple(change.element for change in sets.get(field, ()))

    return Annotation(
        target,
        label=text("label"),
        note=text("note"),
        tags=names("tags"),
        stars=names("stars"),
        ratings=tuple(Rating(change.element, change.value) for change in sets.get("ratings", ())),
        pins=tuple(Pin(**json.loads(name)) for name in names("pins")),
        explanations=tuple(Explanation(change.value, change.element) for change in sets.get("explanations", ())),
        edits=text("edits"),
        author=standing[-1].author if standing else "",
        time=standing[-1].time if standing else "",
    )
