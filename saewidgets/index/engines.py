"""Who reads the rounds of a build: this process, or the workers of a Ray cluster.

A round is read by one worker from its first batch to its last, and all states merge exactly. So the index is the same,
bit for bit, whoever reads, where the model gives the same numbers there: on like hardware, with as many threads.
"""

from __future__ import annotations

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from saewidgets.errors import IndexBuildError
from saewidgets.index.reading import Placed
from saewidgets.index.settings import Settings
from saewidgets.index.shard import Shard
from saewidgets.models import LanguageModel
from saewidgets.results.numbers import whole_number
from saewidgets.saes import SAE


class Round(NamedTuple):
    """Windows that are read by one worker, with how many tokens they have and how many texts begin with them."""

    windows: list[Placed]
    n_tokens: int
    n_texts: int


class Engine(ABC):
    """Has rounds read; what is read ends up in the shard that it was made with."""

    @abstractmethod
    def read(self, round_: Round) -> list[Round]:
        """Take on a round; those, of all that were taken on, that have been read since the last call."""

    @abstractmethod
    def collect(self) -> list[Round]:
        """Wait for all rounds, and bring what was kept of them into the shard; the rounds as of :meth:`read`."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing running."""


class Here(Engine):
    """Reads in this process, at once."""

    def __init__(self, shard: Shard) -> None:
        self._shard = shard

    def read(self, round_: Round) -> list[Round]:
        """Read a round."""
        self._shard.read(round_.windows)
        return [round_]

    def collect(self) -> list[Round]:
        """Nothing is left to do."""
        return []

    def close(self) -> None:
        """Nothing runs."""


def check_engine(engine: str | None, workers: int | None) -> None:
    """Pass if there is such an engine.

    Raises:
        IndexBuildError: There is none, Ray is not installed, or the number of workers is none.
    """
    if engine not in {None, "ray"}:
        raise IndexBuildError("There is no such engine.", got=repr(engine)[:80], expected="None or 'ray'")
    if workers is not None and (engine is None or (whole_number(workers) or 0) < 1):
        raise IndexBuildError(
            "This is no number of workers.", got=f"workers={workers!r}"[:80], expected="a whole number from 1, or None",
            do=None if engine else "name an engine: engine='ray'",
        )  # fmt: skip
    if engine == "ray" and importlib.util.find_spec("ray") is None:
        raise IndexBuildError("Ray is not installed.", got="engine='ray'", do="pip install 'saewidgets[ray]'")


def make_engine(
    engine: str | None, workers: int | None, shard: Shard, model: LanguageModel, saes: Sequence[SAE], settings: Settings
) -> Engine:
    """An engine that reads for a shard.

    Args:
        engine: None for this process, or "ray".
        workers: How many, for an engine that has them; None: as many as the cluster has room for.
        shard: Where all ends up.
        model: The model.
        saes: The SAEs that read it.
        settings: What shapes the index.
    """
    if engine is None:
        return Here(shard)
    from saewidgets.index.ray_engine import RayEngine

    return RayEngine(shard, model, saes, settings, workers)
