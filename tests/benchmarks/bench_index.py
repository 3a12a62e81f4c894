"""``lab.build_index`` against the forward pass and encoding of the same tokens, on a model of GPT-2-small's size."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import saewidgets as sw
from saewidgets.index import FeatureIndex, Progress
from tests.benchmarks.bench_activations import D_SAE, HOOK, LAYER, random_gpt2, random_sae
from tests.benchmarks.rows import Row, line, table

N_TOKENS, CONTEXT, BATCH = 51_200, 128, 8
FEW = N_TOKENS // 4
LOOKUPS = 500
SAE_DASHBOARD_SECONDS = 0.053  # for one feature over 32,768 tokens, its cache warm


class Bench(NamedTuple):
    """A lab with a random model and SAE, and the SAE's tensors."""

    lab: sw.Lab
    bridge: Any
    sae: dict[str, torch.Tensor]


def make() -> Bench:
    """Random weights of GPT-2-small's size, and an SAE of which about 57 features fire on a token."""
    with tempfile.TemporaryDirectory() as folder:
        bridge = random_gpt2(Path(folder) / "gpt2-size")
    with torch.inference_mode():
        sae = random_sae(bridge(tokens(1)[:, :CONTEXT], stop_at_layer=LAYER)[0])
    lab = sw.Lab(bridge)
    sae = {name: tensor.clone() for name, tensor in sae.items()}
    lab.add_sae(sae, name="sae", hook=HOOK)
    return Bench(lab, bridge, sae)


def tokens(n: int) -> torch.Tensor:
    """Random texts [n, CONTEXT]."""
    return torch.randint(0, 50_000, (n, CONTEXT), generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def by_hand(bench: Bench, ids: torch.Tensor) -> None:
    """The forward pass to the layer, and the encoding."""
    for batch in ids.split(BATCH):
        x = bench.bridge(batch, stop_at_layer=LAYER).flatten(0, 1)
        for rows in x.split(2**24 // D_SAE):
            torch.relu((rows - bench.sae["b_dec"]) @ bench.sae["W_enc"] + bench.sae["b_enc"])


@torch.inference_mode()
def our_parts(bench: Bench, ids: torch.Tensor) -> None:
    """What ``lab.activations`` reads and encodes with, which is faster than the above: nothing is kept of it."""
    model, sae = bench.lab.model_of("sae"), bench.lab.saes["sae"]
    for batch in ids.split(BATCH):
        x = model.read(batch, [HOOK])[HOOK].flatten(0, 1)
        for rows in x.split(2**24 // D_SAE):
            sae.encode(rows)


# Each runs on one batch of so many; its seconds for all are taken from those.
SHARES = {by_hand: 4, our_parts: 8}


class InTurns:
    """Runs the others on some of the batches that a build has just read, so that the machine's load meets all alike."""

    def __init__(self, bench: Bench, ids: torch.Tensor) -> None:
        self.bench, self.ids, self.done = bench, ids, 0
        self.seconds = dict.fromkeys(SHARES, 0.0)
        self.texts = dict.fromkeys(SHARES, 0)

    def __call__(self, progress: Progress) -> None:
        """Called by the build."""
        batches = self.ids[self.done : progress.tokens // CONTEXT].split(BATCH)
        for run, share in SHARES.items():
            ids = torch.cat(batches[::share])
            start = time.process_time()
            run(self.bench, ids)
            self.seconds[run] += time.process_time() - start
            self.texts[run] += len(ids)
        self.done = progress.tokens // CONTEXT

    def for_all(self, run: Any) -> float:
        """Seconds that all tokens would have taken."""
        return self.seconds[run] * len(self.ids) / self.texts[run]


def building(bench: Bench, path: Path) -> Iterator[Row]:
    """The build and the others in turns, some batches each, in seconds of this process, which has one thread."""
    ids = tokens(N_TOKENS // CONTEXT)
    others = InTurns(bench, ids)
    for run in SHARES:
        run(bench, ids[:BATCH])
    start = time.process_time()
    index = bench.lab.build_index(ids, path=path, context=CONTEXT, on_progress=others, weights=False)
    ours = time.process_time() - start - sum(others.seconds.values())
    l0 = index.count.sum() / index.n_tokens
    what = f"build for all features / (forward to the layer + encode), {index.n_tokens:,} tokens, L0 {l0:.0f}"
    yield Row(what, f"{ours / others.for_all(by_hand):.3f}", "<= 1.10")
    yield Row("the same / our own reading and encoding alone", f"{ours / others.for_all(our_parts):.3f}")
    dashboards = SAE_DASHBOARD_SECONDS * D_SAE
    what = f"seconds, {N_TOKENS:,} tokens / SAEDashboard's for 32,768, measured elsewhere"
    yield Row(what, f"1/{dashboards / ours:.0f}", "<= 1/12")
    start = time.process_time()
    index.keep_weights()
    weights = time.process_time() - start
    yield Row("logit effects and neighbours of all features / the build", f"{weights / ours:.2f}")
    what = "bytes on disk a feature, logit effects and neighbours included"
    yield Row(what, f"{index.nbytes / D_SAE:,.0f}", "<= 4,000")


def looking_up(bench: Bench, path: Path) -> Iterator[Row]:
    """Opening, and features in random order, each once."""
    start = time.perf_counter()
    FeatureIndex(path)
    opened = time.perf_counter() - start
    yield Row("opening, ms", f"{1000 * opened:.1f}", "< 200")
    features = np.random.default_rng(0).permutation(D_SAE)[:LOOKUPS].tolist()
    index = bench.lab.indexes["sae"]
    bench.lab.feature(0)
    for what, weights in (("all of one feature", True), ("the same without what the weights say", False)):
        seconds = []
        for feature in features:
            start = time.perf_counter()
            index.feature(feature, weights=weights)
            seconds.append(time.perf_counter() - start)
        yield Row(f"{what}, ms, median", f"{1000 * statistics.median(seconds):.2f}", "<= 5" * weights)


def peak_above_model(n_tokens: int) -> int:
    """Most bytes above model and SAE while an index is built; in a new process."""
    bench = make()
    ids = tokens(n_tokens // CONTEXT)
    bench.lab.model_of("sae")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _status("VmRSS")
    bench.lab.build_index(ids, context=CONTEXT, on_progress=False, weights=False, checkpoint_seconds=10)
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) * 1024


def memory() -> Iterator[Row]:
    """Peak of the resident memory against the same process before; both processes at once, each on its own core."""
    sizes = (FEW, N_TOKENS)
    running = [
        subprocess.Popen([sys.executable, __file__, "memory", str(n)], stdout=subprocess.PIPE, text=True) for n in sizes
    ]
    for n_tokens, process in zip(sizes, running, strict=True):
        printed, _ = process.communicate()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        found = json.loads(printed.splitlines()[-1])
        yield Row(f"memory above model and SAE, {n_tokens:,} tokens, MB", f"{found / 1e6:.0f}", "<= 800")


def ratios() -> Iterator[Row]:
    """All rows that are measured within this process."""
    bench = make()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "index"
        yield from building(bench, path)
        yield from looking_up(bench, path)


def main() -> None:
    """Print the table, each row as soon as it is measured."""
    print(f"{D_SAE:,} features at {HOOK}\n\n{table([])}", flush=True)
    for section in (ratios, memory):
        for row in section():
            print(line(row), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:2] == ["memory"]:
        print(json.dumps(peak_above_model(int(sys.argv[2]))))
    else:
        main()
