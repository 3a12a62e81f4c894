"""The ten intervals of equal width over (0, max], once the maximum is known.

**Counts.** Where all activations have been kept, up to 2**23 of them, they are counted. Of a larger corpus the edges of
the intervals cut bins of the histogram. Where the sample of an edge's bin of width R/32 holds all of the bin, its
activations are known and the count below the edge is exact. Else the count lies between that of the fine bins below the
edge and that with the fine bin that is cut, and is interpolated; both bounds are given.

**Samples.** *Claim: of each interval, a uniform sample without replacement is drawn.* Each activation x has a priority
p(x), independent and uniform (a hash). Of each bin b of width R/32 the K = k + t activations of lowest priority are
held, all of it where it has no more. For an interval I, let s be the least, over the bins that I cuts and that hold
not all, of the t-th lowest priority among the bin's activations *outside* I (infinite where there is none). The sample
is the k activations of I of lowest priority below s, fewer if there are fewer. (1) All that it asks for is held: as
long as fewer than t outside and fewer than k inside activations of a bin are of lower priority, the bin has fewer than
K, so they are among those held; and where a bin holds fewer than t outside ones, it holds more than k inside, and the k
lowest of I are found among the priorities up to there. (2) s depends on priorities of activations outside I only,
which are independent of those inside. Given s, and given how many of I lie below it, each set of that many members of I
is equally likely to be the one below s, and so is each order of their priorities. Hence the sample is uniform given its
size. It has k members, or all of the interval, unless an edge cuts a bin with far more on the other side than inside.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from saewidgets.index import scale as bins
from saewidgets.index.accumulate import Accumulator
from saewidgets.index.bottom_k import NO_LIMIT, order_within, rank_in_group

N_INTERVALS = 10
_CHUNK = 512


class Intervals(NamedTuple):
    """Interval by interval, ascending.

    ``count`` float64 [n, 10] with its bounds ``low`` and ``high`` int64 [n, 10], equal where it is exact; ``mass``
    float64 [n, 10]; the samples ``positions`` uint32 and ``values`` float32 [n, 10, k], 0 where there are fewer, in
    order of priority, so that the first of them are a uniform sample too.
    """

    count: np.ndarray  # pyright: ignore[reportIncompatibleMethodOverride]
    low: np.ndarray
    high: np.ndarray
    mass: np.ndarray
    positions: np.ndarray
    values: np.ndarray


def interval_edges(largest: np.ndarray) -> np.ndarray:
    """Upper edges of the first nine intervals, float64 [n, 9]; of the tenth it is the maximum."""
    return largest.astype(np.float64)[:, None] * np.arange(1, N_INTERVALS) / N_INTERVALS


def intervals(state: Accumulator, k: int) -> Intervals:
    """The intervals of all features.

    Args:
        state: Of the whole corpus.
        k: Activations sampled of each interval.
    """
    parts = [_chunk(state, np.arange(n, min(n + _CHUNK, state.d_sae)), k) for n in range(0, state.d_sae, _CHUNK)]
    found = Intervals(*map(np.concatenate, zip(*parts, strict=True)))
    if not state.firings.whole:
        return found
    count, mass = state.firings.count(interval_edges(state.largest))
    return found._replace(count=count.astype(np.float64), low=count, high=count, mass=mass)


class _Held(NamedTuple):
    """What the bins of some features hold, all [n, 32, K]; ``n`` is how many activations fell into each [n, 32]."""

    positions: np.ndarray
    values: np.ndarray
    priorities: np.ndarray
    filled: np.ndarray
    interval: np.ndarray
    complete: np.ndarray


def _chunk(state: Accumulator, rows: np.ndarray, k: int) -> Intervals:
    edges = interval_edges(state.largest[rows])
    held = _held(state, rows, edges)
    own = state.mass(rows)
    below, low, high, mass = _below(state, rows, own, edges, held)
    count, total = state.count[rows, None], own.sum(1)[:, None]
    # An interval's least count goes from the most below its lower edge to the least below its upper one.
    zero = np.zeros_like(count)
    low_count = np.maximum(np.concatenate([low, count], 1) - np.concatenate([zero, high], 1), 0)
    high_count = np.concatenate([high, count], 1) - np.concatenate([zero, low], 1)
    return Intervals(
        np.diff(below, axis=1, prepend=0, append=count), low_count, high_count,
        np.diff(mass, axis=1, prepend=0, append=total), *_samples(state, rows, edges, held, k),
    )  # fmt: skip


def _held(state: Accumulator, rows: np.ndarray, edges: np.ndarray) -> _Held:
    sample, shape = state.sample, (len(rows), bins.SAMPLED, state.sample.k)
    groups = rows[:, None] * bins.SAMPLED + np.arange(bins.SAMPLED)
    positions, values = sample.positions[groups], sample.values[groups]
    filled = np.arange(sample.k) < sample.n[groups][..., None]
    priorities = state.sample_priority(np.broadcast_to(groups[..., None], shape), positions)
    priorities = np.where(filled, priorities, NO_LIMIT)
    order = np.argsort(priorities, axis=-1)
    positions, values, priorities, filled = (
        np.take_along_axis(each, order, -1) for each in (positions, values, priorities, filled)
    )
    first, _ = _reach(state, rows, edges)
    beyond = np.append(edges, np.full((len(rows), 1), np.inf), axis=1)
    # No bin has more than one edge inside: its width is at most max / 16.
    interval = first[..., None] + (values > np.take_along_axis(beyond, first, 1)[..., None])
    counts = bins.to_linear(state.histogram[rows].astype(np.int64)).reshape(len(rows), bins.SAMPLED, 2).sum(2)
    return _Held(positions, values, priorities, filled, interval, counts <= sample.k)


def _reach(state: Accumulator, rows: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last interval that the activations of each bin [n, 32] may lie in."""
    scale = np.maximum(state.scale[rows, None], -1100).astype(np.int32)
    starts = np.ldexp(np.arange(bins.SAMPLED + 1) / bins.SAMPLED, scale)
    bounds = (starts[..., None] > edges[:, None, :]).sum(-1)
    return bounds[:, :-1], bounds[:, 1:]


def _below(
    state: Accumulator, rows: np.ndarray, mass: np.ndarray, edges: np.ndarray, held: _Held
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """How many activations are not above each edge: the best guess, the least, the most; and their sum."""
    alive = state.count[rows] > 0
    scale = np.where(alive, state.scale[rows], 0).astype(np.int32)
    histogram = state.histogram[rows].astype(np.int64)
    unit = np.ldexp(edges, -scale[:, None])  # in units of R
    column = np.maximum(np.searchsorted(bins.UNIT_EDGES, unit, side="right") - 1, 0)
    cumulated = np.concatenate([np.zeros((len(rows), 1), np.int64), histogram.cumsum(1)], 1)
    low, cut = np.take_along_axis(cumulated, column, 1), np.take_along_axis(histogram, column, 1)
    start, stop = bins.UNIT_EDGES[column], bins.UNIT_EDGES[column + 1]
    share = (unit - start) / (stop - start)
    below = low + share * cut
    linear = bins.LINEAR_OF_FINE[column]
    part = _part_mass(histogram, column, linear, cut * share * (start + unit) / 2) * np.ldexp(1.0, scale)[:, None]
    whole = np.concatenate([np.zeros((len(rows), 1)), mass.cumsum(1)], 1)
    weight = np.take_along_axis(whole, linear, 1) + np.minimum(part, np.take_along_axis(mass, linear, 1))
    exact_count, exact_mass, known = _exactly_below(edges, linear // 2, cumulated, whole, held)
    return (
        np.where(known, exact_count, below), np.where(known, exact_count, low),
        np.where(known, exact_count, low + cut), np.where(known, exact_mass, weight),
    )  # fmt: skip


def _part_mass(histogram: np.ndarray, column: np.ndarray, linear: np.ndarray, cut: np.ndarray) -> np.ndarray:
    """Sum, in units of R, of the bin of width R/64 that is cut, below the edge; from the centres of its fine bins."""
    centres = (bins.UNIT_EDGES[:-1] + bins.UNIT_EDGES[1:]) / 2
    whole = np.concatenate([np.zeros((len(histogram), 1)), (histogram * centres).cumsum(1)], 1)
    first = np.searchsorted(bins.LINEAR_OF_FINE, linear)
    return np.take_along_axis(whole, column, 1) - np.take_along_axis(whole, first, 1) + cut


def _exactly_below(
    edges: np.ndarray, lot: np.ndarray, cumulated: np.ndarray, whole: np.ndarray, held: _Held
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count and sum below each edge from the activations of its bin of width R/32, and whether all are held."""
    first_column = np.searchsorted(bins.LINEAR_OF_FINE, 2 * lot)
    count = np.take_along_axis(cumulated, first_column, 1)
    mass = np.take_along_axis(whole, 2 * lot, 1)
    values = np.take_along_axis(held.values, lot[..., None], 1)
    inside = np.take_along_axis(held.filled, lot[..., None], 1) & (values <= edges[..., None])
    count = count + inside.sum(-1)
    mass = mass + np.where(inside, values.astype(np.float64), 0).sum(-1)
    return count, mass, np.take_along_axis(held.complete, lot, 1)


def _samples(
    state: Accumulator, rows: np.ndarray, edges: np.ndarray, held: _Held, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The samples; see the top of this file for why they are uniform."""
    spare = state.sample.k - k
    limit = np.full((len(rows), N_INTERVALS), NO_LIMIT)
    first, last = _reach(state, rows, edges)
    mixed = (first < last) & ~held.complete
    for own in (first, last):
        outside = held.filled & (held.interval != own[..., None])
        reached = outside & (outside.cumsum(-1) == spare)
        stop = np.where(reached, held.priorities, NO_LIMIT).min(-1)
        at = np.nonzero(mixed)
        np.minimum.at(limit, (at[0], own[at]), stop[at])
    row = np.broadcast_to(np.arange(len(rows))[:, None, None], held.interval.shape)
    chosen = held.filled & (held.priorities < limit[row, held.interval])
    group, priorities = (row * N_INTERVALS + held.interval)[chosen], held.priorities[chosen]
    order = order_within(group, priorities)
    group = group[order]
    rank = rank_in_group(group)
    kept = rank < k
    positions = np.zeros((len(rows) * N_INTERVALS, k), np.uint32)
    values = np.zeros(positions.shape, np.float32)
    positions[group[kept], rank[kept]] = held.positions[chosen][order][kept]
    values[group[kept], rank[kept]] = held.values[chosen][order][kept]
    shape = (len(rows), N_INTERVALS, k)
    return positions.reshape(shape), values.reshape(shape)
