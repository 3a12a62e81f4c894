"""Whatever goes wrong while a model is steered, only the one who steers notices, and nothing is left in the model."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import threading
from typing import Any

import pytest
import torch

from saewidgets.errors import EditError, HookPointError
from saewidgets.models import LanguageModel
from saewidgets.models.steered import Steered
from tests.models.test_language_model import hooks_left
from tests.steering.by_hand import edited_at

HOOK = "blocks.0.hook_resid_post"
MID = "blocks.1.hook_resid_mid"
IDS = torch.tensor([[0, 5, 9, 40, 41]])
D = torch.linspace(-1, 1, 32)


class Bench:
    """A model and what it says without edits."""

    def __init__(self, model: Any) -> None:
        self.raw, self.model = model, LanguageModel(model)
        self.base = self.logits()
        self.hooks = self.count()

    def logits(self, model: Any = None) -> torch.Tensor:
        with torch.no_grad():
            return (model or self.raw)(IDS)

    def adding(self, amount: float, hook: str = HOOK) -> Steered:
        return self.model.steered([(self.model.site(hook), lambda x, now: amount * D.to(x).expand_as(x))])

    def expected(self, amounts: dict[str, float]) -> torch.Tensor:
        def at(amount: float) -> Any:
            return lambda x, hook: x + amount * D

        hooks = [(edited_at(self.raw, name), at(amount)) for name, amount in amounts.items()]
        with torch.no_grad():  # in a context of its own, where nothing is steered
            return contextvars.Context().run(lambda: self.raw.run_with_hooks(IDS, fwd_hooks=hooks))

    def is_steered(self, **amounts: float) -> bool:
        return torch.allclose(self.logits(), self.expected({HOOK: sum(amounts.values())}), atol=1e-4)

    def count(self) -> int:
        modules = self.raw.modules()
        return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in modules)

    def is_clean(self) -> bool:
        return self.count() == self.hooks and hooks_left(self.raw) == 0 and torch.equal(self.logits(), self.base)


@pytest.fixture
def bench(make_model):
    return Bench(make_model("native"))


@pytest.mark.parametrize("hook", [HOOK, MID, "hook_embed", "blocks.1.hook_attn_out"])
def test_the_users_own_pass_is_steered_inside_and_clean_after(any_model, hook):
    bench = Bench(any_model)
    with bench.adding(3, hook):
        torch.testing.assert_close(bench.logits(), bench.expected({hook: 3}), rtol=0, atol=1e-4)
        assert not torch.equal(bench.logits(), bench.base)
    assert bench.is_clean()


def test_pass_tells_ids_and_first_position(bench):
    seen = []
    changes = [(bench.model.site(HOOK), lambda x, now: seen.append((x.dtype, x.shape, now)))]
    with bench.model.steered(changes, lambda: 7):
        assert torch.equal(bench.logits(), bench.base)
        bench.raw(input=IDS[:, :2])
    (dtype, shape, now), (_, _, other) = seen
    assert (dtype, tuple(shape), now.first) == (torch.float32, (1, 5, 32), 7)
    assert torch.equal(now.ids, IDS)
    assert torch.equal(other.ids, IDS[:, :2])


def test_mid_is_read_as_the_residual_stream_and_not_as_what_is_added_to_it(any_model):
    bench, seen = Bench(any_model), []
    with bench.model.steered([(bench.model.site(MID), lambda x, now: seen.append(x))]):
        bench.logits()
    torch.testing.assert_close(seen[0], any_model.run_with_cache(IDS)[1][MID], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("order", [1, -1])
def test_mid_is_read_with_what_was_added_where_its_block_begins(any_model, order):
    bench, seen = Bench(any_model), []
    pre = (bench.model.site("blocks.1.hook_resid_pre"), lambda x, now: 3 * D.expand_as(x))
    with bench.model.steered([pre, (bench.model.site(MID), lambda x, now: seen.append(x))][::order]):
        bench.logits()
    with bench.model.steered([pre]):
        expected = any_model.run_with_cache(IDS)[1][MID]
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-5)
    assert bench.is_clean()


def test_pass_that_begins_above_the_embedding_is_told_its_ids(bench):
    embedded, seen = bench.raw.run_with_cache(IDS)[1]["blocks.0.hook_resid_pre"], []
    with Steered(bench.raw, [(bench.model.site(HOOK), lambda x, now: seen.append(now) or 3 * D.expand_as(x))], ids=IDS):
        steered = bench.raw.blocks[0](embedded)
    plain = bench.raw.blocks[0](embedded)
    steered, plain = (each[0] if isinstance(each, tuple) else each for each in (steered, plain))
    torch.testing.assert_close(steered, plain + 3 * D, rtol=0, atol=1e-5)
    assert torch.equal(seen[0].ids, IDS)
    assert bench.is_clean()


def test_rows_that_do_not_move_keep_their_bits(bench):
    def half(x, now):
        return D.expand_as(x) * (torch.arange(5) == 3)[:, None]

    plain = bench.model.read(IDS, [HOOK])[HOOK]
    with bench.model.steered([(bench.model.site(HOOK), half)]):
        steered = bench.model.read(IDS, [HOOK])[HOOK]
    assert torch.equal(steered != plain, ((torch.arange(5) == 3)[:, None] & (D != 0))[None])


# ---- faults in an edit -----------------------------------------------------------------------------------------------

FAULTS = [
    ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, MemoryError, StopIteration, RecursionError,
    asyncio.CancelledError,
]  # fmt: skip


@pytest.mark.parametrize("hook", [HOOK, MID])
@pytest.mark.parametrize("fault", FAULTS)
def test_error_in_an_edit_reaches_the_caller_and_nothing_is_left(any_model, fault, hook):
    bench = Bench(any_model)

    def fail(x, now):
        raise fault("in an edit")

    context = bench.model.steered([(bench.model.site(HOOK), lambda x, now: x), (bench.model.site(hook), fail)])
    with pytest.raises(fault, match="in an edit"), context:
        bench.logits()
    assert bench.is_clean()
    with pytest.raises(fault), context:  # and it can be entered again
        bench.logits()
    assert bench.is_clean()


def test_error_between_passes_leaves_nothing(bench):
    def fail():
        with bench.adding(3):
            bench.logits()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert bench.is_clean()


def test_change_of_the_wrong_shape_is_the_callers_error_and_nothing_is_left(bench):
    context = bench.model.steered([(bench.model.site(HOOK), lambda x, now: x[..., :3])])
    with pytest.raises(RuntimeError), context:
        bench.logits()
    assert bench.is_clean()


def test_activation_that_is_not_one_vector_a_token(bench):
    context = bench.model.steered([(bench.model.site("blocks.0.attn.hook_pattern"), lambda x, now: x)])
    with pytest.raises(EditError, match="not one vector a token"), context:
        bench.logits()
    assert bench.is_clean()


def test_hook_point_that_is_not_there(bench):
    with pytest.raises(HookPointError, match="no such hook point"):
        bench.model.site("blocks.7.hook_resid_post")
    assert bench.is_clean()


def test_pass_without_token_ids(bench):
    embedded = bench.raw.run_with_cache(IDS)[1]["hook_embed"]
    with pytest.raises(EditError, match="token ids"), bench.adding(3):
        bench.raw.blocks[0](embedded)
    assert bench.is_clean()


# ---- contexts in contexts --------------------------------------------------------------------------------------------


def test_nested_add_up(bench):
    with bench.adding(1):
        with bench.adding(2):
            assert bench.is_steered(a=1, b=2)
        assert bench.is_steered(a=1)
    assert bench.is_clean()


def test_left_in_another_order(bench):
    first, second = bench.adding(1), bench.adding(2)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert bench.is_steered(b=2)
    second.__exit__(None, None, None)
    assert bench.is_clean()


def test_entered_again_changes_nothing_more(bench):
    context = bench.adding(2)
    with context:
        with context:
            assert bench.is_steered(a=2)
        assert bench.is_steered(a=2)
    assert bench.is_clean()
    with context:
        assert bench.is_steered(a=2)
    assert bench.is_clean()


def test_two_models_do_not_disturb_each_other(make_model):
    one, other = Bench(make_model("native")), Bench(make_model("native"))
    with one.adding(1), other.adding(2):
        assert one.is_steered(a=1)
        assert other.is_steered(b=2)
    assert one.is_clean()
    assert other.is_clean()


# ---- threads and tasks -----------------------------------------------------------------------------------------------


def test_two_threads_steer_differently_and_a_bystander_is_not_steered(bench):
    expected = {amount: bench.expected({HOOK: amount}) for amount in (1, 2)}
    ready, wrong = threading.Barrier(3, timeout=20), []

    def steer(amount: int) -> None:
        for _ in range(5):
            with bench.adding(amount):
                ready.wait()
                for _ in range(4):
                    if not torch.allclose(bench.logits(), expected[amount], atol=1e-4):
                        wrong.append(amount)
                ready.wait()

    threads = [threading.Thread(target=steer, args=(amount,)) for amount in (1, 2)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        ready.wait()
        wrong += [0 for _ in range(4) if not torch.equal(bench.logits(), bench.base)]
        ready.wait()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert bench.is_clean()


def test_one_context_entered_by_two_threads(bench):
    context, results = bench.adding(2), []

    def steer() -> None:
        with context:
            results.append(bench.is_steered(a=2))

    with context:
        thread = threading.Thread(target=steer)
        thread.start()
        thread.join()
        assert bench.is_steered(a=2)
    assert results == [True]
    assert bench.is_clean()


def test_thread_that_is_started_inside_is_not_steered(bench):
    found = []
    with bench.adding(2):
        thread = threading.Thread(target=lambda: found.append(bench.logits()))
        thread.start()
        thread.join()
    assert torch.equal(found[0], bench.base)


def test_two_tasks_that_take_turns(bench):
    expected = {amount: bench.expected({HOOK: amount}) for amount in (1, 2)}
    wrong = []

    async def steer(amount: int) -> None:
        with bench.adding(amount):
            for _ in range(4):
                await asyncio.sleep(0)
                if not torch.allclose(bench.logits(), expected[amount], atol=1e-4):
                    wrong.append(amount)

    async def look() -> None:
        for _ in range(4):
            await asyncio.sleep(0)
            if not torch.equal(bench.logits(), bench.base):
                wrong.append(0)

    async def main() -> None:
        await asyncio.gather(steer(1), look(), steer(2))

    asyncio.run(main())
    assert wrong == []
    assert bench.is_clean()


# ---- contexts that are never left ------------------------------------------------------------------------------------


def test_abandoned_generator(bench):
    def stream():
        with bench.adding(3):
            while True:
                yield bench.logits()

    running = stream()
    assert not torch.equal(next(running), bench.base)
    del running
    gc.collect()
    assert bench.is_clean()


def test_context_that_is_dropped_without_being_left(bench):
    bench.adding(3).__enter__()
    gc.collect()
    assert bench.is_clean()


def test_copy_of_the_model_made_inside_is_unsteered(any_model):
    bench = Bench(any_model)
    with bench.adding(3):
        clone = copy.deepcopy(bench.raw)
        assert torch.equal(bench.logits(clone), bench.base)
        assert not torch.equal(bench.logits(), bench.base)
    assert torch.equal(bench.logits(clone), bench.base)
    other = Bench(clone)
    with other.adding(2):
        assert other.is_steered(a=2)
    assert torch.equal(other.logits(), bench.base)


# ---- the user's own hooks --------------------------------------------------------------------------------------------


def test_users_reset_hooks_and_run_with_cache_inside(any_model):
    bench = Bench(any_model)
    with bench.adding(3):
        any_model.reset_hooks()
        steered = bench.logits()
        logits, cache = any_model.run_with_cache(IDS)
        assert torch.equal(logits, steered)
        assert torch.equal(bench.logits(), steered)
    plain = any_model.run_with_cache(IDS)[1][HOOK]
    torch.testing.assert_close(cache[HOOK], plain + 3 * D, rtol=0, atol=1e-5)
    torch.testing.assert_close(steered, bench.expected({HOOK: 3}), rtol=0, atol=1e-4)
    assert bench.is_clean()


def test_users_hooks_act_inside_and_after(bench):
    calls = []
    point = bench.raw.hook_dict[HOOK]
    handle = point.register_forward_hook(lambda module, args, output: calls.append(1))
    bench.raw.add_hook(HOOK, lambda x, hook: x * 2)
    doubled, hooks = bench.logits(), bench.count()
    assert not torch.equal(doubled, bench.base)
    with bench.adding(3):
        assert not torch.equal(bench.logits(), doubled)
    assert torch.equal(bench.logits(), doubled)
    assert bench.count() == hooks
    assert len(calls) == 3
    handle.remove()
    bench.raw.reset_hooks()
    assert bench.is_clean()


def test_hooks_that_the_user_adds_inside_stay(bench):
    with bench.adding(3):
        bench.raw.add_hook(HOOK, lambda x, hook: x * 0)
    zeroed = bench.logits()
    assert not torch.equal(zeroed, bench.base)
    assert hooks_left(bench.raw) == 0
    bench.raw.reset_hooks()
    assert bench.is_clean()
