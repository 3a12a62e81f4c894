import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from saewidgets import steering as st
from saewidgets.results import FeatureId, Generation, NextToken, Reach, SideEffect, SteeringVector, Tokens
from saewidgets.steering.edits import named
from saewidgets.steering.plan import Plan
from saewidgets.widgets.steering_edits import keyed
from saewidgets.widgets.steering_wire import (
    OPERATIONS,
    bars_json,
    edit_json,
    maximum_of,
    side_json,
    sweep_json,
    texts_json,
    where_text,
)
from tests.widgets.fake_lab import FakeLab, tokens_of
from tests.widgets.nasty import nasty_activations

NAN = float("nan")
VECTOR = SteeringVector(np.array([3.0, 4.0]), "blocks.2.hook_resid_pre", "difference_in_means", label="joy")


@pytest.fixture
def saes():
    return FakeLab().saes


def strict(value) -> str:
    """As it travels: no NaN, no half characters."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False)
    text.encode("utf-8")
    return text


def edit_of(edit):
    return named(edit, lambda feature: FeatureId.parse(feature, "mid"))


def card(edit, saes, reach=None):
    found = edit_json("e1", edit_of(edit), reach, SimpleNamespace(saes=saes))
    strict(found)
    return found


def written(ids, kl=None, **more) -> Generation:
    """Two tokens of prompt, and what was written of token ids."""
    n = len(ids)
    known = np.full(n, NAN if kl is None else kl)
    options = {
        "prompt_tokens": tokens_of([b"x"]),
        "new_tokens": Tokens(np.array(ids, np.int64), tuple(b" %d" % i for i in ids), np.zeros(n, bool)),
        "logprobs": np.full(n, -0.5),
        "base_logprobs": known - 1,
        "kl": known,
        "steered": np.zeros(max(n + 1, 2), bool),
        "edits": (),
        "model": "toy",
    }
    return Generation(**(options | more))


class TestOperations:
    def test_each_has_its_formula_and_says_whether_it_has_a_number(self):
        assert OPERATIONS == [
            ["add", "x + \u03b1 m d", True],
            ["set", "x + (v m - f) d", True],
            ["scale", "x + (\u03b3 - 1) f d", True],
            ["ablate", "x - f d", False],
            ["set_if_active", "x + (v m - f) d where f > 0, else x", True],
            ["project_out", "x - (x . u) u", False],
        ]


class TestEdit:
    def test_a_feature(self, saes):
        feature, label = next(iter(saes["mid"].labels.items()))
        maximum = float(saes["mid"].reference_max[feature])
        assert card(st.set(feature, 4), saes, Reach(2, 5)) == {
            "key": "e1",
            "name": f"mid/{feature}",
            "label": label,
            "kind": "feature",
            "operation": "set",
            "value": 4,
            "where": "all",
            "keep_norm": False,
            "formula": "x + (4 m - f) d",
            "absolute": 4 * maximum,
            "maximum": maximum,
            "source": "largest activation on its reference tokens",
            "unit": "\u00d7 max",
            "slider": True,
            "conditional": False,
            "reach": [2, 5],
        }

    def test_a_vector(self, saes):
        found = card(st.add(VECTOR, -2, keep_norm=True), saes)
        assert (found["name"], found["kind"], found["unit"]) == ("joy", "vector", "\u00d7 vector")
        assert (found["maximum"], found["absolute"], found["reach"]) == (5, -10, None)
        assert found["label"] == "difference in means at blocks.2.hook_resid_pre"
        assert found["keep_norm"] is True

    @pytest.mark.parametrize("edit", [st.scale(7, 2), st.ablate(7), st.project_out(7)])
    def test_no_absolute_strength_where_the_formula_has_no_m(self, saes, edit):
        found = card(edit, saes)
        assert found["absolute"] is None
        assert found["maximum"] > 0
        assert found["slider"] is (edit.operation == "scale")

    def test_where_the_maximum_comes_from(self, saes):
        assert maximum_of(edit_of(st.set(7, 1, maximum=2.5)), saes) == (2.5, "given")
        saes["mid"].reference_sample, saes["mid"].n_reference_tokens = "the web", 12_000
        assert card(st.set(7, 1), saes)["source"] == "largest activation on 12,000 tokens of the web"
        for table in (None, np.zeros(512), np.full(512, NAN), np.full(512, np.inf)):
            saes["mid"].reference_max = table
            found = card(st.set(7, 1), saes)
            assert (found["maximum"], found["absolute"], found["source"]) == (None, None, "")

    def test_it_says_what_the_plan_says(self, lab):
        sae = lab.saes["sae"]
        sae.reference_max, sae.reference_sample, sae.n_reference_tokens = np.full(64, 3.0), "two texts", 12
        direction = SteeringVector(np.arange(1.0, sae.d_in + 1), sae.hook, "given")
        edits = [edit_of(e) for e in (st.set("sae/3", 2), st.add("sae/4", 1, maximum=7), st.add(direction, 3))]
        strengths = Plan(lab.models["tiny"], lab.saes, edits, "sae").strengths
        for edit, strength in zip(edits, strengths, strict=True):
            found = card(edit, lab.saes)
            assert (found["maximum"], found["source"]) == (pytest.approx(strength.maximum), strength.source)
            assert found["absolute"] == pytest.approx(strength.absolute)

    @pytest.mark.parametrize("edit", [st.set_if_active(7, 1), st.set(7, 1, where=st.while_active(8))])
    def test_conditional(self, saes, edit):
        assert card(edit, saes)["conditional"] is True

    def test_an_sae_that_has_gone(self):
        assert card(st.set(7, 1), {})["maximum"] is None

    def test_hostile_labels_and_names_are_valid_text(self, saes):
        saes["mid"].labels = {7: "<b>\ud800"}
        assert card(st.set(7, 1), saes)["label"] == "<b>\\ud800"
        bad = SteeringVector(np.ones(2), "hook\udfff", "given", label="joy\ud800")
        assert card(st.add(bad, 1), saes)["name"] == "joy\\ud800"

    @pytest.mark.parametrize(
        ("where", "text"),
        [
            ("generated", "generated"),
            ([3, 5], "positions 3, 5"),
            ([False, True, True], "positions 1, 2"),
            ([False], "positions none"),
            (list(range(10)), "positions 0, 1, 2, 3, 4, 5, 6, 7 and 2 more"),
            (st.while_active("wide/7"), "while wide/7 > 0"),
        ],
    )
    def test_where(self, where, text):
        assert where_text(st.ablate(7, where=where).where) == text


class TestKeys:
    def test_equal_edits_keep_a_key_each(self):
        twice = [edit_of(st.ablate(7)), edit_of(st.ablate(7))]
        first = keyed(twice, (), iter("abc"))
        assert [key for key, _ in first] == ["a", "b"]
        assert [key for key, _ in keyed(twice[:1], first, iter("xyz"))] == ["a"]

    def test_a_changed_one_of_two_on_a_feature_keeps_its_own(self):
        one, two = edit_of(st.ablate(7, where="prompt")), edit_of(st.set(7, 1))
        former = keyed([one, two], (), iter("ab"))
        assert [key for key, _ in keyed([one, edit_of(st.set(7, 2))], former, iter("xyz"))] == ["a", "b"]
        assert [key for key, _ in keyed([edit_of(st.scale(7, 2)), two], former, iter("xyz"))] == ["a", "b"]

    def test_a_new_feature_has_a_new_key(self):
        former = keyed([edit_of(st.ablate(7))], (), iter("a"))
        assert [key for key, _ in keyed([edit_of(st.ablate(8))], former, iter("x"))] == ["x"]


class TestBars:
    def test_prompt_and_rows(self):
        tokens = tokens_of([b" caf\xc3", b"\xa9", b" <b>"])
        found = bars_json(
            NextToken(
                tokens, np.array([5, 6]), (" Paris", "\\xe2"), np.array([0.5, 0.1]), np.array([0.25, 0.5]), -1e-18,
                ("mid/7: x - f d",), np.array([False, True, True, False]), "toy", (Reach(2, 3),),
            )
        )  # fmt: skip
        assert found["rows"] == [[" Paris", 0.5, 0.25], ["\\xe2", 0.1, 0.5]]
        assert (found["kl"], found["steered"], found["reach"]) == (0, [1, 2], [[2, 3]])
        prompt = found["prompt"]
        assert prompt["groups"] == [[1, 3, " café"]]
        assert (prompt["special"], prompt["masked"], prompt["dropped"]) == ([0], [0], 0)
        assert len(prompt["tokens"]) == len(prompt["ids"]) == 4
        strict(found)

    def test_nasty_tokens_travel(self):
        tokens = nasty_activations().prompt_tokens
        n = len(tokens)
        none = np.zeros(n)
        found = bars_json(
            NextToken(tokens, tokens.ids, tokens.strings, none, none, math.inf, (), none.astype(bool), "toy")
        )
        assert found["kl"] is None
        assert json.loads(strict(found)) == found


class TestTexts:
    def test_positions_count_from_the_first_new_token(self):
        steered = written([1, 9, 3], kl=0.25, steered=np.array([True, True, False, True]), stopped="eos", seed=4)
        found = texts_json([written([1, 2, 3])], [steered])
        (base,), (other,) = found["base"], found["steered"]
        assert found["running"] is False
        assert (base["steered"], base["differs"], base["kl"], base["mean_kl"]) == ([], [1], [None] * 3, None)
        assert (other["steered"], other["differs"]) == ([1], [1])
        assert (other["kl"], other["mean_kl"], other["base"]) == ([0.25] * 3, 0.25, [-0.75] * 3)
        assert (other["tokens"], other["ids"], other["logprob"]) == ([" 1", " 9", " 3"], [1, 9, 3], [-0.5] * 3)
        assert (other["stopped"], other["seed"], other["repetition"]) == ("eos", 4, 0)
        strict(found)

    def test_while_it_is_written_the_end_of_the_longer_one_does_not_differ(self):
        pair = [written([1, 2, 3, 4])], [written([1, 5])]
        assert [side[0]["differs"] for side in (texts_json(*pair)["base"], texts_json(*pair)["steered"])] == [
            [1, 2, 3],
            [1],
        ]
        running = texts_json(*pair, running=True)
        assert (running["base"][0]["differs"], running["steered"][0]["differs"]) == ([1], [1])
        assert running["running"] is True

    def test_nothing_written_yet(self):
        found = texts_json([written([])], [written([])], running=True)
        assert found["base"][0]["tokens"] == []
        strict(found)

    def test_numbers_that_are_not_finite_are_null(self):
        bad = written([1, 2], logprobs=np.array([-math.inf, NAN]), kl=np.array([math.inf, -1e-18]))
        found = texts_json([bad], [bad])["steered"][0]
        assert (found["logprob"], found["kl"], found["mean_kl"]) == ([None, None], [None, 0], None)
        strict(found)


class TestRest:
    def test_side(self):
        side = SideEffect(
            ("a", "b"), np.array([1, 3]), np.array([0.5, 0.1]), np.array([1.0, 2]), np.array([2.0, 3]), (), "m"
        )
        assert side_json(side) == {
            "kl": pytest.approx(0.2), "base_ce": 1.75, "steered_ce": 2.75, "n_tokens": 4, "n_texts": 2,
        }  # fmt: skip
        assert side_json(None) == {}

    def test_sweep(self, saes):
        maximum = float(saes["mid"].reference_max[7])
        texts = [written([4, 4, 4, 4, 4], kl=0.5), written([])]
        found = sweep_json("e3", edit_of(st.set(7, 1)), (-2, 3), texts, saes, running=True)
        assert {**found, "texts": None} == {
            "running": True, "key": "e3", "name": "mid/7", "operation": "set", "texts": None,
        }  # fmt: skip
        one, other = found["texts"]
        assert one == {
            "value": -2, "absolute": -2 * maximum, "text": " 4 4 4 4 4", "repetition": pytest.approx(2 / 3),
            "mean_kl": 0.5, "top": [" 4", pytest.approx(math.exp(-0.5))],
        }  # fmt: skip
        assert (other["top"], other["mean_kl"]) == (None, None)
        strict(found)

    def test_a_drawn_token_is_not_called_the_likeliest(self, saes):
        texts = [written([4], temperature=1.0)]
        assert sweep_json("e3", edit_of(st.scale(7, 1)), (1,), texts, saes, running=False)["texts"][0]["top"] is None

    def test_scale_has_no_absolute_strength(self, saes):
        found = sweep_json("e3", edit_of(st.scale(7, 1)), (1,), [written([4])], saes, running=False)
        assert found["texts"][0]["absolute"] is None
