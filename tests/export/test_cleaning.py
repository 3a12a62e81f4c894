"""What a stranger's HTML loses and keeps; the parser that judges is not the one that cleans."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from saewidgets.export import cleaning
from saewidgets.export.cleaning import ATTRIBUTES, LARGEST, TAGS, cleaned_html, is_image

PNG = "data:image/png;base64,iVBORw0KGgo="
HOSTILE = [
    "<script>parent.x=1</script>",
    "<scr<script>ipt>x()</scr</script>ipt>",
    "<img src=x onerror=x()>",
    '<img/src="x"/onerror=x()>',
    "<svg onload=x()><script>x()</script></svg>",
    "<math><mtext></p><style><img src onerror=x()></style></mtext></math>",
    "<a href='javascript:x()'>a</a>",
    "<a href='java\tscript:x()'>a</a>",
    "<a href='&#106;avascript:x()'>a</a>",
    "<a href='data:text/html,<script>x()</script>'>a</a>",
    "<a href='vbscript:x()'>a</a>",
    "<a href='//evil.example/x'>a</a>",
    "<img src='https://evil.example/x.png'>",
    "<img srcset='https://evil.example/x.png 2x'>",
    "<img src='data:text/html;base64,PHNjcmlwdD4='>",
    "<iframe srcdoc='<script>x()</script>'></iframe>",
    "<object data='https://evil.example'></object><embed src='https://evil.example'>",
    "<form action='https://evil.example'><input autofocus onfocus=x()><button formaction='javascript:x()'></form>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'><base href='https://evil.example'>",
    "<link rel=stylesheet href='https://evil.example'>",
    "<style>body{background:url(https://evil.example)}</style><style>@import 'https://evil.example'",
    "<p style='background:url(https://evil.example/x)'>a</p>",
    "<p style='background:u\\72l(https://evil.example/x)'>a</p>",
    "<p style='background:image-set(\"https://evil.example/x\" 1x)'>a</p>",
    "<p style='color:red;position:fixed;inset:0;width:expression(x())'>a</p>",
    "<p style='width:var(--x);behavior:url(x)'>a</p>",
    "<table background='https://evil.example/x'><td background='https://evil.example/x'>a</table>",
    "<video src='https://evil.example/x' poster='https://evil.example/x' autoplay></video>",
    "<a ping='https://evil.example' href='#x'>a</a>",
    "<p id='saew-state' data-saew='0' class='saew-tok saew'>a</p><h1 id='saew-state'>b</h1>",
    "<noscript><p title='</noscript><img src=x onerror=x()>'></noscript>",
    "<!--><img src=x onerror=x()>--><![CDATA[<script>x()</script>]]>",
    "<template><script>x()</script></template><xmp><img src=x onerror=x()></xmp>",
]


class Judge(HTMLParser):
    """Collects what must not be there."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        for name, value in attrs:
            text = value or ""
            if name not in ATTRIBUTES:
                self.faults.append(f"{tag} {name}")
            if name in {"src", "href"} and not re.match(r"data:image/|#|https?://|mailto:|[\w.]+(/[\w.]*)*$", text):
                self.faults.append(f"{name}={text}")
            if name == "src" and not text.startswith("data:image/"):
                self.faults.append(f"{name}={text}")
            if name == "style" and re.search(r"url|\\|position|expression|var\(|image-set|@|behavior", text):
                self.faults.append(f"style {text}")
            if text.startswith("saew-state") or text == "saew-tok saew":
                self.faults.append(f"{name}={text}")


def faults(clean: str) -> list[str]:
    judge = Judge()
    judge.feed(clean)
    judge.close()
    return judge.faults


@pytest.mark.parametrize("source", HOSTILE)
def test_nothing_that_could_run_or_fetch_stays(source):
    clean = cleaned_html(source)
    assert faults(clean) == []
    assert "evil.example" not in re.sub(r">[^<]*<", "><", f">{clean}<")


def test_the_judge_sees_faults():
    assert all(faults(source) for source in HOSTILE if "<![CDATA" not in source and "scr<script" not in source)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from([*"<>/'\"=` \n", "<p ", "x", "<svg>", "</style>", "<!--", "-->", "onload=", *HOSTILE])))
def test_nor_of_any_mixture(parts):
    clean = cleaned_html("".join(parts))
    assert faults(clean) == []
    assert cleaned_html(clean) == clean


@pytest.mark.parametrize(
    "source",
    [
        "<p>a <b>b</b> &lt;script&gt;</p>",
        '<mark title="2" style="background:rgba(253,141,60,.60)"><b>x</b></mark>',
        '<table><thead><tr><th colspan="2">a</th></tr></thead><tbody><tr><td>b</td></tr></tbody></table>',
        f'<img alt="x" src="{PNG}">',
        '<a href="https://example.org/x?a=1">a</a>',
        '<a href="02_x.ipynb#part">a</a>',
        '<h2 id="a-heading">a</h2>',
        '<div class="saew-twin saew-twin-0123456789ab">a</div>',
        '<p style="color:#f00;text-align:right">é 😀 مرحبا</p>',
    ],
)
def test_what_people_read_stays(source):
    assert cleaned_html(source) == source


def test_a_twin_of_every_view_stays_as_it_is(every_view):
    html = every_view._marked_html()
    clean = cleaned_html(html)
    for tag in ("<mark", "<b>", "<td", "title=", "background:rgba("):
        assert clean.count(tag) == html.count(tag)
    assert re.sub("<[^>]*>", "", clean) == re.sub("<[^>]*>", "", html)


def test_styles_and_scripts_are_not_read_as_text():
    pandas = "<div><style scoped>.dataframe th {x: y}</style><table class='dataframe'><tr><td>1</td></tr></table></div>"
    assert "x: y" not in cleaned_html(pandas)
    assert 'class="dataframe"' in cleaned_html(pandas)
    assert cleaned_html("a<SCRIPT src=x>b</sCript >c<style>d") == "ac"


@pytest.mark.parametrize(
    "source",
    [
        "<div>" * 100_000,
        "<b><p>" * 100_000,
        "<script>" * 100_000,
        "<" * 20_000,
        "a" * (LARGEST + 1),
        "<p title=" + "' " * 50_000,
        "<b></i>" * 20_000,
    ],
)
def test_what_is_huge_ends(source):
    assert faults(cleaned_html(source)) == []


def test_what_cannot_be_read_is_shown_as_text(monkeypatch):
    monkeypatch.setattr(cleaning, "_cleaner", lambda: None)
    assert cleaned_html("<b>x</b>") == "<pre>&lt;b&gt;x&lt;/b&gt;</pre>"


@pytest.mark.parametrize("address", ["data:image/png;base64,", "data:text/html;base64,aa", f"{PNG}'", f"x{PNG}", ""])
def test_what_is_no_image(address):
    assert not is_image(address)
    assert is_image(PNG)
