"""KL and cross-entropy on neutral texts, against a loop over texts and tokens in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.errors import EditError
from saewidgets.results import SideEffect, SteeringVector
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import HOOK, make_lab

TEXTS = [[0, 5, 9, 40, 41], [0, 7], [0, 100, 33, 8, 9, 12, 5]]
VECTOR = SteeringVector(np.random.default_rng(1).normal(size=32), HOOK, "given")


@pytest.fixture
def model(make_model):
    return make_model("gpt2")


@pytest.fixture
def tiny(model, make_tensors):
    return make_lab(model, make_tensors)


def by_hand(tiny, model, edits):
    rows = []
    for ids in TEXTS:
        with torch.no_grad():
            base = model(torch.tensor([ids]))[0].double().log_softmax(-1)
            with tiny.steering(edits):
                edited = model(torch.tensor([ids]))[0].double().log_softmax(-1)
        at = range(len(ids) - 1)
        rows.append([
            np.mean([float((base[n].exp() * (base[n] - edited[n])).sum()) for n in at]),
            np.mean([-float(base[n, ids[n + 1]]) for n in at]),
            np.mean([-float(edited[n, ids[n + 1]]) for n in at]),
        ])  # fmt: skip
    return np.array(rows)


EDITS = [st.add(VECTOR, 2), st.set("sae/3", 4), [st.ablate("sae/1"), st.add(VECTOR, 1)]]


@pytest.mark.parametrize("edits", EDITS, ids=["add", "set", "two"])
def test_is_what_a_loop_gives(tiny, model, edits):
    expected = by_hand(tiny, model, edits)
    found = tiny.side_effect(edits, TEXTS)
    np.testing.assert_allclose(np.stack([found.kls, found.base_ces, found.steered_ces], 1), expected, atol=1e-5)
    weights = np.array([4, 1, 6]) / 11
    assert found.n_predicted.tolist() == [4, 1, 6]
    assert (found.n_tokens, found.n_texts) == (11, 3)
    assert (found.kl, found.base_ce, found.steered_ce) == pytest.approx(tuple(weights @ expected), abs=1e-5)
    assert found.base_perplexity == pytest.approx(np.exp(found.base_ce))
    assert found.steered_perplexity == pytest.approx(np.exp(found.steered_ce))
    assert found.ce_increase == pytest.approx(found.steered_ce - found.base_ce)
    assert found.kl > 0
    assert hooks_left(model) == 0


def test_no_edit_and_an_edit_of_nothing_have_none(tiny):
    for edits in ((), st.add(VECTOR, 0), st.scale("sae/3", 1)):
        found = tiny.side_effect(edits, TEXTS)
        assert found.kl == 0
        assert found.ce_increase == 0


@pytest.mark.parametrize("part", ["prompt", "generated"])
def test_parts_of_a_text_mean_all_of_one_that_is_only_read(tiny, part):
    found, whole = (tiny.side_effect(st.add(VECTOR, 2, where=where), TEXTS) for where in (part, "all"))
    np.testing.assert_array_equal(found.kls, whole.kls)


def test_kept_distributions_serve_many_edits_in_any_order(tiny, monkeypatch):
    neutral = tiny.neutral(TEXTS)
    once = [tiny.side_effect(edits, TEXTS) for edits in EDITS]
    neutral.under(tiny.plan(()))
    passes = []
    logits = neutral.model.logits
    monkeypatch.setattr(neutral.model, "logits", lambda ids: passes.append(0) or logits(ids))
    for n in (2, 0, 1):
        np.testing.assert_array_equal(neutral.under(tiny.plan(EDITS[n])).kls, once[n].kls)
    assert len(passes) == 3


def test_what_the_check_raises_ends_it(tiny):
    def check():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.neutral(TEXTS).under(tiny.plan(()), check)


@pytest.mark.parametrize("texts", [[], "a text", 5])
def test_no_texts(tiny, texts):
    with pytest.raises(EditError, match="no neutral texts"):
        tiny.side_effect((), texts)
    with pytest.raises(EditError, match="no neutral texts"):
        tiny.neutral_texts = texts


def test_texts_that_predict_nothing(tiny):
    with pytest.raises(EditError, match="predict nothing"):
        tiny.side_effect((), [[5], [6]])
    found = tiny.side_effect(st.add(VECTOR, 1), [[5], [5, 6, 7]])
    assert found.kls[0] == 0
    assert found.n_tokens == 2


def test_the_lab_has_texts_of_its_own_and_takes_others(tiny):
    assert all(isinstance(text, str) for text in tiny.neutral_texts)
    tiny.neutral_texts = TEXTS
    assert tiny.side_effect(st.add(VECTOR, 1)).n_texts == 3
    assert not isinstance(tiny.side_effect(()), str)


def test_frame_and_words():
    one = SideEffect(("a b", "c"), np.array([3, 1]), np.array([0.1, 0.5]), np.ones(2), np.full(2, 2.0), (), "tiny")
    assert one.kl == pytest.approx(0.2)
    assert repr(one) == "SideEffect(KL 0.2 nats a token, cross-entropy 1 -> 2; 4 tokens of 2 texts)"
    assert one.to_frame().columns.tolist() == ["text", "tokens", "kl", "base_ce", "steered_ce"]
