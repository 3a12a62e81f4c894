"""Reading hook points: name to module, one forward pass, and nothing left behind.

Reading is an argument of one call and never a state of the model. A hook of ours does nothing unless it is called in
the context (thread, asyncio task) that reads, so that forward passes made elsewhere at the same time are untouched.
The pass ends as soon as the last wanted hook point has fired. It costs what ``stop_at_layer`` costs, or less, and sets
no attribute on the model as that does, which would stop the passes of other threads as well.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from saewidgets.errors import HookPointError

_reading: ContextVar[object | None] = ContextVar("saewidgets_reading", default=None)


class _AllRead(Exception):  # noqa: N818  (it is no error)
    """Ends a forward pass from inside; caught by :func:`read_points`."""


class _Reader:
    """A torch forward hook that keeps what passes one hook point."""

    def __init__(self, name: str, wanted: int, values: dict[str, Tensor], lease: object) -> None:
        self.name, self.wanted, self.values, self.lease = name, wanted, values, lease

    def __call__(self, point: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        if _reading.get() is not self.lease or self.name in self.values:
            return
        # A module in place of a hook point is an SAE that the user spliced in: what it was given is the activation.
        value = output if hasattr(point, "hook_conversion") else args[0]
        if not isinstance(value, Tensor):
            return  # such as the pair that goes through a rotary embedding's hook point
        conversion = getattr(point, "hook_conversion", None)
        self.values[self.name] = value if conversion is None else conversion.convert(value)
        if len(self.values) == self.wanted:
            raise _AllRead


def read_points(points: Mapping[str, nn.Module], forward: Callable[[], object]) -> dict[str, Tensor]:
    """Run ``forward`` until each point has fired once; the values of those that fired, by name."""
    values: dict[str, Tensor] = {}
    lease = object()
    token = _reading.set(lease)
    try:
        for name, point in points.items():
            point.register_forward_hook(_Reader(name, len(points), values, lease))
        with torch.no_grad():
            forward()
    except _AllRead:
        pass
    finally:
        _reading.reset(token)
        for point in points.values():
            _remove_readers(point, lease)
    return values


def _remove_readers(point: nn.Module, lease: object) -> None:
    hooks = point._forward_hooks
    for key, hook in list(hooks.items()):
        if isinstance(hook, _Reader) and hook.lease is lease:
            hooks.pop(key, None)


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

    def did_not_fire(self, name: str) -> HookPointError:
        """The error for a hook point that exists and that no forward pass goes through."""
        return HookPointError(
            f"Hook point '{name}' did not fire in a forward pass.",
            got=name,
            expected="a hook point that one tensor goes through in a forward pass",
            do="take another hook point, or switch this one on first (model.set_use_... in TransformerLens)",
        )

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


def nearest(name: object, names: Sequence[str], n: int = 3) -> list[str]:
    """The n names most like ``name``."""
    return difflib.get_close_matches(str(name), names, n=n, cutoff=0.0)
