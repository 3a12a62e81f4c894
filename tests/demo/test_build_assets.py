"""The bundled assets: their size, and their figures measured again on a few documents nobody has seen."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import saewidgets.demo.build.settings as build_settings
from saewidgets.demo import world
from saewidgets.demo.build.corpus import encode, labelled
from saewidgets.demo.build.evaluate import capital_accuracy, ioi_accuracy, mean_loss
from saewidgets.demo.build.ground_truth import encode_all, measure
from saewidgets.demo.build.model import load_model
from saewidgets.demo.build.quality import explained_variance
from saewidgets.demo.build.settings import FULL, MID_HOOK
from saewidgets.demo.build.sites import Site, collect
from saewidgets.demo.build.tokenizer import load_tokenizer
from saewidgets.saes import SAE, load_sae

ASSETS = Path(build_settings.__file__).parents[1] / "assets"
FIGURES = json.loads((ASSETS / "figures.json").read_text(encoding="utf-8"))
SPECS = {spec.name: spec for spec in FULL.saes}
OTHER_SEED = dataclasses.replace(FULL, seed=1, threads=1)
NUMBER = {concept.name: number for number, concept in enumerate(world.concepts)}


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(ASSETS / "model")


@pytest.fixture(scope="module")
def model():
    return load_model(ASSETS / "model")


@pytest.fixture(scope="module")
def corpus(tokenizer):
    return encode(OTHER_SEED, "quality", 150, tokenizer)


class Flat:
    """A bundled SAE on activations [token, d_in], heads concatenated."""

    def __init__(self, sae: SAE, heads: int) -> None:
        self.sae = sae
        self.heads = heads

    def _shaped(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)) if self.sae.reshape_heads else x

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.sae.encode(self._shaped(x))[0]

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        return self.sae.decode(*self.sae.encode(self._shaped(x))).reshape(x.shape)


def bundled(name: str) -> tuple[Flat, Site]:
    sae = load_sae(ASSETS / "saes" / name)
    site = Site("z" if sae.reshape_heads else "mid", int(sae.hook.split(".")[1]))
    assert site.hook == sae.hook
    return Flat(sae, FULL.n_heads), site


def test_all_assets_together_are_at_most_25_megabytes():
    assert sum(path.stat().st_size for path in ASSETS.rglob("*") if path.is_file()) <= 25e6


def test_the_figures_are_of_the_settings_in_the_code():
    assert FIGURES["settings"] == json.loads(json.dumps(dataclasses.asdict(FULL)))
    assert {path.name for path in (ASSETS / "saes").iterdir()} == set(FIGURES["saes"]) == set(SPECS)


def test_the_model_is_within_a_tenth_of_a_nat_of_the_entropy_rate(model, corpus):
    entropy = -corpus.log_prob.sum() / (corpus.starts[-1] + len(corpus))
    gap = mean_loss(model, corpus) - entropy
    assert gap == pytest.approx(FIGURES["model"]["loss_above_entropy"], abs=0.05)
    assert gap <= 0.15


def test_the_model_knows_indirect_objects_and_capitals(model, tokenizer):
    assert ioi_accuracy(model, tokenizer, 200) >= 0.97
    assert capital_accuracy(model, tokenizer) == FIGURES["model"]["capital_accuracy"] >= 0.95


@pytest.mark.parametrize("name", list(SPECS))
def test_the_figures_of_each_sae_hold_on_other_documents(name, model, corpus):
    sae, site = bundled(name)
    rows, figures = collect(model, [site], corpus)[0], FIGURES["saes"][name]
    codes = encode_all(sae.encode, rows)
    assert len(codes.features) / len(rows) == pytest.approx(figures["l0"], rel=0.05)
    assert explained_variance(sae.reconstruct, rows) == pytest.approx(figures["explained_variance"], abs=0.02)
    losses = [mean_loss(model, corpus, site, change) for change in (torch.zeros_like, sae.reconstruct)]
    clean = mean_loss(model, corpus)
    recovered = (losses[0] - losses[1]) / (losses[0] - clean)
    assert recovered == pytest.approx(figures["loss_recovered_zero"], abs=0.02)


@pytest.mark.parametrize("name", list(SPECS))
def test_the_statistics_of_each_sae_hold_on_other_documents(name, model, corpus):
    sae, site = bundled(name)
    codes = encode_all(sae.encode, collect(model, [site], corpus)[0])
    assert sae.sae.density is not None
    assert sae.sae.reference_max is not None
    density = np.bincount(codes.features, minlength=codes.width) / (len(codes.indptr) - 1)
    assert density.sum() == pytest.approx(sae.sae.density.sum(), rel=0.05)
    assert np.corrcoef(density, sae.sae.density)[0, 1] > 0.98
    assert (codes.maximum <= 1.5 * sae.sae.reference_max + 1).mean() > 0.99


def test_a_hundred_concepts_have_their_feature_on_other_documents(model, tokenizer):
    found = {
        NUMBER[name]: (int(score[0]), float(score[1]))
        for name, score in FIGURES["concepts"]["scores"]["mid-topk-8192"].items()
        if score[4] >= 0.8
    }
    assert len(found) >= 100
    corpus, spans = labelled(OTHER_SEED, "held_out", 600, tokenizer)
    sae, site = bundled("mid-topk-8192")
    counts = np.bincount(spans.concept, minlength=len(world.concepts))
    frequent = {concept: chosen for concept, chosen in found.items() if counts[concept] >= 5}
    scores = measure(encode_all(sae.encode, collect(model, [site], corpus)[0]), spans, frequent)
    assert sum(score.f1 >= 0.8 for score in scores) >= max(100, 0.85 * len(scores))


def test_widening_gains_concepts():
    scores = FIGURES["concepts"]["scores"]
    gained = FIGURES["concepts"]["gained_by_width"]
    assert len(gained) >= 1
    for name in gained:
        assert scores["mid-topk-512"][name][4] < 0.5
        assert scores["mid-topk-8192"][name][4] >= 0.8


def test_every_sae_but_the_name_mover_reads_the_middle_residual_stream():
    assert {name for name in SPECS if bundled(name)[1].hook == MID_HOOK} == set(SPECS) - {"name-mover-z"}
    assert bundled("name-mover-z")[1].layer == FIGURES["model"]["name_mover_layer"]


def test_the_card_and_the_figures_agree():
    card = (ASSETS / "MODEL_CARD.md").read_text(encoding="utf-8")
    for name, figures in FIGURES["saes"].items():
        (row,) = [line for line in card.splitlines() if line.startswith(f"| {name} |") and line.count("|") > 8]
        assert f"{figures['loss_recovered_zero']:.4f}" in row
    assert f"| loss, nats per token | {FIGURES['model']['loss']} |" in card
