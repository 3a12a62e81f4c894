"""A lab that ranks without torch: numbers hash from tokens, features and targets."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saewidgets.errors import TargetError, TokenError
from saewidgets.results import Node, Prediction, Ranking
from tests.widgets.fake_lab import FakeLab, FakeModel

WORDS = (" Paris", " Rome", " Par", " Parma", "Paris", " London", " the", " Mary", " John", "<b>bold</b>", "\\xe2")


class FakeVocabulary(FakeModel):
    """The words that a target can be."""

    words = WORDS

    def token_id(self, token: Any) -> int:
        """Id of a word."""
        if isinstance(token, int) and 0 <= token < len(self.words):
            return token
        if token in self.words and token != "\\xe2":
            return self.words.index(token)
        raise TargetError("This text is not one token.", got=repr(token), expected="one token, such as ' Paris'")

    def token_text(self, token_id: int) -> str:
        """The word."""
        return self.words[token_id]

    def complete(self, text: str, n: int = 20) -> list[tuple[int, str]]:
        """Words that begin so."""
        return [(i, word) for i, word in enumerate(self.words) if word.strip().startswith(text.strip())][:n]


def chance(*key: object) -> float:
    """A number in -1..1 that hashes from the key."""
    return zlib.crc32(repr(key).encode()) % 20_001 / 10_000 - 1


@dataclass
class FakeRanker:
    """One prompt, run once."""

    lab: FakeRankingLab
    found: Any

    @property
    def tokens(self) -> Any:
        """The tokens of the prompt."""
        return self.found.prompt_tokens

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """Likely next tokens."""
        return tuple(Prediction(i, word, 0.5**i * 0.6, 9.0 - i) for i, word in enumerate(self.lab.model.words[:5]))

    def rank(
        self,
        target: Any = None,
        baseline: Any = None,
        *,
        position: int | None = None,
        method: str = "attribution",
        scope: str | None = None,
        on_progress: Callable[[Ranking], object] | None = None,
    ) -> Ranking:
        """Rows in the order of the SAE's features; ablated a few at a time."""
        lab, found = self.lab, self.found
        lab.questions.append((target, baseline, position, method, scope))
        target = 0 if target is None else target
        each = target if isinstance(target, tuple) else (target,)
        ids = tuple(lab.model.token_id(one) for one in each)
        other = None if baseline is None else lab.model.token_id(baseline)
        if position is not None and position >= len(found):
            raise TokenError("The prompt has no such position.", got=position)
        scope = scope or ("all_positions" if position is None else "position")
        summed: dict[tuple[int, int], float] = {}
        for p, f, v in self._keys(position, scope):
            summed[p, f] = summed.get((p, f), 0.0) + v
        rows, total = list(summed), np.array(list(summed.values()))
        effect = np.array([chance(f, ids, other) * v for (_, f), v in zip(rows, total, strict=True)])
        attribution = effect + np.array([0.25 * chance("miss", f, ids, method) for _, f in rows])
        words = [repr(lab.model.token_text(i)) for i in ids]
        ablation = np.full(len(rows), np.nan)
        fixed = {
            "prompt_tokens": found.prompt_tokens,
            "masked": found.masked,
            "metric": f"logit({words[0]}) \u2212 "
            + (f"logit({lab.model.token_text(other)!r})" if other else "mean logit"),
            "metric_value": 2.5,
            "target": ids,
            "baseline": other,
            "method": method,
            "scope": scope,
            "position": position,
            "sae_index": np.zeros(len(rows), np.int32),
            "positions": np.array([p for p, _ in rows], np.int64),
            "features": np.array([f for _, f in rows], np.int32),
            "activation": total,
            "attribution": attribution,
            "saes": (found.sae,),
            "hooks": (found.hook,),
            "model": "toy",
            "predictions": self.predictions,
            "completeness_error": 0.004 if method == "integrated_gradients" else None,
        }
        nodes = (Node("error", found.sae, -1, 0.31, 0.4), Node("bias", found.sae, -1, -0.05, float("nan")))
        first = np.argsort(-np.abs(attribution), kind="stable")
        stopped = False
        for start in range(0, len(rows), lab.batch):
            some = first[start : start + lab.batch]
            ablation[some] = effect[some]
            so_far = Ranking(**fixed, ablation=ablation.copy(), nodes=nodes)
            if on_progress is not None and on_progress(so_far) is False:
                stopped = True
                break
            if lab.between is not None:
                lab.between(so_far)
        return Ranking(**fixed, ablation=ablation, nodes=nodes, stopped=stopped)

    def _keys(self, position: int | None, scope: str) -> list[tuple[int, int, float]]:
        """(position, feature, activation) of every row, before positions are summed."""
        found = self.found
        fires: list[tuple[int, int, float]] = []
        for p in np.flatnonzero(~found.masked).tolist():
            if position is None or p == position:
                fires += [(p, v.feature, float(v.activation)) for v in found.by_token(p)]
        return [(p if scope == "position" else -1, f, v) for p, f, v in fires]


@dataclass
class FakeRankingLab(FakeLab):
    """Ranks; counts its forward passes in ``runs`` and what was asked in ``questions``."""

    questions: list[Any] = field(default_factory=list)
    batch: int = 4
    between: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.model: Any = FakeVocabulary()
        self.models = {"toy": self.model}

    def model_of(self, sae: str | None = None) -> Any:
        """The vocabulary."""
        del sae
        return self.model

    def ranker(self, prompt: str, sae: str | None = None, mask_special: bool = True) -> FakeRanker:
        """Run a prompt."""
        return FakeRanker(self, self.activations(prompt, sae, mask_special))
