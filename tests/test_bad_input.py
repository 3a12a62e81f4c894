"""Each way to ask wrongly: one clear error, and the lab goes on with the same numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from saewidgets import Lab
from saewidgets import steering as st
from saewidgets.errors import (
    EditError,
    FeatureIndexError,
    HookPointError,
    LoadError,
    MismatchError,
    NonFiniteError,
    PromptError,
    SaewidgetsError,
    TargetError,
    TokenError,
    UnknownNameError,
)

HOOK = "blocks.1.hook_resid_post"


@dataclass
class Bench:
    """What a wrong request is made with."""

    lab: Lab
    tensors: Callable[..., dict[str, Any]]
    folder: Callable[..., Path]
    tmp_path: Path

    def add(self, hook: str | None = HOOK, **changes: Any) -> None:
        self.lab.add_sae({**self.tensors(), **changes}, hook=hook)

    def add_folder(self, **changes: Any) -> None:
        self.lab.add_sae(self.folder(**changes))

    def broken_weights(self) -> None:
        folder = self.folder()
        (folder / "sae_weights.safetensors").write_bytes(b"\xff" * 32)
        self.lab.add_sae(folder)

    def no_config_field(self) -> None:
        folder = self.folder()
        config = json.loads((folder / "cfg.json").read_text())
        del config["d_sae"]
        (folder / "cfg.json").write_text(json.dumps(config))
        self.lab.add_sae(folder)

    def folder_without_weights(self) -> None:
        (self.tmp_path / "config.json").write_text("{}")
        self.lab.add_model("other", self.tmp_path)


NAN = torch.full((32, 64), float("nan"))
CASES: dict[str, tuple[Callable[[Bench], Any], type[SaewidgetsError], str]] = {
    "empty prompt": (lambda b: b.lab.activations(""), PromptError, "no tokens"),
    "no ids": (lambda b: b.lab.activations([]), PromptError, "no tokens"),
    "empty prompt among others": (lambda b: b.lab.activations(["the", ""]), PromptError, "Prompt 1 of.*no tokens"),
    "no prompt": (lambda b: b.lab.activations(None), PromptError, "not a prompt"),
    "ids longer than the context": (lambda b: b.lab.activations([1] * 33), PromptError, "33 token ids.*at most 32"),
    "id = d_vocab": (lambda b: b.lab.activations([321]), TokenError, r"token id 321.*0\.\.320"),
    "id = -1": (lambda b: b.lab.activations([-1]), TokenError, r"token id -1.*0\.\.320"),
    "ids with a fraction": (lambda b: b.lab.activations([0.5]), TokenError, "whole numbers"),
    "rows with an id too high": (lambda b: b.lab.activations(np.full((2, 3), 999)), TokenError, "token id 999"),
    "lone surrogate": (lambda b: b.lab.activations("a\ud800"), PromptError, "surrogate.*character 1"),
    "unknown SAE": (
        lambda b: b.lab.activations("the", "other"),
        UnknownNameError,
        "no SAE of that name.*'other'.*'sae'",
    ),
    "SAE of the wrong width": (
        lambda b: b.lab.add_sae(b.tensors(d_in=16), hook=HOOK),
        MismatchError,
        "16, hook width 32",
    ),
    "hook that does not exist": (lambda b: b.add("blocks.7.hook_resid_post"), HookPointError, "such as blocks"),
    "hook that does not fire": (lambda b: b.add("blocks.1.hook_mlp_in"), HookPointError, "did not fire"),
    "no hook": (lambda b: b.add(None), LoadError, "does not say what it reads"),
    "NaN in the SAE": (lambda b: b.add(W_enc=NAN), NonFiniteError, f"'W_enc' of the SAE at '{HOOK}'"),
    "infinity in the SAE": (lambda b: b.add(W_enc=NAN.nan_to_num(float("inf"))), NonFiniteError, "'W_enc'"),
    "int8 weights": (lambda b: b.add(W_enc=torch.ones(32, 64, dtype=torch.int8)), LoadError, "not floating.*int8"),
    "feature too high": (lambda b: b.lab.feature_id(10**6), FeatureIndexError, r"1000000.*0\.\.63"),
    "feature -1": (lambda b: b.lab.feature_id(-1), FeatureIndexError, "-1"),
    "feature True": (lambda b: b.lab.feature_id(True), FeatureIndexError, "True"),
    "feature 2.0": (lambda b: b.lab.feature_id(2.0), FeatureIndexError, "2.0"),
    "feature of no SAE": (lambda b: b.lab.feature_id("other/1"), UnknownNameError, "'other'.*'sae'"),
    "feature too high in a result": (lambda b: b.lab.activations("the").feature(64), FeatureIndexError, r"0\.\.63"),
    "position too high in a result": (lambda b: b.lab.activations("the").by_token(99), TokenError, "99"),
    "target of two tokens": (lambda b: b.lab.rank("the", " the cat"), TargetError, "not one token.*nearest are"),
    "target that is no token": (lambda b: b.lab.rank("the", 321), TargetError, r"not a token.*321.*0\.\.320"),
    "baseline that is no token": (lambda b: b.lab.rank("the", 3, -1), TargetError, "not a token.*-1"),
    "no target in a list": (lambda b: b.lab.rank("the", []), TargetError, "no target"),
    "metric that is not there": (lambda b: b.lab.rank("the", 3, metric="loss"), TargetError, "no such metric.*'loss'"),
    "metric of many numbers": (
        lambda b: b.lab.rank("the", metric=lambda logits: logits[0, -1]),
        TargetError,
        r"one number.*shape \[321\]",
    ),
    "position too high to rank": (lambda b: b.lab.rank("the", 3, position=99), TokenError, "no such position.*99"),
    "position that is no whole number": (
        lambda b: b.lab.rank("the", 3, position=1.5),
        TokenError,
        "no such position.*1.5",
    ),
    "method that is not there": (lambda b: b.lab.rank("the", 3, method="x"), TargetError, "no such method.*'x'"),
    "scope that is not there": (lambda b: b.lab.rank("the", 3, scope="x"), TargetError, "no such scope.*'x'"),
    "half an ablation": (lambda b: b.lab.rank("the", 3, max_ablations=0.5), TargetError, "max_ablations.*0.5"),
    "no steps": (lambda b: b.lab.rank("the", 3, steps=0), TargetError, "steps.*0"),
    "no memory": (lambda b: b.lab.rank("the", 3, memory=0), TargetError, "memory.*0"),
    "metric without a gradient": (
        lambda b: b.lab.rank("the", metric=lambda logits: logits[0, -1, 3].detach()),
        TargetError,
        "differentiable",
    ),
    "position that is masked": (lambda b: b.lab.rank("the", 3, position=0), TokenError, "masked.*mask_special=False"),
    "prompt to rank that is empty": (lambda b: b.lab.rank("", 3), PromptError, "no tokens"),
    "SAE to rank that is not there": (lambda b: b.lab.rank("the", 3, sae="x"), UnknownNameError, "'x'.*'sae'"),
    "targets for other prompts": (lambda b: b.lab.rank(["the", "a"], [3]), MismatchError, "1 for 2 prompts"),
    "dtype foo": (lambda b: b.add_folder(dtype="foo"), LoadError, "cfg.json: field 'dtype'.*'foo'.*float32, float16"),
    "architecture foo": (lambda b: b.add_folder(architecture="foo"), LoadError, "'architecture'.*standard, topk"),
    "d_sae as text": (lambda b: b.add_folder(d_sae="256"), LoadError, "'d_sae'.*'256'.*whole number"),
    "d_sae 0": (lambda b: b.add_folder(d_sae=0), LoadError, "'d_sae'.*= 0.*whole number >= 1"),
    "no d_sae": (lambda b: b.no_config_field(), LoadError, "no field 'd_sae'"),
    "d_sae of other tensors": (lambda b: b.add_folder(d_sae=65), LoadError, r"wrong shape.*\[\d+.*d_sae = 65"),
    "transcoder": (lambda b: b.add_folder(architecture="transcoder"), LoadError, "predicts a layer's output"),
    "broken weights": (lambda b: b.broken_weights(), LoadError, "not a readable safetensors"),
    "no SAE folder": (lambda b: b.lab.add_sae("no/such"), LoadError, "no such folder"),
    "model folder without weights": (lambda b: b.folder_without_weights(), LoadError, "holds no weights.*config.json"),
    "model folder that is not there": (lambda b: b.lab.add_model("x", "./none"), LoadError, "no such folder"),
    "what is no model": (lambda b: b.lab.add_model("x", object()), LoadError, "no TransformerLens hook points"),
    "what is no SAE": (lambda b: b.lab.add_sae(object()), LoadError, "not an SAE"),
    "edit of no feature": (lambda b: b.lab.steering(st.ablate(64)), FeatureIndexError, r"64.*0\.\.63"),
    "edit of no SAE": (lambda b: b.lab.steering(st.ablate("other/1")), UnknownNameError, "'other'.*'sae'"),
    "edit while no feature fires": (
        lambda b: b.lab.steering(st.ablate(3, where=st.while_active(64))),
        FeatureIndexError,
        r"64.*0\.\.63",
    ),
    "edit of unknown strength": (lambda b: b.lab.generate("the", st.set(3, 1)), EditError, "not known.*measure_maxima"),
    "vector of another width": (
        lambda b: b.lab.steering(st.add([1.0, 2.0], 1, hook=HOOK)),
        MismatchError,
        "2 numbers.*32",
    ),
    "vector at no hook point": (
        lambda b: b.lab.steering(st.add([1.0, 2.0], 1, hook="blocks.9.hook_resid_post")),
        HookPointError,
        "no such hook point",
    ),
    "steering of no model": (lambda b: b.lab.steering((), model="x"), UnknownNameError, "'x'.*'tiny'"),
    "text to go on from that is empty": (lambda b: b.lab.generate(""), PromptError, "no tokens"),
    "temperature below 0": (lambda b: b.lab.generate("the", temperature=-1), EditError, "temperature=-1"),
    "temperature NaN": (lambda b: b.lab.generate("the", temperature=float("nan")), EditError, "temperature=nan"),
    "top_p 0": (lambda b: b.lab.generate("the", top_p=0), EditError, "top_p=0"),
    "top_p 2": (lambda b: b.lab.generate("the", top_p=2), EditError, "top_p=2"),
    "tokens below 0": (lambda b: b.lab.generate("the", max_new_tokens=-1), EditError, "max_new_tokens.*-1"),
    "seed below 0": (lambda b: b.lab.generate("the", seed=-1), EditError, "seed.*-1"),
    "stop at nothing": (lambda b: b.lab.generate("the", stop=[""]), EditError, "cannot end there"),
    "no next tokens": (lambda b: b.lab.next_token("the", k=0), EditError, "for k.*0"),
    "unknown name to remove": (lambda b: b.lab.remove("x"), UnknownNameError, "'x'.*'tiny', 'sae'"),
}


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error_and_the_lab_goes_on(case, lab, bridge, make_tensors, make_sae_folder, tmp_path):
    ask, kind, text = CASES[case]
    ids = torch.tensor([[0, 5, 9]])
    logits, before = bridge(ids), lab.activations("the cat")
    with pytest.raises(kind) as caught:
        ask(Bench(lab, make_tensors, make_sae_folder, tmp_path))
    message = " ".join(str(caught.value).split())
    assert type(caught.value) is kind
    assert re.search(text, message), message
    assert (list(lab.models), list(lab.saes)) == (["tiny"], ["sae"])
    assert np.array_equal(lab.activations("the cat").values, before.values)
    assert torch.equal(bridge(ids), logits)
    assert not any(module._forward_hooks for module in bridge.hook_dict.values())


def test_nan_in_the_model_names_hook_and_weight(make_model, make_tensors):
    model = make_model("native")
    lab = Lab(model)
    lab.add_sae(make_tensors(), hook=HOOK)
    weight = next(p for n, p in model.named_parameters() if n.startswith("layers.0"))
    good = weight.data.clone()
    weight.data.fill_(float("nan"))
    with pytest.raises(NonFiniteError) as caught:
        lab.activations("the cat")
    assert HOOK in str(caught.value)
    assert "'layers.0.ln1.weight'" in str(caught.value)
    weight.data.copy_(good)
    assert len(lab.activations("the cat").values)


def test_only_bos_is_shown_and_not_ranked(lab):
    found = lab.activations([0])
    assert (found.tokens, found.top(5), found.masked.tolist()) == (("<|bos|>",), (), [True])


def test_long_text_is_shown_as_far_as_it_fits(lab):
    found = lab.activations("the cat sat " * 100)
    assert len(found) == 32
    assert found.prompt_tokens.n_dropped == len(lab.models["tiny"].vocabulary.encode("the cat sat " * 100)[0]) - 31


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_model_of_any_format_with_a_single_precision_sae(make_model, make_tensors, dtype):
    lab = Lab(make_model("native").to(dtype))
    lab.add_sae(make_tensors(), hook=HOOK)
    assert lab.activations("the cat").values.dtype == np.float32


def test_model_without_tokenizer_reads_ids_only(make_model, make_tensors):
    lab = Lab(make_model("plain"))
    lab.add_sae(make_tensors(), hook=HOOK)
    with pytest.raises(PromptError, match="no tokenizer"):
        lab.activations("the cat")
    assert lab.activations([3, 5]).tokens == ("<3>", "<5>")
