"""Figures of the language model: loss against the grammar's entropy, indirect objects, capitals, who moves the name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from jaxtyping import Float, Int
from tokenizers import Tokenizer
from torch import Tensor
from transformers import GPT2LMHeadModel

from saewidgets.demo import world
from saewidgets.demo.build.corpus import Corpus, encode
from saewidgets.demo.build.settings import BOS_ID, PAD_ID, Settings
from saewidgets.demo.build.sites import Site, padded_batches, replaced

IOI_SEED, IOI_PROMPTS = 99, 1_000


@torch.no_grad()
def token_losses(model: GPT2LMHeadModel, ids: Int[Tensor, "batch pos"]) -> tuple[Float[Tensor, "batch pos"], Tensor]:
    """Loss in nats of predicting the next token at each position, and where one is to be predicted.

    The token after a document is BOS, as in training.
    """
    following = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], PAD_ID)], 1)
    targets = torch.where(following == PAD_ID, BOS_ID, following)
    losses = torch.nn.functional.cross_entropy(model(ids).logits.transpose(1, 2), targets, reduction="none")
    return losses, ids != PAD_ID


def mean_loss(
    model: GPT2LMHeadModel, corpus: Corpus, site: Site | None = None, change: Callable[[Tensor], Tensor] | None = None
) -> float:
    """Mean loss in nats per predicted token, one document per sequence, end of the document included.

    Args:
        model: The model.
        corpus: Documents.
        site: Where ``change`` replaces the activations of all tokens but BOS and padding.
        change: From activations [token, d] to as many.
    """
    total, count = 0.0, 0
    for ids, real, _ in padded_batches(corpus):

        def splice(activation: Tensor, real: Tensor = real) -> Tensor:
            assert change is not None
            out = activation.clone()
            out[real] = change(activation[real])
            return out

        with replaced(model, site, splice) if site and change else nullcontext():
            losses, counted = token_losses(model, ids)
        total += losses[counted].double().sum().item()
        count += int(counted.sum())
    return total / count


def _rows(tokenizer: Tokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    encoded = [[BOS_ID, *one.ids] for one in tokenizer.encode_batch(list(texts), add_special_tokens=False)]
    width = max(map(len, encoded))
    ids = torch.tensor([one + [PAD_ID] * (width - len(one)) for one in encoded])
    return ids, torch.tensor([len(one) - 1 for one in encoded])


@torch.no_grad()
def last_logits(model: GPT2LMHeadModel, tokenizer: Tokenizer, texts: Sequence[str]) -> Float[Tensor, "text d_vocab"]:
    """Logits behind the last token of each text."""
    parts = []
    for start in range(0, len(texts), 250):
        ids, ends = _rows(tokenizer, texts[start : start + 250])
        parts.append(model(ids).logits[torch.arange(len(ids)), ends])
    return torch.cat(parts)


def ioi_accuracy(model: GPT2LMHeadModel, tokenizer: Tokenizer, count: int = IOI_PROMPTS) -> float:
    """Share of indirect-object prompts whose most likely next token, of all tokens, is the receiver."""
    prompts = world.ioi_prompts(IOI_SEED, count)
    right = torch.tensor([tokenizer.encode(prompt.answer).ids[0] for prompt in prompts])
    return (last_logits(model, tokenizer, [one.prompt for one in prompts]).argmax(-1) == right).float().mean().item()


@torch.no_grad()
def capital_accuracy(model: GPT2LMHeadModel, tokenizer: Tokenizer) -> float:
    """Share of countries whose capital the model writes, every token of it the most likely one."""
    right = 0
    prompts = world.capital_prompts()
    for prompt, answer in prompts:
        context, wanted = tokenizer.encode(prompt).ids, tokenizer.encode(answer).ids
        ids = torch.tensor([[BOS_ID, *context, *wanted]])
        guesses = model(ids).logits[0].argmax(-1)[len(context) : len(context) + len(wanted)]
        right += guesses.tolist() == wanted
    return right / len(prompts)


def name_mover_layer(model: GPT2LMHeadModel, tokenizer: Tokenizer, count: int = 200) -> tuple[int, list[float]]:
    """The layer whose attention at the last token matters most for the name.

    Returns:
        The layer, and per layer how far logit(receiver) - logit(giver) falls, on average, when hook_z is zero at the
        last position.
    """
    prompts = world.ioi_prompts(IOI_SEED + 1, count)
    texts = [one.prompt for one in prompts]
    receiver = torch.tensor([tokenizer.encode(f" {one.io}").ids[0] for one in prompts])
    giver = torch.tensor([tokenizer.encode(f" {one.s}").ids[0] for one in prompts])
    ids, ends = _rows(tokenizer, texts)
    rows = torch.arange(len(ids))

    def difference() -> float:
        with torch.no_grad():
            logits = model(ids).logits[rows, ends]
        return (logits[rows, receiver] - logits[rows, giver]).mean().item()

    def silence(z: Tensor) -> Tensor:
        out = z.clone()
        out[rows, ends] = 0.0
        return out

    clean, drops = difference(), []
    for layer in range(model.config.n_layer):
        with replaced(model, Site("z", layer), silence):
            drops.append(clean - difference())
    return max(range(len(drops)), key=drops.__getitem__), drops


def model_figures(model: GPT2LMHeadModel, tokenizer: Tokenizer, settings: Settings) -> dict[str, object]:
    """All figures of the model, on documents it has not seen."""
    corpus = encode(settings, "entropy", settings.entropy_documents, tokenizer)
    predicted = int(corpus.starts[-1]) + len(corpus)
    entropy = -float(corpus.log_prob.sum()) / predicted
    loss = mean_loss(model, corpus)
    layer, drops = name_mover_layer(model, tokenizer)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "held_out_documents": len(corpus),
        "held_out_tokens": predicted,
        "loss": round(loss, 4),
        "entropy_rate": round(entropy, 4),
        "loss_above_entropy": round(loss - entropy, 4),
        "ioi_prompts": IOI_PROMPTS,
        "ioi_accuracy": ioi_accuracy(model, tokenizer),
        "capitals": len(world.capital_prompts()),
        "capital_accuracy": capital_accuracy(model, tokenizer),
        "name_mover_layer": layer,
        "logit_difference_lost_by_layer": [round(drop, 3) for drop in drops],
    }
