"""Steered text against unsteered, and a slider's move against a forward pass, on a model of GPT-2-small's size.

Texts of equal length are written in turns. Ratios of single-threaded CPU time, which other processes touch less than
they do wall time; a batch and ``generate`` of transformers run in the same thread.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

import saewidgets as sw
from tests.benchmarks.bench_activations import D_SAE, HOOK, LAYER, TYPICAL_L0, random_gpt2, random_sae
from tests.benchmarks.rows import Row, table

N_TOKENS, NEW, ROUNDS, LONG_ROUNDS = 32, 64, 9, 3
STRENGTHS = [-8, -4, -2, -1, 1, 2, 4, 8]


class Bench(NamedTuple):
    """A lab with a random model and SAEs of three kinds, transformers' own model of the same weights, and a prompt."""

    lab: sw.Lab
    bridge: Any
    own: Any
    ids: torch.Tensor
    feature: int


def make() -> Bench:
    """SAEs at one hook point, of which about 57 features fire on a token, and the feature that fires most often."""
    from transformers import GPT2LMHeadModel

    with tempfile.TemporaryDirectory() as folder:
        bridge = random_gpt2(Path(folder) / "gpt2-size")
        own = GPT2LMHeadModel.from_pretrained(Path(folder) / "gpt2-size").eval()
    ids = torch.randint(0, 50_000, (N_TOKENS,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        made = random_sae(bridge(ids[None], stop_at_layer=LAYER)[0])
    relu = {name: tensor.clone() for name, tensor in made.items()}
    lab = sw.Lab(bridge)
    lab.add_sae(relu, name="relu", hook=HOOK)
    lab.add_sae({**relu, "threshold": torch.full((D_SAE,), 0.1)}, name="jumprelu", hook=HOOK)
    lab.add_sae({**relu, "b_enc": torch.zeros(D_SAE), "k": TYPICAL_L0}, name="topk", hook=HOOK)
    for sae in lab.saes.values():
        sae.reference_max = np.full(D_SAE, 2.0, np.float32)
    feature = int(np.bincount(lab.activations(ids, sae="relu").indices).argmax())
    return Bench(lab, bridge, own, ids, feature)


def alternated(candidates: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each, run in turns, each round beginning with another; the first round is not counted."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    names = list(candidates)
    for n in range(rounds + 1):
        for name in names[n % len(names) :] + names[: n % len(names)]:
            start = time.process_time()
            candidates[name]()
            if n:
                times[name].append(time.process_time() - start)
    return times


def ratio(times: dict[str, list[float]], name: str, other: str) -> str:
    """Median of the ratios within each round."""
    pairs = zip(times[name], times[other], strict=True)
    return f"{statistics.median(one / two for one, two in pairs):.3f}"


def texts(bench: Bench) -> list[Row]:
    """Edits against no edits, and no edits against transformers."""
    lab, ids, n = bench.lab, bench.ids, bench.feature

    def write(*edits: Any, measure: bool = False) -> Callable[[], object]:
        return lambda: _full(lab.generate(ids, edits, NEW, measure=measure))

    def own() -> torch.Tensor:
        settings = {"do_sample": False, "max_new_tokens": NEW, "min_new_tokens": NEW, "pad_token_id": 0}
        return bench.own.generate(ids[None], attention_mask=torch.ones_like(ids)[None], **settings)

    candidates = {
        "unsteered": write(),
        "add": write(sw.steering.add(f"relu/{n}", 1)),
        "set, ReLU": write(sw.steering.set(f"relu/{n}", 1)),
        "set_if_active, ReLU": write(sw.steering.set_if_active(f"relu/{n}", 1)),
        "set, JumpReLU": write(sw.steering.set(f"jumprelu/{n}", 1)),
        "set_if_active, JumpReLU": write(sw.steering.set_if_active(f"jumprelu/{n}", 1)),
        "set_if_active, TopK": write(sw.steering.set_if_active(f"topk/{n}", 1)),
        "transformers": own,
        "measured": write(sw.steering.add(f"relu/{n}", 1), measure=True),
        "unsteered again": write(),
    }
    assert own()[0, N_TOKENS:].tolist() == lab.generate(ids, (), NEW, measure=False).new_tokens.ids.tolist()
    times = alternated(candidates, ROUNDS)
    targets = {"add": "<= 1.03", "set_if_active, TopK": "<= 1.20"}
    edited = [name for name in candidates if name.startswith(("add", "set"))]
    return [
        *(Row(f"{name} / unsteered", ratio(times, name, "unsteered"), targets.get(name, "<= 1.05")) for name in edited),
        Row("unsteered again / unsteered, two equal texts", ratio(times, "unsteered again", "unsteered")),
        Row("unsteered / transformers' own generate", ratio(times, "unsteered", "transformers"), "<= 1.15"),
        Row("add with the KL and the base log-probabilities / without", ratio(times, "measured", "add")),
    ]


def _full(found: Any) -> Any:
    assert len(found) == NEW
    return found


def moves(bench: Bench) -> list[Row]:
    """A slider's move to new bars against a forward pass, of the whole vocabulary at every token and without."""
    lab, ids = bench.lab, bench.ids
    preview = lab.preview(ids, "relu")
    values = iter(np.linspace(1, 4, 10_000))

    def move() -> object:
        return preview.next_token(sw.steering.set(f"relu/{bench.feature}", next(values)))

    def forward() -> object:
        with torch.no_grad():
            return bench.bridge(ids[None])

    edit = sw.steering.set(f"relu/{bench.feature}", 2)
    found, expected = preview.next_token(edit), lab.next_token(ids, edit)
    np.testing.assert_allclose(found.edited, expected.edited, atol=1e-5)
    times = alternated({"move": move, "forward": forward}, 3 * ROUNDS)
    what = f"slider move to next-token bars / forward pass of the bridge ({N_TOKENS} tokens)"
    return [Row(what, ratio(times, "move", "forward"), "<= 0.40")]


def sweeps(bench: Bench) -> list[Row]:
    """Eight strengths as one batch against one text."""
    edit = sw.steering.set(f"relu/{bench.feature}", 1)

    def sweep(measure: bool) -> Callable[[], object]:
        return lambda: bench.lab.sweep(bench.ids, edit, STRENGTHS, NEW, measure=measure)

    def one(measure: bool) -> Callable[[], object]:
        return lambda: bench.lab.generate(bench.ids, edit, NEW, measure=measure)

    candidates = {"one": one(False), "eight": sweep(False), "one measured": one(True), "eight measured": sweep(True)}
    times = alternated(candidates, LONG_ROUNDS)
    what = f"sweep of {len(STRENGTHS)} strengths / one text"
    return [
        Row(what, ratio(times, "eight", "one"), "<= 3.0"),
        Row(f"{what}, with the KL and the base log-probabilities", ratio(times, "eight measured", "one measured")),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    made = make()
    print(f"{N_TOKENS} tokens and {NEW} new ones, {D_SAE:,} features at {HOOK}, CPU time\n")
    print(table([*texts(made), *moves(made), *sweeps(made)]))
