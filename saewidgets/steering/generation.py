"""The decoding loop: text written token by token, with and without edits, and what the edits changed."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from saewidgets.errors import NonFiniteError
from saewidgets.models import LanguageModel
from saewidgets.models.decoding import Decoder
from saewidgets.models.sites import Site
from saewidgets.models.steered import Change
from saewidgets.results import Generation, NextToken, Reach, Tokens
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
        seed: Of the draws.
        apart: Whether each row of a batch draws by itself, row r with seed + r; otherwise all rows share their draws.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    apart: bool = False


class Writer:
    """One row of a batch while it is written."""

    def __init__(self, model: LanguageModel, row: int, stop: Sequence[str]) -> None:
        self.model, self.row, self.stop = model, row, tuple(stop)
        self.ids: list[int] = []
        self.logprobs: list[float] = []
        self.text, self.ended = "", ""
        self._characters = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, token_id: int, position: int, logprob: float) -> NewToken:
        """Put one token behind the text."""
        self.ids.append(token_id)
        self.logprobs.append(logprob)
        shown = self._characters.decode(self.model.vocabulary.pieces([token_id])[0])
        self.text += shown
        if token_id in self.model.vocabulary.special_ids:
            self.ended = "eos"
        elif any(stop in self.text for stop in self.stop):
            self.ended = "stop"
        return NewToken(self.row, position, token_id, shown, logprob)


class Writing:
    """Texts while they are written, all rows in one batch.

    Nothing stays in the model between two steps: it may be left unfinished, and others may use the model meanwhile.

    Args:
        model: The model.
        tokens: The prompt.
        plan: The edits.
        rows: How many texts; they differ where the plan has a value for each row, or rows are sampled apart.
        max_new_tokens: At most how many tokens; fewer where the context ends.
        sampling: How a token is chosen.
        stop: A text ends once it holds one of these.
        use_cache: Whether keys and values are kept.
        measure: Whether the unedited model reads the texts at the end, for its log-probabilities and the KL.

    Example:
        >>> writing = Writing(model, tokens, plan)  # doctest: +SKIP
        >>> while not writing.finished:  # doctest: +SKIP
        ...     writing.step()
    """

    def __init__(
        self, model: LanguageModel, tokens: Tokens, plan: Plan, rows: int = 1, max_new_tokens: int = 32,
        sampling: Sampling = Sampling(), stop: Sequence[str] = (), use_cache: bool = True, measure: bool = True,  # noqa: B008
    ) -> None:  # fmt: skip
        self.model, self.tokens, self.plan, self.sampling, self.measure = model, tokens, plan, sampling, measure
        self.cancelled = False
        self._read = Reading(model, tokens, plan, rows, use_cache)
        self._writers = [Writer(model, row, stop) for row in range(rows)]
        self._left = max(0, min(max_new_tokens, model.n_ctx - len(tokens)))
        self._next = torch.from_numpy(tokens.ids)[None].expand(rows, -1)
        self._draws = [torch.Generator().manual_seed(seed) for seed in self._seeds()]
        self._distributions: list[Tensor] = []

    def _seeds(self) -> list[int]:
        rows = range(len(self._writers)) if self.sampling.apart else [0]
        return [self.sampling.seed + row for row in rows]

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to write."""
        return self.cancelled or not self._left or all(writer.ended for writer in self._writers)

    def cancel(self) -> None:
        """Write no more; what was written stays."""
        self.cancelled = True

    def run(self, on_token: Callable[[NewToken], object] | None = None) -> tuple[Generation, ...]:
        """Write to the end.

        Args:
            on_token: Called with each new token; returning False ends all texts, with what was written.
        """
        while not self.finished:
            for new in self.step():
                if on_token is not None and on_token(new) is False:
                    self.cancel()
        return self.results()

    def step(self) -> list[NewToken]:
        """One more token for each text that goes on; nothing where all have ended."""
        if self.finished:
            return []
        before = self._read.n_read
        try:
            log_p = self._read.feed(self._next)
        except BaseException as fault:  # a pass that was ended in its middle can be made again, unless by an interrupt
            if not isinstance(fault, Exception) or self._read.n_read != before:
                self.cancel()
            raise
        drawn = torch.tensor([[float(torch.rand((), generator=draws))] for draws in self._draws], dtype=torch.float64)
        chosen = _choose(log_p, self.sampling, drawn)
        self._next, self._left = chosen[:, None], self._left - 1
        if self.measure:
            self._distributions.append(log_p)
        ids, logprobs = chosen.tolist(), log_p.gather(1, chosen[:, None])[:, 0].tolist()
        first = len(self.tokens)
        return [
            writer.write(ids[n], first + len(writer.ids), logprobs[n])
            for n, writer in enumerate(self._writers)
            if not writer.ended
        ]

    def results(self, measure: bool = True) -> tuple[Generation, ...]:
        """The texts as far as they are written, one a row.

        Args:
            measure: False: without what the unedited model says of them, which is quick.
        """
        base = self._base() if measure and self._distributions else None
        return tuple(self._result(writer, base) for writer in self._writers)

    @torch.no_grad()
    def _base(self) -> Tensor:
        """Log-probabilities of the unedited model over the texts that were written [row, new, d_vocab]."""
        first, new = len(self.tokens), len(self._distributions)
        ids = np.zeros((len(self._writers), first + new), np.int64)
        for row, writer in enumerate(self._writers):
            ids[row, :first] = self.tokens.ids
            ids[row, first : first + len(writer.ids)] = writer.ids
        logits = self.model.logits(torch.from_numpy(ids[:, :-1]))[:, first - 1 :]
        return (logits if logits.dtype == torch.float64 else logits.float()).log_softmax(-1)

    def _result(self, writer: Writer, base: Tensor | None) -> Generation:
        n, row = len(writer.ids), writer.row
        new = self.model.tokenize(writer.ids) if n else Tokens(np.zeros(0, np.int64), (), np.zeros(0, bool))
        base_logprobs = kl = np.full(n, np.nan)
        if base is not None and n:
            theirs = base[row, :n].cpu()
            own = torch.stack([log_p[row] for log_p in self._distributions[:n]]).cpu()
            base_logprobs = theirs.gather(1, torch.tensor(writer.ids)[:, None])[:, 0].double().numpy()
            kl = kl_of(theirs, own).numpy()
        read = len(self.tokens) + max(n - 1, 0)
        return Generation(
            prompt_tokens=self.tokens, new_tokens=new, logprobs=np.array(writer.logprobs, np.float64),
            base_logprobs=base_logprobs, kl=kl, steered=self._read.steered[row, :read].numpy().copy(),
            edits=self.plan.formulas_of(row), model=self.model.name,
            stopped=writer.ended or ("cancelled" if self.cancelled else "" if self._left else "length"),
            temperature=self.sampling.temperature, seed=self.sampling.seed + (row if self.sampling.apart else 0),
            reach=self._read.reach(row, read),
        )  # fmt: skip


class Reading:
    """One batch of texts while a model reads it under edits, and what the edits moved.

    Attributes:
        steered: True where the activation was moved, bool [row, n_ctx].
    """

    def __init__(self, model: LanguageModel, tokens: Tokens, plan: Plan, rows: int, use_cache: bool) -> None:
        self._model, self._plan = model, plan
        self._decoder: Decoder = model.decoder(tokens, rows, use_cache)
        self.steered = torch.zeros(rows, model.n_ctx, dtype=torch.bool)
        self._moved = torch.zeros(len(plan.ready), rows, model.n_ctx, dtype=torch.bool)
        self._looked = torch.zeros_like(self._moved)
        self._text = Text(model.special_ids, len(tokens), steered=self._mark, reached=self._mark_edit)

    def _mark(self, moved: Tensor, first: int) -> None:
        self.steered[:, first : first + moved.shape[1]] |= moved.cpu()

    def _mark_edit(self, number: int, moved: Tensor, looked: Tensor, first: int) -> None:
        place = slice(first, first + moved.shape[1])
        self._moved[number, :, place] |= moved.cpu()
        self._looked[number, :, place] |= looked.cpu()

    def changes(self) -> list[tuple[Site, Change]]:
        """What the model's hook points are given; what they move is marked here."""
        return self._plan.changes(self._text)

    def feed(self, ids: Tensor) -> Tensor:
        """Log-probabilities of the next token [row, d_vocab]."""
        steered = self._model.steered(self.changes(), lambda: self._decoder.first)
        return finite(steered.run(lambda: self._decoder.feed(ids)).log_softmax(-1))

    @property
    def n_read(self) -> int:
        """How many tokens of each text were read."""
        return self._decoder.n_read

    def reach(self, row: int, n: int) -> tuple[Reach, ...]:
        """How far each edit reached in the first n tokens of a row."""
        moved, looked = self._moved[:, row, :n].sum(-1).tolist(), self._looked[:, row, :n].sum(-1).tolist()
        return tuple(map(Reach, moved, looked))


def finite(log_p: Tensor) -> Tensor:
    """The log-probabilities [..., d_vocab]; NonFiniteError where they are no numbers."""
    if bool(log_p.isnan().any()):
        raise NonFiniteError(
            "What the model says is no longer a number.", got="NaN", expected="finite numbers",
            do="make the edits weaker, or check the model without them",
        )  # fmt: skip
    return log_p


def next_token(model: LanguageModel, tokens: Tokens, plan: Plan, k: int = 20) -> NextToken:
    """The next token's distribution without and with edits.

    Args:
        model: The model.
        tokens: The prompt.
        plan: The edits.
        k: How many tokens are listed, the likeliest under either.
    """
    ids = torch.from_numpy(tokens.ids)[None]
    base = Reading(model, tokens, Plan(model, {}, (), None), 1, use_cache=False).feed(ids)[0].double().cpu()
    read = Reading(model, tokens, plan, 1, use_cache=False)
    edited = read.feed(ids)[0].double().cpu() if plan.ready else base
    n = len(tokens)
    return compared(model, tokens, plan, base, edited, read.steered[0, :n], read.reach(0, n), k)


def compared(
    model: LanguageModel, tokens: Tokens, plan: Plan, base: Tensor, edited: Tensor, steered: Tensor,
    reach: tuple[Reach, ...], k: int,
) -> NextToken:  # fmt: skip
    """The result of two distributions.

    Args:
        model: The model.
        tokens: The prompt.
        plan: The edits.
        base: Log-probabilities without them, float64 [d_vocab].
        edited: Log-probabilities with them, float64 [d_vocab].
        steered: What was moved, bool [pos].
        reach: How far each edit reached.
        k: How many tokens are listed.
    """
    top = torch.maximum(base, edited).topk(min(max(k, 1), len(base))).indices
    return NextToken(
        prompt_tokens=tokens, ids=top.numpy(), tokens=tuple(model.token_text(i) for i in top.tolist()),
        base=base[top].exp().numpy(), edited=edited[top].exp().numpy(), kl=float(kl_of(base[None], edited[None])[0]),
        edits=plan.formulas, steered=steered.numpy().copy(), model=model.name, reach=reach,
    )  # fmt: skip


def kl_of(base: Tensor, edited: Tensor) -> Tensor:
    """KL(base || edited) of each row of log-probabilities, float64; rounding below 0 is cut off."""
    base, edited = base.double(), edited.double()
    return (base.exp() * (base - edited)).sum(-1).clamp(min=0)


def _choose(log_p: Tensor, sampling: Sampling, drawn: Tensor) -> Tensor:
    """A token for each row [row], by numbers from 0 to 1 [row or 1, 1]."""
    if sampling.temperature == 0:
        return log_p.argmax(-1)
    p, order = (log_p.double() / sampling.temperature).softmax(-1).sort(descending=True, stable=True)
    kept = p.cumsum(-1) - p < sampling.top_p
    cumulative = (p * kept).cumsum(-1)
    wanted = (drawn.to(cumulative.device) * cumulative[:, -1:]).contiguous()
    place = torch.searchsorted(cumulative, wanted, right=True)
    return order.gather(1, place.clamp(max=log_p.shape[1] - 1))[:, 0]
