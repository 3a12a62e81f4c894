"""Drawings of a steering panel and of a feature: whole XML, every token as text, nothing leaves the paper."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from saewidgets import steering as st
from saewidgets.errors import PromptError
from saewidgets.results import SteeringComparison
from saewidgets.results.feature_stats import Example, TokenEffect
from saewidgets.views.feature_stats_svg import feature_stats_svg
from saewidgets.views.remarks import Remark
from saewidgets.views.steering_svg import steering_comparison_svg
from saewidgets.widgets import FeatureDashboard, SteeringPanel
from tests.views.test_drawings import NASTY, SPACE, parsed, size, texts
from tests.widgets.dashboard_cases import nasty_stats
from tests.widgets.fake_dashboard_lab import FakeDashboardLab
from tests.widgets.fake_lab import tokens_of
from tests.widgets.fake_steering_lab import FakeSteeringLab

ALLOWED = {"svg", "title", "rect", "text", "line"}


@pytest.fixture
def panel():
    return SteeringPanel(FakeSteeringLab(), "the Golden Gate Bridge", st.set(7, 4), max_new_tokens=8)


@pytest.fixture(scope="module")
def index():
    return FakeDashboardLab().indexes["mid"]


def inside(drawing):
    """Whether every box, text and line is on the paper, and every element one that is allowed."""
    root = parsed(drawing)
    width, height = size(root, "width"), size(root, "height")
    for node in root.iter():
        assert node.tag.removeprefix(SPACE) in ALLOWED
        assert not any(name.startswith("on") or "href" in name for name in node.attrib)
    for node in root.iter(f"{SPACE}rect"):
        assert size(node, "x") >= 0
        assert size(node, "x") + size(node, "width") <= width + 0.01
        assert size(node, "y") + size(node, "height") <= height + 0.01
    for node in root.iter(f"{SPACE}text"):
        assert size(node, "x") >= 0
        assert size(node, "x") + size(node, "textLength") <= width + 0.01
        assert 0 < size(node, "y") <= height
    return True


def nasty_tokens():
    return tokens_of([token.encode("utf-8", "surrogatepass") for token in NASTY])


def with_nasty(result):
    """The comparison with tokens that have broken other tools."""
    tokens = nasty_tokens()
    n = len(tokens)
    after = result.next_token
    names = tuple((NASTY * 2)[: len(after)])
    after = replace(after, prompt_tokens=tokens, tokens=names, steered=np.ones(n, bool), model="</svg>\u202e")
    steered = replace(
        result.steered[0], prompt_tokens=tokens, new_tokens=tokens, logprobs=np.zeros(n), base_logprobs=np.zeros(n),
        kl=np.full(n, np.nan), steered=np.ones(2 * n - 1, bool), edits=("<script>",),
    )  # fmt: skip
    base = replace(result.base[0], prompt_tokens=tokens)
    return replace(result, next_token=after, base=(base,), steered=(steered,))


class TestSteering:
    def test_edits_bars_and_both_texts_stand_there(self, panel):
        drawing = panel.static_svg()
        found = texts(drawing)
        assert inside(drawing)
        assert any(text.startswith("1. mid/7: x + (4 m - f) d") for text in found)
        result = panel.result
        written = "".join(found).replace(" ", "")
        for one in (result.base[0], result.steered[0]):
            assert "".join(one.text.split()) in written
        assert sum(text.endswith(" %") for text in found) == 2 * 10 + 1
        assert any("outlined as the model is" in text for text in found)

    def test_bars_are_as_long_as_the_probabilities(self, panel):
        result = panel.result
        bars = list(parsed(steering_comparison_svg(result, 10)).iter(f"{SPACE}rect"))
        outlines = [size(node, "width") for node in bars if node.get("fill") == "none"]
        solid = [size(node, "width") for node in bars if node.get("fill") == "#c8641b"]
        rows = sorted(result.next_token.top(10), key=lambda row: -max(row.base, row.edited))
        scale = outlines[0] / rows[0].base
        np.testing.assert_allclose(outlines, [scale * row.base for row in rows], atol=0.02)
        np.testing.assert_allclose(solid, [scale * row.edited for row in rows], atol=0.02)

    def test_marks_are_those_of_the_result(self, panel):
        result = panel.result
        tinted = [node for node in parsed(panel.static_svg()).iter(f"{SPACE}rect") if node.get("fill") == "#fd8d3c"]
        steered = result.steered[0]
        assert len(tinted) == result.next_token.steered.sum() + steered.steered[len(steered.prompt_tokens) :].sum()
        lines = [node for node in parsed(panel.static_svg()).iter(f"{SPACE}line") if node.get("stroke") == "#1b1b1f"]
        assert len(lines) == sum(int(side.sum()) for side in result.differs())

    @pytest.mark.parametrize("width", [500, 900])
    def test_nasty_tokens_are_text(self, panel, width):
        drawing = steering_comparison_svg(with_nasty(panel.result), where=("while </b>",), width=width)
        assert inside(drawing)
        assert "\u202e" not in drawing
        assert any("<script>" in text for text in texts(drawing))
        drawing.encode()

    def test_of_many_samples_four_are_drawn(self):
        panel = SteeringPanel(
            FakeSteeringLab(), "the Gate", st.set(7, 4), max_new_tokens=4, temperature=1.0, samples=6, seed=3
        )
        found = texts(panel.static_svg())
        assert [text for text in found if text.startswith("Base, seed")] == [f"Base, seed {n}" for n in range(3, 7)]
        assert "and 2 more pairs" in found

    def test_what_people_say_stands_with_the_edit(self, panel):
        found = texts(steering_comparison_svg(panel.result, said=(Remark("a <label>", "a note"),)))
        assert any(text.startswith("1. mid/7: x + (4 m - f) d \u00b7 a <label>") for text in found)
        assert "note on 1: a note" in found

    def test_without_texts_and_without_edits(self, panel):
        assert inside(steering_comparison_svg(SteeringComparison(panel.result.next_token, (), ())))
        plain = SteeringPanel(FakeSteeringLab(), "the Gate", max_new_tokens=3)
        assert "no edits: the model as it is" in texts(plain.static_svg())

    def test_both_files(self, panel, tmp_path):
        drawing = panel.to_svg(tmp_path / "a.svg").read_text("utf-8")
        pytest.importorskip("vl_convert")
        width, _ = struct.unpack(">II", panel.to_png(tmp_path / "a.png", scale=1).read_bytes()[16:24])
        assert width == size(parsed(drawing), "width")

    def test_nothing_to_draw(self):
        with pytest.raises(PromptError, match="nothing to draw"):
            SteeringPanel(FakeSteeringLab(), "").static_svg()


class TestFeature:
    def test_intervals_effects_and_contexts_stand_there(self, index):
        stats = index.feature(int(np.argmax(index.count)))
        drawing = feature_stats_svg(stats, note="a <note>")
        found = texts(drawing)
        assert inside(drawing)
        assert found[0].startswith(f"Feature {stats.feature}")
        assert "Note: a <note>" in found
        assert sum(text.startswith(("+", "-")) for text in found) == len(stats.logits.top[:8]) + len(
            stats.logits.bottom[:8]
        )
        bold = [node.text for node in parsed(drawing).iter(f"{SPACE}text") if node.get("font-weight") == "bold"]
        peaks = [each.tokens.strings[each.position].strip() for each in stats.top[:10]]
        assert bold[-len(peaks) :] == [peak or "\u21b5" for peak in peaks]

    def test_bars_are_as_tall_as_the_shares(self, index):
        stats = index.feature(int(np.argmax(index.count)))
        bars = [
            size(node, "height") for node in parsed(feature_stats_svg(stats)).iter(f"{SPACE}rect")
            if node.get("fill") == "#fd8d3c" and size(node, "height") != 12 and node.get("stroke") is None
        ]  # fmt: skip
        shares = [each.share for each in stats.intervals]
        largest = max(*shares, *(each.mass_share for each in stats.intervals))
        np.testing.assert_allclose(bars, [130 * share / largest for share in shares], atol=0.02)

    @pytest.mark.parametrize("width", [600, 900])
    def test_nasty_tokens_are_text(self, width):
        drawing = feature_stats_svg(replace(nasty_stats(), label="</svg>\u202e"), note="\x00\ud800", width=width)
        assert inside(drawing)
        assert "\u202e" not in drawing
        drawing.encode()

    def test_a_long_token_is_cut(self, index):
        tokens = tokens_of([b"long" * 100, b" short"])
        example = Example(3.0, 1, tokens.ids, 0, 0, lambda _: tokens)
        stats = index.feature(int(np.argmax(index.count)))
        drawing = feature_stats_svg(replace(stats, top=(example,)), width=500)
        assert inside(drawing)
        assert any(text.startswith("longlong") and text.endswith("\u2026") for text in texts(drawing))

    def test_effects_that_are_no_numbers(self, index):
        stats = index.feature(int(np.argmax(index.count)))
        effects = replace(stats.logits, top=(TokenEffect(1, " a", float("nan")), TokenEffect(2, " b", 1.0)))
        drawing = feature_stats_svg(replace(stats, logits=effects))
        assert inside(drawing)
        assert "nan" not in drawing

    def test_a_dead_feature_and_one_without_logits(self, index):
        dead = index.feature(next(n for n in range(512) if not index.count[n]))
        assert any(text.startswith("dead: ") for text in texts(feature_stats_svg(dead)))
        assert inside(feature_stats_svg(replace(dead, logits=None)))
        often = index.feature(int(np.argmax(index.count)))
        drawing = feature_stats_svg(replace(often, logits=None))
        assert inside(drawing)
        assert not any("logits" in text for text in texts(drawing))

    def test_the_dashboard_draws_what_people_say(self, tmp_path):
        lab = FakeDashboardLab()
        view = FeatureDashboard(lab)
        lab.annotate(view.feature, label="the <b>label</b>")
        drawing = view.to_svg(tmp_path / "a.svg").read_text("utf-8")
        assert texts(drawing)[0] == f"Feature {view.feature} the <b>label</b>"
