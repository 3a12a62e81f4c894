"""Changing activations in forward passes, whoever makes them, in the context that asked for it and nowhere else.

A change is the property of a context (thread, asyncio task), never of the model. What is attached to the model for the
time does nothing in any other context, nor in a copy of the model, and is gone when the context is left, however it is
left.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from saewidgets.errors import EditError
from saewidgets.models.hooks import Guarded, remove_hooks
from saewidgets.models.sites import Site


class Lease:
    """Stands for one entered context; a copy of it, as in a copy of the model, stands for nothing."""

    on = True


_active: ContextVar[frozenset[Lease]] = ContextVar("saewidgets_steering", default=frozenset())


def _is_steering(lease: object) -> bool:
    return isinstance(lease, Lease) and lease.on and lease in _active.get()


def in_steered_context() -> bool:
    """Whether forward passes made here are steered."""
    return any(map(_is_steering, _active.get()))


class Pass(NamedTuple):
    """One forward pass, as far as an edit needs to know it.

    Attributes:
        ids: Token ids [batch, pos].
        first: Position in the whole text of the first of them.
    """

    ids: Tensor
    first: int


Change = Callable[[Tensor, Pass], Tensor | None]


class Steered:
    """Forward passes inside ``with`` have activations changed.

    Entering it again while it is entered changes nothing more; several threads may enter one object, each for itself.

    Args:
        model: The model.
        changes: Sites, each with a function from the activation [batch, pos, d], float32 or wider, to what is added to
            it, 0 where nothing is, or None. Several at one site act one after the other.
        first: Gives the position of a pass's first token.
        ids: Token ids [batch, pos] of all passes, for passes that begin above the embedding; None: those that each
            pass is given.
    """

    def __init__(
        self, model: Any, changes: Sequence[tuple[Site, Change]], first: Callable[[], int] = lambda: 0,
        ids: Tensor | None = None,
    ) -> None:  # fmt: skip
        self._model, self._changes, self._first, self._ids = model, tuple(changes), first, ids
        self._entries: list[Lease] = []
        self._dropped: dict[Lease, weakref.finalize] = {}  # what to do if this is dropped without being left
        self._modules: list[nn.Module] = [] if ids is not None else [model.embed]
        self._modules += [module for site, _ in changes for module in _modules_of(model, site)]

    def run(self, forward: Callable[[], Any]) -> Any:
        """What ``forward()`` gives, called inside; an interrupt at the entry of ``__exit__`` leaves nothing either."""
        outer = list(self._entries)
        try:
            with self:
                return forward()
        except BaseException:
            for lease in [lease for lease in self._entries if lease in _active.get() and lease not in outer]:
                self._drop(lease)
            raise

    def __enter__(self) -> Steered:  # noqa: PYI034 - beartype does not know Self here
        again = any(map(_is_steering, self._entries))
        lease = Lease()
        try:
            self._entries.append(lease)
            self._dropped[lease] = weakref.finalize(self, _leave, self._modules, lease)
            self._dropped[lease].atexit = False
            _active.set(_active.get() | {lease})
            if not again:
                self._attach(lease)
            return self  # noqa: TRY300 - an interrupt here would leave it entered
        except BaseException:
            self._drop(lease)
            raise

    def __exit__(self, *_: object) -> None:
        # Two instructions before the try are all at which an interrupt leaves it on; an assignment would be two more.
        try:
            lease = self._last()
            self._drop(lease)
        except BaseException:  # an interrupt
            self._drop(locals().get("lease") or self._last())
            raise

    def _last(self) -> Lease:
        """The lease to give up; contexts may be left in another order, or elsewhere, than they were entered."""
        return ([lease for lease in self._entries if lease in _active.get()] or self._entries)[-1]

    def _drop(self, lease: Lease) -> None:
        """Nothing of it is left; again changes nothing."""
        _leave(self._modules, lease)
        _active.set(_active.get() - {lease})
        if lease in self._entries:
            self._entries.remove(lease)
        if lease in self._dropped:
            self._dropped.pop(lease).detach()

    def _attach(self, lease: Lease) -> None:
        seen: dict[str, Tensor] = {} if self._ids is None else {"ids": self._ids}
        first = self._first

        def edit(site: Site, change: Change) -> Callable[..., Tensor | None]:
            def add(point: nn.Module, args: tuple[Any, ...], output: Any) -> Tensor | None:
                del point, args
                if "ids" not in seen:
                    raise EditError("This pass cannot be steered.", got="no token ids", expected="a whole pass")
                before = seen[site.hook] if site.edit is not site.read else None
                return _changed(output, before, change, Pass(seen["ids"], first()), site.hook)

            return add

        def attach(module: nn.Module, hook: Callable[..., Any], before: bool) -> None:
            guarded = Guarded(hook, lease, _is_steering)
            if before:
                module.register_forward_pre_hook(guarded, with_kwargs=True)
            else:
                module.register_forward_hook(guarded)

        if self._ids is None:
            attach(self._model.embed, _keep(seen, "ids"), before=True)
        for site, change in self._changes:
            if site.edit is not site.read:
                attach(_inside(self._model, site), _keep(seen, site.hook), before=True)
            attach(site.edit, edit(site, change), before=False)


def _keep(seen: dict[str, Tensor], name: str) -> Callable[..., None]:
    """A hook that keeps what a module is given."""

    def keep(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del module
        seen[name] = args[0] if args else kwargs.get("hidden_states", next(iter(kwargs.values())))

    return keep


def _modules_of(model: Any, site: Site) -> list[nn.Module]:
    """What hooks are attached to for one site; the block too, where its input is part of the activation."""
    return [site.edit] if site.edit is site.read else [site.edit, _inside(model, site)]


def _inside(model: Any, site: Site) -> nn.Module:
    """The module that a block wraps: what it is given is the block's input as edits there left it."""
    block: Any = model.blocks[site.block]
    inside = getattr(block, "original_component", None)
    return inside if isinstance(inside, nn.Module) else block


def _leave(modules: list[nn.Module], lease: Lease) -> None:
    lease.on = False
    for module in modules:
        remove_hooks(module, lease)


def _changed(output: Tensor, before: Tensor | None, change: Change, now: Pass, hook: str) -> Tensor | None:
    """The new output of a hook point, summed in float32 or wider and cast once; None where nothing changes."""
    wide = torch.promote_types(output.dtype, torch.float32)
    flat = output.flatten(2).to(wide)
    if flat.shape[:2] != now.ids.shape:
        raise EditError(
            f"The activation at '{hook}' is not one vector a token.", got=f"shape {list(output.shape)}",
            expected="[batch, pos, ...]",
        )  # fmt: skip
    added = change(flat if before is None else flat + before.to(wide), now)
    if added is None:
        return None
    moved = added.ne(0).any(-1)
    new = (flat + added).to(output.dtype).reshape(output.shape)
    return torch.where(moved.reshape(*moved.shape, *[1] * (output.ndim - 2)), new, output)
