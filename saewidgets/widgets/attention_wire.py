"""Attention patterns as one compact buffer for the browser.

Layout, little endian: u32 magic, version, bytes of the header, number of values; the header (JSON, UTF-8, padded to 4
bytes); float16 weights of the lower triangle, [head][query][key <= query], absolute error below 3e-4. Of a long prompt
only the first tokens travel: their patterns do not depend on what follows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from saewidgets.results import Attention, HeadSummary
from saewidgets.widgets.wire import buffer_head

MAGIC = 0x41454153  # "SAEA"
VERSION = 1
MOST = 256
"""Tokens that are drawn; 12 heads of as many are 0.8 MB."""


def pack(result: Attention, *, prompt: str = "") -> bytes:
    """One buffer with all that the browser draws.

    Args:
        result: The patterns.
        prompt: The text as typed.

    Example:
        >>> import numpy as np
        >>> from saewidgets.results import Tokens
        >>> tokens = Tokens(np.array([3]), (b"Hi",), np.array([False]))
        >>> pack(Attention(tokens, np.ones((2, 1, 1), np.float32), 0, 4, "toy", "blocks.0.attn.hook_pattern"))[:4]
        b'SAEA'
    """
    n = min(len(result), MOST)
    query, key = np.tril_indices(n)
    weights = result.pattern[:, query, key].astype("<f2")
    return buffer_head(MAGIC, VERSION, _header(result, n, prompt), weights.size) + weights.tobytes()


def _header(result: Attention, n: int, prompt: str) -> dict[str, Any]:
    """The part of the buffer that is text."""
    tokens = result.prompt_tokens
    groups = [group for group in tokens.groups if group[1] - group[0] > 1 and group[1] <= n]
    return {
        "prompt": prompt,
        "model": result.model,
        "hook": result.hook,
        "layer": result.layer,
        "n_layers": result.n_layers,
        "n_heads": result.n_heads,
        "tokens": list(tokens.strings[:n]),
        "ids": tokens.ids[:n].tolist(),
        "special": np.flatnonzero(tokens.special[:n]).tolist(),
        "masked": [],
        "groups": groups,
        "total": len(tokens) + tokens.n_dropped,
        "heads": [_known(summary) for summary in result.heads()],
    }


def _known(summary: HeadSummary) -> dict[str, float | None]:
    """The numbers of a head by name; null for those that the prompt does not have."""
    numbers = summary._asdict()
    del numbers["head"]
    return {name: None if value != value else value for name, value in numbers.items()}  # noqa: PLR0124 - NaN
