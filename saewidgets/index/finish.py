"""The tables of an index from the state at the end of a corpus."""

from __future__ import annotations

import numpy as np

from saewidgets.index.accumulate import Accumulator
from saewidgets.index.intervals import intervals
from saewidgets.index.settings import Settings
from saewidgets.index.spool import Spool
from saewidgets.index.store import Columns

NOTHING = np.uint32(2**32 - 1)
_CHUNK = 2**16


def tables(state: Accumulator, spool: Spool, settings: Settings) -> dict[str, Columns]:
    """The columns of each file of an index.

    Args:
        state: Of the whole corpus.
        spool: Its tokens.
        settings: How it was built.
    """
    found = intervals(state, settings.per_interval)
    windows = spool.windows()
    positions = [state.top.positions[state.top.values > 0], found.positions[found.values > 0]]
    kept = np.unique(np.concatenate([_window_of(windows["start"], each) for each in positions]))
    ids, starts = _copied(spool, windows, kept)
    move = _Moved(windows["start"], kept, starts)
    flat = len(found.count), -1
    features = {
        "count": state.count, "max": state.largest, "sum": state.total.rounded(),
        "sum_squares": state.squares.rounded(), "scale": state.scale, "histogram": state.histogram,
        "top_activation": state.top.values, "top_position": move(state.top.positions, state.top.values),
        "interval_count": found.count, "interval_low": found.low.astype(np.uint32),
        "interval_high": found.high.astype(np.uint32), "interval_mass": found.mass,
        "sample_activation": found.values.reshape(flat),
        "sample_position": move(found.positions, found.values).reshape(flat),
        "sketch": _sketch(state),
    }  # fmt: skip
    places = {"start": starts, "text": windows["text"][kept], "offset": windows["offset"][kept]}
    return {
        "features.arrow": features,
        "tokens.arrow": {"id": ids},
        "windows.arrow": places,
        "cofiring.arrow": _pairs(features["sketch"]),
    }


def _window_of(starts: np.ndarray, positions: np.ndarray) -> np.ndarray:
    return np.searchsorted(starts, positions.astype(np.int64), side="right") - 1


class _Moved:
    """Positions in the corpus to positions among the tokens that are kept; 0 where there is no example."""

    def __init__(self, old: np.ndarray, kept: np.ndarray, new: np.ndarray) -> None:
        self._old, self._kept, self._new = np.asarray(old), kept, new

    def __call__(self, positions: np.ndarray, values: np.ndarray) -> np.ndarray:
        out = np.zeros(positions.shape, np.uint32)
        held = values > 0
        window = _window_of(self._old, positions[held])
        place = np.searchsorted(self._kept, window)
        out[held] = (positions[held].astype(np.int64) - self._old[window] + self._new[place]).astype(np.uint32)
        return out


def _copied(spool: Spool, windows: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of the windows that are kept, one after the other, and where each begins."""
    old = windows["start"][kept]
    ends = np.append(windows["start"][1:], spool.n_tokens)[kept] if len(kept) else old
    sizes = ends - old
    starts = np.cumsum(sizes) - sizes
    tokens = spool.tokens()
    parts = [np.zeros(0, tokens.dtype)]
    for n in range(0, len(kept), _CHUNK):
        size = sizes[n : n + _CHUNK]
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        parts.append(tokens[np.repeat(old[n : n + _CHUNK], size) + within])
    return np.concatenate(parts), starts.astype(np.int64)


def _sketch(state: Accumulator) -> np.ndarray:
    """The kept tokens of each feature by priority, NOTHING behind the last."""
    sketch = state.sketch
    held = np.arange(sketch.k) < sketch.n[:, None]
    priorities = state.token_priority(sketch.n, sketch.positions)
    order = np.lexsort((priorities, ~held))
    return np.where(held, np.take_along_axis(sketch.positions, order, 1), NOTHING)


def _pairs(sketch: np.ndarray) -> Columns:
    """Pairs of token and feature by token, then feature."""
    feature, place = np.nonzero(sketch != NOTHING)
    token = sketch[feature, place]
    order = np.argsort(token, kind="stable")
    return {"token": token[order], "feature": feature[order].astype(np.int32)}
