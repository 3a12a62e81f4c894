"""The decoding loop: text written token by token, with and without edits, and what the edits changed."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from saewidgets.models import LanguageModel
from saewidgets.models.decoding import Decoder
from saewidgets.results import Generation, NextToken, Tokens
from saewidgets.steering.plan import Plan, Text


class NewToken(NamedTuple):
    """One token as it is written.

    ``text`` is what can be read now: a part of a character waits for the rest.
    """

    row: int
    position: int
    id: int
    text: str
    logprob: float


class Sampling(NamedTuple):
    """How a token is taken from a distribution.

    Args:
        temperature: 0: the likeliest token.
        top_p: Only the likeliest tokens that together have this probability.
        seed: Of the draws; all rows of a batch share them.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


class Writer:
    """One row of a batch while it is written."""

    def __init__(self, model: LanguageModel, row: int, stop: Sequence[str]) -> None:
        self.model, self.row, self.stop = model, row, tuple(stop)
        self.ids: list[int] = []
        self.text, self.ended = "", ""
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, token_id: int, position: int, logprob: float) -> NewToken:
        """Put one token behind the text."""
        self.ids.append(token_id)
        shown = self._characters.decode(self.model.vocabulary.pieces([token_id])[0])
        self.text += shown
        if token_id in self.model.vocabulary.special_ids:
            self.ended = "eos"
        elif any(stop in self.text for stop in self.stop):
            self.ended = "stop"
        return NewToken(self.row, position, token_id, shown, logprob)


def generate(
    model: LanguageModel,
    tokens: Tokens,
    plan: Plan,
    *,
    rows: int = 1,
    max_new_tokens: int = 32,
    sampling: Sampling = Sampling(),  # noqa: B008 - a NamedTuple does not change
    stop: Sequence[str] = (),
    on_token: Callable[[NewToken], object] | None = None,
    use_cache: bool = True,
    measure: bool = True,
) -> tuple[Generation, ...]:
    """Let a model write on, all rows in one batch.

    Args:
        model: The model.
        tokens: The prompt.
        plan: The edits.
        rows: How many texts; they differ where the plan has a value for each row.
        max_new_tokens: At most how many tokens; fewer where the context ends.
        sampling: How a token is chosen.
        stop: A text ends once it holds one of these.
        on_token: Called with each new token; returning False ends all rows, with what was written.
        use_cache: Whether keys and values are kept.
        measure: Whether to run the unedited model over the texts at the end, for its log-probabilities and the KL.

    Returns:
        One result a row.
    """
    run = _Run(model, tokens, plan, rows, use_cache)
    writers = [Writer(model, row, stop) for row in range(rows)]
    draws = torch.Generator().manual_seed(sampling.seed)
    most = max(0, min(max_new_tokens, model.n_ctx - len(tokens)))
    ids = torch.from_numpy(tokens.ids)[None].expand(rows, -1)
    cancelled = False
    while len(run.distributions) < most and not cancelled and not all(writer.ended for writer in writers):
        log_p = run.feed(ids)
        chosen = _choose(log_p, sampling, float(torch.rand((), generator=draws)))
        for writer in writers:
            if not writer.ended and not cancelled:
                token_id = int(chosen[writer.row])
                new = writer.write(token_id, len(tokens) + len(writer.ids), float(log_p[writer.row, token_id]))
                cancelled = on_token is not None and on_token(new) is False
        ids = chosen[:, None]
    return run.results(writers, cancelled, sampling, measure)


class _Run:
    """One batch while it is decoded."""

    def __init__(self, model: LanguageModel, tokens: Tokens, plan: Plan, rows: int, use_cache: bool) -> None:
        self.model, self.tokens, self.plan, self.rows = model, tokens, plan, rows
        self.decoder: Decoder = model.decoder(tokens, rows, use_cache)
        self.distributions: list[Tensor] = []
        self.steered = torch.zeros(rows, model.n_ctx, dtype=torch.bool)
        self.text = Text(model.special_ids, len(tokens), steered=self._mark)

    def _mark(self, moved: Tensor, first: int) -> None:
        self.steered[:, first : first + moved.shape[1]] |= moved.cpu()

    def feed(self, ids: Tensor) -> Tensor:
        """Log-probabilities of the next token [row, d_vocab]."""
        with self.model.steered(self.plan.changes(self.text), lambda: self.decoder.first):
            log_p = self.decoder.feed(ids).log_softmax(-1)
        self.distributions.append(log_p)
        return log_p

    def results(
        self, writers: Sequence[Writer], cancelled: bool, sampling: Sampling, measure: bool
    ) -> tuple[Generation, ...]:
        base = self._base(writers) if measure and self.distributions else None
        return tuple(self._result(writer, cancelled, sampling, base) for writer in writers)

    def _base(self, writers: Sequence[Writer]) -> Tensor:
        """Log-probabilities of the unedited model over the texts that were written [row, new, d_vocab]."""
        new = len(self.distributions)
        ids = np.zeros((self.rows, len(self.tokens) + new), np.int64)
        for writer in writers:
            ids[writer.row, : len(self.tokens)] = self.tokens.ids
            ids[writer.row, len(self.tokens) : len(self.tokens) + len(writer.ids)] = writer.ids
        logits = self.model.logits(torch.from_numpy(ids[:, :-1]))[:, len(self.tokens) - 1 :]
        return (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)

    def _result(self, writer: Writer, cancelled: bool, sampling: Sampling, base: Tensor | None) -> Generation:
        n = len(writer.ids)
        new = self.model.tokenize(writer.ids) if n else Tokens(np.zeros(0, np.int64), (), np.zeros(0, bool))
        at = torch.tensor(writer.ids, dtype=torch.long)[:, None]
        own = torch.stack([log_p[writer.row] for log_p in self.distributions[:n]]).cpu() if n else torch.zeros(0, 1)
        logprobs = own.gather(1, at)[:, 0].double().numpy()
        base_logprobs = kl = np.full(n, np.nan)
        if base is not None and n:
            theirs = base[writer.row, :n].cpu()
            base_logprobs = theirs.gather(1, at)[:, 0].double().numpy()
            kl = _kl(theirs, own).numpy()
        return Generation(
            prompt_tokens=self.tokens, new_tokens=new, logprobs=logprobs, base_logprobs=base_logprobs, kl=kl,
            steered=self.steered[writer.row, : len(self.tokens) + max(n - 1, 0)].numpy(),
            edits=self.plan.formulas_of(writer.row), model=self.model.name,
            stopped=writer.ended or ("cancelled" if cancelled else "length"),
            temperature=sampling.temperature, seed=sampling.seed,
        )  # fmt: skip


def next_token(model: LanguageModel, tokens: Tokens, plan: Plan, k: int = 20) -> NextToken:
    """The next token's distribution without and with edits.

    Args:
        model: The model.
        tokens: The prompt.
        plan: The edits.
        k: How many tokens are listed, the likeliest under either.
    """
    ids = torch.from_numpy(tokens.ids)[None]
    bare = Plan(model, {}, (), None)
    base = _Run(model, tokens, bare, 1, use_cache=False).feed(ids)[0].double().cpu()
    run = _Run(model, tokens, plan, 1, use_cache=False)
    edited = run.feed(ids)[0].double().cpu() if plan.ready else base
    top = torch.maximum(base, edited).topk(min(max(k, 1), len(base))).indices
    return NextToken(
        prompt_tokens=tokens, ids=top.numpy(), tokens=tuple(model.token_text(i) for i in top.tolist()),
        base=base[top].exp().numpy(), edited=edited[top].exp().numpy(), kl=float(_kl(base[None], edited[None])[0]),
        edits=plan.formulas, steered=run.steered[0, : len(tokens)].numpy(), model=model.name,
    )  # fmt: skip


def _kl(base: Tensor, edited: Tensor) -> Tensor:
    """KL(base || edited) of each row of log-probabilities, float64, never below 0 but for rounding."""
    base, edited = base.double(), edited.double()
    return (base.exp() * (base - edited)).sum(-1)


def _choose(log_p: Tensor, sampling: Sampling, draw: float) -> Tensor:
    """A token for each row [row]."""
    if sampling.temperature == 0:
        return log_p.argmax(-1)
    p, order = (log_p.double() / sampling.temperature).softmax(-1).sort(descending=True, stable=True)
    kept = p.cumsum(-1) - p < sampling.top_p
    cumulative = (p * kept).cumsum(-1)
    place = torch.searchsorted(cumulative, (draw * cumulative[:, -1:]).contiguous(), right=True)
    return order.gather(1, place.clamp(max=log_p.shape[1] - 1))[:, 0]
