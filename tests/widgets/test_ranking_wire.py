import json
import math
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.results import Node, Prediction, Ranking
from saewidgets.widgets.ranking_wire import labels_on, pack_ranking
from tests.widgets.fake_lab import tokens_of

NAN = float("nan")
CASES = json.loads((Path(__file__).resolve().parents[2] / "js" / "test" / "ranking_cases.json").read_text())


def ranking_of(columns, **more) -> Ranking:
    """A ranking from columns of numbers; None for an unknown ablation."""
    n = len(columns["activation"])
    tokens = tokens_of([b" a", b"\xf0\x9f", b"\x98\x80"])
    options = {
        "prompt_tokens": tokens,
        "masked": tokens.special.copy(),
        "metric": "logit(' Paris') \u2212 mean logit",
        "metric_value": 1.5,
        "target": (3,),
        "baseline": None,
        "method": "attribution",
        "scope": "all_positions",
        "position": None,
        "sae_index": np.zeros(n, np.int32),
        "positions": np.full(n, -1, np.int64),
        "features": np.arange(n, dtype=np.int32),
        "activation": np.array(columns["activation"], np.float64),
        "attribution": np.array(columns["attribution"], np.float64),
        "ablation": np.array([NAN if v is None else v for v in columns["ablation"]], np.float64),
        "nodes": (Node("error", "mid", -1, 0.5, NAN),),
        "saes": ("mid",),
        "hooks": ("blocks.2.hook_resid_post",),
        "model": "toy",
    }
    return Ranking(**(options | more))


def some(n=3, **more) -> Ranking:
    values = [float(i + 1) for i in range(n)]
    return ranking_of({"activation": values, "attribution": values, "ablation": values}, **more)


def unpack(data: bytes):
    """Read a buffer as ranking_wire.py describes it; written apart from the code under test."""
    magic, version, length, n = struct.unpack_from("<4I", data)
    assert (magic, version) == (int.from_bytes(b"SAER", "little"), 1)
    head = json.loads(data[16 : 16 + length].decode(), parse_constant=pytest.fail)
    at = 16 + length
    assert at % 8 == 0
    columns = {}
    kinds = {"activation": "<f8", "attribution": "<f8", "ablation": "<f8", "density": "<f4"}
    kinds |= {"sae": "<i4", "position": "<i4", "feature": "<i4", "known": "u1"}
    for name, kind in kinds.items():
        columns[name] = np.frombuffer(data, kind, n, at)
        at += columns[name].nbytes
    assert at == len(data)
    return head, columns


numbers = st.floats(-1e30, 1e30)


@settings(max_examples=50)
@given(st.lists(st.tuples(numbers, numbers, st.none() | numbers), max_size=12))
def test_numbers_arrive_exactly_and_nan_as_a_flag(rows):
    columns = dict(zip(("activation", "attribution", "ablation"), map(list, zip(*rows, strict=True)), strict=False))
    result = ranking_of(columns or {"activation": [], "attribution": [], "ablation": []})
    _, found = unpack(pack_ranking(result))
    assert found["activation"].tolist() == result.activation.tolist()
    assert found["attribution"].tolist() == result.attribution.tolist()
    assert found["known"].tolist() == [1 - math.isnan(v) for v in result.ablation]
    assert found["ablation"].tolist() == [0.0 if math.isnan(v) else v for v in result.ablation.tolist()]


def test_rows_say_where_they_are():
    rows = {"saes": ("mid", "wide"), "hooks": ("a", "a"), "sae_index": np.array([1, 0, 1], np.int32)}
    places = {"positions": np.array([2, -1, 3]), "features": np.array([7, 2**30, 0], np.int32)}
    head, found = unpack(pack_ranking(some(**rows, **places)))
    assert (head["saes"], head["hook"]) == (["mid", "wide"], "a")
    assert found["sae"].tolist() == [1, 0, 1]
    assert found["position"].tolist() == [2, -1, 3]
    assert found["feature"].tolist() == [7, 2**30, 0]


def test_the_header_tells_what_is_drawn():
    result = some(
        baseline=1,
        target=(2, 3),
        predictions=(Prediction(2, " Paris", 0.25, 9.0), Prediction(5, "\\xe2", 0.125, 8.0)),
        completeness_error=0.01,
        stopped=True,
        position=2,
    )
    words = {1: " Rome", 2: " New", 3: " York"}
    head, _ = unpack(pack_ranking(result, value_of=lambda i, text: text if i == 2 else i, text_of=words.__getitem__))
    assert head["tokens"] == ["<|bos|>", " a", "\\xf0\\x9f", "\\x98\\x80"]
    assert (head["special"], head["masked"], head["groups"]) == ([0], [0], [[2, 4, "😀"]])
    assert (head["target"], head["baseline"]) == (" New York", " Rome")
    assert head["predictions"] == [[" Paris", " Paris", 0.25], [5, "\\xe2", 0.125]]
    assert (head["metric"], head["value"]) == ("logit(' Paris') \u2212 mean logit", 1.5)
    assert head["nodes"] == [["error", "mid", -1, 0.5, None]]
    assert (head["completeness"], head["stopped"], head["position"]) == (0.01, True, 2)


def test_what_is_not_finite_is_null_in_the_header():
    head, _ = unpack(pack_ranking(some(metric_value=float("inf"), completeness_error=NAN)))
    assert head["value"] is None
    assert head["completeness"] is None


def test_labels_and_density_of_an_sae_that_a_lab_holds():
    held = type("SAE", (), {"density": np.array([0.5, np.nan, 0.25]), "labels": {2: "a <b>label</b>", 9: "x"}})()
    lab = SimpleNamespace(saes={"mid": held})
    result = some(saes=("wide", "mid"), hooks=("a", "b"), sae_index=np.array([1, 1, 1], np.int32))
    head, found = unpack(pack_ranking(result, saes=lab.saes, labels=labels_on(result, lab)))
    assert found["density"].tolist() == [0.5, -1.0, 0.25]
    assert head["labels"] == {"mid/2": "a <b>label</b>"}
    assert unpack(pack_ranking(result))[1]["density"].tolist() == [-1.0] * 3


def test_a_lone_surrogate_does_not_stop_the_picture():
    assert unpack(pack_ranking(some(metric="\ud800")))[0]["metric"] == "?"


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['activation'])} rows")
@pytest.mark.parametrize("order", ["absolute", "signed"])
def test_ranks_and_overlaps_are_those_that_the_script_is_tested_with(case, order):
    result = ranking_of(case)
    expected = case[order]
    assert [result.ranks(by, order).tolist() for by in ("activation", "attribution", "ablation")] == expected["ranks"]
    assert result.overlap(case["k"], order)._asdict() == expected["overlap"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{len(case['activation'])} rows")
def test_correlations_are_those_that_the_script_is_tested_with(case):
    found = ranking_of(case).correlation()
    expected = [NAN if r is None else r for r in case["pearson"]]
    np.testing.assert_allclose([found.activation.pearson, found.attribution.pearson], expected, rtol=1e-9)


def test_a_shorter_ranking_is_shorter():
    one, two = (len(pack_ranking(replace(some(n)))) for n in (100, 200))
    assert two - one == 100 * (3 * 8 + 4 * 4 + 1)
