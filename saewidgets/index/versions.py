"""The libraries that the numbers of an index depend on."""

from __future__ import annotations

from importlib.metadata import version


def versions() -> dict[str, str]:
    """Their versions by name."""
    return {name: version(name) for name in ("saewidgets", "torch", "transformer-lens", "numpy", "pyarrow")}
