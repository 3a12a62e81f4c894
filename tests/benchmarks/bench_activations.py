"""``lab.activations`` against the same forward pass and encoding written by hand, on a model of GPT-2-small's size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

import saewidgets as sw
from saewidgets.results import Activations
from tests.benchmarks.rows import Row, alternated, table

HOOK, LAYER, D_MODEL, D_SAE, N_TOKENS = "blocks.8.hook_resid_pre", 8, 768, 24_576, 128
ROUNDS = 15
TYPICAL_L0 = 57


def random_gpt2(folder: Path) -> Any:
    """A TransformerBridge of GPT-2-small's shape with random weights."""
    from tokenizers import Tokenizer, models
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({"<|endoftext|>": 50_256}, unk_token="<|endoftext|>"))
    names = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), "<|endoftext|>")
    PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(folder)
    return TransformerBridge.boot_transformers(str(folder), device="cpu")


def random_sae(x: torch.Tensor) -> dict[str, torch.Tensor]:
    """A standard SAE of which about TYPICAL_L0 features fire on each row of ``x``."""
    generator = torch.Generator().manual_seed(0)
    w_enc = torch.randn(D_MODEL, D_SAE, generator=generator) / D_MODEL**0.5
    threshold = (x @ w_enc).flatten().kthvalue(int(len(x) * (D_SAE - TYPICAL_L0))).values
    biases = {"b_enc": -threshold.expand(D_SAE).clone(), "b_dec": torch.zeros(D_MODEL)}
    return {"W_enc": w_enc, "W_dec": w_enc.T.contiguous(), **biases}


def against_by_hand() -> list[Row]:
    """The ratio, and the L0 it was measured at."""
    with tempfile.TemporaryDirectory() as folder:
        model = random_gpt2(Path(folder) / "gpt2-size")
    ids = torch.randint(0, 50_000, (N_TOKENS,), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        sae = random_sae(model(ids[None], stop_at_layer=LAYER)[0])
    lab = sw.Lab(model)
    lab.add_sae({name: tensor.clone() for name, tensor in sae.items()}, name="sae", hook=HOOK)

    def by_hand() -> torch.Tensor:
        with torch.inference_mode():
            x = model(ids[None], stop_at_layer=LAYER)[0]
            return torch.relu((x - sae["b_dec"]) @ sae["W_enc"] + sae["b_enc"])

    ours = lab.activations(ids)
    assert isinstance(ours, Activations)
    assert abs(ours.values.sum() / by_hand()[ours.masked == 0].sum().item() - 1) < 1e-3
    median = alternated({"by hand": by_hand, "lab": lambda: lab.activations(ids)}, ROUNDS)
    what = f"lab.activations / by hand ({N_TOKENS} tokens, {D_SAE:,} features, L0 {len(ours.values) / N_TOKENS:.0f})"
    return [Row(what, f"{median['lab'] / median['by hand']:.3f}", "<= 1.10")]


def in_new_process(program: str) -> Any:
    """What a program prints as JSON."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


IMPORT = """
import json, time
start = time.process_time()
import saewidgets
print(json.dumps(time.process_time() - start))
"""
DEMO = """
import json, time, torch
import saewidgets as sw
torch.set_num_threads(1)
start = time.process_time()
lab = sw.demo()
made = time.process_time()
lab.activations("The capital of France is Paris.")
print(json.dumps([made - start, time.process_time() - made]))
"""


def starting() -> list[Row]:
    """CPU seconds of the import and of the demo, in new processes; the least of three."""
    imported = min(in_new_process(IMPORT) for _ in range(3))
    made, first = (min(column) for column in zip(*(in_new_process(DEMO) for _ in range(3)), strict=True))
    return [
        Row("import saewidgets, CPU s", f"{imported:.2f}", "< 0.5"),
        Row("sw.demo() once torch is imported, CPU s", f"{made:.2f}", "< 2"),
        Row("first lab.activations (imports transformer_lens), CPU s", f"{first:.2f}"),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(table([*against_by_hand(), *starting()]))
