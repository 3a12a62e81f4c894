"""What the browser may ask of a steering panel; every request is checked as if it were made in Python."""

from __future__ import annotations

import threading
from typing import Any

import traitlets

from saewidgets.errors import EditError
from saewidgets.results import SteeringVector
from saewidgets.widgets.steering_edits import changed, find, same_vector, vectors_by_name
from saewidgets.widgets.steering_preset import SAMPLING, preset_text, read_preset
from saewidgets.widgets.steering_wire import clean
from saewidgets.widgets.steering_work import SteeringWork

SETTABLE = ("prompt", "sae", "feature", *SAMPLING, "k", "live")


class SteeringRequests(SteeringWork):
    """Requests come on any thread; those that change the list of edits take turns."""

    add: Any
    remove: Any
    generate: Any
    sweep: Any
    _changing: threading.RLock

    # ---- what the browser may ask --------------------------------------------------------------------------------

    def _op_set(self, message: dict[str, Any]) -> None:
        """Assign traits; each is checked as if it were assigned in Python."""
        self._assign({name: message[name] for name in SETTABLE if name in message})

    def _op_edit(self, message: dict[str, Any]) -> None:
        with self._changing:
            place = self._of(message)
            edit = changed(self.edits[place], message)
            self.edits = (*self.edits[:place], edit, *self.edits[place + 1 :])

    def _op_add(self, message: dict[str, Any]) -> None:
        name = message.get("name")
        if not isinstance(name, str):
            raise EditError("This cannot be added.", got=repr(name)[:80], expected="the name of a feature or a vector")
        self.add(name.strip() if name not in self.vectors else name)

    def _op_remove(self, message: dict[str, Any]) -> None:
        with self._changing:
            self.remove(self._of(message))

    def _op_move(self, message: dict[str, Any]) -> None:
        to = message.get("to")
        if not isinstance(to, int) or isinstance(to, bool) or not 0 <= to < len(self.edits):
            raise EditError("An edit cannot be moved there.", got=repr(to)[:80], expected="a place in the list")
        with self._changing:
            place = self._of(message)
            rest = self.edits[:place] + self.edits[place + 1 :]
            self.edits = (*rest[:to], self.edits[place], *rest[to:])

    def _op_generate(self, _: dict[str, Any]) -> None:
        self.generate()

    def _op_sweep(self, message: dict[str, Any]) -> None:
        self.sweep(self._of(message))

    def _op_find(self, message: dict[str, Any]) -> None:
        """Look for features; the answer is a message of its own."""
        text = message.get("text")
        if not isinstance(text, str):
            raise EditError("This cannot be looked for.", got=repr(text)[:80], expected="text")
        self.send({"op": "found", "text": clean(text), "items": find(text, self.sae, self.lab)})

    def _op_preset(self, _: dict[str, Any]) -> None:
        self.send({"op": "preset", "text": self._preset()})

    def _op_load(self, message: dict[str, Any]) -> None:
        self._load(message.get("text"))

    def _op_preset_save(self, message: dict[str, Any]) -> None:
        """Keep the edits under a name, with the lab's annotations."""
        with self._changing:
            self.lab.save_preset(_name_in(message), self.edits, message.get("note"))

    def _op_preset_load(self, message: dict[str, Any]) -> None:
        """Take over the edits that the lab keeps under a name."""
        self._assign({"edits": self.lab.preset(_name_in(message))})

    # ---- what these share ----------------------------------------------------------------------------------------

    def _place(self, index: Any) -> int:
        n = len(self.edits)
        if isinstance(index, bool) or not hasattr(index, "__index__") or not -n <= int(index) < n:
            expected = f"a whole number below {n}" if n else "there are no edits"
            raise EditError("There is no such edit.", got=repr(index)[:80], expected=expected)
        return int(index) % n

    def _of(self, message: dict[str, Any]) -> int:
        """The place of the edit that a message is about."""
        key = message.get("key")
        for place, (held, _) in enumerate(self._held):
            if held == key:
                return place
        raise EditError("This edit is no longer there.", got=repr(key)[:80])

    def _vector_name(self, vector: SteeringVector) -> str:
        """The vector's name among the panel's; one that came with an edit is put there."""
        for name, held in self.vectors.items():
            if same_vector(held, vector):
                return name
        *_, name = vectors_by_name([*self.vectors.values(), vector])
        self.vectors[name] = vector
        return name

    def _preset(self) -> str:
        return preset_text(self.edits, self.prompt, self._sampling()._asdict())

    def _load(self, text: object) -> None:
        edits, settings = read_preset(text)
        try:
            self._assign({**settings, "edits": edits})
        except traitlets.TraitError as error:
            raise EditError("This preset cannot be used.", got=clean(str(error))[:300]) from error


def _name_in(message: dict[str, Any]) -> str:
    """The name of a preset."""
    name = message.get("name")
    if not isinstance(name, str) or not name.strip():
        raise EditError("This names no preset.", got=repr(name)[:80], expected="a name")
    return name.strip()
