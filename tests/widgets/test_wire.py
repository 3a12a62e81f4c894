import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.widgets.wire import EXACT, halved, labels_of, pack
from tests.widgets.fake_lab import activations_of, random_activations


def unpack(data: bytes):
    """Read a buffer as wire.py describes it; written apart from the code under test."""
    magic, version, length, n = struct.unpack_from("<4I", data)
    assert (magic, version) == (int.from_bytes(b"SAEW", "little"), 1)
    head = json.loads(data[16 : 16 + length].decode())
    at = 16 + length

    def take(kind, count):
        nonlocal at
        array = np.frombuffer(data, kind, count, at)
        at += array.nbytes
        return array

    number = "<f2" if head["half"] else "<f4"
    indptr = take("<u4", len(head["tokens"]) + 1)
    values = take(number, n).astype(np.float64) * head["scale"]
    reference = take(number, head["features"]).astype(np.float64) * head["scale"]
    density = take(number, head["features"])
    indices = take("<u2" if head["d_sae"] <= 65_536 else "<u4", n)
    assert at == len(data)
    return head, indptr, indices, values, reference, density


rows = st.lists(
    st.dictionaries(st.integers(0, 99), st.floats(2.0**-100, 2.0**100, width=32), max_size=6), min_size=1, max_size=8
)


@settings(max_examples=50)
@given(rows)
def test_small_results_arrive_exactly(rows):
    result = activations_of(rows, [b" x"] * len(rows), 100)
    _, indptr, indices, values, *_ = unpack(pack(result))
    assert indptr.tolist() == result.indptr.tolist()
    assert indices.tolist() == result.indices.tolist()
    assert values.astype(np.float32).tolist() == result.values.tolist()


def test_large_results_arrive_to_half_precision():
    result = random_activations(n=500, l0=64)
    assert result.reference_max is not None
    head, _, indices, values, reference, _ = unpack(pack(result))
    assert len(result.values) > EXACT
    assert head["half"]
    assert indices.tolist() == result.indices.tolist()
    np.testing.assert_allclose(values, result.values, rtol=5e-4)
    np.testing.assert_allclose(reference, result.reference_max[np.unique(result.indices)], rtol=5e-4)


@pytest.mark.parametrize("reference", [None, 8.0])
def test_a_file_gets_half_precision_and_nothing_else_changes(reference):
    rows = [{3: 1.2345678, 70: 1e-9}, {}, {3: 4000.0, 511: 2.5}]
    known = None if reference is None else np.full(512, reference, np.float32)
    result = activations_of(rows, [b"a", b" b", "é".encode()], reference_max=known)
    density = np.linspace(0, 1, 512, dtype=np.float32)
    whole = pack(result, prompt="a b é", density=density, label=lambda f: f"<{f}>")
    half = halved(whole)
    assert {**unpack(half)[0], "half": False, "scale": 1.0} == unpack(whole)[0]
    for one, other in zip(unpack(half)[1:], unpack(whole)[1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=5e-4, atol=1e-4)
    assert (unpack(half)[3] > 0).all()
    assert halved(half) == half
    large = pack(random_activations())
    assert halved(large) == large


def test_no_firing_feature_is_lost_to_rounding():
    tiny = [dict.fromkeys(range(60), 1e-30) | {60: 1e30} for _ in range(300)]
    _, _, _, values, *_ = unpack(pack(activations_of(tiny, [b" x"] * 300)))
    assert (values > 0).all()


def test_wide_saes_use_wide_indices():
    result = activations_of([{1_000_000: 2.0}], [b" x"], 2_000_000)
    assert unpack(pack(result))[2].tolist() == [1_000_000]


def test_what_is_unknown_has_a_number_and_never_nan():
    reference = np.array([np.nan, 3.0, np.inf, 4.0], np.float32)
    result = activations_of([{0: 1.0, 1: 1.0, 2: 1.0, 3: 1.0}], [b" x"], 4, reference_max=reference)
    *_, reference, density = unpack(pack(result, density=np.array([np.nan, 0.0, 0.5, 1.0])))
    assert reference.tolist() == [0.0, 3.0, 0.0, 4.0]
    assert density.tolist() == [-1.0, 0.0, 0.5, 1.0]
    assert unpack(pack(activations_of([{0: 1.0}], [b" x"])))[5].tolist() == [-1.0]


def test_the_header_tells_what_is_drawn():
    result = activations_of([{3: 1.0}, {}, {}], [b" a", b"\xf0\x9f", b"\x98\x80"])
    head = unpack(pack(result, prompt="typed", label=labels_of({3: "a <b>label</b>"})))[0]
    assert head["tokens"] == ["<|bos|>", " a", "\\xf0\\x9f", "\\x98\\x80"]
    assert head["groups"] == [[2, 4, "😀"]]
    assert (head["special"], head["masked"], head["prompt"]) == ([0], [0], "typed")
    assert head["labels"] == {"3": "a <b>label</b>"}


@pytest.mark.parametrize("source", [{3: "x"}, {"3": "x"}, ["", "", "", "x"]])
def test_labels_are_read_from_mappings_and_sequences(source):
    label = labels_of(source)
    assert (label(3), label(2), labels_of(None)(3)) == ("x", None, None)


def test_a_lone_surrogate_in_a_label_does_not_stop_the_picture():
    result = activations_of([{3: 1.0}], [b" a"])
    assert unpack(pack(result, label=lambda f: "\ud800"))[0]["labels"] == {"3": "?"}


@pytest.mark.parametrize("zipf", [True, False])
def test_500_tokens_at_l0_64_stay_below_280_kb(zipf):
    result = random_activations(zipf=zipf)
    assert len(pack(result, density=np.full(result.d_sae, 0.01))) <= 280_000
