"""``saewidgets doctor --sae FOLDER --model FOLDER``: whether an SAE and a model will work here, and work together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from saewidgets.cli.finding import Finding, failed
from saewidgets.errors import LoadError, SaewidgetsError

# Plain text that any tokenizer reads; what is said of it is no measure of quality.
TEXT = (
    "The train to the coast left the station at nine in the morning. On the way we read about the old town, its market "
    "and the people who lived there in 1900. It was a fine day, and we were happy to see the sea again."
)
UNIT = 1e-2  # how far from 1 the length of a decoder row may be, half precision included
DEAD = 1e-6  # of the median length


def sae_findings(sae: str | None, model: str | None, hook: str | None) -> Iterator[Finding]:
    """What there is to say of an SAE's folder, a model's folder, and both together."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    held, language = None, None
    try:
        if sae is not None:
            from saewidgets.saes import load_sae

            held = load_sae(sae, hook)
            yield from _sae(held)
    except SaewidgetsError as error:
        yield failed("SAE", error)
    try:
        if model is not None:
            language = _load_model(model)
            yield from _model(language)
    except SaewidgetsError as error:
        yield failed("model", error)
    if held is not None and language is not None:
        yield from _together(held, language)


# ---- the SAE ---------------------------------------------------------------------------------------------------------


def _sae(sae: Any) -> Iterator[Finding]:
    size = f"d_in {sae.d_in}, {sae.d_sae:,} features"
    more = [f"k {sae.k}"] if hasattr(sae, "k") else []
    more += [f"normalises its input ({sae.normalization})"] if sae.normalization != "none" else []
    more += ["BOS not said" if sae.prepend_bos is None else f"trained {'with' if sae.prepend_bos else 'without'} BOS"]
    yield Finding("ok", "SAE", f"{sae.kind}, {size}, hook {sae.hook}, {', '.join(more)}")
    yield _dtype("SAE dtype", sae.dtype, sae.device)
    yield Finding("ok", "SAE weights", f"all finite, content hash {sae.content_hash[:12]}")
    yield from _decoder(sae)
    if sae.reference_max is None:
        words = "none: strengths of steering are in multiples of it; lab.build_index or lab.load_index brings it"
        yield Finding("note", "largest activation", words)


def _dtype(what: str, dtype: Any, device: Any) -> Finding:
    name = str(dtype).removeprefix("torch.")
    if name in {"float16", "bfloat16"} and device.type == "cpu":
        return Finding("note", what, f"{name}: computed as such, and on a CPU slower than float32")
    return Finding("ok", what, name)


def _decoder(sae: Any) -> Iterator[Finding]:
    """Lengths of the decoder rows: dead ones, and whether the others are 1."""
    norms = sae.directions.detach().float().norm(dim=1)
    columns = sae.W_enc.detach().float().norm(dim=0)
    median = float(norms.median())
    dead = norms <= DEAD * median
    live = norms[~dead]
    if not len(live):
        yield Finding("FAILS", "decoder", "every row is zero: no feature writes anything")
        return
    low, high = float(live.min()), float(live.max())
    if max(abs(low - 1), abs(high - 1)) <= UNIT:
        yield Finding("ok", "decoder norms", "1")
    else:
        words = "activations of two features are not in the same units; nothing is rescaled here"
        yield Finding("note", "decoder norms", f"{low:.3g} to {high:.3g}, median {float(live.median()):.3g}: {words}")
    for what, flags in (("dead decoder rows", dead), ("dead encoder columns", columns <= 0)):
        count = int(flags.sum())
        if count:
            first = ", ".join(map(str, flags.nonzero().flatten()[:5].tolist()))
            yield Finding("note", what, f"{count:,} of {sae.d_sae:,}, first {first}")
        else:
            yield Finding("ok", what, "none")


# ---- the model -------------------------------------------------------------------------------------------------------


def _load_model(folder: str) -> Any:
    from saewidgets.models import load_model

    path = Path(folder).expanduser()
    if not path.is_dir():
        expected = "a folder on this computer, with config.json and weights; nothing is fetched"
        raise LoadError("There is no such folder.", got=folder, expected=expected)
    return load_model(path)


def _model(model: Any) -> Iterator[Finding]:
    detail = f"{model.name}: d_model {model.d_model}, context {model.n_ctx}, {model.d_vocab:,} tokens"
    yield Finding("ok", "model", detail)
    yield _dtype("model dtype", model.dtype, model.device)
    bad = [name for name, each in model.model.named_parameters() if not bool(each.detach().isfinite().all())]
    if bad:
        yield Finding("FAILS", "model weights", f"NaN or infinite in {len(bad)} tensors, first {bad[0]}")
    else:
        yield Finding("ok", "model weights", "all finite")


# ---- both ------------------------------------------------------------------------------------------------------------


def _together(sae: Any, model: Any) -> Iterator[Finding]:
    from saewidgets.lab import Lab

    try:
        lab = Lab(model)
        lab.add_sae(sae, name="sae")
    except SaewidgetsError as error:
        yield failed("fits", error)
    else:
        yield Finding("ok", "fits", f"{sae.hook} is {sae.d_in} wide")
        yield _reads(sae, model)


def _reads(sae: Any, model: Any) -> Finding:
    """How many features fire on a plain text, and how much of the activation they miss."""
    import torch

    tokens = model.tokenize(TEXT, sae.prepend_bos)
    with torch.inference_mode():
        x = model.read(torch.tensor(tokens.ids)[None], [sae.hook])[sae.hook][0]
        x = x[~torch.as_tensor(tokens.special, device=x.device)]
        acts, state = sae.encode(x)
        x, x_hat = x.float(), sae.decode(acts, state).float().to(x.device)
        missed = float(((x - x_hat) ** 2).sum() / ((x - x.mean(0)) ** 2).sum())
    if not missed < float("inf"):
        return Finding("FAILS", "reads", "NaN or infinite activations on a plain text")
    l0 = float((acts > 0).sum(1).float().mean())
    words = f"{l0:.1f} features fire on a token of a plain text, {missed:.0%} of its variance is missed"
    if l0 == 0 or missed >= 1:
        do = "the mean alone misses 100%: is it the SAE of this model, this hook point and this normalisation?"
        return Finding("note", "reads", f"{words}; {do}")
    return Finding("ok", "reads", words)
