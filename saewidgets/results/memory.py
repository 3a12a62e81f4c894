"""What a lab holds in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class MemoryItem(NamedTuple):
    """One thing that a lab holds: its name, what it is ("model" or "SAE") and its size in bytes."""

    name: str
    kind: str
    bytes: int


@dataclass(frozen=True)
class Memory:
    """Bytes that a lab holds, item by item.

    Example:
        >>> memory = Memory((MemoryItem("gpt2", "model", 10), MemoryItem("mid", "SAE", 5)))
        >>> memory.total, memory["mid"]
        (15, 5)
    """

    items: tuple[MemoryItem, ...]

    @property
    def total(self) -> int:
        """All bytes together."""
        return sum(item.bytes for item in self.items)

    def __getitem__(self, name: str) -> int:
        return {item.name: item.bytes for item in self.items}[name]

    def to_frame(self) -> pd.DataFrame:
        """One row an item: name, kind, bytes."""
        import pandas as pd

        return pd.DataFrame(self.items, columns=list(MemoryItem._fields))
