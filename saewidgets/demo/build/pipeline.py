"""The stages of the build, in order; each reads what earlier ones wrote, so that a build can be resumed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from saewidgets.demo import world
from saewidgets.demo.build import card, ground_truth, machine, quality
from saewidgets.demo.build.corpus import Corpus, TokenSpans, encode, labelled
from saewidgets.demo.build.evaluate import mean_loss, model_figures
from saewidgets.demo.build.ground_truth import ConceptScore
from saewidgets.demo.build.index import build_index
from saewidgets.demo.build.model import load_model, save_model, train_model
from saewidgets.demo.build.saes import load_flat, save_sae, train_sae
from saewidgets.demo.build.settings import MID_HOOK, MID_LAYER, Paths, SAESpec, Settings
from saewidgets.demo.build.sites import Site, collect
from saewidgets.demo.build.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer


@dataclass(frozen=True)
class Run:
    """One run of the build: what, where to, and which SAEs (all when there are no names)."""

    settings: Settings
    paths: Paths
    names: tuple[str, ...] = ()

    @property
    def chosen(self) -> list[SAESpec]:
        """The SAEs to train and measure."""
        return [spec for spec in self.settings.saes if not self.names or spec.name in self.names]


def tokenizer_stage(run: Run) -> None:
    """Train and save the tokenizer."""
    save_tokenizer(train_tokenizer(run.settings), run.paths.model, run.settings.context)


def corpus_stage(run: Run) -> None:
    """Write the training corpus."""
    corpus = encode(run.settings, "train", run.settings.train_documents, load_tokenizer(run.paths.model))
    corpus.save(run.paths.work / "train.npz")
    print(f"corpus: {len(corpus):,} documents, {corpus.starts[-1]:,} tokens", flush=True)


def model_stage(run: Run) -> None:
    """Train and save the model."""
    save_model(train_model(Corpus.load(run.paths.work / "train.npz"), run.settings), run.paths.model)


def measure_model_stage(run: Run) -> None:
    """Measure the model."""
    figures = model_figures(load_model(run.paths.model), load_tokenizer(run.paths.model), run.settings)
    figures["train_tokens"] = int(Corpus.load(run.paths.work / "train.npz").starts[-1])
    _write(run, "model", figures)
    print("model:", figures, flush=True)


def activations_stage(run: Run) -> None:
    """Cache activations: for training, for statistics and for the two labelled sets, at each site."""
    model, tokenizer = load_model(run.paths.model), load_tokenizer(run.paths.model)
    corpora = {
        "activations": encode(run.settings, "activations", run.settings.activation_documents, tokenizer),
        "statistics": encode(run.settings, "statistics", run.settings.statistics_documents, tokenizer),
    }
    for purpose, count in (
        ("selection", run.settings.selection_documents),
        ("held_out", run.settings.held_out_documents),
    ):
        corpora[purpose], spans = labelled(run.settings, purpose, count, tokenizer)
        np.savez(run.paths.work / f"{purpose}-spans.npz", **asdict(spans))
    kinds = sorted({spec.site for spec in run.settings.saes})
    for purpose, corpus in corpora.items():
        found = collect(model, [_site(kind, run) for kind in kinds], corpus)
        for kind, rows in zip(kinds, found, strict=True):
            np.save(run.paths.work / f"{purpose}-{kind}.npy", rows)
    print(f"activations: {corpora['activations'].starts[-1]:,} tokens for training", flush=True)


def saes_stage(run: Run) -> None:
    """Train and save the SAEs."""
    for spec in run.chosen:
        began = time.monotonic()
        site = _site(spec.site, run)
        sae = train_sae(spec, site, np.load(run.paths.work / f"activations-{spec.site}.npy"), run.settings)
        save_sae(sae, run.paths.sae(spec.name), site)
        print(f"saes: {spec.name} {time.monotonic() - began:.0f} s", flush=True)


def measure_saes_stage(run: Run) -> None:
    """Measure the SAEs and write their statistics."""
    model, tokenizer = load_model(run.paths.model), load_tokenizer(run.paths.model)
    corpus = encode(run.settings, "quality", run.settings.quality_documents, tokenizer)
    losses: dict[str, dict[str, float]] = {}
    for spec in run.chosen:
        site = _site(spec.site, run)
        statistics = np.load(run.paths.work / f"statistics-{spec.site}.npy")
        if spec.site not in losses:
            mean = torch.from_numpy(statistics.mean(0, dtype=np.float64).astype(np.float32))
            losses[spec.site] = quality.baseline_losses(model, corpus, site, mean)
        sae = load_flat(run.paths.sae(spec.name))
        codes = ground_truth.encode_all(sae.encode, statistics)
        sample = f"{run.settings.statistics_documents} documents of saewidgets.demo.world, special tokens left out"
        quality.write_statistics(codes, run.paths.sae(spec.name), sample)
        spliced = mean_loss(model, corpus, site, lambda x, sae=sae: sae(x))
        figures = quality.sae_figures(sae, codes, statistics, losses[spec.site], spliced)
        scores = _concept_scores(spec, run)
        _write(run, f"sae-{spec.name}", {"figures": figures, "scores": [asdict(score) for score in scores]})
        found = sum(score.f1 >= card.FOUND for score in scores)
        print(f"saes: {spec.name} {figures} concepts {found} of {len(scores)}", flush=True)


def _concept_scores(spec: SAESpec, run: Run) -> list[ConceptScore]:
    sae = load_flat(run.paths.sae(spec.name))
    spans = {}
    for purpose in ("selection", "held_out"):
        with np.load(run.paths.work / f"{purpose}-spans.npz") as held:
            spans[purpose] = TokenSpans(held["concept"], held["first"], held["end"])
    concepts = ground_truth.frequent(spans["selection"], spans["held_out"], run.settings.minimum_spans)
    codes = ground_truth.encode_all(sae.encode, np.load(run.paths.work / f"selection-{spec.site}.npy"))
    chosen = ground_truth.choose(codes, spans["selection"], concepts)
    codes = ground_truth.encode_all(sae.encode, np.load(run.paths.work / f"held_out-{spec.site}.npy"))
    return ground_truth.measure(codes, spans["held_out"], chosen)


def card_stage(run: Run) -> None:
    """Write the figures and the model card."""
    saes, scores = {}, {}
    for spec in run.settings.saes:
        held = _read(run, f"sae-{spec.name}")
        saes[spec.name] = held["figures"]
        scores[spec.name] = [ConceptScore(**score) for score in held["scores"]]
    figures = card.figures_of(run.settings, _read(run, "model"), saes, scores, len(world.concepts))
    card.write_card(figures, run.settings, _site("z", run).hook, MID_HOOK, run.paths.out)


def index_stage(run: Run) -> None:
    """Build the index of the default SAE; needs the saved model and SAE only."""
    index = build_index(run.settings, run.paths)
    print(f"index: {index!r}, {index.nbytes:,} bytes", flush=True)


_STAGES: dict[str, Callable[[Run], None]] = {
    "tokenizer": tokenizer_stage,
    "corpus": corpus_stage,
    "model": model_stage,
    "measure-model": measure_model_stage,
    "activations": activations_stage,
    "saes": saes_stage,
    "measure-saes": measure_saes_stage,
    "card": card_stage,
    "index": index_stage,
}
STAGES = tuple(_STAGES)


def build(run: Run, first: str = STAGES[0], last: str = STAGES[-1]) -> dict[str, float]:
    """Run the stages from ``first`` to ``last``.

    Args:
        run: What to build, and where to.
        first: Stage to begin with; earlier ones must have been run into the same folders.
        last: Stage to end with.

    Returns:
        Seconds by stage.

    Raises:
        ValueError: When the run names an SAE that its settings do not have.
    """
    unknown = set(run.names) - {spec.name for spec in run.settings.saes}
    if unknown:
        raise ValueError(f"no SAE is named {sorted(unknown)}; there are {[spec.name for spec in run.settings.saes]}")
    run.paths.out.mkdir(parents=True, exist_ok=True)
    run.paths.work.mkdir(parents=True, exist_ok=True)
    took: dict[str, float] = {}
    for stage in STAGES[STAGES.index(first) : STAGES.index(last) + 1]:
        machine.prepare(run.settings.seed, run.settings.threads)
        began = time.monotonic()
        _STAGES[stage](run)
        took[stage] = time.monotonic() - began
        print(f"stage {stage}: {took[stage]:.0f} s", flush=True)
    return took


def _site(kind: str, run: Run) -> Site:
    return Site("mid", MID_LAYER) if kind == "mid" else Site("z", int(_read(run, "model")["name_mover_layer"]))


def _write(run: Run, name: str, figures: dict[str, Any]) -> None:
    (run.paths.work / f"{name}.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")


def _read(run: Run, name: str) -> dict[str, Any]:
    return json.loads((run.paths.work / f"{name}.json").read_text(encoding="utf-8"))
