from __future__ import annotations

import base64
import subprocess
import sys
import threading
import zlib

import ipywidgets
import numpy as np
import pytest

from saewidgets.errors import HookPointError, MismatchError, TokenError, UnknownNameError
from saewidgets.widgets import TokenActivations, circuitsvis_picture
from saewidgets.widgets.attention_patterns import AttentionPatterns
from saewidgets.widgets.worker import worker_of
from tests.widgets.fake_attention_lab import FakeAttentionLab
from tests.widgets.fake_lab import FakeLab
from tests.widgets.messages import tell

PROMPT = "John gave the Gate a drink near the Golden Gate"


@pytest.fixture
def lab():
    return FakeAttentionLab()


@pytest.fixture
def view(lab):
    view = AttentionPatterns(lab, PROMPT, 1)
    yield view
    view.close()


@pytest.fixture
def hold(lab):
    """Holds the lab's runs until opened: (has begun, open it)."""
    begun, go = threading.Event(), threading.Event()
    lab.gate = lambda prompt: (begun.set(), go.wait(30))
    yield begun, go
    go.set()


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A script of circuitsvis of this test's own."""
    path = tmp_path / "iife.js"
    path.write_text("var CircuitsVis = 1;")
    monkeypatch.setattr(circuitsvis_picture, "find_script", lambda: path)
    return path


class TestConstruction:
    def test_the_result_is_there_at_once(self, lab, view):
        assert view.result.prompt_tokens.text == PROMPT
        assert (view.layer, view.head, view.token, view.model) == (1, None, None, "toy")
        assert view.status == {"state": "done", "message": ""}
        assert lab.runs == [(PROMPT, 1)]

    def test_the_first_layer_by_default(self, lab):
        assert AttentionPatterns(lab, PROMPT).result.layer == 0

    def test_a_layer_from_the_last_has_one_number(self, lab):
        view = AttentionPatterns(lab, PROMPT, -1)
        assert (view.layer, view.result.layer, len(lab.runs)) == (3, 3, 1)

    def test_head_token_and_model(self, lab):
        view = AttentionPatterns(lab, PROMPT, 2, head=5, token=3, model="other")
        assert (view.head, view.token, view.model, view.result.model) == (5, 3, "other", "other")

    @pytest.mark.parametrize(
        ("arguments", "error"),
        [
            ({"model": "nope"}, UnknownNameError),
            ({"model": 3}, UnknownNameError),
            ({"layer": "1"}, HookPointError),
            ({"layer": True}, HookPointError),
            ({"head": 6}, MismatchError),
            ({"head": -1}, MismatchError),
            ({"token": 99}, TokenError),
            ({"token": -1}, TokenError),
        ],
    )
    def test_arguments_that_do_not_exist_raise(self, lab, arguments, error):
        with pytest.raises(error):
            AttentionPatterns(lab, PROMPT, **arguments)

    def test_a_misspelt_keyword_is_an_error_with_advice(self, lab):
        with pytest.raises(TypeError, match="'heads'; did you mean 'head'"):
            AttentionPatterns(lab, PROMPT, heads=3)

    def test_a_layer_that_the_model_lacks_is_shown(self, lab):
        view = AttentionPatterns(lab, PROMPT, 9)
        assert view._data == b""
        assert view.error.startswith("The model has no such layer.")
        view.layer = 0
        assert view.result.layer == 0

    def test_every_public_trait_says_what_it_is(self):
        public = [trait for name, trait in AttentionPatterns.class_own_traits().items() if not name.startswith("_")]
        assert len(public) == 6
        assert all(trait.help for trait in public)


class TestTraits:
    def test_a_layer_runs_again(self, lab, view):
        view.layer = 3
        assert view.result.layer == 3
        view.layer = -4
        assert (view.layer, view.result.layer) == (0, 0)
        assert lab.runs == [(PROMPT, 1), (PROMPT, 3), (PROMPT, 0)]

    def test_head_and_token_run_nothing(self, lab, view):
        view.head, view.token = np.int64(2), np.int64(4)
        assert (view.head, view.token) == (2, 4)
        assert (type(view.head), type(view.token)) == (int, int)
        assert len(lab.runs) == 1

    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("layer", 4, HookPointError),
            ("layer", 1.0, HookPointError),
            ("layer", None, HookPointError),
            ("head", 6, MismatchError),
            ("head", True, MismatchError),
            ("head", "2", MismatchError),
            ("token", 99, TokenError),
            ("token", 1.5, TokenError),
            ("token", False, TokenError),
            ("model", "nope", UnknownNameError),
        ],
    )
    def test_a_refused_value_changes_nothing(self, view, name, value, error):
        before = getattr(view, name)
        with pytest.raises(error):
            setattr(view, name, value)
        assert getattr(view, name) == before

    def test_a_token_that_the_next_prompt_lacks_is_dropped(self, view):
        view.token = 8
        view.prompt = "short"
        assert view.result is not None
        assert view.token is None

    def test_a_head_that_the_next_model_lacks_is_dropped(self, lab, view):
        view.head = 5
        lab.n_heads = 2
        view.model = "other"
        assert view.result.n_heads == 2
        assert view.head is None

    def test_tokens_link_both_ways_with_those_of_another_view(self, view):
        tokens = TokenActivations(FakeLab(), PROMPT)
        link = ipywidgets.link((tokens, "token"), (view, "token"))
        tokens.token = 4
        assert view.token == 4
        view.token = 7
        assert tokens.token == 7
        assert tokens.result.tokens[7] == view.result.tokens[7]
        view.token = None
        assert tokens.token is None
        link.unlink()


class TestWork:
    def test_latest_wins(self, lab, view, hold):
        begun, go = hold
        view.prompt = "first"
        begun.wait(30)
        for layer in (0, 2, 3):
            view.layer = layer
        go.set()
        assert (view.result.layer, view.result.prompt_tokens.text) == (3, "first")
        assert lab.runs[1:] == [("first", 1), ("first", 3)]

    def test_callbacks_never_run_the_model(self, lab, view):
        threads = []
        lab.gate = lambda prompt: threads.append(threading.current_thread())
        assert tell(view, op="set", layer=2)["error"] == ""
        assert view.result.layer == 2
        assert threads == [worker_of(lab.models["toy"]).thread]

    def test_stop_keeps_the_picture(self, view, hold):
        begun, go = hold
        before = view.result
        view.layer = 2
        begun.wait(30)
        tell(view, op="stop")
        go.set()
        assert view.result is before
        assert view.status["state"] == "stopped"

    def test_a_lab_of_the_package(self, bridge):
        from saewidgets import Lab

        lab = Lab(bridge, name="tiny")  # no SAE is needed
        view = AttentionPatterns(lab, "the cat sat", -1)
        assert np.array_equal(view.result.pattern, lab.attention("the cat sat", 1).pattern)
        view.layer = 0
        assert view.result.layer == 0


class TestFaults:
    def test_a_bad_prompt_keeps_the_last_picture(self, view):
        before = view.result
        view.prompt = ""
        assert view.result is before
        assert "type a prompt" in view.error
        assert "former prompt" in view.static_text()

    def test_before_anything_has_run_the_error_is_the_picture(self, lab):
        view = AttentionPatterns(lab, "")
        assert view.static_text().startswith("The prompt has no tokens.")
        assert "The prompt has no tokens." in view.static_html()

    @pytest.mark.parametrize(
        "content",
        [
            {"op": "set", "prompt": 5},
            {"op": "set", "layer": "x"},
            {"op": "set", "layer": 10**30},
            {"op": "set", "layer": None},
            {"op": "set", "head": [1]},
            {"op": "set", "token": {}},
            {"op": "unknown"},
        ],
    )
    def test_nonsense_is_answered_and_changes_nothing(self, view, content):
        before = (view.prompt, view.layer, view.head, view.token)
        assert tell(view, **content)["error"]
        assert (view.prompt, view.layer, view.head, view.token) == before

    def test_the_browser_chooses(self, view):
        assert tell(view, op="set", head=3, token=2)["error"] == ""
        assert (view.head, view.token) == (3, 2)
        assert tell(view, op="set", head=None, token=None)["error"] == ""
        assert (view.head, view.token) == (None, None)


class TestScript:
    def answers(self, view):
        sent = []
        view.send = lambda content, buffers=None: sent.append(content)
        view._receive(view, {"op": "script", "view": "v", "seq": 1})
        return sent

    def test_it_is_sent_when_asked_for(self, view, script):
        answer, ack = self.answers(view)
        assert ack["op"] == "ack"
        assert answer["op"] == "script"
        assert zlib.decompress(base64.b64decode(answer["library"])) == script.read_bytes()

    def test_it_is_in_no_state(self, view, script):
        self.answers(view)
        state = view.get_state()
        assert not any("CircuitsVis =" in str(value) for value in state.values())

    def test_where_the_package_is_missing_the_answer_is_empty(self, view, monkeypatch):
        monkeypatch.setattr(circuitsvis_picture, "find_script", lambda: None)
        assert self.answers(view)[0] == {"op": "script", "library": "", "drawing": ""}

    def test_a_script_that_changed_is_read_again(self, script):
        first = circuitsvis_picture.script_message()["library"]
        script.write_text("var CircuitsVis = 22;")
        import os

        os.utime(script, ns=(1, 1))
        assert circuitsvis_picture.script_message()["library"] != first

    def test_the_package_is_found_and_not_imported(self, tmp_path):
        package = tmp_path / "circuitsvis"
        (package / "dist" / "cdn").mkdir(parents=True)
        (package / "__init__.py").write_text("raise SystemExit('imported')")
        (package / "dist" / "cdn" / "iife.js").write_text("1")
        code = (
            "import sys\nfrom saewidgets.widgets.circuitsvis_picture import find_script\n"
            "print(find_script())\nassert 'circuitsvis' not in sys.modules and 'torch' not in sys.modules"
        )
        environment = {"PYTHONPATH": f"{tmp_path}:{':'.join(filter(None, sys.path))}"}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        assert done.stdout.strip() == str(package / "dist" / "cdn" / "iife.js")

    def test_a_package_without_its_script_is_none(self, tmp_path, monkeypatch):
        (tmp_path / "circuitsvis").mkdir()
        monkeypatch.setattr(sys, "path", [str(tmp_path)])
        assert circuitsvis_picture.find_script() is None


class TestPictures:
    def test_twins(self, view):
        view.head, view.token = 2, 5
        assert "what token 5" in view.static_html()
        assert "head 2:" in view.static_text()
        assert view.static_svg().startswith("<svg")

    def test_files(self, view, tmp_path):
        assert view.to_svg(tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<svg")
        page = view.to_html(tmp_path / "a.html").read_text(encoding="utf-8")
        assert "AttentionPatterns · John gave" in page
        assert len(page) < 100_000
