"""Reading a text token by token: rows of equal length, with a KV cache where the model has one.

The cache is ours and is given along with each pass, so that nothing of it stays in the model. That it gives what whole
passes give is checked the first time that a model decodes; a model for which it does not, or that has none, reads the
whole text in each pass.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from saewidgets.models.hooks import Guarded, attached


class Decoder:
    """One text a row, read on from where it ended.

    Args:
        model: A model with TransformerLens hook points.
        batch: Number of rows.
        device: Where token ids go.
        use_cache: Whether to keep keys and values, where the model can.

    Attributes:
        first: Position of the first token of the pass that is under way.
    """

    def __init__(self, model: nn.Module, batch: int, device: torch.device, use_cache: bool = True) -> None:
        self._model, self._device = model, device
        self._cache = make_cache(model, batch, device) if use_cache else None
        self._ids = torch.zeros(batch, 0, dtype=torch.long, device=device)
        self._n_cached = self.first = 0

    @property
    def cached(self) -> bool:
        """Whether keys and values are kept."""
        return self._cache is not None

    @property
    def n_read(self) -> int:
        """How many tokens of each row were read."""
        return self._ids.shape[1]

    @torch.no_grad()
    def feed(self, ids: Int[Tensor, "batch new"]) -> Float[Tensor, "batch d_vocab"]:
        """Read more tokens; logits of the token after them, float32 or wider.

        A pass that is ended in its middle has read nothing: the tokens may be read again.

        Args:
            ids: The next tokens of each row, at least one.
        """
        whole = torch.cat([self._ids, ids.to(self._device)], dim=1)
        self.first = self._n_cached
        read = whole[:, self.first :]
        hooks = _last_only(self._model) if read.shape[1] > 1 else ()
        try:
            logits = attached(before=hooks).run(lambda: self._run(read))[:, -1]
        except BaseException:
            if self._cache is not None:  # the lower blocks' part of it may know the tokens, the upper blocks' not
                self._cache, self._n_cached = make_cache(self._model, len(whole), self._device), 0
            raise
        self._ids, self._n_cached = whole, whole.shape[1] if self.cached else 0
        return logits if logits.dtype == torch.float64 else logits.float()

    def _run(self, ids: Tensor) -> Tensor:
        if self._cache is None:
            return self._model(ids)
        if hasattr(self._cache, "get_seq_length"):
            return self._model(ids, past_key_values=self._cache, use_cache=True)
        return self._model(ids, past_kv_cache=self._cache, attention_mask=torch.ones_like(ids))


def _last_only(model: Any) -> list[tuple[nn.Module, Any]]:
    """Lets the unembedding see the last token only, unless others look at logits: they take memory."""
    unembed = getattr(model, "unembed", None)
    if not isinstance(unembed, nn.Module):
        return []
    parts = [model, getattr(model, "original_model", None), *unembed.modules()]
    modules = [part for part in parts if isinstance(part, nn.Module)]
    hooks = [hook for m in modules for hook in (*m._forward_hooks.values(), *m._forward_pre_hooks.values())]
    # Ours that belong to other threads change nothing here, and must not: the last bits of a text depend on it.
    watched = any(not isinstance(hook, Guarded) or hook.active(hook.lease) for hook in hooks)
    return [] if watched else [(unembed, _keep_last)]


def _keep_last(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
    del module
    if not args or not isinstance(args[0], Tensor) or args[0].ndim != 3:
        return None
    return (args[0][:, -1:], *args[1:]), kwargs


def make_cache(model: Any, batch: int, device: torch.device) -> Any:
    """An empty KV cache of the kind that a model takes, or None."""
    config = getattr(getattr(model, "original_model", None), "config", None)
    if config is not None and hasattr(config, "model_type"):
        from transformers import DynamicCache

        return DynamicCache(config=config)
    if not hasattr(model, "original_model") and hasattr(model, "get_pos_offset"):
        from transformer_lens.cache.key_value_cache import TransformerLensKeyValueCache

        return TransformerLensKeyValueCache.init_cache(model.cfg, device, batch)
    return None


@torch.no_grad()
def cache_agrees(model: nn.Module, ids: Int[Tensor, "one pos"]) -> bool:
    """Whether reading a prompt in two parts with a cache gives what one whole pass gives."""
    ids = ids if ids.shape[1] > 1 else ids.repeat(1, 2)
    decoder = Decoder(model, 1, ids.device)
    if not decoder.cached:
        return False
    whole = model(ids)[:, -1]
    try:
        decoder.feed(ids[:, :-1])
        parts = decoder.feed(ids[:, -1:])
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError, AssertionError):
        return False
    tolerance = 1e-4 if torch.finfo(whole.dtype).eps < 1e-4 else 5e-2
    whole = whole.to(parts.dtype)
    return bool((parts - whole).abs().max() <= tolerance * whole.std().clamp(min=1e-6))
