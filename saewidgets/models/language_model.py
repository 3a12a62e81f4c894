"""One language model in memory, of whatever class, behind one small face."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from saewidgets.errors import LoadError, NonFiniteError, TargetError
from saewidgets.models.bridge_threads import separate_threads
from saewidgets.models.complete import TokenFinder
from saewidgets.models.continuation import Continuation
from saewidgets.models.decoding import Decoder, cache_agrees
from saewidgets.models.hooks import HookPoints, did_not_fire, hooks_around_blocks, read_points
from saewidgets.models.sites import Site, find_site
from saewidgets.models.steered import Change, Steered, in_steered_context
from saewidgets.models.tokenize import id_tokens, text_tokens
from saewidgets.models.tokens import Vocabulary
from saewidgets.results import Tokens
from saewidgets.results.numbers import whole_number


class LanguageModel:
    """A TransformerBridge or HookedTransformer that is read and never changed.

    Mode, gradient flags, weights and the user's own hooks stay as they are; a forward pass made meanwhile by another
    thread does not notice.

    Args:
        model: The model; it is held, not copied.
        name: What to call it; by default its own name.

    Raises:
        LoadError: ``model`` has no TransformerLens hook points or no weights in this process.

    Example:
        >>> LanguageModel(bridge).tokenize("Paris").strings  # doctest: +SKIP
        ('<|bos|>', 'Paris')
    """

    def __init__(self, model: Any, name: str | None = None) -> None:
        _check_kind(model)
        separate_threads(model)
        self.model: nn.Module = model
        self._cfg: Any = model.cfg
        self.name = name or _own_name(self._cfg)
        self._points = HookPoints(model)
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._above_only: dict[tuple[str, bool, tuple[int, ...]], bool] = {}
        self._caches: bool | None = None
        self._warned_dropout = False

    def __repr__(self) -> str:
        return f"LanguageModel({self.name!r}, d_model={self.d_model}, n_ctx={self.n_ctx}, d_vocab={self.d_vocab})"

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return int(self._cfg.d_model)

    @property
    def n_ctx(self) -> int:
        """Most tokens of one prompt."""
        return int(self._cfg.n_ctx)

    @property
    def d_vocab(self) -> int:
        """Number of token ids that the model reads."""
        return int(self._cfg.d_vocab)

    @property
    def prepend_bos(self) -> bool:
        """Whether the model's own tokenisation puts BOS in front."""
        return bool(getattr(self._cfg, "default_prepend_bos", True))

    @property
    def device(self) -> torch.device:
        """Where the token ids go."""
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the weights."""
        return next(p.dtype for p in self.model.parameters() if p.is_floating_point())

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """What the token ids stand for."""
        return Vocabulary(getattr(self.model, "tokenizer", None))

    def tokenize(self, prompt: Any, prepend_bos: bool | None = None) -> Tokens:
        """The tokens of one prompt.

        Args:
            prompt: Text, or token ids [pos] as a list, array or tensor; ids are taken as they are.
            prepend_bos: Whether a text gets BOS in front; by default what the model does itself.

        Returns:
            The tokens; a text longer than the context is cut to it, and ``n_dropped`` says by how much.

        Raises:
            PromptError: Empty, not valid text, or more ids than the context holds.
            TokenError: An id outside the vocabulary.
        """
        if isinstance(prompt, str):
            prepend = self.prepend_bos if prepend_bos is None else prepend_bos
            return text_tokens(self.vocabulary, prompt, prepend, self.n_ctx, self.d_vocab)
        return id_tokens(self.vocabulary, prompt, self.n_ctx, self.d_vocab)

    @cached_property
    def _finder(self) -> TokenFinder:
        return TokenFinder(self.vocabulary, self.d_vocab)

    def complete(self, text: str, n: int = 20) -> list[tuple[int, str]]:
        """Id and text of tokens that begin with ``text``; special tokens are left out.

        Args:
            text: How they begin; a space in front and the case may differ where nothing nearer is found.
            n: At most how many.
        """
        return self._finder.complete(text, n)

    def token_id(self, token: Any) -> int:
        """The id of one token.

        Args:
            token: Its text, with the space in front where it has one (``" Paris"``), or its id.

        Raises:
            TargetError: A text that is not one token (says how it splits, and the nearest that are), or no such id.
        """
        if isinstance(token, str):
            # Some tokenizers put a token of their own before a text; it stands for no part of it.
            parts = [(i, piece) for i, piece in zip(*self.vocabulary.encode(token), strict=True) if piece]
            ids = [i for i, _ in parts]
            if len(ids) == 1 and self.token_text(ids[0]) == token:
                return int(ids[0])
            exact = self._finder.exact(token)
            if exact is not None or len(ids) == 1:
                return int(ids[0] if exact is None else exact)
            split = " + ".join(repr(piece.decode("utf-8", "backslashreplace")) for _, piece in parts)
            nearest = ", ".join(map(repr, self._finder.nearest(token)))
            raise TargetError(
                "This text is not one token.",
                got=f"{token!r}, which is {split or 'empty'}",
                expected="one token" + (f"; the nearest are {nearest}" if nearest else ""),
                do=f"take one of these, or all its parts with target={[int(i) for i in ids]}" if ids else None,
            )
        whole = whole_number(token)
        if whole is None or not 0 <= whole < self.d_vocab:
            raise TargetError(
                "This is not a token.", got=repr(token)[:80], expected=f"its text, or an id in 0..{self.d_vocab - 1}"
            )
        return whole

    def token_text(self, token_id: int) -> str:
        """What a token id reads as; parts of characters as ``\\xNN``."""
        return self.vocabulary.pieces([token_id])[0].decode("utf-8", "backslashreplace")

    def resolve(self, hook: str) -> nn.Module:
        """The hook point of that name or alias.

        Raises:
            HookPointError: There is none; names the three nearest.
        """
        return self._points.find(hook)

    def hook_shape(self, hook: str) -> tuple[int, ...]:
        """Shape of one token's activation at a hook point, such as (d_model,) or (heads, d_head).

        Found by a forward pass of one token, once.

        Raises:
            HookPointError: There is no such hook point, or it does not fire.
        """
        if hook not in self._shapes:
            ids = torch.zeros(1, 1, dtype=torch.long)
            self._shapes[hook] = tuple(self.read(ids, [hook])[hook].shape[2:])
        return self._shapes[hook]

    def read(self, ids: Int[Tensor, "batch pos"], hooks: Sequence[str]) -> dict[str, Tensor]:
        """Activations at hook points, from one forward pass that stops after the deepest of them.

        Args:
            ids: Token ids [batch, pos]; shorter prompts padded on the right with any id.
            hooks: Names or aliases of hook points.

        Returns:
            One tensor [batch, pos, ...] for each name, in the model's number format, without gradient.

        Raises:
            HookPointError: A hook point does not exist or does not fire.
        """
        self._warn_dropout()
        points = {hook: self.resolve(hook) for hook in hooks}
        ids = ids.to(self.device)
        values = read_points(points, lambda: self.model(ids, return_type=None))
        for hook in points.keys() - values.keys():
            values[hook] = self._read_again(ids, hook, points[hook])
        return {hook: values[hook] for hook in hooks}

    def _read_again(self, ids: Tensor, hook: str, silent: nn.Module) -> Tensor:
        """Splicing an SAE in and out puts a new hook point in place of the one remembered."""
        for point in self._points.find_all(hook):
            if point is not silent:
                values = read_points({hook: point}, lambda: self.model(ids, return_type=None))
                if hook in values:
                    self._points.remember(hook, point)
                    return values[hook]
        raise did_not_fire(hook)

    def continuation(self, tokens: Tokens, hook: str) -> Continuation:
        """One prompt, run once, and what follows a hook point, to be run again with the activation there changed.

        Args:
            tokens: The prompt.
            hook: Name or alias of a hook point.

        Raises:
            HookPointError: There is no such hook point, or it does not fire, or cannot be changed.
        """
        self._warn_dropout()
        ids = torch.from_numpy(tokens.ids)[None].to(self.device)
        site = self.site(hook)
        if in_steered_context():  # edits follow a pass from its token ids on
            return Continuation(self.model, site, ids, blocks_above_only=False)
        known = hook, self.model.training, hooks_around_blocks(self.model)  # dropout makes no two passes agree
        run = Continuation(self.model, site, ids, self._above_only.get(known))
        self._above_only[known] = run.blocks_above_only
        return run

    @property
    def special_ids(self) -> Tensor:
        """Ids of the special tokens (BOS, EOS, pad), int64."""
        return torch.tensor(sorted(self.vocabulary.special_ids), dtype=torch.long)

    def site(self, hook: str) -> Site:
        """Where a hook point lies, and where its activation can be changed.

        Raises:
            HookPointError: There is no such hook point.
        """
        return find_site(self.model, hook, self.resolve)

    def steered(self, changes: Sequence[tuple[Site, Change]], first: Callable[[], int] = lambda: 0) -> Steered:
        """A context in which forward passes of this model, whoever makes them, have activations changed.

        Args:
            changes: Sites with what is added there; see :class:`~saewidgets.models.steered.Steered`.
            first: Gives the position of a pass's first token.
        """
        return Steered(self.model, changes, first)

    def decoder(self, tokens: Tokens, batch: int = 1, use_cache: bool = True) -> Decoder:
        """Reads texts token by token, none of them yet.

        Args:
            tokens: A prompt by which the model's cache is tried out the first time.
            batch: Number of rows.
            use_cache: Whether to keep keys and values, where the model can.
        """
        if use_cache and self._caches is None:
            self._caches = cache_agrees(self.model, torch.from_numpy(tokens.ids)[None].to(self.device))
        return Decoder(self.model, batch, self.device, use_cache and bool(self._caches))

    @torch.no_grad()
    def logits(self, ids: Int[Tensor, "batch pos"]) -> Tensor:
        """Logits [batch, pos, d_vocab] of a plain forward pass."""
        return self.model(ids.to(self.device))

    def check_finite(self, x: Tensor, hook: str) -> None:
        """Pass if all numbers of an activation are finite.

        Raises:
            NonFiniteError: NaN or infinity; names the hook point and, if it is a weight's fault, the weight.
        """
        if bool(torch.isfinite(x).all()):
            return
        weights = self.model.named_parameters()
        culprit = next((name for name, p in weights if not bool(torch.isfinite(p).all())), "")
        culprit = culprit.replace("._original_component", "")  # how a TransformerBridge wraps its parts
        raise NonFiniteError(
            f"The model's activations at '{hook}' are not finite.",
            got="NaN or infinity" + (f", already in the weight '{culprit}'" if culprit else ""),
            expected="finite numbers",
            do="check the weights that were loaded" if culprit else "use a wider number format than " + str(x.dtype),
        )

    def _warn_dropout(self) -> None:
        if self._warned_dropout or not self.model.training:
            return
        self._warned_dropout = True
        if any(isinstance(m, nn.Dropout) and m.training and m.p > 0 for m in self.model.modules()):
            warnings.warn(
                f"Model '{self.name}' is in training mode, so that dropout makes its activations random. "
                "Call model.eval() for numbers that repeat.",
                stacklevel=4,
            )


def _check_kind(model: Any) -> None:
    kind = type(model).__name__
    if not isinstance(model, nn.Module) or not hasattr(model, "hook_dict") or not hasattr(model, "cfg"):
        raise LoadError(
            "This model has no TransformerLens hook points.",
            got=kind,
            expected="a TransformerBridge, a HookedTransformer, a hub name or a local folder",
            do="save it with model.save_pretrained(folder) and pass the folder; wrapping it with "
            "TransformerBridge.boot_transformers(name, hf_model=model) also works, but changes your object",
        )
    if next(model.parameters(), None) is None:
        raise LoadError("This model has no weights in this process.", got=kind, expected="a model in local memory")


def _own_name(cfg: Any) -> str:
    name = getattr(cfg, "model_name", None)
    return str(name).rstrip("/\\").replace("\\", "/").rpartition("/")[2] if name else "model"
