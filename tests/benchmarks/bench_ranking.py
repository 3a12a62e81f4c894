"""``lab.rank`` against the same forward and backward passes written by hand, on a model of GPT-2-small's size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import saewidgets as sw
from saewidgets.analysis.ablation import MEMORY, ablate, batch_size
from saewidgets.analysis.attribution import Decomposition, decompose
from saewidgets.analysis.metrics import Metric, make_metric
from tests.benchmarks.bench_activations import D_SAE, HOOK, LAYER, random_gpt2, random_sae
from tests.benchmarks.rows import Row, alternated, table

N_TOKENS, ABLATED, MANY = 32, 50, 1000
TARGET, BASELINE, OTHER = 11, 22, 33
ROUNDS, LONG_ROUNDS = 15, 3


class Bench(NamedTuple):
    """A lab with a random model and SAE, and a prompt."""

    lab: sw.Lab
    bridge: Any
    ids: torch.Tensor


def make() -> Bench:
    """Random weights of GPT-2-small's size, and an SAE of which about 57 features fire on a token."""
    with tempfile.TemporaryDirectory() as folder:
        bridge = random_gpt2(Path(folder) / "gpt2-size")
    ids = torch.randint(0, 50_000, (N_TOKENS,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        sae = random_sae(bridge(ids[None], stop_at_layer=LAYER)[0])
    lab = sw.Lab(bridge)
    lab.add_sae({name: tensor.clone() for name, tensor in sae.items()}, name="sae", hook=HOOK)
    return Bench(lab, bridge, ids)


class Above:
    """The blocks above the SAE by hand, called as the bridge calls them."""

    def __init__(self, bridge: Any, ids: torch.Tensor) -> None:
        self.bridge, self.calls = bridge, []
        handles = [block.register_forward_pre_hook(self._keep, with_kwargs=True) for block in bridge.blocks[LAYER:]]
        with torch.no_grad():
            self.whole = bridge(ids[None])[:, -1:]
        for handle in handles:
            handle.remove()
        self.x = self.calls[0][0][0]

    def _keep(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        named = {name: None if _is_cache(value) else value for name, value in kwargs.items()}
        self.calls.append((tuple(None if _is_cache(value) else value for value in args), named | {"use_cache": False}))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Logits of the last position, [batch, 1, d_vocab]."""
        for block, (args, kwargs) in zip(self.bridge.blocks[LAYER:], self.calls, strict=True):
            output = block(x, *args[1:], **kwargs)
            x = output[0] if isinstance(output, tuple) else output
        return self.bridge.unembed(self.bridge.ln_final(x[:, -1:]))

    def gradient(self) -> torch.Tensor:
        """One forward and one backward pass."""
        x = self.x.detach().clone().requires_grad_()
        last = self.logits(x)[0, -1]
        return torch.autograd.grad(last[TARGET] - last[BASELINE], x)[0]


def _is_cache(value: Any) -> bool:
    return hasattr(value, "get_seq_length")


def attribution(bench: Bench, above: Above, part: Decomposition, metric: Metric) -> list[Row]:
    """All features at all positions, with and without their encoding."""
    model, sae, tokens = bench.lab.model_of("sae"), bench.lab.saes["sae"], bench.lab.model_of("sae").tokenize(bench.ids)

    def attribute() -> torch.Tensor:
        part._graph.clear()
        return part.attribute(part.gradient(metric)[1])

    torch.testing.assert_close(part.gradient(metric)[1], above.gradient()[0], rtol=1e-4, atol=1e-6)
    by_hand = "forward and backward of the blocks above"
    candidates = {
        by_hand: above.gradient,
        "attribution": attribute,
        "forward": lambda: model.continuation(tokens, HOOK),
        "decompose": lambda: decompose(model, sae, tokens, part.masked),
    }
    median = alternated(candidates, ROUNDS)
    ratio, forward, whole = (median[name] / median[by_hand] for name in ("attribution", "forward", "decompose"))
    pairs = f"{len(part.values):,} pairs of token and feature"
    return [
        Row(f"attribution of all features ({pairs}) / {by_hand}", f"{ratio:.3f}", "<= 1.3"),
        Row("the same with the encoding", f"{ratio + whole - forward:.3f}"),
        Row("the same with the encoding and the forward pass of the whole model", f"{ratio + whole:.3f}"),
    ]


def ablation(bench: Bench, above: Above, part: Decomposition, metric: Metric) -> list[Row]:
    """Fifty features, each in a forward pass of its own by hand."""
    pairs = [np.array([n]) for n in np.random.default_rng(0).permutation(len(part.values))[:ABLATED]]
    clean, step = part.gradient(metric)[0], batch_size(part, metric, MEMORY)
    part._graph.clear()
    delta = part.x.new_zeros(ABLATED, *part.x.shape)
    for n, (pair,) in enumerate(pairs):
        delta[n, part.positions[pair]] = -part.strength[pair] * part.sae.directions_of(part.features[pair, None])[0]
    batch = above.x + delta

    def ours() -> np.ndarray:
        return np.concatenate([ablate(part, metric, pairs[n : n + step]) for n in range(0, ABLATED, step)])

    @torch.no_grad()
    def naive() -> np.ndarray:
        hooks: list[Callable[..., torch.Tensor]] = [lambda x, hook, n=n: x + delta[n] for n in range(ABLATED)]
        last = [bench.bridge.run_with_hooks(bench.ids[None], fwd_hooks=[(HOOK, hook)])[0, -1] for hook in hooks]
        return np.array([clean - float(logits[TARGET] - logits[BASELINE]) for logits in last])

    @torch.no_grad()
    def blocks_in(size: int) -> list[torch.Tensor]:
        return [above.logits(some) for some in batch.split(size)]

    np.testing.assert_allclose(ours(), naive(), rtol=1e-3, atol=1e-4)
    candidates: dict[str, Callable[[], object]] = {
        "ours": ours,
        "alone": lambda: blocks_in(ABLATED),
        "batches": lambda: blocks_in(step),
        "naive": naive,
    }
    median = alternated(candidates, LONG_ROUNDS)
    what = f"ablation of {ABLATED} features"
    ratio = {name: f"{median['ours'] / seconds:.3f}" for name, seconds in median.items()}
    return [
        Row(f"{what} / {ABLATED} full forward passes, one hook each", ratio["naive"], "<= 0.20"),
        Row(f"{what} / the blocks above, one batch of {ABLATED}", ratio["alone"], "<= 1.15"),
        Row(f"{what} / the blocks above, batches of {step}", ratio["batches"]),
    ]


def another_target(bench: Bench) -> list[Row]:
    """The forward pass is reused."""
    ranker = bench.lab.ranker(bench.ids)
    ranker.rank(TARGET, BASELINE, max_ablations=0)
    first = lambda: bench.lab.rank(bench.ids, TARGET, BASELINE, max_ablations=0)  # noqa: E731
    again = lambda: ranker.rank(OTHER, BASELINE, max_ablations=0)  # noqa: E731
    median = alternated({"first": first, "again": again}, ROUNDS)
    ratio = median["again"] / median["first"]
    return [Row("attribution for another target / the first computation", f"{ratio:.3f}", "<= 0.4")]


def peak_above_model() -> dict[str, float]:
    """Most bytes above the model while many features are ablated, and how many were; in a new process."""
    bench = make()
    with torch.inference_mode():
        bench.bridge(bench.ids[None], stop_at_layer=LAYER + 1)
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    found = bench.lab.rank(bench.ids, TARGET, BASELINE, scope="position", max_ablations=MANY)
    return {"bytes": _status("VmHWM") - before, "ablated": found.n_ablated}


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def memory() -> list[Row]:
    """Peak of the resident memory against the same process before."""
    done = subprocess.run([sys.executable, __file__, "memory"], capture_output=True, check=True, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    what = f"memory above the model while {found['ablated']:,} features are ablated, GB"
    return [Row(what, f"{found['bytes'] / 1e9:.2f}", "<= 1.5")]


def ratios() -> list[Row]:
    """All rows that are ratios within this process."""
    bench = make()
    model = bench.lab.model_of("sae")
    metric = make_metric(model, TARGET, BASELINE)
    above = Above(bench.bridge, bench.ids)
    with torch.no_grad():
        torch.testing.assert_close(above.logits(above.x), above.whole)
    part = decompose(model, bench.lab.saes["sae"], model.tokenize(bench.ids), torch.zeros(N_TOKENS, dtype=torch.bool))
    rows = attribution(bench, above, part, metric)
    return [*rows, *ablation(bench, above, part, metric), *another_target(bench)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:] == ["memory"]:
        print(json.dumps(peak_above_model()))
    else:
        print(f"{N_TOKENS} tokens, {D_SAE:,} features at {HOOK}\n\n{table([*ratios(), *memory()])}")
