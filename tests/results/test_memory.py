"""What is held, in bytes."""

from __future__ import annotations

import pytest

from saewidgets.results import Memory, MemoryItem


def test_total_items_and_frame():
    memory = Memory((MemoryItem("gpt2", "model", 10), MemoryItem("mid", "SAE", 5)))
    assert (memory.total, memory["mid"]) == (15, 5)
    assert memory.to_frame().to_numpy().tolist() == [["gpt2", "model", 10], ["mid", "SAE", 5]]
    with pytest.raises(KeyError):
        memory["other"]
