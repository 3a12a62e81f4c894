"""Many ways to steer in few forward passes: the next token of prompts, neutral texts, and continuations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from saewidgets.models import LanguageModel
from saewidgets.models.continuation import Continuation
from saewidgets.models.steered import Pass
from saewidgets.results import Tokens
from saewidgets.steering.bench_arms import Arm, Row, changes
from saewidgets.steering.scores import distinct_share, log_odds

MEMORY = 2**28  # bytes that a batch may take above the model
BATCH_ROWS = 512

Tick = Callable[[], object]


class Reading:
    """One text, run once up to the hook point, and what follows it with the activation changed.

    Args:
        model: The model.
        hook: Hook point that is edited.
        tokens: The text.
    """

    def __init__(self, model: LanguageModel, hook: str, tokens: Tokens) -> None:
        self.tokens = tokens
        self.run: Continuation = model.continuation(tokens, hook)
        x = self.run.x.flatten(1)
        self.x = x.to(torch.promote_types(x.dtype, torch.float32))
        self.plain = torch.from_numpy(~np.isin(tokens.ids, model.special_ids.numpy())).to(x.device)

    def logits(self, arms: Sequence[Arm], rows: Sequence[Row], n_last: int) -> Iterator[tuple[slice, Tensor]]:
        """Logits [row, n_last, d_vocab] of rows, some at a time; rows that move nothing give those of the text."""
        step = max(1, MEMORY // max(1, self.run.bytes_of_one(n_last)))
        for start in range(0, len(rows), step):
            part = rows[start : start + step]
            yield slice(start, start + len(part)), self._logits(arms, part, n_last)

    @torch.no_grad()
    def _logits(self, arms: Sequence[Arm], rows: Sequence[Row], n_last: int) -> Tensor:
        change = changes(arms, rows, self.x[None], self.plain[None])
        moved = change.flatten(1).ne(0).any(1)
        if bool(moved.all()):
            return _wide(self.run.logits(change, n_last))
        logits = self.base(n_last).repeat(len(rows), 1, 1)
        if bool(moved.any()):
            logits[moved] = _wide(self.run.logits(change[moved], n_last))
        return logits

    @torch.no_grad()
    def base(self, n_last: int) -> Tensor:
        """Logits without edits [1, n_last, d_vocab]."""
        return _wide(self.run.logits(torch.zeros(1, *self.x.shape, device=self.x.device), n_last))


def next_log_odds(
    readings: Sequence[Reading], arms: Sequence[Arm], rows: Sequence[Row], target: Sequence[int], tick: Tick
) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds of the target at the next token of each prompt: without edits [prompt], and [row, prompt]."""
    base, steered = np.zeros(len(readings)), np.zeros((len(rows), len(readings)))
    for n, reading in enumerate(readings):
        base[n] = float(log_odds(reading.base(1)[0, -1], target))
        for part, logits in reading.logits(arms, rows, 1):
            steered[part, n] = log_odds(logits[:, -1], target).cpu().numpy()
        tick()
    return base, steered


class Neutral:
    """Neutral texts with their distributions without edits.

    Args:
        readings: Texts of at least two tokens.
    """

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._readings = tuple(readings)
        self._base = [reading.base(len(reading.tokens))[:, :-1].log_softmax(-1) for reading in readings]

    @property
    def n_tokens(self) -> int:
        """How many tokens are predicted: all but the first of each text."""
        return sum(len(reading.tokens) - 1 for reading in self._readings)

    def measure(self, arms: Sequence[Arm], rows: Sequence[Row], tick: Tick) -> tuple[np.ndarray, np.ndarray]:
        """KL(base || edited), and the increase of the cross-entropy, in nats per token [row]."""
        kl, ce = np.zeros(len(rows)), np.zeros(len(rows))
        for reading, base in zip(self._readings, self._base, strict=True):
            p = base.exp()
            after = torch.from_numpy(reading.tokens.ids)[None, 1:, None].to(base.device)
            for part, logits in reading.logits(arms, rows, len(reading.tokens)):
                apart = base - logits[:, :-1].log_softmax(-1)
                kl[part] += (p * apart).sum(-1).double().sum(1).cpu().numpy()
                ce[part] += apart.gather(2, after.expand(len(apart), -1, -1)).double().sum((1, 2)).cpu().numpy()
            tick()
        return kl / self.n_tokens, ce / self.n_tokens


class Written(NamedTuple):
    """What was written, each [row, prompt].

    Attributes:
        log_odds: Of the target, mean over the new tokens, as the model that wrote saw it.
        ce: Cross-entropy under the unedited model, in nats per token.
        distinct: Share of runs of three tokens that were not written before.
        named: Whether the target was written, 0 or 1.
    """

    log_odds: np.ndarray
    ce: np.ndarray
    distinct: np.ndarray
    named: np.ndarray


def write(
    model: LanguageModel, hook: str, prompts: Sequence[Tokens], arms: Sequence[Arm], rows: Sequence[Row],
    n_new: int, target: Sequence[int], tick: Tick,
) -> Written:  # fmt: skip
    """Let rows continue each prompt with the likeliest tokens; prompts of one length run together.

    A text ends with a special token, which counts, or with the context. No rows: the unedited model, as one row.
    """
    n_rows = max(1, len(rows))
    result = Written(*(np.full((n_rows, len(prompts)), np.nan) for _ in range(4)))
    for group in _of_one_length(prompts):
        step = max(1, min(BATCH_ROWS, MEMORY // (12 * model.d_vocab)) // len(group))
        left = min(n_new, model.n_ctx - len(prompts[group[0]]))
        for start in range(0, n_rows, step):
            part = rows[start : start + step]
            ids = torch.stack([torch.from_numpy(prompts[n].ids) for n in group])
            found = _write_batch(model, hook, ids.repeat(max(1, len(part)), 1), arms, part, left, target)
            for whole, own in zip(result, found, strict=True):
                whole[start : start + step, group] = own.reshape(-1, len(group))
            tick()
    return result


def _of_one_length(prompts: Sequence[Tokens]) -> list[list[int]]:
    lengths: dict[int, list[int]] = {}
    for n, tokens in enumerate(prompts):
        lengths.setdefault(len(tokens), []).append(n)
    return list(lengths.values())


def _write_batch(
    model: LanguageModel, hook: str, ids: Tensor, arms: Sequence[Arm], rows: Sequence[Row], n_new: int,
    target: Sequence[int],
) -> Written:  # fmt: skip
    """One batch of prompts of one length [batch, pos], the prompts of each row behind each other."""
    if n_new < 1:
        return Written(*(np.full(len(ids), np.nan) for _ in range(4)))
    decoder = model.decoder(model.tokenize(ids[0].tolist()), len(ids))
    special = model.special_ids
    repeat = len(ids) // max(1, len(rows))

    def change(x: Tensor, now: Pass) -> Tensor:
        plain = ~torch.isin(now.ids, special.to(now.ids.device))
        return changes(arms, rows, x, plain.to(x.device), repeat)

    edits = [(model.site(hook), change)] if rows else []
    odds, chosen, following = [], [], ids
    for _ in range(n_new):
        with model.steered(edits, lambda: decoder.first):
            logits = decoder.feed(following)
        following = logits.argmax(-1)[:, None].cpu()
        odds.append(log_odds(logits, target).cpu().numpy())
        chosen.append(following[:, 0])
    new = torch.stack(chosen, 1)
    ended = torch.isin(new, special).cumsum(1)
    alive = ((ended == 0) | ((ended == 1) & torch.isin(new, special))).numpy()
    n = alive.sum(1)
    ce = _cross_entropy(model, ids, new)
    texts = [row[keep].tolist() for row, keep in zip(new.numpy(), alive, strict=True)]
    return Written(
        (np.stack(odds, 1) * alive).sum(1) / n, (ce * alive).sum(1) / n,
        np.array([distinct_share(text) for text in texts]),
        np.array([float(bool(set(text) & set(target))) for text in texts]),
    )  # fmt: skip


def _cross_entropy(model: LanguageModel, prompt: Tensor, new: Tensor) -> np.ndarray:
    """Of each new token under the unedited model, in nats [batch, new]."""
    whole = torch.cat([prompt, new], 1)[:, :-1]
    step = max(1, MEMORY // (12 * model.d_vocab * whole.shape[1]))
    parts = []
    for ids, after in zip(whole.split(step), new.split(step), strict=True):
        log_p = _wide(model.logits(ids)[:, -new.shape[1] :]).log_softmax(-1)
        parts.append(-log_p.gather(2, after[..., None].to(log_p.device))[..., 0].double().cpu().numpy())
    return np.concatenate(parts)


def _wide(logits: Tensor) -> Tensor:
    return logits if logits.dtype == torch.float64 else logits.float()
