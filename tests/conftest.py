"""Small models, tokenizers and SAEs that every test may ask for; nothing is downloaded."""

from __future__ import annotations

import atexit
import importlib.metadata
import importlib.util
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AddedToken, PreTrainedTokenizerFast

torch.set_num_threads(1)
os.environ["SAEWIDGETS_CACHE"] = tempfile.mkdtemp(prefix="saewidgets-tests-")
atexit.register(shutil.rmtree, os.environ["SAEWIDGETS_CACHE"], ignore_errors=True)

TL_MAJOR = int(importlib.metadata.version("transformer-lens").partition(".")[0])
# sae-lens cannot be installed beside transformer-lens 4: its tests belong to the environment with 3, and so do Ray's.
MISSING = [name for name in ("sae_lens", "ray") if importlib.util.find_spec(name) is None]
collect_ignore_glob = [f"*_{name}.py" for name in MISSING]

BOS = "<|bos|>"
TEXTS = [
    "the cat sat on the mat and the dog ran to the park",
    "hello world, this is a small text about London and Paris",
    "a café in Zürich serves naïve crème brûlée",
] * 3
MODEL_KINDS = ["native", "gpt2"] + ["hooked"] * (TL_MAJOR == 3)
ARCHITECTURES = ["gpt2", "neox", "llama", "gemma2", "qwen2"]
SAE_KINDS = ["standard", "topk", "gated", "jumprelu"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = "".join(f"; {name} is not installed: test_*_{name}.py are left out" for name in MISSING)
    terminalreporter.write_line(f"transformer-lens {TL_MAJOR}.x{left_out}")


def _byte_level_tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, initial_alphabet=alphabet, special_tokens=[BOS], show_progress=False)
    backend.train_from_iterator(TEXTS, trainer)
    tokenizer = _wrapped(backend, BOS)
    tokenizer.add_tokens([AddedToken("    ", special=False, normalized=False)])
    return tokenizer


def _metaspace_tokenizer() -> PreTrainedTokenizerFast:
    """Like SentencePiece with byte fallback: a space before the text, unknown characters as bytes."""
    words = ["\u2581the", "\u2581cat", "\u2581", "t", "h", "e", "c", "a", "s", "\u2581s", "at", "ca"]
    merges = [("a", "t"), ("c", "a"), ("\u2581", "s")]
    names = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    backend = Tokenizer(
        models.BPE({name: i for i, name in enumerate(names)}, merges, unk_token="<unk>", byte_fallback=True)
    )
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    steps = [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    backend.decoder = decoders.Sequence(steps)
    backend.add_special_tokens(["<unk>", "<s>", "</s>"])
    return _wrapped(backend, "<s>")


def _word_piece_tokenizer() -> PreTrainedTokenizerFast:
    names = ["[UNK]", "[CLS]", "the", "cat", "##s", "sat", "."]
    backend = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    backend.add_special_tokens(["[UNK]", "[CLS]"])
    return _wrapped(backend, "[CLS]")


def _wrapped(backend: Tokenizer, bos: str) -> PreTrainedTokenizerFast:
    # transformer-lens looks for a name and re-reads the tokenizer from it, unless it is told that BOS is added.
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, bos_token=bos, eos_token=bos, pad_token=bos, name_or_path="", add_bos_token=True
    )


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE with the special token ``<|bos|>`` and, as an added token, four spaces."""
    return _byte_level_tokenizer()


@pytest.fixture(scope="session")
def metaspace_tokenizer() -> PreTrainedTokenizerFast:
    return _metaspace_tokenizer()


@pytest.fixture(scope="session")
def word_piece_tokenizer() -> PreTrainedTokenizerFast:
    return _word_piece_tokenizer()


@pytest.fixture(scope="session")
def make_hf_folder(tokenizer, tmp_path_factory):
    """A function: architecture -> Hugging Face folder of a tiny random model with the byte-level tokenizer."""
    made: dict[str, Path] = {}

    def make(architecture: str) -> Path:
        if architecture not in made:
            folder = tmp_path_factory.mktemp(architecture) / f"tiny-{architecture}"
            _save_hf(architecture, len(tokenizer), folder)
            tokenizer.save_pretrained(folder)
            made[architecture] = folder
        return made[architecture]

    return make


def _save_hf(architecture: str, d_vocab: int, folder: Path) -> None:
    import transformers as hf

    small: dict[str, Any] = {
        "vocab_size": d_vocab,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 32,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    grouped = {**small, "num_key_value_heads": 2}
    torch.manual_seed(0)
    model: Any
    if architecture == "gpt2":
        model = hf.GPT2LMHeadModel(
            hf.GPT2Config(
                vocab_size=d_vocab,
                n_embd=32,
                n_layer=2,
                n_head=4,
                n_positions=32,
                n_inner=64,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    elif architecture == "neox":
        model = hf.GPTNeoXForCausalLM(hf.GPTNeoXConfig(**small))
    elif architecture == "llama":
        model = hf.LlamaForCausalLM(hf.LlamaConfig(**grouped))
    elif architecture == "gemma2":
        model = hf.Gemma2ForCausalLM(hf.Gemma2Config(**grouped, head_dim=8, sliding_window=16))
    else:
        model = hf.Qwen2ForCausalLM(hf.Qwen2Config(**grouped))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    folder.mkdir(parents=True)
    model.save_pretrained(folder)


@pytest.fixture(scope="session")
def make_model(tokenizer, make_hf_folder):
    """A function: kind ("native", "gpt2", "hooked"; "plain" has no tokenizer) -> a fresh model of 2 layers, d_model 32.

    Heads 4 of width 8, MLP 64, context 32.
    """

    def make(kind: str = "native") -> Any:
        from transformer_lens.model_bridge import TransformerBridge

        shape: dict[str, Any] = {
            "n_layers": 2,
            "d_model": 32,
            "n_ctx": 32,
            "d_head": 8,
            "n_heads": 4,
            "d_mlp": 64,
            "d_vocab": len(tokenizer),
            "act_fn": "gelu_new",
            "normalization_type": "LN",
            "seed": 0,
        }
        if kind == "gpt2":
            return TransformerBridge.boot_transformers(str(make_hf_folder("gpt2")), device="cpu")
        if kind == "hooked":
            from transformer_lens import HookedTransformer, HookedTransformerConfig

            return HookedTransformer(HookedTransformerConfig(**shape), tokenizer=tokenizer).eval()
        if kind == "plain":
            return TransformerBridge.boot_native(shape).eval()
        return TransformerBridge.boot_native(shape, tokenizer=tokenizer).eval()

    return make


@pytest.fixture(scope="session")
def bridge(make_model):
    """One TransformerBridge for all tests that only read."""
    return make_model("native")


@pytest.fixture(params=MODEL_KINDS)
def any_model(request, make_model):
    """A fresh model of each class that we support here."""
    return make_model(request.param)


@pytest.fixture(scope="session")
def make_tensors():
    """A function: kind, d_in, d_sae, seed -> the random tensors of an SAE; about half of its features fire."""

    def make(kind: str = "standard", d_in: int = 32, d_sae: int = 64, seed: int = 0) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(seed)

        def random(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator)

        tensors = {"W_enc": random(d_in, d_sae), "W_dec": random(d_sae, d_in), "b_dec": 0.1 * random(d_in)}
        if kind == "gated":
            own = {name: 0.3 * random(d_sae) for name in ("b_gate", "b_mag", "r_mag")}
        else:
            own = {"b_enc": 0.3 * random(d_sae)}
        if kind == "jumprelu":
            own["threshold"] = random(d_sae).abs()
        return {**tensors, **own, **({"k": 8} if kind == "topk" else {})}

    return make


@pytest.fixture
def make_sae_folder(make_tensors, tmp_path):
    """A function: kind, then fields of the description to change -> a folder in the format of sae_lens."""

    def make(kind: str = "standard", name: str = "saved", **changes: Any) -> Path:
        tensors = make_tensors(kind)
        k = tensors.pop("k", None)
        metadata = {"hook_name": "blocks.1.hook_resid_post", "prepend_bos": True, "sae_lens_version": "6.54.12"}
        config = {
            "architecture": kind,
            "d_in": 32,
            "d_sae": 64,
            "dtype": "float32",
            "device": "cpu",
            "apply_b_dec_to_input": True,
            "normalize_activations": "none",
            "reshape_activations": "none",
            "metadata": {**metadata, **changes.pop("metadata", {})},
            **({"k": k, "rescale_acts_by_decoder_norm": False} if kind == "topk" else {}),
            **changes,
        }
        folder = tmp_path / name
        folder.mkdir()
        (folder / "cfg.json").write_text(json.dumps(config))
        save_file(tensors, folder / "sae_weights.safetensors")
        return folder

    return make


@pytest.fixture
def lab(bridge, make_tensors):
    """A lab of the shared model with one standard SAE, "sae", at ``blocks.1.hook_resid_post``."""
    from saewidgets import Lab

    lab = Lab(bridge, name="tiny")
    lab.add_sae(make_tensors(), hook="blocks.1.hook_resid_post")
    return lab


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, one for all tests of a run: Playwright does not start twice in one thread."""
    from playwright.sync_api import sync_playwright

    from tests.browser.chromium import ARGS, find_chromium

    path = find_chromium()
    if path is None:
        reason = "no Chromium found; set SAEWIDGETS_CHROMIUM"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(ARGS))
        yield chromium
        chromium.close()
