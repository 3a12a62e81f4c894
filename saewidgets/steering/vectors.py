"""Steering vectors: directions made from texts, or taken from an SAE, and the features that are nearest to one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from saewidgets.errors import EditError, FeatureIndexError, MismatchError
from saewidgets.models import LanguageModel
from saewidgets.results import SteeringVector
from saewidgets.results.steering_vector import Number, as_direction
from saewidgets.saes import SAE
from saewidgets.steering.directions import (
    bootstrap_cosine,
    difference_in_means,
    estimated_cosine,
    principal_component,
    probe,
    random_direction,
    two_sides,
)
from saewidgets.steering.reading import Position, read_texts

VectorMethod = Literal["difference_in_means", "mean_centred", "probe", "pca", "random", "sae_feature"]
FEW = 32  # pairs under which a vector comes with a warning
_CHUNK_NUMBERS = 2**22  # of decoder rows in float64 at a time: 32 MiB


class NearFeature(NamedTuple):
    """A feature, and the cosine of its direction with a vector, from -1 to 1."""

    feature: int
    cosine: float


def steering_vector(
    model: LanguageModel,
    positive: Sequence[Any] = (),
    negative: Sequence[Any] = (),
    hook: str | None = None,
    *,
    method: VectorMethod = "difference_in_means",
    position: Position = -1,
    mask_special: bool = True,
    regularisation: Number = 0.01,
    centred: bool = False,
    length: Number | None = None,
    seed: int = 0,
    n_bootstrap: int = 1000,
    sae: SAE | None = None,
    feature: int | None = None,
    label: str = "",
) -> SteeringVector:
    """A direction to steer along, in the model's units.

    ========================  =====================================================================================
    "difference_in_means"     mean of the positive activations - mean of the negative ones
    "mean_centred"            the same, where ``negative`` are texts of every sort; the two sides are not pairs
    "probe"                   weights of a logistic regression, at the length of the difference in means
    "pca"                     first uncentred principal component of the pairs' differences, at that length
    "random"                  a random direction of that length, or of ``length`` without texts: the baseline
    "sae_feature"             direction of an SAE's feature times its reference maximum; needs no texts
    ========================  =====================================================================================

    Args:
        model: The model.
        positive: Texts, or lists of token ids, that the vector is to point to.
        negative: Texts of the other side. "pca" needs text i of both to be a pair; where there are equally many, the
            bootstrap draws pairs.
        hook: Hook point at which to read; heads are flattened. By default that of ``sae``.
        method: How it is made, see above.
        position: Token of each text, from 0 or, below 0, from the end; "mean": the mean over its tokens.
        mask_special: Whether BOS, EOS and pad are left out of the mean, and refused as the one token.
        regularisation: Of the probe, lambda / 2 |w|^2 beside a mean loss in nats; large: the difference in means.
        centred: Whether the principal component takes the mean difference off first; warns.
        length: Length to bring it to; by default as said above.
        seed: Of the bootstrap, and of the random direction.
        n_bootstrap: Resamples for the interval of a difference in means; 0: none.
        sae: For "sae_feature" the SAE.
        feature: For "sae_feature" the feature's index.
        label: What to call it.

    Raises:
        EditError: No texts, one without the position that is read, texts that do not differ, or options that do not go
            together.
        HookPointError: There is no such hook point.
        PromptError: A text that the model cannot read; says which.

    Warns:
        UserWarning: Fewer than 32 texts on a side, texts longer than the context, or ``centred``.

    Example:
        >>> vector = steering_vector(model, happy, sad, "blocks.6.hook_resid_post")  # doctest: +SKIP
        >>> vector.cosine_interval, vector.expected_cosine  # doctest: +SKIP
        ((0.91, 0.96), 0.89)
    """
    if method not in get_args(VectorMethod):
        raise EditError("There is no such method.", got=repr(method)[:80], expected=", ".join(get_args(VectorMethod)))
    if method == "sae_feature":
        return _of_feature(model, sae, feature, hook, length, label)
    if hook is None:
        raise EditError("A vector is read at a hook point.", got="no hook", expected="hook='blocks.2.hook_resid_post'")
    if method == "random" and length is not None and not len(positive) and not len(negative):
        drawn = random_direction(math.prod(model.hook_shape(hook)), _checked_length(length), seed)
        return SteeringVector(drawn, hook, method, model=model.name, label=label)
    p, n = (
        read_texts(model, texts, hook, position=position, mask_special=mask_special, side=side)
        for side, texts in (("positive", positive), ("negative", negative))
    )
    vector = vector_from_activations(
        p, n, hook, method=method, regularisation=regularisation, centred=centred, length=length, seed=seed,
        n_bootstrap=n_bootstrap, model=model.name, label=label,
    )  # fmt: skip
    if method != "random":
        _warn_few(vector)
    return vector


def vector_from_activations(
    positive: np.ndarray,
    negative: np.ndarray,
    hook: str,
    *,
    method: VectorMethod = "difference_in_means",
    regularisation: Number = 0.01,
    centred: bool = False,
    length: Number | None = None,
    seed: int = 0,
    n_bootstrap: int = 1000,
    model: str = "",
    label: str = "",
) -> SteeringVector:
    """:func:`steering_vector` from activations that are there already, such as parts of a larger set; warns of nothing.

    Args:
        positive: Activations [n, d], heads flattened.
        negative: Activations [m, d].
        hook: Hook point that they are of.
        method: As all that follow an argument of :func:`steering_vector`.
        regularisation: Of the probe.
        centred: Of the principal component.
        length: Length to bring the vector to.
        seed: Of the bootstrap, and of the random direction.
        n_bootstrap: Resamples; 0: none.
        model: Name of the model.
        label: What to call the vector.

    Raises:
        EditError: Not such arrays, or sides that do not differ.

    Example:
        >>> p, n = np.array([[2.0, 1.0], [4.0, 1.0]]), np.array([[0.0, 1.0]])
        >>> vector_from_activations(p, n, "blocks.2.hook_resid_pre").direction
        array([3., 0.])
    """
    p, n = two_sides(positive, negative)
    difference = difference_in_means(p, n)
    interval, expected = None, None
    match method:
        case "difference_in_means" | "mean_centred":
            direction = difference
            paired = method == "difference_in_means" and len(p) == len(n)
            interval = bootstrap_cosine(p, n, n_bootstrap, seed, paired)
            expected = estimated_cosine(p, n, paired)
        case "probe":
            direction = probe(p, n, regularisation)[0]
        case "pca":
            direction = principal_component(p, n, centred)
        case "random":
            direction = random_direction(p.shape[1], 1.0, seed)
        case _:
            raise EditError("No such vector is made from activations.", got=repr(method)[:80], expected="'probe'")
    own = float(np.linalg.norm(difference)) if length is None else _checked_length(length)
    if direction is not difference or length is not None:
        direction = direction * (own / np.linalg.norm(direction))
    return SteeringVector(
        direction, hook, method, len(p), len(n), model, label, cosine_interval=interval, expected_cosine=expected
    )


def _checked_length(length: Number) -> float:
    if isinstance(length, bool) or not math.isfinite(length) or length <= 0:
        raise EditError("A vector has a length above 0.", got=length, expected="a number above 0")
    return float(length)


def _warn_few(vector: SteeringVector) -> None:
    fewest = min(vector.n_positive, vector.n_negative)
    if fewest >= FEW:
        return
    known = vector.expected_cosine
    here = "" if known is None else f"; estimated from these texts: {known:.2f}"
    warnings.warn(
        f"A vector from {vector.n_positive} positive and {vector.n_negative} negative texts; {FEW} pairs or more are "
        "usual. From n pairs the expected cosine with the vector of very many is "
        f"1 / sqrt(1 + tr / (n |delta|^2)){here}. The rest is what these texts happen to have in common.",
        stacklevel=4,
    )


def _of_feature(
    model: LanguageModel, sae: SAE | None, feature: int | None, hook: str | None, length: Number | None, label: str
) -> SteeringVector:
    """The direction of a feature, at its reference maximum or at a length."""
    if sae is None or feature is None:
        raise EditError("Which feature?", got="no sae or no feature", expected="sae=... and feature=...")
    if isinstance(feature, bool) or not hasattr(feature, "__index__") or not 0 <= int(feature) < sae.d_sae:
        raise FeatureIndexError("The SAE has no such feature.", got=repr(feature)[:80], expected=f"0..{sae.d_sae - 1}")
    if hook is not None and model.resolve(hook) is not model.resolve(sae.hook):
        raise MismatchError("The SAE reads another hook point.", got=hook, expected=sae.hook)
    row = sae.directions_of(torch.tensor([int(feature)], device=sae.device))[0].detach().cpu().double().numpy()
    norm = float(np.linalg.norm(row))
    if length is not None:
        size = _checked_length(length) / norm if norm else 0.0
    else:
        size = _reference_maximum(sae, int(feature))
    return SteeringVector(row * size, sae.hook, "sae_feature", model=model.name, label=label or f"feature {feature}")


def _reference_maximum(sae: SAE, feature: int) -> float:
    maximum = 0.0 if sae.reference_max is None else float(sae.reference_max[feature])
    if sae.normalization in {"constant_norm_rescale", "layer_norm"}:
        why = f"activations are in units of each token's own scale ({sae.normalization})"
    elif maximum <= 0:
        why = f"feature {feature} has no known maximum above 0"
    else:
        return maximum
    raise EditError(
        "The feature's direction has no length in the model's units.", got=why, expected="length=...",
        do="give the length, such as that of a difference in means",
    )  # fmt: skip


def nearest_features(vector: SteeringVector | np.ndarray | Tensor, sae: SAE, k: int = 10) -> list[NearFeature]:
    """The features whose directions are most along a vector, or against it.

    Args:
        vector: A vector, or a bare array [d].
        sae: An SAE of any kind whose activations are as wide.
        k: How many.

    Returns:
        Features by the size of their cosine, largest first; ties: smaller index first. A direction of length 0 has 0.

    Raises:
        EditError: ``vector`` is no direction, or k is below 1.
        MismatchError: The widths differ.

    Example:
        >>> nearest_features(vector, sae, k=2)  # doctest: +SKIP
        [NearFeature(feature=12, cosine=0.81), NearFeature(feature=3, cosine=-0.44)]
    """
    if not isinstance(vector, SteeringVector):
        vector = SteeringVector(as_direction(vector), sae.hook, "given")
    if isinstance(k, bool) or k < 1:
        raise EditError("How many features?", got=k, expected="1 or more")
    if len(vector) != sae.d_in:
        raise MismatchError("The vector does not fit the SAE.", got=f"{len(vector)} numbers", expected=f"{sae.d_in}")
    step = max(1, _CHUNK_NUMBERS // sae.d_in)
    parts = []
    for chunk in torch.arange(sae.d_sae, device=sae.device).split(step):
        rows = sae.directions_of(chunk).detach().cpu().double().numpy()
        norms = np.linalg.norm(rows, axis=1)
        parts.append(np.divide(rows @ vector.unit, norms, out=np.zeros(len(rows)), where=norms > 0))
    cosines = np.concatenate(parts)
    first = np.argsort(-np.abs(cosines), kind="stable")[:k]
    return [NearFeature(int(n), float(cosines[n])) for n in first]
