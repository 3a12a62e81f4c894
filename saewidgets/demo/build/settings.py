"""Every number that the build of the bundled model and SAEs depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from saewidgets.demo import DEFAULT_SAE
from saewidgets.demo.indexes import N_DOCUMENTS

BOS, PAD = "<|bos|>", "<|pad|>"
BOS_ID, PAD_ID = 0, 1
MODEL_NAME = "saewidgets-demo"
MID_LAYER = 2
MID_HOOK = f"blocks.{MID_LAYER}.hook_resid_pre"


@dataclass(frozen=True)
class SAESpec:
    """One SAE to train.

    Attributes:
        name: Folder name, also the name in the lab.
        kind: Architecture as sae_lens calls it.
        width: Number of latents.
        samples: Activations seen in training.
        options: Arguments of the sae_lens training configuration of that architecture.
        site: ``"mid"`` (middle residual stream) or ``"z"`` (hook_z of the attention layer that moves names).
        learning_rate: Adam's, decayed to zero over the last fifth.
    """

    name: str
    kind: str
    width: int
    samples: int
    options: Mapping[str, object]
    site: str = "mid"
    learning_rate: float = 1e-3


@dataclass(frozen=True)
class Settings:
    """All settings of a build; ``FULL`` makes the bundled assets, ``TINY`` is for tests."""

    seed: int = 0
    threads: int = 2
    # tokenizer
    vocab_size: int = 4096
    tokenizer_documents: int = 40_000
    # corpus and model
    train_documents: int = 260_000
    context: int = 256
    d_model: int = 128
    n_layers: int = 4
    n_heads: int = 4
    batch_rows: int = 16
    learning_rate: float = 3e-3
    warmup_steps: int = 200
    weight_decay: float = 0.1
    # activations and SAEs
    activation_documents: int = 70_000
    sae_batch: int = 2048
    saes: tuple[SAESpec, ...] = field(default_factory=tuple)
    # evaluation
    entropy_documents: int = 4_000
    quality_documents: int = 2_000
    selection_documents: int = 12_000
    held_out_documents: int = 12_000
    statistics_documents: int = 12_000
    minimum_spans: int = 20
    # index
    index_sae: str = DEFAULT_SAE
    index_documents: int = N_DOCUMENTS


@dataclass(frozen=True)
class Paths:
    """Where a build keeps its results (``out``) and what it can throw away afterwards (``work``)."""

    out: Path
    work: Path

    @property
    def model(self) -> Path:
        """Hugging Face folder of the model and its tokenizer."""
        return self.out / "model"

    def sae(self, name: str) -> Path:
        """sae_lens folder of one SAE."""
        return self.out / "saes" / name

    def index(self, name: str) -> Path:
        """Folder of the index of one SAE."""
        return self.out / "index" / name


# Seeds of the samples: no two purposes share a document stream. Stream 8 scored the trials by which these settings were
# chosen, so nothing is measured on it.
STREAMS = {"tokenizer": 1, "train": 2, "activations": 3, "statistics": 4, "entropy": 5, "quality": 6, "selection": 7,
           "held_out": 9, "index": 10}  # fmt: skip


def stream_seed(settings: Settings, purpose: str, chunk: int = 0) -> int:
    """The seed of one chunk of documents for one purpose.

    Example:
        >>> stream_seed(Settings(), "train", 3)
        2000003
    """
    return settings.seed * 100_000_000 + STREAMS[purpose] * 1_000_000 + chunk


_L1 = {"l1_coefficient": 0.9, "l1_warm_up_steps": 200}
_JUMPRELU = {
    "jumprelu_sparsity_loss_mode": "quadratic",
    "target_l0": 16.0,
    "l0_coefficient": 1.0,
    "l0_warm_up_steps": 200,
    "jumprelu_init_threshold": 0.5,
    "jumprelu_bandwidth": 0.5,
    "jumprelu_ste_to_input": True,
}
_MATRYOSHKA = {"k": 16.0, "matryoshka_widths": [128, 512, 2048]}

FULL = Settings(
    saes=(
        SAESpec("mid-topk-512", "topk", 512, 2_000_000, {"k": 16}, learning_rate=3e-3),
        SAESpec("mid-topk-2048", "topk", 2048, 2_000_000, {"k": 16}, learning_rate=3e-3),
        SAESpec("mid-topk-8192", "topk", 8192, 4_000_000, {"k": 16}),
        SAESpec("mid-standard-2048", "standard", 2048, 2_000_000, _L1, learning_rate=2e-3),
        SAESpec("mid-gated-2048", "gated", 2048, 2_000_000, _L1 | {"l1_coefficient": 1.2}, learning_rate=2e-3),
        SAESpec("mid-jumprelu-2048", "jumprelu", 2048, 2_000_000, _JUMPRELU, learning_rate=2e-3),
        SAESpec("mid-matryoshka-2048", "matryoshka_batchtopk", 2048, 2_000_000, _MATRYOSHKA, learning_rate=2e-3),
        SAESpec("name-mover-z", "topk", 1024, 2_000_000, {"k": 16}, site="z", learning_rate=3e-3),
    )
)

TINY = Settings(
    threads=1,
    vocab_size=2048,
    tokenizer_documents=600,
    train_documents=200,
    d_model=32,
    n_layers=3,
    n_heads=2,
    batch_rows=4,
    warmup_steps=4,
    activation_documents=100,
    sae_batch=128,
    saes=(
        SAESpec("mid-topk-512", "topk", 32, 2_000, {"k": 4}),
        SAESpec("mid-topk-8192", "topk", 64, 2_000, {"k": 4}),
        SAESpec("mid-standard-2048", "standard", 32, 1_000, {"l1_coefficient": 1.0}),
        SAESpec("mid-gated-2048", "gated", 32, 1_000, {"l1_coefficient": 1.0}),
        SAESpec("mid-jumprelu-2048", "jumprelu", 32, 1_000, {}),
        SAESpec("mid-matryoshka-2048", "matryoshka_batchtopk", 32, 1_000, {"k": 4.0, "matryoshka_widths": [8, 32]}),
        SAESpec("name-mover-z", "topk", 32, 1_000, {"k": 4}, site="z"),
    ),
    entropy_documents=40,
    quality_documents=20,
    selection_documents=60,
    held_out_documents=60,
    statistics_documents=30,
    minimum_spans=5,
    index_sae="mid-topk-512",
    index_documents=40,
)
