"""Which features fire on which tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from saewidgets.models import LanguageModel
from saewidgets.models.batches import batches_of, padded
from saewidgets.results import Activations, Tokens
from saewidgets.saes import SAE
from saewidgets.saes.sparse import SparseRows, sparse_rows


def activations(
    model: LanguageModel, sae: SAE, prompts: Sequence[Tokens], *, sae_name: str = "sae", mask_special: bool = True
) -> tuple[Activations, ...]:
    """The features of each token of each prompt, sparse.

    Prompts are run in batches padded on the right; a pad is never encoded, so that a batch gives what each prompt
    gives alone. Memory is bounded whatever the number and length of the prompts.

    Args:
        model: The model.
        sae: An SAE that reads one of its hook points.
        prompts: Tokens of each prompt.
        sae_name: What to call the SAE in the results.
        mask_special: Whether BOS, EOS and pad are left out.

    Returns:
        One result a prompt, in the order given.

    Raises:
        HookPointError: The hook point does not exist or does not fire.
        NonFiniteError: An activation of the model is NaN or infinite.
    """
    results: dict[int, Activations] = {}
    for batch in batches_of(prompts):
        tokens = [prompts[n] for n in batch]
        masked = [t.special if mask_special else np.zeros(len(t), bool) for t in tokens]
        rows = _sparse_rows(model, sae, tokens, masked)
        for n, token, mask, part in zip(batch, tokens, masked, _split(rows, masked), strict=True):
            results[n] = Activations(
                prompt_tokens=token,
                indptr=part.indptr,
                indices=part.indices,
                values=part.values,
                masked=mask,
                d_sae=sae.d_sae,
                sae=sae_name,
                model=model.name,
                hook=sae.hook,
                n_nonfinite=part.n_nonfinite,
                reference_max=sae.reference_max,
            )
    return tuple(results[n] for n in range(len(prompts)))


class _Csr(NamedTuple):
    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    n_nonfinite: int


def _sparse_rows(model: LanguageModel, sae: SAE, tokens: Sequence[Tokens], masked: Sequence[np.ndarray]) -> SparseRows:
    """The rows of all tokens of a batch that are not masked, one prompt after the other."""
    ids, wanted = padded(tokens, [~mask for mask in masked])
    x = _wanted_rows(model.read(ids, [sae.hook])[sae.hook], wanted)
    model.check_finite(x, sae.hook)
    return sparse_rows(sae, x)


def _wanted_rows(
    x: Float[Tensor, "batch pos *width"], wanted: Bool[Tensor, "batch pos"]
) -> Float[Tensor, "rows *width"]:
    return x[wanted.to(x.device)]


def _split(rows: SparseRows, masked: Sequence[np.ndarray]) -> Iterator[_Csr]:
    """The rows of each prompt, with an empty row at each masked token."""
    first_row = first_value = 0
    for mask in masked:
        n_rows = int((~mask).sum())
        counts = np.zeros(len(mask), np.int64)
        counts[~mask] = rows.counts[first_row : first_row + n_rows]
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        values = slice(first_value, first_value + int(indptr[-1]))
        nonfinite = int(rows.nonfinite[first_row : first_row + n_rows].sum())
        yield _Csr(indptr, rows.indices[values], rows.values[values], nonfinite)
        first_row, first_value = first_row + n_rows, values.stop
