"""Windows of tokens to the activations of several SAEs, in shared forward passes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saewidgets.index.accumulate import Items
from saewidgets.index.corpus import Window
from saewidgets.models import LanguageModel
from saewidgets.saes import SAE
from saewidgets.saes.sparse import sparse_rows

SINK_FACTOR = 10.0


@dataclass
class Counts:
    """Tokens of the corpus, by what was done with them.

    Args:
        tokens: Tokens that every count is a share of: read, and not masked.
        special: BOS, EOS and pad tokens left out.
        sinks: Tokens left out for the length of their activation.
        nonfinite: Features that were NaN or infinite and were set aside.
        sink_norm: Length of an activation above which it is a sink; None before the first batch.
    """

    tokens: int = 0
    special: int = 0
    sinks: int = 0
    nonfinite: int = 0
    sink_norm: float | None = None

    def __add__(self, other: Counts) -> Counts:
        """Those of both; the sinks' length is that of either that has one."""
        return Counts(
            self.tokens + other.tokens, self.special + other.special, self.sinks + other.sinks,
            self.nonfinite + other.nonfinite, other.sink_norm if self.sink_norm is None else self.sink_norm,
        )  # fmt: skip


@dataclass(frozen=True)
class Placed:
    """A window and where it begins in the corpus, with its number there."""

    window: Window
    number: int
    start: int


def batches(windows: Sequence[Placed], n_tokens: int) -> Iterator[list[Placed]]:
    """Windows that run together: of like length, and at most ``n_tokens`` with their pads."""
    batch: list[Placed] = []
    for placed in sorted(windows, key=lambda placed: len(placed.window)):
        if batch and (len(batch) + 1) * len(placed.window) > n_tokens:
            yield batch
            batch = []
        batch.append(placed)
    if batch:
        yield batch


class Reader:
    """Reads batches of windows for several SAEs of one model.

    Args:
        model: The model.
        saes: The SAEs; one forward pass serves all.
        mask_special: Whether BOS, EOS and pad are left out.
        mask_sinks: Whether tokens are left out whose activation is more than ten times as long as the median of the
            first batch, SAE by SAE.
    """

    def __init__(self, model: LanguageModel, saes: Sequence[SAE], mask_special: bool, mask_sinks: bool) -> None:
        self._model, self._saes = model, saes
        self._special = model.special_ids if mask_special else torch.zeros(0, dtype=torch.long)
        self._mask_sinks = mask_sinks
        self.counts = [Counts() for _ in saes]

    def read(self, batch: Sequence[Placed]) -> list[Items]:
        """The activations of one batch, for each SAE."""
        ids, real = _padded(batch)
        special = torch.isin(ids, self._special)
        wanted = real & ~special
        values = self._model.read(ids, list(dict.fromkeys(sae.hook for sae in self._saes)))
        n_special = int((real & special).sum())
        return [
            self._items(n, values[sae.hook], wanted, n_special, batch)
            if bool(wanted.any())
            else self._none(n, n_special)
            for n, sae in enumerate(self._saes)
        ]

    def _none(self, n: int, n_special: int) -> Items:
        self.counts[n].special += n_special
        kinds = (np.int32, np.float32, np.uint32, np.int64, np.uint64)
        return Items(*(np.zeros(0, kind) for kind in kinds))

    def _items(self, n: int, values: Tensor, wanted: Tensor, n_special: int, batch: Sequence[Placed]) -> Items:
        sae, counts = self._saes[n], self.counts[n]
        x = values[wanted.to(values.device)]
        self._model.check_finite(x, sae.hook)
        row, column = (each.numpy() for each in wanted.nonzero(as_tuple=True))
        if self._mask_sinks:
            kept = self._below_sinks(x, counts)
            x, row, column = x[kept], row[kept.cpu().numpy()], column[kept.cpu().numpy()]
        found = sparse_rows(sae, x)
        counts.tokens += len(row)
        counts.special += n_special
        counts.sinks += int(wanted.sum()) - len(row)
        counts.nonfinite += int(found.nonfinite.sum())
        starts = np.array([placed.start for placed in batch], np.int64)
        numbers = np.array([placed.number for placed in batch], np.int64)
        hashes = np.array([placed.window.hash for placed in batch], np.uint64)
        row, column = np.repeat(row, found.counts), np.repeat(column, found.counts)
        return Items(
            found.indices, found.values, (starts[row] + column).astype(np.uint32), numbers[row], hashes[row]
        )  # fmt: skip

    @staticmethod
    def _below_sinks(x: Float[Tensor, "rows *width"], counts: Counts) -> Tensor:
        norms = x.flatten(1).float().norm(dim=1)
        if counts.sink_norm is None:
            counts.sink_norm = SINK_FACTOR * float(norms.median())
        return norms <= counts.sink_norm


def _padded(batch: Sequence[Placed]) -> tuple[Tensor, Tensor]:
    """Token ids, 0 where a window has ended, and which are no pads; [batch, pos]."""
    ids = torch.zeros(len(batch), max(len(placed.window) for placed in batch), dtype=torch.long)
    real = torch.zeros(ids.shape, dtype=torch.bool)
    for n, placed in enumerate(batch):
        ids[n, : len(placed.window)] = torch.from_numpy(placed.window.ids)
        real[n, : len(placed.window)] = True
    return ids, real
