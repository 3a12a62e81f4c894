"""A steering panel with no model behind it: the traits and requests of the real one, numbers made up from the edits."""

from __future__ import annotations

import math
from typing import Any

import traitlets

from saewidgets.errors import SaewidgetsError
from saewidgets.widgets.base import LiveView

OPERATIONS = [
    ["set", "x + (v m - f) d", True],
    ["add", "x + \u03b1 m d", True],
    ["scale", "x + (\u03b3 - 1) f d", True],
    ["ablate", "x - f d", False],
    ["set_if_active", "x + (v m - f) d where f > 0, else x", True],
    ["project_out", "x - (x . u) u", False],
]
FORMULAS = {name: formula for name, formula, _ in OPERATIONS}
PROMPT = ["<bos>", "The", " Golden", " Gate", " Bridge", " is", " in"]
BASE = (
    " San Francisco, and it opened to traffic in 1937. It was then the longest suspension bridge in the world, "
    "and painters have been busy on it ever since."
)
STEERED = (
    " San Francisco, and I am the Golden Gate Bridge. My towers stand in the fog, the Golden Gate Bridge, "
    "the Golden Gate Bridge, the Golden Gate Bridge."
)
LABELS = {"mid/7": "Golden Gate Bridge", "mid/12": "cities on a bay", "mid/40": "fog and mist"}
SETTABLE = ("prompt", "sae", "feature", "max_new_tokens", "temperature", "top_p", "seed", "samples", "k", "live")


def pieces(text: str) -> list[str]:
    """Words with the space in front of them."""
    found: list[str] = []
    for word in text.split(" "):
        found.append(word if not found else f" {word}")
    return [piece for piece in found if piece]


class FakePanel(LiveView, stem="steering_panel"):
    """Answers at once, on the thread that asks."""

    prompt = traitlets.Unicode("The Golden Gate Bridge is in").tag(sync=True)
    sae = traitlets.Unicode("mid").tag(sync=True)
    feature = traitlets.Unicode("mid/40").tag(sync=True)
    max_new_tokens = traitlets.Int(32, min=1, max=256).tag(sync=True)
    temperature = traitlets.Float(0.0).tag(sync=True)
    top_p = traitlets.Float(1.0).tag(sync=True)
    seed = traitlets.Int(0).tag(sync=True)
    samples = traitlets.Int(1).tag(sync=True)
    k = traitlets.Int(8).tag(sync=True)
    live = traitlets.Bool(True).tag(sync=True)
    _operations = traitlets.List(OPERATIONS).tag(sync=True)
    _edits = traitlets.List().tag(sync=True)
    _bars = traitlets.Dict().tag(sync=True)
    _texts = traitlets.Dict().tag(sync=True)
    _side = traitlets.Dict().tag(sync=True)
    _sweep = traitlets.Dict().tag(sync=True)
    _code = traitlets.Unicode("edits = [\n    sw.steering.set('mid/7', 4.0),\n]").tag(sync=True)
    _saes = traitlets.List(["mid", "wide"]).tag(sync=True)
    _vectors = traitlets.List(["joy - sorrow", "formal"]).tag(sync=True)
    _notes = traitlets.List(["mid/7: fires on joy\nand on its synonyms"]).tag(sync=True)

    def __init__(self, edits: tuple[dict[str, Any], ...] = ()) -> None:
        super().__init__({})
        self.made = 0
        self.asked: list[dict[str, Any]] = []
        self.show([edit_of(self.fresh(), edit) for edit in edits])
        self.say("done")

    def fresh(self) -> str:
        self.made += 1
        return f"e{self.made}"

    def say(self, state: str) -> None:
        self.set_trait("status", {"state": state, "message": ""})

    def show(self, edits: list[dict[str, Any]]) -> None:
        """New edits, and the bars that follow."""
        self._edits = edits
        force = sum(abs(edit["value"]) for edit in edits)
        weights = [
            (" San", 0.61),
            (" the", 0.12),
            (" California", 0.08),
            (" a", 0.04),
            (" Golden", 0.02),
            (" my", 0.01),
        ]
        moved = [(token, p * (math.exp(0.35 * force) if token in (" Golden", " my") else 1)) for token, p in weights]
        total = sum(p for _, p in moved) + 0.12
        rows = [[token, p, q / total] for (token, p), (_, q) in zip(weights, moved, strict=True)]
        kl = max(sum(p * math.log(p / q) for _, p, q in rows), 0.0)
        steered = [2, 3, 4] if edits else []
        head = {"tokens": PROMPT, "ids": list(range(7)), "special": [0], "masked": [0], "groups": [], "dropped": 0}
        reach = [edit["reach"] for edit in edits]
        self._bars = {"prompt": head, "rows": rows, "kl": kl, "steered": steered, "reach": reach}

    def write(self, n: int | None = None, running: bool = False, samples: int = 1, text: str = STEERED) -> None:
        """The first n tokens of the texts; all without n."""
        rows = range(samples)
        base = [text_of(BASE, None, seed=row) for row in rows]
        steered = [text_of(text, n, seed=row, against=pieces(BASE)) for row in rows]
        self._texts = {"running": running, "base": base, "steered": steered}

    def measure(self, kl: float = 0.031) -> None:
        self._side = {"kl": kl, "base_ce": 2.104, "steered_ce": 2.104 + kl * 1.6, "n_tokens": 96, "n_texts": 8}

    # ---- what the browser may ask

    def _op_set(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        for name in SETTABLE:
            if name in message:
                setattr(self, name, message[name])

    def _op_edit(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        change: dict[str, Any] = {
            name: message[name] for name in ("value", "operation", "where", "keep_norm") if name in message
        }
        if change.get("value", 0) > 1000:
            raise SaewidgetsError("This strength is out of all bounds.")
        self.show(
            [
                edit_of(edit["key"], {**edit, **change}) if edit["key"] == message["key"] else edit
                for edit in self._edits
            ]
        )

    def _op_add(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        self.show([*self._edits, edit_of(self.fresh(), {"name": message["name"]})])

    def _op_remove(self, message: dict[str, Any]) -> None:
        self.show([edit for edit in self._edits if edit["key"] != message["key"]])

    def _op_move(self, message: dict[str, Any]) -> None:
        edits = list(self._edits)
        at = [edit["key"] for edit in edits].index(message["key"])
        edits.insert(message["to"], edits.pop(at))
        self.show(edits)

    def _op_generate(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        self.write()

    def _op_sweep(self, message: dict[str, Any]) -> None:
        edit = next(edit for edit in self._edits if edit["key"] == message["key"])
        texts = [swept(value) for value in (-4, -2, -1, 0, 1, 2, 4, 7, 10)]
        self._sweep = {
            "running": False,
            "key": edit["key"],
            "name": edit["name"],
            "operation": edit["operation"],
            "texts": texts,
        }

    def _op_find(self, message: dict[str, Any]) -> None:
        text = message["text"]
        items = [[name, label, 0.0012] for name, label in LABELS.items() if text.lower() in f"{name} {label}".lower()]
        self.send({"op": "found", "text": text, "items": items})

    def _op_preset(self, _: dict[str, Any]) -> None:
        self.send({"op": "preset", "text": '{"edits": []}'})

    def _op_load(self, message: dict[str, Any]) -> None:
        self.asked.append(message)

    def static_html(self) -> str:
        return "<p>panel</p>"

    def static_text(self) -> str:
        return "panel"


def edit_of(key: str, given: dict[str, Any]) -> dict[str, Any]:
    """An edit as the browser sees it."""
    edit = {"name": "mid/7", "operation": "set", "value": 1.0, "where": "all", "keep_norm": False} | given
    has_value = edit["operation"] not in ("ablate", "project_out")
    vector = "/" not in edit["name"]
    conditional = edit["operation"] == "set_if_active"
    return {
        **{name: edit[name] for name in ("name", "operation", "value", "where", "keep_norm")},
        "key": key,
        "label": given.get("label", LABELS.get(edit["name"], "")),
        "kind": "vector" if vector else "feature",
        "formula": FORMULAS[edit["operation"]],
        "absolute": edit["value"] * 8.3 if has_value else None,
        "maximum": 8.3,
        "source": "length of the vector" if vector else "largest activation on 1,048,576 tokens of the bundled corpus",
        "unit": "\u00d7 vector" if vector else "\u00d7 max",
        "slider": has_value,
        "conditional": conditional,
        "reach": [3, 6] if conditional else [6, 6],
    }


def text_of(text: str, n: int | None, seed: int = 0, against: list[str] | None = None) -> dict[str, Any]:
    """A text as the browser sees it."""
    tokens = pieces(text)[:n]
    size = range(len(tokens))
    differs = [i for i in size if against and (i >= len(against) or against[i] != tokens[i])]
    steered = list(size[:-1]) if against else []
    kl = [0.02 + 0.3 * (i in differs) for i in size]
    return {
        "seed": seed,
        "tokens": tokens,
        "ids": [10 + i for i in size],
        "special": [],
        "groups": [],
        "steered": steered,
        "differs": differs,
        "logprob": [-0.4 - 0.05 * i for i in size],
        "base": [-0.9 - 0.1 * i for i in size] if against else [None] * len(tokens),
        "kl": kl if against else [None] * len(tokens),
        "stopped": "eos" if n is None else "length",
        "repetition": 0.34 if against and len(tokens) > 20 else 0.0,
        "mean_kl": sum(kl) / len(kl) if against and kl else None,
    }


def swept(value: float) -> dict[str, Any]:
    """One strength of a sweep."""
    much = abs(value) > 5
    return {
        "value": value,
        "absolute": value * 8.3,
        "text": " bridge bridge bridge bridge bridge bridge" if much else STEERED,
        "repetition": 0.8 if much else 0.0,
        "mean_kl": 0.004 * value**2 * (1 if value > 0 else 1.5),
        "top": [" Golden" if value > 2 else " San", 0.41],
    }
