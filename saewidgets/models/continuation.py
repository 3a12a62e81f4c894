"""What follows a hook point: the rest of a forward pass, run again and again with the activation there changed.

Only the blocks above the hook point run, from what they were given in one clean pass, many changes in one batch. This
is checked against a whole forward pass the first time that a model and a hook point meet; where the two disagree (an
architecture whose blocks cannot be run by themselves) whole passes are made instead, with the same results.

A change is a number added to the activation, in float32 or wider, and cast once. No attribute of the model is set, and
hooks act only in the thread that runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saewidgets.errors import HookPointError
from saewidgets.models.hooks import AllRead, Reader, attached, did_not_fire
from saewidgets.models.sites import Site
from saewidgets.models.steered import Change, Steered

_CHECK_SIZE = 0.05


class _Call(NamedTuple):
    """How a block was called, without its hidden state."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class Continuation:
    """One prompt, run once up to its last block.

    Args:
        model: A model with TransformerLens hook points.
        site: The hook point.
        ids: Token ids [1, pos] on the model's device.
        blocks_above_only: Whether to run the blocks above only; None: find out.

    Raises:
        HookPointError: The hook point does not fire, or cannot be changed.

    Attributes:
        x: The activation [pos, *width], in the model's number format.
        blocks_above_only: Whether only the blocks above are run.
    """

    def __init__(
        self, model: nn.Module, site: Site, ids: Int[Tensor, "one pos"], blocks_above_only: bool | None = None
    ) -> None:
        self._model, self._site, self._ids = model, site, ids
        self._blocks: Sequence[nn.Module] = list(getattr(model, "blocks", ()))
        self._calls: dict[int, _Call] = {}
        self._hidden: dict[int, Tensor] = {}
        self.x = self._clean_pass()
        self._check_edit()
        self._start = self._first_block()
        self._hidden = {n: hidden for n, hidden in self._hidden.items() if n == self._start}
        self.blocks_above_only = self._start is not None and blocks_above_only is not False
        if blocks_above_only is None:
            self.blocks_above_only = self.blocks_above_only and self._agrees()

    @property
    def n_pos(self) -> int:
        """Number of tokens."""
        return self._ids.shape[1]

    def bytes_of_one(self, n_last: int) -> int:
        """About how many bytes the forward pass of one change takes at once.

        Args:
            n_last: For how many tokens logits are made.
        """
        cfg: Any = getattr(self._model, "cfg", None)
        d_model = int(cfg.d_model)
        d_mlp = int(getattr(cfg, "d_mlp", None) or 4 * d_model)
        heads, n_logits = int(getattr(cfg, "n_heads", None) or 1), n_last if self.blocks_above_only else self.n_pos
        per_token = 12 * d_model + 4 * d_mlp + 3 * heads * self.n_pos
        return self.x.element_size() * (self.n_pos * per_token + 4 * n_logits * int(cfg.d_vocab))

    def logits(
        self, change: Float[Tensor, "batch pos d_in"], n_last: int = 1, further: Sequence[tuple[Site, Change]] = ()
    ) -> Float[Tensor, "batch n_last d_vocab"]:
        """Logits of the last tokens with the activation changed; differentiable where gradients are on.

        Args:
            change: What is added to the activation [batch, pos, d_in], heads flattened.
            n_last: How many tokens at the end; the vocabulary is large, ask for no more than needed.
            further: Changes at hook points that come later in a pass, made of what this one leaves there; as for
                :class:`~saewidgets.models.steered.Steered`.

        Returns:
            Logits in the model's number format, or wider.
        """

        def forward() -> Tensor:
            if self.blocks_above_only and any(site.block is None for site, _ in further):  # they see every token
                return self._to_logits(self._above(change))[:, -n_last:]
            if self.blocks_above_only:
                return self._to_logits(self._above(change)[:, -n_last:])
            return self._model(self._ids.expand(len(change), -1))[:, -n_last:]

        return self._editing(forward, change, further)

    # ---- the clean pass ------------------------------------------------------------------------------------------

    def _clean_pass(self) -> Tensor:
        """Read the activation, and how each block from its own on is called."""
        final = getattr(self._model, "ln_final", None)
        reader = Reader()
        before = [(block, self._keep_call(n)) for n, block in enumerate(self._blocks) if n >= (self._site.block or 0)]
        if isinstance(final, nn.Module) and self._site.block is not None:
            before.append((final, self._keep_final))
        after = [(self._site.read, reader.at("x"))]
        if self._site.edit is not self._site.read:
            after.append((self._site.edit, reader.at("edit")))
        with suppress(AllRead), torch.no_grad():
            attached(before, after).run(lambda: self._model(self._ids, return_type=None))
        if "x" not in reader.values:
            raise did_not_fire(self._site.hook)
        self._edited = reader.values.get("edit")
        return reader.values["x"][0]

    def _keep_call(self, n: int) -> Any:
        def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            hidden = args[0] if args else kwargs.get("hidden_states")
            if n in self._hidden or not isinstance(hidden, Tensor):
                return
            self._hidden[n] = hidden
            rest = {name: _stateless(value) for name, value in kwargs.items() if name != "hidden_states"}
            if "use_cache" in rest:
                rest["use_cache"] = False
            self._calls[n] = _Call(tuple(map(_stateless, args[1:])), rest)

        return keep

    def _keep_final(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        del kwargs
        self._hidden[len(self._blocks)] = args[0]
        raise AllRead

    def _check_edit(self) -> None:
        """Where another hook point is changed in place of the one that is read, a change there must be one here."""
        if self._edited is None or self._site.block is None:
            return
        whole = self._hidden[self._site.block] + self._edited
        if not torch.allclose(whole[0].float(), self.x.float(), rtol=1e-2, atol=1e-2 * float(self.x.float().std())):
            raise HookPointError(
                f"The activation at '{self._site.hook}' cannot be changed in this architecture.",
                got="a residual stream that is not the block's input plus its attention",
                do="take an SAE at 'hook_resid_pre' or 'hook_resid_post'",
            )

    def _first_block(self) -> int | None:
        """The first block to run again; one past the last for none; None where the blocks cannot be run."""
        enters, block = self._site.enters, self._site.block
        n_blocks = len(self._blocks)
        if block is None or n_blocks not in self._hidden or any(n not in self._calls for n in range(block, n_blocks)):
            return None
        if enters is not None and enters in self._hidden and torch.equal(self._hidden[enters][0], self.x):
            return enters
        return block

    # ---- running the rest ----------------------------------------------------------------------------------------

    def _editing(
        self, forward: Callable[[], Tensor], change: Tensor, further: Sequence[tuple[Site, Change]] = ()
    ) -> Tensor:
        """What a pass gives with the activation changed, unless it is where the pass begins, and what follows too."""
        begins = self.blocks_above_only and self._start == self._site.enters
        own = [] if begins else [(self._site.edit, self._add(change))]
        if further:
            steered = Steered(self._model, further, ids=self._ids.expand(len(change), -1))
            return attached(after=own).run(lambda: steered.run(forward))
        return attached(after=own).run(forward)

    def _above(self, change: Tensor) -> Tensor:
        """What the final norm is given [batch, pos, d_model], from the blocks above."""
        start = self._start
        assert start is not None
        hidden = self._hidden[start]
        if start == self._site.enters:
            hidden = _changed(hidden, change)
        else:  # changed inside of the block
            hidden = hidden.expand(len(change), *hidden.shape[1:])
        for n in range(start, len(self._blocks)):
            output = self._blocks[n](hidden, *self._calls[n].args, **self._calls[n].kwargs)
            hidden = output[0] if isinstance(output, tuple) else output
        return hidden

    def _to_logits(self, hidden: Tensor) -> Tensor:
        model: Any = self._model
        logits = model.unembed(model.ln_final(hidden))
        cap = float(getattr(model.cfg, "output_logits_soft_cap", None) or 0)
        return cap * torch.tanh(logits / cap) if cap > 0 else logits

    def _whole(self, ids: Tensor, change: Tensor) -> Tensor:
        """What the final norm is given [batch, pos, d_model], from a whole forward pass."""
        given: list[Tensor] = []

        def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            del kwargs
            given.append(args[0])
            raise AllRead

        model: Any = self._model
        with suppress(AllRead):
            hooks = attached([(model.ln_final, keep)], [(self._site.edit, self._add(change))])
            hooks.run(lambda: model(ids.expand(len(change), -1), return_type=None))
        return given[0]

    def _add(self, change: Tensor) -> Any:
        def edit(point: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
            del point, args
            return _changed(output, change)

        return edit

    @torch.no_grad()
    def _agrees(self) -> bool:
        """Whether the parts above give what whole passes give.

        The blocks are tried with the activation unchanged and changed; norm and unembedding with one token, because
        logits at every position may be more than fit into memory.
        """
        generator = torch.Generator().manual_seed(0)
        change = torch.randn(2, self.n_pos, self.x[0].numel(), generator=generator).to(self.x.device)
        change *= _CHECK_SIZE * self.x.float().std() * torch.tensor([0.0, 1.0], device=change.device)[:, None, None]
        first = self._ids[:, :1]
        try:
            tail = self._to_logits(self._whole(first, change[:1, :1] * 0))
            same = _close(tail, self._model(first))
            above = self._editing(lambda: self._above(change), change)
            return same and _close(above, self._whole(self._ids, change))
        except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError):
            return False  # these parts cannot be run by themselves


def _close(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors agree as far as their number format allows."""
    if a.shape != b.shape:
        return False
    tolerance = 1e-4 if torch.finfo(b.dtype).eps < 1e-4 else 2e-2
    return bool((a.float() - b.float()).abs().max() <= tolerance * b.float().std().clamp(min=1e-6))


def _changed(value: Tensor, change: Tensor) -> Tensor:
    """The activation, one or one for each change, plus the changes, summed in float32 or wider and cast once."""
    wide = torch.promote_types(torch.promote_types(value.dtype, change.dtype), torch.float32)
    added = change.reshape(len(change), *value.shape[1:]).to(device=value.device, dtype=wide)
    return (value.to(wide) + added).to(value.dtype)


def _stateless(value: Any) -> Any:
    """An argument of a block, or None for a cache, which would remember the clean pass."""
    return None if hasattr(value, "get_seq_length") or type(value).__name__.endswith("Cache") else value
