"""Whatever interrupts steering through a lab: afterwards the model says what it said, and has the hooks that it had."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import random
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import steering as st
from saewidgets.models.steered import in_steered_context
from saewidgets.results import SteeringVector
from saewidgets.steering.preview import Preview
from saewidgets.widgets.worker import Job, worker_of
from tests.models.test_language_model import hooks_left
from tests.models.test_steered_interrupts import _is_finalizing
from tests.steering.by_hand import logits_with, make_lab

PROMPT = [0, 5, 9, 40, 41]
IDS = torch.tensor([PROMPT])
LOW, LATE = "blocks.0.attn.hook_z", "blocks.1.hook_resid_post"
VECTOR = SteeringVector(np.linspace(-1, 1, 32), LOW, "low")
OTHER = SteeringVector(np.cos(np.arange(32.0)), "blocks.0.hook_resid_post", "other")
EDITS = [st.add(VECTOR, 4), st.set("sae/3", 2)]
TEXTS = [[0, 5, 9, 40], [0, 7, 33]]


class Tiny:
    """A lab of a model that nobody else has, what it says without edits, and how many hooks it has."""

    def __init__(self, model: Any, make_tensors: Any) -> None:
        self.model, self.lab = model, make_lab(model, make_tensors, hook=LATE)
        self.reader = next(iter(self.lab.models.values()))
        self.plan = self.lab.plan(EDITS)
        self.preview = Preview(self.reader, self.reader.tokenize(PROMPT))
        self.base, self.hooks = self.logits(), self.count()

    @torch.no_grad()
    def logits(self, model: Any = None) -> torch.Tensor:
        return (model or self.model)(IDS)

    def steer(self) -> torch.Tensor:
        with self.lab.steering(EDITS):
            return self.logits()

    def count(self) -> int:
        return sum(len(each._forward_hooks) + len(each._forward_pre_hooks) for each in self.model.modules())

    def is_clean(self) -> bool:
        same = self.count() == self.hooks and hooks_left(self.model) == 0 and not in_steered_context()
        return same and torch.equal(self.logits(), self.base)


@pytest.fixture
def tiny(make_model, make_tensors):
    return Tiny(make_model("native"), make_tensors)


@pytest.fixture
def cached(make_model, make_tensors):
    """With keys and values that are kept."""
    return Tiny(make_model("gpt2"), make_tensors)


@pytest.fixture(autouse=True)
def gradients():
    """An interrupt at the entry of ``torch.no_grad().__exit__`` leaves gradients off: torch's own, about 1 in 1,500."""
    enabled = torch.is_grad_enabled()
    yield
    torch.set_grad_enabled(enabled)


@pytest.fixture
def unraised(monkeypatch):
    """What was raised where Python passes nothing on, such as in a finalizer."""
    found: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", found.append)
    return found


CALLS: dict[str, Callable[[Tiny], Any]] = {
    "generate": lambda tiny: tiny.lab.generate(PROMPT, EDITS, 2),
    "sweep": lambda tiny: tiny.lab.sweep(PROMPT, EDITS, [0, 2], 2),
    "next_token": lambda tiny: tiny.lab.next_token(PROMPT, EDITS),
    "side_effect": lambda tiny: tiny.lab.side_effect(EDITS, TEXTS),
    "preview": lambda tiny: tiny.preview.next_token(tiny.plan),
    "steering": lambda tiny: tiny.steer(),
}


def numbers(found: Any) -> list[torch.Tensor]:
    """All that a result says."""
    if isinstance(found, torch.Tensor):
        return [found]
    if isinstance(found, tuple) and not hasattr(found, "_fields"):
        return [each for one in found for each in numbers(one)]
    names = ("logprobs", "base_logprobs", "kl", "base", "edited", "steered_ce", "steered")
    return [torch.as_tensor(getattr(found, name)) for name in names if hasattr(found, name)]


def same(found: Any, expected: Any) -> bool:
    return all(map(torch.equal, numbers(found), numbers(expected)))


# ---- signals ---------------------------------------------------------------------------------------------------------


def passes_through(trace: TracebackType | None) -> bool:
    """Whether an exception came from within our code or the model's, and not from the test itself."""
    while trace is not None:
        if any(part in trace.tb_frame.f_code.co_filename for part in ("/saewidgets/", "/torch/", "/transformer_lens/")):
            return True
        trace = trace.tb_next
    return False


def interrupt_after(delay: float, run: Callable[[], Any]) -> BaseException | None:
    """The KeyboardInterrupt that a real signal raised in a run, or None where it came too late.

    It is kept, as IPython keeps the last exception with all its frames.
    """
    try:
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            run()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except KeyboardInterrupt as interrupt:
        return interrupt
    return None


@pytest.fixture
def alarm():
    """The timer's signal does what Ctrl-C does."""
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timer on this system")
@pytest.mark.parametrize("name", CALLS)
def test_forty_signals_at_random_moments(tiny, alarm, unraised, name):
    def run() -> Any:
        return CALLS[name](tiny)

    run()
    started = time.perf_counter()
    expected = run()
    duration, draws, hits = time.perf_counter() - started, random.Random(name), 0
    for _ in range(1000):
        interrupt = interrupt_after(draws.uniform(0.01, 0.95) * duration, run)
        if interrupt is None or not passes_through(interrupt.__traceback__):
            continue
        hits += 1
        assert (tiny.count(), hooks_left(tiny.model)) == (tiny.hooks, 0), hits
        assert torch.equal(tiny.logits(), tiny.base), hits
        if hits % 8 == 0:
            assert same(run(), expected), hits
        if hits == 40:
            break
    assert hits == 40
    assert same(run(), expected)
    assert tiny.is_clean()


class InterruptAt:
    """A trace function that raises KeyboardInterrupt at one of the points that a run passes.

    Points are every instruction of what attaches and detaches, and every call and line of anything else of ours, of
    torch and of the model.
    """

    def __init__(self, at: int) -> None:
        self.at, self.passed = at, 0

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        name = frame.f_code.co_filename
        if event == "return" or not any(part in name for part in ("/saewidgets/", "/torch/nn/", "/transformer_lens/")):
            return None
        if _is_finalizing(frame):
            return None
        frame.f_trace_opcodes = name.endswith(("models/hooks.py", "models/steered.py"))
        self.passed += 1
        if self.passed == self.at:
            sys.settrace(None)
            raise KeyboardInterrupt
        return self if "/saewidgets/" in name else None


def interrupt_at(at: int, run: Callable[[], Any]) -> tuple[BaseException | None, int]:
    """The exception of a run that is interrupted at a point, and how many points it passed."""
    interrupt, before, found = InterruptAt(at), sys.gettrace(), None
    gc.disable()
    try:
        sys.settrace(interrupt)
        run()
    except KeyboardInterrupt as error:
        found = error
    finally:
        sys.settrace(before)
        gc.enable()
    return found, interrupt.passed


@pytest.mark.parametrize(("name", "n_points"), [("generate", 225), ("preview", 100), ("side_effect", 75)])
def test_interrupt_at_random_instructions_while_the_exception_is_kept(tiny, unraised, name, n_points):
    def run() -> Any:
        return CALLS[name](tiny)

    run()
    expected = run()
    whole, landed = interrupt_at(-1, run)[1], 0
    for n, at in enumerate(random.Random(name).sample(range(1, whole + 1), n_points)):
        found, _ = contextvars.copy_context().run(interrupt_at, at, run) if n % 2 else interrupt_at(at, run)
        assert found or unraised, at
        landed += found is not None
        assert (tiny.count(), hooks_left(tiny.model)) == (tiny.hooks, 0), at
        assert torch.equal(tiny.logits(), tiny.base), at
    assert landed >= 0.9 * n_points
    assert same(run(), expected)
    assert tiny.is_clean()


@pytest.mark.parametrize("hook", [LOW, LATE])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_error_in_mid_forward(tiny, name, hook, fault):
    """Raised by a hook of the user's own, which ours must outlive and leave alone."""
    expected = CALLS[name](tiny)
    point = tiny.reader.resolve(hook)

    def fail(module, args, output):
        raise fault("in mid-forward")

    handle = point.register_forward_hook(fail)
    hooks = tiny.count()
    with pytest.raises(fault, match="in mid-forward"):
        CALLS[name](tiny)
    assert (tiny.count(), hooks_left(tiny.model)) == (hooks, 0)
    handle.remove()
    assert tiny.is_clean()
    assert same(CALLS[name](tiny), expected)


# ---- texts that end early --------------------------------------------------------------------------------------------


def ids_of(found: Any) -> list[int]:
    return found.new_tokens.ids.tolist()


@pytest.mark.parametrize("way", ["false", "error"])
def test_stream_that_ends_at_each_of_its_tokens(cached, way):
    whole = cached.lab.generate(PROMPT, EDITS, 6)
    for last in range(6):
        seen: list[int] = []

        def stop(new, last=last, seen=seen):
            seen.append(new.id)
            if len(seen) <= last:
                return True
            if way == "error":
                raise ZeroDivisionError
            return False

        if way == "error":
            with pytest.raises(ZeroDivisionError):
                cached.lab.generate(PROMPT, EDITS, 6, on_token=stop)
        else:
            found = cached.lab.generate(PROMPT, EDITS, 6, on_token=stop)
            assert (found.stopped, ids_of(found)) == ("cancelled", seen)
        assert seen == ids_of(whole)[: last + 1]
        assert cached.is_clean()
    assert same(cached.lab.generate(PROMPT, EDITS, 6), whole)


def test_text_that_is_dropped_half_way(cached):
    writing = cached.lab.writing(PROMPT, EDITS, max_new_tokens=6)
    writing.step()
    writing.step()
    gone = weakref.ref(writing)
    assert cached.is_clean()
    del writing
    gc.collect()
    assert gone() is None
    assert cached.is_clean()


@pytest.mark.parametrize("kind", ["native", "gpt2"])
def test_text_whose_step_failed_keeps_what_is_written_and_does_not_go_on(make_model, make_tensors, kind):
    """Its last token is half in the cache: what would follow is of another text."""
    tiny = Tiny(make_model(kind), make_tensors)
    whole = tiny.lab.generate(PROMPT, EDITS, 6)
    writing = tiny.lab.writing(PROMPT, EDITS, max_new_tokens=6)
    written = writing.step() + writing.step()

    def fail(module, args, output):
        raise KeyboardInterrupt

    handle = tiny.reader.resolve(LATE).register_forward_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        writing.step()
    handle.remove()
    assert tiny.is_clean()
    (found,) = writing.results()
    assert ids_of(found) == [new.id for new in written] == ids_of(whole)[:2]
    np.testing.assert_array_equal(found.logprobs, whole.logprobs[:2])
    np.testing.assert_allclose(found.kl, whole.kl[:2], atol=1e-6)
    assert (writing.finished, writing.step(), found.stopped) == (True, [], "cancelled")


def test_model_inside_of_on_token_is_not_steered_and_hooks_there_are_the_users(tiny):
    expected = tiny.lab.generate(PROMPT, EDITS, 4)
    calls: list[int] = []

    def look(new):
        assert tiny.count() == tiny.hooks + (new.position > 5)
        if new.position == 5:
            tiny.model.hook_dict[LATE].register_forward_hook(lambda module, args, output: calls.append(1))
        else:
            tiny.model.reset_hooks()
        assert torch.equal(tiny.logits(), tiny.base)
        assert torch.equal(tiny.model.run_with_cache(IDS)[0], tiny.base)

    found = tiny.lab.generate(PROMPT, EDITS, 4, on_token=look)
    assert ids_of(found) == ids_of(expected)
    assert hooks_left(tiny.model) == 0
    assert tiny.count() == tiny.hooks + 1
    before = len(calls)
    assert torch.equal(tiny.logits(), tiny.base)
    assert len(calls) == before + 1


# ---- contexts in contexts --------------------------------------------------------------------------------------------


def test_generation_inside_of_steering_has_both_edits(tiny):
    both = tiny.lab.generate(PROMPT, [st.add(OTHER, 3), *EDITS], 5)
    with tiny.lab.steering(st.add(OTHER, 3)):
        inside = tiny.lab.generate(PROMPT, EDITS, 5)
        compared = tiny.preview.next_token(tiny.plan)
        whole = tiny.lab.next_token(PROMPT, EDITS)
        assert in_steered_context()
    assert ids_of(inside) == ids_of(both)
    np.testing.assert_allclose(inside.logprobs, both.logprobs, atol=1e-5)
    assert same(compared, whole)
    assert tiny.is_clean()


def test_contexts_left_in_any_order_each_take_their_own_edit_along(tiny):
    hooks = ["blocks.0.hook_resid_post", "blocks.1.attn.hook_z", LOW, LATE]
    vectors = [SteeringVector(np.sin(np.arange(32.0) + n), hook, str(n)) for n, hook in enumerate(hooks)]
    draws = random.Random(0)
    plain = (IDS != 0)[..., None]
    for _ in range(6):
        entered: dict[int, Any] = {}
        for n in draws.sample([*range(4)] * 2, 8):
            if n in entered:
                entered.pop(n).__exit__(None, None, None)
            else:
                entered[n] = tiny.lab.steering(st.add(vectors[n], 1 + n))
                entered[n].__enter__()
            added = {hooks[n]: plain * (1 + n) * torch.from_numpy(vectors[n].direction).float() for n in entered}
            expected = contextvars.Context().run(logits_with, tiny.model, added, IDS)
            torch.testing.assert_close(tiny.logits(), expected, rtol=1e-4, atol=1e-4)
        assert tiny.is_clean()


def test_copy_of_the_model_made_while_a_text_is_written(tiny, make_tensors):
    expected, clones = tiny.lab.generate(PROMPT, EDITS, 3), []
    with tiny.lab.steering(st.add(OTHER, 3)):
        tiny.lab.generate(PROMPT, EDITS, 2, on_token=lambda new: clones.append(copy.deepcopy(tiny.model)))
        assert torch.equal(tiny.logits(clones[-1]), tiny.base)
    for clone in clones:
        other = Tiny(clone, make_tensors)
        assert torch.equal(other.base, tiny.base)
        assert ids_of(other.lab.generate(PROMPT, EDITS, 3)) == ids_of(expected)
        assert torch.equal(other.logits(), tiny.base)
    assert tiny.is_clean()


# ---- threads and tasks -----------------------------------------------------------------------------------------------


def test_two_threads_write_while_a_third_looks(tiny):
    wanted = {"low": st.add(VECTOR, 4), "other": st.add(OTHER, 6)}
    expected = {name: tiny.lab.generate(PROMPT, edit, 5) for name, edit in wanted.items()}
    ready, wrong = threading.Barrier(3, timeout=60), []

    def write(name: str) -> None:
        for _ in range(4):
            ready.wait()
            found = tiny.lab.generate(PROMPT, wanted[name], 5)
            if not same(found, expected[name]):
                wrong.append(name)

    threads = [threading.Thread(target=write, args=(name,)) for name in wanted]
    for thread in threads:
        thread.start()
    for _ in range(4):
        ready.wait()
        wrong += ["looks" for _ in range(10) if not torch.equal(tiny.logits(), tiny.base)]
    for thread in threads:
        thread.join(60)
    assert wrong == []
    assert tiny.is_clean()


def test_passes_of_the_user_while_the_worker_writes(tiny):
    """None of at least forty is steered, and the text is the one that is written alone."""
    expected, enough, begun = tiny.lab.generate(PROMPT, EDITS, 6), threading.Event(), threading.Event()

    def write(job: Job) -> bool:
        alike = True
        while not enough.is_set():
            writing = tiny.lab.writing(PROMPT, EDITS, max_new_tokens=6)
            while not writing.finished:
                job.check()
                writing.step()
                begun.set()
            alike &= same(writing.results()[0], expected)
        return alike

    job = worker_of(tiny.model).post(Job("test", "write", write))
    assert begun.wait(60)
    passes = [torch.equal(tiny.logits(), tiny.base) for _ in range(40)]
    enough.set()
    job.wait()
    assert (passes, job.error, job.result) == ([True] * 40, None, True)
    assert tiny.is_clean()


def test_tasks_that_take_turns(tiny):
    expected = {name: tiny.lab.generate(PROMPT, edit, 5) for name, edit in (("none", ()), ("edits", EDITS))}
    with tiny.lab.steering(st.add(OTHER, 6)):
        steered = tiny.logits()
    wrong: list[str] = []

    async def write(name: str, edits: Any) -> None:
        writing = tiny.lab.writing(PROMPT, edits, max_new_tokens=5)
        while not writing.finished:
            writing.step()
            await asyncio.sleep(0)
        if not same(writing.results()[0], expected[name]):
            wrong.append(name)

    async def steer() -> None:
        with tiny.lab.steering(st.add(OTHER, 6)):
            for _ in range(6):
                await asyncio.sleep(0)
                if not torch.equal(tiny.logits(), steered):
                    wrong.append("steer")

    async def cancelled() -> None:
        with tiny.lab.steering(st.add(OTHER, 2)):
            await asyncio.Event().wait()

    async def main() -> None:
        waiting = asyncio.create_task(cancelled())
        await asyncio.gather(write("none", ()), steer(), write("edits", EDITS))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    asyncio.run(main())
    assert wrong == []
    assert tiny.is_clean()
