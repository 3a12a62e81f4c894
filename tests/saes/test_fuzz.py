"""Damaged and forged SAE folders: they load as safetensors reads them, or are refused with an error of ours.

Some hundred folders on every change; ``SAEWIDGETS_FUZZ=100000`` tries as many, for a night.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from saewidgets.errors import LoadError, NonFiniteError
from saewidgets.saes import load_sae

MANY = settings(
    max_examples=int(os.environ.get("SAEWIDGETS_FUZZ", "150")), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip
FILES = ("cfg.json", "sae_weights.safetensors")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CUTS = st.tuples(st.floats(0, 1), st.integers(0, 12), st.binary(max_size=12))
"""Where, how many bytes go, and what stands there then."""


@pytest.fixture
def folder(make_sae_folder: Any) -> Path:
    return make_sae_folder("jumprelu")


def loads_as_safetensors_does(folder: Path) -> None:
    """The property: an error of ours, or tensors of the shapes that another reader sees."""
    try:
        sae = load_sae(folder)
    except (LoadError, NonFiniteError):
        return
    stored = load_file(folder / FILES[1])
    assert tuple(sae.W_dec.shape) == tuple(stored["W_dec"].shape)
    assert tuple(sae.W_enc.shape) == tuple(stored["W_enc"].shape)
    assert all(bool(torch.isfinite(t.float()).all()) for t in (sae.W_enc, sae.W_dec, sae.b_dec))
    for numbers in (sae.density, sae.reference_max):
        assert numbers is None or len(numbers) == sae.d_sae


def damaged(whole: bytes, cuts: list[tuple[float, int, bytes]]) -> bytes:
    for share, gone, instead in cuts:
        at = int(share * len(whole))
        whole = whole[:at] + instead + whole[at + gone :]
    return whole


@MANY
@given(name=st.sampled_from(FILES), cuts=st.lists(CUTS, min_size=1, max_size=3), cut=st.floats(0, 1))
def test_damaged_bytes(folder, name, cuts, cut):
    whole = (folder / name).read_bytes()
    try:
        broken = damaged(whole, cuts)
        (folder / name).write_bytes(broken if cut > 0.3 else broken[: int(cut * 3 * len(broken))])
        loads_as_safetensors_does(folder)
    finally:
        (folder / name).write_bytes(whole)


@MANY
@given(data=st.data())
def test_forged_fields_of_the_description(folder, data):
    whole = (folder / FILES[0]).read_text("utf-8")
    fields = json.loads(whole)
    for field in data.draw(st.lists(st.sampled_from(sorted(fields)) | st.text(max_size=8), max_size=3)):
        fields[field] = data.draw(JSON)
    try:
        (folder / FILES[0]).write_text(json.dumps(fields), "utf-8")
        loads_as_safetensors_does(folder)
    finally:
        (folder / FILES[0]).write_text(whole, "utf-8")


@MANY
@given(data=st.data())
def test_forged_headers_of_the_weights(folder, data):
    whole = (folder / FILES[1]).read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    header, rest = json.loads(whole[8 : 8 + size]), whole[8 + size :]
    names = sorted(header)
    for name in data.draw(st.lists(st.sampled_from(names) | st.text(max_size=8), min_size=1, max_size=2)):
        entry = header.get(name)
        field = data.draw(st.sampled_from(["dtype", "shape", "data_offsets", ""]))
        if isinstance(entry, dict) and field:
            numbers = st.lists(st.integers(-2, 2**40), max_size=3)
            entry[field] = data.draw(JSON | numbers | st.sampled_from(["F16", "F64", "I64", "U8", "BOOL"]))
        else:
            header[name] = data.draw(JSON)
    text = json.dumps(header).encode()
    length = data.draw(st.just(len(text)) | st.integers(0, 2**64 - 1))
    try:
        (folder / FILES[1]).write_bytes(struct.pack("<Q", length) + text + rest)
        loads_as_safetensors_does(folder)
    finally:
        (folder / FILES[1]).write_bytes(whole)
