import base64
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.errors import SpecificityError
from saewidgets.results import FeatureId, Tokens
from saewidgets.results.feature_stats import Example, Histogram
from saewidgets.views.remarks import Pinned
from saewidgets.widgets.dashboard_specificity import (
    ITEMS,
    Scoring,
    blind,
    rating_json,
    specificity_json,
    typed_scoring,
    typed_tokens,
)
from saewidgets.widgets.dashboard_tokens import Pieces, TokenTable
from saewidgets.widgets.dashboard_wire import TARGET, Said, brief, pack_examples, pack_feature, pack_table
from tests.widgets.dashboard_cases import PATH, as_text, nasty_stats
from tests.widgets.fake_dashboard_lab import FakeDashboardLab, scored


def unpack(data, magic):
    """Header, number, and where the columns begin; written apart from the code under test."""
    word, version, length, n = struct.unpack_from("<4I", data)
    assert (word, version) == (int.from_bytes(magic.encode(), "little"), 1)
    assert length % 4 == 0
    return json.loads(data[16 : 16 + length].decode(), parse_constant=pytest.fail), n, 16 + length


def tokens_of(data, magic="SAEF"):
    """Header, and the tokens of each list one after the other."""
    head, n, start = unpack(data, magic)
    kind = np.dtype("<u4" if head.get("wide") else "<u2")
    ids = np.frombuffer(data, kind, n, start)
    return head, [head["table"][i] for i in ids], start + n * kind.itemsize


@pytest.fixture(scope="module")
def index():
    return FakeDashboardLab().indexes["mid"]


@pytest.fixture(scope="module")
def often(index):
    """A feature that fires often."""
    return index.feature(int(index.count.argsort()[-2]))


class TestFeature:
    def test_the_header_has_all_that_is_known(self, often):
        pins = (Pinned("on the", " Gate", " of"), Pinned("a", "\ud800", ""))
        said = Said("gates", "gates", "two\nlines", ("a", "b"), 2, True, ("Stars: 2 (ann, \ud800)",), pins)
        head, _, _ = tokens_of(pack_feature(often, said, d_sae=512, label=lambda other: f"number {other.index}"))
        n = often.feature.index
        assert (head["feature"], head["sae"], head["index"], head["d_sae"]) == (f"mid/{n}", "mid", n, 512)
        assert [head[name] for name in ("label", "note", "tags", "stars")] == ["gates", "two\nlines", ["a", "b"], 2]
        assert (head["given"], head["mine"]) == ("gates", True)
        assert head["people"] == ["Stars: 2 (ann, \\ud800)"]
        assert head["pins"] == [["on the", " Gate", " of"], ["a", "\\ud800", ""]]
        assert (head["count"], head["n_tokens"], head["density"]) == (often.count, often.n_tokens, often.density)
        assert (head["dead"], head["dense"]) == (False, True)
        assert [head[name] for name in ("max", "mean", "std")] == pytest.approx(
            [often.max, often.mean, often.std], 1e-4
        )
        assert [row[0] for row in head["quantiles"]] == [each.level for each in often.quantiles]
        assert head["histogram"]["counts"] == often.histogram.counts.tolist()
        assert len(head["histogram"]["edges"]) == 41
        assert [each["count"] for each in head["intervals"]] == [each.count for each in often.intervals]
        assert all(each["exact"] for each in head["intervals"])
        assert head["logits"]["top"] == [[" Bridge", 1.5], [" <i>", 1]]
        assert (len(head["logits"]["counts"]), len(head["logits"]["edges"])) == (50, 51)
        assert head["neighbours"] == [[f"mid/{(n + 2) % 512}", f"number {(n + 2) % 512}", 0.75]]
        assert head["cofiring"] == [[f"mid/{(n + 1) % 512}", f"number {(n + 1) % 512}", 0.5, 0.4, 0.6]]
        assert (head["encoder_cosine"], head["neurons"]) == (0.5, [[3, -0.25, 0.125]])
        assert [each["name"] for each in head["lists"]] == ["top", *range(1, 11)]

    def test_tokens_are_those_around_each_example(self, often):
        head, tokens, end = tokens_of(data := pack_feature(often))
        assert end == len(data)
        at = 0
        lists = [often.top, *(interval.examples for interval in often.intervals)]
        for sent, examples in zip(head["lists"], lists, strict=True):
            around = 16 if sent["name"] == "top" else 5
            assert sent["before"] == around
            assert len(sent["examples"]) == len(examples)
            for row, example in zip(sent["examples"], examples, strict=True):
                activation, n, peak, text, place, left, right = row
                start, stop = max(0, example.position - around), min(len(example), example.position + around + 1)
                assert tokens[at : at + n] == list(example.tokens.strings[start:stop])
                assert tokens[at + peak] == example.tokens.strings[example.position]
                assert (text, place) == (example.text, example.offset + example.position)
                assert (left, right) == (start > 0, stop < len(example))
                assert activation == pytest.approx(example.activation, rel=1e-4)
                at += n
        assert at == len(tokens)
        assert head["special"] == [head["table"].index("<|bos|>")]

    def test_a_dead_feature(self, index):
        stats = index.feature(int(index.count.argmin()))
        head, tokens, _ = tokens_of(pack_feature(stats))
        assert (head["dead"], head["count"], head["max"], head["quantiles"], tokens) == (True, 0, 0, [], [])
        assert all(each["examples"] == [] for each in head["lists"])

    def test_an_estimated_count_says_so_and_an_exact_one_is_whole(self, often):
        one = replace(often.intervals[0], count=1234567.25, count_low=1, count_high=2_000_000)
        two = replace(often.intervals[0], count=1234567, count_low=1234567, count_high=1234567)
        head, _, _ = tokens_of(pack_feature(replace(often, intervals=(one, two))))
        found = [(each["count"], each["exact"]) for each in head["intervals"]]
        assert found == [(1234600, False), (1234567, True)]

    def test_hostile_text_stays_text(self):
        said = Said("\u202e" * 10_000_000, "\ud800", "n\x00" * 1000, ("</b>",))
        head, tokens, _ = tokens_of(data := pack_feature(nasty_stats(), said))
        assert len(head["label"]) == 1000
        assert head["given"] == "\\ud800"
        assert (head["note"], head["tags"], head["model"]) == ("n\x00" * 1000, ["</b>"], "\\ud800")
        assert (head["max"], head["mean"]) == (None, None)
        assert "</script><script>document.title='owned'</script>" in tokens
        assert "x" * 63 + "\u2026" in tokens
        assert " caf\\xc3" in tokens
        assert len(data) < TARGET + 10_000

    def test_a_note_is_never_cut_where_it_could_be_saved_so(self, often):
        head, _, _ = tokens_of(pack_feature(often, Said(note="x" * 100_000)))
        assert len(head["note"]) == 100_000

    @pytest.mark.parametrize("vocabulary", [40, 400, 4_000])
    def test_it_stays_small_whatever_the_corpus(self, often, vocabulary):
        random = np.random.default_rng(0)

        def decode(ids):
            return Tokens(ids, tuple(f" word{i}".encode() for i in ids.tolist()), np.zeros(len(ids), bool))

        def example() -> Example:
            return Example(3.25, 64, random.integers(0, vocabulary, 128), 123_456, 1000, decode)

        top = tuple(example() for _ in range(20))
        intervals = tuple(replace(each, examples=top[:10]) for each in often.intervals)
        data = pack_feature(replace(often, top=top, intervals=intervals), Said(note="n" * 1000))
        assert len(data) <= TARGET + 1000
        head, _, _ = tokens_of(data)
        sent = [len(each["examples"]) for each in head["lists"]]
        assert sent[0] >= 10
        assert min(sent[1:]) >= 2
        if vocabulary == 40:
            assert sent == [20, *[10] * 10]

    def test_no_number_is_nan_or_infinite(self, often):
        bad = replace(often.intervals[0], low=float("nan"), mass_share=float("inf"))
        histogram = Histogram(np.array([1]), np.array([0.0, np.nan]))
        head, _, _ = tokens_of(pack_feature(replace(often, intervals=(bad,), histogram=histogram, encoder_cosine=None)))
        assert (head["intervals"][0]["low"], head["intervals"][0]["mass_share"]) == (None, None)
        assert head["histogram"]["edges"] == [0, None]
        assert head["encoder_cosine"] is None


class TestTable:
    def test_columns_are_the_index(self, index):
        data = pack_table("mid", index.n_tokens, index.count, index.max, index.mean, {3: "three", 5: "", 7: "<b>"})
        head, n, start = unpack(data, "SAET")
        assert (head["sae"], head["n_tokens"], head["labels"]) == ("mid", index.n_tokens, {"3": "three", "7": "<b>"})
        assert np.frombuffer(data, "<u4", n, start).tolist() == index.count.tolist()
        assert np.frombuffer(data, "<f4", n, start + 4 * n).tolist() == index.max.tolist()
        assert np.frombuffer(data, "<f4", n, start + 8 * n).tolist() == index.mean.astype(np.float32).tolist()
        assert len(data) == start + 12 * n

    def test_what_cannot_travel_is_zero_or_the_most(self):
        data = pack_table("s", 1, np.array([2**40]), np.array([np.nan]), np.array([np.inf]))
        _, _, start = unpack(data, "SAET")
        assert np.frombuffer(data, "<u4", 1, start)[0] == 2**32 - 1
        assert np.frombuffer(data, "<f4", 2, start + 4).tolist() == [0, 0]


class TestExamples:
    def test_whole_windows_with_every_value(self, often):
        values = [np.arange(len(each), dtype=np.float32) for each in often.top]
        data = pack_examples(often.feature, 3, often.top, values)
        head, tokens, end = tokens_of(data, "SAEX")
        assert (head["feature"], head["list"]) == (str(often.feature), 3)
        assert tokens == [text for each in often.top for text in each.tokens.strings]
        found = np.frombuffer(data, "<f4", len(tokens), end)
        assert found.tolist() == np.concatenate(values).tolist()
        for row, each in zip(head["examples"], often.top, strict=True):
            assert row[1:] == [len(each), each.position, each.text, each.offset + each.position]

    def test_no_value_is_nan(self, often):
        values = [np.full(len(each), np.nan, np.float32) for each in often.top[:1]]
        data = pack_examples(often.feature, "top", often.top[:1], values)
        assert not np.frombuffer(data[-4:], "<f4").any()

    def test_no_examples(self, often):
        assert unpack(pack_examples(often.feature, 1, (), []), "SAEX")[1] == 0


class TestTokens:
    def test_long_tables_need_wide_places(self, often, monkeypatch):
        ids = often.top[0].ids
        narrow = TokenTable([ids], Pieces().of(ids.tolist(), often.top))
        assert (narrow.wide, len(narrow.packed)) == ({}, 2 * len(narrow))
        monkeypatch.setattr("saewidgets.widgets.dashboard_tokens.NARROW", len(narrow.strings) - 1)
        assert (narrow.wide, len(narrow.packed)) == ({"wide": True}, 4 * len(narrow))
        start, _ = often.top[0].around(16, 16)
        assert tokens_of(pack_feature(often))[1][:3] == list(often.top[0].tokens.strings)[start : start + 3]

    @given(st.lists(st.lists(st.integers(0, 20), min_size=1, max_size=30), min_size=1, max_size=5))
    @settings(max_examples=50, deadline=None)
    def test_each_token_reads_as_in_its_window(self, spans):
        from tests.widgets.fake_dashboard_lab import decode

        examples = [Example(1.0, 0, np.array(span), 0, 0, decode) for span in spans]
        table = TokenTable([each.ids for each in examples], Pieces().of(range(21), examples))
        texts = [table.strings[place] for place in table.places]
        assert texts == [text for each in examples for text in each.tokens.strings]
        assert len(table.strings) == len({i for span in spans for i in span})

    def test_ids_are_decoded_once_in_runs_that_the_model_can_read(self):
        runs = []

        def decode(ids, name="x"):
            runs.append(len(ids))
            return Tokens(ids, tuple(name.encode() for _ in ids), np.zeros(len(ids), bool))

        examples = [Example(1.0, 0, np.arange(5 * n, 5 * n + 5), 0, 0, decode) for n in range(4)]
        pieces = Pieces()
        assert pieces.of(range(18), examples)[17] == ("x", False)
        assert pieces.of(range(20), examples)[19] == ("x", False)
        assert runs == [5, 5, 5, 3, 2]
        others = [Example(1.0, 0, np.arange(5), 0, 0, lambda ids: decode(ids, "y"))]
        assert pieces.of([1], others) == {1: ("y", False)}

    def test_not_all_tokens_of_the_world_are_kept(self, often, monkeypatch):
        monkeypatch.setattr("saewidgets.widgets.dashboard_tokens.MOST", 3)
        pieces = Pieces()
        assert len(pieces.of([1, 2, 3, 4], often.top)) == 4
        assert len(pieces.of([5], often.top)) == 1

    @pytest.mark.parametrize(("value", "expected"), [(1234567.0, 1234600), (0.000123456, 0.00012346), (-2.0, -2)])
    def test_five_digits(self, value, expected):
        assert brief(value) == expected


class TestSpecificity:
    def test_unknown_numbers_are_null(self):
        found = json.loads(
            json.dumps(specificity_json(scored(FeatureId("mid", 7), "predicate", "a \ud800")), allow_nan=False)
        )
        assert (found["feature"], found["kind"], found["what"]) == ("mid/7", "predicate", "a \\ud800")
        assert (found["base_rate"], found["n_scored"], found["exact"]) == (None, 45, False)
        assert found["labels"] == ["no", "yes"]
        empty = found["intervals"][3]
        assert (empty["n"], empty["counts"], empty["precision"]) == (0, [0, 0], None)
        assert found["intervals"][0]["counts"] == [2, 3]
        assert set(found["curve"]["recall"]) == {None}
        assert (found["curve"]["t"][0], found["curve"]["t"][100], len(found["curve"]["mass"])) == (0, 1, 101)

    def test_ratings_have_four_scores(self):
        found = specificity_json(scored(FeatureId("mid", 7), "rating", "rated >= 3"))
        assert found["labels"] == ["0", "1", "2", "3"]
        assert found["intervals"][0]["counts"] == [2, 0, 0, 3]

    def test_typed(self):
        def typed(**message):
            return typed_scoring(message, lambda name: ("concept", name), "ann")

        assert typed(kind="regex", text="a|b", within=2) == Scoring("a|b", 2)
        assert typed(kind="tokens", text="a, b") == Scoring(frozenset({"a", " a", "b", " b"}))
        assert typed(kind="concept", text="city") == Scoring(("concept", "city"))
        assert typed(kind="ratings") == Scoring(None, 0, "ann")
        assert typed(kind="regex", text=" ") is None

    @pytest.mark.parametrize(
        "message",
        [{}, {"kind": "code", "text": "x"}, {"kind": "regex", "text": 5}, {"kind": "regex", "text": "x" * 10_001},
         {"kind": "regex", "text": "x", "within": -1}, {"kind": "regex", "text": "x", "within": "2"},
         {"kind": "tokens", "text": "x", "within": 10**9}],
    )  # fmt: skip
    def test_typed_nonsense(self, message):
        with pytest.raises(SpecificityError):
            typed_scoring(message, str, None)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("Paris", {"Paris", " Paris"}),
            ('" Paris"', {" Paris"}),
            ('"a, b"\nc', {"a, b", "c", " c"}),
            ('"\\n"', {"\n"}),
            ('"', {'"', ' "'}),
            (" , ,", set()),
        ],
    )
    def test_typed_tokens(self, text, expected):
        assert typed_tokens(text) == expected


class TestRating:
    def test_blind_examples_come_from_all_intervals(self, often):
        items = blind(often, "ann")
        of = {id(example): n for n, each in enumerate(often.intervals) for example in each.examples}
        drawn = [of[id(example)] for example in items.values()]
        assert len(items) == min(ITEMS, sum(len(each.examples) for each in often.intervals))
        assert set(drawn) == {n for n, each in enumerate(often.intervals) if each.examples}
        assert drawn != sorted(drawn)

    def test_fifty_at_most_and_as_many_from_each_interval(self, often):
        intervals = tuple(
            replace(each, examples=tuple(Example(n + 1.0, 1, np.array([0, n, other]), n, 0) for other in range(10)))
            for n, each in enumerate(often.intervals)
        )
        items = blind(replace(often, intervals=intervals), "ann")
        assert len(items) == 50
        assert np.bincount([example.text for example in items.values()]).tolist() == [5] * 10

    def test_the_order_is_the_raters_own_and_stays(self, often, index):
        assert list(blind(often, "ann")) == list(blind(index.feature(often.feature.index), "ann"))
        one, two = blind(often, "ann"), blind(often, "bob")
        assert not one.keys() & two.keys()
        assert [id(example) for example in one.values()] != [id(example) for example in two.values()]

    def test_items_tell_nothing_of_the_activation(self, often):
        items = blind(often, "ann")
        found = rating_json(often.feature, "ann", items, lambda example: 3 if example.position < 10 else None)
        assert set(found) == {"feature", "rater", "items", "done", "of"}
        assert all(set(item) == {"key", "tokens", "special", "peak", "score"} for item in found["items"])
        scores = [item["score"] for item in found["items"]]
        assert (found["done"], found["of"]) == (sum(score == 3 for score in scores), len(items))
        for item, example in zip(found["items"], items.values(), strict=True):
            assert item["tokens"][item["peak"]] == example.tokens.strings[example.position]
            assert len(item["tokens"]) <= 33
            assert item["special"] == [n for n, text in enumerate(item["tokens"]) if text == "<|bos|>"]


def test_the_script_is_tested_on_what_is_packed_today():
    # python -m tests.widgets.dashboard_cases writes the file anew
    assert json.loads(PATH.read_text(encoding="utf-8")) == json.loads(as_text())


def test_the_cases_of_the_script_are_base64():
    for case in json.loads(PATH.read_text(encoding="utf-8")):
        assert base64.b64decode(case["_data"])[:4] == b"SAEF"
