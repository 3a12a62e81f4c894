"""The build against ``lab.activations`` and counting one by one; stopped, killed, with others, again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import saewidgets as sw
from saewidgets.errors import IndexBuildError, LoadError, MismatchError, NonFiniteError, PromptError
from saewidgets.index import store
from tests.conftest import TEXTS
from tests.index.planted import intervals_of, of_feature

ROOT = Path(__file__).resolve().parents[2]
HOOK = "blocks.1.hook_resid_post"


def corpus(n: int = 60, length: int = 24, seed: int = 0) -> list[list[int]]:
    """Token ids; each begins with BOS, which is 0."""
    random = np.random.default_rng(seed)
    return [[0, *random.integers(1, 300, int(size)).tolist()] for size in random.integers(3, length, n)]


@pytest.fixture(scope="module")
def texts() -> list[list[int]]:
    return corpus()


@pytest.fixture(scope="module")
def whole(bridge, make_tensors, tmp_path_factory) -> dict[str, bytes]:
    """The files of an index of 300 texts, in small batches, built without a stop."""
    lab = sw.Lab(bridge, name="tiny")
    lab.add_sae(make_tensors(), hook=HOOK)
    path = tmp_path_factory.mktemp("whole")
    lab.build_index(corpus(300), path=path, context=32, batch_size=1, on_progress=False)
    return files(path)


@pytest.fixture
def built(lab, texts, tmp_path):
    return lab.build_index(texts, path=tmp_path / "index", context=32, on_progress=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


class TestAgainstActivations:
    def test_counts_maxima_and_means(self, lab, texts, built):
        found = lab.activations(texts)
        for feature in range(64):
            values = of_feature(found, feature)
            assert built.count[feature] == len(values)
            if len(values):
                assert np.isclose(built.max[feature], values.max(), rtol=1e-5)
                assert np.isclose(built.mean[feature], values.astype(np.float64).mean(), rtol=1e-5)
        tokens = sum(int((~prompt.special_mask).sum()) for prompt in found)
        assert built.n_tokens == tokens
        assert np.allclose(built.density * tokens, built.count)

    def test_quantiles_lie_within_their_bounds(self, lab, texts, built):
        found = lab.activations(texts)
        for feature in range(0, 64, 3):
            values = np.sort(of_feature(found, feature))
            for level, value, low, high in built.feature(feature).quantiles:
                true = values[max(int(np.ceil(level * len(values) - 1e-9)), 1) - 1]
                assert low * (1 - 1e-5) <= true <= high * (1 + 1e-5)
                assert low <= value <= high
                assert high - low <= max(low / 32, values[-1] / 128) * 1.001

    def test_intervals(self, lab, texts, built):
        found = lab.activations(texts)
        for feature in range(0, 64, 3):
            values, stats = of_feature(found, feature), built.feature(feature)
            counts = np.bincount(intervals_of(values), minlength=10)
            for interval, count in zip(stats.intervals, counts, strict=True):
                assert interval.count_low <= count <= interval.count_high
                assert not interval.exact or interval.count == count
                assert all(interval.low < each.activation <= interval.high for each in interval.examples)
            assert sum(interval.share for interval in stats.intervals) == pytest.approx(1)
            assert sum(interval.mass_share for interval in stats.intervals) == pytest.approx(1)

    def test_examples_are_where_the_feature_fires(self, lab, texts, built):
        for feature in (0, 7, 40):
            stats = built.feature(feature)
            for example in [*stats.top, *(e for interval in stats.intervals for e in interval.examples)]:
                assert example.ids.tolist() == texts[example.text]
                alone = lab.activations(example.ids).feature(feature)
                assert np.isclose(alone[example.position], example.activation, rtol=1e-4, atol=1e-5)

    def test_top_contexts_are_the_best_of_each_text(self, lab, texts, built):
        found = lab.activations(texts)
        for feature in (0, 7, 40):
            best = sorted((-prompt.feature(feature).max(), n) for n, prompt in enumerate(found))
            expected = [(n, -value) for value, n in best if value < 0][:20]
            top = built.feature(feature).top
            assert [each.text for each in top] == [n for n, _ in expected]
            assert np.allclose([each.activation for each in top], [value for _, value in expected], rtol=1e-5)

    def test_texts_that_come_twice_fill_one_place(self, lab, texts):
        once, twice = (lab.build_index(given, context=32, on_progress=False) for given in (texts, texts * 3))
        for feature in (0, 7):
            assert [e.ids.tolist() for e in once.feature(feature).top] == [
                e.ids.tolist() for e in twice.feature(feature).top
            ]
        assert np.array_equal(3 * once.count, twice.count)

    @pytest.mark.parametrize("mask", [True, False])
    def test_special_tokens(self, lab, texts, mask):
        index = lab.build_index(texts, context=32, mask_special=mask, on_progress=False)
        found = lab.activations(texts, mask_special=mask)
        assert index.count.tolist() == [len(of_feature(found, n)) for n in range(64)]
        assert index.manifest["corpus"]["n_special"] == (60 if mask else 0)

    def test_long_texts_are_read_in_windows(self, lab):
        index = lab.build_index([" ".join(TEXTS)], context=16, on_progress=False)
        ids = lab.model_of().vocabulary.encode_ids(" ".join(TEXTS))
        found: Any = lab.activations([[0, *ids[n : n + 15]] for n in range(0, len(ids), 15)])
        assert index.count.tolist() == [len(of_feature(found, n)) for n in range(64)]
        example = index.feature(int(index.count.argmax())).top[0]
        assert example.ids[1:].tolist() == ids[example.offset : example.offset + 15]

    def test_bundled_model(self):
        lab = sw.demo()
        texts = [document.text for document in sw.demo.world.sample(3, 40)]
        index = lab.build_index(texts, on_progress=False)
        found: Any = lab.activations(texts)
        indices = np.concatenate([prompt.indices for prompt in found])
        assert np.array_equal(index.count, np.bincount(indices, minlength=index.d_sae))
        largest = np.zeros(index.d_sae, np.float32)
        np.maximum.at(largest, indices, np.concatenate([prompt.values for prompt in found]))
        assert np.allclose(index.max, largest, rtol=1e-5)


class TestSinks:
    def test_tokens_with_very_long_activations_are_left_out_and_counted(self, make_model, make_tensors, texts):
        model = make_model("native")
        with torch.no_grad():
            model.W_E[77] *= 1000  # the residual stream keeps it
        lab = sw.Lab(model)
        lab.add_sae(make_tensors(), hook=HOOK)
        n = sum(text.count(77) for text in texts)
        index = lab.build_index(texts, context=32, mask_sinks=True, on_progress=False)
        plain = lab.build_index(texts, context=32, on_progress=False)
        assert n > 0
        assert (index.manifest["corpus"]["n_sinks"], plain.manifest["corpus"]["n_sinks"]) == (n, 0)
        assert plain.n_tokens - index.n_tokens == n
        ids = [e.ids[e.position] for feature in range(64) for e in index.feature(feature).top]
        assert 77 not in ids


class TestAgain:
    def test_same_seed_gives_the_same_files(self, lab, texts, built, tmp_path):
        lab.build_index(texts, path=tmp_path / "again", context=32, on_progress=False)
        assert files(tmp_path / "again") == files(tmp_path / "index")

    def test_several_at_once_are_each_alone(self, lab, make_tensors, texts, tmp_path):
        lab.add_sae(make_tensors("topk", seed=5), "b/..", hook="blocks.0.hook_resid_post")
        both = lab.build_index(texts, ["sae", "b/.."], path=tmp_path / "both", context=32, on_progress=False)
        for n, name in enumerate(("sae", "b/..")):
            lab.build_index(texts, name, path=tmp_path / str(n), context=32, on_progress=False)
            assert both[name].path.parent == tmp_path / "both"
            assert files(both[name].path) == files(tmp_path / str(n))

    def test_finished_index_is_opened_and_not_built(self, lab, texts, built, monkeypatch):
        monkeypatch.setattr(type(lab.model_of()), "read", lambda *_: pytest.fail("the model was run"))
        again = lab.build_index(iter(texts), path=built.path, context=32)
        assert np.array_equal(again.count, built.count)

    @pytest.mark.parametrize("change", ["texts", "settings", "sae"])
    def test_finished_index_of_something_else_is_an_error(self, lab, make_tensors, texts, built, change):
        before = files(built.path)
        given, name = texts[:-1] if change == "texts" else texts, "sae"
        if change == "sae":
            name = lab.add_sae(make_tensors(seed=1), hook=HOOK)
        with pytest.raises(MismatchError, match="index"):
            lab.build_index(given, name, path=built.path, context=16 if change == "settings" else 32)
        assert files(built.path) == before

    def test_resume_false_builds_anew(self, lab, texts, built):
        new = lab.build_index(texts[:30], path=built.path, context=32, resume=False, on_progress=False)
        assert new.manifest["corpus"]["n_texts"] == 30

    @pytest.mark.parametrize("resume", [True, False])
    def test_folder_with_other_files_is_left_alone(self, lab, texts, tmp_path, resume):
        (tmp_path / "thesis.txt").write_text("years of work")
        with pytest.raises(LoadError, match="other files"):
            lab.build_index(texts, path=tmp_path, resume=resume)
        assert files(tmp_path) == {"thesis.txt": b"years of work"}


class TestStopped:
    @pytest.mark.parametrize("rounds", [1, 2, 4])
    def test_stopped_and_gone_on_gives_the_same_files(self, lab, whole, tmp_path, rounds):
        texts, seen = corpus(300), []

        def stop(progress):
            seen.append(progress)
            return len(seen) % rounds != 0

        options = {"path": tmp_path / "parts", "context": 32, "batch_size": 1}
        calls = 0
        while (index := lab.build_index(iter(texts), on_progress=stop, **options)) is None:
            calls += 1
            assert not (tmp_path / "parts" / "manifest.json").exists()
        assert calls >= 2
        assert files(index.path) == whole
        assert [p.tokens for p in seen] == sorted({p.tokens for p in seen})

    def test_error_in_the_middle_is_gone_on_from(self, lab, whole, tmp_path):
        texts = corpus(300)
        options = {"path": tmp_path / "parts", "context": 32, "batch_size": 1, "on_progress": False}
        with pytest.raises(PromptError, match="Text 200"):
            lab.build_index([*texts[:200], None, *texts[201:]], checkpoint_seconds=0, **options)
        first = []
        lab.build_index(texts, **options | {"on_progress": first.append})
        assert first[0].resumed_tokens > 0
        assert files(tmp_path / "parts") == whole

    @pytest.mark.parametrize("change", ["texts", "settings", "sae", "model"])
    def test_going_on_with_something_else_is_an_error(self, lab, make_model, make_tensors, tmp_path, change):
        texts = corpus(300)
        options = {"path": tmp_path, "context": 32, "batch_size": 1}
        assert lab.build_index(texts, on_progress=lambda _: False, **options) is None
        if change == "texts":
            texts = texts[::-1]
        if change == "settings":
            options["seed"] = 1
        if change in {"sae", "model"}:
            model = make_model("gpt2") if change == "model" else lab.model_of().model
            lab = sw.Lab(model, name="tiny")
            lab.add_sae(make_tensors(seed=int(change == "sae")), hook=HOOK)
        with pytest.raises(MismatchError, match="begin anew|begun"):
            lab.build_index(texts, on_progress=False, **options)

    def test_killed_and_gone_on_gives_the_same_files(self, tmp_path):
        program = """
import os, signal, sys, torch, saewidgets as sw
torch.set_num_threads(1)
texts = [document.text for document in sw.demo.world.sample(3, 80)]
rounds = []
def progress(found):
    rounds.append(found)
    if len(rounds) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
options = {"context": 32, "batch_size": 2, "checkpoint_seconds": 0, "on_progress": progress}
sw.demo().build_index(texts, path=sys.argv[1], **options)
"""
        environment = os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", program, str(tmp_path / "parts")]
        killed = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
        assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, "")
        spool = tmp_path / "parts" / "build" / "tokens.bin"
        spool.write_bytes(spool.read_bytes() + b"half a window")

        texts = [document.text for document in sw.demo.world.sample(3, 80)]
        rounds: dict[str, list[Any]] = {"parts": [], "whole": []}
        lab = sw.demo()
        for name, seen in rounds.items():
            lab.build_index(
                texts, path=tmp_path / name, context=32, batch_size=2, checkpoint_seconds=0, on_progress=seen.append
            )
        assert (rounds["whole"][0].resumed_tokens, rounds["parts"][0].resumed_tokens > 0) == (0, True)
        assert len(rounds["parts"]) == len(rounds["whole"]) - 3
        assert files(tmp_path / "parts") == files(tmp_path / "whole")

    def test_damaged_state_says_so(self, lab, tmp_path):
        options = {"path": tmp_path, "context": 32, "batch_size": 1}
        assert lab.build_index(corpus(80), on_progress=lambda _: False, **options) is None
        state = tmp_path / "build" / "state.npz"
        state.write_bytes(state.read_bytes()[:-5000])
        with pytest.raises(LoadError, match="resume=False"):
            lab.build_index(corpus(80), on_progress=False, **options)
        assert lab.build_index(corpus(80), on_progress=False, resume=False, **options).d_sae == 64


class TestProgress:
    def test_tokens_texts_and_time(self, lab, tmp_path):
        seen = []
        lab.build_index(corpus(300), context=32, batch_size=2, on_progress=seen.append)
        assert seen[-1].texts == seen[-1].n_texts == 300
        assert seen[-1].seconds_left == 0
        assert all(p.tokens_per_second > 0 for p in seen)
        assert "300 of 300 texts" in str(seen[-1])

    def test_unknown_length(self, lab):
        seen = []
        lab.build_index(iter(corpus(20)), context=32, on_progress=seen.append)
        assert (seen[-1].n_texts, seen[-1].seconds_left) == (None, None)

    def test_nothing_is_written_to_the_error_stream(self, lab, texts, capfd):
        lab.build_index(texts, context=32)
        assert capfd.readouterr().err == ""


class TestErrors:
    @pytest.mark.parametrize("texts", [[], [""], [[0]]])
    def test_no_tokens(self, lab, texts):
        with pytest.raises(IndexBuildError, match="no token"):
            lab.build_index(texts, context=32)

    @pytest.mark.parametrize(
        "wrong",
        [{"context": 1}, {"context": 2**40}, {"examples": 0}, {"per_interval": -1}, {"batch_size": 0}, {"seed": -1}],
    )
    def test_settings(self, lab, texts, wrong):
        with pytest.raises(IndexBuildError, match=next(iter(wrong))):
            lab.build_index(texts, **wrong)

    def test_activations_that_are_not_finite(self, make_model, make_tensors):
        model = make_model("native")
        with torch.no_grad():
            model.W_E[77] = float("nan")
        lab = sw.Lab(model)
        lab.add_sae(make_tensors(), hook=HOOK)
        with pytest.raises(NonFiniteError, match=HOOK):
            lab.build_index([[0, 77, 5]], context=32)

    def test_features_that_are_not_finite_are_counted(self, bridge, make_tensors, texts):
        tensors = make_tensors()
        tensors["W_enc"][:, 3] = 3e38
        lab = sw.Lab(bridge)
        lab.add_sae(tensors, hook=HOOK)
        lab.add_sae(make_tensors(), "plain", hook=HOOK)
        index = lab.build_index(texts, context=32, on_progress=False)
        assert index.manifest["corpus"]["n_nonfinite"] == lab.activations(texts).prompts[0].n_nonfinite + sum(
            prompt.n_nonfinite for prompt in lab.activations(texts).prompts[1:]
        )
        assert f"{index.manifest['corpus']['n_nonfinite']:,} activations that are not finite left out" in index.sample
        assert "finite" not in lab.build_index(texts, "plain", context=32, on_progress=False).sample
        assert np.isfinite(index.max).all()

    def test_manifest_is_plain_json(self, built):
        manifest = json.loads((built.path / store.MANIFEST).read_text())
        assert manifest["sae"]["content_hash"]
        assert manifest["versions"]["pyarrow"]


class TestFoldersOfOthers:
    def test_a_folder_named_build_with_other_files_stays(self, lab, texts, tmp_path):
        (tmp_path / "build").mkdir()
        (tmp_path / "build" / "precious.txt").write_text("mine")
        for resume in (True, False):
            with pytest.raises(LoadError, match="other files"):
                lab.build_index(texts, path=tmp_path, context=32, resume=resume, on_progress=False)
        assert (tmp_path / "build" / "precious.txt").read_text() == "mine"

    def test_texts_that_are_none_leave_the_index(self, lab, built):
        before = files(built.path)
        with pytest.raises(PromptError):
            lab.build_index("one text", path=built.path, context=32, resume=False, on_progress=False)
        assert files(built.path) == before

    def test_a_whole_index_beside_what_a_killed_build_left(self, lab, texts, built):
        before = files(built.path)
        (built.path / "build").mkdir()
        (built.path / "build" / "state.npz").write_bytes(b"left")
        lab.build_index(texts, path=built.path, context=32, on_progress=False)
        assert files(built.path) == before


def test_a_table_is_no_list_of_texts(lab):
    import pandas as pd

    with pytest.raises(PromptError, match="column"):
        lab.build_index(pd.DataFrame({"text": ["one", "two"]}), on_progress=False)
    with pytest.raises(PromptError, match="column"):
        lab.specificity(7, "one", pd.DataFrame({"text": ["one", "two"]}))


def test_an_sae_of_one_feature(bridge, make_tensors):
    lab = sw.Lab(bridge, name="tiny")
    tensors = make_tensors()
    one = {"W_enc": tensors["W_enc"][:, :1], "b_enc": tensors["b_enc"][:1], "W_dec": tensors["W_dec"][:1]}
    lab.add_sae({**one, "b_dec": tensors["b_dec"]}, name="one", hook=HOOK)
    index = lab.build_index(corpus(), context=32, on_progress=False)
    assert index.count.tolist() == [sum(int((each.feature(0)[~each.special_mask] > 0).sum()) for each in
                                        lab.activations(corpus()))]  # fmt: skip
    assert lab.feature(0).neighbours == ()
