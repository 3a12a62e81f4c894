"""Directions from two sets of activations: the arithmetic alone, on arrays, in float64.

With P [n, d] and N [m, d] the activations of the texts on the two sides, and delta the true difference of their means:

=======================  ==========================================================================================
difference in means      mean P - mean N; also called CAA, DiffMean, mass mean shift
probe                    w of a logistic regression of P against N
principal component      first right singular vector of the rows P_i - N_i, not centred
expected cosine          of a difference in means from n pairs with delta: 1 / sqrt(1 + tr(S_P + S_N) / (n |delta|^2))
=======================  ==========================================================================================
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from saewidgets.errors import EditError
from saewidgets.results.steering_vector import Number

NEWTON_STEPS = 200
CHUNK = 2**22  # numbers in memory at a time while resampling: 32 MiB
TINY = 1e-12  # a difference of means below this part of the activations is rounding


def two_sides(positive: object, negative: object) -> tuple[np.ndarray, np.ndarray]:
    """Activations of the two sides as float64 [n, d] and [m, d].

    Raises:
        EditError: Not two tables of finite numbers with equally many columns and at least one row.
    """
    sides = []
    for name, side in (("positive", positive), ("negative", negative)):
        array = np.asarray(side, np.float64)
        if array.ndim != 2 or not array.size or not np.isfinite(array).all():
            finite = "" if np.isfinite(array).all() else ", not all finite"
            raise EditError(
                f"These are no activations for the side '{name}'.",
                got=f"shape {list(array.shape)}{finite}",
                expected="finite numbers [texts, d], at least one text",
            )
        sides.append(array)
    if sides[0].shape[1] != sides[1].shape[1]:
        raise EditError(
            "The two sides are of different widths.",
            got=f"{sides[0].shape[1]} and {sides[1].shape[1]} numbers a text",
            expected="activations of one hook point",
        )
    return sides[0], sides[1]


def difference_in_means(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """The difference mean P - mean N, float64 [d], in the units of the activations.

    With general texts as N it is the mean-centred vector of arXiv 2312.03813: what all texts have in common is taken
    off.

    Args:
        positive: Activations [n, d] that the vector points to.
        negative: Activations [m, d] of the other side.

    Raises:
        EditError: Not such arrays, or the two means are the same.

    Example:
        >>> difference_in_means(np.array([[3.0, 1.0], [5.0, 1.0]]), np.array([[1.0, 1.0]]))
        array([3., 0.])
    """
    p, n = two_sides(positive, negative)
    difference = p.mean(0) - n.mean(0)
    if np.abs(difference).max() <= TINY * max(np.abs(p).max(), np.abs(n).max()):
        raise EditError(
            "The texts of both sides have the same mean activation, so that there is no direction between them.",
            got=f"a difference of {np.linalg.norm(difference):.1g}",
            expected="texts that differ where they are read",
            do="read another position or a later hook point",
        )
    return difference


def expected_cosine(n: Number, trace: Number, norm: Number) -> float:
    """Expected cosine between a difference in means from n pairs and the true one: 1 / sqrt(1 + trace / (n norm^2)).

    It holds where d is large. So many pairs are needed as make n norm^2 several times the trace, which is another
    number for each concept, hook point and model.

    Args:
        n: Number of pairs.
        trace: tr(S_P + S_N), the variances of both sides summed over dimensions; for texts in pairs, of P_i - N_i.
        norm: Length of the true difference |delta|.

    Returns:
        From 0 to 1; 0 where there is no difference.

    Raises:
        EditError: A number below 0 or not finite, or no pair.

    Example:
        >>> expected_cosine(n=1, trace=3.0, norm=1.0), expected_cosine(n=16, trace=3.0, norm=2.0).__round__(3)
        (0.5, 0.977)
    """
    if not all(math.isfinite(value) and value >= 0 for value in (n, trace, norm)) or n == 0:
        raise EditError(
            "The estimation law needs a number of pairs, a trace and a norm.",
            got=f"n={n}, trace={trace}, norm={norm}",
            expected="n above 0, the others 0 or more",
        )
    return 0.0 if norm == 0 else 1 / math.sqrt(1 + trace / n / norm**2)


def estimated_cosine(positive: np.ndarray, negative: np.ndarray, paired: bool | None = None) -> float | None:
    """:func:`expected_cosine` with trace and norm estimated from the activations themselves.

    |mean P - mean N|^2 is too large by tr / n on average, which is subtracted. A bootstrap has no such correction: its
    cosines, which are with the vector of all texts and not with the true one, are larger.

    Args:
        positive: Activations [n, d].
        negative: Activations [m, d].
        paired: Whether row i of both belongs together; by default where there are equally many.

    Returns:
        From 0 to 1; 0 where the difference is not larger than its noise; None where a side has fewer than 2 texts.

    Example:
        >>> random = np.random.default_rng(0)
        >>> round(estimated_cosine(random.normal(size=(40, 500)) + 0.3, random.normal(size=(40, 500))), 1)
        0.8
    """
    p, n = two_sides(positive, negative)
    if min(len(p), len(n)) < 2:
        return None
    if len(p) == len(n) if paired is None else paired:
        noise = _differences(p, n).var(0, ddof=1).sum() / len(p)
    else:
        noise = p.var(0, ddof=1).sum() / len(p) + n.var(0, ddof=1).sum() / len(n)
    difference = p.mean(0) - n.mean(0)
    squared = max(float(difference @ difference - noise), 0.0)
    return expected_cosine(1, float(noise), math.sqrt(squared))


def bootstrap_cosine(
    positive: np.ndarray, negative: np.ndarray, resamples: int = 1000, seed: int = 0, paired: bool | None = None
) -> tuple[float, float] | None:
    """95 % percentile interval of the cosine between the difference in means of resampled texts and that of all.

    Args:
        positive: Activations [n, d].
        negative: Activations [m, d].
        resamples: How many; 0: none.
        seed: Of the draws.
        paired: Whether rows of both are drawn together; by default where there are equally many.

    Returns:
        Low and high, or None without resamples or where a side has one text, which says nothing about others.

    Example:
        >>> random = np.random.default_rng(0)
        >>> low, high = bootstrap_cosine(random.normal(size=(40, 9)) + 1, random.normal(size=(40, 9)))
        >>> bool(0.9 < low < high < 1)
        True
    """
    p, n = two_sides(positive, negative)
    if resamples < 1 or min(len(p), len(n)) < 2:
        return None
    together = len(p) == len(n) if paired is None else paired
    if together:
        p, n = _differences(p, n), np.zeros((1, p.shape[1]))
    whole = p.mean(0) - n.mean(0)
    random = np.random.default_rng(seed)
    step = max(1, CHUNK // max(len(p), len(n), p.shape[1]))
    cosines = []
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = _drawn_means(random, p, size) - (0 if together else _drawn_means(random, n, size))
        lengths = np.linalg.norm(drawn, axis=1) * np.linalg.norm(whole)
        cosines.append(np.divide(drawn @ whole, lengths, out=np.zeros(size), where=lengths > 0))
    low, high = np.percentile(np.concatenate(cosines).clip(-1, 1), [2.5, 97.5])
    return float(low), float(high)


def _drawn_means(random: np.random.Generator, rows: np.ndarray, size: int) -> np.ndarray:
    """Means [size, d] of as many rows as there are, drawn with repetition."""
    n = len(rows)
    drawn = random.integers(n, size=(size, n)) + n * np.arange(size)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
    return counts @ rows / n


def probe(positive: np.ndarray, negative: np.ndarray, regularisation: Number = 0.01) -> tuple[np.ndarray, float]:
    """Weights and bias of a logistic regression; a point x counts as positive where w . x + b > 0.

    Minimises 1/2 mean_P log(1 + exp(-(w . x + b))) + 1/2 mean_N log(1 + exp(w . x + b)) + regularisation / 2 |w|^2:
    both sides weigh the same however many texts they have, and the bias is free. With large regularisation w points
    along the difference in means; with small, along what separates the sides with the least noise.

    Args:
        positive: Activations [n, d].
        negative: Activations [m, d].
        regularisation: Above 0; its unit is that of the squared activations, as the loss is in nats.

    Returns:
        w, float64 [d], and b. Found by Newton's method within the span of the activations, to 10 digits.

    Raises:
        EditError: Not such arrays, a regularisation that is not above 0, or so small that no minimum is found.

    Example:
        >>> w, b = probe(np.array([[2.0, 5.0], [4.0, 5.0]]), np.array([[0.0, 5.0], [-2.0, 5.0]]))
        >>> bool(w[0] > 0), bool(abs(w[1]) < 1e-12), round(float(-b / w[0]), 9)
        (True, True, 1.0)
    """
    if not math.isfinite(regularisation) or regularisation <= 0:
        raise EditError("A probe needs regularisation.", got=regularisation, expected="a number above 0")
    p, n = two_sides(positive, negative)
    middle = (p.mean(0) + n.mean(0)) / 2
    rows = np.concatenate([p, n]) - middle
    basis, coordinates = np.linalg.qr(rows.T)
    inputs = np.column_stack([coordinates.T, np.ones(len(rows))])
    share = np.repeat([0.5 / len(p), 0.5 / len(n)], [len(p), len(n)])
    signed = inputs * np.repeat([1.0, -1.0], [len(p), len(n)])[:, None]
    found = _newton(signed, share, np.append(np.full(basis.shape[1], regularisation), 0.0))
    w = basis @ found[:-1]
    return w, float(found[-1] - w @ middle)


def _newton(signed: np.ndarray, share: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """The minimum over t of sum share log(1 + exp(-signed t)) + 1/2 sum ridge t^2."""

    def loss(t: np.ndarray) -> float:
        return float(share @ np.logaddexp(0, -signed @ t) + 0.5 * (ridge * t) @ t)

    t = np.zeros(signed.shape[1])
    for _ in range(NEWTON_STEPS):
        wrong = np.exp(-np.logaddexp(0, signed @ t))
        gradient = ridge * t - signed.T @ (share * wrong)
        curvature = (signed.T * (share * wrong * (1 - wrong))) @ signed + np.diag(ridge)
        step = np.linalg.solve(curvature, gradient)
        falls, size = float(gradient @ step), 1.0
        # Below 1e-12 the loss cannot show the fall any more, and the full step is right.
        while falls > 1e-12 and size > 1e-8 and loss(t - size * step) > loss(t) - 1e-4 * size * falls:
            size /= 2
        t = t - size * step
        if np.linalg.norm(step) <= 1e-10 * np.linalg.norm(t):
            return t
    raise EditError(
        "The probe has not converged.", got=f"{NEWTON_STEPS} steps of Newton's method", do="take more regularisation"
    )


def principal_component(positive: np.ndarray, negative: np.ndarray, centred: bool = False) -> np.ndarray:
    """The direction in which the pairs differ most, float64 [d], length 1, on the side of the difference in means.

    Args:
        positive: Activations [n, d].
        negative: Activations [n, d]; row i of both is a pair.
        centred: Take the mean difference off first, as common libraries do; warns.

    Raises:
        EditError: Not pairs, or no differences.

    Warns:
        UserWarning: ``centred``; the mean difference is what is looked for, and it is gone.

    Example:
        >>> principal_component(np.array([[3.0, 0.1], [2.0, -0.1]]), np.zeros((2, 2))).round(2) + 0
        array([1.  , 0.01])
    """
    p, n = two_sides(positive, negative)
    if len(p) != len(n):
        raise EditError(
            "A principal component is that of pairs.",
            got=f"{len(p)} positive and {len(n)} negative texts",
            expected="equally many, where text i of both sides makes a pair",
        )
    rows = _differences(p, n)
    mean = rows.mean(0)
    if centred:
        warnings.warn(
            "A centred principal component leaves out the mean difference between the pairs, which is what a steering "
            "vector is made of; it can point anywhere (cosine with a planted direction 0.12, uncentred 0.99).",
            stacklevel=2,
        )
        rows = rows - mean
    if np.abs(rows).max() <= TINY * max(np.abs(p).max(), np.abs(n).max()):
        raise EditError(
            "All pairs differ by the same, or by nothing.",
            got="no variance" if centred else "no difference",
            expected="pairs that differ where they are read",
        )
    first = np.linalg.svd(rows, full_matrices=False)[2][0]
    return first if first @ mean >= 0 else -first


def random_direction(d: int, norm: Number, seed: int = 0) -> np.ndarray:
    """A direction drawn uniformly, float64 [d], of the given length: the baseline of every other vector.

    Example:
        >>> v = random_direction(16, 3.0, seed=1)
        >>> round(float(np.linalg.norm(v)), 9), np.array_equal(v, random_direction(16, 3.0, seed=1))
        (3.0, True)
    """
    drawn = np.random.default_rng(seed).normal(size=d)
    return drawn * (norm / np.linalg.norm(drawn))


def _differences(positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    if len(positive) != len(negative):
        raise EditError(
            "Pairs need equally many texts on both sides.", got=f"{len(positive)} and {len(negative)}", expected="pairs"
        )
    return positive - negative
