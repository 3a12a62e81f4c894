"""The decoding loop against a naive one of whole passes, brute-force numbers and hand-made distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets import steering as st
from saewidgets.models import LanguageModel
from saewidgets.results import SteeringVector
from saewidgets.steering.generation import Sampling, Writer, _choose
from tests.conftest import ARCHITECTURES
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import HOOK, add_variant, edited_at, fires, kl, make_lab

PROMPT = [0, 5, 9, 40, 41]
VECTOR = SteeringVector(np.random.default_rng(1).normal(size=32), HOOK, "given")
D = torch.from_numpy(VECTOR.direction).float()


def naive(model: Any, edit: Any, n: int, ids: list[int] = PROMPT) -> tuple[list[int], torch.Tensor, torch.Tensor]:
    """Greedy tokens by whole passes with TransformerLens's hooks; logits with and without the edit [new, d_vocab]."""
    ids, edited, base = list(ids), [], []
    for _ in range(n):
        now = torch.tensor([ids])
        with torch.no_grad():
            edited.append(model.run_with_hooks(now, fwd_hooks=[(edited_at(model, HOOK), edit)])[0, -1])
            base.append(model(now)[0, -1])
        ids.append(int(edited[-1].argmax()))
        if ids[-1] == 0:
            break
    return ids[len(PROMPT) :], torch.stack(edited), torch.stack(base)


def adding(start: int, stop: int) -> Any:
    def edit(x, hook):
        moved = torch.zeros(x.shape[1], 1)
        moved[start:stop] = 1
        return x + 2 * moved * D

    return edit


WHERES = {"all": (1, 99), "prompt": (1, 5), "generated": (5, 99), "positions": (6, 8)}


def compare(lab: Lab, model: Any, where: str) -> None:
    start, stop = WHERES[where]
    expected, edited, base = naive(model, adding(start, stop), 10)
    edit = st.add(VECTOR, 2, where=[6, 7] if where == "positions" else where)
    for use_cache in (True, False):
        found = lab.generate(PROMPT, edit, 10, use_cache=use_cache)
        assert found.new_tokens.ids.tolist() == expected
        at = torch.tensor(expected)[:, None]
        for name, logits in (("logprobs", edited), ("base_logprobs", base)):
            want = logits.double().log_softmax(-1).gather(1, at)[:, 0].numpy()
            np.testing.assert_allclose(getattr(found, name), want, atol=2e-4)
        np.testing.assert_allclose(found.kl, kl(base, edited).numpy(), atol=2e-4)
        read = len(PROMPT) + len(expected) - 1
        special = np.array([*PROMPT, *expected])[:read] == 0
        assert found.steered.tolist() == [start <= n < stop and not special[n] for n in range(read)]
    assert hooks_left(model) == 0


@pytest.mark.parametrize("where", WHERES)
def test_equals_naive_loop_with_and_without_cache(any_model, make_tensors, where):
    compare(make_lab(any_model, make_tensors), any_model, where)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_architectures(make_hf_folder, make_tensors, architecture):
    lab = Lab(str(make_hf_folder(architecture)), name="tiny")
    add_variant(lab, make_tensors, "standard")
    compare(lab, lab.models["tiny"].model, "all")


def test_unsteered_has_no_kl_and_no_steered_tokens(any_model, make_tensors):
    lab = make_lab(any_model, make_tensors)
    expected = naive(any_model, lambda x, hook: x, 10)[0]
    for use_cache in (True, False):
        found = lab.generate(PROMPT, (), 10, use_cache=use_cache)
        assert found.new_tokens.ids.tolist() == expected
        assert np.abs(found.kl).max() < 1e-6
        np.testing.assert_allclose(found.logprobs, found.base_logprobs, atol=1e-4)
        assert not found.steered.any()
        assert found.edits == ()


@pytest.mark.parametrize("operation", ["set", "set_if_active", "scale", "ablate", "project_out"])
def test_features_give_the_same_tokens_with_and_without_cache(make_model, make_tensors, operation):
    model = make_model("gpt2")
    lab = make_lab(model, make_tensors)
    edit = getattr(st, operation)(7, *([] if operation in {"ablate", "project_out"} else [4]))
    cached, whole = (lab.generate(PROMPT, edit, 12, use_cache=use) for use in (True, False))
    assert cached.new_tokens.ids.tolist() == whole.new_tokens.ids.tolist()
    np.testing.assert_array_equal(cached.steered, whole.steered)
    np.testing.assert_allclose(cached.kl, whole.kl, atol=1e-4)
    if operation == "set_if_active":
        ids = torch.tensor([[*PROMPT, *cached.new_tokens.ids]])[:, :-1]
        plain = fires(model, lab.saes["sae"], ids)[0, : len(PROMPT), 7] > 0
        assert cached.steered[: len(PROMPT)].tolist() == [bool(yes) and n > 0 for n, yes in enumerate(plain)]


def test_while_active_with_and_without_cache(make_model, make_tensors):
    lab = make_lab(make_model("gpt2"), make_tensors)
    edit = st.add(VECTOR, 3, where=st.while_active(7))
    cached, whole = (lab.generate(PROMPT, edit, 12, use_cache=use) for use in (True, False))
    assert cached.new_tokens.ids.tolist() == whole.new_tokens.ids.tolist()
    np.testing.assert_array_equal(cached.steered, whole.steered)
    assert 0 < cached.steered.sum() < len(cached.steered)


@pytest.mark.parametrize("kind", ["native", "gpt2"])
def test_sweep_equals_separate_texts(make_model, make_tensors, kind):
    lab = make_lab(make_model(kind), make_tensors)
    values = [-8, -1, 0, 2, 8]
    swept = lab.sweep(PROMPT, [st.add(VECTOR, 0.5), st.set(7, 1)], values, 8)
    assert len({tuple(found.new_tokens.ids) for found in swept}) > 1
    for value, found in zip(values, swept, strict=True):
        alone = lab.generate(PROMPT, [st.add(VECTOR, 0.5), st.set(7, value)], 8)
        assert found.new_tokens.ids.tolist() == alone.new_tokens.ids.tolist()
        assert found.edits == alone.edits
        assert found.stopped == alone.stopped
        np.testing.assert_array_equal(found.steered, alone.steered)
        for name in ("logprobs", "base_logprobs", "kl"):
            np.testing.assert_allclose(getattr(found, name), getattr(alone, name), atol=2e-4)


# ---- how a token is drawn --------------------------------------------------------------------------------------------

P = torch.tensor([[0.1, 0.5, 0.15, 0.25]])


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(1.0), [0.1, 0.5, 0.15, 0.25]),
        (Sampling(0.5), (P[0] ** 2 / (P**2).sum()).tolist()),
        (Sampling(1.0, 0.5), [0, 1, 0, 0]),
        (Sampling(1.0, 0.6), [0, 2 / 3, 0, 1 / 3]),
        (Sampling(1.0, 0.76), [0, 0.5 / 0.9, 0.15 / 0.9, 0.25 / 0.9]),
        (Sampling(0.0), [0, 1, 0, 0]),
        (Sampling(1e-3), [0, 1, 0, 0]),
        (Sampling(1.0, 1e-9), [0, 1, 0, 0]),
    ],
)
def test_draws_follow_the_distribution(sampling, expected):
    n = 2000
    draws = _choose(P.log().expand(n, -1), sampling, (torch.arange(n).double()[:, None] + 0.5) / n).tolist()
    found = np.bincount(draws, minlength=4) / n
    np.testing.assert_allclose(found, expected, atol=2 / n)
    assert int(_choose(P.log(), sampling, torch.tensor([[1 - 2**-24]]))) in np.nonzero(expected)[0]
    assert int(_choose(P.log(), sampling, torch.tensor([[0.0]]))) == 1


def test_seed_repeats_and_other_seeds_differ(make_model, make_tensors):
    lab = make_lab(make_model("gpt2"), make_tensors)
    texts = [lab.generate(PROMPT, (), 12, 1.0, seed).new_tokens.ids.tolist() for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]
    state = torch.random.get_rng_state()
    lab.generate(PROMPT, (), 4, 1.0, 3)
    assert torch.equal(torch.random.get_rng_state(), state)


# ---- where a text ends -----------------------------------------------------------------------------------------------


def test_length_context_and_nothing(make_model, make_tensors):
    lab = make_lab(make_model("gpt2"), make_tensors)
    nothing = lab.generate(PROMPT, st.add(VECTOR, 1), 0)
    assert (len(nothing), nothing.text, nothing.stopped, len(nothing.kl)) == (0, "", "length", 0)
    assert len(nothing.steered) == len(PROMPT)
    for use_cache in (True, False):
        full = lab.generate(PROMPT, (), 999, use_cache=use_cache)
        assert full.stopped in {"length", "eos"}
        assert len(full) == 32 - len(PROMPT) or full.stopped == "eos"
    assert len(lab.generate([5] * 32, (), 9)) == 0


def test_stop_string_over_two_tokens_and_eos(make_model, make_tensors, monkeypatch):
    lab = make_lab(make_model("gpt2"), make_tensors)
    texts = [lab.generate(PROMPT, (), 8, 1.0, seed) for seed in range(40)]
    free = next(each for each in texts if b"".join(each.new_tokens.pieces[:3]).isascii() and len(each) == 8)
    pieces = free.new_tokens.strings
    joint, seed = pieces[1][-1] + pieces[2][0], free.seed
    assert joint not in pieces[0] + pieces[1]
    stopped = lab.generate(PROMPT, (), 8, 1.0, seed, stop=joint)
    assert (stopped.stopped, len(stopped)) == ("stop", 3)
    assert stopped.new_tokens.ids.tolist() == free.new_tokens.ids[:3].tolist()
    assert lab.generate(PROMPT, (), 8, 1.0, seed, stop=["never there", joint]).stopped == "stop"
    vocabulary = lab.models["tiny"].vocabulary
    monkeypatch.setattr(vocabulary, "special_ids", frozenset({int(free.new_tokens.ids[1])}))
    ended = lab.generate(PROMPT, (), 8, 1.0, seed)
    assert (ended.stopped, len(ended)) == ("eos", 2)


def test_row_that_has_ended_waits_for_the_others(make_model, make_tensors):
    lab = make_lab(make_model("gpt2"), make_tensors)
    free = lab.sweep(PROMPT, st.add(VECTOR, 1), [0, 6], 8)
    only = next(p for p in free[0].new_tokens.strings if p not in free[1].text)
    swept = lab.sweep(PROMPT, st.add(VECTOR, 1), [0, 6], 8, stop=only)
    assert [found.stopped for found in swept] == ["stop", "length"]
    assert swept[1].new_tokens.ids.tolist() == free[1].new_tokens.ids.tolist()
    assert len(swept[0]) < 8
    assert len(swept[0].kl) == len(swept[0].logprobs) == len(swept[0])


# ---- what is told while it is written --------------------------------------------------------------------------------


def test_each_token_is_told_in_order_and_false_ends(make_model, make_tensors):
    lab = make_lab(make_model("gpt2"), make_tensors)
    seen: list[Any] = []
    found = lab.generate(PROMPT, (), 6, on_token=seen.append)
    assert [new.id for new in seen] == found.new_tokens.ids.tolist()
    assert [new.position for new in seen] == list(range(5, 11))
    np.testing.assert_allclose([new.logprob for new in seen], found.logprobs, atol=1e-6)
    cancelled = lab.generate(PROMPT, (), 6, on_token=lambda new: new.position < 7)
    assert (cancelled.stopped, len(cancelled)) == ("cancelled", 3)
    assert cancelled.new_tokens.ids.tolist() == found.new_tokens.ids[:3].tolist()
    rows = []
    lab.sweep(PROMPT, st.add(VECTOR, 1), [0, 1], 2, on_token=lambda new: rows.append((new.row, new.position)))
    assert rows == [(0, 5), (1, 5), (0, 6), (1, 6)]


def test_error_in_the_callback_reaches_the_caller(make_model, make_tensors):
    model = make_model("gpt2")
    lab, base = make_lab(model, make_tensors), model(torch.tensor([PROMPT]))

    def fail(new):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lab.generate(PROMPT, st.add(VECTOR, 3), 6, on_token=fail)
    assert hooks_left(model) == 0
    assert torch.equal(model(torch.tensor([PROMPT])), base)


def test_characters_of_several_tokens_arrive_whole(bridge):
    model = LanguageModel(bridge)
    text = "a caf\u00e9 \U0001f600 \u732b!"
    ids, pieces = model.vocabulary.encode(text)
    assert any(b"\xf0" in piece and b"\x80" not in piece for piece in pieces)
    writer = Writer(model, 0, ())
    shown = [writer.write(each, n, 0.0).text for n, each in enumerate(ids)]
    assert "".join(shown) == text == writer.text
    assert "" in shown
    assert all("\ufffd" not in piece for piece in shown)
