"""A lab that steers without torch: what is written hashes from the prompt, the position, the edits and the seed."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from saewidgets.errors import EditError, MismatchError, PromptError
from saewidgets.results import (
    FeatureId,
    Generation,
    NextToken,
    Reach,
    SideEffect,
    SteeringVector,
    Strength,
    Tokens,
)
from saewidgets.steering import Edit
from tests.widgets.fake_lab import FakeLab, FakeModel, tokens_of

WORDS = (" Paris", " Rome", " the", " a", " bridge", " fog", " gold", " of", " and", " sea", " <b>", " \u00e9")
WIDTH = 8
NEUTRAL = ("The train was late.", "Water boils.")


class Model(FakeModel):
    """Something that a worker can hang on."""


def number(*key: object) -> float:
    """A number in 0..1 that hashes from the key."""
    return zlib.crc32(repr(key).encode()) % 10_007 / 10_007


def key_of(edits: Sequence[Edit]) -> list[Any]:
    """What an edit does here: nothing for a strength of 0."""
    return [(edit.operation, edit.name, edit.value) for edit in edits if edit.value or edit.operation == "ablate"]


@dataclass
class FakePlan:
    """Edits, checked."""

    edits: tuple[Edit, ...]
    model: Any
    strengths: tuple[Strength, ...]

    @property
    def formulas(self) -> tuple[str, ...]:
        """Each edit in words."""
        return formulas_of(self.edits)


def formulas_of(edits: Sequence[Edit]) -> tuple[str, ...]:
    """Each edit in words."""
    return tuple(f"{edit.name}: {edit.formula}" for edit in edits)


@dataclass
class FakeWriting:
    """Rows of words; ``lab.between`` is called before each."""

    lab: FakeSteeringLab
    tokens: Tokens
    rows: list[tuple[Edit, ...]]
    seeds: list[int]
    most: int
    temperature: float
    measure: bool = True
    cancelled: bool = False
    n: int = 0

    def __post_init__(self) -> None:
        self.ids: list[list[int]] = [[] for _ in self.rows]

    @property
    def finished(self) -> bool:
        """Whether all is written."""
        return self.cancelled or self.n >= self.most

    def cancel(self) -> None:
        """Write no more."""
        self.cancelled = True

    def step(self) -> list[Any]:
        """One more word a row."""
        if self.finished:
            return []
        if self.lab.between is not None:
            self.lab.between(self)
        self.lab.steps.append((key_of(self.rows[0]), self.n))
        for row, edits in enumerate(self.rows):
            seed = self.seeds[row] if self.temperature else 0
            chance = number(self.tokens.text, self.n, key_of(edits), seed)
            self.ids[row].append(int(chance * len(WORDS)))
        self.n += 1
        return [SimpleNamespace(row=row) for row in range(len(self.rows))]

    def results(self, measure: bool = True) -> tuple[Generation, ...]:
        """The texts so far."""
        return tuple(self._result(row, measure and self.measure) for row in range(len(self.rows)))

    def _result(self, row: int, measure: bool) -> Generation:
        n, edits = self.n, self.rows[row]
        known = np.full(n, 0.25 if edits else 0.0) if measure else np.full(n, np.nan)
        steered = np.full(len(self.tokens) + max(n - 1, 0), bool(key_of(edits)))
        pieces = tuple(WORDS[i].encode() for i in self.ids[row])
        return Generation(
            prompt_tokens=self.tokens,
            new_tokens=Tokens(np.array(self.ids[row], np.int64), pieces, np.zeros(n, bool)),
            logprobs=np.full(n, -0.5),
            base_logprobs=known - 1,
            kl=known,
            steered=steered,
            edits=formulas_of(edits),
            model="toy",
            stopped="cancelled" if self.cancelled else "length" if self.finished else "",
            temperature=self.temperature,
            seed=self.seeds[row],
            reach=tuple(Reach(len(steered) * bool(edit.value), len(steered)) for edit in edits),
        )


@dataclass
class FakeSteeringLab(FakeLab):
    """Steers; what it was asked is in ``asked``, each word that was written in ``steps``."""

    asked: list[Any] = field(default_factory=list)
    steps: list[Any] = field(default_factory=list)
    between: Callable[[Any], object] | None = None
    reading: Callable[[], object] | None = None
    neutral_texts: tuple[str, ...] = NEUTRAL

    def __post_init__(self) -> None:
        super().__post_init__()
        self.model: Any = Model()
        self.models = {"toy": self.model}

    def model_of(self, sae: str | None = None) -> Any:
        """The one model."""
        del sae
        return self.model

    def plan(self, edits: Sequence[Edit], model: str | None = None) -> FakePlan:
        """Check edits."""
        del model
        return FakePlan(tuple(edits), self.model, tuple(self._strength(edit) for edit in edits))

    def _strength(self, edit: Edit) -> Strength:
        target = edit.target
        if isinstance(target, SteeringVector):
            if len(target) != WIDTH:
                raise MismatchError("The vector does not fit.", got=len(target), expected=WIDTH)
            return Strength(edit.value, target.norm, edit.value * target.norm, "length of the vector")
        if edit.operation not in ("add", "set", "set_if_active"):
            return Strength(edit.value, None, None, "")
        assert isinstance(target, FeatureId)
        table = self.saes[target.sae].reference_max
        known = edit.maximum or (0.0 if table is None else float(table[target.index]))
        if not known:
            raise EditError("The maximum is not known.", got=str(target), do="give it with maximum=...")
        return Strength(edit.value, known, edit.value * known, "largest activation on its reference tokens")

    def prompt(self, prompt: Any) -> Tokens:
        """The tokens of a prompt: words, or ids as this lab has given them."""
        if isinstance(prompt, list):
            return self.given[tuple(prompt)]
        if not prompt:
            raise PromptError("The prompt has no tokens.", got="''", expected="some text", do="type a prompt")
        tokens = tokens_of([f" {word}".encode("utf-8", "surrogatepass") for word in prompt.split()])
        self.given[tuple(tokens.ids.tolist())] = tokens
        return tokens

    given: dict[tuple[int, ...], Tokens] = field(default_factory=dict)

    def preview(self, prompt: Any, sae: str | None = None) -> Any:
        """Answers as :meth:`next_token` does."""
        del sae
        return SimpleNamespace(next_token=lambda edits, k=20: self.next_token(prompt, edits, k))

    def next_token(self, prompt: Any, edits: Sequence[Edit], k: int, *, model: str | None = None) -> NextToken:
        """The words in an order that hashes."""
        del model
        self.asked.append(("next", prompt, tuple(edits), k))
        plan, tokens = self.plan(edits), self.prompt(prompt)
        if self.reading is not None:
            self.reading()
        base = np.array([number(prompt, word) for word in WORDS]) + 0.01
        edited = np.array([number(prompt, word, key_of(edits)) for word in WORDS]) + 0.01 if key_of(edits) else base
        base, edited = base / base.sum(), edited / edited.sum()
        top = np.argsort(-np.maximum(base, edited), kind="stable")[:k]
        moved = ~tokens.special & bool(key_of(edits))
        return NextToken(
            prompt_tokens=tokens,
            ids=top,
            tokens=tuple(WORDS[i] for i in top),
            base=base[top],
            edited=edited[top],
            kl=float((base * np.log(base / edited)).sum()),
            edits=plan.formulas,
            steered=moved,
            model="toy",
            reach=tuple(Reach(int(moved.sum()), len(moved) - 1) for _ in edits),
        )

    def writing(
        self, prompt: Any, edits: Sequence[Edit] = (), rows: int = 1, max_new_tokens: int = 32,
        temperature: float = 0.0, seed: int = 0, *, values: Sequence[float | int] | None = None,
        which: int = -1, top_p: float = 1.0, measure: bool = True, model: str | None = None,
    ) -> FakeWriting:  # fmt: skip
        """Words one after the other."""
        del top_p, model
        self.plan(edits)
        each = [tuple(edits)] * rows
        if values is not None:
            places = [range(len(edits))[which]] * len(values)
            each = [
                (*edits[:n], replace(edits[n], value=float(v)), *edits[n + 1 :])
                for n, v in zip(places, values, strict=True)
            ]
        seeds = [seed if values is not None else seed + row for row in range(len(each))]
        return FakeWriting(self, self.prompt(prompt), each, seeds, max_new_tokens, float(temperature), measure)

    def neutral(self, texts: Any, model: str | None = None) -> Any:
        """Neutral texts, read once."""
        del model
        if isinstance(texts, str) or not len(texts):
            raise EditError("There are no neutral texts.", got=repr(texts))
        self.asked.append(("neutral", tuple(texts)))

        def under(plan: FakePlan, check: Callable[[], object]) -> SideEffect:
            check()
            self.asked.append(("side", plan.edits))
            n, moved = len(texts), bool(key_of(plan.edits))
            kls = np.full(n, 0.5 if moved else 0.0)
            ones = np.ones(n)
            return SideEffect(tuple(texts), np.full(n, 4), kls, 2 * ones, 2 * ones + kls, plan.formulas, "toy")

        return SimpleNamespace(under=under)

    def measure_maxima(self, texts: Sequence[str], sae: str) -> None:
        """Every feature but the last fires, at 3."""
        self.asked.append(("maxima", tuple(texts), sae))
        held = self.saes[sae]
        held.reference_max = np.full(held.d_sae, 3.0, np.float32)
        held.reference_max[-1] = 0
        held.reference_sample, held.n_reference_tokens = f"{len(texts)} texts given", 7
