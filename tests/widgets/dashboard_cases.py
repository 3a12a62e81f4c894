"""Buffers as Python packs them, with what they hold, for the tests of the script.

Run as a program it writes them; test_dashboard_wire.py sees to it that they are what is packed today.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from saewidgets.results import FeatureId, FeatureStats, Tokens
from saewidgets.results.feature_stats import Example, Interval, LogitEffects, TokenEffect
from saewidgets.views.remarks import Pinned
from saewidgets.widgets.dashboard_specificity import blind, rating_json, specificity_json
from saewidgets.widgets.dashboard_wire import Said, pack_examples, pack_feature, pack_table
from saewidgets.widgets.wire import pack
from tests.widgets.fake_dashboard_lab import FakeDashboardLab, scored
from tests.widgets.nasty import LETTERS, MARKUP

PATH = Path(__file__).resolve().parents[2] / "js" / "test" / "dashboard_cases.json"
NASTY = [text.encode() for text in (*MARKUP, *LETTERS)] + [b" caf\xc3", b"\xff"]
PROMPT = "the Golden Gate opens"


def nasty_stats() -> FeatureStats:
    """A feature whose tokens, names and effects have broken other tools."""
    ids = np.arange(len(NASTY))

    def decode(ids: Any) -> Tokens:
        ids = np.asarray(ids)
        return Tokens(ids, tuple(NASTY[i] for i in ids.tolist()), ids == 7)

    top = (Example(3.0, 20, ids, 1, 0, decode), Example(2.0, 0, ids[:9], 2, 100, decode))
    stats = FakeDashboardLab().indexes["mid"].feature(0)
    effects = tuple(TokenEffect(i, each.decode("utf-8", "backslashreplace"), -float(i)) for i, each in enumerate(NASTY))
    logits: Any = stats.logits
    interval = Interval(0.0, 3.0, 2, 2, 2, 1.0, 5.0, 1.0, top)
    return replace(
        stats, feature=FeatureId("<script>", 0), count=2, max=float("inf"), mean=float("nan"), top=top,
        intervals=(interval, *stats.intervals[1:]), sample="</script>\u202e", model="\ud800",
        logits=LogitEffects(effects[:10], effects[10:20], logits.histogram, "how\x00"), encoder_cosine=None,
    )  # fmt: skip


def cases() -> list[dict[str, Any]]:
    """Names, buffers, and what is in them."""
    lab = FakeDashboardLab()
    index = lab.indexes["mid"]
    often = [int(n) for n in np.argsort(-index.count, kind="stable")]
    bridge, people = "Golden Gate <b>Bridge</b>", ("Stars: 2 (ann, bob)", "Specificity, 0 to 3: 3 by ann, 2 by bob")
    pins = (Pinned("at the", " Golden", " Gate \u2026"), Pinned("a text", "", " (token 900)"))
    said = Said(bridge, bridge, "a note\nof two lines", ("place", "us"), 2, False, people, pins)
    nasty = "\u202e<i>\x00</b><script>\ud800"
    dead = next(n for n in range(512) if not index.count[n])
    found = [
        _case("typical", lab, index.feature(often[1]), said),
        _case("rare", lab, index.feature(next(n for n in often if 0 < index.count[n] < 60))),
        _case("dead", lab, index.feature(dead)),
        _case(
            "nasty", lab, nasty_stats(), Said(nasty, nasty, nasty, (nasty,), 1, True, (nasty,), (Pinned(*[nasty] * 3),))
        ),
    ]
    for case in found[1:]:
        del case["_table"], case["_live"]
    return found


def _case(name: str, lab: FakeDashboardLab, stats: FeatureStats, said: Said | None = None) -> dict[str, Any]:
    index, labels = lab.indexes["mid"], {3: "three", 1: "<b>"}
    values = [np.linspace(0, each.activation, len(each), dtype=np.float32) for each in stats.top]
    items, one = blind(stats, "ann"), scored(stats.feature, "rating" if name == "rare" else "predicate", "x <y>")
    buffers = {
        "_data": pack_feature(stats, said, d_sae=512, label=lambda other: labels.get(other.index)),
        "_table": pack_table("mid", index.n_tokens, index.count, index.max, index.mean, labels),
        "_examples": pack_examples(stats.feature, "top", stats.top, values),
        "_live": pack(lab.activations(PROMPT, "mid"), prompt=PROMPT),
    }
    return {
        "name": name,
        **{trait: base64.b64encode(data).decode() for trait, data in buffers.items()},
        "_specificity": specificity_json(one),
        "_rating": rating_json(stats.feature, "ann", items, lambda each: 2 if each.position % 2 else None),
        "expected": {
            "feature": stats.feature.index,
            "tokens": {"top": _strings(stats.top, 16), "1": _strings(stats.intervals[0].examples, 5)},
            "count": index.count[:5].tolist(),
            "max": [round(float(value), 3) for value in index.max[:5]],
            "values": [[round(float(value), 3) for value in each] for each in values[:2]],
        },
    }


def _strings(examples: tuple[Example, ...], around: int) -> list[list[str]]:
    spans = [(each.tokens.strings, each.around(around, around)) for each in examples[:2]]
    return [[text if len(text) <= 64 else f"{text[:63]}\u2026" for text in s[i:j]] for s, (i, j) in spans]


def as_text() -> str:
    """The file."""
    return json.dumps(cases(), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(as_text(), encoding="utf-8")
