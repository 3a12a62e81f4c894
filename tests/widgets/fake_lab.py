"""A lab without torch: whole words are tokens, and a feature fires on the tokens that hash to it."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

from saewidgets.errors import PromptError, UnknownNameError
from saewidgets.results import Activations, Tokens

BOS = b"<|bos|>"


class FakeModel:
    """Something that a worker can hang on."""

    name = "toy"


def tokens_of(pieces: list[bytes], n_dropped: int = 0) -> Tokens:
    """BOS and the pieces."""
    every = [BOS, *pieces]
    ids = np.array([zlib.crc32(piece) % 4000 for piece in every])
    return Tokens(ids, tuple(every), np.arange(len(every)) == 0, n_dropped)


def activations_of(rows: list[dict[int, float]], pieces: list[bytes], d_sae: int = 512, **more: Any) -> Activations:
    """Activations from one dict {feature: value} a piece; BOS in front, masked."""
    tokens = tokens_of(pieces)
    every = [{}, *rows]
    indptr = np.cumsum([0, *map(len, every)])
    pairs = [pair for row in every for pair in sorted(row.items())]
    options: dict[str, Any] = {
        "masked": tokens.special.copy(),
        "sae": "mid",
        "model": "toy",
        "hook": "blocks.2.hook_resid_post",
    }
    return Activations(
        prompt_tokens=tokens,
        indptr=indptr,
        indices=np.array([f for f, _ in pairs], np.int32),
        values=np.array([v for _, v in pairs], np.float32),
        d_sae=d_sae,
        **(options | more),
    )


def random_activations(
    n: int = 500, l0: int = 64, d_sae: int = 24_576, zipf: bool = True, seed: int = 0
) -> Activations:
    """n tokens of l0 features each, the common ones more often when ``zipf``."""
    rng = np.random.default_rng(seed)
    weight = -np.log(np.arange(1, d_sae + 1)) if zipf else np.zeros(d_sae)
    features = [np.argpartition(-weight - rng.gumbel(size=d_sae), l0)[:l0] for _ in range(n)]
    rows = [dict(zip(f.tolist(), rng.gamma(2, 2, l0).tolist(), strict=True)) for f in features]
    words = ["the", "bridge", "of", "San", "Francisco", "opens", "at", "dawn", "and", "nobody"]
    pieces = [f" {words[i]}".encode() for i in rng.integers(0, len(words), n)]
    return activations_of(rows, pieces, d_sae, reference_max=rng.uniform(8, 20, d_sae).astype(np.float32))


@dataclass
class FakeLab:
    """Holds two SAEs; counts its runs; ``gate`` is called at the start of each."""

    context: int = 2048
    runs: list[str] = field(default_factory=list)
    gate: Any = None

    def __post_init__(self) -> None:
        self.model = FakeModel()
        self.models = {"toy": self.model}
        self.saes = {name: self._sae(size) for name, size in (("mid", 512), ("wide", 2048))}

    def _sae(self, size: int) -> SimpleNamespace:
        rng = np.random.default_rng(size)
        return SimpleNamespace(
            d_sae=size,
            hook="blocks.2.hook_resid_post",
            reference_max=rng.uniform(6, 12, size).astype(np.float32),
            density=rng.beta(0.4, 12, size).astype(np.float32),
            labels={zlib.crc32(b" Gate") % size: "Golden Gate <b>Bridge</b>"},
        )

    def activations(self, prompt: str, sae: str | None = None, mask_special: bool = True) -> Activations:
        """Run a prompt."""
        self.runs.append(prompt)
        if self.gate is not None:
            self.gate(prompt)
        name = sae or next(iter(self.saes))
        if name not in self.saes:
            raise UnknownNameError("The lab holds no such SAE.", got=repr(name))
        if not prompt:
            raise PromptError("The prompt has no tokens.", got="''", expected="some text", do="type a prompt")
        size = self.saes[name].d_sae
        pieces = [piece.encode() for piece in re.findall(r"\s?[^\s]+|\s", prompt)]
        dropped, pieces = pieces[self.context :], pieces[: self.context]
        rows = [_fires(piece, size) for piece in pieces]
        result = activations_of(rows, pieces, size, sae=name, reference_max=self.saes[name].reference_max)
        if dropped:
            cut = tokens_of(pieces, len(dropped))
            result = Activations(**{**result.__dict__, "prompt_tokens": cut})
        if not mask_special:
            result = Activations(**{**result.__dict__, "masked": np.zeros(len(result), bool)})
        return result


def _fires(piece: bytes, size: int) -> dict[int, float]:
    """A feature of the word, one of its first letter, one of its length, each of a strength that hashes from it."""
    keys = (piece, piece[:2], bytes([len(piece)]), piece[-2:])
    return {zlib.crc32(key) % size: 1 + zlib.crc32(key + piece) % 1000 / 125 for key in keys}
