"""Two threads run one model with batches of different size, at the worst moment."""

from __future__ import annotations

import threading

import pytest
import torch

from saewidgets.models import LanguageModel


@pytest.mark.parametrize("rows", [1, 3])
@torch.no_grad()
def test_a_pass_of_another_thread_in_the_middle_changes_nothing(make_model, rows):
    model = make_model("gpt2")
    LanguageModel(model)
    ids = torch.tensor([[0, 5, 9, 40]])
    alone, other_alone = model(ids.expand(rows, -1)), model(ids.expand(2, -1))
    found: list[torch.Tensor] = []
    here = threading.current_thread()

    def other() -> None:
        with torch.no_grad():
            found.append(model(ids.expand(2, -1)))

    def in_the_middle(*_):
        if threading.current_thread() is here:
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()

    handle = model.embed.register_forward_hook(in_the_middle)
    try:
        assert torch.equal(model(ids.expand(rows, -1)), alone)
    finally:
        handle.remove()
    assert torch.equal(found[0], other_alone)


def test_the_values_of_two_threads_are_apart_and_a_model_without_one_is_left_alone(make_model):
    model = make_model("gpt2")
    LanguageModel(model)
    model.pos_embed._current_batch_size = 7
    seen: list[object] = []
    thread = threading.Thread(target=lambda: seen.append(model.pos_embed._current_batch_size))
    thread.start()
    thread.join()
    assert seen == [None]
    assert model.pos_embed._current_batch_size == 7
    model.pos_embed._current_batch_size = None
    LanguageModel(make_model("llama"))
