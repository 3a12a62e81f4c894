"""Tables and chart of a feature's specificity: every interval, and nothing that can be markup."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from saewidgets.errors import SpecificityError
from saewidgets.views import specificity_chart, specificity_html, specificity_text
from saewidgets.views.steering_bench import MIME
from tests.results.specificities import exact_of, rated_of, sampled_of
from tests.views.test_ranking import Plain

HOSTILE = "</title><img src=x onerror=alert(1)>\n\u202e\x00"
EXACT = exact_of([1, 2, 2.5, 4, 9, 10], [0, 0, 1, 1, 1, 1], n_tokens=100, n_marked=8, max_from="these texts")
SAMPLE = sampled_of([1.0, 1.0, 1.0, 9.5, 10.0], [0, 3, 4], [False, True, True])
RATED = rated_of([1.0, 9.5, 10.0], [[0], [3, 2], [3]], least=2)


def layers_of(found, threshold=None):
    """Data of each layer of the upper and of the lower picture."""
    parts = found.chart(threshold).spec["vconcat"]
    return [[each.get("data", part.get("data"))["values"] for each in part["layer"]] for part in parts]


def test_the_table_has_a_row_for_each_interval_and_each_threshold():
    seen = Plain(specificity_html(EXACT))
    assert len(seen.rows) == 1 + 10 + 1 + 10
    assert seen.rows[0][0] == "activation"
    assert seen.rows[3] == ["2 to 3", "16.7%", "8.8%", "1", "█" * 20, "1", "0.207 to 1", "+2.53"]
    assert seen.rows[5][3:] == ["0", "not scored", "—", "—", "—"]
    assert seen.rows[1][-1] == "-∞"
    assert seen.rows[13] == ["0.1", "1", "0.8", "0.376 to 0.964", "83.3%", "96.5%", "0.5", "0.615"]
    assert "sae/7 against /cat/" in seen.lines
    assert "Of all 100 tokens 8.000% are marked; recall 0.5" in seen.lines
    assert "Thresholds are shares of the maximum 10, from these texts" in seen.lines


def test_an_estimate_says_so_and_has_no_recall():
    seen = Plain(specificity_html(SAMPLE))
    assert seen.rows[1][3] == "1 of a sample"
    assert seen.rows[10][3] == "2"  # all of them
    assert seen.rows[11][-1] == "marked firings kept"
    assert any("how often the feature is silent on marked tokens is unknown" in line for line in seen.lines)
    assert not any("recall" in line for line in seen.lines)


def test_bars_are_as_long_as_shares_and_always_of_one_length():
    half = exact_of([1.0] * 4 + [10.0] * 3, [0, 1, 0, 1, 1, 0, 0], largest=10.0)
    rows = Plain(specificity_html(half)).rows
    assert rows[1][4] == "█" * 10 + "░" * 10
    assert rows[10][4] == "█" * 7 + "░" * 13
    assert Plain(specificity_html(RATED)).rows[10][4] == "█" * 13 + "▓" * 7
    for found in (RATED, rated_of([1.0] * 7, [[0], [1], [2], [3], [3], [1], [1]])):
        assert {len(row[4]) for row in Plain(specificity_html(found)).rows[1:11]} <= {20, len("not scored")}


def test_the_text_has_the_same_rows():
    for found in (EXACT, SAMPLE, RATED):
        text = specificity_text(found).splitlines()
        for row in Plain(specificity_html(found)).rows:
            assert any(all(cell in line for cell in row) for line in text)


def test_notes_are_shown():
    assert "One thing." in specificity_text(exact_of([1.0], [True], notes=("One thing.",)))


def test_the_result_shows_itself_and_its_chart():
    assert EXACT._repr_html_() == specificity_html(EXACT)
    bundle = EXACT.chart()._repr_mimebundle_()
    assert set(bundle) == {MIME, "text/plain"}  # with HTML along JupyterLab would not draw it
    assert bundle[MIME]["$schema"].endswith("/v5.json")
    assert bundle["text/plain"] == specificity_text(EXACT)


@pytest.mark.parametrize("found", [EXACT, SAMPLE, RATED, exact_of([], [], largest=0.0)])
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_charts_are_valid_json_of_vega_lite_5(found, threshold):
    spec = found.chart(threshold).spec
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert "url" not in json.dumps(spec)


@pytest.mark.parametrize("found", [EXACT, SAMPLE, RATED])
def test_shares_of_an_interval_are_stacked_the_best_score_lowest(found):
    bars, rules, *_ = layers_of(found)[0]
    for place in {bar["from"] for bar in bars}:
        own = [bar for bar in bars if bar["from"] == place]
        assert [bar["score"] for bar in own] == list(reversed(found.labels))
        assert [bar["bottom"] for bar in own] == pytest.approx([0, *np.cumsum([b["share"] for b in own])[:-1]])
        assert own[-1]["top"] == pytest.approx(1)
    assert [rule["scored"] for rule in rules] == [each.n for each in found.intervals if each.n]
    for rule in rules:
        assert rule["low"] <= rule["precision"] <= rule["high"]


def test_precision_is_the_height_of_the_scores_that_suffice():
    bars, rules, *_ = layers_of(RATED)[0]
    top = [bar for bar in bars if bar["from"] == 0.9]
    assert rules[-1]["precision"] == pytest.approx(next(bar["top"] for bar in top if bar["score"] == "2"))


def test_the_lower_picture_has_firings_beside_mass():
    (bars,) = layers_of(EXACT)[1]
    assert sum(bar["share"] for bar in bars if bar["of"] == "firings") == pytest.approx(1)
    assert sum(bar["share"] for bar in bars if bar["of"] == "activation mass") == pytest.approx(1)
    assert len(bars) == 20
    assert all(0 <= bar["from"] < bar["to"] <= 1 for bar in bars)


def test_a_threshold_is_a_line_in_both_and_is_told_in_words():
    upper, lower = layers_of(EXACT, 0.3)
    assert upper[-1] == lower[-1] == [{"t": 0.3}]
    assert len(layers_of(EXACT)[0]) == len(upper) - 1
    subtitle = EXACT.chart(0.3).spec["title"]["subtitle"]
    assert subtitle[1].startswith("Above 0.3 of the maximum: precision 1 (")
    assert "50.0% of the firings and 80.7% of the mass are kept" in subtitle[1]


def test_no_such_chart():
    with pytest.raises(SpecificityError, match="no such chart"):
        specificity_chart(EXACT, "pie")
    with pytest.raises(SpecificityError, match="no threshold"):
        EXACT.chart(2)


def test_names_of_predicates_and_raters_are_text():
    found = exact_of([1.0], [True], what=HOSTILE, max_from=HOSTILE, notes=(HOSTILE,))
    seen = Plain(specificity_html(found))  # any unknown element is an error
    assert "<img" in seen.lines[0]
    rated = rated_of([1.0], [[3]], rater=HOSTILE)
    for text in (
        specificity_html(found),
        specificity_html(rated),
        specificity_text(found),
        json.dumps(rated.chart().spec),
    ):
        assert "\u202e" not in text
        assert "\x00" not in text
    assert len(specificity_text(found).splitlines()) == len(specificity_text(EXACT).splitlines()) + 1


def test_altair_is_not_loaded_for_a_table():
    code = "import sys, saewidgets.views; assert not {'altair', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
