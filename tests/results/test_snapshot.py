"""Results show themselves in a notebook through the views, which they do not know."""

from __future__ import annotations

import numpy as np

import saewidgets.views  # noqa: F401 - registers the pictures
from saewidgets.results import Activations, ActivationsBatch, Tokens
from saewidgets.results.snapshot import Snapshot


def _one(piece: bytes) -> Activations:
    tokens = Tokens(np.array([0, 3]), (b"<bos>", piece), np.array([True, False]))
    return Activations(
        tokens,
        np.array([0, 0, 1]),
        np.array([7], np.int32),
        np.array([2.0], np.float32),
        tokens.special,
        8,
        "s",
        "m",
        "h",
    )


def test_activations_show_their_strongest_feature_escaped():
    html = _one(b"<img src=x>")._repr_html_()
    assert html is not None
    assert "s/7" in html
    assert "&lt;img src=x&gt;" in html
    assert "<img" not in html


def test_a_batch_shows_its_first_ten_and_says_how_many_are_left():
    html = ActivationsBatch((_one(b"a"),) * 12)._repr_html_()
    assert html is not None
    assert html.count("s/7") == 10
    assert "2 more prompts" in html


def test_the_repr_is_one_line_of_counts():
    assert repr(_one(b"a")) == "Activations(sae='s', 2 tokens, 1 masked, 1 features fire)"
    assert repr(ActivationsBatch((_one(b"a"),) * 2)) == "ActivationsBatch(2 prompts, 4 tokens)"


def test_a_result_without_a_picture_shows_its_repr():
    assert Snapshot()._repr_html_() is None
