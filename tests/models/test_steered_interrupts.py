"""KeyboardInterrupt at every kind of point of attach, forward and detach: nothing is left in the model."""

from __future__ import annotations

import gc
import sys
from types import FrameType
from typing import Any

import pytest
import torch

from saewidgets.models.steered import Steered
from tests.models.test_language_model import hooks_left
from tests.models.test_steered import MID, Bench, D


@pytest.fixture
def bench(make_model):
    return Bench(make_model("native"))


class Interrupt:
    """A trace function that raises KeyboardInterrupt at one of the points that a run passes.

    Points are every instruction of ours, and every call of anything else where ``calls``.
    """

    def __init__(self, at: int, calls: bool) -> None:
        self.at, self.calls, self.passed, self.where = at, calls, 0, ("", -1)

    def __call__(self, frame: FrameType, event: str, arg: object) -> Any:
        if event not in {"call", "line", "opcode"} or _is_finalizing(frame):
            return None  # Python does not pass on what is raised in a finalizer, nor when a generator is closed
        ours = "/saewidgets/" in frame.f_code.co_filename or frame.f_code.co_filename == __file__
        frame.f_trace_opcodes = ours
        if not (ours or self.calls):
            return None
        self.passed += 1
        if self.passed == self.at:
            self.where = frame.f_code.co_qualname, frame.f_lasti
            sys.settrace(None)
            raise KeyboardInterrupt
        return self if ours else None


def _is_finalizing(frame: FrameType | None) -> bool:
    if frame is not None and frame.f_code.co_name == "<genexpr>":
        return True
    for _ in range(4):
        if frame is None:
            return False
        if frame.f_code.co_filename.endswith("weakref.py") and frame.f_code.co_name in {
            "__call__",
            "remove",
            "_remove",
        }:
            return True
        frame = frame.f_back
    return False


def interrupted(at: int, run: Any, calls: bool = True) -> tuple[bool, int]:
    """Whether a run was interrupted at that point, and how many points it passed."""
    interrupt = Interrupt(at, calls)
    return interrupted_by(interrupt, run), interrupt.passed


def interrupted_by(interrupt: Interrupt, run: Any) -> bool:
    """Whether a run was interrupted."""
    before = sys.gettrace()
    gc.disable()
    try:
        sys.settrace(interrupt)
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    return False


def test_interrupt_anywhere_in_attach_forward_and_detach(bench):

    changes = [(bench.model.site(MID), lambda x, now: 3 * D.expand_as(x))]

    def run() -> None:
        with bench.model.steered(changes):
            bench.logits()

    whole = interrupted(-1, run)[1]
    points = [*range(1, whole + 1, max(1, whole // 250))]
    assert len(points) >= 200
    for at in points:
        raised, passed = interrupted(at, run)
        assert raised or passed < at, at
        assert hooks_left(bench.raw) == 0, at
        if at % 4 == 0:
            assert torch.equal(bench.logits(), bench.base), at
    assert bench.is_clean()


def test_interrupt_while_the_context_is_kept_leaves_at_most_three_instructions(bench):
    def left_at(at: int) -> tuple[str, int] | None:
        """The instruction of ours at which this interrupt left the context on."""
        context = bench.adding(3)
        interrupt = Interrupt(at, calls=False)
        assert interrupted_by(interrupt, lambda: enter_and_leave(context))
        left = interrupt.where if hooks_left(bench.raw) else None
        if context._entries:
            context.__exit__()
        assert hooks_left(bench.raw) == 0
        with context:  # it works as if nothing had happened
            assert hooks_left(bench.raw) == 2, at
        return left

    counted, whole = Interrupt(-1, calls=False), bench.adding(3)
    assert not interrupted_by(counted, lambda: enter_and_leave(whole))
    assert counted.passed > 200
    some = {at: left_at(at) for at in range(1, counted.passed + 1, 3)}
    near = {at + step for at, where in some.items() if where for step in (-2, -1, 1, 2)} - some.keys()
    left: set[Any] = {*some.values(), *map(left_at, near)} - {None}
    ours = {where for where in left if where[0] != "enter_and_leave"}
    # The end of __enter__, the entry of __exit__ and one instruction before the first that is guarded. Between the two
    # it is the user's own code that is interrupted, in a with statement whose context Python has not entered yet.
    assert {name for name, _ in ours} <= {"Steered.__enter__", "Steered.__exit__"}
    assert len(ours) <= 3
    assert bench.is_clean()


def enter_and_leave(context: Steered) -> None:
    with context:
        pass
