"""Rankings that are made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np

from saewidgets.results import Node, Ranking, Tokens

NAN = float("nan")
METRIC = "logit(' in') \N{MINUS SIGN} logit(' on')"


def ranking_of(rows: list[tuple[float, float, float]], **more: Any) -> Ranking:
    """A ranking from one (activation, attribution, ablation) a row: features 10, 11, ... at the last token ' is'."""
    n = len(rows)
    special = np.array([True, False, False])
    columns = np.array(rows, np.float64).reshape(n, 3)
    options: dict[str, Any] = {
        "prompt_tokens": Tokens(np.array([0, 5, 6]), (b"<bos>", b"Paris", b" is"), special),
        "masked": special,
        "metric": METRIC,
        "metric_value": 2.5,
        "target": (7,),
        "baseline": 8,
        "method": "attribution",
        "scope": "position",
        "position": 2,
        "sae_index": np.zeros(n, np.int32),
        "positions": np.full(n, 2, np.int64),
        "features": np.arange(10, 10 + n, dtype=np.int32),
        "activation": columns[:, 0],
        "attribution": columns[:, 1],
        "ablation": columns[:, 2],
        "nodes": (Node("error", "mid", 2, 0.25, NAN), Node("bias", "mid", 2, -1.0, 0.5)),
        "saes": ("mid",),
        "hooks": ("blocks.2.hook_resid_post",),
        "model": "toy",
    }
    return Ranking(**(options | more))
