"""Dashboards of SAEDashboard and sae_vis: what is taken of them, and what a stranger's file can do."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.annotations import AnnotationStore, Pin, Target
from saewidgets.annotations import sae_dashboard as module
from saewidgets.annotations.exchange import operations_of
from saewidgets.annotations.records import changes_of
from saewidgets.annotations.sae_dashboard import find_dashboards, from_dashboards
from saewidgets.errors import AnnotationError

BASE = Target("feature", "gpt2", "blocks.6.hook_resid_pre", "3f2a", 0)
WORDS = ["<|endoftext|>", "in", " Paris", " we", " saw"]


def decode(ids: list[int]) -> str:
    return "".join(WORDS[n] for n in ids)


def example(tokens: list[str], values: list[float]) -> dict[str, Any]:
    """An example as SAEDashboard writes it."""
    return {"bin_min": -1, "bin_max": 9, "bin_contains": -1, "tokens": tokens, "values": values,
            "qualifying_token_index": 0}  # fmt: skip


def batch(*features: dict[str, Any]) -> str:
    """A batch as NeuronpediaRunner writes it."""
    whole = {"model_id": "gpt2-small", "layer": 6, "sae_set": "res-jb", "sae_id_suffix": None}
    return json.dumps({**whole, "features": list(features)})


def feature(index: Any, *examples: dict[str, Any]) -> dict[str, Any]:
    logits = {"neg_str": [" no"], "neg_values": [-1.0], "pos_str": [" yes"], "pos_values": [1.0]}
    return {"feature_index": index, **logits, "frac_nonzero": 0.1, "activations": list(examples)}


def saved(features: dict[str, Any]) -> str:
    """What ``SaeVisData.save_json`` writes: token ids, in groups."""
    made = {
        index: {"acts_histogram_data": {"title": "x"}, "sequence_data": {"seq_group_data": [
            {"title": "TOP ACTIVATIONS<br>MAX = 0.743", "seq_data": [
                {"token_ids": ids, "feat_acts": values, "loss_contribution": []} for ids, values in examples]},
        ]}}
        for index, examples in features.items()
    }  # fmt: skip
    return json.dumps({"feature_data_dict": made, "feature_stats": {"max": [0.5]}})


def test_the_three_strongest_examples_of_a_feature_are_pinned_and_the_tool_is_a_tag():
    given_ = [
        example(["weak"], [0.1]),
        example(["in", " Paris"], [0.0, 2.5]),
        example(["in", " Paris"], [2.4, 0.0]),
        example([" we", " saw"], [3.0, 1.0]),
        example(["x", "y", "z"], [0.0, 0.0, 0.2]),
        example(["silent"], [0.0]),
    ]
    ((target, op),) = from_dashboards(batch(feature(7, *given_), feature(8, example(["a"], [0.0]))), BASE)
    assert target == Target("feature", "gpt2", BASE.hook, BASE.sae, 7)
    assert op == {"add": {"tags": ["SAEDashboard"], "pins": [
        {"text": " we saw", "position": 1}, {"text": "in Paris", "position": 2}, {"text": "xyz", "position": 3},
    ]}}  # fmt: skip


@pytest.mark.parametrize(
    ("tokens", "bos", "text", "position"),
    [
        (["in", " Paris"], True, "in Paris", 2),
        (["in", " Paris"], False, "in Paris", 1),
        (["<|endoftext|>", "in", " Paris"], True, "in Paris", 2),
        (["<bos>", "in", " Paris"], False, "in Paris", 2),
    ],
)
def test_positions_count_bos_where_the_model_has_one(tokens, bos, text, position):
    values = [0.0] * (len(tokens) - 1) + [1.0]
    ((_, op),) = from_dashboards(batch(feature(0, example(tokens, values))), BASE, bos=bos)
    assert op["add"]["pins"] == [{"text": text, "position": position}]


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        (["It", "\u00e2\u0122", "\u013b", "s"], "It\u2019s"),
        (["caf", "\u00c3\u00a9", " \u00f0\u0141\u013a", "\u0122"], "caf\u00e9 \U0001f600"),
        (["caf\u00e9", "\u2014", "\u013b"], "caf\u00e9\u2014\u013b"),
        (["\u00e0\u0122\u0122"], "\u00e0\u0122\u0122"),
    ],
)
def test_characters_that_are_split_over_tokens_are_whole_again(tokens, text):
    ((_, op),) = from_dashboards(batch(feature(0, example(tokens, [1.0] * len(tokens)))), BASE)
    assert op["add"]["pins"][0]["text"] == text


def test_saved_data_of_sae_vis_needs_the_tokenizer():
    text = saved({"7": [([1, 2], [0.0, 0.7]), ([0, 3, 4], [9.0, 0.0, 0.9])], "9": [([1], [0.0])]})
    ((target, op),) = from_dashboards(text, BASE, decode=decode)
    assert target.feature == 7
    assert op["add"]["tags"] == ["sae_vis"]
    assert op["add"]["pins"] == [{"text": " we saw", "position": 0}, {"text": "in Paris", "position": 2}]
    with pytest.raises(AnnotationError, match=r"token ids and no text(?s:.*)decode="):
        from_dashboards(text, BASE)


def test_a_store_takes_them_in_as_any_other_file(tmp_path):
    text = batch(feature(7, example(["in", " Paris"], [0.0, 2.5])))
    (tmp_path / "batch-0.json.gz").write_bytes(gzip.compress(text.encode()))
    store = AnnotationStore(tmp_path / "notes")
    target = Target("feature", "gpt2", BASE.hook, BASE.sae, 7)
    store.annotate(target, "cities", pin=("near Rome", 2))
    assert store.import_file(tmp_path / "batch-0.json.gz", BASE, d_sae=10) == 1
    found = store.annotation(target)
    assert (found.label, found.tags) == ("cities", ("SAEDashboard",))
    assert set(found.pins) == {Pin("in Paris", 2), Pin("near Rome", 2)}
    with pytest.raises(AnnotationError, match=r"SAEDashboard does not say which of your SAEs"):
        operations_of(tmp_path / "batch-0.json.gz")


def test_other_json_is_not_taken_for_dashboards():
    for text in ('{"annotations": []}', '{"modelId": "x", "activations": [], "features": []}', "[]", "{", "", "5",
                 '{"features": {}}', '{"a": 1 "features": []}'):  # fmt: skip
        assert find_dashboards(text) is None
    found = find_dashboards('\n{"layer" : 6 ,\n"features" : [] }')
    assert found is not None
    assert found.tool == "SAEDashboard"


GOOD = example(["a"], [1.0])
BAD = {
    "no index": (batch({"activations": []}), "feature entry 1: This is no dashboard"),
    "index": (batch(feature(1, GOOD), feature(-1)), "feature entry 2: This is no dashboard"),
    "true": (batch(feature(True)), "feature index True"),
    "far": (batch(feature(10)), r"feature entry 1: The file is about another SAE(?s:.*)feature 10"),
    "number": ('{"features": [5]}', "This is no dashboard"),
    "activations": (batch({"feature_index": 1, "activations": 5}), "activations is int"),
    "entry": (batch({"feature_index": 1, "activations": [5]}), "feature entry 1: This is no example"),
    "lengths": (batch(feature(1, example(["a"], [1.0, 2.0]))), "1 tokens, 2 activations"),
    "tokens": (batch(feature(1, example([5], [1.0]))), "tokens that are no str"),  # type: ignore[list-item]
    "values": (batch(feature(1, example(["a"], ["1"]))), "values that are no numbers"),  # type: ignore[list-item]
    "long": (batch(feature(1, example(["a" * 10_000_000], [1.0]))), "An example is too long"),
    "silent": (batch(feature(1, example(["a"], [0.0]))), "No feature fires"),
    "none": (batch(), "No feature fires"),
    "cut": (batch(feature(1, GOOD))[:-20], "After the file: this is no JSON|After feature entry 1: this is no JSON"),
    "deep": ('{"features": [' + "[" * 100_000, "nested too deeply|no JSON"),
    "surrogate": (batch(feature(1, example(["\ud83d"], [1.0]))), "not valid Unicode"),
    "group": ('{"feature_data_dict": {"1": {"sequence_data": {"seq_group_data": [5]}}}}', "a group of examples is int"),
    "data": ('{"feature_data_dict": {"1": {"sequence_data": 5}}}', "sequence_data is int"),
    "key": ('{"feature_data_dict": {"x": {}}}', "feature index 'x'"),
    "ids": (saved({"1": [([True], [1.0])]}), "token_ids that are no int"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_refused_says_where_and_changes_nothing(tmp_path, name):
    text, match = BAD[name]
    (tmp_path / "batch-0.json").write_text(text, "utf-8")
    store = AnnotationStore(tmp_path / "a")
    with pytest.raises(AnnotationError, match=match) as caught:
        store.import_file(tmp_path / "batch-0.json", BASE, d_sae=10)
    assert len(str(caught.value)) < 1000
    assert not (tmp_path / "a").exists()


def test_an_example_with_a_number_that_is_none_is_left_out():
    values = ([float("nan"), 1.0], [float("inf"), 1.0], [2.0, 10**400])
    bad = [example(["a", "b"], each) for each in values]
    ((_, op),) = from_dashboards(batch(feature(1, *bad, example(["f"], [0.5]))), BASE)
    assert [pin["text"] for pin in op["add"]["pins"]] == ["f"]


def test_a_tokenizer_that_refuses_an_id_is_told_with_the_feature():
    with pytest.raises(AnnotationError, match=r"feature entry 1: The tokens(?s:.*)IndexError"):
        from_dashboards(saved({"1": [([99], [1.0])]}), BASE, decode=decode)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_file_gives_our_error_or_sound_operations(data):
    text = data.draw(st.sampled_from([batch(feature(1, GOOD), feature(2, GOOD)), saved({"1": [([1, 2], [1, 2.0])]})]))
    at = data.draw(st.integers(0, len(text) - 1))
    put = data.draw(st.sampled_from(["", "NaN", "null", "[", "{}", '"', ",", "-1", "1e999", "\x00", "\\u0000", "]"]))
    damaged = text[:at] + put + text[at + data.draw(st.integers(0, 3)) :]
    try:
        operations = from_dashboards(damaged, BASE, decode=decode)
    except AnnotationError:
        return
    for _, op in operations:
        assert changes_of(op)


def test_one_feature_is_held_at_a_time():
    one = json.dumps(feature(1, *[example(["a"] * 100, [0.5] * 100)] * 20))
    text = '{"features": [' + ",".join([one] * 40) + "]}"
    tracemalloc.start()
    try:
        assert len(from_dashboards(text, BASE)) == 40
        assert tracemalloc.get_traced_memory()[1] < 3 * len(text) // 2
    finally:
        tracemalloc.stop()


def test_a_feature_that_is_too_large_is_not_read(monkeypatch):
    monkeypatch.setattr(module, "FEATURE_LIMIT", 2**17)
    text = batch(feature(1, *[example(["a"] * 100, [0.5] * 100)] * 300))
    with pytest.raises(AnnotationError, match="A feature is too large"):
        from_dashboards(text, BASE)
