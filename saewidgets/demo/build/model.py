"""Trains the bundled language model: GPT-2's architecture in small, from scratch."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.utils import logging as transformers_logging

from saewidgets.demo.build.corpus import Corpus, pack
from saewidgets.demo.build.settings import BOS_ID, PAD_ID, Settings

_CE_CHUNK = 1024
_LOG_EVERY = 100


def new_model(settings: Settings) -> GPT2LMHeadModel:
    """A model of the architecture of the settings with random weights."""
    config = GPT2Config(
        vocab_size=settings.vocab_size,
        n_positions=settings.context,
        n_embd=settings.d_model,
        n_layer=settings.n_layers,
        n_head=settings.n_heads,
        # The same function as gelu_new, in one fused kernel; saved as gelu_new.
        activation_function="gelu_pytorch_tanh",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=BOS_ID,
        eos_token_id=BOS_ID,
        pad_token_id=PAD_ID,
        use_cache=False,
    )
    # Plain matrix products: in bfloat16 on a CPU, the backward pass of the fused attention takes five times as long.
    config._attn_implementation = "eager"
    return GPT2LMHeadModel(config)


class _CrossEntropy(torch.autograd.Function):
    """Mean cross-entropy of a tied unembedding, a chunk of tokens at a time so that logits stay in the cache."""

    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:  # noqa: ANN001
        count = len(targets)
        low = weight.to(torch.bfloat16)
        grad_hidden, grad_weight = torch.empty_like(hidden), torch.zeros_like(weight)
        total = torch.zeros(())
        for start in range(0, count, _CE_CHUNK):
            part, right = hidden[start : start + _CE_CHUNK].to(torch.bfloat16), targets[start : start + _CE_CHUNK]
            log_probs = torch.log_softmax((part @ low.t()).float(), -1)
            total -= log_probs.gather(1, right[:, None]).sum()
            gradient = log_probs.exp_()
            gradient[torch.arange(len(right)), right] -= 1
            gradient = (gradient / count).to(torch.bfloat16)
            grad_hidden[start : start + _CE_CHUNK] = (gradient @ low).to(hidden.dtype)
            grad_weight += (gradient.t() @ part).float()
        ctx.save_for_backward(grad_hidden, grad_weight)
        return total / count

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN001
        grad_hidden, grad_weight = ctx.saved_tensors
        return grad_hidden * grads[0], grad_weight * grads[0], None


def loss_of(model: GPT2LMHeadModel, ids: Int[Tensor, "row pos"], numbers: Int[Tensor, "row pos"]) -> Float[Tensor, ""]:
    """Mean cross-entropy of packed rows, in nats; a document sees only itself, and ends by predicting BOS.

    Args:
        model: The model.
        ids: Token ids of packed rows, see ``corpus.pack``.
        numbers: Number of the document at each position, 0 for padding.
    """
    same = (numbers[:, :, None] == numbers[:, None, :]).tril()
    mask = torch.zeros(same.shape).masked_fill_(~same, -1e9)[:, None]
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.transformer(ids, attention_mask=mask).last_hidden_state
    following = torch.cat([ids[:, 1:], torch.full_like(ids[:, :1], PAD_ID)], 1)
    targets = torch.where(following == PAD_ID, BOS_ID, following)
    real = numbers > 0
    loss = _CrossEntropy.apply(hidden[real].float(), model.lm_head.weight, targets[real])
    assert isinstance(loss, Tensor)
    return loss


def optimizer_of(model: GPT2LMHeadModel, settings: Settings) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices only."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": settings.weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98), fused=True)


def learning_rate(step: int, steps: int, settings: Settings) -> float:
    """Linear warm-up, then a cosine down to a hundredth.

    Example:
        >>> learning_rate(199, 1000, Settings(learning_rate=2.0)) == 2.0
        True
    """
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    done = max(0, step - settings.warmup_steps) / max(1, steps - settings.warmup_steps)
    return settings.learning_rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


def _batches(rows: tuple[np.ndarray, np.ndarray], size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    order = np.random.default_rng(seed).permutation(len(rows[0]))
    for start in range(0, len(order) - size + 1, size):
        chosen = order[start : start + size]
        yield torch.from_numpy(rows[0][chosen].astype(np.int64)), torch.from_numpy(rows[1][chosen].astype(np.int64))


def train_model(corpus: Corpus, settings: Settings) -> GPT2LMHeadModel:
    """Train one pass over the corpus.

    Args:
        corpus: Training documents.
        settings: Sizes, schedule and seed.

    Returns:
        The trained model in float32, in evaluation mode.
    """
    torch.manual_seed(settings.seed)
    model = new_model(settings).train()
    optimizer = optimizer_of(model, settings)
    rows = pack(corpus, settings.context, settings.seed)
    steps = len(rows[0]) // settings.batch_rows
    print(f"model: {sum(p.numel() for p in model.parameters()):,} parameters, {steps} steps", flush=True)
    began, mean = time.monotonic(), 0.0
    for step, (ids, numbers) in enumerate(_batches(rows, settings.batch_rows, settings.seed)):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps, settings)
        loss = loss_of(model, ids, numbers)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean += loss.item() / _LOG_EVERY
        if (step + 1) % _LOG_EVERY == 0:
            print(f"model: step {step + 1} loss {mean:.4f} {time.monotonic() - began:.0f} s", flush=True)
            mean = 0.0
    return model.eval()


def save_model(model: GPT2LMHeadModel, folder: Path) -> None:
    """Write the model as a Hugging Face folder with float16 weights."""
    model.config.activation_function = "gelu_new"
    model.config.use_cache = True
    model.save_pretrained(folder)
    path = folder / "model.safetensors"
    weights = {name: tensor.to(torch.float16).contiguous() for name, tensor in load_file(path).items()}
    save_file(weights, path, metadata={"format": "pt"})
    path.chmod(0o644)


def load_model(folder: Path) -> GPT2LMHeadModel:
    """Read a model folder in float32, in evaluation mode."""
    transformers_logging.set_verbosity_error()
    model = GPT2LMHeadModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    model.config.use_cache = False
    return model
