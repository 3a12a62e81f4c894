"""lab.compare_steering: the parts, and that each is what its own question gives."""

from __future__ import annotations

import numpy as np
import pytest

import saewidgets as sw
from saewidgets import steering as st
from saewidgets.errors import EditError

PROMPT = [0, 5, 9, 40, 41]
TEXTS = [[0, 7, 9], [0, 8, 8, 8]]


@pytest.fixture
def steer_lab(lab):
    lab.saes["sae"].reference_max = np.full(64, 3.0, np.float32)
    return lab


def test_each_part_is_what_its_own_question_gives(steer_lab):
    edits = [st.set("sae/3", 2), st.ablate("sae/4")]
    found = steer_lab.compare_steering(
        PROMPT, edits, 5, temperature=1.2, seed=3, samples=2, k=7, values=[-1, 4], which=0, texts=TEXTS
    )
    question = steer_lab.next_token(PROMPT, edits, 7)
    np.testing.assert_array_equal(found.next_token.edited, question.edited)
    for own, given in ((found.base, ()), (found.steered, edits)):
        expected = steer_lab.samples(PROMPT, given, 2, 5, 1.2, 3)
        assert [one.new_tokens.ids.tolist() for one in own] == [one.new_tokens.ids.tolist() for one in expected]
    swept = steer_lab.sweep(PROMPT, edits, [-1, 4], 5, 1.2, 3, which=0)
    assert [one.text for one in found.sweep] == [one.text for one in swept]
    assert found.values == (-1.0, 4.0)
    np.testing.assert_array_equal(found.side_effect.kls, steer_lab.side_effect(edits, TEXTS).kls)
    assert [one.value for one in found.strengths] == [2, 0]
    assert found.edits == question.edits
    frame = found.to_frame()
    assert len(frame) == sum(map(len, (*found.base, *found.steered)))


def test_without_side_effect_and_without_edits(steer_lab):
    found = steer_lab.compare_steering(PROMPT, (), 4, side_effect=False)
    assert found.side_effect is None
    assert found.sweep == ()
    assert not found.differs()[0].any()
    np.testing.assert_array_equal(found.base[0].logprobs, found.steered[0].logprobs)


@pytest.mark.parametrize("wrong", [{"samples": 0}, {"max_new_tokens": -1}, {"k": 0}, {"top_p": 0}, {"temperature": -1}])
def test_wrong_numbers(steer_lab, wrong):
    with pytest.raises(EditError):
        steer_lab.compare_steering(PROMPT, (), **wrong)


def test_the_bundled_world_has_neutral_texts_of_its_own():
    texts = sw.demo().neutral_texts
    assert len(texts) == 12
    assert texts == sw.demo().neutral_texts
    assert texts != sw.Lab(lambda: None).neutral_texts


def test_a_preview_is_the_next_token_with_the_pass_kept(steer_lab):
    preview = steer_lab.preview(PROMPT)
    for edits in (st.set("sae/3", 2), [st.add("sae/4", 1), st.ablate("sae/3")], st.ablate("sae/3")):
        found, expected = preview.next_token(edits, 7), steer_lab.next_token(PROMPT, edits, 7)
        assert found.ids.tolist() == expected.ids.tolist()
        np.testing.assert_allclose(found.edited, expected.edited, atol=1e-6)
        np.testing.assert_array_equal(found.base, expected.base)
        assert found.reach == expected.reach
    assert preview.next_token().kl == 0
    assert preview.tokens.ids.tolist() == PROMPT
    with pytest.raises(EditError, match="k"):
        preview.next_token(k=0)
