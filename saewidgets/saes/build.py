"""An SAE from a checked description and its tensors."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from saewidgets.errors import LoadError, NonFiniteError
from saewidgets.saes.config import DTYPES, SAEConfig
from saewidgets.saes.core import SAE
from saewidgets.saes.kinds import GatedSAE, JumpReLUSAE, StandardSAE, TopKSAE

_OWN_TENSORS = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "b_mag", "r_mag"),
}


def tensor_names(kind: str) -> tuple[str, ...]:
    """The tensors that an SAE of that kind has."""
    return ("W_enc", "W_dec", "b_dec", *_OWN_TENSORS[kind])


def check_names(where: str, kind: str, names: Sequence[str]) -> None:
    """Pass if exactly the tensors of that kind are there.

    Raises:
        LoadError: Some are missing, or there are others whose meaning is not known.
    """
    wanted = tensor_names(kind)
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if name not in wanted]
    if missing or unknown:
        parts = (("no ", missing), ("unknown ", unknown))
        raise LoadError(
            f"{where}: these are not the tensors of a {kind} SAE.",
            got="; ".join(label + ", ".join(f"'{name}'" for name in found) for label, found in parts if found),
            expected=", ".join(wanted),
        )


def check_shape(where: str, name: str, shape: Sequence[int], d_in: int, d_sae: int) -> None:
    """Pass if a tensor has the shape that the widths ask for.

    Raises:
        LoadError: It has another.
    """
    expected = {"W_enc": (d_in, d_sae), "W_dec": (d_sae, d_in), "b_dec": (d_in,)}.get(name, (d_sae,))
    if tuple(shape) != expected:
        raise LoadError(
            f"{where}: tensor '{name}' has the wrong shape.",
            got=str(list(shape)),
            expected=f"{list(expected)}, for d_in = {d_in} and d_sae = {d_sae}",
        )


def build_sae(where: str, config: SAEConfig, tensors: Mapping[str, Tensor]) -> SAE:
    """An SAE that shares these tensors, where their format allows.

    Raises:
        LoadError: Tensors are missing, unknown, of the wrong shape, or not floating point.
        NonFiniteError: A tensor holds NaN or infinity.
    """
    check_names(where, config.kind, list(tensors))
    config = _with_widths(where, config, tensors["W_dec"])
    d_in, d_sae = config.widths
    for name, tensor in tensors.items():
        check_shape(where, name, tensor.shape, d_in, d_sae)
        if tensor.dtype not in DTYPES.values():
            raise LoadError(
                f"{where}: tensor '{name}' is not floating point.",
                got=str(tensor.dtype).removeprefix("torch."),
                expected="one of " + ", ".join(DTYPES),
                do="undo the quantisation first",
            )
    dtype, device = config.dtype or tensors["W_enc"].dtype, tensors["W_enc"].device
    held = {name: tensor.detach().to(dtype=dtype, device=device) for name, tensor in tensors.items()}
    for name, tensor in held.items():
        if not bool(torch.isfinite(tensor).all()):
            raise NonFiniteError(
                f"{where}: tensor '{name}' of the SAE at '{config.hook}' is not finite.",
                got="NaN or infinity",
                expected=f"finite numbers in {str(dtype).removeprefix('torch.')}",
            )
    if config.normalization == "expected_average_only_in":
        _warn_unfolded(where)
    return _construct(config, held)


def _with_widths(where: str, config: SAEConfig, W_dec: Tensor) -> SAEConfig:
    if W_dec.ndim != 2 or 0 in W_dec.shape:
        raise LoadError(
            f"{where}: tensor 'W_dec' has the wrong shape.", got=str(list(W_dec.shape)), expected="[d_sae, d_in]"
        )
    return config if config.d_sae else replace(config, d_sae=W_dec.shape[0], d_in=W_dec.shape[1])


def _construct(config: SAEConfig, held: dict[str, Tensor]) -> SAE:
    shared = {
        "hook": config.hook,
        "apply_b_dec_to_input": config.apply_b_dec_to_input,
        "normalization": config.normalization,
        "reshape_heads": config.reshape_heads,
        "prepend_bos": config.prepend_bos,
        **held,
    }
    if config.kind == "topk":
        assert config.k is not None
        return TopKSAE(**shared, k=config.k, rescale_by_decoder_norm=config.rescale_by_decoder_norm)
    return {"standard": StandardSAE, "gated": GatedSAE, "jumprelu": JumpReLUSAE}[config.kind](**shared)


def _warn_unfolded(where: str) -> None:
    warnings.warn(
        f"{where}: this SAE was trained on activations times a factor that is not in its files "
        "(normalize_activations = 'expected_average_only_in'), so that its features may come out too weak or too "
        "strong. Call sae.fold_activation_norm_scaling_factor(factor) in sae_lens and add the SAE again.",
        stacklevel=2,
    )
