"""A lab without torch whose attention patterns hash from the words."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from saewidgets.errors import PromptError
from saewidgets.results import Attention
from saewidgets.results.attention import known_layer
from tests.widgets.fake_lab import FakeModel, tokens_of


@dataclass
class FakeAttentionLab:
    """One model of ``n_layers`` layers with ``n_heads`` heads; counts its runs; ``gate`` is called at each start."""

    n_layers: int = 4
    n_heads: int = 6
    runs: list[tuple[str, int]] = field(default_factory=list)
    gate: Any = None

    def __post_init__(self) -> None:
        self.models = {"toy": FakeModel(), "other": FakeModel()}

    def attention(self, prompt: str, layer: int, *, model: str | None = None) -> Attention:
        """Run a prompt."""
        self.runs.append((prompt, layer))
        if self.gate is not None:
            self.gate(prompt)
        number = known_layer(layer, self.n_layers)
        if not prompt:
            raise PromptError("The prompt has no tokens.", got="''", expected="some text", do="type a prompt")
        tokens = tokens_of([piece.encode() for piece in re.findall(r"\s?[^\s]+|\s", prompt)])
        rng = np.random.default_rng(zlib.crc32(f"{prompt}{number}".encode()))
        weights = np.tril(np.exp(rng.normal(0, 2, (self.n_heads, len(tokens), len(tokens)))))
        pattern = (weights / weights.sum(axis=-1, keepdims=True)).astype(np.float32)
        hook = f"blocks.{number}.attn.hook_pattern"
        return Attention(tokens, pattern, number, self.n_layers, model or "toy", hook)
