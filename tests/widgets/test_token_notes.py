"""What is said of the tokens of a prompt, in the twins of the views that show one."""

from __future__ import annotations

import pytest

from saewidgets import steering
from saewidgets.results import Tokens
from saewidgets.widgets import AttentionPatterns, FeatureRanking, SteeringPanel
from saewidgets.widgets.token_notes import said_of_prompt

PROMPT = "the cat sat"
VIEWS = [
    lambda lab: AttentionPatterns(lab, PROMPT, 1),
    lambda lab: FeatureRanking(lab, PROMPT),
    lambda lab: SteeringPanel(lab, PROMPT, steering.set("sae/7", 1), max_new_tokens=1, neutral_texts=[PROMPT]),
]


@pytest.fixture(autouse=True)
def beside_a_notebook(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAEWIDGETS_AUTHOR", "ann")


@pytest.fixture(params=VIEWS, ids=["attention", "ranking", "panel"])
def view(request, lab):
    view = request.param(lab)
    assert view.result is not None
    return view


def test_they_are_listed_below(lab, view):
    assert "Notes on tokens" not in view.static_html() + view.static_text()
    lab.annotate(None, "subject", "an <i>animal</i>", prompt=PROMPT, position=2)
    lab.annotate(None, note="elsewhere", prompt="another prompt", position=2)
    token = view.result.prompt_tokens.strings[2].replace(" ", "·")
    page, lines = view.static_html(), view.static_text().split("\n")
    assert page.endswith(f"<p>Notes on tokens:<br>2 {token} — subject: an &lt;i&gt;animal&lt;/i&gt;</p>")
    assert lines[-2:] == ["Notes on tokens:", f"2 {token} — subject: an <i>animal</i>"]
    lab.annotations.undo()
    lab.annotations.undo()
    assert "Notes on tokens" not in view.static_html()


def test_they_are_those_of_the_prompt_on_the_screen(lab, view):
    lab.annotate(None, note="of the next prompt", prompt="<|bos|>next", position=1)
    assert "of the next prompt" not in view.static_html()
    view.prompt = "<|bos|>next"
    view._wait()
    assert view.result.prompt_tokens.text == "next"
    assert "of the next prompt" in view.static_html()


def test_of_this_model_by_the_text_as_typed_or_as_the_tokens_say(lab):
    tokens: Tokens = lab.activations(PROMPT).prompt_tokens
    model = next(iter(lab.models))
    lab.annotate(None, note="by its tokens", prompt=PROMPT, position=1)
    lab.annotate(None, note="as typed", prompt="<bos>the cat sat", position=1)
    lab.annotate(None, note="also as typed", prompt="<bos>the cat sat", position=2)
    lab.annotate(None, tags=["no words"], prompt=PROMPT, position=3)

    def said(*which):
        return {position: remark.note for position, remark in said_of_prompt(lab, tokens, *which).items()}

    assert said(model, PROMPT) == {1: "by its tokens"}
    assert said(model, "<bos>the cat sat") == {1: "as typed", 2: "also as typed"}
    assert said("another", PROMPT) == {}
    assert said_of_prompt(object(), tokens, model, PROMPT) == {}
