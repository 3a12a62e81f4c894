"""True ablation: the metric with one feature's contribution taken out of the activation, the error kept.

Each effect is M(x) - M(x - f d) of a forward pass that was really made. Many are made as one batch, of the blocks above
the hook point only, and no more at once than a budget of memory allows; the most attributed features come first.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from saewidgets.analysis.attribution import Decomposition
from saewidgets.analysis.metrics import Metric, check_finite_metric
from saewidgets.analysis.ranking_rows import Rows
from saewidgets.results import Node, Ranking

MEMORY = 512 * 2**20
_BATCH_TOKENS = 1024


@torch.no_grad()
def effects(found: Decomposition, metric: Metric, change: Tensor) -> np.ndarray:
    """M(x) - M(x + change) of each change [change, pos, d_in], float64 [change].

    M(x) is measured in the same batch, so that a change without effect gives 0 and not what rounding leaves.

    Raises:
        NonFiniteError: A metric is NaN or infinite.
    """
    batch = torch.cat([torch.zeros_like(change[:1]), change])
    values = metric(found.run.logits(batch, metric.n_last or found.run.n_pos)).double().cpu().numpy()
    check_finite_metric(values, metric, "with a part of the activation taken out")
    return values[0] - values[1:]


@torch.no_grad()
def ablate(found: Decomposition, metric: Metric, rows: Sequence[np.ndarray]) -> np.ndarray:
    """The effect of taking out each of some sets of pairs, all pairs of a set at once.

    Args:
        found: The prompt.
        metric: What is measured.
        rows: Pairs of each set, no two at one token.

    Returns:
        M(x) - M(x without the set), float64 [set].
    """
    change = found.x.new_zeros(len(rows), *found.x.shape)
    pairs = torch.from_numpy(np.concatenate([np.zeros(0, np.int64), *rows])).to(found.x.device)
    lengths = torch.tensor([len(row) for row in rows], dtype=torch.long)
    owner = torch.arange(len(rows)).repeat_interleave(lengths).to(found.x.device)
    taken = found.strength[pairs, None] * found.sae.directions_of(found.features[pairs])
    change[owner, found.positions[pairs]] = -taken.to(change.dtype)
    return effects(found, metric, change)


def batch_size(found: Decomposition, metric: Metric, memory: int) -> int:
    """How many ablations run at once.

    Args:
        found: The prompt.
        metric: What is measured.
        memory: Bytes that a batch may take above the model; one ablation runs whatever it takes.
    """
    fits = memory // found.run.bytes_of_one(metric.n_last or found.run.n_pos)
    return max(1, min(fits, _BATCH_TOKENS // found.run.n_pos) - 1)  # one more is the unchanged activation


def with_ablations(
    parts: Mapping[str, Decomposition],
    metric: Metric,
    ranking: Ranking,
    rows: Mapping[str, Rows],
    most: int | None = None,
    memory: int = MEMORY,
    on_progress: Callable[[Ranking], object] | None = None,
) -> Ranking:
    """The ranking with the effects of ablation. It can be stopped between two batches; what was computed stays.

    Args:
        parts: The prompt at each SAE's hook point.
        metric: What is measured.
        ranking: Activations and attributions.
        rows: Its rows, by SAE.
        most: How many rows are ablated; None: all.
        memory: Bytes that a batch may take above the model.
        on_progress: Called with the ranking so far, before the first batch and after each; False stops.
    """
    order = np.argsort(-np.abs(ranking.attribution), kind="stable")[:most]
    starts = np.cumsum([0, *(len(each.features) for each in rows.values())])
    step = min(batch_size(part, metric, memory) for part in parts.values())
    ablation, done = ranking.ablation.copy(), 0
    try:
        if most != 0:
            nodes = tuple(_ablated(parts[node.sae], metric, node) for node in ranking.nodes)
            ranking = replace(ranking, nodes=nodes)
        while goes_on(on_progress, lambda: replace(ranking, ablation=ablation.copy())):
            if done == len(order):
                break
            batch = order[done : done + step]
            for n, (name, each) in enumerate(rows.items()):
                own = batch[ranking.sae_index[batch] == n]
                sets = [each.of(int(row - starts[n])) for row in own]
                ablation[own] = ablate(parts[name], metric, sets) if sets else 0
            done += len(batch)
    except KeyboardInterrupt:
        what = f"Interrupted after {done} of {len(order)} ablations; the ranking holds what was computed."
        warnings.warn(what, stacklevel=4)
    return replace(ranking, ablation=ablation, stopped=done < len(order))


def goes_on(on_progress: Callable[[Ranking], object] | None, so_far: Callable[[], Ranking]) -> bool:
    """Tell how far it is; whether to go on: anything but False is yes."""
    answer = None if on_progress is None else on_progress(so_far())
    return not isinstance(answer, bool | np.bool_) or bool(answer)


def _ablated(part: Decomposition, metric: Metric, node: Node) -> Node:
    """The effect of taking error or bias out."""
    if node.name == "masked":
        return node
    change = torch.zeros_like(part.x)
    at = slice(None) if node.position < 0 else slice(node.position, node.position + 1)
    change[at] = -(part.error if node.name == "error" else part.bias)[at]
    return node._replace(ablation=float(effects(part, metric, change[None])[0]))
