"""The next token of one prompt under many edits, one after the other: what a slider asks for while it moves."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from saewidgets.errors import MismatchError
from saewidgets.models import Continuation, LanguageModel
from saewidgets.models.hooks import read_points
from saewidgets.models.sites import Site
from saewidgets.models.steered import Change, Pass, in_steered_context
from saewidgets.results import NextToken, Tokens
from saewidgets.steering.generation import Reading, compared, finite, next_token
from saewidgets.steering.plan import Plan

_KEPT = 4  # hook points whose activations are kept


class Preview:
    """One prompt, run once without edits, and asked about many.

    Only the blocks above the lowest activation that an edit moves are run, and logits are made for the last token
    only. Where no edit moves anything nothing is run, and the edited distribution is the base bit for bit. A model
    whose blocks cannot be run by themselves, or a context that steers it, makes whole passes. What becomes of the
    model afterwards (weights, hooks) is not noticed: make another.

    Args:
        model: The model.
        tokens: The prompt.

    Example:
        >>> preview = Preview(model, model.tokenize("The capital of France is"))  # doctest: +SKIP
        >>> [preview.next_token(plan) for plan in plans]  # doctest: +SKIP
    """

    def __init__(self, model: LanguageModel, tokens: Tokens) -> None:
        self.model, self.tokens = model, tokens
        self._runs: OrderedDict[tuple[nn.Module, nn.Module], Continuation] = OrderedDict()
        self._places: dict[nn.Module, int] = {}

    def next_token(self, plan: Plan, k: int = 20) -> NextToken:
        """What :func:`saewidgets.steering.generation.next_token` gives, from as little as can be run.

        Args:
            plan: The edits, of one row.
            k: How many tokens are listed, the likeliest under either.

        Raises:
            HookPointError: An edit's hook point does not fire, or cannot be changed.
            MismatchError: The edits are of another model.
        """
        if plan.model is not self.model:
            raise MismatchError("The edits are of another model.", got=plan.model.name, expected=self.model.name)
        if in_steered_context():  # the prompt was run outside of it
            return next_token(self.model, self.tokens, plan, k)
        read = Reading(self.model, self.tokens, plan, 1, use_cache=False)
        edited = self._edited(self._in_order(read.changes()))
        edited, n = self._base if edited is None else edited, len(self.tokens)
        return compared(self.model, self.tokens, plan, self._base, edited, read.steered[0, :n], read.reach(0, n), k)

    @cached_property
    def _ids(self) -> Tensor:
        return torch.from_numpy(self.tokens.ids)[None].to(self.model.device)

    @cached_property
    def _base(self) -> Tensor:
        """Log-probabilities without edits, float64 [d_vocab]."""
        bare = Reading(self.model, self.tokens, Plan(self.model, {}, (), None), 1, use_cache=False)
        return bare.feed(self._ids)[0].double().cpu()

    @torch.no_grad()
    def _edited(self, changes: Sequence[tuple[Site, Change]]) -> Tensor | None:
        """Log-probabilities with changes, in the order of a pass, float64 [d_vocab]; None where nothing moves."""
        now = Pass(self._ids, 0)
        for n, (site, change) in enumerate(changes, 1):
            run = self._run(site)
            x = run.x[None].flatten(2)
            added = change(x.to(torch.promote_types(x.dtype, torch.float32)), now)
            if added is not None and bool(added.ne(0).any()):
                last = run.logits(added, further=changes[n:])[0, -1]
                return finite((last if last.dtype == torch.float64 else last.float()).log_softmax(-1)).double().cpu()
        return None

    def _run(self, site: Site) -> Continuation:
        """What follows a hook point; those that were asked for last are kept."""
        key = site.read, site.edit
        if key not in self._runs:
            self._runs[key] = self.model.continuation(self.tokens, site.hook)
        self._runs.move_to_end(key)
        if len(self._runs) > _KEPT:
            self._runs.popitem(last=False)
        return self._runs[key]

    def _in_order(self, changes: Sequence[tuple[Site, Change]]) -> list[tuple[Site, Change]]:
        """Changes as their hook points come in a pass; those at one hook point stay in their order."""
        points = list(dict.fromkeys(site.edit for site, _ in changes))
        if len(points) > 1 and any(point not in self._places for point in points):
            points = list(dict.fromkeys([*self._places, *points]))
            named = {str(n): point for n, point in enumerate(points)}
            fired = list(read_points(named, lambda: self.model.model(self._ids[:, :1], return_type=None)))
            # One that does not fire comes first, where it is an error.
            self._places = {point: fired.index(name) if name in fired else -1 for name, point in named.items()}
        return sorted(changes, key=lambda each: self._places.get(each[0].edit, 0))
