"""Charts of a notebook become drawings; a stranger's chart runs nothing, fetches nothing and ends in time."""

from __future__ import annotations

import base64
import http.server
import re
import sys
import threading
from html import unescape

import pytest

from saewidgets.export import charts
from saewidgets.export.charts import Charts, chart_in_html, clean_drawing, title_of
from saewidgets.export.notebook import exported
from saewidgets.views.steering_bench import Chart
from tests.export.pages import body

MIME = "application/vnd.vegalite.v5+json"
HOSTILE = "</svg><script>x()</script>\u202e"


def bars(**more):
    """A chart with its data in it."""
    rows = [{"way": f"way {HOSTILE}", "n": 3}, {"way": "other", "n": 5}]
    encoding = {"x": {"field": "way", "type": "nominal"}, "y": {"field": "n", "type": "quantitative"}}
    return {"data": {"values": rows}, "mark": "bar", "encoding": encoding, **more}


def page_of(data):
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cell = {"cell_type": "code", "source": "chart", "outputs": [output], "metadata": {}, "execution_count": 1}
    return body(exported({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).html)


def drawings(shown):
    """The SVG images of a page."""
    found = re.findall(r'src="data:image/svg\+xml;base64,([^"]*)"', shown)
    return [base64.b64decode(unescape(one)).decode() for one in found]


@pytest.fixture
def without(monkeypatch):
    """As if vl-convert were not installed."""
    monkeypatch.setattr(charts, "find_spec", lambda _: None)


class TestDrawn:
    @pytest.fixture(autouse=True)
    def vl_convert(self):
        pytest.importorskip("vl_convert")

    def test_a_chart_is_an_image_of_the_page_with_its_title_beside(self):
        shown = page_of({MIME: bars(title=f"A {HOSTILE}", description="what it says"), "text/plain": "<VegaLite 5>"})
        (drawing,) = drawings(shown)
        assert ">other<" in drawing
        assert "way &lt;/svg&gt;&lt;script&gt;x()" in drawing
        assert "<script" not in drawing
        alt = re.findall(r'alt="([^"]*)"', shown)[0]
        assert unescape(alt) == f"A {HOSTILE}. what it says"
        assert "VegaLite" not in shown

    @pytest.mark.parametrize("kind", ["application/vnd.vegalite.v5+json", "application/vnd.vegalite.v6.json"])
    def test_kinds(self, kind):
        assert len(drawings(page_of({kind: bars()}))) == 1

    def test_a_chart_of_ours(self):
        data = Chart(bars(), "the table")._repr_mimebundle_()
        assert len(drawings(page_of(data))) == 1

    def test_altair_as_it_shows_itself(self):
        alt = pytest.importorskip("altair")
        pandas = pytest.importorskip("pandas")
        chart = alt.Chart(pandas.DataFrame({"a": [1], "b": ["</script>"]})).mark_bar().encode(x="a", y="b")
        for renderer in ("default", "mimetype"):
            with alt.renderers.enable(renderer):
                data = chart._repr_mimebundle_()
            data = data[0] if isinstance(data, tuple) else data
            (drawing,) = drawings(page_of(data))
            assert "&lt;/script&gt;" in drawing

    def test_vega_too(self):
        mark = {"type": "rect", "encode": {"enter": {"width": {"value": 5}, "height": {"value": 5}}}}
        spec = {"$schema": "https://vega.github.io/schema/vega/v5.json", "width": 9, "height": 9, "marks": [mark]}
        assert len(drawings(page_of({"application/vnd.vega.v5+json": spec}))) == 1

    def test_a_picture_that_is_there_wins(self, monkeypatch):
        monkeypatch.setattr(charts.subprocess, "run", None)
        shown = page_of({MIME: bars(), "image/png": "aaaa", "text/plain": "plain"})
        assert 'src="data:image/png;base64,aaaa"' in shown
        assert drawings(shown) == []

    def test_the_same_chart_is_drawn_once(self, monkeypatch):
        asked = []
        monkeypatch.setattr(
            charts, "_asked", lambda *given: asked.append(given) or "<svg xmlns='http://www.w3.org/2000/svg'/>"
        )
        made = Charts()
        assert made.drawn("vegalite", bars()) == made.drawn("vegalite", bars())
        assert len(asked) == 1

    def test_a_chart_that_is_none_says_so(self):
        shown = page_of({MIME: {"mark": "no such mark", "data": {"values": []}}, "text/plain": "plain"})
        assert "Not drawn: TypeError: " in shown
        assert ">plain</pre>" in shown

    def test_one_that_never_ends_is_left(self, monkeypatch):
        monkeypatch.setattr(charts, "SECONDS", 3.0)
        slow = f"test(/(a+)+b/, '{'a' * 40}')"  # 2**40 steps
        endless = {"data": {"values": [{"a": 1}]}, "transform": [{"calculate": slow, "as": "b"}], "mark": "point"}
        assert "Not drawn: it takes more than 3 s." in page_of({MIME: endless})

    @pytest.mark.skipif(sys.platform != "linux", reason="memory cannot be limited here")
    def test_one_that_fills_the_memory_ends(self, monkeypatch):
        monkeypatch.setattr(charts, "SECONDS", 100.0)
        endless = {"data": {"sequence": {"start": 0, "stop": 3e7}}, "mark": "point"}
        assert "Not drawn: it takes too much memory" in page_of({MIME: endless})
        assert charts.MEMORY <= 2**30
        monkeypatch.setattr(charts, "MEMORY", 2**25)
        assert Charts().drawn("vegalite", bars())[0] == ""

    def test_their_time_together_is_limited(self, monkeypatch):
        monkeypatch.setattr(charts, "SECONDS_OF_ALL", 0.0)
        assert Charts().drawn("vegalite", bars()) == (
            "", "Not drawn: the charts of this notebook took more than 0 s.",
        )  # fmt: skip

    def test_each_takes_of_the_time_of_all(self, monkeypatch):
        monkeypatch.setattr(charts, "SECONDS_OF_ALL", 1e-9)
        made = Charts()
        assert "it takes more than" in made.drawn("vegalite", bars())[1]
        assert "the charts of this notebook" in made.drawn("vegalite", bars(title="another"))[1]

    def test_a_drawing_that_is_too_large_is_left(self, monkeypatch):
        monkeypatch.setattr(charts, "LARGEST", 1500)
        assert "Not drawn: the drawing has" in page_of({MIME: bars()})


class Visited(http.server.BaseHTTPRequestHandler):
    """Counts who asks."""

    asked: list[str] = []  # noqa: RUF012 - one for the test

    def do_GET(self):
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'[{"way": "FETCHED", "n": 1}]')

    def log_message(self, format, *args):  # noqa: A002 - its name there
        """Nothing."""


@pytest.fixture
def address():
    Visited.asked.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Visited)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/data.json"
    server.shutdown()
    server.server_close()


def fetching(address):
    lookup = {"lookup": "way", "from": {"data": {"url": address}, "key": "way", "fields": ["n"]}}
    layer = {"layer": [bars(data={"url": address})]}
    nested = {"hconcat": [{"vconcat": [bars(data={"url": address})]}]}
    image = bars(mark={"type": "image", "url": address, "width": 9, "height": 9})
    return [bars(data={"url": address}), bars(transform=[lookup]), layer, nested, image]


class TestNothingIsFetched:
    @pytest.mark.parametrize("n", range(5))
    def test_what_names_an_address_is_not_drawn(self, address, n):
        spec = fetching(address)[n]
        shown = page_of({MIME: spec})
        assert "nothing is fetched" in shown
        assert Visited.asked == []

    @pytest.mark.parametrize("n", range(5))
    def test_and_if_it_were_nothing_would_be_asked(self, address, monkeypatch, n):
        """The second wall: vl-convert itself asks nobody."""
        pytest.importorskip("vl_convert")
        monkeypatch.setattr(charts, "_fetches", lambda spec: False)
        shown = page_of({MIME: fetching(address)[n]})
        assert "FETCHED" not in "".join(drawings(shown))
        assert Visited.asked == []
        assert all("127.0.0.1" not in drawing for drawing in drawings(shown))

    @pytest.mark.parametrize("where", ["file:///etc/hostname", "/etc/hostname", "pages.py", "ftp://x/y"])
    def test_nor_is_a_file_read(self, where):
        assert "nothing is fetched" in page_of({MIME: bars(data={"url": where, "format": {"type": "csv"}})})

    def test_a_column_of_addresses_is_data(self, monkeypatch):
        monkeypatch.setattr(charts, "_asked", lambda *_: "<svg xmlns='http://www.w3.org/2000/svg'/>")
        rows = [{"url": "https://example.org", "n": 1}]
        assert len(drawings(page_of({MIME: bars(data={"values": rows})}))) == 1
        assert len(drawings(page_of({MIME: bars(data={"name": "d"}, datasets={"d": rows})}))) == 1

    def test_nesting_without_end(self):
        spec = bars()
        for depth in range(1, 50_001):
            spec = {"hconcat": [spec]}
            if depth in (200, 50_000):
                drawing, why = Charts().drawn("vegalite", spec)
                assert drawing == ""
                assert "Not drawn" in why


class TestInWords:
    def test_without_vl_convert_title_and_description_and_how_to_get_the_picture(self, without):
        shown = page_of({MIME: bars(title=f"A {HOSTILE}", description="<b>said"), "text/plain": "a table"})
        assert "A &lt;/svg&gt;&lt;script&gt;x()" in shown
        assert "&lt;b&gt;said" in shown
        assert "a table" in shown
        assert "pip install &quot;saewidgets[figures]&quot;" in shown

    def test_what_altair_prints_says_nothing(self, without):
        assert "alt.Chart" not in page_of({MIME: bars(title="A"), "text/plain": "alt.Chart(...)"})

    @pytest.mark.parametrize("spec", [3, None, [], "x", {"a": float("nan")}])
    def test_what_is_no_chart(self, spec):
        shown = page_of({MIME: spec, "text/plain": "plain"})
        assert ">plain</pre>" in shown

    def test_one_that_is_too_large(self, monkeypatch):
        monkeypatch.setattr(charts, "LARGEST", 100)
        assert "100 is the limit" in page_of({MIME: bars()})

    @pytest.mark.parametrize(
        ("spec", "title"),
        [
            ({"title": "A", "description": "b"}, ("A", "b")),
            ({"title": ["A", 3, "B"]}, ("A B", "")),
            ({"title": {"text": ["A", "B"]}}, ("A B", "")),
            ({"title": 3, "description": {}}, ("", "")),
            (3, ("", "")),
        ],
    )
    def test_titles(self, spec, title):
        assert title_of(spec) == title


def test_a_script_that_is_no_chart_of_altair_is_none():
    sources = ["vegaEmbed })({not json}, {})", 'vegaEmbed })({"a": 1}, {"mode": "other"})', 'x })({"a": 1})', ""]
    assert [chart_in_html(source) for source in sources] == [None] * 4
    assert chart_in_html('vegaEmbed })({"a": 1}, {"mode": "vega"});') == ("vega", {"a": 1})
    assert chart_in_html('vegaEmbed })({"a": "' * 10**5) is None  # each of which would be read to the end


def test_html_that_is_more_than_a_chart_stays():
    assert "<b>rich</b>" in page_of({"text/html": "<b>rich</b> vegaEmbed", MIME: bars(), "text/plain": "plain"})


@pytest.mark.parametrize(
    "bad",
    [
        "<script>x()</script>",
        "<foreignObject><p>x()</p></foreignObject>",
        "<style>@import 'https://evil.example'</style>",
        '<image href="https://evil.example/a.png"/>',
        '<image xmlns:l="http://www.w3.org/1999/xlink" l:href="https://evil.example/a.png"/>',
        '<use href="https://evil.example/a.svg#b"/>',
        '<rect onload="x()"/>',
        '<rect fill="url(https://evil.example/a)"/>',
        '<a href="javascript:x()"><rect/></a>',
        "<animate attributeName='href' values='https://evil.example'/>",
        '<g><g><iframe xmlns="http://www.w3.org/1999/xhtml" src="https://evil.example"/></g></g>',
    ],
)
def test_of_a_drawing_only_shapes_are_left(bad):
    source = f'<svg xmlns="http://www.w3.org/2000/svg"><text>kept</text>{bad}</svg>'
    made = clean_drawing(source)
    assert ">kept<" in made
    assert not re.search(r"evil|x\(\)|script|foreign|iframe|animate|style", made)
    assert clean_drawing(made) == made


def test_what_a_drawing_needs_is_left():
    source = (
        '<svg xmlns="http://www.w3.org/2000/svg"><defs><clipPath id="c"><rect width="1"/></clipPath></defs>'
        '<g clip-path="url(#c)"><a href="https://example.org"><text x="1">a &lt; b</text></a></g>'
        '<image href="data:image/png;base64,aaaa"/></svg>'
    )
    made = clean_drawing(source)
    assert 'clip-path="url(#c)"' in made
    assert "a &lt; b" in made
    assert "data:image/png;base64,aaaa" in made
    assert "example" not in made


@pytest.mark.parametrize(
    "source",
    ["<p/>", "<!DOCTYPE svg [<!ENTITY a 'b'>]><svg/>", "<svg xmlns='http://www.w3.org/2000/svg'><!--x--></svg>"],
)
def test_what_is_no_drawing_is_refused(source):
    with pytest.raises(ValueError, match="no drawing"):
        clean_drawing(source)
