"""An SAE from a dict of tensors or arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from saewidgets.errors import LoadError
from saewidgets.saes.build import build_sae
from saewidgets.saes.config import SAEConfig
from saewidgets.saes.core import SAE

_WHERE = "The dict of tensors"


def load_tensors(source: Mapping[str, Any], hook: str | None) -> SAE:
    """An SAE from its tensors: ``W_enc`` [d_in, d_sae], ``b_enc``, ``W_dec`` [d_sae, d_in], ``b_dec``.

    With ``threshold`` it is a JumpReLU, with ``b_gate``, ``b_mag`` and ``r_mag`` (and no ``b_enc``) a gated SAE, with
    a number ``k`` a TopK. As sae_lens does, ``b_dec`` is subtracted from the activation before encoding; for an SAE
    that was trained otherwise add ``apply_b_dec_to_input=False`` to the dict.

    Args:
        source: Torch tensors or numpy arrays by name.
        hook: Hook point that it reads.

    Raises:
        LoadError: No hook point is given, or the tensors are not those of one kind of SAE.
        NonFiniteError: A tensor holds NaN or infinity.

    Example:
        >>> load_tensors({"W_enc": W_enc, "b_enc": b_enc, "W_dec": W_dec, "b_dec": b_dec},
        ...              hook="blocks.8.hook_resid_pre")  # doctest: +SKIP
    """
    if not isinstance(hook, str) or not hook:
        raise LoadError(
            f"{_WHERE} does not say what it reads.",
            got=f"hook = {hook!r}",
            expected="the name of a hook point",
            do="pass hook='blocks.8.hook_resid_pre', or the one that it was trained on",
        )
    tensors = {str(name): _tensor(str(name), value) for name, value in source.items() if name not in ("k", _SUBTRACT)}
    subtract = source.get(_SUBTRACT, True)
    if not isinstance(subtract, bool):
        raise LoadError(f"{_WHERE}: '{_SUBTRACT}' is wrong.", got=repr(subtract)[:80], expected="True or False")
    kind = _kind(source)
    return build_sae(
        _WHERE,
        SAEConfig(
            kind=kind,
            hook=hook,
            apply_b_dec_to_input=subtract,
            reshape_heads=hook.endswith("hook_z"),
            k=_k(source, tensors) if kind == "topk" else None,
        ),
        tensors,
    )


_SUBTRACT = "apply_b_dec_to_input"


def _kind(source: Mapping[str, Any]) -> str:
    if "k" in source:
        return "topk"
    if "threshold" in source:
        return "jumprelu"
    return "gated" if any(name in source for name in ("b_gate", "b_mag", "r_mag")) else "standard"


def _k(source: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> int:
    k = source["k"]
    number = k.item() if isinstance(k, Tensor | np.ndarray | np.generic) and np.ndim(k) == 0 else k
    W_dec = tensors.get("W_dec")
    most = len(W_dec) if W_dec is not None and W_dec.ndim else 1
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= most:
        raise LoadError(f"{_WHERE}: 'k' is wrong.", got=repr(k)[:80], expected=f"a whole number in 1..{most}")
    return number


def _tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        plain = value.flags.writeable and value.dtype.isnative and all(step >= 0 for step in value.strides)
        value = torch.from_numpy(value if plain else value.astype(value.dtype.newbyteorder("="), order="C"))
    if not isinstance(value, Tensor) or value.is_meta or value.layout != torch.strided:
        kind = type(value).__name__
        got = f"{kind} on {value.device}, {value.layout}" if isinstance(value, Tensor) else kind
        raise LoadError(f"{_WHERE}: '{name}' is no tensor.", got=got, expected="a dense torch tensor or a numpy array")
    return value
