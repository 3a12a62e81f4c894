"""The metric: one number of the logits at the end of a prompt, in words and in numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from saewidgets.analysis.metrics import make_metric
from saewidgets.errors import TargetError
from saewidgets.models import LanguageModel

LOGITS = torch.randn(3, 4, 321, generator=torch.Generator().manual_seed(0))
LAST = LOGITS[:, -1]


@pytest.fixture
def model(bridge):
    return LanguageModel(bridge)


def test_against_the_mean_logit(model):
    metric = make_metric(model, 7)
    assert torch.allclose(metric(LOGITS), LAST[:, 7] - LAST.mean(-1))
    assert metric.text == f"logit({model.token_text(7)!r}) \N{MINUS SIGN} mean logit"
    assert (metric.target, metric.baseline, metric.n_last, metric.appended) == ((7,), None, 1, ())


def test_against_a_baseline(model):
    metric = make_metric(model, 7, 9, "logit_difference")
    assert torch.equal(metric(LOGITS), LAST[:, 7] - LAST[:, 9])
    texts = [repr(model.token_text(i)) for i in (7, 9)]
    assert metric.text == f"logit({texts[0]}) \N{MINUS SIGN} logit({texts[1]})"
    assert metric.baseline == 9


def test_log_probability(model):
    metric = make_metric(model, 7, metric="log_prob")
    assert torch.allclose(metric(LOGITS), LAST[:, 7] - LAST.exp().sum(-1).log())
    assert metric.text == f"log p({model.token_text(7)!r})"
    against = make_metric(model, 7, 9, "log_prob")
    assert torch.allclose(against(LOGITS), LAST[:, 7] - LAST[:, 9], atol=1e-5)
    assert against.text.endswith(f"\N{MINUS SIGN} log p({model.token_text(9)!r})")


def test_several_targets_are_summed_each_at_its_own_position(model):
    metric = make_metric(model, [7, 9, 11])
    probabilities = LOGITS[:, -3:].softmax(-1)
    expected = torch.stack([probabilities[:, n, token].log() for n, token in enumerate((7, 9, 11))]).sum(0)
    assert torch.allclose(metric(LOGITS[:, -3:]), expected, atol=1e-5)
    assert (metric.target, metric.appended, metric.n_last) == ((7, 9, 11), (7, 9), 3)
    assert "summed" in metric.text
    assert all(repr(model.token_text(i)) in metric.text for i in (7, 9, 11))


@pytest.mark.parametrize("several", [[7, 9], (7, 9), np.array([7, 9]), torch.tensor([7, 9])], ids=type)
def test_several_targets_in_any_container(model, several):
    assert make_metric(model, several).target == (7, 9)


@pytest.mark.parametrize("one", [[7], (7,), np.array([7])], ids=type)
def test_a_list_of_one_is_one_target(model, one):
    metric = make_metric(model, one, 9)
    assert torch.equal(metric(LOGITS), LAST[:, 7] - LAST[:, 9])


def test_texts_are_tokens(model):
    token_id, text = model.complete(" th", 1)[0]
    assert make_metric(model, text).target == (token_id,)
    assert make_metric(model, 7, text).baseline == token_id
    assert make_metric(model, [text, 7]).target == (token_id, 7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_widened_first(model, dtype):
    logits = LOGITS.to(dtype)
    for metric in (make_metric(model, 7), make_metric(model, 7, metric="log_prob")):
        assert metric(logits).dtype == torch.float32
        assert torch.equal(metric(logits), metric(logits.float()))


def test_double_precision_stays(model):
    assert make_metric(model, 7)(LOGITS.double()).dtype == torch.float64


def test_own_function_sees_one_prompt_at_a_time(model):
    shapes = []

    def mine(logits):
        shapes.append(tuple(logits.shape))
        return logits[0, -1, 5] - logits[0, 0, 6]

    metric = make_metric(model, None, metric=mine)
    assert torch.equal(metric(LOGITS), LOGITS[:, -1, 5] - LOGITS[:, 0, 6])
    assert shapes == [(1, 4, 321)] * 3
    assert (metric.text, metric.target, metric.n_last) == ("mine(logits)", (), None)


def test_own_function_may_keep_dimensions_and_name_a_target(model):
    class Loss:
        def __call__(self, logits):
            return logits[:, -1:, 5:6]

    metric = make_metric(model, 7, 9, Loss())
    assert torch.equal(metric(LOGITS), LAST[:, 5])
    assert (metric.text, metric.target, metric.baseline) == ("Loss(logits)", (7,), 9)


@pytest.mark.parametrize(
    ("wrong", "shown"),
    [
        (lambda logits: logits, r"shape \[1, 4, 321\]"),
        (lambda logits: logits[0, -1], r"shape \[321\]"),
        (lambda logits: float(logits[0, -1, 0]), "float"),
        (lambda logits: None, "NoneType"),
        (lambda logits: logits[0, -1, :0], r"shape \[0\]"),
    ],
)
def test_own_function_that_gives_no_number(model, wrong, shown):
    with pytest.raises(TargetError, match=rf"not give one number[\s\S]*{shown}[\s\S]*\[1, 4, 321\]"):
        make_metric(model, None, metric=wrong)(LOGITS)


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"target": []}, "no target"),
        ({"target": [7, 9], "baseline": 3}, "sum of their log-prob[\\s\\S]*a baseline"),
        ({"target": [7, 9], "metric": "logit_difference"}, "sum of their log-prob"),
        ({"target": 7, "metric": "loss"}, "no such metric[\\s\\S]*'loss'"),
        ({"target": 7, "metric": 3}, "no such metric"),
        ({"target": 321}, r"not a token[\s\S]*321[\s\S]*0\.\.320"),
        ({"target": None}, "not a token"),
        ({"target": 7, "baseline": -1}, "not a token"),
        ({"target": 7, "baseline": " the cat"}, "not one token"),
        ({"target": [7, " the cat"]}, "not one token"),
        ({"target": {7}}, "not a token"),
    ],
)
def test_what_cannot_be_used(model, arguments, shown):
    with pytest.raises(TargetError, match=shown):
        make_metric(model, **arguments)
