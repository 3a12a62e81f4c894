"""A lab with an index, without torch: features fire on the words that hash to them, over forty short texts."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from saewidgets.annotations import AnnotationStore
from saewidgets.errors import UnknownNameError
from saewidgets.results import Activations, Annotation, FeatureId, Specificity, Target, Tokens
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
from saewidgets.results.specificity import IntervalScore
from tests.widgets.fake_lab import BOS, FakeLab, FakeModel, _fires, activations_of

WORDS = (
    " the", " Golden", " Gate", " Bridge", " opens", " at", " dawn", " and", " nobody", " walks", " to", " San",
    " Francisco", " caf\u00e9", "\n", " <b>", " 17", ",", ".", " light",
)  # fmt: skip
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999)


def corpus(n: int = 40, length: int = 60, seed: int = 0) -> list[list[int]]:
    """Texts as token ids; 0 is BOS, word k is k + 1."""
    random = np.random.default_rng(seed)
    return [[0, *(random.integers(0, len(WORDS), int(size)) + 1).tolist()] for size in random.integers(8, length, n)]


def decode(ids: Any) -> Tokens:
    """Tokens of ids."""
    pieces = tuple(BOS if i == 0 else WORDS[i - 1].encode() for i in np.asarray(ids).tolist())
    return Tokens(np.asarray(ids, np.int64), pieces, np.array([piece == BOS for piece in pieces], bool))


class FakeIndex:
    """Every feature of an SAE over the corpus, counted one by one."""

    def __init__(self, name: str, d_sae: int) -> None:
        self.name, self.d_sae = name, d_sae
        self.manifest: dict[str, Any] = {"weights": {"how": "x"}, "settings": {"mask_special": True}}
        self.fires: dict[int, list[tuple[float, int, int]]] = {}
        self.texts = corpus()
        for text, ids in enumerate(self.texts):
            for position, i in enumerate(ids):
                for feature, value in _fires(WORDS[i - 1].encode(), d_sae).items() if i else ():
                    self.fires.setdefault(feature, []).append((value, text, position))
        self.n_tokens = sum(len(ids) - 1 for ids in self.texts)
        values = [np.array([f[0] for f in self.fires.get(n, [])]) for n in range(d_sae)]
        self.count = np.array([len(each) for each in values])
        self.max = np.array([each.max(initial=0.0) for each in values], np.float32)
        self.mean = np.array([each.mean() if len(each) else 0.0 for each in values])

    def example(self, fired: tuple[float, int, int]) -> Example:
        """One firing in its window."""
        value, text, position = fired
        return Example(value, position, np.array(self.texts[text], np.int64), text, 0, decode)

    def feature(self, n: int) -> FeatureStats:
        """All about one feature."""
        fired = sorted(self.fires.get(n, []), reverse=True)
        values, largest = np.array([f[0] for f in fired]), max([f[0] for f in fired], default=0.0)
        counts, edges = np.histogram(values, 40, (0, largest or 1.0))
        total = float(values.sum()) or 1.0
        best: dict[int, tuple[float, int, int]] = {}
        for one in fired:
            best.setdefault(one[1], one)
        empty = Histogram(np.zeros(0, np.int64), np.zeros(1))
        return FeatureStats(
            feature=FeatureId(self.name, n), n_tokens=self.n_tokens, count=len(fired), max=largest,
            mean=float(self.mean[n]), std=float(values.std()) if len(values) else 0.0,
            quantiles=tuple(Quantile(q, *[float(np.quantile(values, q))] * 3) for q in LEVELS) if fired else (),
            histogram=Histogram(counts, edges) if fired else empty, fine_histogram=empty,
            intervals=tuple(self._interval(i, fired, largest, total) for i in range(10)),
            top=tuple(self.example(one) for one in list(best.values())[:20]),
            cofiring=(CoFiring(FeatureId(self.name, (n + 1) % self.d_sae), 0.5, 0.4, 0.6, 3.0, 0.2),),
            logits=logits(), neighbours=(Neighbour(FeatureId(self.name, (n + 2) % self.d_sae), 0.75),),
            encoder_cosine=0.5, neurons=(NeuronAlignment(3, -0.25, 0.125),),
            concepts=(ConceptMatch("bridges & <gates>", 0.9, 0.8, 0.847),) if n % 2 else (),
            hook="blocks.2.hook_resid_post", model="toy", sample=f"index of {self.n_tokens:,} tokens of 40 texts",
        )  # fmt: skip

    def _interval(self, i: int, fired: list[tuple[float, int, int]], largest: float, total: float) -> Interval:
        low, high = largest * i / 10, largest if i == 9 else largest * (i + 1) / 10
        inside = [one for one in fired if low < one[0] <= high]
        mass = float(sum(one[0] for one in inside))
        n = len(inside)
        order = np.random.default_rng(i).permutation(n)[:10]
        share = n / len(fired) if fired else 0.0
        examples = tuple(self.example(inside[k]) for k in order)
        return Interval(low, high, n, n, n, share, mass, mass / total, examples)


def logits() -> LogitEffects:
    """Two tokens each way."""
    top, bottom = (TokenEffect(5, " Bridge", 1.5), TokenEffect(6, " <i>", 1.0)), (TokenEffect(7, " sea", -2.0),)
    return LogitEffects(top, bottom, Histogram(np.arange(50), np.linspace(-2, 1.5, 51)), "decoder row, unembedded")


class Labels(Mapping[int, str]):
    """Labels of one SAE's features as they stand in the store."""

    def __init__(self, lab: FakeDashboardLab, name: str) -> None:
        self._lab, self._name = lab, name

    def _table(self) -> dict[int, str]:
        held = self._lab.saes[self._name]
        return self._lab.annotations.labels(held.hook, held.content_hash)

    def __getitem__(self, feature: int) -> str:
        return self._table()[feature]

    def __iter__(self) -> Iterator[int]:
        return iter(self._table())

    def __len__(self) -> int:
        return len(self._table())


@dataclass
class FakeDashboardLab(FakeLab):
    """Has an index of "mid" and none of "wide"; ``looked`` counts look-ups, ``scored`` questions of specificity.

    ``before`` is called at the start of each look-up. Annotations go to a folder that is made at the first write.
    """

    folder: Path | None = None
    looked: list[str] = field(default_factory=list)
    scored: list[Any] = field(default_factory=list)
    before: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.indexes: dict[str, Any] = {"mid": FakeIndex("mid", 512)}
        self.annotations = AnnotationStore(self.folder or Path(tempfile.gettempdir()) / f"saew-{uuid.uuid4()}", "ann")
        for name, held in self.saes.items():
            held.labels, held.content_hash = Labels(self, name), f"hash of {name}"

    def anchor_of(self, sae: str) -> FakeModel:
        """What the worker hangs on."""
        if sae not in self.saes:
            raise UnknownNameError("The lab holds no such SAE.", got=repr(sae))
        return self.model

    def feature(self, feature: str) -> FeatureStats:
        """All about one feature."""
        self.looked.append(feature)
        if self.before is not None:
            self.before(feature)
        found = FeatureId.parse(feature)
        if found.sae not in self.indexes:
            raise UnknownNameError(f"There is no index of SAE '{found.sae}'.", do="lab.build_index(texts)")
        return self.indexes[found.sae].feature(found.index)

    def activations(self, prompt: Any, sae: str | None = None, mask_special: bool = True) -> Any:
        """Run a text, or several lists of token ids."""
        if isinstance(prompt, str):
            return super().activations(prompt, sae, mask_special)
        self.runs.append(prompt)
        if self.gate is not None:
            self.gate(prompt)
        return [self._read(ids, sae or "mid") for ids in prompt]

    def _read(self, ids: Any, sae: str) -> Activations:
        size, tokens = self.saes[sae].d_sae, decode(ids)
        pieces = list(tokens.pieces)
        found = activations_of([_fires(piece, size) for piece in pieces[1:]], pieces[1:], size, sae=sae)
        assert pieces[0] == BOS, "an example was read without its BOS"
        return Activations(**{**found.__dict__, "prompt_tokens": tokens})

    # ---- annotations ---------------------------------------------------------------------------------------------

    def target(self, what: Any) -> Target:
        """A feature as it is annotated."""
        if isinstance(what, Target):
            return what
        found = FeatureId.parse(what)
        held = self.saes[found.sae]
        return Target("feature", "toy", held.hook, held.content_hash, found.index)

    def annotation(self, what: Any) -> Annotation:
        """What has been said."""
        return self.annotations.annotation(self.target(what))

    def annotate(self, what: Any, **said: Any) -> Annotation:
        """Say something."""
        return self.annotations.annotate(self.target(what), **said)

    def rate(self, what: Any, score: Any, rater: Any = None) -> Annotation:
        """Rate something."""
        return self.annotations.rate(self.target(what), score, rater)

    def example_target(self, feature: Any, example: Example) -> Target:
        """An example as it is rated."""
        own = self.target(feature)
        return Target("example", own.model, own.hook, own.sae, own.feature, example.tokens.text, example.position)

    # ---- specificity ---------------------------------------------------------------------------------------------

    def specificity(self, feature: Any, predicate: Any, texts: Any = None, *, within: int = 0) -> Any:
        """Made-up numbers, some of them unknown."""
        self.scored.append((str(feature), predicate, within))
        if predicate == "(":
            raise UnknownNameError("This is no regular expression.", got="'('")
        return scored(FeatureId.parse(feature), "predicate", f"matches {predicate!r}")

    def specificity_of_ratings(self, feature: Any, rater: Any = None, at_least: int = 3) -> Any:
        """Made-up numbers of ratings."""
        self.scored.append((str(feature), "ratings", rater))
        return scored(FeatureId.parse(feature), "rating", f"rated >= {at_least}")


def scored(feature: FeatureId, kind: Any, what: str) -> Specificity:
    """A specificity with an empty interval."""
    nan, n = float("nan"), 4 if kind == "rating" else 2
    intervals = [
        IntervalScore(
            low=i / 2, high=(i + 1) / 2, count=10, share=0.1, mass_share=0.1, n=0 if i == 3 else 5,
            counts=(0,) * n if i == 3 else (2, *(0,) * (n - 2), 3), shares=(nan,) * n if i == 3 else (0.5,) * n,
            precision=nan if i == 3 else 0.6, precision_low=nan if i == 3 else 0.2,
            precision_high=nan if i == 3 else 0.9, llr=nan, exact=False,
        )
        for i in range(10)
    ]  # fmt: skip
    curve = np.linspace(0, 1, 101)
    return Specificity(
        feature=feature, kind=kind, what=what, rater="ann" if kind == "rating" else "", max=5.0, n_scored=45, count=100,
        n_tokens=1000, base_rate=nan, intervals=tuple(intervals), thresholds=curve, precision=np.sqrt(curve),
        precision_low=curve * 0.5, precision_high=np.ones(101), recall=np.full(101, nan),
        recall_of_firings=1 - curve, f1=curve, share=1 - curve, mass=1 - curve**2, exact=False,
    )  # fmt: skip
