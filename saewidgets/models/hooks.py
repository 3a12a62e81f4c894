"""Reading hook points: name to module, one forward pass, and nothing left behind.

Reading is an argument of one call and never a state of the model. A hook of ours does nothing unless it is called in
the context (thread, asyncio task) that reads, so that forward passes made elsewhere at the same time are untouched.
The pass ends as soon as the last wanted hook point has fired. It costs what ``stop_at_layer`` costs, or less, and sets
no attribute on the model as that does, which would stop the passes of other threads as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from saewidgets.errors import HookPointError

_reading: ContextVar[object | None] = ContextVar("saewidgets_reading", default=None)
_stoppable: ContextVar[object | None] = ContextVar("saewidgets_stoppable", default=None)


class AllRead(Exception):  # noqa: N818  (it is no error)
    """Ends a forward pass from inside, where nothing more is wanted of it."""


class Guarded:
    """A torch hook that acts only in the context that attached it.

    Args:
        hook: What to call.
        lease: Stands for who attached it.
        active: Whether that lease holds in the context of the call.
    """

    def __init__(self, hook: Callable[..., Any], lease: object, active: Callable[[object], bool]) -> None:
        self.hook, self.lease, self.active = hook, lease, active

    def __call__(self, *args: Any) -> Any:
        """What torch calls."""
        return self.hook(*args) if self.active(self.lease) else None

    def __reduce__(self) -> tuple[type[Guarded], tuple[Any, ...]]:
        return Guarded, (_nothing, None, _nothing)  # in a copy of the model, or a file, it does nothing


def _nothing(*_: Any) -> None:
    pass


def _is_reading(lease: object) -> bool:
    return _reading.get() is lease


def _is_stoppable(lease: object) -> bool:
    return _stoppable.get() is lease


Hooks = Sequence[tuple[nn.Module, Callable[..., Any]]]


class attached:  # noqa: N801 - used like a function
    """Forward passes made inside ``with``, in this context only, have torch hooks; none is left behind.

    Args:
        before: Modules, each with what is called with (module, args, kwargs) before it runs.
        after: Modules, each with what is called with (module, args, output) after; what it returns replaces the output.
    """

    _held, _active = _reading, staticmethod(_is_reading)

    def __init__(self, before: Hooks = (), after: Hooks = ()) -> None:
        self._before, self._after, self._lease = before, after, object()
        self._outer = self._held.get()

    def run(self, forward: Callable[[], Any]) -> Any:
        """What ``forward()`` gives, called inside; an interrupt at the entry of ``__exit__`` leaves nothing either."""
        try:
            with self:
                return forward()
        except BaseException:
            self._leave()
            raise

    def __enter__(self) -> None:
        try:
            self._held.set(self._lease)
            for module, hook in self._before:
                module.register_forward_pre_hook(Guarded(hook, self._lease, self._active), with_kwargs=True)
            for module, hook in self._after:
                module.register_forward_hook(Guarded(hook, self._lease, self._active))
        except BaseException:
            self._leave()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self._leave()
        except BaseException:  # an interrupt
            self._leave()
            raise

    def _leave(self) -> None:
        """Nothing of it is left; again changes nothing."""
        if self._held.get() is self._lease:
            self._held.set(self._outer)
        for module, _ in (*self._before, *self._after):
            remove_hooks(module, self._lease)


class stoppable(attached):  # noqa: N801 - used like a function
    """Forward passes made inside ``with``, in this context only, can be ended in their middle.

    While another thread computes in Python, a pass takes a hundred times as long as alone.

    Args:
        model: The model; one without blocks cannot be ended before a pass is over.
        check: Called before each block, and its attention and MLP; what it raises ends the pass.
    """

    _held, _active = _stoppable, staticmethod(_is_stoppable)

    def __init__(self, model: Any, check: Callable[[], object]) -> None:
        def look(*_: Any) -> None:
            check()

        blocks = list(getattr(model, "blocks", ()))
        parts = [part for b in blocks for part in (b, getattr(b, "attn", None), getattr(b, "mlp", None))]
        super().__init__([(part, look) for part in parts if isinstance(part, nn.Module)])


def remove_hooks(module: nn.Module, lease: object) -> None:
    """Take off the hooks of one lease."""
    # By looking for them: an interrupt between attaching a hook and keeping its handle would leave it there.
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key, hook in list(hooks.items()):
            if isinstance(hook, Guarded) and hook.lease is lease:
                hooks.pop(key, None)
                module._forward_pre_hooks_with_kwargs.pop(key, None)


def hooks_around_blocks(model: Any) -> tuple[int, ...]:
    """Handles of the hooks on the model itself and on its large parts, by which others may change what those do."""
    parts = [model, *getattr(model, "blocks", ()), getattr(model, "ln_final", None), getattr(model, "unembed", None)]
    modules = [part for part in parts if isinstance(part, nn.Module)]
    hooks = [hook for part in modules for hook in (*part._forward_pre_hooks.items(), *part._forward_hooks.items())]
    return tuple(key for key, hook in hooks if not (isinstance(hook, Guarded) and hook.active is _is_stoppable))


class Reader:
    """Keeps what passes hook points; raises once it has ``wanted`` values, which ends the pass."""

    def __init__(self, wanted: int | None = None) -> None:
        self.wanted = wanted
        self.values: dict[str, Tensor] = {}

    def at(self, name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        """The hook that keeps the first tensor that passes, under that name."""

        def keep(point: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            # A module in place of a hook point is an SAE that the user spliced in: what it was given is the activation.
            value = output if hasattr(point, "hook_conversion") else args[0]
            if name in self.values or not isinstance(value, Tensor):
                return  # such as the pair that goes through a rotary embedding's hook point
            conversion = getattr(point, "hook_conversion", None)
            self.values[name] = value if conversion is None else conversion.convert(value)
            if len(self.values) == self.wanted:
                raise AllRead

        return keep


def read_points(points: Mapping[str, nn.Module], forward: Callable[[], object]) -> dict[str, Tensor]:
    """Run ``forward`` until each point has fired once; the values of those that fired, by name."""
    reader = Reader(len(points))
    with suppress(AllRead), torch.no_grad():
        attached(after=[(p, reader.at(name)) for name, p in points.items()]).run(forward)
    return reader.values


class HookPoints:
    """The hook points of one model, found by name or alias and remembered.

    Args:
        model: Anything with TransformerLens hook points in a ``hook_dict``.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._found: dict[str, nn.Module] = {}

    def find(self, name: str) -> nn.Module:
        """The hook point of that name.

        Raises:
            HookPointError: The model has no such hook point; names the three nearest.
        """
        if name not in self._found:
            self._found[name] = next(self._candidates(name), None) or self._unknown(name)
        return self._found[name]

    def find_all(self, name: str) -> list[nn.Module]:
        """Every module that the name may stand for now, without what was remembered."""
        self._found.pop(name, None)
        return list(self._candidates(name))

    def remember(self, name: str, point: nn.Module) -> None:
        """Take ``point`` for that name from now on."""
        self._found[name] = point

    def _candidates(self, name: str) -> Iterator[nn.Module]:
        """By name, by alias, and by path: models with SAEs spliced in leave names out or let them go stale."""
        seen: set[int] = set()
        hook_dict: Any = self._model.hook_dict
        resolve_alias: Any = getattr(self._model, "_resolve_hook_name", lambda alias: alias)
        canonical = resolve_alias(name)
        found = (hook_dict.get(name), hook_dict.get(canonical), self._by_path(canonical))
        for point in found:
            if isinstance(point, nn.Module) and id(point) not in seen:
                seen.add(id(point))
                yield point

    def _by_path(self, name: str) -> object:
        if not name.rpartition(".")[2].startswith("hook_"):
            return None
        point: object = self._model
        for part in name.split("."):
            point = getattr(point, part, None)
        return point

    def _unknown(self, name: str) -> nn.Module:
        hook_dict: Any = self._model.hook_dict
        names = list(hook_dict)
        raise HookPointError(
            "The model has no such hook point.",
            got=repr(name),
            expected=f"one of its {len(names)} hook points, such as {', '.join(nearest(name, names))}",
            do="list them with list(model.hook_dict)",
        )


def did_not_fire(name: str) -> HookPointError:
    """The error for a hook point that exists and that no forward pass goes through."""
    return HookPointError(
        f"Hook point '{name}' did not fire in a forward pass.",
        got=name,
        expected="a hook point that one tensor goes through in a forward pass",
        do="take another hook point, or switch this one on first (model.set_use_... in TransformerLens)",
    )


def nearest(name: object, names: Sequence[str], n: int = 3) -> list[str]:
    """The n names most like ``name``."""
    return difflib.get_close_matches(str(name), names, n=n, cutoff=0.0)
