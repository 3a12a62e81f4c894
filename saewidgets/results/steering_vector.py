"""A direction of activation space to steer along."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from saewidgets.errors import EditError, MismatchError
from saewidgets.results.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd

Number = float | int  # what is a float may be given as 3


@dataclass(frozen=True, eq=False, repr=False)
class SteeringVector(Snapshot):
    """A direction at a hook point.

    Args:
        direction: The vector in the model's units, heads flattened, float64 [d]; it is copied.
        hook: Hook point.
        method: How it was made, such as "difference_in_means"; "given" for a tensor of the user's.
        n_positive: Texts on the side that it points to.
        n_negative: Texts on the other side.
        model: Name of the model in the lab.
        label: What to call it.
        cosine_interval: 95 % bootstrap interval of the cosine between the vector from resampled texts and this one;
            None where it was not computed. How much the texts agree; it lies above ``expected_cosine``.
        expected_cosine: Estimate of the cosine between this vector and the one from very many such texts, by
            1 / sqrt(1 + tr / (n |delta|^2)); None where it was not computed.

    Raises:
        EditError: Not one vector of finite numbers with a length above 0.

    Example:
        >>> vector = SteeringVector(np.array([3.0, 4.0]), "blocks.2.hook_resid_pre", "given")
        >>> vector.norm, vector.unit, vector.at_length(10).direction
        (5.0, array([0.6, 0.8]), array([6., 8.]))
    """

    direction: np.ndarray
    hook: str
    method: str
    n_positive: int = 0
    n_negative: int = 0
    model: str = ""
    label: str = ""
    cosine_interval: tuple[float, float] | None = None
    expected_cosine: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "direction", as_direction(self.direction))

    def __len__(self) -> int:
        return len(self.direction)

    @property
    def norm(self) -> float:
        """Its length, in the model's units."""
        return float(np.linalg.norm(self.direction))

    @property
    def unit(self) -> np.ndarray:
        """The vector at length 1."""
        return self.direction / self.norm

    @property
    def name(self) -> str:
        """What to call it."""
        return self.label or f"{self.method.replace('_', ' ')} vector"

    def at_length(self, length: Number) -> SteeringVector:
        """The same direction at another length, such as that of a vector to compare with.

        Raises:
            EditError: The length is not a finite number above 0.
        """
        if not 0 < length < float("inf"):
            raise EditError("A vector has a length above 0.", got=length, expected="a number above 0")
        return replace(self, direction=self.unit * length)

    def cosine(self, other: Any) -> float:
        """Cosine of the angle between two vectors, from -1 to 1; ``other`` may be an array or a tensor [d].

        Raises:
            EditError: ``other`` is no direction.
            MismatchError: The widths differ.
        """
        theirs = other.direction if isinstance(other, SteeringVector) else as_direction(other)
        if len(theirs) != len(self):
            raise MismatchError("The vectors are of different widths.", got=len(theirs), expected=len(self))
        return float(np.clip(self.unit @ theirs / np.linalg.norm(theirs), -1, 1))

    def __repr__(self) -> str:
        made = f", from {self.n_positive} and {self.n_negative} texts" if self.n_positive else ""
        sure = "" if self.expected_cosine is None else f", expected cosine {self.expected_cosine:.2f}"
        return f"SteeringVector({self.name!r}, hook={self.hook!r}, d={len(self)}, norm={self.norm:.4g}{made}{sure})"

    def to_frame(self) -> pd.DataFrame:
        """One row a dimension: dimension, value."""
        import pandas as pd

        return pd.DataFrame({"dimension": np.arange(len(self)), "value": self.direction})


def as_direction(given: Any) -> np.ndarray:
    """A copy of an array, list or tensor as float64 [d].

    Raises:
        EditError: Not one vector of finite numbers with a length above 0.

    Example:
        >>> as_direction([1, 2])
        array([1., 2.])
    """
    if hasattr(given, "detach"):  # a tensor of any device and format, without importing torch
        given = given.detach().cpu().double().numpy()
    wrong = "no numbers"
    try:
        array = np.array(given, np.float64)
    except (TypeError, ValueError):
        array = None
    if array is not None:
        wrong = f"shape {list(array.shape)}"
        if array.ndim == 1 and array.size:
            if np.isfinite(array).all():
                if 0 < np.vdot(array, array) < np.inf:
                    return array
                wrong = "a length of 0" if not array.any() else "a length that is out of range"
            else:
                wrong = "NaN or infinity"
    raise EditError("This is not a direction.", got=wrong, expected="one vector [d] of finite numbers, not all 0")
