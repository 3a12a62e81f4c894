"""Where a hook point lies in a model: in which block, and whether it is a block's input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class Site:
    """Where an activation is read and where it can be changed, which differs for one alias.

    Args:
        hook: Its name.
        read: The hook point that is read.
        edit: The hook point whose output is changed.
        block: Number of the block that it lies in; None outside of the blocks.
        enters: Number of the block whose input it is, one past the last block for the input of the final norm; None
            where it is no block's input.
    """

    hook: str
    read: nn.Module
    edit: nn.Module
    block: int | None = None
    enters: int | None = None


def find_site(model: nn.Module, hook: str, resolve: Callable[[str], nn.Module]) -> Site:
    """The site of a hook point.

    A TransformerBridge takes ``hook_resid_mid`` for the input of the second norm. Changing that would change the branch
    of the MLP and not the residual stream; the attention's output is changed instead, which is added to it.

    Args:
        model: The model.
        hook: Name or alias.
        resolve: Finds a hook point by name.

    Raises:
        HookPointError: There is no such hook point.
    """
    point = resolve(hook)
    blocks: Any = getattr(model, "blocks", ())
    for n, block in enumerate(blocks):
        if all(part is not point for part in block.modules()):
            continue
        own = block._modules
        if hook.endswith("hook_resid_mid") and own.get("hook_resid_mid") is not point:
            return Site(hook, point, resolve(f"blocks.{n}.hook_attn_out"), n)
        if point in (own.get("hook_in"), own.get("hook_resid_pre")):
            return Site(hook, point, point, n, n)
        if point in (own.get("hook_out"), own.get("hook_resid_post")):
            return Site(hook, point, point, n, n + 1)
        return Site(hook, point, point, n)
    return Site(hook, point, point)
