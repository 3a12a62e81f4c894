"""Writes ``figures.json`` and ``MODEL_CARD.md``."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from saewidgets.demo.build.ground_truth import ConceptScore
from saewidgets.demo.build.settings import SAESpec, Settings
from saewidgets.demo.indexes import MINIMUM_SPANS

FOUND, MISSED = 0.8, 0.5

_TEXT = """# The bundled model and its SAEs

A small language model and eight sparse autoencoders, made for teaching and for tests. Nothing in them is downloaded:
a seeded grammar (`saewidgets.demo.world`) writes documents and labels every span with the concepts it expresses, the
model is trained on these documents, and the SAEs on the model. So, unlike with any model from a hub, it is known what
is in the text. Outside that world the model knows nothing.

Rebuild everything from seed (2 CPU cores, no network, about 80 minutes):

```
{command}
```

The same seed gives the same numbers with the same libraries, processor and number of threads, else the same up to
rounding.

## Model
GPT-2's architecture: {layers} layers, width {width}, {heads} heads, context {context}, {parameters:,} parameters, tied
embeddings; byte-level BPE with {vocab} tokens, `<|bos|>` in front of every text (it also ends a text) and `<|pad|>`.
Trained from scratch on {train_documents:,} documents ({train_tokens:,} tokens, one pass, AdamW, cosine schedule); a
document sees only itself. Weights are saved in float16.

| on held-out documents | |
|---|---|
| loss, nats per token | {loss} |
| entropy rate of the grammar, nats per token | {entropy_rate} |
| loss above the entropy rate | {loss_above_entropy} |
| indirect objects: the receiver is the most likely token ({ioi_prompts} prompts) | {ioi_accuracy:.3f} |
| capitals: every token of the capital most likely ({capitals} countries) | {capital_accuracy:.3f} |

Loss is over {held_out_tokens:,} tokens of {held_out_documents:,} documents, one document per sequence, end of document
included. The entropy rate is the mean negative log probability of the grammar's own choices, per token. Attention of
layer {name_mover_layer} moves the name: with `hook_z` zero at the last token, the logit difference between receiver and
giver falls by {drops} in layers 0 to {last_layer}.

## SAEs
Trained with sae_lens on the activations of {activation_documents:,} documents (one per sequence behind a BOS; special
tokens left out) and saved in its format; activations were scaled to a mean norm of the square root of their width in
training, and the factor is folded into the weights. Each latent starts on a direction that occurs in the activations,
chosen so that rare directions are among them (in a short trial with k = 8, three quarters of 8,192 latents that started
at random died). `mid-*` read `{mid_hook}`, `name-mover-z` reads `{z_hook}` (heads
concatenated). Figures below are of the saved float16 weights.

{quality}

L0, dead features and explained variance (1 - sum |x - xhat|² / sum |x - mean|²) are over the same
{statistics_tokens:,} tokens of held-out documents (no special tokens); a feature is dead if it never fires on them. The
same sample gives `feature_statistics.safetensors` of each SAE. Losses are in nats per token over {quality_documents:,}
held-out documents, with the activation of every token but BOS replaced; recovered = (baseline - spliced) / (baseline -
clean). The baselines replace the activation by zero, or by its mean over the statistics sample.

## Concepts
For each concept with at least {minimum_spans} spans in both sets ({concepts} of {all_concepts}), feature and threshold
with the best F1 are chosen on {selection_documents:,} documents (thresholds 0, 0.1, ..., 0.9 of the feature's maximum)
and measured on {held_out_documents_labels:,} documents of another seed,
on which nothing was chosen. A span counts as found when the feature fires
above the threshold on any of its tokens; a firing token counts as right when it overlaps a span of the concept.
Precision is over firing tokens, recall over spans, F1 = 2PR / (P + R). Each SAE's score for each concept is in
`figures.json`.

{truth}

Concepts that `mid-topk-8192` has (F1 at least {found}) and `mid-topk-512` misses (below {missed}): {split_count}.
{split}

## Index
`index/{index_sae}` holds every feature of that SAE over {index_documents:,} more documents: density, histogram, top
examples, a uniform sample of each activation interval, co-firing features, logit effects, and the concepts that it
tells best, of those with at least {index_spans} spans. Their F1 is that above, but the threshold (of the same ten) is
chosen on the documents on which it is measured. Documents come from the seed and are not stored. The indexes of the
other SAEs are built from the same documents when they are first needed. Rebuild the one that is shipped, from the model
and SAE in this folder:

```
{command} --stage index
```
"""


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _table(columns: list[str], rows: list[list[object]]) -> str:
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(map(_number, row)) + " |" for row in rows]
    return "\n".join(lines)


def gained(scores: dict[str, list[ConceptScore]], narrow: str, wide: str) -> list[str]:
    """Concepts with F1 >= 0.8 in the wide SAE and < 0.5 in the narrow one, the most frequent first."""
    low = {score.concept: round(score.f1, 4) for score in scores.get(narrow, [])}
    both = [
        score for score in scores.get(wide, []) if round(score.f1, 4) >= FOUND and low.get(score.concept, 1.0) < MISSED
    ]
    return [score.concept for score in sorted(both, key=lambda score: -score.spans)]


def figures_of(
    settings: Settings,
    model: dict[str, Any],
    saes: dict[str, dict[str, Any]],
    scores: dict[str, list[ConceptScore]],
    all_concepts: int,
) -> dict[str, Any]:
    """Everything measured, as it goes to ``figures.json``.

    Args:
        settings: The settings of the build.
        model: ``evaluate.model_figures`` and the number of training tokens.
        saes: ``quality.sae_figures`` by SAE.
        scores: ``ground_truth.measure`` by SAE.
        all_concepts: Number of concepts of the world.
    """
    found = {name: sum(round(score.f1, 4) >= FOUND for score in some) for name, some in scores.items()}
    fields = ("feature", "threshold", "precision", "recall", "f1", "spans")
    return {
        "settings": asdict(settings),
        "model": model,
        "saes": saes,
        "concepts": {
            "in_the_world": all_concepts,
            "measured": max(map(len, scores.values()), default=0),
            "found": found,
            "gained_by_width": gained(scores, "mid-topk-512", "mid-topk-8192"),
            "fields": fields,
            "scores": {
                name: {s.concept: [round(getattr(s, f), 4) for f in fields] for s in some}
                for name, some in scores.items()
            },
        },
    }


def _quality_table(figures: dict[str, Any], specs: tuple[SAESpec, ...]) -> str:
    keys = ("l0", "dead_fraction", "explained_variance", "loss_clean", "loss_spliced", "loss_zero", "loss_mean")
    keys += ("loss_recovered_zero", "loss_recovered_mean")
    rows = [[s.name, s.kind, s.width, *(figures["saes"][s.name][key] for key in keys)] for s in specs]
    return _table(["SAE", "kind", "features", *(key.replace("_", " ") for key in keys)], rows)


def _truth_table(figures: dict[str, Any], specs: tuple[SAESpec, ...]) -> str:
    rows: list[list[object]] = []
    for spec in specs:
        f1 = [entry[4] for entry in figures["concepts"]["scores"][spec.name].values()]
        high, middle = sum(x >= FOUND for x in f1), sum(MISSED <= x < FOUND for x in f1)
        rows.append([spec.name, high, middle, len(f1) - high - middle, sum(f1) / max(1, len(f1))])
    return _table(["SAE", "F1 >= 0.8", "0.5 to 0.8", "below 0.5", "mean F1"], rows)


def write_card(figures: dict[str, Any], settings: Settings, z_hook: str, mid_hook: str, out: Path) -> None:
    """Write ``figures.json`` and ``MODEL_CARD.md`` into ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "figures.json").write_text(_compact(figures) + "\n", encoding="utf-8")
    model, gain = figures["model"], figures["concepts"]["gained_by_width"]
    some = ", ".join(f"`{name}`" for name in gain[:40])
    text = _TEXT.format(
        **model,
        command="python -m saewidgets.demo.build --out saewidgets/demo/assets",
        layers=settings.n_layers,
        width=settings.d_model,
        heads=settings.n_heads,
        context=settings.context,
        vocab=settings.vocab_size,
        train_documents=settings.train_documents,
        last_layer=settings.n_layers - 1,
        drops=", ".join(f"{drop:.2f}" for drop in model["logit_difference_lost_by_layer"]),
        activation_documents=settings.activation_documents,
        mid_hook=mid_hook,
        z_hook=z_hook,
        quality=_quality_table(figures, settings.saes),
        statistics_tokens=next(iter(figures["saes"].values()))["dead_over_tokens"],
        quality_documents=settings.quality_documents,
        minimum_spans=settings.minimum_spans,
        concepts=figures["concepts"]["measured"],
        all_concepts=figures["concepts"]["in_the_world"],
        selection_documents=settings.selection_documents,
        held_out_documents_labels=settings.held_out_documents,
        truth=_truth_table(figures, settings.saes),
        found=FOUND,
        missed=MISSED,
        split_count=len(gain),
        index_sae=settings.index_sae,
        index_documents=settings.index_documents,
        index_spans=MINIMUM_SPANS,
        split=f"The most frequent: {some}." if gain else "",
    )
    (out / "MODEL_CARD.md").write_text(text, encoding="utf-8")


def _compact(figures: dict[str, Any]) -> str:
    """JSON with each innermost list on one line."""
    text = json.dumps(figures, indent=1)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda found: "[" + re.sub(r"\s+", " ", found[1]) + "]", text)
