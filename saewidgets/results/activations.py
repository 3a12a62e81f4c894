"""Which features of an SAE fire on which tokens of a prompt."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, overload

import numpy as np

from saewidgets.errors import FeatureIndexError, TokenError
from saewidgets.results.snapshot import Snapshot
from saewidgets.results.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd

SortKey = Literal["max", "mean", "count"]


class FeatureActivity(NamedTuple):
    """One feature over a prompt: its largest and mean activation, on how many tokens it fires, and where it is largest.

    The mean is over the tokens on which it fires.
    """

    feature: int
    max: float
    mean: float
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]
    position: int


class FeatureValue(NamedTuple):
    """One feature at one token."""

    feature: int
    activation: float


@dataclass(frozen=True, eq=False, repr=False)
class Activations(Snapshot):
    """The features that fire on each token of one prompt, sparse by row (CSR).

    The features of token p are ``indices[indptr[p]:indptr[p + 1]]``, ascending, with their ``values``. Special tokens
    (BOS, EOS, pad) are masked: their rows are empty unless ``mask_special=False`` was asked for.

    Args:
        prompt_tokens: The tokens, byte for byte.
        indptr: Row starts, int64 [pos + 1].
        indices: Features, int32 [nnz].
        values: Activations in the SAE's units, float32 [nnz], finite and not 0.
        masked: True where a position is left out, bool [pos].
        d_sae: Number of features of the SAE.
        sae: Name of the SAE in the lab.
        model: Name of the model in the lab.
        hook: Hook point that the SAE reads.
        n_nonfinite: How many NaN or infinite activations were set aside.
        reference_max: Largest activation of each feature on the SAE's reference sample, float32 [d_sae], where known;
            the unit of colour scales and of strengths.
        labels: What people called the features in it when it was made, by feature.

    Example:
        >>> import saewidgets as sw
        >>> sw.demo().activations("The capital of France is Paris.").top(3)  # doctest: +SKIP
    """

    prompt_tokens: Tokens
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    masked: np.ndarray
    d_sae: int
    sae: str
    model: str
    hook: str
    n_nonfinite: int = 0
    reference_max: np.ndarray | None = None
    labels: Mapping[int, str] = field(default_factory=dict)

    @property
    def tokens(self) -> tuple[str, ...]:
        """Each token as text; a part of a character as ``\\xNN``."""
        return self.prompt_tokens.strings

    @property
    def token_ids(self) -> np.ndarray:
        """Token ids, int64 [pos]."""
        return self.prompt_tokens.ids

    @property
    def special_mask(self) -> np.ndarray:
        """True at special tokens, bool [pos]."""
        return self.prompt_tokens.special

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    def __repr__(self) -> str:
        fires = len(self._activity["feature"])
        masked = int(self.masked.sum())
        return f"Activations(sae={self.sae!r}, {len(self)} tokens, {masked} masked, {fires} features fire)"

    @cached_property
    def _positions(self) -> np.ndarray:
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    @cached_property
    def _activity(self) -> dict[str, np.ndarray]:
        """Per firing feature, aligned: feature, max, mean, count, position."""
        order = np.lexsort((self._positions, -self.values, self.indices))
        feature, first, count = np.unique(self.indices[order], return_index=True, return_counts=True)
        sums = np.add.reduceat(self.values[order].astype(np.float64), first) if len(first) else np.zeros(0)
        return {
            "feature": feature,
            "max": self.values[order][first],
            "mean": sums / count,
            "count": count,
            "position": self._positions[order][first],
        }

    def top(self, k: int = 10, by: SortKey = "max") -> tuple[FeatureActivity, ...]:
        """The k features that fire most, largest first; ties by feature number.

        Args:
            k: How many.
            by: "max", "mean" (over the tokens where the feature fires) or "count".
        """
        activity = self._activity
        order = np.lexsort((activity["feature"], -activity[by]))[: max(k, 0)]
        columns = [activity[name][order].tolist() for name in FeatureActivity._fields]
        return tuple(FeatureActivity(*row) for row in zip(*columns, strict=True))

    def feature(self, index: int | np.integer) -> np.ndarray:
        """Activation of one feature at every token, float32 [pos]; 0 where it does not fire or is masked.

        Raises:
            FeatureIndexError: ``index`` is not a whole number from 0 to d_sae - 1.
        """
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < self.d_sae:
            raise FeatureIndexError(
                f"SAE '{self.sae}' has no such feature.",
                got=repr(index),
                expected=f"a whole number in 0..{self.d_sae - 1}",
            )
        dense = np.zeros(len(self), np.float32)
        hit = self.indices == index
        dense[self._positions[hit]] = self.values[hit]
        return dense

    def by_token(self, position: int | np.integer, k: int | None = None) -> tuple[FeatureValue, ...]:
        """The features of one token, largest first.

        Args:
            position: Token, from 0; BOS is a token.
            k: How many; all by default.

        Raises:
            TokenError: The prompt has no such position.
        """
        if isinstance(position, bool) or not isinstance(position, (int, np.integer)) or not 0 <= position < len(self):
            raise TokenError(
                "The prompt has no such position.", got=repr(position), expected=f"a whole number in 0..{len(self) - 1}"
            )
        row = slice(self.indptr[position], self.indptr[position + 1])
        order = np.lexsort((self.indices[row], -self.values[row]))[: None if k is None else max(k, 0)]
        pairs = zip(self.indices[row][order].tolist(), self.values[row][order].tolist(), strict=True)
        return tuple(FeatureValue(*pair) for pair in pairs)

    def to_frame(self) -> pd.DataFrame:
        """One row for each feature that fires on a token: position, token, feature, activation."""
        import pandas as pd

        tokens = np.array(self.tokens, dtype=object)[self._positions]
        return pd.DataFrame(
            {"position": self._positions, "token": tokens, "feature": self.indices, "activation": self.values}
        )


@dataclass(frozen=True, eq=False, repr=False)
class ActivationsBatch(Snapshot, Sequence[Activations]):
    """The activations of several prompts, in the order given; a sequence of :class:`Activations`."""

    prompts: tuple[Activations, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    def __repr__(self) -> str:
        return f"ActivationsBatch({len(self)} prompts, {sum(map(len, self.prompts))} tokens)"

    @overload
    def __getitem__(self, item: int) -> Activations: ...
    @overload
    def __getitem__(self, item: slice) -> ActivationsBatch: ...
    def __getitem__(self, item: int | slice) -> Activations | ActivationsBatch:
        return ActivationsBatch(self.prompts[item]) if isinstance(item, slice) else self.prompts[item]

    def __iter__(self) -> Iterator[Activations]:
        return iter(self.prompts)

    def to_frame(self) -> pd.DataFrame:
        """The frames of all prompts below each other, with the number of the prompt in front."""
        import pandas as pd

        frames = [prompt.to_frame() for prompt in self.prompts]
        if not frames:
            return pd.DataFrame(columns=["prompt", "position", "token", "feature", "activation"])
        return pd.concat(frames, keys=range(len(frames)), names=["prompt"]).reset_index(level=0).reset_index(drop=True)
