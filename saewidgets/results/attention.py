"""Which tokens each head of a layer looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saewidgets.errors import HookPointError, MismatchError, TokenError
from saewidgets.results.numbers import whole_number
from saewidgets.results.snapshot import Snapshot
from saewidgets.results.tokens import Tokens

if TYPE_CHECKING:
    import pandas as pd


class HeadSummary(NamedTuple):
    """One head over a prompt; each number is a mean over the queries that are not special tokens, NaN where none are.

    Args:
        head: Its number.
        entropy: Of the weights of a query, -sum p ln p, nats; 0 where all weight is on one token.
        bos: Weight on special tokens, such as BOS, where heads rest that find nothing.
        previous: Weight on the token before, the previous-token score; queries at position 0 have none and are left
            out.
        own: Weight on the query's own token.
        duplicate: Weight on earlier tokens with the query's own id, the duplicate-token score; over the queries that
            have such.
        induction: Weight on the tokens right after those, before the query itself, the induction score; over the
            queries that have such.
    """

    head: int
    entropy: float
    bos: float
    previous: float
    own: float
    duplicate: float
    induction: float


class AttendedToken(NamedTuple):
    """A token that a query looks at."""

    position: int
    weight: float


@dataclass(frozen=True, eq=False, repr=False)
class Attention(Snapshot):
    """The attention patterns of one layer on one prompt.

    ``pattern[h, q, k]`` is the weight that head h gives to token k when it reads for token q (the softmax over keys).
    Each row sums to 1; above the diagonal all is 0. Special tokens are held like all others, and flagged.

    Args:
        prompt_tokens: The tokens, byte for byte.
        pattern: Weights, float32 [head, query, key].
        layer: Number of the layer, from 0.
        n_layers: How many layers the model has.
        model: Name of the model in the lab.
        hook: Hook point that was read.

    Example:
        >>> import saewidgets as sw
        >>> sw.demo().attention("The capital of France is", 1).heads()  # doctest: +SKIP
    """

    prompt_tokens: Tokens
    pattern: np.ndarray
    layer: int
    n_layers: int
    model: str
    hook: str

    @property
    def tokens(self) -> tuple[str, ...]:
        """Each token as text; a part of a character as ``\\xNN``."""
        return self.prompt_tokens.strings

    @property
    def special_mask(self) -> np.ndarray:
        """True at special tokens, bool [pos]."""
        return self.prompt_tokens.special

    @property
    def n_heads(self) -> int:
        """How many heads the layer has."""
        return len(self.pattern)

    def __len__(self) -> int:
        return len(self.prompt_tokens)

    def __repr__(self) -> str:
        special = int(self.special_mask.sum())
        return f"Attention(layer={self.layer}, {self.n_heads} heads, {len(self)} tokens, {special} special)"

    @cached_property
    def entropy(self) -> np.ndarray:
        """Of the weights of each head's query, -sum p ln p, nats, float64 [head, query]."""
        logs = (np.log(weights, out=np.zeros_like(weights), where=weights > 0) for weights in self.pattern)
        each = zip(self.pattern, logs, strict=True)
        return np.stack([0.0 - (weights * log).sum(axis=-1, dtype=np.float64) for weights, log in each])

    def heads(self) -> tuple[HeadSummary, ...]:
        """What tells the heads apart, one summary a head."""
        return self._heads

    @cached_property
    def _heads(self) -> tuple[HeadSummary, ...]:
        plain = ~self.special_mask
        places = np.arange(len(self))
        earlier = np.tril(self.prompt_tokens.ids[:, None] == self.prompt_tokens.ids, k=-1)
        after = np.zeros_like(earlier)
        after[:, 1:] = earlier[:, :-1]
        after &= places[:, None] > places
        before = places[:, None] - 1 == places
        columns = {
            "entropy": _mean(self.entropy, plain),
            "bos": _mean(self.pattern[:, :, ~plain].sum(axis=-1, dtype=np.float64), plain),
            "previous": self._share(before, plain),
            "own": self._share(np.eye(len(self), dtype=bool), plain),
            "duplicate": self._share(earlier, plain),
            "induction": self._share(after, plain),
        }
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        return tuple(HeadSummary(head, *row) for head, row in enumerate(rows))

    def _share(self, keys: np.ndarray, queries: np.ndarray) -> np.ndarray:
        """Weight on keys [query, key], mean over those of the queries that have such keys, float64 [head]."""
        weight = [(weights * keys).sum(axis=-1, dtype=np.float64) for weights in self.pattern]
        return _mean(np.stack(weight), queries & keys.any(axis=1))

    def of(self, head: Any = None) -> np.ndarray:
        """The pattern of one head, float32 [query, key].

        Args:
            head: Its number; None: of each pair the largest weight over the heads, whose rows do not sum to 1.

        Raises:
            MismatchError: The layer has no such head.
        """
        if head is None:
            return self.pattern.max(axis=0)
        number = whole_number(head)
        if number is None or not 0 <= number < self.n_heads:
            raise MismatchError(
                f"Layer {self.layer} has no such head.",
                got=repr(head)[:80],
                expected=f"a whole number in 0..{self.n_heads - 1}, or None for the largest over all heads",
            )
        return self.pattern[number]

    def by_token(self, position: Any, head: Any = None, k: int | None = None) -> tuple[AttendedToken, ...]:
        """The tokens that one token looks at, most weight first; those of no weight are left out.

        Args:
            position: The query, from 0; BOS is a token.
            head: Number of the head; None: the largest weight over the heads.
            k: How many; all by default.

        Raises:
            TokenError: The prompt has no such position.
            MismatchError: The layer has no such head.
        """
        query = whole_number(position)
        if query is None or not 0 <= query < len(self):
            expected = f"a whole number in 0..{len(self) - 1}"
            raise TokenError("The prompt has no such position.", got=repr(position)[:80], expected=expected)
        row = self.of(head)[query]
        order = [key for key in np.argsort(-row, kind="stable").tolist() if row[key] > 0]
        return tuple(AttendedToken(key, float(row[key])) for key in order[: None if k is None else max(k, 0)])

    def to_frame(self) -> pd.DataFrame:
        """One row for each head and pair of the lower triangle: head, query, key, their tokens, weight."""
        import pandas as pd

        query, key = np.tril_indices(len(self))
        names, codes = np.unique(np.array(self.tokens, dtype=object), return_inverse=True)
        every = [np.tile(codes[places], self.n_heads) for places in (query, key)]
        return pd.DataFrame(
            {
                "head": np.repeat(np.arange(self.n_heads), len(query)),
                "query": np.tile(query, self.n_heads),
                "key": np.tile(key, self.n_heads),
                "query_token": pd.Categorical.from_codes(every[0], names),
                "key_token": pd.Categorical.from_codes(every[1], names),
                "weight": self.pattern[:, query, key].ravel(),
            }
        )

    def heads_frame(self) -> pd.DataFrame:
        """One row a head: head, entropy, bos, previous, own, duplicate, induction."""
        import pandas as pd

        return pd.DataFrame(list(self.heads()), columns=list(HeadSummary._fields))


def known_layer(layer: Any, n_layers: int) -> int:
    """A layer's number, counted from 0.

    Args:
        layer: Its number, from 0 or, below 0, from the last.
        n_layers: How many there are.

    Raises:
        HookPointError: There is no such layer.

    Example:
        >>> known_layer(3, 4), known_layer(-1, 4)
        (3, 3)
    """
    number = whole_number(layer)
    if number is None or not -n_layers <= number < n_layers:
        raise HookPointError(
            "The model has no such layer.",
            got=repr(layer)[:80],
            expected=f"a whole number in 0..{n_layers - 1}, or -1..-{n_layers} from the last"
            if n_layers
            else "a model of TransformerLens with blocks",
        )
    return number % n_layers


def _mean(values: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Mean over some of the queries [head, query]; NaN where there are none."""
    return values[:, queries].mean(axis=1) if queries.any() else np.full(len(values), np.nan)
