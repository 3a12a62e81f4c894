"""What a description of an SAE must say, read with one clear error for each thing that it may say wrongly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import torch

from saewidgets.errors import LoadError
from saewidgets.saes.normalization import NORMALIZATIONS, Normalization

KINDS = ("standard", "topk", "gated", "jumprelu")
DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16, "float64": torch.float64}

_TRANSCODER = "it predicts a layer's output from its input, so that its features do not rebuild what they read"
REFUSED = {
    "transcoder": _TRANSCODER,
    "skip_transcoder": _TRANSCODER,
    "jumprelu_transcoder": _TRANSCODER,
    "jumprelu_skip_transcoder": _TRANSCODER,
    "temporal": "its features depend on the tokens before, and decoding them gives only a part of the activation",
    "matching_pursuit": "its encoder is a search, not one matrix",
    "abstopk": "its features may be negative, which no view here shows",
    "batchtopk": "while it is trained its features depend on the whole batch",
    "matryoshka_batchtopk": "while it is trained its features depend on the whole batch",
}


@dataclass(frozen=True)
class SAEConfig:
    """A checked description. ``d_in`` and ``d_sae`` are None where the tensors decide."""

    kind: str
    hook: str
    d_in: int | None = None
    d_sae: int | None = None
    dtype: torch.dtype | None = None
    apply_b_dec_to_input: bool = True
    normalization: Normalization = "none"
    reshape_heads: bool = False
    prepend_bos: bool | None = None
    k: int | None = None
    rescale_by_decoder_norm: bool = False

    @property
    def widths(self) -> tuple[int, int]:
        """``d_in`` and ``d_sae``, which are known."""
        assert self.d_in is not None
        assert self.d_sae is not None
        return self.d_in, self.d_sae


class Fields:
    """The fields of a description, each read with its check.

    Args:
        where: File or object that they come from, for the errors.
        values: The fields.
    """

    def __init__(self, where: str, values: Mapping[str, Any]) -> None:
        self.where, self.values = where, values

    def wrong(self, name: str, expected: object, do: str | None = None) -> LoadError:
        """The error for a field that does not say what it must."""
        got = f"{name} = {self.values[name]!r}"[:200] if name in self.values else f"no field '{name}'"
        return LoadError(f"{self.where}: field '{name}' is wrong.", got=got, expected=expected, do=do)

    def choice(self, name: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of the allowed words."""
        value = self.values.get(name, default)
        if not isinstance(value, str) or value not in allowed:
            raise self.wrong(name, "one of " + ", ".join(allowed))
        return value

    def positive(self, name: str) -> int:
        """A whole number >= 1."""
        value = self.values.get(name)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise self.wrong(name, "a whole number >= 1")
        return value

    def flag(self, name: str, default: bool) -> bool:
        """True or False."""
        value = self.values.get(name, default)
        if not isinstance(value, bool):
            raise self.wrong(name, "true or false")
        return value


def read_config(where: str, raw: Mapping[str, Any], hook: str | None) -> SAEConfig:
    """A sae_lens description, as in its ``cfg.json``; that of releases before 6 as well.

    Args:
        where: File or object, for the errors.
        raw: The description.
        hook: Hook point that the user asked for; replaces the one described.

    Raises:
        LoadError: A field is missing or wrong, or the kind cannot be read here.
    """
    fields = Fields(where, _as_of_version_6(raw))
    kind = _kind(fields)
    metadata = fields.values.get("metadata")
    if not isinstance(metadata, Mapping):
        raise fields.wrong("metadata", "the fields that say where the SAE belongs, such as hook_name")
    _refuse_heads(Fields(where, metadata), fields)
    hook_name = hook or metadata.get("hook_name")
    if not isinstance(hook_name, str) or not hook_name:
        raise Fields(where, metadata).wrong("hook_name", "the name of a hook point", "pass hook=")
    dtype = fields.choice("dtype", _with_prefix(DTYPES), "float32").removeprefix("torch.")
    normalization = fields.values.get("normalize_activations", "none")
    if normalization == "covariance_whitening":
        raise fields.wrong(
            "normalize_activations", "one of " + ", ".join(NORMALIZATIONS), "fold the whitening in with sae_lens first"
        )
    d_sae = fields.positive("d_sae")
    k = fields.positive("k") if kind == "topk" else None
    if k is not None and k > d_sae:
        raise fields.wrong("k", f"a whole number in 1..{d_sae}")
    bos = metadata.get("prepend_bos")
    return SAEConfig(
        kind=kind,
        hook=hook_name,
        d_in=fields.positive("d_in"),
        d_sae=d_sae,
        dtype=DTYPES[dtype],
        apply_b_dec_to_input=fields.flag("apply_b_dec_to_input", True),
        normalization=cast("Normalization", fields.choice("normalize_activations", NORMALIZATIONS, "none")),
        reshape_heads=fields.choice("reshape_activations", ("none", "hook_z"), "none") == "hook_z",
        prepend_bos=bos if isinstance(bos, bool) else None,
        k=k,
        rescale_by_decoder_norm=kind == "topk" and fields.flag("rescale_acts_by_decoder_norm", False),
    )


def _kind(fields: Fields) -> str:
    architecture = fields.values.get("architecture")
    if isinstance(architecture, str) and architecture in REFUSED:
        advice = "attach an SAE of the same layer instead"
        if architecture.endswith("batchtopk"):
            advice = "save it with save_inference_model(folder), which makes it a jumprelu, and add the folder"
        raise LoadError(
            f"{fields.where}: an SAE of architecture '{architecture}' cannot be used here: {REFUSED[architecture]}.",
            got=f"architecture = {architecture!r}",
            expected="one of " + ", ".join(KINDS),
            do=advice,
        )
    return fields.choice("architecture", KINDS)


def _refuse_heads(metadata: Fields, fields: Fields) -> None:
    if metadata.values.get("hook_head_index") is not None:
        raise metadata.wrong("hook_head_index", "no head index: an SAE reads all heads of its hook point")
    if metadata.values.get("hook_name_out") not in (None, metadata.values.get("hook_name")):
        raise metadata.wrong("hook_name_out", "the hook point that is read: transcoders cannot be used here")
    if fields.values.get("finetuning_scaling_factor") not in (None, False):
        raise fields.wrong("finetuning_scaling_factor", "false", "fold the factor into the decoder with sae_lens")


def _with_prefix(names: Iterable[str]) -> tuple[str, ...]:
    return (*names, *(f"torch.{name}" for name in names))


def _as_of_version_6(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Before release 6 the fields of the metadata stood at the top, under older names."""
    if "metadata" in raw:
        return dict(raw)
    old = dict(raw)
    for before, now in (("hook_point", "hook_name"), ("hook_point_head_index", "hook_head_index")):
        if before in old:
            old.setdefault(now, old.pop(before))
    kwargs = old.get("activation_fn_kwargs")
    if "topk" in (old.get("activation_fn_str"), old.get("activation_fn")) and isinstance(kwargs, Mapping):
        old.update(architecture="topk", k=kwargs.get("k"))
    old.setdefault("architecture", "standard")
    normalized = old.get("normalize_activations")
    if normalized is None or isinstance(normalized, bool):
        old["normalize_activations"] = "expected_average_only_in" if normalized else "none"
    old.setdefault("reshape_activations", "hook_z" if "hook_z" in str(old.get("hook_name")) else "none")
    old["metadata"] = {name: old.get(name) for name in ("hook_name", "hook_head_index", "prepend_bos")}
    return old
