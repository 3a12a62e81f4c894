"""The ways to steer that are compared, and the strength at which each adds a change of a given length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from saewidgets.errors import EditError
from saewidgets.results import FeatureId
from saewidgets.steering.edits import Edit, make_edit
from saewidgets.steering.plan import ReadyEdit
from saewidgets.steering.vectors import VectorMethod, vector_from_activations

OF_FEATURE = ("set", "set_if_active", "add")
OF_TEXTS = ("difference_in_means", "probe", "pca")
METHODS = (*OF_FEATURE, *OF_TEXTS, "random")
PAIRS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Arm(NamedTuple):
    """One way to steer.

    Attributes:
        method: An operation on the feature, or how the vector was made.
        n_pairs: Pairs of texts that the vector was made from; 0 where it needs none.
        resample: Number of the draw of these texts, or of the random direction.
        ready: The edit; its value is put in later.
    """

    method: str
    n_pairs: int
    resample: int
    ready: ReadyEdit


class Row(NamedTuple):
    """One arm at one strength, in multiples of the reference maximum or of the vector."""

    arm: int
    value: float


def check_methods(methods: Any) -> tuple[str, ...]:
    """The methods in one order, each once.

    Raises:
        EditError: There are none, or one does not exist.
    """
    listed = [methods] if isinstance(methods, str) else list(methods)
    if not listed or not set(listed) <= set(METHODS):
        raise EditError("There is no such method.", got=repr(methods)[:80], expected=", ".join(METHODS))
    return tuple(method for method in METHODS if method in listed)


def check_pairs(pairs: Any, available: int) -> tuple[int, ...]:
    """Numbers of pairs, smallest first; by default 1, 2, 4, ..., 256 as far as there are texts, and all of them.

    Raises:
        EditError: Not whole numbers from 1 to the texts that there are.
    """
    if pairs is None:
        return tuple(sorted({*(n for n in PAIRS if n <= available), min(available, PAIRS[-1])}))
    whole = all(hasattr(n, "__index__") and not isinstance(n, bool) for n in pairs)
    listed = sorted({int(n) for n in pairs}) if whole else []
    if not listed or not 1 <= listed[0] <= listed[-1] <= available:
        raise EditError(
            "There are not so many pairs.", got=repr(pairs)[:80], expected=f"whole numbers from 1 to {available}",
            do="give more positive and negative texts, or fewer pairs",
        )  # fmt: skip
    return tuple(listed)


def nested_subsets(
    sizes: tuple[int, int], pairs: Sequence[int], resamples: int, seed: int
) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Number of pairs, number of the draw, and which texts of both sides; within a draw the smaller lie in the larger.

    Text i of both sides is one pair where there are equally many. All texts can be taken in one way only.
    """
    together = sizes[0] == sizes[1]
    for resample in range(resamples):
        random = np.random.default_rng([seed, resample])
        first = random.permutation(sizes[0])
        second = first if together else random.permutation(sizes[1])
        for n in pairs:
            if resample == 0 or (n, n) != sizes:
                yield n, resample, first[:n], second[:n]


def make_arms(
    ready_of: Callable[[Edit], ReadyEdit], hook: str, methods: Sequence[str], feature: FeatureId | None,
    sides: tuple[np.ndarray, np.ndarray] | None, pairs: Sequence[int], resamples: int, seed: int, width: int,
) -> list[Arm]:  # fmt: skip
    """All arms of a comparison.

    Args:
        ready_of: Makes an edit ready.
        hook: Hook point of the vectors.
        methods: Checked methods.
        feature: The feature, where a method needs one.
        sides: Activations of the positive and the negative texts [n, d], where a method needs them.
        pairs: Checked numbers of pairs; probe and principal component take the largest.
        resamples: Draws of texts for each number of pairs, and random directions.
        seed: Of the draws.
        width: Width of the hook point.
    """
    arms = [Arm(method, 0, 0, ready_of(make_edit(method, feature, 1.0, None, "all", False, None)))
            for method in methods if method in OF_FEATURE]  # fmt: skip

    def vector(method: VectorMethod, n: int, resample: int, p: np.ndarray, q: np.ndarray) -> None:
        made = vector_from_activations(p, q, hook, method=method, n_bootstrap=0)
        arms.append(Arm(method, n, resample, ready_of(make_edit("add", made, 1.0, None, "all", False, None))))

    if sides is not None:
        for n, resample, first, second in nested_subsets((len(sides[0]), len(sides[1])), pairs, resamples, seed):
            p, q = sides[0][first], sides[1][second]
            if "difference_in_means" in methods:
                vector("difference_in_means", n, resample, p, q)
            if n == pairs[-1] and resample == 0:
                for method in ("probe", "pca"):
                    if method in methods:
                        vector(method, n, resample, p, q)
    if "random" in methods:
        for resample in range(resamples):
            drawn = np.random.default_rng([seed, resample, 1]).normal(size=width)
            arms.append(Arm("random", 0, resample, ready_of(make_edit("add", drawn, 1.0, hook, "all", False, None))))
    return arms


def strengths_for(ready: ReadyEdit, x: Tensor, lengths: np.ndarray) -> np.ndarray:
    """The strength at which the mean length of what an edit adds is each of several, float64 [len(lengths)].

    What is added at token t lies along one direction and is v a_t - b_t long, so that the mean of its size is convex
    in v and made of straight parts; the larger of its two solutions is found exactly, up to rounding.

    Args:
        ready: The edit.
        x: Activations of the tokens that it may move [token, d].
        lengths: Mean lengths over these tokens, in the model's units.

    Returns:
        NaN where the edit moves nothing, or moves more than that at its least.
    """
    a, b = _straight(ready, x)
    return np.array([_solve(a, b, float(length)) for length in lengths])


def _straight(ready: ReadyEdit, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """The numbers a and b of each token."""
    length = float(ready.direction.double().norm())
    if ready.sae is None:
        return np.full(len(x), length), np.zeros(len(x))
    acts, scale = ready.sae.activation_of(x[None], ready.index)
    f = acts[0].double().cpu().numpy()
    unit = length * (np.ones(len(x)) if scale is None else scale[0, :, 0].double().cpu().numpy())
    a, b = ready.maximum * unit, f * unit
    if ready.edit.operation == "add":
        return a, 0 * b
    return (a, b) if ready.edit.operation == "set" else (a * (f > 0), b * (f > 0))


def _solve(a: np.ndarray, b: np.ndarray, length: float) -> float:
    """The larger v with mean |v a - b| = length; a, b >= 0."""
    if not a.any():
        return float("nan")
    kinks = np.divide(b, a, out=np.zeros_like(b), where=a > 0)
    order = np.argsort(kinks)
    weight = np.cumsum(a[order])
    least = kinks[order][int(np.searchsorted(weight, weight[-1] / 2))]
    if np.abs(least * a - b).mean() > length:
        return float("nan")
    v = (length * len(a) + b.sum()) / a.sum()  # at or above the solution, from where Newton's steps go down to it
    for _ in range(len(a) + 2):
        over = np.abs(v * a - b).mean() - length
        slope = (a * np.sign(v * a - b)).mean()
        if over <= 1e-14 * length or slope <= 0:
            break
        v -= over / slope
    return float(v)


def changes(arms: Sequence[Arm], rows: Sequence[Row], x: Tensor, where: Tensor, repeat: int = 1) -> Tensor:
    """What rows add to activations, 0 outside of ``where``, float32 or wider [row * repeat, pos, d].

    Args:
        arms: The arms.
        rows: Rows, those of one arm behind each other.
        x: One activation for all rows [1, pos, d], or one for each [row * repeat, pos, d].
        where: Which tokens, as ``x``.
        repeat: How many texts each row has, behind each other.
    """
    parts, start = [], 0
    for arm, group in groupby(rows, key=lambda row: row.arm):
        values = torch.tensor([row.value for row in group], dtype=torch.float64).repeat_interleave(repeat)
        stop = start + len(values)
        own = (x.expand(len(values), -1, -1), where.expand(len(values), -1)) if len(x) == 1 else (
            x[start:stop], where[start:stop])  # fmt: skip
        parts.append(_with_values(arms[arm].ready, values).added(*own))
        start = stop
    return torch.cat(parts)


def _with_values(ready: ReadyEdit, values: Tensor) -> ReadyEdit:
    return ReadyEdit(
        ready.number, ready.edit, ready.site, ready.sae, ready.index, ready.direction, ready.maximum, values
    )
