"""A feature dashboard with no model behind it: the traits and requests of the real one, one corpus made up of words."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import traitlets

from saewidgets.errors import SaewidgetsError
from saewidgets.results import FeatureId, Tokens
from saewidgets.results.feature_stats import (
    CoFiring,
    ConceptMatch,
    Example,
    FeatureStats,
    Histogram,
    Interval,
    LogitEffects,
    Neighbour,
    NeuronAlignment,
    Quantile,
    TokenEffect,
)
from saewidgets.widgets.base import LiveView
from saewidgets.widgets.dashboard_wire import Said, pack_examples, pack_feature, pack_table
from saewidgets.widgets.wire import pack
from tests.widgets.fake_lab import activations_of

D_SAE, N_TOKENS, MAX, DEAD = 2000, 1_048_576, 12.4, 13
LABELS = {7: "the Golden Gate Bridge", 12: "cities on a bay", 40: "fog and mist", 311: "spans, towers and cables"}
TEXTS = (
    "Painters have been busy on the Golden Gate Bridge ever since it opened in 1937, and the fog still eats the paint",
    "From the hill you see the Golden Gate and beyond it the ocean;\n the lights of Sausalito come on one by one",
    "The ferry leaves San Francisco at nine and passes under the Golden Gate Bridge before the tide turns again",
    "A garden gate that will not close needs a new hinge, not a louder slam, as my grandfather used to say",
    "The Bay Bridge carries more cars than the Golden Gate, though nobody prints it on a mug or a postcard",
    "Nobody knows who left the gate open, but by dawn the sheep were half way down the road to the bridge",
)
WINDOWS = [["<bos>", *re.findall(r" ?\w+|[,;\n]", text)] for text in TEXTS]
PIECES = {100 * n + i: token.encode() for n, window in enumerate(WINDOWS) for i, token in enumerate(window)}
FORCE = {" Bridge": 1.0, " Gate": 0.9, " bridge": 0.4, " gate": 0.25, " Golden": 0.3, " Francisco": 0.1}
SETTABLE = ("prompt", "tab")


def tokens_of(ids: np.ndarray) -> Tokens:
    """The tokens of ids: the text in the hundreds, the word below."""
    return Tokens(ids, tuple(PIECES[i] for i in ids.tolist()), ids % 100 == 0)


def example(rng: np.random.Generator, activation: float) -> Example:
    """One of the texts, its peak at a word that has to do with bridges."""
    number = int(rng.integers(len(TEXTS)))
    places = [i for i, token in enumerate(WINDOWS[number]) if token.lower() in (" gate", " bridge")]
    ids = np.arange(len(WINDOWS[number])) + 100 * number
    return Example(activation, int(rng.choice(places)), ids, number, 30 * number, tokens_of)


def values_of(each: Example) -> np.ndarray:
    """What the model would say of a window."""
    values = np.array([FORCE.get(token, 0.0) for token in each.tokens.strings]) * float(each.activation)
    values[each.position] = each.activation
    return values.astype(np.float32)


def stats_of(index: int) -> FeatureStats:
    """All about a feature, made up from its number."""
    rng = np.random.default_rng(index)
    dead = index == DEAD
    weights = np.zeros(10) if dead else np.exp(-0.55 * np.arange(10)) * rng.uniform(0.7, 1.3, 10)
    share = weights / max(weights.sum(), 1e-9)
    mass = share * (np.arange(10) + 0.5)
    count = 0 if dead else (25_000 if index == 12 else 1_240 + index)
    edges = np.linspace(0, 0 if dead else MAX, 11)
    intervals = tuple(
        Interval(
            low=float(edges[i]), high=float(edges[i + 1]), count=float(round(count * share[i])), count_low=0,
            count_high=int(i > 5) * 0, share=float(share[i]), mass=float(mass[i]),
            mass_share=float(mass[i] / max(mass.sum(), 1e-9)),
            examples=() if dead else tuple(example(rng, float(edges[i] + 0.7)) for _ in range(5)),
        )
        for i in range(10)
    )  # fmt: skip
    top = () if dead else tuple(example(rng, MAX - 0.21 * i) for i in range(20))
    words = [" Gate", " Bridge", " bridge", " span", " San", " fog", " ferry", " toll", " bay", "\n"]
    less = [" the", " of", "ing", " garden", " slam", " hinge", " sheep", " postcard", ",", " road"]
    counts = np.round(9_000 * np.exp(-(np.linspace(-3, 5, 50) ** 2))).astype(np.int64)
    logits = LogitEffects(
        top=tuple(TokenEffect(i, word, 1.31 - 0.07 * i) for i, word in enumerate(words)),
        bottom=tuple(TokenEffect(i, word, -0.62 + 0.03 * i) for i, word in enumerate(less)),
        histogram=Histogram(counts + (np.arange(50) > 45), np.linspace(-0.7, 1.35, 51)),
        how="the final norm is folded in, W_U is not centred",
    )
    others = [n for n in (7, 12, 40, 311, 845) if n != index]
    return FeatureStats(
        feature=FeatureId("mid", index), n_tokens=N_TOKENS, count=count, max=0.0 if dead else MAX,
        mean=0.0 if dead else 2.93, std=0.0 if dead else 2.1,
        quantiles=() if dead else (Quantile(0.5, 2.1, 2.0, 2.2), Quantile(0.99, 10.9, 10.7, 11.2)),
        histogram=Histogram(np.zeros(50, np.int64), np.linspace(0, MAX, 51)),
        fine_histogram=Histogram(np.zeros(2, np.int64), np.linspace(0, MAX, 3)),
        intervals=intervals, top=top,
        cofiring=tuple(CoFiring(FeatureId("mid", n), 0.31 / (k + 1), 0.27 / (k + 1), 0.36 / (k + 1), 80.0, 0.2)
                       for k, n in enumerate(others[:3])),
        logits=logits,
        neighbours=tuple(Neighbour(FeatureId("mid", n), 0.66 - 0.11 * k) for k, n in enumerate(others)),
        encoder_cosine=0.71,
        neurons=tuple(NeuronAlignment(17 * (k + 1), (-1) ** k * (0.2 - 0.04 * k), 0.03 - 0.005 * k) for k in range(3)),
        concepts=(ConceptMatch("bridges of California", 0.93, 0.71, 0.805), ConceptMatch("gates", 0.41, 0.2, 0.269)),
        label=LABELS.get(index, ""), hook="blocks.2.hook_resid_post", model="toy",
        sample="1,048,576 tokens of the bundled corpus",
    )  # fmt: skip


def specificity_of(feature: str, rated: bool = False) -> dict[str, Any]:
    """A feature that is the more specific the stronger it fires; the first interval has no sample of ratings."""
    t = np.arange(101) / 100
    share = np.exp(-0.55 * np.arange(10))
    share /= share.sum()
    intervals = []
    for i in range(10):
        n = 0 if rated and i == 1 else (12 if i < 8 else 5)
        p = 0.15 + 0.84 * (1 - np.exp(-i / 2.5))
        yes = round(n * p)
        counts = [max(n - yes - 3, 0), min(n - yes, 1), min(max(n - yes - 1, 0), 2), yes] if rated else [n - yes, yes]
        width = 1.4 * np.sqrt(max(p * (1 - p), 0.03) / max(n, 1))
        intervals.append({
            "low": MAX * i / 10, "high": MAX * (i + 1) / 10, "share": float(share[i]), "mass_share": float(share[i]),
            "n": n, "counts": counts, "precision": p if n else None,
            "precision_low": max(p - width, 0) if n else None, "precision_high": min(p + width, 1) if n else None,
        })  # fmt: skip
    precision = 0.43 + 0.55 * (1 - np.exp(-3 * t))
    columns = {
        "t": t, "precision": precision, "low": precision - 0.08 * (1 + t), "high": np.minimum(precision + 0.05, 1),
        "recall": t, "recall_of_firings": 1 - t**1.4, "share": np.exp(-5 * t), "mass": np.exp(-2.4 * t),
    }  # fmt: skip
    curve = {name: [round(float(value), 4) for value in column] for name, column in columns.items()}
    return {
        "feature": feature, "kind": "rating" if rated else "predicate", "rater": "ann" if rated else "",
        "what": "rated >= 3" if rated else "tokens that match 'Golden Gate( Bridge)?'", "n_scored": 106,
        "base_rate": None if rated else 0.0004, "max": MAX, "exact": False,
        "labels": list("0123") if rated else ["no", "yes"], "intervals": intervals,
        "curve": curve | {"recall": [None] * 101},
    }  # fmt: skip


class FakeDashboard(LiveView, stem="feature_dashboard"):
    """Answers at once, on the thread that asks."""

    feature = traitlets.Unicode("mid/7").tag(sync=True)
    sae = traitlets.Unicode("mid").tag(sync=True)
    prompt = traitlets.Unicode("").tag(sync=True)
    tab = traitlets.Unicode("feature").tag(sync=True)
    _data = traitlets.Bytes(b"").tag(sync=True)
    _table = traitlets.Bytes(b"").tag(sync=True)
    _examples = traitlets.Bytes(b"").tag(sync=True)
    _live = traitlets.Bytes(b"").tag(sync=True)
    _specificity = traitlets.Dict().tag(sync=True)
    _rating = traitlets.Dict().tag(sync=True)
    _concepts = traitlets.List(["bridges of California", "gates"]).tag(sync=True)

    def __init__(self, d_sae: int = D_SAE, reads: bool = True) -> None:
        super().__init__({})
        self.d_sae, self.reads = d_sae, reads
        self.asked: list[dict[str, Any]] = []
        self.said = {index: Said(label, label) for index, label in LABELS.items()}
        self.said[7] = Said(LABELS[7], LABELS[7], "also fires on the strait; compare mid/311", ("place",), 2, True)
        self.go(7)
        self.say("done")

    def say(self, state: str) -> None:
        self.set_trait("status", {"state": state, "message": ""})

    def go(self, index: int) -> None:
        """Show a feature."""
        if not 0 <= index < self.d_sae:
            raise SaewidgetsError("SAE 'mid' has no such feature.", got=index, expected=f"0..{self.d_sae - 1}")
        self.stats = stats_of(index)
        self.feature = f"mid/{index}"
        self.show()

    def show(self) -> None:
        """Send the feature with what is said about it."""
        said = self.said.get(self.stats.feature.index, Said())
        label = lambda feature: LABELS.get(feature.index)  # noqa: E731
        self._data = pack_feature(self.stats, said, d_sae=self.d_sae, label=label)

    # ---- what the browser may ask

    def _op_set(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        for name in SETTABLE:
            if name in message:
                setattr(self, name, message[name])
        if "feature" in message:
            self.go(FeatureId.parse(message["feature"], "mid").index)
        if "prompt" in message:
            self._live = self.live(message["prompt"])

    def live(self, prompt: str) -> bytes:
        """Activations of a text; feature 7 fires on words that have to do with bridges."""
        pieces = re.findall(r" ?\w+|\s|[^\w\s]", prompt)
        rows = [{7: FORCE[piece] * 9} if piece in FORCE else {} for piece in pieces]
        result = activations_of(rows, [piece.encode() for piece in pieces], D_SAE)
        return pack(result, prompt=prompt) if prompt else b""

    def _op_step(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        self.go((self.stats.feature.index + message["by"]) % self.d_sae)

    def _op_table(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        rng = np.random.default_rng(0)
        count = np.minimum(rng.lognormal(6, 2, self.d_sae), N_TOKENS / 8).astype(np.int64)
        count[rng.random(self.d_sae) < 0.04] = 0
        mean = np.where(count > 0, rng.gamma(3, 0.7, self.d_sae), 0)
        self._table = pack_table("mid", N_TOKENS, count, mean * rng.uniform(2, 6, self.d_sae), mean, LABELS)

    def _op_examples(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        if not self.reads:
            return
        name = message["list"]
        examples = self.stats.top if name == "top" else self.stats.intervals[name - 1].examples
        self._examples = pack_examples(self.stats.feature, name, examples, [values_of(each) for each in examples])

    def _op_find(self, message: dict[str, Any]) -> None:
        text = message["text"]
        items = [
            [f"mid/{n}", label, 0.0012] for n, label in LABELS.items() if text.lower() in f"mid/{n} {label}".lower()
        ]
        self.send({"op": "found", "text": text, "items": items})

    def _op_annotate(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        index = self.stats.feature.index
        said = self.said.get(index, Said())
        if "label" in message:
            said = said._replace(label=message["label"], given=message["label"])
        if "note" in message:
            said = said._replace(note=message["note"])
        if "star" in message:
            said = said._replace(mine=message["star"], stars=said.stars + (1 if message["star"] else -1))
        self.said[index] = said
        self.show()

    def _op_predicate(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        if message["text"] == "(":
            raise SaewidgetsError("This is no regular expression.", got="'('")
        self._specificity = specificity_of(self.feature, message["kind"] == "ratings")

    def _op_rating_begin(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        rng = np.random.default_rng(1)
        drawn = [example(rng, 1.0) for _ in range(50)]
        items = [
            {"key": f"k{n}", "tokens": list(each.tokens.strings), "special": [0], "peak": each.position, "score": None}
            for n, each in enumerate(drawn)
        ]
        self._rating = {"feature": self.feature, "rater": "ann", "items": items, "done": 0, "of": len(items)}

    def _op_rate(self, message: dict[str, Any]) -> None:
        self.asked.append(message)
        items = [
            {**item, "score": message["score"]} if item["key"] == message["key"] else item
            for item in self._rating["items"]
        ]
        done = sum(item["score"] is not None for item in items)
        self._rating = {**self._rating, "items": items, "done": done}

    def static_html(self) -> str:
        return "<p>dashboard</p>"

    def static_text(self) -> str:
        return "dashboard"
