"""The part of a build that may run anywhere: rounds of windows in, the states of their features out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from saewidgets.index.accumulate import Accumulator, Items
from saewidgets.index.reading import Counts, Placed, Reader, batches
from saewidgets.index.settings import SKETCH, Settings
from saewidgets.models import LanguageModel
from saewidgets.saes import SAE

_ITEMS_AT_ONCE = 2**19


class Kept(NamedTuple):
    """What a shard holds, as plain values: counts of tokens of each SAE, and the arrays of all states by name."""

    counts: list[dict[str, Any]]
    arrays: Mapping[str, np.ndarray]


class Shard:
    """Reads rounds of windows and keeps the states of their features.

    Which of several shards reads a round leaves no trace once they are merged, nor does the order of the rounds.

    Args:
        model: The model.
        saes: The SAEs that read it.
        settings: What shapes the index.

    Attributes:
        reader: Reads batches of windows; something that looks on may take its place.
        states: Of each SAE's features.
    """

    def __init__(self, model: LanguageModel, saes: Sequence[SAE], settings: Settings) -> None:
        self._saes, self._settings = saes, settings
        self._batch_tokens = settings.batch_size * min(settings.context, model.n_ctx)
        self.reader = Reader(model, saes, settings.mask_special, settings.mask_sinks)
        self.states = [self._new_state(sae) for sae in saes]
        self._waiting: list[list[Items]] = [[] for _ in saes]

    @property
    def counts(self) -> list[Counts]:
        """Tokens by what was done with them, SAE by SAE."""
        return self.reader.counts

    @property
    def sink_norms(self) -> list[float | None]:
        """Length of an activation above which it is a sink, SAE by SAE; None before the first batch."""
        return [counts.sink_norm for counts in self.counts]

    @sink_norms.setter
    def sink_norms(self, norms: Sequence[float | None]) -> None:
        for counts, norm in zip(self.counts, norms, strict=True):
            counts.sink_norm = norm

    @property
    def nbytes(self) -> int:
        """Bytes of the states; the same from the first token to the last."""
        return sum(state.nbytes for state in self.states)

    def read(self, windows: Sequence[Placed]) -> None:
        """Read a round; batches are formed inside it."""
        for batch in batches(windows, self._batch_tokens):
            for waiting, items in zip(self._waiting, self.reader.read(batch), strict=True):
                waiting.append(items)
            self._add(_ITEMS_AT_ONCE)
        self._add(1)

    def _add(self, least: int) -> None:
        """Add what waits to the states, where it is at least so much."""
        for waiting, state in zip(self._waiting, self.states, strict=True):
            if waiting and sum(len(items.features) for items in waiting) >= least:
                state.add(Items(*map(np.concatenate, zip(*waiting, strict=True))))
                waiting.clear()

    # ---- what it holds, to be kept or sent -------------------------------------------------------------------------

    def plain_counts(self) -> list[dict[str, Any]]:
        """The counts of tokens by name."""
        return [asdict(counts) for counts in self.counts]

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """The states by name, one array after the other."""
        yield from ((f"{n}.{name}", a) for n, state in enumerate(self.states) for name, a in state.arrays())

    def restore(self, kept: Kept) -> None:
        """Take what another shard held in place of what this one holds."""
        self.counts[:] = [Counts(**counts) for counts in kept.counts]
        for n, state in enumerate(self.states):
            state.restore(_part(kept.arrays, n))

    def merge(self, kept: Kept) -> None:
        """Take in what another shard held of other windows."""
        for n, counts in enumerate(kept.counts):
            self.counts[n] = self.counts[n] + Counts(**counts)
            other = self._new_state(self._saes[n])
            other.restore(_part(kept.arrays, n))
            self.states[n].merge(other)

    def hand_over(self) -> Kept:
        """All that it holds, which it then holds no longer."""
        kept = Kept(self.plain_counts(), dict(self.arrays()))
        self.counts[:] = [Counts(sink_norm=norm) for norm in self.sink_norms]
        self.states = [self._new_state(sae) for sae in self._saes]
        return kept

    def _new_state(self, sae: SAE) -> Accumulator:
        settings = self._settings
        return Accumulator(sae.d_sae, settings.examples, settings.per_bin, SKETCH, settings.seed)


def _part(arrays: Mapping[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    return {name.removeprefix(f"{n}."): array for name, array in arrays.items() if name.startswith(f"{n}.")}
