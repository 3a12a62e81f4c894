"""Tables and charts of a comparison of ways to steer: all ways, all marks, and nothing that can be markup."""

from __future__ import annotations

import json
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from saewidgets.errors import EditError
from saewidgets.views import steering_bench_chart, steering_bench_html, steering_bench_text
from saewidgets.views.steering_bench import COLOURS, MIME, SHAPES
from tests.results.steering_benches import KLS, NORMS, bench_of
from tests.views.test_ranking import Plain

HOSTILE = "</title><img src=x onerror=alert(1)>\n\u202e\x00"


def points_of(spec):
    """Data of each layer."""
    return [layer.get("data", spec.get("data"))["values"] for layer in spec["layer"]]


def test_the_table_has_all_ways_and_says_which_do_not_reach_the_budget():
    seen = Plain(steering_bench_html(bench_of()))
    assert seen.rows[0][:4] == ["way", "pairs", "gain, nats", "95 % interval"]
    rows = {tuple(row[:2]): row for row in seen.rows[1:6]}
    assert rows["feature, set", "—"][2] == "+5.5"
    assert rows["feature, set if active", "—"][2:] == ["not reached", *["—"] * 6, "0 of 1"]
    assert rows["difference in means", "1"][-1] == "2"
    assert "Moves no token of the prompts, at any strength: feature, set if active" in seen.lines
    assert any("chosen on 16 texts for AUROC, which is 0.90 on the others" in line for line in seen.lines)
    assert seen.rows[6][0] == "way"  # the best strengths
    assert [row[0] for row in seen.rows[7:]] == [
        "feature, set", "difference in means, 1 pair", "difference in means, 4 pairs", "random direction"]  # fmt: skip


def test_the_text_has_the_same_rows():
    lines = steering_bench_text(bench_of()).splitlines()
    assert "All ways at KL 0.1 nats per token on the neutral texts" in lines
    assert sum(line.startswith(("feature", "difference", "random")) for line in lines) == 5


def test_the_result_shows_itself_and_its_chart():
    bench = bench_of()
    assert bench._repr_html_() == steering_bench_html(bench)
    bundle = bench.chart()._repr_mimebundle_()
    assert set(bundle) == {MIME, "text/plain"}  # with HTML along JupyterLab would not draw it
    assert bundle[MIME]["$schema"].endswith("/v5.json")
    assert bundle["text/plain"] == repr(bench.chart()) == steering_bench_text(bench)


@pytest.mark.parametrize("kind", ["tradeoff", "pairs"])
def test_charts_are_valid_json_of_vega_lite_5(kind):
    spec = bench_of().chart(kind).spec
    assert json.loads(json.dumps(spec, allow_nan=False)) == spec
    assert "url" not in json.dumps(spec)


@pytest.mark.parametrize("kind", ["tradeoff", "pairs"])
def test_charts_become_pictures(tmp_path, kind):
    pytest.importorskip("vl_convert")
    drawing = ElementTree.fromstring(bench_of().chart(kind).to_svg(tmp_path / "a.svg").read_text("utf-8"))
    texts = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
    assert any("KL" in (text or "") for text in texts) if kind == "tradeoff" else len(texts) > 5
    assert bench_of().chart(kind).to_png(tmp_path / "a.png", scale=1).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_every_way_of_the_first_chart_has_its_colour_and_its_shape():
    spec = bench_of().chart().spec
    data = points_of(spec)[0]
    names = ["feature, set", "difference in means, 1 pair", "difference in means, 4 pairs", "random direction"]
    assert list(dict.fromkeys(point["way"] for point in data)) == names
    assert {point["length"] for point in data} == set(NORMS)
    encoding = spec["layer"][1]["encoding"]
    assert encoding["color"]["scale"] == {"domain": names, "range": [COLOURS[n] for n in (0, 4, 5, 8)]}
    assert encoding["shape"]["scale"] == {"domain": names, "range": [SHAPES[n] for n in (0, 4, 5, 8)]}
    assert encoding["x"]["scale"] == {"type": "log"}
    gain = [point["gain"] for point in data if point["way"] == "feature, set"]
    assert gain == pytest.approx([3.5, 4.5])


def test_a_side_effect_of_0_is_not_on_a_logarithmic_axis():
    bench = bench_of()
    spec = bench_of(kl=bench.kl * 0).chart().spec
    assert points_of(spec)[0] == []


def test_the_second_chart_has_vectors_by_pairs_and_level_lines():
    spec = bench_of().chart("pairs", KLS[0]).spec
    layers = points_of(spec)
    level, vectors = layers[0], layers[-1]
    assert [point["way"] for point in level] == ["feature, set", "random direction"]
    assert [point["pairs"] for point in vectors] == [1, 4]
    assert all(point["low"] <= point["gain"] <= point["high"] for point in vectors)
    encoding = spec["layer"][-1]["encoding"]
    assert encoding["x"]["scale"] == {"base": 2, "type": "log"}
    assert encoding["color"]["scale"] == {  # as in the first chart
        "domain": ["feature, set", "difference in means", "random direction"],
        "range": [COLOURS[n] for n in (0, 5, 8)],
    }


def test_ways_that_were_matched_by_length_alone():
    bench = bench_of(matched=("norm",) * 21, budget=bench_of().budget)
    assert "mean length of 0.2 activations" in steering_bench_text(bench)
    assert "mean length of 0.4 activations" in json.dumps(bench.chart("pairs", 0.4).spec)


def test_text_of_the_user_is_never_markup():
    bench = bench_of(target=(HOSTILE, "b"), feature=HOSTILE, model=HOSTILE, hook=HOSTILE)
    html = steering_bench_html(bench)
    Plain(html)  # no element but plain ones, no attribute
    assert "&lt;img src=x onerror=alert(1)&gt;" in html
    for found in (html, steering_bench_text(bench)):
        assert "\u202e" not in found
        assert "\x00" not in found
    spec = bench.chart().spec
    held = [key for key, value in spec.items() if "onerror" in json.dumps(value)]
    assert held == ["title"]  # which is drawn as text
    assert isinstance(spec["title"]["text"], str)


def test_bad_charts_are_named():
    with pytest.raises(EditError, match="no such chart"):
        steering_bench_chart(bench_of(), "pie")
    with pytest.raises(EditError, match="not compared at this kl"):
        steering_bench_chart(bench_of(), "pairs", 0.7)


def test_altair_is_imported_with_the_first_chart_only():
    program = "import sys, saewidgets.views; assert 'altair' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
